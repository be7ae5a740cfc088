"""The integer network, which the frontend makes and every later pass reads.

Maps are int8, height x width x channel, with real = scale * (q - zero_point). Weights are int8
with zero point 0 and one float32 scale for each output channel. Biases are int32 at scale s_in *
s_w[n]. The compiler adds the integers that it derives as `Layer.constants`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import (
    AdditionConstants,
    Float32,
    Int8,
    Int32,
    IntegerConstants,
    TfliteAddition,
)
from mbn.core.detector import Detector
from mbn.core.expression import Expression
from mbn.core.options import Rounding


class Op(StrEnum):
    """What one layer computes. Weights are N x kh x kw x C (depthwise: C x kh x kw x 1)."""

    CONV = "conv"
    DEPTHWISE = "depthwise"
    POOL = "pool"  # average over the window; no weights
    DENSE = "dense"  # weights N x 1 x 1 x (H*W*C), the input flattened height, width, channel
    ADD = "add"  # of two maps of one shape, or the second 1 x 1 x C; no weights
    SOFTMAX = "softmax"  # over the channels of each pixel; in rounding `tflite` only
    NORMALISE = "normalise"  # the channels of one pixel by their length; in rounding `single` only
    TABLE = "table"  # each value looked up, one table or one a channel; no weights
    PRODUCT = "product"  # of two maps of one shape, or the second 1 x 1 x C; no weights
    MAX_POOL = "max_pool"  # the greatest value of the window; padding never wins
    MOVE = "move"  # values taken from one map or several, or constant; see Moves
    RESIZE = "resize"  # bilinear, to a multiple of the size that is a power of two


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


class Sampling(StrEnum):
    """Where a bilinear resize samples: ONNX's coordinate_transformation_mode."""

    HALF_PIXEL = "half_pixel"
    ASYMMETRIC = "asymmetric"


@dataclass(frozen=True, eq=False)
class Moves:
    """Where each value of a MOVE comes from.

    taps: int32 up h x up w x C x 4: the number of the map that is read (-1: none), its channel,
    and the row and column in the window. Output (y, x, c) reads taps[y % up h, x % up w, c] at row
    y // up h * stride + row - pad above, likewise its column. fill: the code where no map is read,
    or the place lies outside of it.
    """

    taps: Int32
    fill: int

    @property
    def up(self) -> tuple[int, int]:
        """Output rows and columns of one step of the window."""
        return (int(self.taps.shape[0]), int(self.taps.shape[1]))


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
    is_mean: bool = False  # of a pool: TensorFlow Lite's MEAN, which rounds in another way
    others: tuple[str, ...] = ()  # the maps that it reads besides
    groups: int = 1  # of a convolution: weights are N x kh x kw x C / groups
    expression: Expression | None = None  # of a table
    moves: Moves | None = None
    sampling: Sampling = Sampling.HALF_PIXEL  # of a resize
    factor: tuple[int, int] = (1, 1)  # of a resize: height, width
    constants: IntegerConstants | None = (
        None  # derived by the compiler; never stored in network.npz
    )
    addition: AdditionConstants | TfliteAddition | None = (
        None  # in an addition's place of `constants`
    )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that it reads."""
        return (self.input, *self.others)

    def padding_code(self, source: Tensor) -> int | None:
        """What lies around the map that it reads; None where its edges are repeated."""
        if self.op is Op.RESIZE:
            return None
        if self.op is Op.MAX_POOL:
            return -128
        return source.zero_point if self.moves is None else self.moves.fill

    @property
    def up(self) -> tuple[int, int]:
        """Output rows and columns of one step of the window."""
        return self.factor if self.moves is None else self.moves.up


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
    TABLE = "table"
    PRODUCT = "product"
    MAX_POOL = "max_pool"
    MOVE = "move"
    RESIZE = "resize"


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
    detector: Detector | None = None  # how the results become boxes

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
        """The maps that it reads."""
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


MOST_STAGES = 4096  # of a network: devices answer for no more
UNREAD = -(2**15)  # in StageChannels.values: not computed, because nothing reads the channel


@dataclass(frozen=True, eq=False)
class StageChannels:
    """Which channels of a stage's original output the device computes, and the values of the
    others."""

    kept: NDArray[np.intp]
    values: NDArray[np.int16]  # one a channel; of those not kept: the constant, or UNREAD


def all_channels(network: Network) -> tuple[StageChannels, ...]:
    """The stages' channels if every channel is computed."""
    counts = [network.stage_output(stage).channels for stage in network.stages]
    return tuple(StageChannels(np.arange(n), np.full(n, UNREAD, np.int16)) for n in counts)


def out_size(size: int, kernel: int, stride: int, before: int, after: int) -> int:
    """Output length of a window sliding over `size` values with the given padding."""
    return (size + before + after - kernel) // stride + 1
