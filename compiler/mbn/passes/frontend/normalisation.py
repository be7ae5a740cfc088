"""Takes a normalisation of the input out of a graph: y = x * gain + offset, by channel.

What enters: a ModelProto of four input dimensions whose constants are folded, changed in place.
What leaves: a graph of y, and the gain and the offset. Keras' Rescaling and torchvision's Normalize
stand so in front of the first layer. A device's table of pixels does the same at no cost, while
an integer layer for it would round once more. A normalisation behind which the input is padded
stays right: what is padded is y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from mbn.passes.frontend.input_form import input_sizes, input_value
from mbn.passes.frontend.input_layout import TO_CHANNELS_FIRST, permutation

Real = NDArray[np.float64]
MAX_CHANNELS = 65535
_GAINS = ("Mul", "Div")
_OFFSETS = ("Add", "Sub")


@dataclass(frozen=True)
class Normalisation:
    """y = x * gain + offset, one of each a channel; no gain is 0."""

    gain: tuple[float, ...]
    offset: tuple[float, ...]

    def pixel_range(self) -> tuple[float, float]:
        """What x pixels 0 .. 255 stand for where nobody says: themselves, or 0 .. 1. A graph for
        0 .. 1 makes values of hundreds of the former, and has its zero within 0 .. 1."""
        gain, offset = np.array(self.gain), np.array(self.offset)
        widest, zero = 255 * np.abs(gain).max(), np.abs(offset / gain).max()
        return (0.0, 1.0) if widest > 16 and zero <= 1.5 else (0.0, 255.0)

    def words(self, low: float, high: float) -> tuple[str, ...]:
        """What it makes of `low` .. `high`, by channel."""
        return tuple(
            f"{low * gain + offset:.4g} .. {high * gain + offset:.4g}"
            for gain, offset in zip(self.gain, self.offset, strict=True)
        )

    def of_pixels(self, low: float, high: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation, by channel, of a pixel table: y = (p / 255 - mean) / std, where
        pixels 0 .. 255 stand for x of `low` .. `high`."""
        gain, offset = np.array(self.gain), np.array(self.offset)
        std = 1 / (gain * (high - low))
        mean = -(gain * low + offset) * std
        return tuple(mean.tolist()), tuple(std.tolist())


def take_normalisation(model: Any) -> Normalisation | None:
    """Changes the model in place; None, and no change, where the graph does not begin so."""
    value = input_value(model)
    sizes = input_sizes(model)
    if value is None or len(sizes) != 4:
        return None
    if value.type.tensor_type.elem_type != TensorProto.FLOAT:
        return None
    graph = model.graph
    stored = {one.name: one for one in graph.initializer}
    chain, turned = _chain(graph, value.name, stored)
    channels = sizes[3] if any(turned) else sizes[1]
    if not isinstance(channels, int) or not 0 < channels <= MAX_CHANNELS:
        return None
    gain, offset, name = np.ones(channels), np.zeros(channels), value.name
    taken = []
    for at, node in enumerate(chain):
        if node.op_type != "Transpose":
            last = any(turned[at:])  # the channels lie last until they are put first
            step = _step(node, name, stored, channels, axis=3 if last else 1)
            if step is None:
                break
            gain, offset = gain * step[0], offset * step[0] + step[1]
            taken.append(node)
        name = node.output[0]
    if not taken or not np.all(np.isfinite([gain, offset])) or not gain.all():
        return None
    _drop(graph, taken)
    del graph.value_info[:]
    return Normalisation(tuple(gain.tolist()), tuple(offset.tolist()))


def _chain(graph: Any, name: str, stored: dict[str, Any]) -> tuple[list[Any], list[bool]]:
    """The nodes behind the input, each the only reader, that may be a normalisation or put the
    channels first; and of each whether it does the latter."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for one in dict.fromkeys(node.input):
            readers.setdefault(one, []).append(node)
    results = {one.name for one in graph.output}
    chain: list[Any] = []
    turned: list[bool] = []
    while len(readers.get(name, ())) == 1 and name not in results:
        node = readers[name][0]
        turns = permutation(node) == TO_CHANNELS_FIRST
        known = (*_GAINS, *_OFFSETS, "BatchNormalization", "Identity")
        if node.op_type not in known and not (turns and not any(turned)):
            break
        if any(one not in stored for one in node.input if one and one != name):
            break
        chain.append(node)
        turned.append(turns)
        name = node.output[0]
        if name in results:
            break
    return chain, turned


def _step(
    node: Any, value: str, stored: dict[str, Any], channels: int, axis: int
) -> tuple[Real, Real] | None:
    """Gain and offset of one node, by channel; None for another operation."""
    one, none = np.ones(channels), np.zeros(channels)
    if node.op_type == "Identity":
        return one, none
    if node.op_type == "BatchNormalization":
        return _norm(node, stored) if axis == 1 else None
    first, second = node.input
    number = stored.get(second if first == value else first)
    constant = None if number is None else _by_channel(number, channels, axis)
    if constant is None or (node.op_type == "Div" and (first != value or not constant.all())):
        return None
    return {
        "Mul": (constant, none),
        "Div": (1 / constant if constant.all() else none, none),
        "Add": (one, constant),
        "Sub": (one, -constant) if first == value else (-one, constant),
    }[str(node.op_type)]


def _norm(node: Any, stored: dict[str, Any]) -> tuple[Real, Real]:
    """A batch normalisation's."""
    scale, bias, mean, variance = (
        np.asarray(numpy_helper.to_array(stored[name]), np.float64) for name in node.input[1:5]
    )
    epsilon = next((one.f for one in node.attribute if one.name == "epsilon"), 1e-5)
    gain = scale / np.sqrt(variance + epsilon)
    return gain, bias - mean * gain


def _by_channel(tensor: Any, channels: int, axis: int) -> Real | None:
    """A constant that is one number, or one a channel along `axis` of four dimensions."""
    array = np.asarray(numpy_helper.to_array(tensor), np.float64)
    if array.size == 1:
        return np.full(channels, array.reshape(()))
    if array.ndim > 4 or array.size != channels:
        return None
    shape = (1,) * (4 - array.ndim) + array.shape
    return array.reshape(-1) if shape[axis] == channels else None


def _drop(graph: Any, nodes: list[Any]) -> None:
    for gone in nodes:
        made = gone.output[0]
        kept = next(name for name in gone.input if _is_map(graph, name))
        for node in graph.node:
            for at, name in enumerate(node.input):
                if name == made:
                    node.input[at] = kept
        graph.node.remove(gone)


def _is_map(graph: Any, name: str) -> bool:
    return all(one.name != name for one in graph.initializer)
