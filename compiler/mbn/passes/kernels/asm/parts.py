"""What the register tiles of a pointwise work on: a band's parts, and their places.

The tile holds a word for each pair of input channels and pixel, [group of pixels][pair][pixel]. Two
output channels, a couple, share a stream of words (runtime/kernels/dsp/pointwise.h).
"""

from __future__ import annotations

from dataclasses import dataclass

from mbn.passes.kernels.asm.rounding import Rounding

MOST_OFFSET = 4095  # bytes, of a load or store
PARAMETERS = "const int16_t *tile, const int32_t *stream, int8_t *out"


@dataclass(frozen=True)
class Place:
    """Where a register tile's pixels lie: bytes from the tile's start, from the output's start to
    its first pixel, and to its third. A group may end in the next row."""

    tile: int
    out: int
    far: int


@dataclass(frozen=True)
class Part:
    """Couples first .. first + couples - 1 by every register tile of `pixels` pixels. at_once:
    couples of a register tile. channels: of a couple; 1 for the last one of an odd number."""

    pixels: int
    at_once: int
    first: int
    couples: int
    channels: int
    raw: bool
    places: tuple[Place, ...]

    @property
    def crosses(self) -> bool:
        return self.pixels > 2 and any(one.far != one.out + 2 for one in self.places)


@dataclass(frozen=True)
class Band:
    """What all parts share. stream_words: of one couple's stream. two_slots: for a core that issues
    two instructions a cycle."""

    pairs: int
    stream_words: int
    plane_bytes: int
    rounding: Rounding
    two_slots: bool


def sum_name(kind: str, couple: int, pixel: int) -> str:
    """Of the register that holds a sum. kind: lo or hi, the couple's first or second channel."""
    return f"{kind}{couple}_{pixel}"
