"""The pointwise: weight streams, and which register tiles run through them.

Weights are one stream for each two output channels (runtime/kernels/mve/pointwise.h). See
asm/pointwise_mve.py for the register tiles. Here a band is divided among them by its shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import WeightedConstants, rounding_code
from mbn.core.lowered import Assembly
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm.pointwise_mve import (
    PARAMETERS,
    STRAIGHT,
    TURN,
    Band,
    Group,
    Part,
    written,
)
from mbn.passes.kernels.asm.rounding import Rounding
from mbn.passes.kernels.mve.tile import LANES, PIXELS, other_words, table, up
from mbn.passes.kernels.stage_builder import StageBuilder


def pointwise_stream(derived: WeightedConstants) -> NDArray[np.int32]:
    """ceil(N / 2) streams: weights, biases, multipliers and the other words that requantise. An odd
    last channel is paired with zeros. See runtime/kernels/mve/pointwise.h."""
    count = len(derived.weights)
    weights = derived.weights.reshape(count, -1)
    depth, couples = up(weights.shape[1], LANES), up(count, 2) // 2
    padded = np.zeros((2 * couples, depth), np.int8)
    padded[:count, : weights.shape[1]] = weights
    steps = padded.reshape(couples, 2, depth // LANES, LANES).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(steps).reshape(couples, -1).view("<i4")
    columns = (derived.bias, derived.multiplier, *other_words(derived))
    parts = [table(word, 2) for word in columns]
    return np.concatenate([words, *parts], axis=1).astype(np.int32)


def pointwise_band(b: StageBuilder, index: int, tile: Any, out: Any) -> None:
    """All pixels of a band."""
    stream = b.const(
        "pointwise", pointwise_stream(b.derived[index]), "pointwise streams, two channels each"
    )
    size = (b.band_rows, b.out.width)
    reads, writes = _touched(tile, stream), [out[0 : size[0], 0 : b.out.channels, 0 : size[1]]]
    with b.block("pointwise", reads, writes):
        _call(b, index, (tile, stream), b.address(out, 0, 0, 0), size)


def pointwise_group(
    b: StageBuilder, tile: Any, stream: Any, out: Any, group: Any, pixels: int, number: int
) -> None:
    """Group `group` of four pixels of a row; `pixels` of them are computed."""
    writes = [out[0 : b.out.channels, 0 : b.out.width]]
    with b.block(f"pointwise{number}", _touched(tile, stream), writes) as axis:
        at = axis.spatial(up(b.out.width, PIXELS) // PIXELS, group)
        _call(b, 0, (tile, stream), b.address(out, 0, at * PIXELS), (1, pixels))


def _touched(tile: Any, stream: Any) -> list[Any]:
    pixels, depth = (int(size) for size in tile.ty.shape)
    couples, words = (int(size) for size in stream.ty.shape)
    return [tile[0:pixels, 0:depth], stream[0:couples, 0:words]]


def _call(
    b: StageBuilder, index: int, buffers: tuple[Any, Any], out: Any, size: tuple[int, int]
) -> None:
    tile, stream = buffers
    made = _Written(b, b.derived[index], int(tile.ty.shape[1]), size)
    b.call_assembly(
        made.name,
        PARAMETERS,
        made.function,
        tile=b.address(tile, 0, 0),
        stream=b.address(stream, 0, 0),
        out=out,
    )


class _Written:
    """A pointwise of size (rows, width) pixels."""

    def __init__(
        self, b: StageBuilder, derived: WeightedConstants, depth: int, size: tuple[int, int]
    ) -> None:
        self.channels, self.depth, self.derived = b.out.channels, depth, derived
        self.plane, self.row_bytes = b.out_plane_bytes(), b.out_row_bytes()
        self.rows, self.width = size
        self.rounding = Rounding(rounding_code(derived), derived.low, derived.high)

    @property
    def name(self) -> str:
        """Says all that the text depends on."""
        words = [f"pointwise_{self.depth}x{self.channels}", f"{self.rows}x{self.width}"]
        words += [f"{self.plane}", f"{self.row_bytes}", self.rounding.name]
        return "_".join(words)

    def function(self) -> Assembly:
        """The function, whose twin is mbn_mve_band."""
        about = (
            f"Pointwise of {self.rows} x {self.width} pixels: {self.depth} inputs, "
            f"{self.channels} output channels."
        )
        ends = bodies.ends(self.derived)
        given = bodies.MVE_BAND.in_order(
            {
                "tile": "tile",
                "stream": "stream",
                "out": "out",
                "channels": self.channels,
                "rows": self.rows,
                "width": self.width,
                "row_bytes": self.row_bytes,
                "plane_bytes": self.plane,
                "depth": self.depth,
                **ends,
            }
        )
        twin = f"{bodies.MVE_BAND.name}({', '.join(map(str, given))});"
        band = Band(self.depth, self.plane, self.rounding)
        return written(self.name, about, band, list(self._parts()), twin)

    def _parts(self) -> Iterator[Part]:
        couples = self.channels // 2
        if couples:
            yield Part(0, couples, 2, *self._groups(STRAIGHT, TURN))
        if self.channels % 2:  # runs once: its bytes count for more
            yield Part(couples, 1, 1, *self._groups(1, 1))

    def _groups(
        self, straight: int, turn_of: int
    ) -> tuple[tuple[Group, ...], int, tuple[Group, ...]]:
        """The register tiles of a turn, how many turns, and those behind the last turn. straight:
        so many full ones of a row are one turn; of more, up to `turn_of` are."""
        rows, width = self.rows, self.width
        full, left = divmod(width, PIXELS)
        if rows == 2:  # each row's last two pixels: first, since more bytes are written
            far, last = self.row_bytes, width - left
            ends = Group((last, last + 1, last + width, last + width + 1), (last, far + last - 2))
            whole = [
                Group(tuple(range(y * width + x, y * width + x + PIXELS)), (y * far + x,))
                for y in range(rows)
                for x in range(0, last, PIXELS)
            ]
            return (ends, *whole), 1, ()
        most = full if full <= straight else turn_of
        size = max((n for n in range(1, most + 1) if full % n == 0), default=0)
        turn = tuple(_in_row(PIXELS * at, PIXELS) for at in range(size))
        turns = full // size if size else 1
        behind = PIXELS * size
        rest = (_in_row(behind, left),) if left else ()
        return (turn, turns, rest) if turn else (rest, 1, ())


def _in_row(x: int, pixels: int) -> Group:
    return Group(tuple(range(x, x + pixels)), (x,))
