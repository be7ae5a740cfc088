"""The integer network: what the frontend makes and every later stage reads.

What enters: nothing; these are values. What leaves: frozen dataclasses, passed between stages.
Always holds: maps are int8, height x width x channel; real = scale * (q - zero_point); weights
are int8 with zero point 0 and one float32 scale an output channel; biases are int32 at scale
s_in * s_w[n]. What the frontend makes and network.npz stores has nothing in it that the arithmetic
derives: multipliers, folded biases and dead channels are each reader's own business (that is what
keeps the reference independent of the compiler). The compiler adds them as `Layer.constants`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]


class Rounding(StrEnum):
    """How accumulators become int8 (see arithmetic.py)."""

    SINGLE = "single"  # one rounding, half up: the fast one
    TFLITE = "tflite"  # TensorFlow Lite's reference kernels


class Op(StrEnum):
    """What one layer computes. Weights are N x kh x kw x C (depthwise: C x kh x kw x 1)."""

    CONV = "conv"
    DEPTHWISE = "depthwise"
    POOL = "pool"  # average over the window; no weights
    DENSE = "dense"  # weights N x 1 x 1 x (H*W*C), the input flattened height, width, channel
    ADD = "add"  # of two maps of one shape, value by value; no weights
    SOFTMAX = "softmax"  # over the channels of one pixel; in rounding `tflite` only
    NORMALISE = "normalise"  # the channels of one pixel by their length; in rounding `single` only


@dataclass(frozen=True)
class Tensor:
    """A map of int8 values, height x width x channel, and what they mean."""

    name: str
    height: int
    width: int
    channels: int
    scale: float  # exactly the float32 that the file stores
    zero_point: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, self.channels)

    @property
    def shape_text(self) -> str:
        """As "48x48x8"."""
        return "x".join(map(str, self.shape))

    @property
    def size_bytes(self) -> int:
        return self.height * self.width * self.channels


# `IntegerConstants.shift` where the rounding is not `single`; the kernels' constants are the same
TFLITE = -1  # every channel divides by a power of two of at least 2, nothing overflows
TFLITE_ANY = -2  # any multiplier, in more steps
TFLITE_AVERAGE = -3  # a pool: a sum divided by `offset`
TFLITE_SOFTMAX = -4
UNIT_LENGTH = -5  # `single`: no constants at all

UNIT_SCALE = 1 / 128  # of a normalised vector, whose zero point is 0


@dataclass(frozen=True, eq=False)
class IntegerConstants:
    """A layer's derived integers (see arithmetic.py). Rounding `single`, shift >= 0:

    out = clamp((((acc << shift) + offset) * doubled + 2**31) >> 32, low, high)

    with acc = bias + sum(weights * x). Where shift is 0 the offset is already in the bias and
    `offset` is zero. A pool has no weights and single values. Rounding `tflite`: shift is one of
    the codes above; `exponent` is TensorFlow Lite's shift, positive to the left.
    """

    weights: Int8  # as in Layer
    bias: Int32
    doubled: Int32  # 2 * m, modulo 2**32 (`tflite`: m is below 2**31)
    offset: Int32
    shift: int
    low: int
    high: int
    exponent: Int32 | None = None  # None: `single`
    zero_point: int = 0  # of the output; `single` has it in bias or offset

    @property
    def multiplier(self) -> Int32:
        """m."""
        return np.asarray(self.doubled.view(np.uint32) >> 1).astype(np.int32)

    @property
    def words(self) -> tuple[Int32, ...]:
        """What follows `doubled` or `multiplier` in a kernel's tables, one value a channel each."""
        if self.exponent is None:
            return (self.offset,) if self.shift else ()
        right, left = np.maximum(-self.exponent, 0), np.maximum(self.exponent, 0)
        return (self.offset, (right + 256 * left).astype(np.int32))


@dataclass(frozen=True)
class AdditionConstants:
    """An addition's derived integers (see arithmetic.py):

    out = clamp((a * first + b * second + offset) >> shift, low, high)

    in 64-bit integers, with the rounding's half in the offset.
    """

    first: int
    second: int
    offset: int
    shift: int
    low: int
    high: int


@dataclass(frozen=True)
class TfliteAddition:
    """An addition's integers in rounding `tflite`: each of first, second and result has a zero
    point, a Q31 multiplier and a right shift, in this order in each triple."""

    zero_points: tuple[int, int, int]
    multipliers: tuple[int, int, int]
    shifts: tuple[int, int, int]
    low: int
    high: int


@dataclass(frozen=True, eq=False)
class Layer:
    """One operation. `clamp` is in real units: (0, None) is ReLU, (0, 6) ReLU6, None no bound."""

    name: str
    op: Op
    input: str
    output: str
    kernel: tuple[int, int]  # height, width
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]  # top, left, bottom, right; the border holds zp_in
    clamp: tuple[float | None, float | None]
    weights: Int8 | None = None
    weight_scales: Float32 | None = None  # N
    bias: Int32 | None = None  # N
    second: str | None = None  # of an addition: the other map that it reads
    constants: IntegerConstants | None = None  # once derived; never stored in network.npz
    addition: AdditionConstants | TfliteAddition | None = (
        None  # in an addition's place of `constants`
    )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that it reads."""
        return (self.input,) if self.second is None else (self.input, self.second)


class StageKind(StrEnum):
    """What one call of a kernel covers."""

    CONV = "conv"
    BLOCK = "block"  # depthwise + pointwise, fused
    DEPTHWISE = "depthwise"
    POINTWISE = "pointwise"
    POOL = "pool"
    DENSE = "dense"
    ADD = "add"
    SOFTMAX = "softmax"
    NORMALISE = "normalise"


@dataclass(frozen=True)
class Stage:
    """The unit of scheduling: one layer, or the two of a depthwise-separable block."""

    name: str
    kind: StageKind
    layers: tuple[int, ...]  # indices into Network.layers, in order


@dataclass(frozen=True, eq=False)
class Network:
    """Layers over named tensors, each after those that make what it reads. The first tensor is
    the input; the last layer makes the result, unless `results` names several."""

    name: str
    tensors: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    classes: tuple[str, ...] = ()  # names, if known
    host_ops: tuple[str, ...] = ()  # what the graph does after the result and the host keeps
    rounding: Rounding = Rounding.SINGLE
    # By channel: what a pixel p of 8 bits means, (p / 255 - mean) / std; empty: p is stored as
    # p - 128.
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    results: tuple[str, ...] = ()  # tensors, in the graph's order; empty: the last layer's

    @cached_property
    def _by_name(self) -> dict[str, Tensor]:
        return {tensor.name: tensor for tensor in reversed(self.tensors)}

    def tensor(self, name: str) -> Tensor:
        return self._by_name[name]

    @property
    def input(self) -> Tensor:
        return self.tensors[0]

    @property
    def output(self) -> Tensor:
        """The first result."""
        return self.outputs[0]

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What the network gives; each a whole map, kept to the end of the inference."""
        return tuple(self.tensor(name) for name in self.results or (self.layers[-1].output,))

    @property
    def result_bytes(self) -> int:
        """Of all results, one after the other."""
        return sum(tensor.size_bytes for tensor in self.outputs)

    def stage_input(self, stage: Stage) -> Tensor:
        return self.tensor(self.layers[stage.layers[0]].input)

    def stage_inputs(self, stage: Stage) -> tuple[Tensor, ...]:
        """Two for an addition, else one."""
        return tuple(self.tensor(name) for name in self.layers[stage.layers[0]].inputs)

    def stage_output(self, stage: Stage) -> Tensor:
        return self.tensor(self.layers[stage.layers[-1]].output)

    def layer_macs(self, layer: Layer) -> int:
        """Multiply-accumulates of a layer; padding counts; pools and additions count none."""
        out = self.tensor(layer.output)
        if layer.weights is None:
            return 0
        return out.height * out.width * int(layer.weights.size)

    def stage_macs(self, stage: Stage) -> int:
        return sum(self.layer_macs(self.layers[index]) for index in stage.layers)

    @property
    def macs(self) -> int:
        return sum(self.layer_macs(layer) for layer in self.layers)

    @property
    def params(self) -> int:
        """Weights and biases, counted once each."""
        return sum(
            int(layer.weights.size) + (0 if layer.bias is None else int(layer.bias.size))
            for layer in self.layers
            if layer.weights is not None
        )


UNREAD = -(2**15)  # in StageChannels.values: computed by nobody, because nobody reads it


@dataclass(frozen=True, eq=False)
class StageChannels:
    """Of a stage's full output: which channels the device computes, and what the others are."""

    kept: NDArray[np.intp]
    values: NDArray[np.int16]  # one a channel; of those not kept: the constant, or UNREAD


def all_channels(network: Network) -> tuple[StageChannels, ...]:
    """What the stages' channels are where every one is computed."""
    counts = [network.stage_output(stage).channels for stage in network.stages]
    return tuple(StageChannels(np.arange(n), np.full(n, UNREAD, np.int16)) for n in counts)


def out_size(size: int, kernel: int, stride: int, before: int, after: int) -> int:
    """Output length of a window sliding over `size` values with the given padding."""
    return (size + before + after - kernel) // stride + 1


class InputMode(StrEnum):
    """How the image arrives."""

    STREAM = "stream"  # row by row; rows are consumed while they come
    WHOLE = "whole"  # it lies in the arena before the first stage runs


@dataclass(frozen=True)
class StageNeeds:
    """What the planner must know of a stage's kernel. Bytes are of the target."""

    input: int  # tensor index
    output: int
    kernel_rows: int
    stride_rows: int
    pad_top: int
    band_rows: int
    scratch_bytes: int
    reads_before_writing: bool
    second: int | None = None  # of an addition: the tensor whose rows y it reads besides
    is_result: bool = False  # its output is kept to the end; so is one that nobody reads


class Sharing(IntEnum):
    """Which parts of a stage call bodies that serve all shapes, in the place of straight code:
    less flash, more cycles. Each includes those before it."""

    NONE = 0
    REST = 1  # groups of pixels that a row leaves over
    POINTWISE = 2
    ALL = 3  # the depthwise, or the gathering of windows, too


# The largest shift of a depthwise that kernel sets fold into its weights, which are halfwords
# there: -128 << 8 is the least of those. Others shift every accumulator.
FOLDED_SHIFT = {"dsp": 8, "m7": 8}


@dataclass(frozen=True)
class Variant:
    """What of a stage's schedule is free beside the height of its bands. A kernel set offers those
    that make a difference; all give the same bits."""

    wide: bool = False  # the pointwise's weights as halfwords: faster, twice the bytes
    shared: Sharing = Sharing.NONE


Way = tuple[int, Variant]  # rows of a band, and how the stage is built


@dataclass(frozen=True)
class BandOption:
    """A height that a stage's bands may have, and how the stage is built then. Cycles are estimated
    or measured, of one stage all in the same way; only differences count. `flash_cycles`: what its
    flash is worth, where that is known too."""

    rows: int
    scratch_bytes: int
    reads_before_writing: bool  # the output rows may lie over input rows of the same band
    cycles: int  # of the whole map
    variant: Variant = Variant()
    measured: bool = False
    flash_cycles: float = 0.0

    @property
    def way(self) -> Way:
        """What is built."""
        return self.rows, self.variant

    @property
    def cost(self) -> float:
        """What a plan keeps low."""
        return self.cycles + self.flash_cycles


@dataclass(frozen=True)
class RowShape:
    """A tensor's rows as a kernel set lays them out."""

    height: int
    row_bytes: int
    plane_bytes: int


@dataclass(frozen=True)
class Place:
    """Where a tensor's rows lie: slot y % depth at offset + slot * row_bytes."""

    offset_bytes: int
    row_bytes: int
    depth: int

    @property
    def size_bytes(self) -> int:
        return self.depth * self.row_bytes


@dataclass(frozen=True)
class Segment:
    """Stages that run together, row by row, the deepest that can first."""

    first: int
    last: int  # inclusive


@dataclass(frozen=True)
class Plan:
    """Where everything lies in the arena, and in which order stages run."""

    mode: InputMode
    places: tuple[Place, ...]  # one a tensor
    segments: tuple[Segment, ...]
    scratch_offsets: tuple[int, ...]  # one a stage
    arena_bytes: int
    near_bytes: int = 0  # of the arena, in the first of two memories; 0: all in one

    def straddles(self, offset_bytes: int, size_bytes: int) -> bool:
        """Whether a range of the arena would lie in two memories."""
        return self.near_bytes > 0 and offset_bytes < self.near_bytes < offset_bytes + size_bytes

    @property
    def streamed_stages(self) -> int:
        return self.segments[0].last + 1 if self.segments else 0
