"""The depthwise of a block, four channels at once, into the pointwise's tile.

It serves kernels up to 4x4 without a channel multiplier (asm/depthwise_mve.py; in C
runtime/kernels/mve/depthwise.h).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import SingleConstants, WeightedConstants, rounding_code
from mbn.core.lowered import Assembly
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm.depthwise_mve import GROUP, WINDOW, Shape, parameters, written
from mbn.passes.kernels.asm.rounding import Rounding
from mbn.passes.kernels.bodies import numbered
from mbn.passes.kernels.mve.tile import LANES, other_words, table, up
from mbn.passes.kernels.stage_builder import StageBuilder

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
    layer, derived, stride = b.layers[0], b.derived[0], b.layers[0].stride[0]
    words = b.const("depthwise", depthwise_words(derived), "depthwise, four channels a row")
    buffer = b.scratch("patch", "int8", (GROUP * patch.columns + LANES, WINDOW))
    shared = b.band_rows == 2 and stride + patch.rows <= WINDOW  # one buffer for both lines
    shape = Shape(
        rows=stride + patch.rows if shared else patch.rows,
        lines=2 if shared else 1,
        below=stride,
        outputs=b.network.tensor(layer.output).width,
        stride=layer.stride[1],
        channels=len(derived.weights),
        plane_bytes=b.in_layout().plane_bytes,
        columns=patch.columns,
        left=patch.left,
        right=patch.right,
        width=b.source.width,
        zero_point=b.source.zero_point,
        depth=int(tile.ty.shape[1]),
        words=int(words.ty.shape[1]),
        rounding=Rounding(rounding_code(derived), derived.low, derived.high),
    )
    reads = [row[0 : b.source.channels, 0 : b.source.width] for row in rows]
    reads.append(words[0 : int(words.ty.shape[0]), 0 : shape.words])
    writes = [tile[0 : int(tile.ty.shape[0]), 0 : shape.depth]]
    writes.append(buffer[0 : int(buffer.ty.shape[0]), 0:WINDOW])
    for line in range(1 if shared else b.band_rows):
        window = rows[line * stride : line * stride + shape.rows]
        with b.block(f"depthwise{line}", reads, writes):
            b.call_assembly(
                shape.name,
                parameters(shape.rows),
                partial(_function, shape),
                words=b.address(words, 0, 0),
                patch=b.address(buffer, 0, 0),
                tile=b.address(tile, line * shape.outputs, 0),
                **numbered("row", [b.address(row, 0, 0) for row in window]),
            )


def _function(shape: Shape) -> Assembly:
    """The function, whose twin is mbn_mve_depthwise_band."""
    own = ("rounding", "words", "columns", "right")  # of the assembly alone
    names = [field.name for field in fields(shape) if field.name not in own]
    given = {name: getattr(shape, name) for name in names}
    rounding = shape.rounding
    given |= {"shift": rounding.code, "low": rounding.low, "high": rounding.high}
    pointers = {"row_pointers": "rows", "words": "words", "tile": "tile"}
    call = ", ".join(map(str, bodies.MVE_DEPTHWISE_BAND.in_order(pointers | given)))
    rows = ", ".join(f"row{k}" for k in range(shape.rows))
    return written(
        shape,
        f"(void)patch;\n    const int8_t *const rows[] = {{{rows}}};\n"
        f"    {bodies.MVE_DEPTHWISE_BAND.name}({call});",
    )


def depthwise_words(derived: WeightedConstants) -> NDArray[np.int32]:
    """ceil(C / 4) rows of 24 words or more: see runtime/kernels/mve/depthwise.h."""
    taps = derived.weights
    count, (height, width) = len(taps), taps.shape[1:3]
    groups = up(count, GROUP) // GROUP
    order = np.arange(groups * GROUP)  # the channel at each place; the last group's are the last
    if groups > 1:
        order[-GROUP:] = np.arange(count - GROUP, count)
    order = order[order < count]
    windows = np.zeros((groups * GROUP, WINDOW, WINDOW), np.int8)  # channel, column, row
    windows[: len(order), :width, :height] = taps.reshape(count, height, width).transpose(0, 2, 1)[
        order
    ]
    parts = [windows.reshape(groups, -1).view("<i4")]
    single = isinstance(derived, SingleConstants)
    factor = derived.doubled if single else derived.multiplier
    columns = (derived.bias, factor, *other_words(derived))
    parts += [table(word[order], GROUP) for word in columns]
    return np.concatenate(parts, axis=1).astype(np.int32)
