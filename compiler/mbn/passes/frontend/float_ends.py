"""Layers at the end of a QDQ graph that leave their result in float.

What enters: a ModelProto, not changed. What leaves: those layers, from the outputs back to the
nearest DequantizeLinear. PyTorch's quantiser (PT2E) and many others leave the last layer so: it
has int8 operands, and no scale of its result.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from mbn.core.errors import UnsupportedError
from mbn.passes.frontend.host_ends import HOST_ENDS

_QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
_LAYERS = ("Conv", "Gemm", "MatMul", "AveragePool", "GlobalAveragePool", "ReduceMean")
# Left to the host, or the same values elsewhere
_PASSED = (
    *HOST_ENDS,
    *("Softmax", "Sigmoid", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"),
    *("Identity", "Cast"),
)
_JOINED = ("Relu", "Clip", "BatchNormalization", "Add", "Sub", "Mul", "Div")  # to a layer before


@dataclass(frozen=True)
class FloatEnd:
    """A layer without a scale. `result`: the tensor that wants one; `layer`: the one that the
    layer's own node makes, before its bias and activation."""

    node: str
    result: str
    layer: str


def float_ends(model: Any) -> tuple[FloatEnd, ...]:
    """The layers of a float end, the last first; empty where there is none, or where something in
    it is no layer."""
    graph = model.graph
    if not any(node.op_type in _QUANTISERS for node in graph.node):
        return ()
    made_by = {name: node for node in graph.node for name in node.output}
    constants = {one.name for one in graph.initializer} | {""}
    for node in graph.node:  # in topological order; the dequantised weights are constants too
        if all(name in constants for name in node.input):
            constants.update(node.output)
    found: dict[str, FloatEnd] = {}
    left = [output.name for output in graph.output]
    while left:
        name = left.pop()
        node = made_by.get(name)
        if node is None:
            return ()  # float from the input on: no float end, but a float network
        if node.op_type in _QUANTISERS or name in found:
            continue
        if node.op_type in _PASSED:
            left.append(node.input[0])
            continue
        layer = _layer(node, made_by, constants)
        if layer is None:
            return ()
        label = str(layer.name or layer.output[0])
        found[name] = FloatEnd(label, name, str(layer.output[0]))
        left += _maps(layer, constants)
    return tuple(found.values())


def refusal(ends: tuple[FloatEnd, ...]) -> UnsupportedError:
    """A graph with such an end, without calibration data."""
    more = f" (with it {len(ends)} layers are)" if len(ends) > 1 else ""
    return UnsupportedError(
        f"a float last layer behind int8 ones{more}",
        node=f"node {ends[0].node}",
        wanted="QuantizeLinear and DequantizeLinear behind it",
        advice="Give samples, and it is quantised with them: --calibrate DIR",
    )


def _maps(node: Any, constants: Collection[str]) -> list[str]:
    return [name for name in node.input if name not in constants]


def _layer(node: Any, made_by: dict[str, Any], constants: Collection[str]) -> Any:
    """The layer whose bias and activation end in `node`; None where there is none."""
    for _ in range(len(made_by)):
        maps = _maps(node, constants)
        if node.op_type in _LAYERS or (node.op_type == "Add" and len(maps) == 2):
            return node
        if node.op_type not in _JOINED or len(maps) != 1 or maps[0] not in made_by:
            return None
        before = made_by[maps[0]]
        if before.op_type in _QUANTISERS:
            return node  # an activation alone
        node = before
    return None
