"""The pointwise as assembly: which register tiles compute which pixels and output channels.

See asm/pointwise.py for the register tiles. Here a band is divided among them by its shape.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import WeightedConstants, rounding_code
from mbn.core.lowered import Assembly
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm.band import written
from mbn.passes.kernels.asm.parts import MOST_OFFSET, Band, Part, Place
from mbn.passes.kernels.asm.pointwise import RUN, cycles
from mbn.passes.kernels.asm.rounding import Rounding
from mbn.passes.kernels.dsp.tile import SLOTS, pixels_of, row_pixels
from mbn.passes.kernels.stage_builder import StageBuilder

Pixels = tuple[Place, ...]


@dataclass(frozen=True)
class Run:
    """Couples of output channels with the same words. channels: of each, 1 for the last of an odd
    number."""

    first: int
    count: int
    channels: int
    raw: bool


class Written:
    """A pointwise of size (rows, width) pixels of a band, by couples start .. stop - 1 of output
    channels. raw: the couples with raw words."""

    def __init__(
        self,
        b: StageBuilder,
        derived: WeightedConstants,
        raw: NDArray[np.bool_],
        pairs: int,
        size: tuple[int, int],
        couples: tuple[int, int],
    ) -> None:
        self.b, self.derived, self.raw, self.pairs = b, derived, raw, pairs
        self.rows, self.width = size
        self.couples, self.channels = couples, b.out.channels
        self.code = rounding_code(self.derived)
        self.runs = list(_runs(couples, self.channels, raw))

    def arguments(self, run: Run) -> dict[str, int]:
        """What mbn_dsp_band takes besides addresses."""
        return {
            "couples": run.count,
            "channels": run.channels,
            "rows": self.rows,
            "width": self.width,
            "row_pixels": row_pixels(self.b, self.width, self.rows),
            "row_bytes": self.b.out_row_bytes(),
            "plane_bytes": self.b.out_plane_bytes(),
            "pairs": self.pairs,
            "raw": int(run.raw),
            **bodies.ends(self.derived),
        }

    def function(self) -> Assembly:
        """The assembly function, whose twin is mbn_dsp_band."""
        derived, plane = self.derived, self.b.out_plane_bytes()
        rounding = Rounding(self.code, derived.low, derived.high)
        band = Band(
            self.pairs,
            2 + self.pairs + 2 * rounding.words,
            plane,
            rounding,
            two_slots=pixels_of(self.b) != SLOTS,
        )
        places = _places(self.b, self.pairs, self.rows, self.width)
        parts = [part for run in self.runs for part in _parts(band, run, places)]
        twin = []
        for run in self.runs:
            where = {
                "tile": "tile",
                "stream": f"stream + {run.first * band.stream_words}",
                "out": f"out + {2 * run.first * plane}",
            }
            given = bodies.DSP_BAND.in_order(where | self.arguments(run))
            twin.append(f"{bodies.DSP_BAND.name}({', '.join(map(str, given))});")
        about = (
            f"Pointwise of {self.rows} x {self.width} pixels: {2 * self.pairs} inputs, "
            f"{self.channels} output channels."
        )
        return written(self.name, about, band, parts, "\n    ".join(twin))

    @property
    def name(self) -> str:
        """Says all that the text depends on."""
        b, derived = self.b, self.derived
        words = [f"pointwise_{2 * self.pairs}x{self.channels}", f"{self.rows}x{self.width}"]
        words += [f"{b.out_plane_bytes()}", f"{b.out_row_bytes()}"]
        words.append(Rounding(self.code, derived.low, derived.high).name)
        if self.couples != (0, len(self.raw)):
            words.append("couples{}to{}".format(*self.couples))
        if not self.raw.any():
            words.append("unpacked")
        elif not self.raw.all():
            words.append(f"{zlib.crc32(self.raw.tobytes()):08x}")
        return "_".join(words)


def _runs(couples: tuple[int, int], channels: int, raw: NDArray[np.bool_]) -> Iterator[Run]:
    def form(couple: int) -> tuple[int, bool]:
        return min(2, channels - 2 * couple), bool(raw[couple])

    for (each, is_raw), run in groupby(range(*couples), form):
        found = list(run)
        yield Run(found[0], len(found), each, is_raw)


def _places(b: StageBuilder, pairs: int, rows: int, width: int) -> dict[int, Pixels]:
    """Groups of the tile by their number of pixels (4 to 1); of -2, pairs of pixels, and of -1, the
    pixels that pairs leave over."""
    of_row, row_bytes = row_pixels(b, width, rows), b.out_row_bytes()
    at = sorted(
        (y * of_row + x, y * row_bytes + x) for y in range(rows) for x in range(width)
    )  # place in the tile, bytes in the output
    found: dict[int, list[Place]] = {}
    size = pixels_of(b)
    for step, sign in ((size, 1), (2, -1)) if size == SLOTS else ((size, 1),):
        groups: dict[int, list[tuple[int, int]]] = {}
        for one in at:
            groups.setdefault(one[0] // step, []).append(one)
        for pixels in groups.values():
            slot, out = pixels[0]
            far = pixels[2][1] if len(pixels) > 2 else out + 2
            place = Place(16 * pairs * (slot // size) + 4 * (slot % size), out, far)
            found.setdefault(sign * len(pixels), []).append(place)
    return {size: tuple(places) for size, places in found.items()}


def _parts(band: Band, run: Run, places: dict[int, Pixels]) -> Iterator[Part]:
    """The register tiles of a run of couples."""
    four = run.raw and run.channels == 2 and _quads_serve(band, places)
    quads = run.count // 2 * 2 if four else 0
    for size in (-2, -1) if quads else ():
        if size in places:
            yield Part(-size, 2, run.first, quads, 2, run.raw, places[size])
    first, left = run.first + quads, run.count - quads
    for size in range(SLOTS, 0, -1) if left else ():
        if size in places:
            yield Part(size, 1, first, left, run.channels, run.raw, places[size])


def _quads_serve(band: Band, places: dict[int, Pixels]) -> bool:
    """Whether four channels at once are possible, and quicker than two."""
    reach = 4 * (2 * band.stream_words + min(band.pairs, RUN))
    if -2 not in places and -1 not in places:
        return False
    if 3 * band.plane_bytes + 1 > MOST_OFFSET or reach > MOST_OFFSET:
        return False

    def cost(sizes: tuple[int, ...], at_once: int) -> float:
        return sum(
            len(places.get(size, ())) * cycles(abs(size), at_once, band.pairs, raw=True)
            for size in sizes
        )

    return cost((-2, -1), 2) < 2 * cost((4, 3, 2, 1), 1)
