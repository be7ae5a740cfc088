"""The DSP kernel set (M4, M7, M33): SMLAD bodies inside TIR's loops.

What enters: a StageBuilder. What leaves: S-TIR in it. Always holds: activations meet the
pointwise as int16 pairs in a tile, [group of four pixels][pair j][pixel][half]: channel j in the
low half, channel j + pairs in the high one; weights are one stream for each two output channels
(runtime/kernels/dsp/pointwise.h). What the fast bodies can't express (other kernels than 3x3,
unusual padding, depth multipliers) fills the same tile by portable loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn import ir
from mbn.kernels import scalar
from mbn.kernels.layout import WORD
from mbn.kernels.stage_builder import Span, StageBuilder

PIXELS = 4  # of one group


def block(b: StageBuilder) -> bool:
    """Depthwise into a tile of one band, pointwise out of it."""
    if not b.short_rounding:
        return False
    b.band_rows = _band_rows(b)
    depth = len(b.derived[0].weights)
    groups, pairs = _up(b.band_rows * b.out.width, PIXELS), _up(depth, 2)
    rows, out = b.in_rows(), b.out_band()
    tile = b.scratch("tile", "int16", (groups, pairs, PIXELS, 2))
    if _fast_depthwise(b):
        _depthwise3x3(b, rows, tile, pairs)
        how = "3x3 strips of aligned words"
    else:
        scalar.depthwise_row(
            b, rows, lambda channel, x, value: _store_half(b, tile, channel, x, value, pairs)
        )
        how = "portable loops"
    _pointwise_band(b, 1, tile, out)
    b.reads_before_writing = True
    b.decision = (
        f"dsp: depthwise by {how}; pointwise 4 pixels x 2 channels, {pairs} pairs; "
        f"bands of {b.band_rows} rows, tile of {b.band_rows * b.out.width} pixels"
    )
    return True


def _band_rows(b: StageBuilder) -> int:
    """Two rows where one leaves a group of two pixels and two fill their groups."""
    pair = b.out.width % PIXELS == 2 and b.out.height % 2 == 0
    return 2 if pair and _fast_depthwise(b) else 1


def _up(value: int, step: int) -> int:
    return (value + step - 1) // step


def _store_half(b: StageBuilder, tile: Any, channel: Any, x: Any, value: Any, pairs: int) -> None:
    wide = b.script.cast(value, "int16")
    at = [x // PIXELS, channel % pairs, x % PIXELS, channel // pairs]
    b.script.buffer_store(tile, wide, at)


# -- depthwise ---------------------------------------------------------------------------------


def _fast_depthwise(b: StageBuilder) -> bool:
    layer, tensor = b.layers[0], b.network.tensor(b.layers[0].output)
    if layer.kernel != (3, 3) or tensor.channels != b.source.channels or b.source.width == 1:
        return False
    if b.in_layout().strides[1] != 1:
        return False  # the image's pixels are interleaved
    left, width, outputs = layer.pads[1], b.source.width, tensor.width
    if layer.stride[1] == 1:
        return left == 1 and outputs == width
    # every strip of two outputs begins with a word of the row, and the last reaches its end
    return (
        layer.stride[1] == 2
        and left in (0, 1)
        and 4 * _up(outputs, 2)
        in (
            _up(width, WORD) * WORD,
            _up(width - 1, WORD) * WORD if left == 0 else -1,
        )
    )


def _depthwise3x3(b: StageBuilder, rows: list[Any], tile: Any, pairs: int) -> None:
    layer, derived = b.layers[0], b.derived[0]
    tensor = b.network.tensor(layer.output)
    words = b.const("depthwise", depthwise_words(derived), "depthwise, 7 or 8 words a channel")
    call = (
        pairs * PIXELS * 2,
        b.source.width,
        tensor.width,
        layer.stride[1],
        layer.pads[1],
        b.source.zero_point,
        derived.shift,
        derived.low,
        derived.high,
    )
    groups = int(tile.ty.shape[0])
    for half, first, stop in ((0, 0, pairs), (1, pairs, tensor.channels)):
        if stop <= first:
            continue
        with b.loop(stop - first, "j") as j:
            reads = [row[first : first + pairs, 0 : b.source.width] for row in rows]
            writes = [tile[0:groups, 0:pairs, 0:PIXELS, half]]
            for line in range(b.band_rows):
                window = rows[line * layer.stride[0] : line * layer.stride[0] + 3]
                pixel = line * tensor.width
                with b.block(f"depthwise{half}_{line}", reads, writes) as axis:
                    pair = axis.spatial(stop - first, j)
                    channel = pair + first
                    b.call(
                        "mbn_dsp_depthwise3x3",
                        *(b.address(row, channel, 0) for row in window),
                        b.address(words, channel, 0),
                        b.address(tile, pixel // PIXELS, pair, 0, half),
                        pixel % PIXELS,
                        *call,
                    )


def depthwise_words(derived: ir.IntegerConstants) -> NDArray[np.int32]:
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


# -- pointwise ---------------------------------------------------------------------------------


def pointwise_stream(derived: ir.IntegerConstants) -> NDArray[np.int32]:
    """ceil(N / 2) streams of biases, weight words, multipliers and what else requantises; an odd
    last channel is paired with zeros. See runtime/kernels/dsp/pointwise.h."""
    count = len(derived.weights)
    weights = derived.weights.reshape(count, -1)
    pairs, couples = _up(weights.shape[1], 2), _up(count, 2)
    padded = np.zeros((2 * couples, 2 * pairs), np.int8)
    padded[:count, : weights.shape[1]] = weights
    grouped = padded.reshape(couples, 2, 2, pairs)  # couple, n, half, j
    quads = np.ascontiguousarray(grouped.transpose(0, 3, 2, 1)).reshape(couples, pairs * 4)
    words = quads.view("<i4")

    def table(values: NDArray[np.int32]) -> NDArray[np.int32]:
        full = np.zeros(2 * couples, np.int32)
        full[:count] = values
        return full.reshape(couples, 2)

    parts = [table(derived.bias), words, table(derived.doubled)]
    parts += [table(word) for word in derived.words]
    return np.concatenate(parts, axis=1).astype(np.int32)


def _pointwise_band(b: StageBuilder, index: int, tile: Any, out: Any) -> None:
    """All groups of a band: couples of channels outside, groups inside, so that a couple's
    weights are read from flash once a band."""
    derived, width = b.derived[index], b.out.width
    stream = b.const("pointwise", pointwise_stream(derived), "pointwise streams, two channels each")
    buffers = (tile, stream, out)
    count, pixels = b.out.channels, b.band_rows * width
    full, rest = divmod(pixels, PIXELS)
    for couples, channels in ((count // 2, 2), (count % 2, 1)):
        if couples == 0:
            continue
        first = 0 if channels == 2 else count // 2
        with b.loop(couples, "n") as n:
            if full and _shared(b, index, PIXELS, channels):
                _shared_block(b, buffers, n, 0, PIXELS, full)
            elif full:
                with b.loop(full, "g") as g:
                    _pointwise_call(b, index, buffers, n, first, g, PIXELS, channels)
            if rest and _shared(b, index, rest, channels):
                _shared_block(b, buffers, n, full, rest, 1)
            elif rest:
                _pointwise_call(b, index, buffers, n, first, full, rest, channels)


def _pointwise_call(
    b: StageBuilder,
    index: int,
    buffers: tuple[Any, Any, Any],
    n: Any,
    first: int,
    group: Any,
    pixels: int,
    channels: int,
) -> None:
    derived, width = b.derived[index], b.out.width
    tile, stream, out = buffers
    groups, pairs = int(tile.ty.shape[0]), int(tile.ty.shape[1])
    couples, words = (int(size) for size in stream.ty.shape)
    reads = [tile[0:groups, 0:pairs, 0:PIXELS, 0:2], stream[0:couples, 0:words]]
    writes = [out[0 : b.band_rows, 0 : b.out.channels, 0:width]]
    with b.block(f"pointwise{pixels}x{channels}", reads, writes) as axis:
        couple = axis.spatial(couples, n + first)
        at = axis.spatial(groups, group) if not isinstance(group, int) else group
        pixel = at * PIXELS
        # only a band of several rows has groups that end in another row than they begin
        crosses = b.band_rows > 1 and width % PIXELS != 0
        row, x = (pixel // width, pixel % width) if crosses else (0, pixel)
        b.call(
            "mbn_dsp_pointwise",
            b.address(tile, at, 0, 0, 0),
            b.address(stream, couple, 0),
            b.address(out, row, couple * 2, x),
            b.out_plane_bytes(),
            pairs,
            pixels,
            channels,
            width - x if crosses else pixels,
            b.out_row_bytes() - width,
            derived.shift,
            derived.low,
            derived.high,
        )


def _shared(b: StageBuilder, index: int, pixels: int, channels: int) -> bool:
    """Whether one body an image serves, instead of straight code for this shape: less flash."""
    derived = b.derived[index]
    saturates = (derived.shift, derived.low, derived.high) == (0, -128, 127)
    return b.optimise != "speed" and saturates and channels == 2 and pixels >= 3


def _shared_block(
    b: StageBuilder,
    buffers: tuple[Any, Any, Any],
    n: Any,
    group: int,
    pixels: int,
    groups: int,
) -> None:
    """`groups` groups from `group` on of a couple of channels, by the shared body."""
    tile, stream, out = buffers
    all_groups, pairs = int(tile.ty.shape[0]), int(tile.ty.shape[1])
    couples, words = (int(size) for size in stream.ty.shape)
    row, x = divmod(group * PIXELS, b.out.width)
    reads = [tile[0:all_groups, 0:pairs, 0:PIXELS, 0:2], stream[0:couples, 0:words]]
    writes = [out[0 : b.band_rows, 0 : b.out.channels, 0 : b.out.width]]
    with b.block(f"shared{pixels}", reads, writes) as axis:
        couple = axis.spatial(couples, n)
        b.call(
            "mbn_dsp_pointwise_shared",
            b.address(tile, group, 0, 0, 0),
            b.address(stream, couple, 0),
            b.address(out, row, couple * 2, x),
            b.out_plane_bytes(),
            pairs,
            pixels,
            groups,
            b.out.width - x,
            b.out_row_bytes() - b.out.width,
        )


# -- convolution -------------------------------------------------------------------------------


def convolution(b: StageBuilder) -> bool:
    """im2col of one group of pixels into a tile, then the pointwise body over all channels."""
    if not b.short_rounding:
        return False
    layer, derived = b.layers[0], b.derived[0]
    taps = int(np.prod(derived.weights.shape[1:]))
    pairs = _up(taps, 2)
    rows, out = b.in_rows(), b.out_row()
    tile = b.scratch("tile", "int16", (1, pairs, PIXELS, 2))
    stream = b.const("weights", pointwise_stream(derived), "streams, two channels each")
    groups = _group_spans(b)
    for number, span in enumerate(groups):
        pixels = min(PIXELS, b.out.width - span.start * PIXELS)
        with b.loop(span.stop - span.start, "g") as g:
            group = g + span.start
            for pixel in range(pixels):
                _gather(b, rows, tile, span, group, pixel, pairs, f"gather{number}_{pixel}")
            _convolution_calls(b, tile, stream, out, group, pixels, number)
    b.decision = (
        f"dsp: im2col of {PIXELS} pixels, {taps} taps in {pairs} pairs; 4 pixels x 2 channels"
    )
    return layer.op is not ir.Op.DEPTHWISE


def _group_spans(b: StageBuilder) -> list[Span]:
    """Groups of four pixels: edge groups one by one, the run inside the map together."""
    layer, count = b.layers[0], _up(b.out.width, PIXELS)
    if layer.op is ir.Op.DENSE:
        return [Span(0, 1, True)]

    def inside(group: int) -> bool:
        first = group * PIXELS * layer.stride[1] - layer.pads[1]
        last = (group * PIXELS + PIXELS - 1) * layer.stride[1] - layer.pads[1] + layer.kernel[1]
        return first >= 0 and last <= b.source.width and group * PIXELS + PIXELS <= b.out.width

    result: list[Span] = []
    group = 0
    while group < count:
        stop = group + 1
        while inside(group) and stop < count and inside(stop):
            stop += 1
        result.append(Span(group, stop, inside(group)))
        group = stop
    return result


def _gather(
    b: StageBuilder,
    rows: list[Any],
    tile: Any,
    span: Span,
    group: Any,
    pixel: int,
    pairs: int,
    name: str,
) -> None:
    """One pixel's window into the tile; runs of channels that stay in one half are loops."""
    layer = b.layers[0]
    dense = layer.op is ir.Op.DENSE
    window = (len(rows), 1) if dense else layer.kernel
    channels = b.source.channels * (b.source.width if dense else 1)
    for ky in range(window[0]):
        for kx in range(window[1]):
            offset = 0 if dense else pixel * layer.stride[1] + kx - layer.pads[1]
            edge = span.start * PIXELS * layer.stride[1] + offset
            outside = not dense and not span.interior and not 0 <= edge < b.source.width
            column = group * (PIXELS * layer.stride[1]) + offset
            start = (ky * window[1] + kx) * channels
            for half in (0, 1):
                low, high = max(start, half * pairs), min(start + channels, (half + 1) * pairs)
                if low >= high:
                    continue
                with (
                    b.loop(high - low, "c") as c,
                    b.block(f"{name}_{ky}_{kx}_{half}") as axis,
                ):
                    at = axis.spatial(high - low, c)
                    channel = at + (low - start)
                    if outside:
                        value = b.script.int8(b.source.zero_point)
                    elif dense:
                        inner = b.source.channels
                        value = rows[ky][channel % inner, channel // inner]
                    else:
                        value = rows[ky][channel, axis.spatial(b.source.width, column)]
                    wide = b.script.cast(value, "int16")
                    where = [0, at + (low - half * pairs), pixel, half]
                    b.script.buffer_store(tile, wide, where)


def _convolution_calls(
    b: StageBuilder, tile: Any, stream: Any, out: Any, group: Any, pixels: int, number: int
) -> None:
    derived, count = b.derived[0], b.out.channels
    pairs = int(tile.ty.shape[1])
    couples, words = (int(size) for size in stream.ty.shape)
    groups = _up(b.out.width, PIXELS)
    reads = [tile[0, 0:pairs, 0:PIXELS, 0:2], stream[0:couples, 0:words]]
    writes = [out[0:count, 0 : b.out.width]]
    for extent, channels in ((count // 2, 2), (count % 2, 1)):
        if extent == 0:
            continue
        first = 0 if channels == 2 else count // 2
        with b.loop(extent, "n") as n, b.block(f"dots{number}_{channels}", reads, writes) as axis:
            couple = axis.spatial(couples, n + first)
            at = axis.spatial(groups, group)
            b.call(
                "mbn_dsp_pointwise",
                b.address(tile, 0, 0, 0, 0),
                b.address(stream, couple, 0),
                b.address(out, couple * 2, at * PIXELS),
                b.out_plane_bytes(),
                pairs,
                pixels,
                channels,
                pixels,
                0,
                derived.shift,
                derived.low,
                derived.high,
            )
