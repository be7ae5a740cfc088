"""The pointwise: weight streams, and the bodies that read them.

There is one stream for each pair of output channels (runtime/kernels/dsp/pointwise.h).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import WeightedConstants, rounding_code
from mbn.core.schedule import Sharing
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm.parts import PARAMETERS
from mbn.passes.kernels.asm.shared_pointwise import (
    SHARED_PARAMETERS,
    shared_name,
    shared_pointwise,
)
from mbn.passes.kernels.dsp.tile import SLOTS, pixels_of, row_pixels, up
from mbn.passes.kernels.dsp.written import Written
from mbn.passes.kernels.stage_builder import StageBuilder

LEAST_PRODUCTS = 8192  # by single pixels of a map: fewer are not worth vector.h's two kilobytes
MOST_PLANE_BYTES = 2044  # an offset in assembly must reach two planes
LEAST_PIXELS = 3  # of a group that a shared body computes, unless all is shared
LEAST_RAW = 5  # pairs of inputs: a subtraction an output costs more than it saves below
MOST_CHANGES = 2  # from raw couples to others, or back
RAW_LIMIT = 2**23  # a sum that is taken from a difference is below it


def raw_couples(derived: WeightedConstants) -> NDArray[np.bool_]:
    """Which pairs of output channels may have raw words (asm/pointwise.py): halfwords hold
    256 * w1 + w0, and the second channel's sum, 256 times as large, is exact in 32 bits."""
    count = len(derived.weights)
    flat = np.zeros((2 * up(count, 2), derived.weights[0].size), np.int64)
    flat[:count] = derived.weights.reshape(count, -1)
    first, second = flat[0::2], flat[1::2]
    bound = np.abs(second).sum(axis=1) * 128
    bound[: count // 2] += np.abs(derived.bias[1::2].astype(np.int64))
    fits = ((second >= -127) | (first >= 0)).all(axis=1)
    unshifted = rounding_code(derived) <= 0
    return np.asarray(fits & (bound < RAW_LIMIT) & unshifted, np.bool_)


def pointwise_stream(
    derived: WeightedConstants,
    order: NDArray[np.intp] | None = None,
    raw: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """ceil(N / 2) streams: biases, weights, multipliers and the other words that requantise. An odd
    last channel is paired with zeros. `order`: the input at each place of the tile, -1 for none.
    `raw`: the couples with raw words, whose biases are 256 * b1 + b0 and b0. See
    runtime/kernels/dsp/pointwise.h."""
    count = len(derived.weights)
    weights = derived.weights.reshape(count, -1)
    pairs, couples = up(weights.shape[1], 2), up(count, 2)
    if order is not None:
        weights = np.where(order >= 0, weights[:, order], 0)
        pairs = len(order) // 2
    padded = np.zeros((2 * couples, 2 * pairs), np.int8)
    padded[:count, : weights.shape[1]] = weights
    grouped = padded.reshape(couples, 2, 2, pairs).transpose(0, 3, 2, 1)  # couple, j, half, n

    def table(values: NDArray[np.int32]) -> NDArray[np.int32]:
        full = np.zeros(2 * couples, np.int32)
        full[:count] = values
        return full.reshape(couples, 2)

    words = np.ascontiguousarray(grouped).reshape(couples, pairs * 4).view("<i4")
    biases = table(derived.bias)
    if raw is not None:
        wide = grouped.astype(np.int32)
        halves = np.ascontiguousarray((256 * wide[..., 1] + wide[..., 0]).astype("<i2"))
        words = np.where(raw[:, None], halves.reshape(couples, pairs * 2).view("<i4"), words)
        both = biases.astype(np.int64) @ np.array([1, 256])
        both = (both & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
        raws = np.stack([both, biases[:, 0]], axis=1)
        biases = np.where(raw[:, None], raws, biases)
    parts = [biases, words, table(derived.doubled)]
    parts += [table(word) for word in derived.words]
    return np.concatenate(parts, axis=1).astype(np.int32)


def straight(b: StageBuilder, index: int) -> bool:
    """Whether the shared body can compute a layer."""
    derived = b.derived[index]
    saturates = (rounding_code(derived), derived.low, derived.high) == (0, -128, 127)
    return saturates and b.out_plane_bytes() <= MOST_PLANE_BYTES


def shared(b: StageBuilder, pixels: int) -> bool:
    """Whether the shared body is called, instead of code made for this shape."""
    least = Sharing.POINTWISE if pixels == pixels_of(b) else Sharing.REST
    return b.variant.shared >= least


def _shares_all(b: StageBuilder) -> bool:
    return b.variant.shared is Sharing.ALL and pixels_of(b) == SLOTS


class Pointwise:
    """A layer's pointwise: its stream, and calls for groups of pixels.

    tile: int16 [group][pair][pixel][half]. out: the band's rows, [row][channel][pixel]. order: the
    input at each place of the tile, low halves first, -1 for none; by default places are in the
    order of the inputs.
    """

    def __init__(
        self,
        b: StageBuilder,
        index: int,
        tile: Any,
        out: Any,
        order: NDArray[np.intp] | None = None,
    ) -> None:
        self.b, self.tile, self.out = b, tile, out
        self.derived, self.index = b.derived[index], index
        self.raw = raw_couples(self.derived)
        self.groups, self.pairs = int(tile.ty.shape[0]), int(tile.ty.shape[1])
        # not on the M7, nor for short sums of their own, nor for a shared body of mixed streams,
        # nor where the forms alternate: each run of couples of one form has code of its own
        mixed = self._fixed(SLOTS) and not self.raw.all()
        changes = int(np.count_nonzero(self.raw[1:] != self.raw[:-1]))
        short = self.pairs < LEAST_RAW and not self._fixed(SLOTS)
        if pixels_of(b) != SLOTS or short or mixed or changes > MOST_CHANGES:
            self.raw = np.zeros_like(self.raw)
        self.stream = b.const(
            "pointwise",
            pointwise_stream(self.derived, order, self.raw),
            "pointwise streams, two channels each",
        )
        couples, words = (int(size) for size in self.stream.ty.shape)
        self.couples = couples
        self.reads = [tile[0 : self.groups, 0 : self.pairs, 0:SLOTS, 0:2]]
        self.reads.append(self.stream[0:couples, 0:words])
        self.writes = [out[0 : b.band_rows, 0 : b.out.channels, 0 : b.out.width]]

    def band(self) -> None:
        """All groups of the band."""
        b, width, rows = self.b, self.b.out.width, self.b.band_rows
        couples = b.out.channels // 2
        if not self._fixed(pixels_of(b)):
            self._written(0, rows, width)
            return
        if row_pixels(b, width, rows) == width:
            self._run(0, rows * width)
        else:
            with b.loop(rows, "y") as y:  # each row ends in a group of its own width
                self._run(y * up(width, pixels_of(b)), width)
        if b.out.channels % 2:
            self._written(0, rows, width, couples)

    def _run(self, start: Any, count: int) -> None:
        """Groups from `start` on, of `count` pixels in all, by couples."""
        full, rest = divmod(count, pixels_of(self.b))
        if full:
            with self.b.loop(full, "g") as g:
                self._couples(start + g, pixels_of(self.b))
        if rest:
            self._couples(start + full, rest)

    def group(self, number: Any, pixels: int) -> None:
        """Computes group `number` of the band, of one row, which has `pixels` pixels."""
        if not self._fixed(pixels):
            self._written(number, 1, pixels)
            return
        self._couples(number, pixels)
        if self.b.out.channels % 2:
            self._written(number, 1, pixels, self.b.out.channels // 2)

    def chunk(self, number: Any, size: int, pixels: int) -> None:
        """Computes `pixels` pixels of a row, which are all that the tile holds, from pixel
        `number` * `size` on."""
        self._written(number * (size // pixels_of(self.b)), 1, pixels, alone=True)

    def _couples(self, number: Any, pixels: int) -> None:
        """A group by all pairs of channels."""
        couples = self.b.out.channels // 2
        if self._fixed(pixels):
            self._straight(number, pixels, couples)
        else:
            self._written(number, 1, pixels, stop=couples)

    def _fixed(self, pixels: int) -> bool:
        """Whether couples of channels are computed by the body that stages share."""
        b = self.b
        if b.out.channels < 2 or not straight(b, self.index):
            return False
        return shared(b, pixels) and (pixels >= LEAST_PIXELS or _shares_all(b))

    def _written(
        self,
        number: Any,
        rows: int,
        width: int,
        start: int = 0,
        stop: int | None = None,
        *,
        alone: bool = False,
    ) -> None:
        """A function for this shape: the whole band, or groups of one row, by couples
        start .. stop - 1 of output channels. alone: the tile holds nothing else."""
        b = self.b
        with b.block("pointwise", self.reads, self.writes) as axis:
            at, group = self._bound(axis, number)
            group = 0 if alone else group
            row, x, _ = self._place(at)
            couples = (start, self.couples if stop is None else stop)
            made = Written(b, self.derived, self.raw, self.pairs, (rows, width), couples)
            tile, out = b.address(self.tile, group, 0, 0, 0), b.address(self.out, row, 0, x)
            if b.out_plane_bytes() <= MOST_PLANE_BYTES:
                stream = b.address(self.stream, 0, 0)
                b.call_assembly(
                    made.name, PARAMETERS, made.function, tile=tile, stream=stream, out=out
                )
                return
            for run in made.runs:
                b.call(
                    bodies.DSP_BAND,
                    tile=tile,
                    stream=b.address(self.stream, run.first, 0),
                    out=b.address(self.out, row, 2 * run.first, x),
                    **made.arguments(run),
                )

    def _place(self, number: Any) -> tuple[Any, Any, bool]:
        """Row and column of a group's first pixel, and whether it may end in the next row."""
        b, rows, width = self.b, self.b.band_rows, self.b.out.width
        group = pixels_of(b)
        if rows == 1:
            return 0, number * group, False
        pixel, of_row = number * group, row_pixels(b, width, rows)
        return pixel // of_row, pixel % of_row, of_row == width and width % group != 0

    def _bound(self, axis: Any, number: Any) -> tuple[Any, Any]:
        """A group's number as an axis of the block, and its place in the tile."""
        rows = self.b.band_rows
        extent = up(rows * row_pixels(self.b, self.b.out.width, rows), pixels_of(self.b))
        at = number if isinstance(number, int) else axis.spatial(extent, number)
        return at, at if self.groups > 1 else 0

    def _straight(self, number: Any, pixels: int, couples: int) -> None:
        b, width = self.b, self.b.out.width
        with b.block(f"couples{pixels}", self.reads, self.writes) as axis:
            at, group = self._bound(axis, number)
            row, x, crosses = self._place(at)
            jump: Any = 0
            if crosses and pixels == SLOTS:
                ends_in_next = b.script.cast(x + SLOTS > width, "int32")
                jump = ends_in_next * (b.out_row_bytes() - width)
            arguments = {
                "tile": b.address(self.tile, group, 0, 0, 0),
                "stream": b.address(self.stream, 0, 0),
                "out": b.address(self.out, row, 0, x),
                "pairs": self.pairs,
                "couples": couples,
                "plane_bytes": b.out_plane_bytes(),
            }
            raw = bool(self.raw[:couples].all())
            b.call_assembly(
                shared_name(pixels, raw=raw),
                SHARED_PARAMETERS,
                partial(shared_pointwise, pixels, raw=raw),
                **arguments,
                jump=jump,
            )
