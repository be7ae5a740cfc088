"""A depthwise that is a stage of its own, from planes to planes: four outputs at a time.

See runtime/kernels/dsp/planes.h. Blocks have their own bodies, which fill the pointwise's tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import WeightedConstants
from mbn.passes.kernels import bodies
from mbn.passes.kernels.bodies import numbered
from mbn.passes.kernels.dsp.tile import up
from mbn.passes.kernels.scalar import whole
from mbn.passes.kernels.stage_builder import Span, StageBuilder, joined_spans

OUTPUTS = 4  # of one call
ROWS = 5  # that the body takes


def plane_depthwise(b: StageBuilder) -> bool:
    """All channels of an output row."""
    layer, derived, width = b.layers[0], b.derived[0], b.source.width
    square = layer.kernel in ((3, 3), (5, 5)) and layer.stride[1] in (1, 2)
    planar = b.in_layout().plane_bytes >= OUTPUTS and b.out_plane_bytes() >= OUTPUTS
    if not (b.short_rounding and square and planar):
        return False
    rows, out = b.in_rows(), b.out_row()
    table = b.const("depthwise", _words(derived), "a channel: bias, pairs of taps, requantising")
    count, each = (int(size) for size in table.ty.shape)
    multiplier = count // b.source.channels
    reads, writes = [*(whole(row) for row in rows), whole(table)], [whole(out)]
    with b.loop(count, "c") as c:
        for number, span in enumerate(_spans(b)):
            name = f"plane{number}"
            with b.loop(span.stop - span.start, "g") as g, b.block(name, reads, writes) as axis:
                channel = axis.spatial(count, c)
                group = span.start + (g if span.interior else 0)
                places: list[Any] = [b.address(row, channel // multiplier, 0) for row in rows]
                places += places[:1] * (ROWS - len(places))
                b.call(
                    bodies.DSP_PLANE,
                    **numbered("row", places),
                    words=b.address(table, channel, 0),
                    out=b.address(out, channel, group * OUTPUTS),
                    first=group * (OUTPUTS * layer.stride[1]) - layer.pads[1],
                    width=width,
                    taps=layer.kernel[1],
                    stride=layer.stride[1],
                    edge=0 if span.interior else 1,
                    zero_point=b.source.zero_point,
                    **bodies.ends(derived),
                )
    size = layer.kernel[0]
    b.decision = f"dsp: depthwise {size}x{size} from planes, 4 outputs of {each} words at a time"
    return True


def _words(derived: WeightedConstants) -> NDArray[np.int32]:
    """A row a channel: bias, pairs of weights of each kernel row, what requantises."""
    weights = derived.weights[..., 0].astype(np.int16)  # channel, row, column
    count, taps = len(weights), weights.shape[2]
    padded = np.zeros((count, taps, 6), np.int16)
    padded[..., :taps] = weights
    picked = padded[..., [0, 2, 1, 3, *((4, 5) if taps > 3 else ())]]
    pairs = np.ascontiguousarray(picked.astype("<i2")).view("<i4").reshape(count, -1)
    ends = [derived.doubled, *derived.words]
    parts = [derived.bias[:, None], pairs, *(one[:, None] for one in ends)]
    return np.concatenate(parts, axis=1).astype(np.int32)


def _spans(b: StageBuilder) -> list[Span]:
    """Groups of four outputs: those whose words lie in the map form spans."""
    layer = b.layers[0]
    reach = 8 if layer.stride[1] == 1 else 12  # columns of the words

    def inside(group: int) -> bool:
        first = group * OUTPUTS * layer.stride[1] - layer.pads[1]
        last = first + (OUTPUTS - 1) * layer.stride[1] + layer.kernel[1]
        within = first >= 0 and last <= b.source.width
        return within and first + reach <= b.in_layout().plane_bytes

    return joined_spans(up(b.out.width, OUTPUTS), inside)
