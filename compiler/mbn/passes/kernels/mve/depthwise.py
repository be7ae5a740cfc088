"""The depthwise of a block, four channels a call, into the pointwise's tile.

It serves kernels up to 4x4 without a channel multiplier (runtime/kernels/mve/depthwise.h).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import SingleConstants, WeightedConstants
from mbn.passes.kernels import bodies
from mbn.passes.kernels.bodies import numbered
from mbn.passes.kernels.mve.tile import LANES, other_words, table, up
from mbn.passes.kernels.stage_builder import StageBuilder

GROUP = 4  # channels of one call
WINDOW = 4  # rows and columns of a patch
COLUMNS_MAX = 127  # of a channel in the patch buffer: VLDRW's offset reaches 508 bytes


@dataclass(frozen=True)
class Patch:
    """One channel's part of the patch buffer. A column has four bytes, one for each row."""

    rows: int  # that one output line needs
    columns: int
    left: int  # columns of zero points before the row
    right: int  # and after it, as far as windows reach


def patch_of(b: StageBuilder) -> Patch | None:
    """How the buffer is filled; None if the fast depthwise can't compute this shape."""
    layer, tensor = b.layers[0], b.network.tensor(b.layers[0].output)
    if max(layer.kernel) > WINDOW or tensor.channels != b.source.channels:
        return None
    if b.in_layout().strides[1] != 1:
        return None  # the image's pixels are interleaved
    last, left = (tensor.width - 1) * layer.stride[1], layer.pads[1]
    columns = max(last + WINDOW, left + b.source.width)
    if columns > COLUMNS_MAX or layer.stride[1] > WINDOW:
        return None
    right = max(0, last + layer.kernel[1] - left - b.source.width)
    plane = b.in_layout().plane_bytes
    if max(left, right, 1) <= plane - b.source.width:
        columns = plane  # the spare bytes of the planes serve as borders
    return Patch(layer.kernel[0], columns, left, right)


def depthwise(b: StageBuilder, patch: Patch, rows: list[Any], tile: Any) -> None:
    derived, stride = b.derived[0], b.layers[0].stride[0]
    words = b.const("depthwise", depthwise_words(derived), "depthwise, four channels a row")
    buffer = b.scratch("patch", "int8", (GROUP * patch.columns + LANES, WINDOW))
    shared = b.band_rows == 2 and stride + patch.rows <= WINDOW  # one buffer for both lines
    channels = len(derived.weights)
    for count, first, groups in (
        (GROUP, 0, channels // GROUP),
        (channels % GROUP, channels // GROUP, 1),
    ):
        if count == 0 or groups == 0:
            continue
        with b.loop(groups, "c") as c:
            for line in range(1 if shared else b.band_rows):
                last = stride + patch.rows if shared else patch.rows
                window = rows[line * stride : line * stride + last]
                _depthwise_call(
                    b, patch, window, (words, buffer, tile), c, (count, first, groups), line
                )


def _depthwise_call(
    b: StageBuilder,
    patch: Patch,
    window: list[Any],
    buffers: tuple[Any, Any, Any],
    c: Any,
    part: tuple[int, int, int],
    line: int,
) -> None:
    """One call for `count` channels: group c of the `groups` from `first` on."""
    words, buffer, tile = buffers
    count, first, groups = part
    layer, derived = b.layers[0], b.derived[0]
    width = b.network.tensor(layer.output).width
    depth, total = int(tile.ty.shape[1]), int(words.ty.shape[0])
    reads = [row[0 : b.source.channels, 0 : b.source.width] for row in window]
    reads.append(words[0:total, 0 : int(words.ty.shape[1])])
    columns = int(buffer.ty.shape[0])
    writes = [tile[0 : int(tile.ty.shape[0]), 0:depth], buffer[0:columns, 0:WINDOW]]
    four = [*window, *[window[-1]] * (WINDOW - len(window))]
    with b.block(f"depthwise{count}_{line}", reads, writes) as axis:
        group = axis.spatial(groups, c) + first
        b.call(
            bodies.MVE_DEPTHWISE,
            **numbered("row", [b.address(row, group * GROUP, 0) for row in four]),
            words=b.address(words, group, 0),
            patch=b.address(buffer, 0, 0),
            tile=b.address(tile, line * width, group * GROUP),
            plane_bytes=b.in_layout().plane_bytes,
            channels=count,
            rows=len(window),
            lines=1 if len(window) == patch.rows else 2,
            below=layer.stride[0],
            columns=patch.columns,
            left=patch.left,
            right=patch.right,
            width=b.source.width,
            zero_point=b.source.zero_point,
            outputs=width,
            stride=layer.stride[1],
            depth=depth,
            **bodies.ends(derived),
        )


def depthwise_words(derived: WeightedConstants) -> NDArray[np.int32]:
    """ceil(C / 4) rows of 24 words or more: see runtime/kernels/mve/depthwise.h."""
    taps = derived.weights
    count, (height, width) = len(taps), taps.shape[1:3]
    groups = up(count, GROUP) // GROUP
    windows = np.zeros((groups * GROUP, WINDOW, WINDOW), np.int8)  # channel, column, row
    windows[:count, :width, :height] = taps.reshape(count, height, width).transpose(0, 2, 1)
    parts = [windows.reshape(groups, -1).view("<i4")]
    single = isinstance(derived, SingleConstants)
    factor = derived.doubled if single else derived.multiplier
    parts += [table(word, GROUP) for word in (derived.bias, factor, *other_words(derived))]
    return np.concatenate(parts, axis=1).astype(np.int32)
