"""Finds outputs that are divided by their Euclidean length, as exporters write it.

The divisions are removed from the ONNX model and returned. Two forms are known: LpNormalization (p
= 2), and a Div by a ReduceL2 of the same value, with or without a lower bound (Clip or Max) and an
Expand between them. One quantisation may follow; it means that an int8 result is wanted. A
division anywhere else is left for later checks to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

LARGEST_BOUND = 1e-3  # of a length from below: more would show in the result


@dataclass(frozen=True, eq=False)
class UnitLength:
    """A division that was taken out. `scale` and `zero_point`, as the file stores them, of the
    int8 result, whose tensor is `codes`; None where it stays float."""

    node: str
    codes: str | None = None
    scale: Any = None
    zero_point: Any = None


def without_divisions(model: Any) -> tuple[Any, dict[int, UnitLength]]:
    """The model whose outputs are what was divided, and the divisions by the output's place."""
    found: dict[int, UnitLength] = {}
    graph = _Graph(model)
    sources: dict[int, str] = {}
    for at, output in enumerate(model.graph.output):
        seen = graph.division(output.name)
        if seen is not None:
            sources[at], found[at] = seen
    if not found:
        return model, found
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    for at, source in sources.items():
        cut.graph.output[at].name = source
        cut.graph.output[at].type.tensor_type.elem_type = TensorProto.FLOAT
    prune(cut.graph)
    return cut, found


def prune(graph: Any) -> None:
    """Removes the nodes that no output needs."""
    wanted = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))


class _Graph:
    def __init__(self, model: Any) -> None:
        self.made_by = {name: node for node in model.graph.node for name in node.output}
        self.constants: Mapping[str, Any] = {one.name: one for one in model.graph.initializer} | {
            node.output[0]: node.attribute[0].t
            for node in model.graph.node
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value"
        }

    def division(self, name: str) -> tuple[str, UnitLength] | None:
        """The value that output `name` divides by its length, and how; None if it does not."""
        node, codes, scale, zero = self.made_by.get(name), None, None, None
        if node is not None and node.op_type == "DequantizeLinear":
            node = self.made_by.get(node.input[0])
            if node is None or node.op_type != "QuantizeLinear":
                return None
        if node is not None and node.op_type == "QuantizeLinear":
            codes, scale = node.output[0], self._array(node, 1)
            zero = self._array(node, 2)
            node = self.made_by.get(node.input[0])
        source = None if node is None else self._divided(node)
        if node is None or source is None:
            return None
        label = node.name or node.output[0]
        return source, UnitLength(label, codes, scale, zero)

    def _array(self, node: Any, at: int) -> Any:
        """A constant input; for one that is left out, 0 in uint8, ONNX's default."""
        if at >= len(node.input) or not node.input[at]:
            return np.array(0, np.uint8)
        constant = self.constants.get(node.input[at])
        return None if constant is None else numpy_helper.to_array(constant)

    def _divided(self, node: Any) -> str | None:
        if node.op_type == "LpNormalization":
            axis, power = self._attribute(node, "axis", -1), self._attribute(node, "p", 2)
            return str(node.input[0]) if axis in (-1, 1) and power == 2 else None
        if node.op_type != "Div":
            return None
        source, length = node.input
        reduced = self._reduced(length)
        same = reduced is not None and reduced.input[0] == source and self._last(reduced)
        return str(source) if same else None

    def _reduced(self, length: str) -> Any:
        """The ReduceL2 that a length comes from, through a low bound and what only repeats it."""
        for _ in range(4):
            below = self.made_by.get(length)
            if below is None or below.op_type == "ReduceL2":
                return below
            if below.op_type not in ("Clip", "Max", "Expand", "Identity"):
                return None
            bound = self._array(below, 1) if below.op_type in ("Clip", "Max") else np.array(0)
            if bound is None or bound.size != 1 or float(bound.reshape(-1)[0]) > LARGEST_BOUND:
                return None
            length = below.input[0]
        return None

    def _last(self, reduce: Any) -> bool:
        """Whether a ReduceL2 is over the second axis, of two, and keeps it."""
        axes = self._attribute(reduce, "axes", None)
        if axes is None and len(reduce.input) > 1:
            stored = self._array(reduce, 1)
            axes = None if stored is None else stored.reshape(-1).tolist()
        return list(axes or ()) in ([1], [-1]) and self._attribute(reduce, "keepdims", 1) == 1

    def _attribute(self, node: Any, name: str, default: Any) -> Any:
        for one in node.attribute:
            if one.name == name:
                return onnx.helper.get_attribute_value(one)
        return default
