"""One output pixel on the DSP kernel set: dense layers, and convolutions of a whole map.

The input's bytes are taken in the order in which they lie in memory, padding and all; the weights
follow that order, with zeros for what is padding. See runtime/kernels/dsp/vector.h.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from mbn.core.network import Op
from mbn.core.schedule import Sharing, Variant
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm.shared_pointwise import (
    SHARED_PARAMETERS,
    shared_name,
    shared_pointwise,
)
from mbn.passes.kernels.dsp.pointwise import (
    LEAST_PRODUCTS,
    pointwise_stream,
    raw_couples,
    straight,
)
from mbn.passes.kernels.layout import RowLayout
from mbn.passes.kernels.scalar import whole
from mbn.passes.kernels.stage_builder import PLAIN, StageBuilder


def vector_offered(b: StageBuilder) -> list[Variant]:
    """The variants of a stage, the plain one first; the shared body is for couples of channels."""
    shares = serves(b) and straight(b, 0) and b.out.channels % 2 == 0
    return [PLAIN, Variant(shared=Sharing.ALL)] if shares else [PLAIN]


def serves(b: StageBuilder) -> bool:
    """Whether each output channel sees the whole input, once."""
    layer, source = b.layers[0], b.source
    covers = layer.op is Op.DENSE or (
        layer.kernel == (source.height, source.width) and not any(layer.pads)
    )
    one = (b.out.height, b.out.width) == (1, 1) and layer.groups == 1
    worth = b.derived[0].weights.size >= LEAST_PRODUCTS
    return b.short_rounding and one and covers and worth


def vector(b: StageBuilder) -> bool:
    """All output channels of the one pixel."""
    if not serves(b):
        return False
    layout, derived = b.in_layout(), b.derived[0]
    order = byte_order(layout, b.source.height)
    pairs = len(order) // 2
    rows, out = b.in_rows(), b.out_row()
    tile = b.scratch("tile", "int16", (2 * pairs,))
    couples = raw_couples(derived)
    raw = bool(couples.all())
    stream = pointwise_stream(derived, order, couples if raw else None)
    table = b.const("pointwise", stream, "streams, two channels each")
    words = int(table.ty.shape[1])
    for y, row in enumerate(rows):
        with b.block(f"widen{y}", [whole(row)], [whole(tile)]):
            b.call(
                bodies.DSP_WIDEN,
                row=b.address(row, 0, 0),
                tile=b.address(tile, y * layout.row_bytes),
                count=layout.row_bytes,
            )
    ends = [whole(tile), whole(table)], [whole(out)]
    addresses = {
        "tile": b.address(tile, 0),
        "stream": b.address(table, 0, 0),
        "out": b.address(out, 0, 0),
        "plane_bytes": 1,
        "pairs": pairs,
    }
    how = "raw words" if raw else "words unpacked"
    b.decision = f"dsp: one pixel, {2 * pairs} inputs as they lie; 4 channels, {how}"
    if b.variant.shared is Sharing.ALL:
        with b.block("vector", *ends):
            b.call_assembly(
                shared_name(1, raw=raw, alone=True),
                SHARED_PARAMETERS,
                partial(shared_pointwise, 1, raw=raw, alone=True),
                **addresses,
                couples=b.out.channels // 2,
                jump=0,
            )
        b.decision = f"dsp: one pixel, {2 * pairs} inputs as they lie; shared bodies: all, {how}"
        return True
    with b.block("vector", *ends):
        b.call(
            bodies.DSP_VECTOR,
            **addresses,
            step=1,
            channels=b.out.channels,
            words=words,
            raw=int(raw),
            **bodies.ends(derived),
        )
    return True


def byte_order(layout: RowLayout, height: int) -> NDArray[np.intp]:
    """The input (in canonical order: row, pixel, channel) that each half of each pair holds, low
    halves first; -1 for padding. Of four bytes the first and third are a pair, then the others."""
    between, beside = layout.strides
    of_row = np.full(layout.row_bytes, -1, np.intp)
    for x in range(layout.width):
        for channel in range(layout.channels):
            of_row[channel * between + x * beside] = x * layout.channels + channel
    each = layout.width * layout.channels
    rows = [np.where(of_row >= 0, of_row + y * each, -1) for y in range(height)]
    words = np.concatenate(rows).reshape(-1, 4)
    return np.concatenate([words[:, [0, 1]].reshape(-1), words[:, [2, 3]].reshape(-1)])
