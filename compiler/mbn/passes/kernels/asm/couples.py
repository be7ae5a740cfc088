"""The pointwise of a band for cores that multiply two numbers at a time: two channels a multiply.

w0 and w1 are one tap's weights of two output channels, a couple. As one number W = w0 + 2^16 w1,
a product x W holds both channels' products. Sums of two taps still keep apart, if |w0| + |w0'| is
255 at most: with x and x' of int8, S = x W + x' W' + 2^31 + 2^15 has a low half that is never
negative and never overflows. So S >> 16 is the second channel's part (and 2^15), and
    B = the sum of S >> 16,   P = the sum of S, modulo 2^32
give the second channel's sum, and P - 2^16 B the first one's. Start values hold the biases and
what the 2^15 of each two taps add up to.

A couple's weights are unpacked once a band, to words in RAM, and serve all its pixels. Taps are
pairs k, k + 1; an odd number ends with a weight of zero.

The tile is bytes [group of pixels][tap][pixel]; a group has three pixels, or two or one.
The stream of a couple:
    for each two taps 128 + w0[k], 128 + w0[k + 1], 128 + w1[k], 128 + w1[k + 1] as bytes
    P and B at the start, 2m of both channels, and the other words of both (rounding.py).
The last channel of an odd number is a couple with a channel of zeros, which is overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbn.passes.kernels.asm.rounding import Rounding

PARAMETERS = "const int8_t *tile, const int32_t *stream, int32_t *unpacked, int8_t *out"
CENTRE = 0x00800080  # what the stored bytes are more than the weights
START = 0x80008000  # of S
MASK = 0x00FF00FF
TAIL_P, TAIL_B, TAIL_M = 0, 4, 8  # bytes behind a couple's weights


@dataclass(frozen=True)
class Place:
    """A group: bytes from the tile's start, and from the output's to its first pixel."""

    tile: int
    out: int


@dataclass(frozen=True)
class Band:
    """pairs: of taps. places: the groups by their number of pixels. channels: of the output."""

    pairs: int
    channels: int
    plane_bytes: int
    rounding: Rounding
    places: dict[int, tuple[Place, ...]]

    @property
    def couples(self) -> int:
        return (self.channels + 1) // 2

    @property
    def tail_bytes(self) -> int:
        return 4 * (2 + 2 * self.rounding.words)

    def table(self, size: int) -> list[int]:
        """The places of a size; -1 ends them."""
        return [word for one in self.places[size] for word in (one.tile, one.out)] + [-1]

    def unrolled(self, most: int) -> tuple[int, int, int]:
        """Pairs of a turn, turns, and the pairs behind them; `most` pairs a turn."""
        if self.pairs <= most:
            return self.pairs, 1, 0
        of = min(range(most, most // 2, -1), key=lambda one: self.pairs % one)
        return of, self.pairs // of, self.pairs % of


def sums(size: int) -> dict[str, tuple[str, str]]:
    """The registers of P and B of `size` pixels, by name, and what they hold. The M0+'s can only be
    added to, which is all that they need."""
    found = {f"whole{n}": (f"r{8 + n}", f"P of pixel {n}") for n in range(size)}
    registers = ("r11", "r12", "lr")
    return found | {f"upper{n}": (registers[n], f"B of pixel {n}") for n in range(size)}
