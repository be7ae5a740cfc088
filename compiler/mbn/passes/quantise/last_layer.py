"""Gives scales to the results of layers that a QDQ graph leaves in float.

What enters: a ModelProto and, for each such result, its layer and the real values that it takes.
What leaves: a copy with QuantizeLinear and DequantizeLinear behind each, in int8, and with the
layers' float weights in int8 too, symmetric, one scale for each output channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Range = tuple[float, float]
SMALLEST_SCALE = 1e-12  # of a result that is always 0


def with_scales(model: Any, layers: Mapping[str, str], ranges: Mapping[str, Range]) -> Any:
    """The copy. `layers`: by result, what the layer's own node makes. `ranges`: by result."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for result, layer in layers.items():
        node = next(node for node in made.graph.node if layer in node.output)
        _quantise_weights(made.graph, node)
        _quantise_result(made.graph, result, ranges[result])
    del made.graph.value_info[:]
    return made


def _quantise_result(graph: Any, name: str, span: Range) -> None:
    """What made `name` makes NAME:float, from which it follows by way of codes."""
    low, high = min(span[0], 0.0), max(span[1], 0.0)  # int8 has a code for zero
    scale = max((high - low) / 255, SMALLEST_SCALE)
    zero_point = int(np.clip(round(-128 - low / scale), -128, 127))
    parameters = _stored(graph, name, np.float32(scale), np.int8(zero_point))
    at, node = next((i, one) for i, one in enumerate(graph.node) if name in one.output)
    node.output[list(node.output).index(name)] = f"{name}:float"
    quantisers = [
        helper.make_node("QuantizeLinear", [f"{name}:float", *parameters], [f"{name}:codes"]),
        helper.make_node("DequantizeLinear", [f"{name}:codes", *parameters], [name]),
    ]
    for offset, one in enumerate(quantisers):
        one.name = one.output[0]
        graph.node.insert(at + 1 + offset, one)


def _quantise_weights(graph: Any, node: Any) -> None:
    """Float weights of a Conv, Gemm or MatMul as codes behind a DequantizeLinear."""
    stored = {one.name: one for one in graph.initializer}
    if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in stored:
        return
    weights = numpy_helper.to_array(stored[node.input[1]])
    if weights.dtype != np.float32 or weights.ndim < 2:
        return
    turned = any(one.name == "transB" and one.i for one in node.attribute)
    axis = 0 if node.op_type == "Conv" or turned else weights.ndim - 1
    others = tuple(one for one in range(weights.ndim) if one != axis)
    scales = np.maximum(np.abs(weights).max(axis=others) / 127, SMALLEST_SCALE).astype(np.float32)
    shape = [-1 if one == axis else 1 for one in range(weights.ndim)]
    codes = np.rint(weights / scales.reshape(shape)).clip(-127, 127).astype(np.int8)
    name = f"{node.output[0]}:weights"
    parameters = _stored(graph, name, scales, np.zeros(len(scales), np.int8))
    graph.initializer.append(numpy_helper.from_array(codes, f"{name}:codes"))
    at = list(graph.node).index(node)
    dequantised = helper.make_node(
        "DequantizeLinear", [f"{name}:codes", *parameters], [name], name=name, axis=axis
    )
    node.input[1] = name
    graph.node.insert(at, dequantised)


def _stored(graph: Any, name: str, scale: NDArray[Any] | np.float32, zero: Any) -> list[str]:
    names = [f"{name}:scale", f"{name}:zero"]
    for one, value in zip(names, (scale, zero), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), one))
    return names
