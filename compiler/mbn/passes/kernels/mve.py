"""The Helium kernel set (M55, M85): VMLADAV bodies inside TIR's loops.

What enters: a StageBuilder. What leaves: S-TIR in it. Always holds: activations meet the
pointwise in a tile, int8 [pixel][depth], depth the channels rounded up to 16 (weights there are
zero, the tile's bytes anything); weights are one stream for each two output channels
(runtime/kernels/mve/pointwise.h). What the fast depthwise can't express (kernels above 4x4,
depth multipliers) fills the same tile by portable loops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import SingleConstants, WeightedConstants, rounding_code
from mbn.core.network import Op
from mbn.passes.kernels import scalar
from mbn.passes.kernels.stage_builder import Span, StageBuilder, group_spans, spans

PIXELS = 4  # of one group
LANES = 16  # int8 values of a vector
GROUP = 4  # channels of one depthwise call
WINDOW = 4  # rows and columns of a patch
ROW_BYTES_MAX = 4096  # of a row's im2col; longer rows go by four pixels
COLUMNS_MAX = 127  # of a channel in the patch buffer: VLDRW's offset reaches 508 bytes


def block(b: StageBuilder) -> bool:
    """Depthwise into a tile of one band, pointwise out of it."""
    if not b.short_rounding:
        return False
    patch = patch_of(b)
    depth = _up(len(b.derived[0].weights), LANES)
    rows, out = b.in_rows(), b.out_band()
    # a row's pointwise reads one group beyond the last; the patch buffer lies there
    spare = 0 if patch is None else PIXELS * WINDOW * patch.columns
    beyond = _up(max(0, PIXELS * depth - spare), depth) // depth
    tile = b.scratch("tile", "int8", (b.band_rows * b.out.width + beyond, depth))
    if patch:
        _depthwise(b, patch, rows, tile)
        how = f"patches of {patch.rows} rows, {patch.columns} columns, four channels a time"
    else:
        scalar.depthwise_row(
            b, rows, lambda channel, x, value: b.script.buffer_store(tile, value, [x, channel])
        )
        how = "portable loops"
    _pointwise_band(b, 1, tile, out)
    b.reads_before_writing = True
    b.decision = (
        f"mve: depthwise by {how}; pointwise 4 pixels x 2 channels, {depth} deep; "
        f"bands of {b.band_rows} rows, tile of {b.band_rows * b.out.width} pixels"
    )
    return True


def band_cycles(b: StageBuilder) -> dict[int, int]:
    """Heights of a block's bands, with estimated cycles of its pointwise: two rows where each
    leaves two pixels behind its groups, which make one group of both."""
    height, width = b.out.height, b.out.width
    pair = width % PIXELS == 2 and width > PIXELS and height % 2 == 0
    depth = _up(len(b.derived[0].weights), LANES)
    group = b.out.channels // 2 * (depth // 2 + 20)
    heights = (1, 2) if pair and patch_of(b) else (1,)
    return {
        rows: height // rows * (_up(rows * width, PIXELS) // PIXELS) * group for rows in heights
    }


def _up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


# -- depthwise ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Patch:
    """A channel's part of the patch buffer: columns of four bytes, one of each row."""

    rows: int  # that one output line needs
    columns: int
    left: int  # columns of zero points before the row
    right: int  # and behind it, as many as windows reach


def patch_of(b: StageBuilder) -> Patch | None:
    """How the buffer is filled; None if the fast depthwise doesn't serve this shape."""
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
        columns = plane  # what is spare in the planes serves as the borders
    return Patch(layer.kernel[0], columns, left, right)


def _depthwise(b: StageBuilder, patch: Patch, rows: list[Any], tile: Any) -> None:
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
            "mbn_mve_depthwise",
            *(b.address(row, group * GROUP, 0) for row in four),
            b.address(words, group, 0),
            b.address(buffer, 0, 0),
            b.address(tile, line * width, group * GROUP),
            b.in_layout().plane_bytes,
            count,
            len(window),
            1 if len(window) == patch.rows else 2,
            patch.columns,
            patch.left,
            patch.right,
            b.source.width,
            b.source.zero_point,
            width,
            layer.stride[1],
            depth,
            rounding_code(derived),
            derived.low,
            derived.high,
        )


def depthwise_words(derived: WeightedConstants) -> NDArray[np.int32]:
    """ceil(C / 4) rows of 24 words or more: see runtime/kernels/mve/depthwise.h."""
    taps = derived.weights
    count, (height, width) = len(taps), taps.shape[1:3]
    groups = _up(count, GROUP) // GROUP
    windows = np.zeros((groups * GROUP, WINDOW, WINDOW), np.int8)  # channel, column, row
    windows[:count, :width, :height] = taps.reshape(count, height, width).transpose(0, 2, 1)
    parts = [windows.reshape(groups, -1).view("<i4")]
    single = isinstance(derived, SingleConstants)
    factor = derived.doubled if single else derived.multiplier
    parts += [_table(word, GROUP) for word in (derived.bias, factor, *_words(derived))]
    return np.concatenate(parts, axis=1).astype(np.int32)


def _words(derived: WeightedConstants) -> tuple[NDArray[np.int32], ...]:
    """What follows the multipliers; `tflite`'s right shifts negated, as VSHL takes them."""
    if isinstance(derived, SingleConstants):
        return derived.words
    offset, right = derived.words
    return (offset, -right)


def _table(values: NDArray[np.int32], step: int) -> NDArray[np.int32]:
    """Channels in rows of `step`, the last one filled with zeros."""
    full = np.zeros(_up(len(values), step), np.int32)
    full[: len(values)] = values
    return full.reshape(-1, step)


# -- pointwise ---------------------------------------------------------------------------------


def pointwise_stream(derived: WeightedConstants) -> NDArray[np.int32]:
    """ceil(N / 2) streams of weights, biases, multipliers and what else requantises; an odd last
    channel is paired with zeros. See runtime/kernels/mve/pointwise.h."""
    count = len(derived.weights)
    weights = derived.weights.reshape(count, -1)
    depth, couples = _up(weights.shape[1], LANES), _up(count, 2) // 2
    padded = np.zeros((2 * couples, depth), np.int8)
    padded[:count, : weights.shape[1]] = weights
    steps = padded.reshape(couples, 2, depth // LANES, LANES).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(steps).reshape(couples, -1).view("<i4")
    columns = (derived.bias, derived.multiplier, *_words(derived))
    parts = [_table(word, 2) for word in columns]
    return np.concatenate([words, *parts], axis=1).astype(np.int32)


@dataclass(frozen=True)
class _Group:
    """Up to four pixels of one call: tile and row positions; a split group's second half is the
    end of the band's next row."""

    pixel: Any  # in the tile
    row: int
    x: Any
    count: int
    split: bool = False


def _pointwise_band(b: StageBuilder, index: int, tile: Any, out: Any) -> None:
    """All groups of a band: couples of channels outside, groups inside."""
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
            if b.band_rows == 2:  # first, since it spoils bytes that the next groups make
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
    """All whole groups of a row of one band, before what is left of the row."""
    derived = b.derived[index]
    tile, stream, out = buffers
    total, depth = (int(size) for size in tile.ty.shape)
    streams, words = (int(size) for size in stream.ty.shape)
    reads = [tile[0:total, 0:depth], stream[0:streams, 0:words]]
    writes = [out[0, 0 : b.out.channels, 0 : b.out.width]]
    with b.block("pointwise_row", reads, writes) as axis:
        couple = axis.spatial(streams, n)
        b.call(
            "mbn_mve_pointwise_row",
            b.address(tile, 0, 0),
            b.address(stream, couple, 0),
            b.address(out, 0, couple * 2, 0),
            b.out_plane_bytes(),
            depth,
            groups,
            rounding_code(derived),
            derived.low,
            derived.high,
        )


def _pointwise_call(
    b: StageBuilder,
    index: int,
    buffers: tuple[Any, Any, Any],
    couples: tuple[Any, int, int],
    group: _Group,
) -> None:
    derived, width = b.derived[index], b.out.width
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
            "mbn_mve_pointwise",
            b.address(tile, pixel, 0),
            b.address(tile, far, 0),
            b.address(stream, couple, 0),
            b.address(out, group.row, couple * 2, x),
            b.address(out, *other),
            b.out_plane_bytes(),
            depth,
            group.count,
            channels,
            int(group.split),
            rounding_code(derived),
            derived.low,
            derived.high,
        )


# -- convolution -------------------------------------------------------------------------------


def convolution(b: StageBuilder) -> bool:
    """im2col into a tile, of a row where that is small, else of four pixels; then the pointwise
    body over all channels."""
    if not b.short_rounding:
        return False
    derived = b.derived[0]
    taps = int(np.prod(derived.weights.shape[1:]))
    depth = _up(taps, LANES)
    beyond = PIXELS if b.out.width >= PIXELS else 0
    if (b.out.width + beyond) * depth <= ROW_BYTES_MAX or b.out.width == 1:
        _convolve_row(b, depth, b.out.width + beyond)
        how = "a row's pixels"
    else:
        _convolve_groups(b, depth)
        how = f"{PIXELS} pixels"
    b.decision = f"mve: im2col of {how}, {taps} taps in {depth}; 4 pixels x 2 channels"
    return True


def _convolve_row(b: StageBuilder, depth: int, pixels: int) -> None:
    layer = b.layers[0]
    rows, out = b.in_rows(), b.out_band()
    tile = b.scratch("tile", "int8", (pixels, depth))
    row = [Span(0, 1, True)]
    if layer.op is not Op.DENSE:
        row = spans(b.out.width, b.source.width, layer.kernel[1], layer.stride[1], layer.pads[1])
    for number, span in enumerate(row):
        with b.loop(span.stop - span.start, "x") as x:
            pixel = _Pixel(x + span.start, span.start, span.interior, x + span.start, pixels)
            _gather(b, rows, tile, pixel, f"gather{number}")
    _pointwise_band(b, 0, tile, out)


def _convolve_groups(b: StageBuilder, depth: int) -> None:
    rows, out = b.in_rows(), b.out_row()
    tile = b.scratch("tile", "int8", (PIXELS, depth))
    stream = b.const("weights", pointwise_stream(b.derived[0]), "streams, two channels each")
    for number, span in enumerate(group_spans(b, PIXELS)):
        pixels = min(PIXELS, b.out.width - span.start * PIXELS)
        with b.loop(span.stop - span.start, "g") as g:
            group = g + span.start
            for index in range(pixels):
                x, first = group * PIXELS + index, span.start * PIXELS + index
                pixel = _Pixel(x, first, span.interior, index, PIXELS)
                _gather(b, rows, tile, pixel, f"gather{number}_{index}")
            _convolution_calls(b, tile, stream, out, group, pixels, number)


@dataclass(frozen=True)
class _Pixel:
    """An output pixel whose window is gathered."""

    x: Any
    first: int  # the least value of x; the only one where the window isn't inside the map
    interior: bool
    slot: Any  # in a tile of `slots` pixels
    slots: int


def _gather(b: StageBuilder, rows: list[Any], tile: Any, pixel: _Pixel, name: str) -> None:
    """One pixel's window into the tile, runs of bytes where the input has them so."""
    layer = b.layers[0]
    dense = layer.op is Op.DENSE
    kernel = 1 if dense else layer.kernel[1]
    channels = b.source.channels * (b.source.width if dense else 1)
    begin, end = 0, kernel  # the kernel's columns that lie in the map
    if not dense and not pixel.interior:
        edge = pixel.first * layer.stride[1] - layer.pads[1]
        begin, end = max(0, -edge), min(kernel, b.source.width - edge)
    column = 0 if dense else pixel.x * layer.stride[1] - layer.pads[1]
    between, step = b.in_layout().strides
    contiguous = between == 1 and step == b.source.channels
    for ky, row in enumerate(rows):
        start = ky * kernel * channels
        if contiguous and begin < end:
            to = (tile, pixel, start + begin * channels)
            _copy(b, to, row, column + begin, (end - begin) * channels, f"{name}_{ky}")
        for kx in range(kernel):
            at = start + kx * channels
            if not begin <= kx < end:
                _fill(b, tile, pixel, at, channels, f"{name}_{ky}_{kx}")
            elif not contiguous:
                source = None if dense else column + kx
                _spread(b, (tile, pixel, at), row, source, channels, f"{name}_{ky}_{kx}")


def _slot(axis: Any, pixel: _Pixel) -> Any:
    return pixel.slot if isinstance(pixel.slot, int) else axis.spatial(pixel.slots, pixel.slot)


def _spread(
    b: StageBuilder, to: tuple[Any, _Pixel, int], row: Any, column: Any, channels: int, name: str
) -> None:
    """A planar row's pixel, or (column None) the whole row in canonical order."""
    tile, pixel, start = to
    inner = b.source.channels
    with b.loop(channels, "c") as c, b.block(name) as axis:
        slot, channel = _slot(axis, pixel), axis.spatial(channels, c)
        if column is None:
            value = row[channel % inner, channel // inner]
        else:
            value = row[channel, axis.spatial(b.source.width, column)]
        b.script.buffer_store(tile, value, [slot, channel + start])


def _fill(b: StageBuilder, tile: Any, pixel: _Pixel, start: int, count: int, name: str) -> None:
    """Zero points, outside the map."""
    with b.loop(count, "c") as c, b.block(name) as axis:
        slot, channel = _slot(axis, pixel), axis.spatial(count, c)
        zero = b.script.int8(b.source.zero_point)
        b.script.buffer_store(tile, zero, [slot, channel + start])


def _copy(
    b: StageBuilder, to: tuple[Any, _Pixel, int], row: Any, column: Any, count: int, name: str
) -> None:
    """`count` bytes of an interleaved row, from a pixel's first channel on."""
    tile, pixel, start = to
    reads = [row[0 : b.source.channels, 0 : b.source.width]]
    writes = [tile[0 : pixel.slots, start : start + count]]
    with b.block(name, reads, writes) as axis:
        at = column if isinstance(column, int) else axis.spatial(b.source.width, column)
        slot = _slot(axis, pixel)
        b.call("mbn_mve_copy", b.address(tile, slot, start), b.address(row, 0, at), count)


def _convolution_calls(
    b: StageBuilder, tile: Any, stream: Any, out: Any, group: Any, pixels: int, number: int
) -> None:
    derived, count = b.derived[0], b.out.channels
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
            at = axis.spatial(_up(b.out.width, PIXELS) // PIXELS, group)
            b.call(
                "mbn_mve_pointwise",
                b.address(tile, 0, 0),
                b.address(tile, 2, 0),
                b.address(stream, couple, 0),
                b.address(out, couple * 2, at * PIXELS),
                b.address(out, couple * 2, at * PIXELS),
                b.out_plane_bytes(),
                depth,
                pixels,
                channels,
                0,
                rounding_code(derived),
                derived.low,
                derived.high,
            )
