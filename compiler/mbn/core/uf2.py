"""UF2: a file of flash contents that is copied to a bootloader's USB drive.

Blocks are 512 bytes with 256 bytes of payload, in ascending order, each at a multiple of 256 (the
RP2040 takes no others). Every block has the family id. Gaps in a page are filled with 0. Format:
github.com/microsoft/uf2, README.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from mbn.core.errors import UsageError

# github.com/microsoft/uf2, utils/uf2families.json
FAMILIES = {
    "rp2040": 0xE48BFF56,
    "rp2350-arm-s": 0xE48BFF59,
    "nrf52840": 0xADA52840,
    "samd51": 0x55114460,
    "stm32f4": 0x57755A57,
    "stm32f7": 0x53B80F00,
    "stm32h7": 0x6DB66082,
    "stm32l4": 0x00FF6919,
}
PAGE_BYTES = 256
BLOCK_BYTES = 512
_HEADER = struct.Struct("<8I")
_MAGIC = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
_FAMILY_PRESENT = 0x00002000

Part = tuple[int, bytes]  # address, what lies there


def family_id(name: str) -> int:
    """The id of a family, from its name or from a number as text. Raises `UsageError`."""
    if name in FAMILIES:
        return FAMILIES[name]
    try:
        value = int(name, 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 32:
        raise UsageError(
            f"there is no UF2 family {name!r}",
            wanted="a 32-bit number, or one of " + ", ".join(FAMILIES),
        )
    return value


def to_uf2(parts: Sequence[Part], family: int) -> bytes:
    """A UF2 file of these parts, which may share a page but no byte. Raises `UsageError` if they
    overlap, if there are none, or if an address is beyond 32 bits."""
    pages: dict[int, bytearray] = {}
    end = 0
    for address, data in sorted(parts):
        if address < end or address + len(data) > 1 << 32:
            raise UsageError(f"bytes at {address:#x} overlap others, or lie beyond 32 bits")
        end = address + len(data)
        for at in range(len(data)):
            base = (address + at) & ~(PAGE_BYTES - 1)
            page = pages.setdefault(base, bytearray(PAGE_BYTES))
            page[address + at - base] = data[at]
    if not pages:
        raise UsageError("a UF2 file without bytes", wanted="at least one byte")
    blocks = []
    for number, (base, page) in enumerate(sorted(pages.items())):
        header = (*_MAGIC, _FAMILY_PRESENT, base, PAGE_BYTES, number, len(pages), family)
        payload = bytes(page).ljust(BLOCK_BYTES - _HEADER.size - 4, b"\0")
        blocks.append(_HEADER.pack(*header) + payload + struct.pack("<I", _MAGIC_END))
    return b"".join(blocks)


def from_uf2(data: bytes) -> tuple[int, list[Part]]:
    """Family id and parts of a UF2 file, adjacent pages joined. Raises `UsageError` for an invalid
    file: magic numbers, count or order of blocks, several families."""
    if not data or len(data) % BLOCK_BYTES:
        raise UsageError(f"{len(data)} bytes are not a UF2 file", wanted="blocks of 512 bytes")
    parts: list[Part] = []
    families = set()
    count = len(data) // BLOCK_BYTES
    for number in range(count):
        block = data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        first, second, flags, base, size, index, total, family = _HEADER.unpack_from(block)
        (end,) = struct.unpack_from("<I", block, BLOCK_BYTES - 4)
        whole = (first, second, end) == (*_MAGIC, _MAGIC_END) and size <= 476
        if not whole or (index, total) != (number, count) or not flags & _FAMILY_PRESENT:
            raise UsageError(f"block {number} is not a UF2 block, or out of order")
        families.add(family)
        payload = block[_HEADER.size : _HEADER.size + size]
        if parts and parts[-1][0] + len(parts[-1][1]) == base:
            parts[-1] = (parts[-1][0], parts[-1][1] + payload)
        else:
            parts.append((base, payload))
    if len(families) != 1:
        raise UsageError(f"blocks of {len(families)} families", wanted="one family in a file")
    return families.pop(), parts
