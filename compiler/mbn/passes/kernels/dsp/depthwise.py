"""The depthwise 3x3 of a block, into the pointwise's tile.

Assembly (asm/depthwise.py) serves maps of even width, and any at stride 1, with the usual padding.
runtime/kernels/dsp/depthwise.h serves any other 3x3 whose strips of words end where the row ends.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import TfliteConstants, WeightedConstants, rounding_code
from mbn.core.schedule import Sharing
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm.channels import Shape
from mbn.passes.kernels.asm.depthwise import depthwise_name, parameters, written
from mbn.passes.kernels.asm.rounding import Rounding
from mbn.passes.kernels.asm.shared_depthwise import (
    HEAD,
    shared_depthwise,
    shared_depthwise_name,
    shared_parameters,
)
from mbn.passes.kernels.bodies import numbered
from mbn.passes.kernels.dsp.tile import SLOTS, pixels_of, row_pixels, up
from mbn.passes.kernels.layout import WORD
from mbn.passes.kernels.stage_builder import StageBuilder


def fast_depthwise(b: StageBuilder) -> bool:
    layer, tensor = b.layers[0], b.network.tensor(b.layers[0].output)
    if layer.kernel != (3, 3) or tensor.channels != b.source.channels or b.source.width == 1:
        return False
    if b.in_layout().strides[1] != 1:
        return False  # the image's pixels are interleaved
    left, width, outputs = layer.pads[1], b.source.width, tensor.width
    if layer.stride[1] == 1:
        return left == 1 and outputs == width
    # every strip of two outputs begins with a word of the row, and the last one reaches its end
    return (
        layer.stride[1] == 2
        and left in (0, 1)
        and 4 * up(outputs, 2)
        in (
            up(width, WORD) * WORD,
            up(width - 1, WORD) * WORD if left == 0 else -1,
        )
    )


def depthwise3x3(b: StageBuilder, rows: list[Any], tile: Any, pairs: int) -> None:
    layer, derived = b.layers[0], _unshifted(b.derived[0], b.kernels.folded_shift)
    tensor = b.network.tensor(layer.output)
    words = b.const("depthwise", depthwise_words(derived), "depthwise, 7 to 9 words a channel")
    shape = {
        "group_halves": pairs * SLOTS * 2,
        "width": b.source.width,
        "outputs": tensor.width,
        "stride": layer.stride[1],
        "padding_left": layer.pads[1],
        "zero_point": b.source.zero_point,
    }
    groups = int(tile.ty.shape[0])
    for half, first, stop in ((0, 0, pairs), (1, pairs, tensor.channels)):
        if stop <= first:
            continue
        with b.loop(stop - first, "j") as j:
            reads = [row[first : first + pairs, 0 : b.source.width] for row in rows]
            writes = [tile[0:groups, 0:pairs, 0:SLOTS, half]]
            for line in range(b.band_rows):
                window = rows[line * layer.stride[0] : line * layer.stride[0] + 3]
                pixel = line * row_pixels(b, tensor.width, b.band_rows)
                with b.block(f"depthwise{half}_{line}", reads, writes) as axis:
                    pair = axis.spatial(stop - first, j)
                    channel = pair + first
                    b.call(
                        bodies.DSP_DEPTHWISE3X3,
                        **numbered("row", [b.address(row, channel, 0) for row in window]),
                        words=b.address(words, channel, 0),
                        tile=b.address(tile, pixel // pixels_of(b), pair, 0, half),
                        phase=pixel % pixels_of(b),
                        **shape,
                        **bodies.ends(derived),
                    )


def serves_strips(b: StageBuilder) -> bool:
    """Whether the assembly of asm/depthwise.py can compute this layer."""
    layer, width = b.layers[0], b.source.width
    if not fast_depthwise(b):
        return False
    if layer.stride == (1, 1):
        return width >= 3
    if layer.stride != (2, 2):
        return False
    return width % 2 == 0 and width >= 6 and b.network.tensor(layer.output).width == width // 2


def serves_shared(b: StageBuilder) -> bool:
    """Whether the assembly of asm/shared_depthwise.py can compute this layer."""
    if pixels_of(b) != SLOTS or not serves_strips(b):
        return False
    layer, derived = b.layers[0], _unshifted(b.derived[0], b.kernels.folded_shift)
    saturates = (rounding_code(derived), derived.low, derived.high) == (0, -128, 127)
    return saturates and b.source.width % 2 == 0 and layer.pads[1] == 1


def depthwise_strips(b: StageBuilder, rows: list[Any], tile: Any, pairs: int) -> None:
    """All channels of the band in one call."""
    layer, width, channels = b.layers[0], b.source.width, b.source.channels
    derived = _unshifted(b.derived[0], b.kernels.folded_shift)
    table = depthwise_words(derived)
    groups, outputs = int(tile.ty.shape[0]), b.network.tensor(layer.output).width
    reads = [row[0:channels, 0:width] for row in rows]
    writes = [tile[0:groups, 0:pairs, 0:SLOTS, 0:2]]
    if b.variant.shared is Sharing.ALL and serves_shared(b):
        head = np.array([channels + 65536 * b.source.zero_point], np.int32)
        words = b.const(
            "depthwise",
            np.concatenate([head, table.reshape(-1)]),
            f"depthwise: {HEAD}, then {table.shape[1]} words a channel",
        )
        with b.block("depthwise", reads, writes):
            b.call_assembly(
                shared_depthwise_name(layer.stride[0]),
                shared_parameters(len(rows)),
                partial(shared_depthwise, layer.stride[0]),
                words=b.address(words, 0),
                tile=b.address(tile, 0, 0, 0, 0),
                lines=b.band_rows,
                width=width,
                **numbered("row", [b.address(row, 0, 0) for row in rows]),
            )
        return
    words = b.const("depthwise", table, f"depthwise, {table.shape[1]} words a channel")
    shape = Shape(
        width=width,
        outputs=outputs,
        stride=layer.stride[0],
        left=layer.pads[1],
        lines=b.band_rows,
        row_pixels=row_pixels(b, outputs, b.band_rows),
        channels=channels,
        pairs=pairs,
        group=pixels_of(b),
        plane_bytes=b.in_layout().strides[0],
        zero_point=b.source.zero_point,
        channel_words=table.shape[1],
        rounding=Rounding(rounding_code(derived), derived.low, derived.high),
        two_slots=pixels_of(b) != SLOTS,
    )
    with b.block("depthwise", reads, writes):
        b.call_assembly(
            depthwise_name(shape),
            parameters(shape.rows),
            partial(written, shape),
            words=b.address(words, 0, 0),
            tile=b.address(tile, 0, 0, 0, 0),
            **numbered("row", [b.address(row, 0, 0) for row in rows[: shape.rows]]),
        )


def _unshifted(derived: WeightedConstants, folded_shift: int) -> WeightedConstants:
    """The same layer in rounding `single` with shift 0. Weights and bias are shifted beforehand,
    and Z is added to the bias, which gives ((acc << s) + Z). The weights are stored as halfwords,
    so no bit is lost; arithmetic/ proves that no accumulator overflows."""
    if isinstance(derived, TfliteConstants) or not 0 < derived.shift <= folded_shift:
        return derived
    bias = (derived.bias.astype(np.int64) << derived.shift) + derived.offset
    return replace(
        derived,
        weights=derived.weights.astype(np.int16) << derived.shift,
        bias=bias.astype(np.int32),
        offset=np.zeros_like(derived.offset),
        shift=0,
    )


def depthwise_words(derived: WeightedConstants) -> NDArray[np.int32]:
    """C x 7 words or more: see runtime/kernels/dsp/depthwise.h."""
    taps = derived.weights.reshape(-1, 3, 3).astype(np.int64)

    def halves(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
        return (low & 0xFFFF) | (high & 0xFFFF) << 16

    none = np.zeros(len(taps), np.int64)
    columns = [halves(taps[:, row, 0], taps[:, row, 2]) for row in range(3)]
    columns.append(halves(taps[:, 0, 1], taps[:, 1, 1]))
    columns.append(halves(taps[:, 2, 1], none))
    columns += [derived.bias.astype(np.int64), derived.doubled.astype(np.int64)]
    columns += [word.astype(np.int64) for word in derived.words]
    return np.stack(columns, axis=1).astype(np.uint32, casting="unsafe").view(np.int32)
