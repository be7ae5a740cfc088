"""What each QuantizeLinear of a graph quantises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mbn.passes.frontend.supported import LAYER_OPERATORS, node_label


@dataclass(frozen=True)
class QuantisedEnd:
    """What a QuantizeLinear quantises."""

    node: str  # the name of the operator that computes it
    left_float: str | None  # the operator before that, if no QuantizeLinear stands between
    codes: str  # the name of the quantised tensor
    channels_last: bool  # it was transposed to that between the operator and here


class Walk:
    """Follows values back to the nodes that compute them."""

    def __init__(self, model: Any) -> None:
        self.made_by = {output: node for node in model.graph.node for output in node.output}
        self.constants = {initialiser.name for initialiser in model.graph.initializer} | {""}
        for node in model.graph.node:  # in topological order: the checker has seen to it
            if all(name in self.constants for name in node.input):
                self.constants.update(node.output)

    def end(self, quantize: Any) -> QuantisedEnd:
        node = self._layer(quantize)
        before = self._layer(node) if self._computes(node) else None
        float_too = before is not None and before is not node and self._computes(before)
        left = before if float_too else None
        value, turned = quantize, False
        while value is not node:
            value = self.made_by[next(n for n in value.input if n not in self.constants)]
            turned ^= value.op_type == "Transpose" and value is not node
        return QuantisedEnd(
            node_label(node),
            None if left is None else node_label(left),
            quantize.output[0],
            turned,
        )

    def _layer(self, node: Any) -> Any:
        """The nearest node before `node` that computes; else the last one that is not a
        DequantizeLinear."""
        for _ in range(len(self.made_by)):
            maps = [name for name in node.input if name not in self.constants]
            following = self.made_by.get(maps[0]) if maps else None
            if following is None or following.op_type in ("DequantizeLinear", "QuantizeLinear"):
                return node
            node = following
            if self._computes(node):
                return node
        return node

    def _computes(self, node: Any) -> bool:
        if node.op_type in ("Add", "Mul", "Concat"):
            return sum(name not in self.constants for name in node.input) > 1
        return node.op_type in LAYER_OPERATORS
