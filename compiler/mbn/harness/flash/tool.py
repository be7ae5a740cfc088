"""Flashes through the program that a board's maker or its boot loader's has for it.

What enters: a board whose boot loader speaks to `teensy_loader_cli`, `dfu-util` or `bossac`, and
its image. What leaves: the program's verdict. Always holds: no protocol of these is spoken here;
what is written is the image's own file; the program is ended at the step's limit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mbn.core.errors import FlashError, UsageError
from mbn.core.process import Child
from mbn.core.target import Board
from mbn.harness.flash.find import Port, ports
from mbn.harness.flash.interface import Deadline, Flasher, Part, Tick
from mbn.harness.host import labgrid

_MARGIN_S = 10.0
_WAIT_S = 60.0  # for a person to press the button
_BYTES_PER_S = 20_000.0  # the slowest of them, erasing included


@dataclass(frozen=True)
class Tool:
    """A program: how it is called for a board's image, where it comes from, and how the board's
    boot loader is entered. `environment`: None for this process's."""

    program: str
    command: Callable[[Board, Path], list[str]]
    package: str
    button: str
    environment: Mapping[str, str] | None = None


def _teensy(board: Board, file: Path) -> list[str]:
    return [f"--mcu={board.flash.target}", "-w", "-v", str(file.with_suffix(".hex"))]


def _dfu(board: Board, file: Path) -> list[str]:
    at = board.memories_for("code")[0].origin
    device = ",".join(board.flash.boot_usb)
    binary = str(file.with_suffix(".bin"))
    return ["-d", device, "-a", "0", "-s", f"{at:#010x}:leave", "-D", binary]


def _bossac(board: Board, file: Path) -> list[str]:
    """Its offsets count from where the boot loader lets an image begin. -U: the port is USB's."""
    port = f"--port={Path(_boot_port(board).device).name}"
    return [port, "-U", "-i", "-e", "-w", str(file.with_suffix(".bin")), "-R"]


TOOLS: Mapping[str, Tool] = {
    "teensy": Tool(
        "teensy_loader_cli",
        _teensy,
        "On Debian: apt-get install teensy-loader-cli",
        "press the board's program button",
    ),
    "dfu": Tool(
        "dfu-util",
        _dfu,
        "On Debian: apt-get install dfu-util",
        "press its reset button twice",
    ),
    "bossac": Tool(
        "bossac",
        _bossac,
        "On Debian: apt-get install bossa-cli, or the one that came with the board's Arduino core",
        "press its reset button twice",
    ),
}


def _bootstrap(place: str) -> Callable[[Board, Path], list[str]]:
    """By the OpenOCDDriver of the user's own LG_ENV."""
    return lambda _, file: ["-p", place, "bootstrap", str(file)]


def _write_files(place: str) -> Callable[[Board, Path], list[str]]:
    return lambda _, file: ["-p", place, "write-files", str(file)]


_COMMANDS = {"swd": _bootstrap, "copy": _write_files}
LABGRID_METHODS = (
    "uart",
    *_COMMANDS,
)  # uart: the board's boot loader, through the place's serial port


def labgrid_tool(place: str, method: str) -> Tool:
    """labgrid's program as one that flashes. Raises UsageError for a method that it hasn't."""
    if method not in _COMMANDS:
        raise UsageError(
            f"labgrid does not flash by {method}", wanted=f"of {', '.join(LABGRID_METHODS)}"
        )
    button = "see that the place exports what flashes it, and that LG_ENV names its driver"
    return Tool(
        labgrid.PROGRAM, _COMMANDS[method](place), labgrid.INSTALL, button, labgrid.environment()
    )


def _boot_port(board: Board) -> Port:
    """The boot loader's serial port. Raises `FlashError` where there are none or several."""
    found = [port for port in ports() if port.usb in board.flash.boot_usb]
    if len(found) == 1:
        return found[0]
    raise FlashError(
        f"{len(found)} boot loaders of {board.name} are plugged in",
        wanted=f"one with the USB id {' or '.join(board.flash.boot_usb)}",
        advice=f"To start it {TOOLS['bossac'].button}",
    )


class ToolFlasher(Flasher):
    """Calls the program."""

    reads_back = False

    def __init__(self, board: Board, method: str, file: Path, tool: Tool | None = None) -> None:
        self.name = method
        self._tool, self._board, self._file = tool or TOOLS[method], board, file

    def describe(self) -> str:
        return f"the program {self._tool.program}"

    def limits(self, size_bytes: int) -> dict[str, float]:
        once = dict.fromkeys(("connect", "erase", "verify", "reset"), _MARGIN_S)
        return {**once, "write": _WAIT_S + size_bytes / _BYTES_PER_S}

    def connect(self, deadline: Deadline) -> None:
        if shutil.which(self._tool.program) is None:
            raise FlashError(
                f"the program {self._tool.program} is missing",
                advice=self._tool.package,
                final=True,
            )

    def erase(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        """The program erases what it writes."""

    def write(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        command = [self._tool.program, *self._tool.command(self._board, self._file)]
        if not Path(command[-1] if command[-1] != "-R" else command[-2]).is_file():
            raise FlashError("there is no such file", node=str(self._file), final=True)
        with Child(command, environment=self._tool.environment) as child:
            status = child.wait(deadline.left())
            words = " ".join(child.errors().split())
        if status is None:
            raise deadline.passed(f"{self._tool.program}; to start it {self._tool.button}")
        if status != 0:
            raise FlashError(
                f"{self._tool.program} ended with status {status}: {words or 'it said nothing'}",
                advice=f"To start the boot loader {self._tool.button}",
            )
        tick(1, 1)

    def verify(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        """The program's own; the running image's identity is the proof."""

    def reset(self, deadline: Deadline) -> None:
        """The program starts the image."""
