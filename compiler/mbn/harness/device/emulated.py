"""Boards that need no hardware: QEMU (on a socket or a pty), rp2040py, the host's own executable.

The child process starts when its port is opened, so that no byte is lost, and ends with the
context.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from mbn.core.elf import Contents
from mbn.core.errors import BoardError, LinkError, ToolError
from mbn.core.installing import advice
from mbn.core.process import Child
from mbn.core.target import QEMU, RP2040PY, Board
from mbn.core.uf2 import family_id, to_uf2
from mbn.harness.host.emulator import NO_ESCAPE, START_S, Monitor, monitor, qemu_command

_LISTENS = re.compile(
    r"(?:QEMU waiting for connection on: .*tcp:|^listening on )127\.0\.0\.1:(\d+)", re.MULTILINE
)
RP2040_PROGRAM = "mbn.harness.host.rp2040"


@contextmanager
def emulated(board: Board, elf: Path) -> Iterator[tuple[str, Child]]:
    """Starts the board's emulator; yields the port's URL and the child. Raises `BoardError` where
    it has none, `ToolError` where that is not installed or does not start."""
    if board.emulator is None:
        raise BoardError(
            f"there is no emulator for {board.name}", advice="Give --port", node=board.name
        )
    start = _STARTS[board.emulator.kind]
    with start(board, elf) as started:
        yield started


@contextmanager
def qemu(board: Board, elf: Path) -> Iterator[tuple[str, Child]]:
    """Starts QEMU; yields the port's URL and the child. The kernel chooses the TCP port. QEMU does
    not begin before we have connected to it."""
    _require(elf)
    line = "socket,id=line,host=127.0.0.1,port=0,server=on,wait=on,nodelay=on,mux=on"
    command = qemu_command(
        board, elf, "-chardev", line, "-serial", "chardev:line", "-echr", NO_ESCAPE
    )
    with Child(command) as child:
        yield f"socket://127.0.0.1:{_listening_port(child)}", child


@contextmanager
def rp2040(board: Board, elf: Path) -> Iterator[tuple[str, Child]]:
    """Starts rp2040py with the image as a UF2 file; yields the port's URL and the child."""
    _require(elf)
    if find_spec("rp2040py") is None:
        raise ToolError("rp2040py is not installed", advice=f"{advice('rp2040')}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.uf2"
        parts = Contents(elf).loaded()
        file.write_bytes(to_uf2(parts, family_id(board.flash.uf2_family or "rp2040")))
        with Child([sys.executable, "-m", RP2040_PROGRAM, "--uf2", str(file)]) as child:
            yield f"socket://127.0.0.1:{_listening_port(child)}", child


_STARTS: Mapping[str, Callable[[Board, Path], AbstractContextManager[tuple[str, Child]]]] = {
    QEMU: qemu,
    RP2040PY: rp2040,
}


def _listening_port(child: Child) -> int:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        found = _LISTENS.search(child.errors())
        if found:
            return int(found[1])
        if child.exit_status() is not None:
            break
        time.sleep(0.01)
    raise ToolError(
        f"the emulator did not start: {child.errors().strip() or 'no message'}",
        wanted="QEMU 7.2 or later, or rp2040py, listening for its serial line",
    )


ICOUNT_SHIFT = 5  # with `steady`: an instruction takes 2^5 ns of virtual time


@contextmanager
def qemu_pty(board: Board, elf: Path, *, steady: bool = True) -> Iterator[tuple[Started, Child]]:
    """Starts QEMU with its serial line on a pty; yields an object whose `begin` lets the core run.
    QEMU drops bytes while the pty is not open, so the core is held until then. `steady`: virtual
    time depends on instructions alone, so that times on the board's clock can be repeated."""
    _require(elf)
    time_options = ("-icount", f"shift={ICOUNT_SHIFT},sleep=on") if steady else ()
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "qmp"
        command = qemu_command(
            board,
            elf,
            *("-chardev", "pty,id=line,mux=on", "-serial", "chardev:line", "-echr", NO_ESCAPE),
            *("-qmp", f"unix:{control},server=on,wait=off", "-S", *time_options),
        )
        with Child(command) as child, monitor(control, child) as control_line:
            yield Started(control_line), child


class Started:
    """A QEMU that has not yet executed an instruction."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        devices = monitor.ask("query-chardev")
        names = [str(one["filename"]) for one in devices if one["label"] == "line-base"]
        names += [str(one["filename"]) for one in devices if one["label"] == "line"]
        self.port = next(n.removeprefix("pty:") for n in names if n.startswith("pty:"))

    def begin(self) -> None:
        """Lets the core run."""
        self._monitor.ask("cont")


class NativePty:
    """The host's executable on a pty, not yet started."""

    def __init__(self, elf: Path, stack: ExitStack) -> None:
        self._elf, self._stack = elf, stack
        self._master, slave = os.openpty()
        stack.callback(os.close, slave)
        stack.callback(self._close_master)
        tty.setraw(slave)
        self.port = os.ttyname(slave)

    def _close_master(self) -> None:
        if self._master >= 0:
            os.close(self._master)
        self._master = -1

    def begin(self) -> Child:
        """Starts it, on the master side; what it says before the port is open may be lost."""
        child = Child([str(self._elf.resolve())], stdin=self._master, stdout=self._master)
        self._close_master()  # its end is then the line's end
        return self._stack.enter_context(child)


@contextmanager
def native_pty(elf: Path) -> Iterator[NativePty]:
    """A pty for the host's executable, which ends with the context."""
    _require(elf)
    with ExitStack() as stack:
        yield NativePty(elf, stack)


@contextmanager
def native(elf: Path) -> Iterator[tuple[str, Child]]:
    """Starts the host's executable on the master side of a pty; yields the slave's path."""
    with native_pty(elf) as waiting:
        yield waiting.port, waiting.begin()


def _require(elf: Path) -> None:
    if not elf.is_file():
        raise LinkError("there is no such image", advice="Build it first", node=str(elf))
