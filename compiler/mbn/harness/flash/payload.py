"""Reads an Intel HEX file as parts, each within one memory of the board.

Checksums are verified. An image that does not fit is refused with a table, before anything is
erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mbn.core.errors import FlashError, PlanError
from mbn.core.target import Board
from mbn.harness.flash.interface import Part

_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START = range(6)


@dataclass(frozen=True)
class Payload:
    """Bytes by address, ascending; neighbours are joined."""

    parts: tuple[Part, ...]

    @property
    def size_bytes(self) -> int:
        return sum(len(data) for _, data in self.parts)


def read_payload(file: Path, board: Board) -> Payload:
    """Reads NAME.hex and checks it against the board's memories. Raises `FlashError` for a file
    that is not Intel HEX, and `PlanError` if it does not fit."""
    try:
        lines = file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise FlashError(
            f"can't be read: {error}", advice="Compile the network again", node=str(file)
        ) from error
    parts = joined(_records(lines, file))
    if not parts:
        raise FlashError("holds no bytes", node=str(file))
    _refuse_outside(parts, board)
    return Payload(parts)


def _records(lines: Sequence[str], file: Path) -> list[Part]:
    found: list[Part] = []
    base = 0
    for number, line in enumerate(lines, 1):
        try:
            record = bytes.fromhex(line.removeprefix(":"))
            size, offset, kind = record[0], int.from_bytes(record[1:3], "big"), record[3]
        except (ValueError, IndexError):
            record, size, offset, kind = b"\1", -1, 0, 0
        if not line.startswith(":") or len(record) != size + 5 or sum(record) & 255:
            raise FlashError(f"line {number} is not an Intel HEX record", node=str(file))
        data = record[4:-1]
        if kind == _DATA:
            found.append((base + offset, data))
        elif kind == _END:
            return found
        elif kind in (_SEGMENT, _LINEAR):
            base = int.from_bytes(data, "big") << (4 if kind == _SEGMENT else 16)
        elif kind not in (_START_SEGMENT, _START):
            raise FlashError(f"line {number} has a record of kind {kind}", node=str(file))
    raise FlashError("is incomplete: there is no end record", node=str(file))


def joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Ascending, with neighbours joined."""
    found: list[tuple[int, bytearray]] = []
    for address, data in sorted(parts):
        if found and found[-1][0] + len(found[-1][1]) == address:
            found[-1][1].extend(data)
        else:
            found.append((address, bytearray(data)))
    return tuple((address, bytes(data)) for address, data in found)


def pages(parts: Sequence[Part], page_bytes: int, fill: int = 0xFF) -> list[Part]:
    """Whole pages at multiples of their size, in order. Gaps are filled with `fill`."""
    found: dict[int, bytearray] = {}
    for address, data in parts:
        at = 0
        while at < len(data):
            base = (address + at) // page_bytes * page_bytes
            page = found.setdefault(base, bytearray([fill]) * page_bytes)
            begin = address + at - base
            piece = data[at : at + page_bytes - begin]
            page[begin : begin + len(piece)] = piece
            at += len(piece)
    return [(base, bytes(page)) for base, page in sorted(found.items())]


def _refuse_outside(parts: Sequence[Part], board: Board) -> None:
    """Every byte must lie in a memory that keeps code or weights."""
    keep = [m for m in board.memories if {"code", "weights"} & set(m.holds)]
    for address, data in parts:
        end = address + len(data)
        if any(m.origin <= address and end <= m.origin + m.size_bytes for m in keep):
            continue
        rows = [f"{'memory':<10} {'from':>10} {'to':>10}"]
        rows += [f"{m.name:<10} {m.origin:#010x} {m.origin + m.size_bytes:#010x}" for m in keep]
        raise PlanError(
            f"the image has bytes from {address:#010x} to {end:#010x}, and {board.name}:\n  "
            + "\n  ".join(rows),
            advice="It is too large, or was made for another board: compile it for this one",
        )
