"""The DSP kernel set's stages.

What enters: a StageBuilder. What leaves: S-TIR in it. Always holds: whatever fills the tile (a
depthwise, im2col), the pointwise reads it; what the fast bodies can't express (other kernels than
3x3, unusual padding, depth multipliers) fills the same tile by portable loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mbn import ir
from mbn.kernels import scalar
from mbn.kernels.dsp.depthwise import depthwise3x3, depthwise_strips, fast_depthwise, serves_strips
from mbn.kernels.dsp.im2col import gather, group_spans, interleave, patch_order, patches
from mbn.kernels.dsp.pointwise import Pointwise
from mbn.kernels.dsp.tile import MOST_LINES, PIXELS, row_pixels, up
from mbn.kernels.stage_builder import StageBuilder


def block(b: StageBuilder) -> bool:
    """Depthwise into a tile of one band, pointwise out of it."""
    if not b.short_rounding:
        return False
    b.band_rows = _band_rows(b)
    depth = len(b.derived[0].weights)
    groups = up(b.band_rows * row_pixels(b.out.width, b.band_rows), PIXELS)
    pairs = up(depth, 2)
    rows, out = b.in_rows(), b.out_band()
    tile = b.scratch("tile", "int16", (groups, pairs, PIXELS, 2))
    if serves_strips(b):
        depthwise_strips(b, rows, tile, pairs)
        how = "3x3 strips of half-aligned words, all channels"
    elif fast_depthwise(b):
        depthwise3x3(b, rows, tile, pairs)
        how = "3x3 strips of aligned words"
    else:
        scalar.depthwise_row(
            b, rows, lambda channel, x, value: _store_half(b, tile, channel, x, value, pairs)
        )
        how = "portable loops"
    Pointwise(b, 1, tile, out).band()
    b.reads_before_writing = True
    b.decision = (
        f"dsp: depthwise by {how}; pointwise 4 pixels x 2 channels, {pairs} pairs; "
        f"bands of {b.band_rows} rows, tile of {b.band_rows * b.out.width} pixels"
    )
    return True


def band_heights(b: StageBuilder) -> list[int]:
    """Heights of a band that the bodies serve, the least first.

    Two rows share loaded words, and a whole small map the weights too; rows of 4n + 2 pixels
    share groups two by two.
    """
    height, width = b.out.height, b.out.width
    tall = [2, height] if serves_strips(b) and b.layers[0].stride == (1, 1) else [2]
    if width % PIXELS == 2 and fast_depthwise(b):
        return [1, *(rows for rows in tall if height % rows == 0 and rows % 2 == 0)]
    if not serves_strips(b) or width % PIXELS in (1, 2) or b.layers[0].stride != (1, 1):
        return [1]
    return [1, *(rows for rows in tall if height % rows == 0 and 1 < rows <= MOST_LINES)]


def _band_rows(b: StageBuilder) -> int:
    heights = band_heights(b)
    small = b.out.width * b.out.height <= 36
    return heights[-1] if small else heights[min(1, len(heights) - 1)]


def _store_half(b: StageBuilder, tile: Any, channel: Any, x: Any, value: Any, pairs: int) -> None:
    wide = b.script.cast(value, "int16")
    at = [x // PIXELS, channel % pairs, x % PIXELS, channel // pairs]
    b.script.buffer_store(tile, wide, at)


def convolution(b: StageBuilder) -> bool:
    """im2col of one group of pixels into a tile, then the pointwise body over all channels."""
    if not b.short_rounding:
        return False
    layer = b.layers[0]
    taps = int(np.prod(b.derived[0].weights.shape[1:]))
    image = b.in_layout().plane_bytes == 0 and layer.op is not ir.Op.DENSE
    order = patch_order(layer, b.source.channels) if image else None
    pairs = up(taps, 2) if order is None else len(order) // 2
    rows, out = b.in_rows(), b.out_band()
    tile = b.scratch("tile", "int16", (1, pairs, PIXELS, 2))
    pointwise = Pointwise(b, 0, tile, out, order)
    for number, span in enumerate(group_spans(b)):
        pixels = min(PIXELS, b.out.width - span.start * PIXELS)
        with b.loop(span.stop - span.start, "g") as g:
            group = g + span.start
            if image:
                patches(b, rows, tile, span, group, pixels, f"patch{number}")
            elif b.stage.kind is ir.StageKind.POINTWISE and layer.stride[1] == 1:
                interleave(b, rows[0], tile, group, pairs, f"interleave{number}")
            else:
                for pixel in range(pixels):
                    gather(b, rows, tile, span, group, pixel, pairs, f"gather{number}_{pixel}")
            pointwise.group(group, pixels)
    b.decision = (
        f"dsp: im2col of {PIXELS} pixels, {taps} taps in {pairs} pairs; 4 pixels x 2 channels"
    )
    return layer.op is not ir.Op.DEPTHWISE
