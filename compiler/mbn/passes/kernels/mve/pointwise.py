"""The pointwise: weight streams, and the calls that run through them.

Weights are one stream for each two output channels (runtime/kernels/mve/pointwise.h).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import WeightedConstants
from mbn.passes.kernels import bodies
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


@dataclass(frozen=True)
class _Group:
    """Up to four pixels of one call, with their places in the tile and in the row. If the group is
    split, its second half is the end of the band's next row."""

    pixel: Any  # in the tile
    row: int
    x: Any
    count: int
    split: bool = False


def pointwise_band(b: StageBuilder, index: int, tile: Any, out: Any) -> None:
    """All groups of a band: the outer loop is over pairs of output channels, the inner over
    groups."""
    stream = b.const(
        "pointwise", pointwise_stream(b.derived[index]), "pointwise streams, two channels each"
    )
    count, width = b.out.channels, b.out.width
    full, rest = divmod(width, PIXELS)
    buffers = (tile, stream, out)
    for couples, channels in ((count // 2, 2), (count % 2, 1)):
        if couples == 0:
            continue
        first = 0 if channels == 2 else count // 2
        with b.loop(couples, "n") as n:
            if b.band_rows == 2:  # first, since it overwrites bytes that the next groups compute
                ends = _Group(width - rest, 0, width - rest, PIXELS, split=True)
                _pointwise_call(b, index, buffers, (n, first, channels), ends)
            whole = b.band_rows == 1 and channels == 2 and full > 0
            if whole:
                _pointwise_row(b, index, buffers, n, full)
            for row in range(0 if whole else b.band_rows):
                with b.loop(full, "g") as g:
                    group = _Group(g * PIXELS + row * width, row, g * PIXELS, PIXELS)
                    _pointwise_call(b, index, buffers, (n, first, channels), group)
            if rest and b.band_rows == 1:
                last = _Group(full * PIXELS, 0, full * PIXELS, rest)
                _pointwise_call(b, index, buffers, (n, first, channels), last)


def _pointwise_row(
    b: StageBuilder, index: int, buffers: tuple[Any, Any, Any], n: Any, groups: int
) -> None:
    """All full groups of a row. The pixels left over follow in another call."""
    tile, stream, out = buffers
    total, depth = (int(size) for size in tile.ty.shape)
    streams, words = (int(size) for size in stream.ty.shape)
    reads = [tile[0:total, 0:depth], stream[0:streams, 0:words]]
    writes = [out[0, 0 : b.out.channels, 0 : b.out.width]]
    with b.block("pointwise_row", reads, writes) as axis:
        couple = axis.spatial(streams, n)
        b.call(
            bodies.MVE_POINTWISE_ROW,
            tile=b.address(tile, 0, 0),
            stream=b.address(stream, couple, 0),
            out=b.address(out, 0, couple * 2, 0),
            plane_bytes=b.out_plane_bytes(),
            depth=depth,
            groups=groups,
            **bodies.ends(b.derived[index]),
        )


def _pointwise_call(
    b: StageBuilder,
    index: int,
    buffers: tuple[Any, Any, Any],
    couples: tuple[Any, int, int],
    group: _Group,
) -> None:
    width = b.out.width
    tile, stream, out = buffers
    n, first, channels = couples
    total, depth = (int(size) for size in tile.ty.shape)
    streams, words = (int(size) for size in stream.ty.shape)
    reads = [tile[0:total, 0:depth], stream[0:streams, 0:words]]
    writes = [out[0 : b.band_rows, 0 : b.out.channels, 0:width]]
    name = f"pointwise{group.row}_{group.count}x{channels}{'_split' if group.split else ''}"
    with b.block(name, reads, writes) as axis:
        couple = axis.spatial(streams, n + first)
        fixed = isinstance(group.x, int)
        x = group.x if fixed else axis.spatial(width, group.x)
        pixel = group.pixel if fixed else x + group.row * width
        far = pixel + width if group.split else pixel + min(2, group.count - 1)
        other = (1, couple * 2, x - 2) if group.split else (group.row, couple * 2, x)
        b.call(
            bodies.MVE_POINTWISE,
            tile=b.address(tile, pixel, 0),
            far=b.address(tile, far, 0),
            stream=b.address(stream, couple, 0),
            out=b.address(out, group.row, couple * 2, x),
            other=b.address(out, *other),
            plane_bytes=b.out_plane_bytes(),
            depth=depth,
            pixels=group.count,
            channels=channels,
            split=int(group.split),
            **bodies.ends(b.derived[index]),
        )


def convolution_calls(
    b: StageBuilder, tile: Any, stream: Any, out: Any, group: Any, pixels: int, number: int
) -> None:
    count = b.out.channels
    depth = int(tile.ty.shape[1])
    couples, words = (int(size) for size in stream.ty.shape)
    reads = [tile[0:PIXELS, 0:depth], stream[0:couples, 0:words]]
    writes = [out[0:count, 0 : b.out.width]]
    for extent, channels in ((count // 2, 2), (count % 2, 1)):
        if extent == 0:
            continue
        first = 0 if channels == 2 else count // 2
        with b.loop(extent, "n") as n, b.block(f"dots{number}_{channels}", reads, writes) as axis:
            couple = axis.spatial(couples, n + first)
            at = axis.spatial(up(b.out.width, PIXELS) // PIXELS, group)
            b.call(
                bodies.MVE_POINTWISE,
                tile=b.address(tile, 0, 0),
                far=b.address(tile, 2, 0),
                stream=b.address(stream, couple, 0),
                out=b.address(out, couple * 2, at * PIXELS),
                other=b.address(out, couple * 2, at * PIXELS),
                plane_bytes=b.out_plane_bytes(),
                depth=depth,
                pixels=pixels,
                channels=channels,
                split=0,
                **bodies.ends(b.derived[0]),
            )
