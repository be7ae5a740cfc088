"""The section table of an ELF file.

What enters: a path to a little-endian ELF32 or ELF64 file. What leaves: its sections. Always
holds: only the table is read, as the System V ABI (gABI 4.1, chapter 4) lays it out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from mbn.errors import ToolError

_NOBITS = 8  # a section without bytes in the file
_WRITE = 1
_ALLOC = 2


@dataclass(frozen=True)
class Section:
    """A section; `address` is where it runs."""

    name: str
    kind: int
    flags: int
    address: int
    size_bytes: int

    @property
    def allocated(self) -> bool:
        return bool(self.flags & _ALLOC)

    @property
    def writable(self) -> bool:
        return bool(self.flags & _WRITE)

    @property
    def in_file(self) -> bool:
        return self.kind != _NOBITS


def sections(path: Path) -> tuple[Section, ...]:
    """All sections in file order. Raises `ToolError` for a file that is no little-endian ELF."""
    data = path.read_bytes()
    if data[:4] != b"\x7fELF" or data[5:6] != b"\x01":
        raise ToolError("is not a little-endian ELF file", node=str(path))
    wide = data[4] == 2
    (offset,) = struct.unpack_from("<Q" if wide else "<I", data, 40 if wide else 32)
    entry, count, names = struct.unpack_from("<HHH", data, 58 if wide else 46)
    header = "<IIQQQQ" if wide else "<IIIIII"
    rows = [struct.unpack_from(header, data, offset + k * entry) for k in range(count)]
    text_at = rows[names][4]

    def name(at: int) -> str:
        return data[text_at + at : data.index(b"\0", text_at + at)].decode("ascii", "replace")

    return tuple(
        Section(name(row[0]), kind=row[1], flags=row[2], address=row[3], size_bytes=row[5])
        for row in rows
    )
