"""The portable kernel set: every kind of stage, any shape, any core, and the host.

A convolution is computed in blocks of up to three pixels by two channels
(runtime/kernels/scalar/blocked.h). A block reads its values from the input rows (1x1), from
gathered windows, or from the one-row tile that a depthwise fills. Windows and tiles are [group of
pixels][tap][pixel], without gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import (
    TfliteAverage,
)
from mbn.core.network import Layer, Op
from mbn.passes.kernels import bodies
from mbn.passes.kernels.bodies import numbered
from mbn.passes.kernels.stage_builder import Requantiser, Span, StageBuilder, spans

Store = Callable[[Any, Any, Any], None]  # channel, pixel, int8 value

PIXELS, CHANNELS = 3, 2  # of one block: six sums and their operands fit in the registers


@dataclass(frozen=True)
class Run:
    """Neighbouring groups of `pixels` output pixels with the same padding."""

    start: int  # the first group's first pixel
    count: int
    pixels: int

    def behind(self, pixel: int) -> Run:
        """Those of its groups that begin at `pixel` or behind."""
        before = min(self.count, max(0, -(-(pixel - self.start) // self.pixels)))
        return Run(self.start + before * self.pixels, self.count - before, self.pixels)


@dataclass(frozen=True)
class Taps:
    """Where a group's input values are. Tap k of pixel p is at byte k * step + p * across from
    `at`, which is given the group's first pixel."""

    buffer: Any
    at: Callable[[Any], tuple[Any, ...]]
    step: int
    across: int


def groups(width: int) -> list[tuple[int, int]]:
    """Start and size of each group of a row. Four pixels at the end become two groups of two."""
    found, start = [], 0
    while start < width:
        left = width - start
        size = 2 if left in (2, 4) else min(PIXELS, left)
        found.append((start, size))
        start += size
    return found


def runs(b: StageBuilder, width: int, kernel: int) -> list[Run]:
    """The groups of an output row of the first layer. Neighbouring groups of equal size inside the
    map form one run."""
    result: list[Run] = []
    alike = False
    for start, size in groups(width):
        inside = kernel == 1 or not any(outside(b, start, size, kernel))
        last = result[-1] if result else None
        if last and alike and inside and last.pixels == size:
            result[-1] = Run(last.start, last.count + 1, size)
        else:
            result.append(Run(start, 1, size))
        alike = inside
    return result


def outside(b: StageBuilder, start: int, pixels: int, kernel: int) -> tuple[int, int]:
    """How many columns of a group's windows lie left and right of the map."""
    layer = b.layers[0]
    first = start * layer.stride[1] - layer.pads[1]
    stop = first + (pixels - 1) * layer.stride[1] + kernel
    columns = stop - first
    return min(columns, max(0, -first)), min(columns, max(0, stop - b.source.width))


def convolution(b: StageBuilder) -> bool:
    """Any convolution, pointwise and dense included."""
    layer = b.layers[0]
    if layer.groups > 1:
        return _grouped(b)
    rows, out = b.in_rows(), b.out_row()
    taps = b.derived[0].weights[0].size
    dense = layer.op is Op.DENSE
    direct = b.source.width == 1 == len(rows) if dense else layer.kernel == (1, 1)
    direct = direct and not any(layer.pads)
    if direct:
        between, beside = b.in_layout().strides
        stride = layer.stride[1]
        source = Taps(rows[0], lambda x: (0, x * stride), between, beside * stride)
        body = Blocks(b, 0, "conv", out, source)
        for run in runs(b, b.out.width, 1):
            body.run(run)
        b.decision = f"scalar: {PIXELS} pixels x {CHANNELS} channels, {taps} taps in place"
        return True
    patch = b.scratch("patch", "int8", (taps * min(PIXELS, b.out.width),))
    kernel = 1 if dense else layer.kernel[1]
    body = Blocks(b, 0, "conv", out, Taps(patch, lambda _x: (0,), 0, 1))
    for run in runs(b, b.out.width, kernel):
        with b.loop(run.count, "g") as g:
            start = run.start + g * run.pixels
            if dense:
                _gather_map(b, rows, patch)
            else:
                gather_group(b, rows, patch, run, start)
            body.group(run, start)
    b.decision = f"scalar: {PIXELS} pixels x {CHANNELS} channels, windows of {taps} gathered"
    return True


def _grouped(b: StageBuilder) -> bool:
    """A convolution in groups of channels: each gathers the windows of its own input channels."""
    layer, rows, out = b.layers[0], b.in_rows(), b.out_row()
    weights = b.derived[0].weights
    taps, each = weights[0].size, b.out.channels // layer.groups
    patch = b.scratch("patch", "int8", (taps * min(PIXELS, b.out.width),))
    body = Blocks(b, 0, "conv", out, Taps(patch, lambda _x: (0,), 0, 1), groups=layer.groups)
    channels = b.source.channels // layer.groups
    for run in runs(b, b.out.width, layer.kernel[1]):
        with b.loop(run.count, "g") as g, b.loop(layer.groups, "of") as of:
            start = run.start + g * run.pixels
            gather_group(b, rows, patch, run, start, (of * channels, channels))
            body.group(run, start, (of * each, each))
    b.decision = (
        f"scalar: {layer.groups} groups, {PIXELS} pixels x {CHANNELS} channels, windows of {taps}"
    )
    return True


def _gather_map(b: StageBuilder, rows: list[Any], patch: Any) -> None:
    """A dense layer's input in the canonical order: row, pixel, channel."""
    width, channels = b.source.width, b.source.channels
    for y, row in enumerate(rows):
        with b.loop(width, "x") as x, b.loop(channels, "c") as c, b.block(f"map{y}") as axis:
            at, channel = axis.spatial(width, x), axis.spatial(channels, c)
            b.script.buffer_store(patch, row[channel, at], [(y * width + at) * channels + channel])


def gather_group(
    b: StageBuilder,
    rows: list[Any],
    patch: Any,
    run: Run,
    start: Any,
    some: tuple[Any, int] | None = None,
    *,
    at: Any = 0,
    lifted: bool = False,
) -> None:
    """Copies a group's windows: kernel row, column, channel, pixel. `some`: only that many input
    channels, from the first one. at: bytes of `patch` before them. lifted: it is a tile of
    scalar/couples.h."""
    layer = b.layers[0]
    channel, channels = some or (0, b.source.channels)
    between, beside = b.in_layout().strides
    across = layer.kernel[1]
    left, right = outside(b, run.start, run.pixels, across)
    for ky, row in enumerate(rows):
        reads = [row[0 : b.source.channels, 0 : b.source.width]]
        with b.block(f"gather{run.start}_{ky}", reads, [whole(patch)]) as axis:
            x = axis.spatial(b.out.width, start)
            first = x * layer.stride[1] + (left - layer.pads[1])
            if left + right >= (run.pixels - 1) * layer.stride[1] + across:
                first = 0  # nothing is read
            before = axis.spatial(int(patch.ty.shape[0]), at)
            b.call(
                bodies.SCALAR_WINDOWS,
                source=b.address(row, channel, first),
                to=b.address(patch, before + ky * across * channels * run.pixels),
                channels=channels,
                between=between,
                beside=beside,
                across=across,
                stride=layer.stride[1],
                pixels=run.pixels,
                left=left,
                right=right,
                zero=b.source.zero_point,
                lifted=int(lifted),
            )


class Blocks:
    """A convolution, computed in blocks of pixels by channels: its weights, and calls for
    groups."""

    def __init__(
        self, b: StageBuilder, index: int, prefix: str, out: Any, taps: Taps, *, groups: int = 1
    ) -> None:
        self.b, self.out, self.source = b, out, taps
        weights = b.derived[index].weights
        self.taps = weights[0].size
        packed = np.concatenate([in_couples(one) for one in np.split(weights, groups)])
        self.table = b.const("weights", packed, "pairs of channels, (kh, kw, C) x 2")
        self.tables = b.requantiser(index, prefix)

    def run(self, run: Run) -> None:
        """All groups of a run."""
        with self.b.loop(run.count, "g") as g:
            self.group(run, run.start + g * run.pixels)

    def group(self, run: Run, start: Any, some: tuple[Any, int] | None = None) -> None:
        """All channels of the group that begins at pixel `start`; or `some`: the first one and how
        many."""
        first, count = some or (0, self.b.out.channels)
        if count >= CHANNELS:
            with self.b.loop(count // CHANNELS, "n") as n:
                self._block(run, start, first + n * CHANNELS, CHANNELS)
        if count % CHANNELS:
            self._block(run, start, first + (count - 1), 1)

    def _block(self, run: Run, start: Any, channel: Any, channels: int) -> None:
        b, source, out = self.b, self.source, self.out
        reads = [whole(each) for each in (source.buffer, self.table, self.tables.bias)]
        reads += [whole(word) for word in self.tables.words]
        with b.block(f"block{run.start}_{channels}", reads, [whole(out)]) as axis:
            x = axis.spatial(b.out.width, start)
            n = axis.spatial(b.out.channels, channel)
            b.call(
                bodies.SCALAR_BLOCK,
                x=b.address(source.buffer, *source.at(x)),
                w=b.address(self.table, n * self.taps),
                **requantising(b, self.tables, n),
                out=b.address(out, n, x),
                taps=self.taps,
                step=source.step or run.pixels,
                across=source.across,
                pixels=run.pixels,
                channels=channels,
                plane=b.out_plane_bytes(),
                **bodies.ends(self.tables.derived),
            )


def in_couples(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Flat weights, two output channels interleaved tap by tap. A last odd channel is left as it
    is."""
    rows = weights.reshape(len(weights), -1)
    even = len(rows) // CHANNELS * CHANNELS
    couples = rows[:even].reshape(-1, CHANNELS, rows.shape[1]).transpose(0, 2, 1)
    return np.concatenate([couples.reshape(-1), rows[even:].reshape(-1)])


def whole(buffer: Any) -> Any:
    """The region of a whole buffer."""
    return buffer[tuple(slice(0, int(size)) for size in buffer.ty.shape)]


def requantising(b: StageBuilder, tables: Requantiser, channel: Any) -> dict[str, Any]:
    """Addresses of bias, multiplier and two more words. If the rounding has fewer words, the
    multiplier fills in; it is not read."""
    words = (tables.bias, *tables.words, *tables.words[:1] * (3 - len(tables.words)))
    names = ("bias", "m", "z", "e")
    return {name: b.address(word, channel) for name, word in zip(names, words, strict=True)}


def block(b: StageBuilder) -> bool:
    """A depthwise into a tile of one row, then a pointwise from the tile."""
    depth = len(b.derived[0].weights)
    rows, out = b.in_rows(), b.out_row()
    tile = b.scratch("tile", "int8", (b.out.width * depth,))
    if b.layers[0].kernel == (3, 3):
        depthwise3x3(b, rows, tile, lambda run, c, x: (x * depth + c * run.pixels,))
        how, taps = f"depthwise by {PIXELS} pixels", Taps(tile, lambda x: (x * depth,), 0, 1)
    else:

        def store(channel: Any, x: Any, value: Any) -> None:
            b.script.buffer_store(tile, value, [x * depth + channel])

        depthwise_row(b, rows, store)
        how, taps = "depthwise by portable loops", Taps(tile, lambda x: (x * depth,), 1, depth)
    body = Blocks(b, 1, "pointwise", out, taps)
    for run in runs(b, b.out.width, 1):
        body.run(run)
    b.reads_before_writing = True
    b.decision = (
        f"scalar: {how}, tile of {b.out.width} pixels x {depth} channels, "
        f"pointwise {PIXELS} pixels x {CHANNELS} channels"
    )
    return True


def depthwise(b: StageBuilder) -> bool:
    """A depthwise layer that is not in a block: any kernel, stride, padding and multiplier."""
    rows, out = b.in_rows(), b.out_row()
    if b.layers[0].kernel == (3, 3):
        depthwise3x3(b, rows, out, lambda _run, channel, x: (channel, x))
        b.decision = f"scalar: {PIXELS} pixels of a channel at a time"
        return True
    depthwise_row(
        b, rows, lambda channel, x, value: b.script.buffer_store(out, value, [channel, x])
    )
    b.decision = "scalar: channel by channel, taps unrolled"
    return True


def depthwise3x3(
    b: StageBuilder, rows: list[Any], to: Any, place: Callable[[Run, Any, Any], tuple[Any, ...]]
) -> None:
    """One output row of the first layer, a 3x3, by groups of pixels. `place` returns a group's
    index in `to`, from its run, channel and first pixel; the group's pixels lie side by side
    there."""
    layer, count = b.layers[0], len(b.derived[0].weights)
    multiplier = count // b.source.channels
    table = b.const("depthwise", b.derived[0].weights.reshape(-1), "depthwise, C x (kh, kw)")
    tables = b.requantiser(0, "depthwise")
    width = b.network.tensor(layer.output).width
    reads = [whole(each) for each in (*rows, table, tables.bias, *tables.words)]
    with b.loop(count, "c") as c:
        for run in runs(b, width, 3):
            left, right = outside(b, run.start, run.pixels, 3)
            name = f"depthwise{run.start}"
            with b.loop(run.count, "g") as g, b.block(name, reads, [whole(to)]) as axis:
                channel = axis.spatial(count, c)
                x = axis.spatial(width, run.start + g * run.pixels)
                first = x * layer.stride[1] + (left - layer.pads[1])
                if left + right >= (run.pixels - 1) * layer.stride[1] + 3:
                    first = 0  # nothing is read
                addresses = [b.address(row, channel // multiplier, first) for row in rows]
                b.call(
                    bodies.SCALAR_DEPTHWISE,
                    **numbered("row", addresses),
                    w=b.address(table, channel * 9),
                    **requantising(b, tables, channel),
                    out=b.address(to, *place(run, channel, x)),
                    stride=layer.stride[1],
                    step=b.in_layout().strides[1],
                    pixels=run.pixels,
                    left=left,
                    right=right,
                    zero=b.source.zero_point,
                    lifted=0,
                    **bodies.ends(tables.derived),
                )


def depthwise_row(b: StageBuilder, rows: list[Any], store: Store) -> None:
    """One output row of the stage's first layer. `store` is called for each value."""
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


def _edge(span: Span, layer: Layer, kx: int) -> int:
    """The input column of tap kx at an edge pixel (whose span is one wide)."""
    return span.start * layer.stride[1] + kx - layer.pads[1]


def _tap(b: StageBuilder, row: Any, channel: Any, at: Any, span: Span, kx: int) -> Any:
    layer = b.layers[0]
    if not span.interior and not 0 <= _edge(span, layer, kx) < b.source.width:
        return b.script.int32(b.source.zero_point)
    return b.script.cast(row[channel, at * layer.stride[1] + (kx - layer.pads[1])], "int32")


def pool(b: StageBuilder) -> bool:
    """Average pool without padding."""
    layer = b.layers[0]
    rows, out = b.in_rows(), b.out_row()
    average = b.special if isinstance(b.special, TfliteAverage) else None
    tables = None if average else b.requantiser(0, "pool")
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
            if average is None:
                assert tables is not None
                value = b.requantised(sum_[0], tables, 0)
            else:
                count = b.script.int32(average.count)
                mean = b.value(bodies.AVERAGE, sum=sum_[0], count=count)
                value = b.clamped(mean, average)
            b.script.buffer_store(out, value, [channel, at])
    b.decision = "scalar: sums in int32, channel by channel"
    return True
