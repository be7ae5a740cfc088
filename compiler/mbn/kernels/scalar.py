"""The portable kernel set: every kind of stage, any shape, any core, and the host.

What enters: a StageBuilder. What leaves: S-TIR in it, and a schedule. Always holds: a
convolution gathers the window of one pixel into a vector and takes one dot product an output
channel (a tensor intrinsic); a block's depthwise fills a tile of one row, pixel by pixel with
channels side by side, that the dot products read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mbn import ir
from mbn.kernels import tensor_intrinsics
from mbn.kernels.stage_builder import Requantiser, Span, StageBuilder, spans

Store = Callable[[Any, Any, Any], None]  # channel, pixel, int8 value


def convolution(b: StageBuilder) -> bool:
    """Any convolution with groups 1, pointwise and dense included."""
    layer = b.layers[0]
    weights = b.derived[0].weights
    count, taps = len(weights), int(np.prod(weights.shape[1:]))
    rows, out = b.in_rows(), b.out_row()
    patch = b.scratch("patch", "int8", (1, taps))
    table = b.const("weights", weights.reshape(count, taps), "N x (kh, kw, C)")
    tables = b.requantiser(0, "conv")
    channels = b.source.channels * (b.source.width if layer.op is ir.Op.DENSE else 1)
    window = (len(rows), 1) if layer.op is ir.Op.DENSE else layer.kernel
    sum_ = b.script.sblock_alloc_buffer((1, 1), "int32")
    for index, span in enumerate(_row_spans(b)):
        with b.loop(span.stop - span.start, "x") as x:
            pixel = x + span.start
            gather_pixel(b, rows, patch, span, pixel, window, channels, f"gather{index}")
            _dots(b, sum_, patch, table, tables, out, pixel, 0, f"dot{index}")
    b.schedule = lambda sch: _tensorize(
        sch, [f"dot{index}" for index in range(len(_row_spans(b)))], taps
    )
    b.decision = f"scalar: one pixel's window of {taps} gathered, a dot product a channel"
    return True


def _row_spans(b: StageBuilder) -> list[Span]:
    layer = b.layers[0]
    if layer.op is ir.Op.DENSE:
        return [Span(0, 1, True)]
    return spans(b.out.width, b.source.width, layer.kernel[1], layer.stride[1], layer.pads[1])


def gather_pixel(
    b: StageBuilder,
    rows: list[Any],
    patch: Any,
    span: Span,
    pixel: Any,
    window: tuple[int, int],
    channels: int,
    name: str,
) -> None:
    """Copies one output pixel's window to patch[0]: kernel row, column, channel."""
    layer, width = b.layers[0], b.source.width
    dense = layer.op is ir.Op.DENSE
    for ky in range(window[0]):
        for kx in range(window[1]):
            first = (ky * window[1] + kx) * channels
            column = pixel * layer.stride[1] + (kx - layer.pads[1]) if not dense else 0
            outside = not span.interior and not 0 <= _edge(span, layer, kx) < width
            with b.loop(channels, "c") as c, b.block(f"{name}_{ky}_{kx}") as axis:
                channel = axis.spatial(channels, c)
                if outside:
                    value = b.script.int8(b.source.zero_point)
                elif dense:  # the canonical order of a map: pixel, then channel
                    value = rows[ky][channel % b.source.channels, channel // b.source.channels]
                else:
                    at = axis.spatial(width, column)
                    value = rows[ky][channel, at]
                b.script.buffer_store(patch, value, [0, channel + first])


def _edge(span: Span, layer: ir.Layer, kx: int) -> int:
    """The input column of tap kx at an edge pixel (whose span is one wide)."""
    return span.start * layer.stride[1] + kx - layer.pads[1]


def _dots(
    b: StageBuilder,
    sum_: Any,
    vectors: Any,
    table: Any,
    tables: Requantiser,
    out: Any,
    pixel: Any,
    vector: Any,
    name: str,
) -> None:
    """out[n, pixel] for all n: bias, dot product of vectors[vector] with table[n], requantise."""
    count, taps = (int(size) for size in table.ty.shape)
    with b.loop(count, "n") as n:
        with b.block(f"{name}_bias") as axis:
            b.script.buffer_store(sum_, tables.bias[axis.spatial(count, n)], [0, 0])
        with b.loop(taps, "k") as k, b.block(name) as axis:
            channel = axis.spatial(count, n)
            row = axis.spatial(int(vectors.ty.shape[0]), vector)
            tap = axis.reduce(taps, k)
            product = b.script.cast(vectors[row, tap], "int32") * b.script.cast(
                table[channel, tap], "int32"
            )
            b.script.buffer_store(sum_, sum_[0, 0] + product, [0, 0])
        with b.block(f"{name}_store") as axis:
            channel = axis.spatial(count, n)
            at = axis.spatial(b.out.width, pixel)
            value = b.requantised(sum_[0, 0], tables, channel)
            b.script.buffer_store(out, value, [channel, at])


def _tensorize(sch: Any, names: list[str], taps: int) -> None:
    for name in names:
        if taps > 1:  # a loop of one turn is no loop
            loop = sch.get_loops(sch.get_sblock(name))[-1]
            sch.tensorize(loop, tensor_intrinsics.dot(taps))


def block(b: StageBuilder) -> bool:
    """The paper's unit: depthwise into a tile of one row, pointwise out of it."""
    depth = len(b.derived[0].weights)
    weights = b.derived[1].weights
    rows, out = b.in_rows(), b.out_row()
    tile = b.scratch("tile", "int8", (b.out.width, depth))
    depthwise_row(
        b, rows, lambda channel, x, value: b.script.buffer_store(tile, value, [x, channel])
    )
    table = b.const("weights", weights.reshape(len(weights), depth), "pointwise, N x K")
    tables = b.requantiser(1, "pointwise")
    sum_ = b.script.sblock_alloc_buffer((1, 1), "int32")
    with b.loop(b.out.width, "x") as x:
        _dots(b, sum_, tile, table, tables, out, x, x, "dot")
    b.schedule = lambda sch: _tensorize(sch, ["dot"], depth)
    b.reads_before_writing = True
    b.decision = f"scalar: tile of {b.out.width} pixels x {depth} channels, a dot product a value"
    return True


def depthwise(b: StageBuilder) -> bool:
    """A depthwise layer that stands alone, any kernel, stride, padding and multiplier."""
    rows, out = b.in_rows(), b.out_row()
    depthwise_row(
        b, rows, lambda channel, x, value: b.script.buffer_store(out, value, [channel, x])
    )
    b.decision = "scalar: channel by channel, taps unrolled"
    return True


def depthwise_row(b: StageBuilder, rows: list[Any], store: Store) -> None:
    """One output row of the stage's first layer, given to `store` value by value."""
    layer = b.layers[0]
    weights = b.derived[0].weights
    count, (height, width) = len(weights), layer.kernel
    multiplier = count // b.source.channels
    table = b.const("depthwise", weights.reshape(count, height * width), "depthwise, C x (kh, kw)")
    tables = b.requantiser(0, "depthwise")
    row = spans(
        b.network.tensor(layer.output).width,
        b.source.width,
        width,
        layer.stride[1],
        layer.pads[1],
    )
    with b.loop(count, "c") as c:
        for index, span in enumerate(row):
            with b.loop(span.stop - span.start, "x") as x, b.block(f"depthwise{index}") as axis:
                channel = axis.spatial(count, c)
                at = axis.spatial(span.stop, x + span.start)
                total = tables.bias[channel]
                for ky in range(height):
                    for kx in range(width):
                        value = _tap(b, rows[ky], channel // multiplier, at, span, kx)
                        weight = b.script.cast(table[channel, ky * width + kx], "int32")
                        total = total + value * weight
                store(channel, at, b.requantised(total, tables, channel))


def _tap(b: StageBuilder, row: Any, channel: Any, at: Any, span: Span, kx: int) -> Any:
    layer = b.layers[0]
    if not span.interior and not 0 <= _edge(span, layer, kx) < b.source.width:
        return b.script.int32(b.source.zero_point)
    return b.script.cast(row[channel, at * layer.stride[1] + (kx - layer.pads[1])], "int32")


def addition(b: StageBuilder) -> bool:
    """Two maps of one shape, value by value."""
    derived = b.addition()
    if isinstance(derived, ir.TfliteAddition):
        function, meaning = "mbn_scalar_add_tflite", "zero points, multipliers, shifts, clamp"
        words = [*derived.zero_points, *derived.multipliers, *derived.shifts]
        words += [derived.low, derived.high]
        numbers: tuple[int, ...] = ()
    else:
        function, meaning = "mbn_scalar_add", "m_a, m_b, C + half (low, high word)"
        words = [derived.first, derived.second]
        words += [derived.offset & 0xFFFFFFFF, derived.offset >> 32]
        numbers = (derived.shift, derived.low, derived.high)
    packed = np.array(words, np.int64).astype(np.uint32, casting="unsafe").view(np.int32)
    (first,), second, out = b.in_rows(), b.second_row(), b.out_row()
    table = b.const("addition", packed, meaning)
    width, channels = b.out.width, b.out.channels
    strips = all(layout.strides[1] == 1 for layout in b.addend_layouts())  # not of the image
    extents = (1, width) if strips else (width, 1)
    with b.loop(channels, "c") as c, b.loop(extents[0], "x") as x:
        reads = [row[0:channels, 0:width] for row in (first, second)]
        with b.block("add", reads, [out[0:channels, 0:width]]) as axis:
            channel, at = axis.spatial(channels, c), axis.spatial(width, x)
            rows = (b.address(row, channel, at) for row in (first, second, out))
            b.call(function, *rows, extents[1], b.address(table, 0), *numbers)
    b.decision = "scalar: sums in 64 bits, channel by channel"
    return True


def pool(b: StageBuilder) -> bool:
    """Average pool without padding."""
    layer = b.layers[0]
    rows, out = b.in_rows(), b.out_row()
    derived = b.derived[0]
    tables = b.requantiser(0, "pool") if derived.shift >= 0 else None
    channels, width = b.out.channels, b.out.width
    sum_ = b.script.sblock_alloc_buffer((1,), "int32")
    with b.loop(channels, "c") as c, b.loop(width, "x") as x:
        with b.block("bias"):
            b.script.buffer_store(sum_, tables.bias[0] if tables else b.script.int32(0), [0])
        with b.loop(layer.kernel[1], "k") as k, b.block("sum") as axis:
            channel, at = axis.spatial(channels, c), axis.spatial(width, x)
            tap = axis.reduce(layer.kernel[1], k)
            total = sum_[0]
            for row in rows:
                column = at * layer.stride[1] + tap
                total = total + b.script.cast(row[channel, column], "int32")
            b.script.buffer_store(sum_, total, [0])
        with b.block("store") as axis:
            channel, at = axis.spatial(channels, c), axis.spatial(width, x)
            if tables:
                value = b.requantised(sum_[0], tables, 0)
            else:
                count = b.script.int32(int(derived.offset[0]))
                average = b.script.call_extern("int32", "mbn_average", sum_[0], count)
                value = b.clamped(average, derived)
            b.script.buffer_store(out, value, [channel, at])
    b.decision = "scalar: sums in int32, channel by channel"
    return True


def softmax(b: StageBuilder) -> bool:
    """Rounding `tflite`'s, over the channels of one pixel."""
    derived, count = b.derived[0], b.out.channels
    (row,), out = b.in_rows(), b.out_row()
    assert derived.exponent is not None
    with b.block("softmax", [row[0:count, 0]], [out[0:count, 0]]):
        b.call(
            "mbn_softmax",
            b.address(row, 0, 0),
            b.address(out, 0, 0),
            count,
            int(derived.multiplier[0]),
            int(derived.exponent[0]),
            int(derived.offset[0]),
        )
    b.decision = "scalar: TensorFlow Lite's softmax in fixed point"
    return True
