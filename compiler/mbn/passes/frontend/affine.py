"""Folds a gain and an offset by constants into the convolution before them.

What enters: a checked ModelProto whose constants are folded, changed in place. What leaves: the
same function. Keras writes a batch normalisation behind a depthwise convolution as Mul and Add, one
constant a channel; ONNX Runtime's quantiser folds these too. A lone Add stays: it is the bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

Real = NDArray[np.float64]
_GAINS = ("Mul", "Div")
_OFFSETS = ("Add", "Sub")


def join_affine(model: Any) -> None:
    """Changes the model in place; see the head of this file."""
    graph = model.graph
    stored = {one.name: one for one in graph.initializer}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(node)
    results = {value.name for value in graph.output}
    for conv in [node for node in graph.node if node.op_type == "Conv"]:
        if any(name and name not in stored for name in conv.input[1:]):
            continue
        chain, value = [], conv.output[0]
        while len(readers.get(value, ())) == 1 and value not in results:
            node = readers[value][0]
            if _constant(node, value, stored) is None:
                break
            chain.append(node)
            value = node.output[0]
        if any(node.op_type in _GAINS for node in chain):
            _join(graph, conv, chain, stored)


def _constant(node: Any, value: str, stored: dict[str, Any]) -> Real | None:
    """The constant of a Mul, Div, Add or Sub with `value` first: one number, or one a channel."""
    if node.op_type not in (*_GAINS, *_OFFSETS) or len(node.input) != 2:
        return None
    first, second = node.input
    if first != value and (second != value or node.op_type in ("Div", "Sub")):
        return None
    other = stored.get(second if first == value else first)
    if other is None:
        return None
    array = np.asarray(numpy_helper.to_array(other), np.float64)
    spread = array.ndim >= 3 and array.size == array.shape[-3]
    if not (array.size == 1 or spread) or not np.all(np.isfinite(array)):
        return None
    return array.reshape(-1)


def _join(graph: Any, conv: Any, chain: list[Any], stored: dict[str, Any]) -> None:
    weights = numpy_helper.to_array(stored[conv.input[1]])
    if weights.dtype != np.float32 or weights.ndim != 4:
        return
    count = len(weights)
    gain, offset = np.ones(count), np.zeros(count)
    if len(conv.input) > 2 and conv.input[2]:
        offset = offset + numpy_helper.to_array(stored[conv.input[2]])
    value = conv.output[0]
    for node in chain:
        constant = _constant(node, value, stored)
        assert constant is not None
        if constant.size not in (1, count) or (node.op_type == "Div" and not constant.all()):
            return
        if node.op_type in _GAINS:
            factor = 1 / constant if node.op_type == "Div" else constant
            gain, offset = gain * factor, offset * factor
        else:
            offset = offset + (constant if node.op_type == "Add" else -constant)
        value = node.output[0]
    made = {
        f"{conv.output[0]}:weights": weights * gain.reshape(-1, 1, 1, 1),
        f"{conv.output[0]}:bias": offset,
    }
    for name, array in made.items():
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    del conv.input[1:]
    conv.input.extend(made)
    conv.output[0] = value
    for node in chain:
        graph.node.remove(node)
