"""im2col of a colour image in assembly: 3 x 3 windows of some pixels of a row, into the tile.

Rows hold interleaved pixels of three bytes, so a window is nine bytes of three rows. Four pixels
are made of aligned words, 5 or 7 a row: with a pair's bytes in one word, SXTB16 extends both; where
they lie in two words, PKHBT joins the halves before. In a pair the byte further to the right is
low, because that form needs no other shift. See dsp/im2col.py for the places of the taps.

Cycles of a row of four pixels at stride 2, of 16 pairs: 49 to 51 on the M4, 26 on the M7.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

from mbn.core.lowered import Assembly
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm.function import Function

UNIT = 4  # pixels whose windows share words
CHANNELS, KERNEL = 3, 3
RUN = CHANNELS * KERNEL  # bytes of a kernel row
FIRSTS = (0, 1, 4, 5)  # bytes of a kernel row whose pair is the one two further
WHOLE = KERNEL * len(FIRSTS)  # pairs within a kernel row; the ninth bytes come behind them
PAIRS = WHOLE + 2
PARAMETERS = (
    "const int8_t *row0, const int8_t *row1, const int8_t *row2, int16_t *tile, int32_t edge"
)
_FREE = (*(f"r{n}" for n in range(4, 13)), "lr")
_BEFORE, _BEHIND = 1, 2  # bits of `edge`: columns left and right of the map


@dataclass(frozen=True)
class Windows:
    """count: pixels, a multiple of four. left, right: columns beside the map that the first and the
    last window have where `edge` says so. group: pixels of a group of the tile."""

    count: int
    stride: int
    left: int
    right: int
    group: int
    zero_point: int
    two_slots: bool

    @property
    def name(self) -> str:
        words = [f"windows_s{self.stride}_{self.count}", f"left{self.left}_right{self.right}"]
        return "_".join([*words, f"{self.group}", f"zero{self.zero_point + 128}"])

    def first_byte(self, pixel: int) -> int:
        """Of a window's row, from the pointer."""
        return (pixel * self.stride - self.left) * CHANNELS

    @property
    def inside(self) -> int:
        """Bytes of a row up to the map's end, where the last window reaches beyond it."""
        return self.first_byte(self.count - 1) + RUN - self.right * CHANNELS

    def place(self, pixel: int) -> int:
        """Bytes from the tile's start to a pixel's first pair."""
        return pixel // self.group * PAIRS * 16 + pixel % self.group * 4


def written(shape: Windows) -> Assembly:
    """The function, whose twin is mbn_dsp_windows."""
    given = {
        "count": shape.count,
        "stride": shape.stride,
        "left": shape.left,
        "right": shape.right,
        "group": shape.group,
        "zero_point": shape.zero_point,
    }
    names = {name: name for name in ("row0", "row1", "row2", "tile", "edge")}
    call = ", ".join(map(str, bodies.DSP_WINDOWS.in_order(names | given)))
    text = _Gather(shape).text()
    return Assembly(shape.name, PARAMETERS, text, f"{bodies.DSP_WINDOWS.name}({call});")


class _Gather:
    def __init__(self, shape: Windows) -> None:
        self.shape = shape
        about = f"3 x 3 windows of {shape.count} pixels, stride {shape.stride}, into the tile."
        self.f = Function(shape.name, about, ("row0", "row1", "row2", "tile"))

    def text(self) -> str:
        f, shape = self.f, self.shape
        words = (shape.first_byte(UNIT - 1) + RUN - 1) // 4 - shape.first_byte(0) // 4 + 1
        self.words = [f"w{n}" for n in range(words)]
        for name, register in zip([*self.words, "joined0", "joined1", "pair"], _FREE, strict=False):
            f.define(name, register)
        for start in range(0, shape.count, UNIT):
            for row in range(KERNEL):
                edges = dict(self._edges(start))
                self._load_edges(start, row, edges)
                with f.ordered() if shape.two_slots else nullcontext():
                    self._row(start, row, set(edges))
        return f.text()

    def _edges(self, start: int) -> Iterator[tuple[int, int]]:
        """Words of a unit that may lie beside the map, and the bit of `edge` that says so."""
        first = self.shape.first_byte(start) // 4
        if self.shape.left and start == 0:
            yield 0, _BEFORE
        if self.shape.right and start == self.shape.count - UNIT:
            yield self.shape.inside // 4 - first, _BEHIND

    def _load_edges(self, start: int, row: int, edges: dict[int, int]) -> None:
        f, byte = self.f, self.shape.zero_point & 0xFF
        for number, bit in edges.items():
            word = self.words[number]
            f.op("ldr", "pair", f.stack_argument(0))
            f.together(
                ("tst", "pair", f"#{bit}"),
                ("ite", "eq"),
                ("ldreq", word, self._address(start, row, number)),
                ("movne", word, f"#{byte * 0x01010101}"),
            )

    def _address(self, start: int, row: int, number: int) -> str:
        return f"[row{row}, #{4 * (self.shape.first_byte(start) // 4 + number)}]"

    def _row(self, start: int, row: int, loaded: set[int]) -> None:
        """A row of a unit's windows."""
        f, shape = self.f, self.shape
        f.loads(
            *(
                (word, self._address(start, row, number))
                for number, word in enumerate(self.words)
                if number not in loaded
            )
        )
        base = shape.first_byte(start) // 4 * 4
        behind = 16 * (WHOLE + row // 2) + 2 * (row % 2)  # the ninth byte's place
        back = 2 // shape.stride  # the pixel whose ninth byte is a window's third
        joined: list[int] = []
        for pixel in range(start, start + UNIT):
            at, to = shape.first_byte(pixel) - base, shape.place(pixel)
            for number, tap in enumerate(FIRSTS):
                self._pair(at + tap, joined)
                offset = to + 16 * (len(FIRSTS) * row + number)
                f.op("str", "pair", f"[tile, #{offset}]")
                if tap == 0 and pixel - back >= start:
                    f.op("strh", "pair", f"[tile, #{shape.place(pixel - back) + behind}]")
            if pixel + back >= start + UNIT:
                word, byte = divmod(at + RUN - 1, 4)
                turned = (f"ror #{8 * byte}",) if byte else ()
                f.op("sxtb", "pair", self.words[word], *turned)
                f.op("strh", "pair", f"[tile, #{to + behind}]")

    def _pair(self, at: int, joined: list[int]) -> None:
        """Bytes `at` + 2 and `at` of the words, extended. joined: the words at whose end the
        registers of joined halves are, the older first."""
        f, (word, byte) = self.f, divmod(at, 4)
        if byte < 2:
            f.op("sxtb16", "pair", self.words[word], f"ror #{16 + 8 * byte}")
            return
        own = f"joined{word % 2}"
        if word not in joined:
            joined[:] = [*joined[-1:], word]
            f.op("pkhbt", own, self.words[word + 1], self.words[word])
        f.op("sxtb16", "pair", own, *(("ror #8",) if byte == 3 else ()))
