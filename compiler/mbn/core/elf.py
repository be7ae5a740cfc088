"""Sections, symbols and bytes of a little-endian ELF32 or ELF64 file.

The layout is that of the System V ABI (gABI 4.1, chapters 4 and 5). Files are only read, never
written.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from mbn.core.errors import ToolError

_SYMTAB = 2
_PT_LOAD = 1
_NOBITS = 8  # a section without bytes in the file
_WRITE = 1
_ALLOC = 2
_FUNCTION = 2  # STT_FUNC


@dataclass(frozen=True)
class Section:
    """A section; `address` is where it runs, `offset` where its bytes lie in the file."""

    name: str
    kind: int
    flags: int
    address: int
    size_bytes: int
    offset: int
    link: int  # of a symbol table: the section of its names
    entry_bytes: int  # of a table

    @property
    def allocated(self) -> bool:
        return bool(self.flags & _ALLOC)

    @property
    def writable(self) -> bool:
        return bool(self.flags & _WRITE)

    @property
    def in_file(self) -> bool:
        return self.kind != _NOBITS


@dataclass(frozen=True)
class Symbol:
    """A name for an address. A Thumb function's address is without bit 0."""

    name: str
    address: int
    size_bytes: int
    is_function: bool


def sections(path: Path) -> tuple[Section, ...]:
    """All sections in file order. Raises `ToolError` if the file is not a little-endian ELF."""
    return _sections(_read(path))


def symbols(path: Path) -> tuple[Symbol, ...]:
    """All symbols with a name, in file order. Raises `ToolError` as `sections` does."""
    data = _read(path)
    table = _sections(data)
    found = []
    for section in table:
        if section.kind == _SYMTAB:
            names_at = table[section.link].offset
            for at in range(
                section.offset, section.offset + section.size_bytes, section.entry_bytes
            ):
                symbol = _symbol(data, at, names_at)
                if symbol.name:
                    found.append(symbol)
    return tuple(found)


class Contents:
    """The bytes of an ELF file by address."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = _read(path)
        self._parts = [part for part in _sections(self._data) if part.allocated and part.in_file]

    def file_offset(self, address: int, size_bytes: int) -> int:
        """Where those bytes lie in the file. Raises `ToolError` where it has none."""
        for part in self._parts:
            if part.address <= address and address + size_bytes <= part.address + part.size_bytes:
                return part.offset + address - part.address
        raise ToolError(f"holds nothing at {address:#x}", node=str(self._path))

    def read(self, address: int, size_bytes: int) -> bytes:
        """The bytes at an address. Raises `ToolError` where the file has none."""
        at = self.file_offset(address, size_bytes)
        return self._data[at : at + size_bytes]

    def loaded(self) -> list[tuple[int, bytes]]:
        """What is written into memory and where: the parts of the file's segments by load address,
        which is where start-up finds what it copies elsewhere."""
        wide = self._data[4] == 2
        (offset,) = struct.unpack_from("<Q" if wide else "<I", self._data, 32 if wide else 28)
        entry, count = struct.unpack_from("<HH", self._data, 54 if wide else 42)
        found = []
        for at in range(offset, offset + entry * count, entry):
            if wide:
                kind, _, start, _, address, size = struct.unpack_from("<IIQQQQ", self._data, at)
            else:
                kind, start, _, address, size = struct.unpack_from("<5I", self._data, at)
            if kind == _PT_LOAD and size:
                found.append((address, self._data[start : start + size]))
        return found


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ToolError(f"can't be read: {error.strerror}", node=str(path)) from error
    if data[:4] != b"\x7fELF" or data[5:6] != b"\x01":
        raise ToolError("is not a little-endian ELF file", node=str(path))
    return data


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("ascii", "replace")


def _sections(data: bytes) -> tuple[Section, ...]:
    wide = data[4] == 2
    (offset,) = struct.unpack_from("<Q" if wide else "<I", data, 40 if wide else 32)
    entry, count, names = struct.unpack_from("<HHH", data, 58 if wide else 46)
    header = "<IIQQQQIIQQ" if wide else "<IIIIIIIIII"
    rows = [struct.unpack_from(header, data, offset + k * entry) for k in range(count)]
    text_at = rows[names][4]
    return tuple(
        Section(
            _text(data, text_at + row[0]),
            kind=row[1],
            flags=row[2],
            address=row[3],
            offset=row[4],
            size_bytes=row[5],
            link=row[6],
            entry_bytes=row[9],
        )
        for row in rows
    )


def _symbol(data: bytes, at: int, names_at: int) -> Symbol:
    if data[4] == 2:
        name, info, _, _, value, size = struct.unpack_from("<IBBHQQ", data, at)
    else:
        name, value, size, info, _, _ = struct.unpack_from("<IIIBBH", data, at)
    function = info & 15 == _FUNCTION
    address = value & ~1 if function else value
    return Symbol(_text(data, names_at + name), address, size, function)
