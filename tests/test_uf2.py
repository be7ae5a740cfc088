"""UF2 files: pages, gaps, order, families, and files that are none.

What enters: bytes at addresses. What leaves: nothing but failures. Always holds: what went in comes
out at the same addresses.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbn.core.errors import UsageError
from mbn.core.uf2 import BLOCK_BYTES, FAMILIES, PAGE_BYTES, family_id, from_uf2, to_uf2


def test_first_block_is_as_the_format_says() -> None:
    data = to_uf2([(0x10000000, b"\x01\x02"), (0x10000100, b"\x03" * 256)], FAMILIES["rp2040"])
    assert len(data) == 2 * BLOCK_BYTES
    assert data[:4] == b"UF2\n"
    words = struct.unpack_from("<8I", data)
    assert words[2:] == (0x2000, 0x10000000, 256, 0, 2, 0xE48BFF56)
    assert data[32:35] == b"\x01\x02\x00"
    assert data[508:512] == bytes.fromhex("306fb10a")


@given(st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=700)), min_size=1))
def test_what_goes_in_comes_out(drawn: list[tuple[int, bytes]]) -> None:
    parts, at = [], 0x08000000
    for gap, data in drawn:
        parts.append((at + gap * 37, data))
        at += gap * 37 + len(data)
    family, found = from_uf2(to_uf2(parts, 7))
    assert family == 7
    assert all(address % PAGE_BYTES == 0 for address, _ in found)
    for address, data in parts:
        base, page = next(p for p in found if p[0] <= address < p[0] + len(p[1]))
        assert page[address - base : address - base + len(data)] == data


def test_bad_parts_and_families_are_refused() -> None:
    with pytest.raises(UsageError, match="overlap"):
        to_uf2([(0, b"123"), (2, b"4")], 1)
    with pytest.raises(UsageError, match="without bytes"):
        to_uf2([], 1)
    assert family_id("0x1234") == 0x1234
    with pytest.raises(UsageError, match="rp2040"):
        family_id("z80")


def test_damaged_files_are_refused() -> None:
    good = to_uf2([(0, bytes(600))], 1)
    for bad in (b"", good[:-1], b"x" + good[1:], good[512:], good[512:1024] * 3):
        with pytest.raises(UsageError):
            from_uf2(bad)
    other = to_uf2([(0, bytes(600))], 2)
    with pytest.raises(UsageError, match="families"):
        from_uf2(good[:512] + other[512:])
