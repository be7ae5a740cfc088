"""QEMU's command line for a board, and QEMU's monitor.

The board's own table names the machine. A missing QEMU is an error. Every wait has a limit.
"""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mbn.core.errors import BoardError, ToolError
from mbn.core.process import Child
from mbn.core.target import Board

QEMU = "qemu-system-arm"
START_S = 20.0
# The multiplexer is there for its buffer: without it QEMU reads the socket anew for every byte that
# the UART takes, at a fifth of the speed. Its escape character must be no byte at all.
NO_ESCAPE = "256"


def qemu_command(board: Board, elf: Path, *extra: str) -> list[str]:
    """QEMU's command line for an image. Raises `BoardError` if the board has no emulator, and
    `ToolError` if QEMU is not installed."""
    if board.emulator is None:
        raise BoardError(f"there is no emulator for {board.name}", advice="Give --port")
    require_qemu()
    return [
        QEMU,
        *("-machine", board.emulator.machine, *board.emulator.arguments),
        *("-display", "none", "-monitor", "none", "-no-user-config"),
        *("-kernel", str(elf), *extra),
    ]


def require_qemu() -> None:
    """Raises ToolError if it is not installed."""
    if shutil.which(QEMU) is None:
        raise ToolError(
            f"the program {QEMU} is missing", advice="On Debian: apt-get install qemu-system-arm"
        )


class Monitor:
    """QEMU's control socket (QMP)."""

    def __init__(self, stream: socket.socket) -> None:
        self._file = stream.makefile("rw", encoding="utf-8")
        self._file.readline()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer to a command. Raises `ToolError` if the command is refused or not answered."""
        asked: dict[str, Any] = {"execute": command}
        if arguments:
            asked["arguments"] = arguments
        line = ""
        try:
            self._file.write(json.dumps(asked) + "\n")
            self._file.flush()
            while line := self._file.readline():
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    break
        except (OSError, ValueError) as error:
            line = str(error)
        raise ToolError(f"QEMU refuses {command}: {line.strip() or 'it ended'}")


@contextmanager
def monitor(control: Path, child: Child) -> Iterator[Monitor]:
    """Connects to the monitor's socket, which QEMU makes as it starts."""
    end = time.monotonic() + START_S
    with socket.socket(socket.AF_UNIX) as stream:
        while True:
            try:
                stream.connect(str(control))
                break
            except OSError:
                if child.exit_status() is not None or time.monotonic() > end:
                    words = child.errors().strip() or "it said nothing"
                    raise ToolError(f"QEMU did not start: {words}") from None
                time.sleep(0.01)
        stream.settimeout(START_S)
        yield Monitor(stream)
