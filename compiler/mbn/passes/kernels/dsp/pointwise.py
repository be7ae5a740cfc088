"""The pointwise: weight streams, and the bodies that read them.

There is one stream for each pair of output channels (runtime/kernels/dsp/pointwise.h).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import WeightedConstants, rounding_code
from mbn.core.schedule import Sharing
from mbn.passes.kernels import bodies
from mbn.passes.kernels.dsp.tile import SLOTS, pixels_of, row_pixels, up
from mbn.passes.kernels.stage_builder import StageBuilder

LEAST_PRODUCTS = 8192  # by single pixels of a map: fewer are not worth vector.h's two kilobytes
MOST_PLANE_BYTES = 2044  # an immediate offset in the straight bodies must reach two planes


def pointwise_stream(
    derived: WeightedConstants, wide: bool = False, order: NDArray[np.intp] | None = None
) -> NDArray[np.int32]:
    """ceil(N / 2) streams: biases, weights, multipliers and the other words that requantise. An odd
    last channel is paired with zeros. `wide`: weights are halfwords, so a pair of input channels
    takes two words. `order`: the input at each place of the tile, -1 for none. See
    runtime/kernels/dsp/pointwise.h."""
    count = len(derived.weights)
    weights = derived.weights.reshape(count, -1)
    pairs, couples = up(weights.shape[1], 2), up(count, 2)
    if order is not None:
        weights = np.where(order >= 0, weights[:, order], 0)
        pairs = len(order) // 2
    padded = np.zeros((2 * couples, 2 * pairs), np.int8)
    padded[:count, : weights.shape[1]] = weights
    grouped = padded.reshape(couples, 2, 2, pairs)  # couple, n, half, j
    if wide:
        halves = np.ascontiguousarray(grouped.transpose(0, 3, 1, 2)).astype("<i2")
        words = halves.reshape(couples, pairs * 4).view("<i4")
    else:
        quads = np.ascontiguousarray(grouped.transpose(0, 3, 2, 1)).reshape(couples, pairs * 4)
        words = quads.view("<i4")

    def table(values: NDArray[np.int32]) -> NDArray[np.int32]:
        full = np.zeros(2 * couples, np.int32)
        full[:count] = values
        return full.reshape(couples, 2)

    parts = [table(derived.bias), words, table(derived.doubled)]
    parts += [table(word) for word in derived.words]
    return np.concatenate(parts, axis=1).astype(np.int32)


def straight(b: StageBuilder, index: int) -> bool:
    """Whether one asm statement can compute all pairs of output channels of a layer: see
    couples.h."""
    derived = b.derived[index]
    saturates = (rounding_code(derived), derived.low, derived.high) == (0, -128, 127)
    deep = (
        pixels_of(b) == SLOTS or derived.weights[0].size > 2
    )  # the M7's body begins with two pairs
    return saturates and deep and b.out_plane_bytes() <= MOST_PLANE_BYTES


def widens(b: StageBuilder, index: int) -> bool:
    """Whether weights may be halfwords, which saves a cycle in 16 products. Only the straight
    bodies can read them."""
    rest = b.band_rows * b.out.width % pixels_of(b)
    alone = b.out.channels % 2 == 1 or rest in (1, 2)  # pixels or channels left for other bodies
    return pixels_of(b) == SLOTS and not alone and straight(b, index)


def shared(b: StageBuilder, pixels: int) -> bool:
    """Whether the shared body is called, instead of code made for this shape."""
    least = Sharing.POINTWISE if pixels == pixels_of(b) else Sharing.REST
    return b.variant.shared >= least


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
        self.wide = b.variant.wide and widens(b, index)
        self.stream = b.const(
            "pointwise",
            pointwise_stream(self.derived, self.wide, order),
            "pointwise streams, two channels each",
        )
        self.groups, self.pairs = int(tile.ty.shape[0]), int(tile.ty.shape[1])
        couples, words = (int(size) for size in self.stream.ty.shape)
        self.couples = couples
        self.reads = [tile[0 : self.groups, 0 : self.pairs, 0:SLOTS, 0:2]]
        self.reads.append(self.stream[0:couples, 0:words])
        self.writes = [out[0 : b.band_rows, 0 : b.out.channels, 0 : b.out.width]]

    def band(self) -> None:
        """All groups of the band."""
        b, width, rows = self.b, self.b.out.width, self.b.band_rows
        if row_pixels(b, width, rows) == width:
            self._run(0, rows * width)
            return
        with b.loop(rows, "y") as y:  # each row ends in a group of its own width
            self._run(y * up(width, pixels_of(self.b)), width)

    def _run(self, start: Any, count: int) -> None:
        """Groups from `start` on, of `count` pixels in all."""
        full, rest = divmod(count, pixels_of(self.b))
        if full:
            with self.b.loop(full, "g") as g:
                self.group(start + g, pixels_of(self.b))
        if rest:
            self.group(start + full, rest)

    def group(self, number: Any, pixels: int) -> None:
        """Computes group `number` of the band, which has `pixels` pixels."""
        count = self.b.out.channels
        worth = self.derived.weights.size * self.b.out.height >= LEAST_PRODUCTS
        if pixels == 1 and worth and pixels_of(self.b) == SLOTS and not shared(self.b, 1):
            self._alone(number)
            return
        alone = pixels_of(self.b) != SLOTS and not shared(self.b, pixels)  # the M7's take any
        first = count // 2 if straight(self.b, self.index) and (pixels >= 3 or alone) else 0
        if first:
            self._straight(number, pixels, first)
        for start, stop, channels in ((first, count // 2, 2), (count // 2, self.couples, 1)):
            if start < stop:
                with self.b.loop(stop - start, "n") as n:
                    self._couple(n + start, number, pixels, channels)

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
            if shared(b, pixels):
                if pixels == SLOTS:
                    b.call(bodies.DSP_ANY4, **arguments, jump=jump)
                else:
                    b.call(bodies.DSP_ANY3, **arguments)
            elif pixels_of(b) == 3:
                b.call(bodies.M7_COUPLES, **arguments, pixels=pixels)
            elif pixels == SLOTS:
                arguments |= {"wide": int(self.wide), "crosses": int(crosses), "jump": jump}
                b.call(bodies.DSP_COUPLES4, **arguments)
            else:
                b.call(bodies.DSP_COUPLES3, **arguments, wide=int(self.wide))

    def _alone(self, number: Any) -> None:
        """A group of one pixel: four channels at a time (vector.h)."""
        b = self.b
        with b.block("alone", self.reads, self.writes) as axis:
            at, group = self._bound(axis, number)
            row, x, _ = self._place(at)
            b.call(
                bodies.DSP_VECTOR,
                tile=b.address(self.tile, group, 0, 0, 0),
                stream=b.address(self.stream, 0, 0),
                out=b.address(self.out, row, 0, x),
                plane_bytes=b.out_plane_bytes(),
                pairs=self.pairs,
                step=SLOTS,
                channels=b.out.channels,
                words=int(self.stream.ty.shape[1]),
                raw=0,
                **bodies.ends(self.derived),
            )

    def _couple(self, n: Any, number: Any, pixels: int, channels: int) -> None:
        b, width = self.b, self.b.out.width
        with b.block(f"pointwise{pixels}x{channels}", self.reads, self.writes) as axis:
            couple = axis.spatial(self.couples, n)
            at, group = self._bound(axis, number)
            row, x, crosses = self._place(at)
            b.call(
                bodies.DSP_POINTWISE,
                tile=b.address(self.tile, group, 0, 0, 0),
                stream=b.address(self.stream, couple, 0),
                out=b.address(self.out, row, couple * 2, x),
                plane_bytes=b.out_plane_bytes(),
                pairs=self.pairs,
                pixels=pixels,
                channels=channels,
                split=width - x if crosses else pixels,
                jump=b.out_row_bytes() - width,
                **bodies.ends(self.derived),
            )
