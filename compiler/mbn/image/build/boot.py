"""Completes an image for its chip's boot ROM, after linking.

That is the checksum of the RP2040's second stage. An image without this block is not changed.
"""

from __future__ import annotations

from pathlib import Path

from mbn.core.elf import Contents, symbols

BOOT2 = "mbn_boot2"  # boards/family_rp2/boot2.c
BOOT2_BYTES = 256
_CRC_BYTES = 4
_POLYNOMIAL = 0x04C11DB7


def crc32_boot2(data: bytes) -> int:
    """The boot ROM's CRC-32: most significant bit first, start of all ones, not inverted
    (RP2040 datasheet, "Checksum")."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = ((crc << 1) ^ (_POLYNOMIAL if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


def finish(elf: Path) -> None:
    """Writes the second stage's CRC-32 into the file, if it has a second stage."""
    found = [symbol for symbol in symbols(elf) if symbol.name == BOOT2]
    if not found:
        return
    contents = Contents(elf)
    block = contents.read(found[0].address, BOOT2_BYTES)
    at = contents.file_offset(found[0].address, BOOT2_BYTES) + BOOT2_BYTES - _CRC_BYTES
    crc = crc32_boot2(block[:-_CRC_BYTES]).to_bytes(_CRC_BYTES, "little")
    with elf.open("r+b") as file:
        file.seek(at)
        file.write(crc)
