"""Flashes through an STM32's ROM bootloader.

The board names `rom_id` and `sectors`. Only the sectors that the image needs are erased, and a
chip with another id is refused before that. The port is closed at the end, so that the image's own
line can be opened.
"""

from __future__ import annotations

from typing import Any

import serial  # type: ignore[import-untyped]

from mbn.core.errors import BoardError, FlashError
from mbn.core.target import Board
from mbn.harness.flash.interface import Deadline, Flasher, Part, Tick, differs
from mbn.harness.flash.payload import pages
from mbn.harness.flash.rom_uart import BLOCK_BYTES, RomUart
from mbn.harness.host.port import open_port

BAUD = 115200  # what every version detects reliably (AN3155, "Choosing the USARTx baud rate")
# Of the largest sector, 128 or 256 KB, at most (datasheets, "Flash memory programming"), in seconds
_SECTOR_LARGE_S, _SECTOR_SMALL_S, _LARGE_BYTES = 6.0, 1.0, 0x10000
# A block of 256 takes 26 ms on the line, and three answers through an adapter that waits 16 ms
_BYTES_PER_S = 2000.0
_MARGIN_S = 5.0
ANSWER_S = 1.0


class UartFlasher(Flasher):
    """The bootloader on a serial port. `answer_s`: time for an answer that needs no work."""

    name = "uart"

    def __init__(self, board: Board, port: str, *, answer_s: float | None = None) -> None:
        if board.flash.rom_id is None or not board.flash.sectors:
            raise BoardError(
                f"{board.name} can't be flashed by its ROM bootloader",
                wanted="rom_id and sectors in the [flash] table of its board.toml",
            )
        self._board = board
        self._url = port
        self._answer_s = ANSWER_S if answer_s is None else answer_s
        self._line: Any = None
        self._rom: RomUart | None = None
        self._base = board.memories_for("code")[0].origin
        self.port = port

    def describe(self) -> str:
        return f"the ROM bootloader on {self._url}"

    def limits(self, size_bytes: int) -> dict[str, float]:
        moved = _MARGIN_S + size_bytes / _BYTES_PER_S
        erased = sum(
            _SECTOR_LARGE_S if size >= _LARGE_BYTES else _SECTOR_SMALL_S
            for size in self._board.flash.sectors
        )
        return {
            "connect": 10 * self._answer_s + _MARGIN_S,
            "erase": _MARGIN_S + erased,
            "write": moved,
            "verify": moved,
            "reset": _MARGIN_S,
        }

    def connect(self, deadline: Deadline) -> None:
        if self._line is None:
            self._line = open_port(self._url, BAUD, parity=serial.PARITY_EVEN)
        rom = RomUart(self._line, answer_s=self._answer_s)
        rom.synchronise(deadline)
        rom.get()
        found = rom.chip_id()
        if found != self._board.flash.rom_id:
            raise FlashError(
                f"a part of id {found:#x} answers",
                wanted=f"{self._board.flash.rom_id:#x}, {self._board.name}'s",
                advice="Is this the right board, and the right port?",
                final=True,
            )
        self._rom = rom

    def erase(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        numbers = needed_sectors(parts, self._base, self._board.flash.sectors)
        for count, number in enumerate(numbers):
            deadline.check()
            self._bootloader().erase([number], deadline.left())
            tick(count + 1, len(numbers))

    def write(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        blocks = pages(parts, BLOCK_BYTES)
        for count, (address, data) in enumerate(blocks):
            deadline.check()
            self._bootloader().write(address, data)
            tick(count + 1, len(blocks))

    def verify(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        blocks = pages(parts, BLOCK_BYTES)
        for count, (address, data) in enumerate(blocks):
            deadline.check()
            error = differs(address, self._bootloader().read(address, len(data)), data)
            if error is not None:
                raise error
            tick(count + 1, len(blocks))

    def reset(self, deadline: Deadline) -> None:
        deadline.check()
        self._bootloader().go(self._base)
        self.close()

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = self._rom = None

    def _bootloader(self) -> RomUart:
        if self._rom is None:
            raise FlashError("the bootloader is not connected")
        return self._rom


def needed_sectors(parts: list[Part], base: int, sectors: tuple[int, ...]) -> list[int]:
    """The numbers of the sectors that the parts touch."""
    found = []
    at = base
    for number, size in enumerate(sectors):
        if any(address < at + size and at < address + len(data) for address, data in parts):
            found.append(number)
        at += size
    return found
