"""What lies between convolutions, for any core: tables, sums, products, max pools, moves, resizes,
softmax and unit length.

All are loops over channels and pixels that TVM prints; rows are (channel, pixel) buffers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import (
    AdditionConstants,
    PlainConstants,
    ProductConstants,
    TableConstants,
    TfliteAddition,
    TfliteProduct,
    TfliteSoftmax,
)
from mbn.core.network import Sampling
from mbn.core.options import Rounding
from mbn.passes.kernels import bodies
from mbn.passes.kernels.scalar import whole
from mbn.passes.kernels.stage_builder import StageBuilder

MOST_RUNS = 4  # of neighbouring channels; more are read from a table


def table(b: StageBuilder) -> bool:
    """Each value looked up."""
    derived, (row,), out = b.special, b.in_rows(), b.out_row()
    assert isinstance(derived, TableConstants)
    codes = b.const("table", derived.table.reshape(-1), "what -128 .. 127 become")
    channels, width = b.out.channels, b.out.width
    each = 256 if len(derived.table) > 1 else 0
    with b.loop(channels, "c") as c, b.loop(width, "x") as x:
        reads = [row[0:channels, 0:width], codes[0 : derived.table.size]]
        with b.block("table", reads, [out[0:channels, 0:width]]) as axis:
            channel, at = axis.spatial(channels, c), axis.spatial(width, x)
            code = b.script.cast(row[channel, at], "int32") + (channel * each + 128)
            b.script.buffer_store(out, codes[code], [channel, at])
    b.decision = "portable: looked up, " + ("a table a channel" if each else "one table")
    return True


def addition(b: StageBuilder) -> bool:
    """Two maps added value by value, or one value to each channel."""
    derived = b.addition()
    body = bodies.ADD_TFLITE if isinstance(derived, TfliteAddition) else bodies.ADD
    (first,), second, out = b.in_rows(), b.other_row(), b.out_row()
    table, numbers = addition_table(b, derived)
    width, channels = b.out.width, b.out.channels
    pixel = b.network.stage_inputs(b.stage)[1].width == 1 < width
    if pixel:
        turns, extents, count = channels, width, 1
    elif b.is_planar:  # the planes of all channels are one run
        turns, extents, count = 1, 1, b.row_values
    else:
        strips = all(layout.strides[1] == 1 for layout in b.in_layouts())  # not of the image
        turns, extents, count = (channels, 1, width) if strips else (channels, width, 1)
    with b.loop(turns, "c") as c, b.loop(extents, "x") as x:
        reads = [first[0:channels, 0:width], second[0:channels, 0 : 1 if pixel else width]]
        with b.block("add", reads, [out[0:channels, 0:width]]) as axis:
            channel, at = axis.spatial(channels, c), axis.spatial(width, x)
            b.call(
                body,
                a=b.address(first, channel, at),
                b=b.address(second, channel, 0 if pixel else at),
                out=b.address(out, channel, at),
                count=count,
                table=b.address(table, 0),
                **numbers,
            )
    b.decision = "scalar: sums in 64 bits, " + ("value by value" if pixel else "channel by channel")
    return True


def addition_table(
    b: StageBuilder, derived: AdditionConstants | TfliteAddition
) -> tuple[Any, dict[str, int]]:
    """The words that an addition's body reads, and what it takes besides as constants."""
    if isinstance(derived, TfliteAddition):
        meaning = "zero points, multipliers, shifts, clamp"
        words = [*derived.zero_points, *derived.multipliers, *derived.shifts]
        words += [derived.low, derived.high]
        numbers: dict[str, int] = {}
    else:
        meaning = "m_a, m_b, C + half (low, high word)"
        words = [derived.first, derived.second]
        words += [derived.offset & 0xFFFFFFFF, derived.offset >> 32]
        numbers = {"r": derived.shift, "low": derived.low, "high": derived.high}
    packed = np.array(words, np.int64).astype(np.uint32, casting="unsafe").view(np.int32)
    return b.const("addition", packed, meaning), numbers


def product(b: StageBuilder) -> bool:
    """Two maps multiplied value by value, or each channel by one value."""
    derived, script = b.special, b.script
    (first,), second, out = b.in_rows(), b.other_row(), b.out_row()
    assert isinstance(derived, ProductConstants | TfliteProduct)
    channels, width = b.out.channels, b.out.width
    gate = b.network.stage_inputs(b.stage)[1].width == 1
    with b.loop(channels, "c") as c, b.loop(width, "x") as x, b.block("product") as axis:
        channel, at = axis.spatial(channels, c), axis.spatial(width, x)
        a = script.cast(first[channel, at], "int32") - derived.first
        other = second[channel, 0 if gate else at]
        exact = a * (script.cast(other, "int32") - derived.second)
        value = b.clamped(_requantised(b, exact, derived), derived)
        script.buffer_store(out, value, [channel, at])
    b.decision = "portable: products, " + ("a factor a channel" if gate else "value by value")
    return True


def _requantised(b: StageBuilder, exact: Any, derived: ProductConstants | TfliteProduct) -> Any:
    """A product of two codes as a code, not yet clamped."""
    int32 = b.script.int32
    if isinstance(derived, ProductConstants):
        total = exact * (1 << derived.shift) + int32(derived.offset)
        return b.value(bodies.REQUANTISE, accumulator=total, doubled=int32(derived.doubled))
    left, right = max(derived.exponent, 0), max(-derived.exponent, 0)
    return b.value(
        bodies.REQUANTISE_TFLITE_ANY,
        accumulator=exact,
        multiplier=int32(derived.multiplier),
        zero_point=int32(derived.zero_point),
        exponent=int32(right + 256 * left),
    )


def max_pool(b: StageBuilder) -> bool:
    """The greatest value of each window. Rows outside the map hold -128; columns are left out."""
    layer, derived, rows, out = b.layers[0], b.special, b.in_rows(), b.out_row()
    assert isinstance(derived, PlainConstants)
    channels, step = b.out.channels, b.in_layout().strides[1]
    reads, writes = [whole(row) for row in rows], [whole(out)]
    with b.loop(channels, "c") as c:
        for number, span in enumerate(_column_spans(b)):
            name = f"greatest{number}"
            with b.loop(span.stop - span.start, "x") as x, b.block(name, reads, writes) as axis:
                channel, at = axis.spatial(channels, c), axis.spatial(span.stop, x + span.start)
                column = at * layer.stride[1] + (span.first - layer.pads[1])
                count, found = span.last - span.first, b.script.int32(-128)
                for row in rows:
                    found = b.value(
                        bodies.SCALAR_GREATEST,
                        row=b.address(row, channel, column),
                        count=count,
                        step=step,
                        least=found,
                    )
                b.script.buffer_store(out, b.clamped(found, derived), [channel, at])
    b.decision = "portable: the greatest of each window, channel by channel"
    return True


@dataclass(frozen=True)
class _Columns:
    """Output pixels start .. stop - 1 whose windows have columns first .. last - 1 in the map."""

    start: int
    stop: int
    first: int
    last: int


def _column_spans(b: StageBuilder) -> list[_Columns]:
    layer, found = b.layers[0], list[_Columns]()
    for x in range(b.out.width):
        left = x * layer.stride[1] - layer.pads[1]
        first, last = max(0, -left), min(layer.kernel[1], b.source.width - left)
        before = found[-1] if found else None
        if before is not None and (before.first, before.last) == (first, last):
            found[-1] = _Columns(before.start, x + 1, first, last)
        else:
            found.append(_Columns(x, x + 1, first, last))
    return found


def move(b: StageBuilder) -> bool:
    """Values taken from where the taps say: whole planes at once where they lie alike."""
    layer, rows = b.layers[0], b.in_rows()
    others = [b.other_row(at) for at in range(len(layer.others))]
    out, moves = b.out_band(), layer.moves
    assert moves is not None
    copied = 0
    for y, x in np.ndindex(moves.up):
        taps = moves.taps[y, x]
        for one in np.unique(taps[:, [0, 2, 3]], axis=0):
            number, dy, dx = (int(value) for value in one)
            of_out = np.flatnonzero((taps[:, [0, 2, 3]] == one).all(axis=1))
            source = None if number < 0 else rows[dy] if number == 0 else others[number - 1]
            copy = _Copy(b, out, (y, x), source, number, dx)
            copied += copy.emit(of_out, taps[of_out, 1])
    b.decision = f"portable: moved, {copied} runs"
    return True


@dataclass(frozen=True, eq=False)
class _Copy:
    """Channels that come from one row of one map, moved by the same number of columns; `source`
    None: all are the fill."""

    b: StageBuilder
    out: Any
    phase: tuple[int, int]
    source: Any
    number: int
    column: int

    def emit(self, to: NDArray[np.intp], of: NDArray[np.int32]) -> int:
        """Writes channels `to` from channels `of`; returns how many runs they are."""
        starts = [0, *(np.flatnonzero((np.diff(to) != 1) | (np.diff(of) != 1)) + 1), len(to)]
        if self.source is None:
            starts = [0, *(np.flatnonzero(np.diff(to) != 1) + 1), len(to)]
        if len(starts) - 1 > MOST_RUNS:
            pairs = np.stack([to, np.maximum(of, 0)], axis=1).astype(np.int16)
            name = f"channels_{self.phase[0]}_{self.phase[1]}_{self.number + 1}_{self.column}"
            table = self.b.const(name, pairs.reshape(-1), "channels: to, from")
            self._channels(len(to), table)
            return 1
        for start, stop in pairwise(starts):
            self._run(int(to[start]), int(of[start]), int(stop - start))
        return len(starts) - 1

    def _inside(self) -> tuple[int, int]:
        """The steps along the row whose columns lie in the map."""
        if self.source is None:
            return 0, 0
        layer, width = self.b.layers[0], int(self.source.ty.shape[1])
        stride = layer.stride[1] if self.number == 0 else 1
        shift = self.column - (layer.pads[1] if self.number == 0 else 0)
        steps = self.b.out.width // layer.up[1]
        inside = [x for x in range(steps) if 0 <= x * stride + shift < width]
        return (inside[0], inside[-1] + 1) if inside else (0, 0)

    def _run(self, to: int, of: int, count: int) -> None:
        b = self.b
        if self._whole_planes():
            reads, writes = [whole(self.source)], [whole(self.out)]
            with b.block(f"copy{self.number}_{to}", reads, writes):
                b.call(
                    bodies.SCALAR_COPY,
                    source=b.address(self.source, of, 0),
                    to=b.address(self.out, self.phase[0], to, 0),
                    count=count * b.out_plane_bytes(),
                )
            return
        with b.loop(count, "c") as c:
            self._row(to + c, of + c, f"{self.number + 1}_{to}")

    def _channels(self, count: int, table: Any) -> None:
        with self.b.loop(count, "i") as i:
            cast = self.b.script.cast
            to, of = cast(table[i * 2], "int32"), cast(table[i * 2 + 1], "int32")
            self._row(to, of, f"{self.number + 1}_table", [whole(table)])

    def _whole_planes(self) -> bool:
        """Whether neighbouring channels are one run of bytes on both sides."""
        if self.source is None or self.b.layers[0].up != (1, 1) or self.phase != (0, 0):
            return False
        layout = self.b.in_layouts()[self.number]
        straight = self.number > 0 or (self.b.layers[0].stride[1] == 1 and not self._shift())
        return (
            straight
            and layout.plane_bytes == self.b.out_plane_bytes()
            and layout.width == self.b.out.width
        )

    def _shift(self) -> int:
        return self.column - (self.b.layers[0].pads[1] if self.number == 0 else 0)

    def _row(self, to: Any, of: Any, name: str, reads: Sequence[Any] = ()) -> None:
        """One channel's row of this phase: fill, what is inside, fill."""
        b, layer = self.b, self.b.layers[0]
        up, steps = layer.up[1], self.b.out.width // layer.up[1]
        assert layer.moves is not None
        fill = b.script.cast(b.script.int32(layer.moves.fill), "int8")
        first, last = self._inside()
        stride = layer.stride[1] if self.number == 0 else 1
        writes = [whole(self.out)]
        for part, (start, stop) in enumerate(((0, first), (first, last), (last, steps))):
            if start == stop:
                continue
            inside = part == 1
            read = [*reads, *([whole(self.source)] if inside else [])]
            suffix = f"{self.phase[0]}{self.phase[1]}_{self.column}_{part}"
            with b.loop(stop - start, "x") as x, b.block(f"move{name}_{suffix}", read, writes):
                at = start + x
                value = self.source[of, at * stride + self._shift()] if inside else fill
                b.script.buffer_store(self.out, value, [self.phase[0], to, at * up + self.phase[1]])


def resize(b: StageBuilder) -> bool:
    """Bilinear: each output value from two rows and two columns; edges are repeated."""
    layer, derived, rows, out = b.layers[0], b.special, b.in_rows(), b.out_band()
    assert isinstance(derived, PlainConstants)
    width, channels, script = b.source.width, b.out.channels, b.script
    down = [places(factor, layer.sampling) for factor in layer.factor]
    bits = sum(int(np.log2(sum(one[0][1]))) for one in down)
    half = 1 << (bits - 1) if bits else 0
    with b.loop(channels, "c") as c, b.loop(width, "x") as x:
        reads, writes = [whole(row) for row in rows], [whole(out)]
        for y, (row, weights_y) in enumerate(down[0]):
            for at, (column, weights_x) in enumerate(down[1]):
                with b.block(f"resize{y}_{at}", reads, writes):
                    total = script.int32(half)
                    for dy, weight_y in enumerate(weights_y):
                        for dx, weight_x in enumerate(weights_x):
                            if weight_y * weight_x == 0:
                                continue
                            there = script.max(script.min(x + (column + dx), width - 1), 0)
                            source = rows[row + dy + layer.pads[0]]
                            value = script.cast(source[c, there], "int32")
                            total = total + value * (weight_y * weight_x)
                    if bits and b.network.rounding is Rounding.TFLITE:  # half away from zero
                        total = total + script.shift_right(total - half, script.int32(31))
                    value = b.clamped(script.shift_right(total, script.int32(bits)), derived)
                    script.buffer_store(out, value, [y, c, x * layer.factor[1] + at])
    b.decision = f"portable: bilinear, weights of 1 / {1 << bits}"
    return True


def places(factor: int, sampling: Sampling) -> list[tuple[int, tuple[int, int]]]:
    """Of each of `factor` neighbouring output places: the first of the two inputs that it lies
    between, counted from the step's own, and their weights, which add up to a power of two."""
    if factor == 1:
        return [(0, (1, 0))]
    found = []
    steps = factor if sampling is Sampling.ASYMMETRIC else 2 * factor
    for at in range(factor):
        place = at if sampling is Sampling.ASYMMETRIC else 2 * at + 1 - factor
        found.append((place // steps, (steps - place % steps, place % steps)))
    return found


def softmax(b: StageBuilder) -> bool:
    """The softmax of rounding `tflite`, over the channels of each pixel."""
    found, count, width = b.special, b.out.channels, b.out.width
    (row,), out = b.in_rows(), b.out_row()
    assert isinstance(found, TfliteSoftmax)
    scale = {"multiplier": found.multiplier, "left": found.exponent, "least": found.least}
    if width == 1:
        with b.block("softmax", [row[0:count, 0]], [out[0:count, 0]]):
            ends = {"logits": b.address(row, 0, 0), "out": b.address(out, 0, 0)}
            b.call(bodies.SOFTMAX, **ends, count=count, **scale)
    else:
        reads, writes = [whole(row)], [whole(out)]
        with b.loop(width, "x") as x, b.block("softmax", reads, writes) as axis:
            at = axis.spatial(width, x)
            ends = {"logits": b.address(row, 0, at), "out": b.address(out, 0, at)}
            steps = {"step": b.in_layout().strides[0], "apart": b.out_plane_bytes()}
            b.call(bodies.SOFTMAX_APART, **ends, count=count, **steps, **scale)
    b.decision = "scalar: TensorFlow Lite's softmax in fixed point"
    return True


def normalise(b: StageBuilder) -> bool:
    """One pixel's channels divided by their length."""
    count = b.out.channels
    (row,), out = b.in_rows(), b.out_row()
    with b.block("normalise", [row[0:count, 0]], [out[0:count, 0]]):
        b.call(
            bodies.NORMALISE,
            codes=b.address(row, 0, 0),
            out=b.address(out, 0, 0),
            count=count,
            zero_point=b.source.zero_point,
        )
    b.decision = "scalar: a division and a square root a value, in 32 bits"
    return True
