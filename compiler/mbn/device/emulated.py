"""Boards that need no hardware: QEMU, and the host's own executable.

What enters: a board and its image. What leaves: a running child and the port that pyserial opens.
Always holds: the child starts when the port is opened, so no byte is lost, and ends with the
context.
"""

from __future__ import annotations

import os
import re
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mbn.emulator import qemu_command
from mbn.errors import LinkError, ToolError
from mbn.process import Child
from mbn.target import Board

_LISTENS = re.compile(r"QEMU waiting for connection on: .*tcp:127\.0\.0\.1:(\d+)")
_START_S = 20.0
# The multiplexer is there for its buffer: without it QEMU reads the socket anew for every byte that
# the UART takes, at a fifth of the speed. Its escape character must be no byte at all.
_NO_ESCAPE = "256"


@contextmanager
def qemu(board: Board, elf: Path) -> Iterator[tuple[str, Child]]:
    """Starts QEMU; yields the port's URL and the child. The kernel chooses the TCP port, and QEMU
    waits for us on it before the first instruction."""
    _require(elf)
    line = "socket,id=line,host=127.0.0.1,port=0,server=on,wait=on,nodelay=on,mux=on"
    command = qemu_command(
        board, elf, "-chardev", line, "-serial", "chardev:line", "-echr", _NO_ESCAPE
    )
    with Child(command) as child:
        yield f"socket://127.0.0.1:{_listening_port(child)}", child


def _listening_port(child: Child) -> int:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        found = _LISTENS.search(child.errors())
        if found:
            return int(found[1])
        if child.exit_status() is not None:
            break
        time.sleep(0.01)
    raise ToolError(
        f"QEMU did not start: {child.errors().strip() or 'it said nothing'}",
        wanted="QEMU 7.2 or later, listening for its serial line",
    )


@contextmanager
def native(elf: Path) -> Iterator[tuple[str, Child]]:
    """Starts the host's executable on the master side of a pty; yields the slave's path."""
    _require(elf)
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        with Child([str(elf.resolve())], stdin=master, stdout=master) as child:
            os.close(master)
            master = -1
            yield os.ttyname(slave), child
    finally:
        if master >= 0:
            os.close(master)
        os.close(slave)


def _require(elf: Path) -> None:
    if not elf.is_file():
        raise LinkError("there is no such image", advice="Build it first", node=str(elf))
