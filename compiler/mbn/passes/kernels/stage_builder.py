"""What a kernel's builder works with: a stage's rows, scratch, constants and arithmetic.

A builder emits S-TIR through a `StageBuilder`. The result is a `StageCode`: C text, packed
constants, and the argument for each C parameter. Rows are (channel, pixel) buffers with the
strides of their layout. All numbers that shape the code (sizes, clamps, shifts, the zero point of
the padding) are constants in it, so stages with equal code can share one function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn import arithmetic
from mbn.core.constants import (
    AdditionConstants,
    IntegerConstants,
    SingleConstants,
    TfliteAddition,
    TfliteConstants,
    WeightedConstants,
)
from mbn.core.kernel_set import KernelSet
from mbn.core.lowered import (
    PLACEHOLDER,
    PREFIX,
    Argument,
    Assembly,
    StageCode,
    Table,
    parameter_names,
)
from mbn.core.network import Network, Op, Stage, Tensor
from mbn.core.schedule import Variant
from mbn.passes.kernels import bodies, tir
from mbn.passes.kernels.layout import RowLayout, row_layout

PLAIN = Variant()


class StageBuilder(tir.Builder):
    """Emits one stage's kernel; see the head of this file."""

    def __init__(
        self,
        network: Network,
        stage: Stage,
        kernels: KernelSet,
        variant: Variant = PLAIN,
        band_rows: int = 1,
    ) -> None:
        super().__init__()
        self.network, self.stage = network, stage
        self.kernels, self.variant = kernels, variant
        self.layers = [network.layers[index] for index in stage.layers]
        self.source = network.stage_input(stage)
        self.out = network.stage_output(stage)
        self.tables: list[Table] = []
        self.arguments: list[Argument] = []
        self.scratch_bytes = 0
        self.band_rows = band_rows  # output rows of one call; divides the output's height
        self.reads_before_writing = False
        self.decision = ""
        self.assembly: dict[str, Callable[[], Assembly]] = {}
        constants = [
            layer.constants or arithmetic.derive_in(network, layer)
            for layer in self.layers
            if layer.op is not Op.ADD
        ]
        # of layers with weights, and pools; constants of another form are in `special`
        self.derived = [one for one in constants if isinstance(one, WeightedConstants)]
        special = [one for one in constants if not isinstance(one, WeightedConstants)]
        self.special = special[0] if special else None

    @property
    def short_rounding(self) -> bool:
        """Whether the fast sets' bodies can requantise. In `tflite` they can't if a multiplier is
        one half or more, or a sum is too large."""
        return all(not isinstance(one, TfliteConstants) or one.short for one in self.derived)

    # -- parameters --------------------------------------------------------------------------

    @property
    def kernel_rows(self) -> int:
        """Input rows of one output row; a dense layer reads the whole map."""
        first = self.layers[0]
        return self.source.height if first.op is Op.DENSE else first.kernel[0]

    def addition(self) -> AdditionConstants | TfliteAddition:
        """The integers of the stage's addition."""
        layer = self.layers[0]
        return layer.addition or arithmetic.derive_addition_in(self.network, layer)

    def in_layout(self) -> RowLayout:
        return self._layout(self.source)

    def in_layouts(self) -> tuple[RowLayout, ...]:
        """Of all maps that it reads."""
        return tuple(self._layout(tensor) for tensor in self.network.stage_inputs(self.stage))

    @property
    def is_planar(self) -> bool:
        """Whether rows of all maps are planes of the output's size, or of one pixel."""
        plane = self.out_plane_bytes()
        return all(
            one.plane_bytes == plane or (one.plane_bytes == one.width == 1)
            for one in self.in_layouts()
        )

    @property
    def row_values(self) -> int:
        """Bytes of an output row's planes."""
        return self.out.channels * self.out_plane_bytes()

    def _layout(self, tensor: Tensor) -> RowLayout:
        return row_layout(tensor, is_input=tensor is self.network.input)

    @property
    def window_rows(self) -> int:
        """Rows of the window that a band reads."""
        first = self.layers[0]
        return (self.band_rows // first.up[0] - 1) * first.stride[0] + self.kernel_rows

    def other_row(self, at: int = 0) -> Any:
        """The row of another map that the stage reads; the driver passes it after the window's."""
        layout = self.in_layouts()[1 + at]
        self.arguments.append(Argument("in", self.window_rows + at * self.band_rows))
        name = f"other{at}" if at else "second"
        return self.arg(name, "int8", (layout.channels, layout.width), layout.strides)

    def in_rows(self) -> list[Any]:
        """The window's rows, each a (channel, pixel) buffer."""
        layout = self.in_layout()
        rows = []
        for index in range(self.window_rows):
            self.arguments.append(Argument("in", index))
            rows.append(
                self.arg(f"in{index}", "int8", (layout.channels, layout.width), layout.strides)
            )
        return rows

    def out_row(self) -> Any:
        """The output row as a (channel, pixel) buffer."""
        layout = row_layout(self.out, is_input=False)
        self.arguments.append(Argument("out", 0))
        shape = (layout.channels, layout.width)
        return self.arg("out", "int8", shape, layout.strides, writable=True)

    def out_band(self) -> Any:
        """The band's output rows, (row, channel, pixel): the plan keeps them together."""
        layout = row_layout(self.out, is_input=False)
        self.arguments.append(Argument("out", 0))
        shape = (self.band_rows, layout.channels, layout.width)
        strides = (layout.row_bytes, *layout.strides)
        return self.arg("out", "int8", shape, strides, writable=True)

    def out_row_bytes(self) -> int:
        return row_layout(self.out, is_input=False).row_bytes

    def out_plane_bytes(self) -> int:
        return row_layout(self.out, is_input=False).plane_bytes

    def scratch(self, name: str, dtype: str, shape: Sequence[int]) -> Any:
        """A buffer in the stage's scratch, 8-byte aligned, valid during one call."""
        size_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.arguments.append(Argument("scratch", self.scratch_bytes))
        self.scratch_bytes += (size_bytes + 7) // 8 * 8
        return self.arg(name, dtype, shape, writable=True)

    def const(self, name: str, values: NDArray[Any], meaning: str) -> Any:
        """A table in flash, and the kernel's parameter for it."""
        self.arguments.append(Argument("const", len(self.tables)))
        self.tables.append(Table(name, np.ascontiguousarray(values), meaning))
        return self.arg(name, str(values.dtype), values.shape)

    # -- statements --------------------------------------------------------------------------

    def loop(self, extent: int, name: str) -> Any:
        """A serial loop over 0 .. extent - 1, as a context manager that yields its variable."""
        return tir.named_loop(self.script, extent, name)

    def call_assembly(
        self, name: str, parameters: str, write: Callable[[], Assembly], **arguments: Any
    ) -> None:
        """A statement that calls a function of network.S, which becomes one of the stage's. It is
        written only where the stage is built, not for each option that is looked at."""
        self.assembly[name] = write
        body = bodies.Body(f"{PREFIX}_{name}", parameter_names(parameters))
        self.call(body, **arguments)

    def requantised(self, accumulator: Any, tables: Requantiser, channel: Any) -> Any:
        """The expression of an int8 value from an accumulator of `channel`."""
        derived, words = tables.derived, [word[channel] for word in tables.words]
        if isinstance(derived, TfliteConstants):
            body = bodies.REQUANTISE_TFLITE if derived.short else bodies.REQUANTISE_TFLITE_ANY
        elif derived.shift > 0:
            body = bodies.REQUANTISE_SHIFT
            words.append(self.script.int32(derived.shift))
        else:
            body = bodies.REQUANTISE
        arguments = dict(zip(body.parameters, (accumulator, *words), strict=True))
        return self.clamped(self.value(body, **arguments), derived)

    def clamped(self, value: Any, derived: IntegerConstants) -> Any:
        """The int8 expression of a rounded value."""
        script = self.script
        low, high = script.int32(derived.low), script.int32(derived.high)
        return script.cast(script.max(script.min(value, high), low), "int8")

    def requantiser(self, index: int, prefix: str) -> Requantiser:
        """Declares the tables of layer `index`: bias, multipliers, and what else its rounding
        needs."""
        derived = self.derived[index]
        bias = self.const(f"{prefix}_bias", derived.bias, "folded bias")
        if isinstance(derived, SingleConstants):
            names = [("doubled", derived.doubled, "2 m, the multiplier doubled")]
            names += [("offset", word, "Z, added after the shift") for word in derived.words]
        else:
            about = ("zero points, and halves where they fit", "right shifts + 256 * left ones")
            names = [("multiplier", derived.multiplier, "Q31 multipliers")]
            names += [
                (name, word, meaning)
                for name, word, meaning in zip(
                    ("offset", "exponent"), derived.words, about, strict=True
                )
            ]
        words = [self.const(f"{prefix}_{name}", word, about) for name, word, about in names]
        return Requantiser(derived, bias, tuple(words))

    # -- result ------------------------------------------------------------------------------

    def emitted(self, emit: Callable[[StageBuilder], bool]) -> Any:
        """Runs a builder. Returns the S-TIR function, or None if it can't serve this shape."""
        served = True

        def body(_builder: tir.Builder) -> None:
            nonlocal served
            served = emit(self)

        function = tir.build_with(self, body)
        return function if served else None

    def build(self, emit: Callable[[StageBuilder], bool]) -> StageCode | None:
        """Runs a builder and lowers what it emits. Returns None if it can't serve this shape."""
        function = self.emitted(emit)
        if function is None:
            return None
        made = tir.to_c(function, tuple(self.params), PLACEHOLDER)
        return StageCode(
            text=made.text,
            arguments=tuple(self.arguments),
            parameter_types=tuple(one.dtype for one in made.params),
            tables=tuple(self.tables),
            scratch_bytes=self.scratch_bytes,
            decision=self.decision,
            assembly=tuple(write() for write in self.assembly.values()),
        )


@dataclass(frozen=True, eq=False)
class Requantiser:
    """The buffers that turn a layer's accumulators into int8."""

    derived: WeightedConstants
    bias: Any
    words: tuple[Any, ...]  # one value a channel each


@dataclass(frozen=True)
class Span:
    """Output pixels start .. stop - 1 with the same padding."""

    start: int
    stop: int
    interior: bool


def joined_spans(count: int, inside: Callable[[int], bool]) -> list[Span]:
    """Places 0 .. count - 1: neighbours that are inside form a span, each other is one alone."""
    found: list[Span] = []
    for at in range(count):
        within = inside(at)
        if within and found and found[-1].interior:
            found[-1] = Span(found[-1].start, at + 1, True)
        else:
            found.append(Span(at, at + 1, within))
    return found


def spans(out_width: int, in_width: int, kernel: int, stride: int, pad_left: int) -> list[Span]:
    """Splits a row into single pixels at the edges and one span whose windows lie in the map."""

    def inside(x: int) -> bool:
        first = x * stride - pad_left
        return first >= 0 and first + kernel <= in_width

    return joined_spans(out_width, inside)


def group_spans(b: StageBuilder, pixels: int) -> list[Span]:
    """Splits an output row into groups of `pixels` pixels. Spans count groups: each group at an
    edge is a span, and those whose windows lie in the map form one."""
    layer, count = b.layers[0], -(-b.out.width // pixels)
    if layer.op is Op.DENSE:
        return [Span(0, 1, True)]

    def inside(group: int) -> bool:
        first = group * pixels * layer.stride[1] - layer.pads[1]
        last = first + (pixels - 1) * layer.stride[1] + layer.kernel[1]
        return first >= 0 and last <= b.source.width and (group + 1) * pixels <= b.out.width

    return joined_spans(count, inside)


def span_test(span: Span, group: Any, count: int) -> list[Any]:
    """Conditions under which a group is one of the span's."""
    tests = []
    if span.start > 0:
        tests.append(group >= span.start)
    if span.stop < count:
        tests.append(group < span.stop)
    return tests
