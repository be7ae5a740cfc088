"""The Helium kernel set's stages.

A depthwise or im2col fills the tile, the pointwise reads it. What the fast depthwise can't express
(kernels above 4x4, channel multipliers) fills the same tile by portable loops.
"""

from __future__ import annotations

import numpy as np

from mbn.core.network import Op
from mbn.passes.kernels import scalar
from mbn.passes.kernels.dsp.tile import is_requantisable
from mbn.passes.kernels.mve.depthwise import depthwise, patch_of
from mbn.passes.kernels.mve.im2col import Pixel, gather, gather_packed, pack
from mbn.passes.kernels.mve.pointwise import pointwise_band, pointwise_group, pointwise_stream
from mbn.passes.kernels.mve.tile import LANES, PIXELS, up
from mbn.passes.kernels.stage_builder import Span, StageBuilder, group_spans, spans

ROW_BYTES_MAX = 4096  # of a row's im2col; longer rows are done by four pixels


def block(b: StageBuilder) -> bool:
    """A depthwise into a tile of one band, then a pointwise from the tile."""
    if not is_requantisable(b):
        return False
    patch = patch_of(b)
    depth = up(len(b.derived[0].weights), LANES)
    rows, out = b.in_rows(), b.out_band()
    tile = b.scratch("tile", "int8", (b.band_rows * b.out.width, depth))
    if patch:
        depthwise(b, patch, rows, tile)
        how = f"patches of {patch.rows} rows, {patch.columns} columns, four channels a time"
    else:
        scalar.depthwise_row(
            b, rows, lambda channel, x, value: b.script.buffer_store(tile, value, [x, channel])
        )
        how = "portable loops"
    pointwise_band(b, 1, tile, out)
    b.reads_before_writing = True
    b.decision = (
        f"mve: depthwise by {how}; pointwise 4 pixels x 2 channels, {depth} deep; "
        f"bands of {b.band_rows} rows, tile of {b.band_rows * b.out.width} pixels"
    )
    return True


def band_cycles(b: StageBuilder) -> dict[int, int]:
    """The band heights that a block may have, with estimated cycles of its pointwise. Two rows pay
    off where each leaves two pixels after its full groups: together these make one group."""
    height, width = b.out.height, b.out.width
    pair = width % PIXELS == 2 and width > PIXELS and height % 2 == 0
    depth = up(len(b.derived[0].weights), LANES)
    group = b.out.channels // 2 * (depth // 2 + 8)
    heights = (1, 2) if pair and patch_of(b) else (1,)
    return {rows: height // rows * (up(rows * width, PIXELS) // PIXELS) * group for rows in heights}


def convolution(b: StageBuilder) -> bool:
    """im2col into a tile, then the pointwise over all channels. The tile holds a row where that is
    small, otherwise four pixels."""
    if not is_requantisable(b) or b.layers[0].groups > 1:
        return False
    derived = b.derived[0]
    taps = int(np.prod(derived.weights.shape[1:]))
    depth = up(taps, LANES)
    if b.out.width * depth <= ROW_BYTES_MAX or b.out.width == 1:
        _convolve_row(b, depth)
        how = "a row's pixels"
    else:
        _convolve_groups(b, depth)
        how = f"{PIXELS} pixels"
    b.decision = f"mve: im2col of {how}, {taps} taps in {depth}; 4 pixels x 2 channels"
    return True


def _convolve_row(b: StageBuilder, depth: int) -> None:
    layer, pixels = b.layers[0], b.out.width
    rows, out = b.in_rows(), b.out_band()
    tile = b.scratch("tile", "int8", (pixels, depth))
    packed = pack(b, rows)
    if packed is not None:
        with b.loop(b.out.width, "x") as x:
            gather_packed(b, packed, tile, Pixel(x, 0, True, x, pixels), "gather")
        pointwise_band(b, 0, tile, out)
        return
    row = [Span(0, 1, True)]
    if layer.op is not Op.DENSE:
        row = spans(b.out.width, b.source.width, layer.kernel[1], layer.stride[1], layer.pads[1])
    for number, span in enumerate(row):
        with b.loop(span.stop - span.start, "x") as x:
            pixel = Pixel(x + span.start, span.start, span.interior, x + span.start, pixels)
            gather(b, rows, tile, pixel, f"gather{number}")
    pointwise_band(b, 0, tile, out)


def _convolve_groups(b: StageBuilder, depth: int) -> None:
    rows, out = b.in_rows(), b.out_row()
    tile = b.scratch("tile", "int8", (PIXELS, depth))
    stream = b.const("pointwise", pointwise_stream(b.derived[0]), "streams, two channels each")
    packed = pack(b, rows)
    for number, span in enumerate(group_spans(b, PIXELS)):
        pixels = min(PIXELS, b.out.width - span.start * PIXELS)
        with b.loop(span.stop - span.start, "g") as g:
            group = g + span.start
            for index in range(pixels):
                x, first = group * PIXELS + index, span.start * PIXELS + index
                pixel = Pixel(x, first, span.interior, index, PIXELS)
                if packed is not None:
                    gather_packed(b, packed, tile, pixel, f"gather{number}_{index}")
                else:
                    gather(b, rows, tile, pixel, f"gather{number}_{index}")
            pointwise_group(b, tile, stream, out, group, pixels, number)
