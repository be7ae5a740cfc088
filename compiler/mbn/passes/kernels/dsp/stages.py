"""The DSP kernel set's stages.

A depthwise or im2col fills the tile, the pointwise reads it. Where no fast body can fill the tile
(kernels other than 3x3, unusual padding, channel multipliers), portable loops do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mbn.core.network import Op, StageKind
from mbn.core.schedule import Sharing
from mbn.passes.kernels import bodies, scalar
from mbn.passes.kernels.dsp.depthwise import (
    depthwise3x3,
    depthwise_strips,
    fast_depthwise,
    serves_strips,
)
from mbn.passes.kernels.dsp.im2col import (
    MOST_RUN,
    gather,
    interleave,
    patch_order,
    patches,
    serves_windows,
    takes_words,
    window_order,
    windows,
    word_order,
    word_spans,
    words,
)
from mbn.passes.kernels.dsp.pointwise import Pointwise
from mbn.passes.kernels.dsp.tile import (
    MOST_LINES,
    SLOTS,
    is_requantisable,
    pixels_of,
    row_pixels,
    up,
)
from mbn.passes.kernels.stage_builder import Span, StageBuilder, group_spans, span_test

CHUNK = 12  # pixels of a colour image that are gathered at once: whole groups of 4 and of 3


def block(b: StageBuilder) -> bool:
    """A depthwise into a tile of one band, then a pointwise from the tile."""
    if not is_requantisable(b):
        return False
    depth = len(b.derived[0].weights)
    groups = up(b.band_rows * row_pixels(b, b.out.width, b.band_rows), pixels_of(b))
    pairs = up(depth, 2)
    rows, out = b.in_rows(), b.out_band()
    tile = b.scratch("tile", "int16", (groups, pairs, SLOTS, 2))
    if serves_strips(b):
        depthwise_strips(b, rows, tile, pairs)
        how = "3x3 strips, all channels in assembly"
    elif fast_depthwise(b):
        depthwise3x3(b, rows, tile, pairs)
        how = "3x3 strips in C"
    else:
        scalar.depthwise_row(
            b, rows, lambda channel, x, value: _store_half(b, tile, channel, x, value, pairs)
        )
        how = "portable loops"
    Pointwise(b, 1, tile, out).band()
    b.reads_before_writing = True
    b.decision = (
        f"dsp: depthwise by {how}; pointwise {pixels_of(b)} pixels x 2 channels, {pairs} pairs; "
        f"bands of {b.band_rows} rows, tile of {b.band_rows * b.out.width} pixels{_variant(b)}"
    )
    return True


def _variant(b: StageBuilder) -> str:
    """The variant in words, for the generated C."""
    shared = b.variant.shared is not Sharing.NONE
    return f"; shared bodies: {b.variant.shared.name.lower()}" if shared else ""


def band_cycles(b: StageBuilder) -> dict[int, int]:
    """The band heights that a block may have, with estimated cycles of its map."""
    return {rows: _cycles(b, rows) for rows in _heights(b)}


def _heights(b: StageBuilder) -> list[int]:
    """Two rows share the words that are loaded; in a small map all rows share the weights too. Rows
    of 4n + 2 pixels share groups, two rows at a time."""
    height, width = b.out.height, b.out.width
    rolls = serves_strips(b) and b.layers[0].stride == (1, 1)
    fills = width % SLOTS == 2
    if pixels_of(b) != SLOTS:
        fills = False  # every row begins a group, so any number of rows fits
    elif not fast_depthwise(b) or (width % SLOTS == 1 and height <= MOST_LINES):
        return [1]
    tall = {2, height} if rolls else {2} if fills else set()
    if rolls and height % 2 and height > MOST_LINES:
        tall = {max(rows for rows in range(1, MOST_LINES + 1) if height % rows == 0)}
    return [
        1,
        *(
            rows
            for rows in sorted(tall)
            if 1 < rows <= MOST_LINES and height % rows == 0 and (rows % 2 == 0 or not fills)
        ),
    ]


def _cycles(b: StageBuilder, rows: int) -> int:
    """Estimated cycles, from measurements on the M4: strips by their height, groups by their
    pixels. On the M7 heights differ only in what a channel's rows share."""
    height, width = b.out.height, b.out.width
    if pixels_of(b) != SLOTS:
        return len(b.derived[0].weights) * height // rows * 30
    depthwise = 19.0
    if serves_strips(b):
        depthwise = 21.0 if b.layers[0].stride != (1, 1) else {1: 18.5, 2: 15.5}.get(rows, 14.8)
    pairs, couples = up(len(b.derived[0].weights), 2), up(b.out.channels, 2)
    at_once = rows * width if row_pixels(b, width, rows) == width else width
    full, rest = divmod(at_once, pixels_of(b))
    left = {0: 0, 1: 6 * pairs + 25, 2: 11 * pairs + 70, 3: 13 * pairs + 34}[rest]
    groups = height * width // at_once * (full * (17 * pairs + 40) + left)
    return int(height * width * len(b.derived[0].weights) * depthwise) + couples * groups


def _store_half(b: StageBuilder, tile: Any, channel: Any, x: Any, value: Any, pairs: int) -> None:
    wide = b.script.cast(value, "int16")
    at = [x // pixels_of(b), channel % pairs, x % pixels_of(b), channel // pairs]
    b.script.buffer_store(tile, wide, at)


def convolution(b: StageBuilder) -> bool:
    """im2col of one group of pixels into a tile, then the pointwise over all channels."""
    if not is_requantisable(b) or b.layers[0].groups > 1:
        return False
    layer = b.layers[0]
    taps = int(np.prod(b.derived[0].weights.shape[1:]))
    image = b.in_layout().plane_bytes == 0 and layer.op is not Op.DENSE
    image = image and layer.kernel[1] * b.source.channels <= MOST_RUN
    pointwise = b.stage.kind is StageKind.POINTWISE and layer.stride[1] == 1
    by_words = not (pointwise and pixels_of(b) == SLOTS) and takes_words(b)
    by_windows = image and serves_windows(b)
    if by_windows and b.variant.shared < Sharing.POINTWISE:
        return _colour_image(b)
    order = patch_order(layer, b.source.channels) if image else None
    order = word_order(b) if by_words else order
    pairs = up(taps, 2) if order is None else len(order) // 2
    rows, out = b.in_rows(), b.out_band()
    # the scratch of all variants is the same
    groups = up(min(CHUNK, b.out.width), pixels_of(b)) if by_windows else 1
    tile = b.scratch("tile", "int16", (groups, pairs, SLOTS, 2))
    body = Pointwise(b, 0, tile, out, order)
    body.groups = 1
    full = b.out.width // pixels_of(b)

    def fill(number: int, span: Span, group: Any, pixels: int) -> None:
        if image:
            patches(b, rows, tile, span, group, pixels, f"patch{number}")
        elif by_words:
            at = group if span.interior else span.start
            words(b, rows, tile, span, at, f"taps{number}")
        elif pointwise and pixels_of(b) == SLOTS:
            interleave(b, rows[0], tile, group, pairs, f"interleave{number}")
        else:
            for pixel in range(pixels):
                gather(b, rows, tile, span, group, pixel, pairs, f"gather{number}_{pixel}")

    spans = word_spans(b) if by_words else group_spans(b, pixels_of(b))
    whole = [span for span in spans if span.stop <= full]
    if whole:
        with b.loop(full, "g") as g:  # groups at edges and inside share the pointwise's code
            for number, span in enumerate(whole):
                with b.when(*span_test(span, g, full)):
                    fill(number, span, g, pixels_of(b))
            body.group(g, pixels_of(b))
    if full * pixels_of(b) < b.out.width:
        fill(len(whole), spans[-1], full, b.out.width - full * pixels_of(b))
        body.group(full, b.out.width - full * pixels_of(b))
    b.decision = (
        f"dsp: im2col of {pixels_of(b)} pixels, {taps} taps in {pairs} pairs; "
        f"{pixels_of(b)} pixels x 2 channels{_variant(b)}"
    )
    return True


def _colour_image(b: StageBuilder) -> bool:
    """im2col of some groups at once in assembly, then the pointwise over all of them."""
    rows, out, order = b.in_rows(), b.out_band(), window_order()
    size = min(CHUNK, b.out.width)
    tile = b.scratch("tile", "int16", (up(size, pixels_of(b)), len(order) // 2, SLOTS, 2))
    body = Pointwise(b, 0, tile, out, order)
    full, rest = divmod(b.out.width, size)
    with b.loop(full, "c") as c:
        windows(b, rows, tile, c, size, size)
        body.chunk(c, size, size)
    if rest:
        windows(b, rows, tile, full, size, rest)
        body.chunk(full, size, rest)
    b.decision = (
        f"dsp: im2col of {size} pixels in assembly, 27 taps in {len(order) // 2} pairs; "
        f"{pixels_of(b)} pixels x 2 channels{_variant(b)}"
    )
    return True


def pool(b: StageBuilder) -> bool:
    """The average of a whole map, read word by word."""
    layer = b.layers[0]
    whole = layer.kernel == (b.source.height, b.source.width) and b.source.width > 1
    if not whole or b.special is not None or b.in_layout().plane_bytes == 0:
        return False
    rows, out = b.in_rows(), b.out_row()
    tables = b.requantiser(0, "pool")
    channels, width = b.out.channels, b.source.width
    sum_ = b.script.sblock_alloc_buffer((1,), "int32")
    with b.loop(channels, "c") as c:
        with b.block("bias"):
            b.script.buffer_store(sum_, tables.bias[0], [0])
        reads = [sum_[0:1], *(row[0:channels, 0:width] for row in rows)]
        with b.block("sum", reads, [sum_[0:1]]) as axis:
            channel = axis.spatial(channels, c)
            for row in rows:
                b.call(
                    bodies.DSP_ROW_SUM,
                    sum=b.address(sum_, 0),
                    row=b.address(row, channel, 0),
                    width=width,
                )
        with b.block("store") as axis:
            channel = axis.spatial(channels, c)
            b.script.buffer_store(out, b.requantised(sum_[0], tables, 0), [channel, 0])
    b.decision = "dsp: sums of whole maps, two values an instruction"
    return True
