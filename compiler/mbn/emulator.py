"""QEMU's command line for a board.

What enters: a board and its image. What leaves: the words of the command, without a serial line.
Always holds: QEMU is there, and the board's own table says which machine stands for it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mbn.errors import BoardError, ToolError
from mbn.target import Board

QEMU = "qemu-system-arm"


def qemu_command(board: Board, elf: Path, *extra: str) -> list[str]:
    """QEMU's command line for an image. Raises `BoardError` for a board that no emulator stands
    for, `ToolError` where QEMU is not installed."""
    if board.emulator is None:
        raise BoardError(f"no emulator stands for {board.name}", advice="Give --port")
    if shutil.which(QEMU) is None:
        raise ToolError(
            f"the program {QEMU} is missing", advice="On Debian: apt-get install qemu-system-arm"
        )
    return [
        QEMU,
        *("-machine", board.emulator.machine, *board.emulator.arguments),
        *("-display", "none", "-monitor", "none", "-no-user-config"),
        *("-kernel", str(elf), *extra),
    ]
