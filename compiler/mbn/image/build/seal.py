"""Seals an image: fills in the CRC-32s that its firmware checks at each start.

The section .seal of the linked ELF file lists (address, size, 0) of all that may not change. The
zeros are replaced by CRCs; nothing else changes. An image that was not sealed refuses to infer.
After a build by hand, run `python -m mbn.image.build.seal IMAGE.elf`.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

from mbn.core.elf import Contents, sections

SECTION = ".seal"
_ROW = struct.Struct("<III")


def seal(elf: Path) -> None:
    """Fills the table in. Raises `ToolError` if it names bytes that are not in the file. A file
    without a table (the host's) is left as it is."""
    table = next((one for one in sections(elf) if one.name == SECTION), None)
    if table is None:
        return
    contents = Contents(elf)
    data = bytearray(elf.read_bytes())
    for at in range(table.offset, table.offset + table.size_bytes, _ROW.size):
        address, size, _ = _ROW.unpack_from(data, at)
        crc = zlib.crc32(contents.read(address, size)) if size else 0
        _ROW.pack_into(data, at, address, size, crc)
    elf.write_bytes(data)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        seal(Path(name))
