"""Quantised operators as QDQ: what ONNX Runtime's QuantFormat.QOperator writes.

Such an operator reads codes and gives codes; its scales and zero points are inputs. It becomes
DequantizeLinear nodes, the float operator, and a QuantizeLinear. The codes keep their names, and
the operator keeps its node's, so that ONNX Runtime can be asked for them in the file as it is. One
whose parameters are not constants stays, and is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

MICROSOFT = "com.microsoft"
MAPS = {  # one map in, one out: codes, scale, zero point, then the result's
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearAveragePool": "AveragePool",
    "QLinearReduceMean": "ReduceMean",
    "QLinearSigmoid": "Sigmoid",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearSoftmax": "Softmax",
}
PAIRS = {"QLinearAdd": "Add", "QLinearMul": "Mul"}
# Operators that keep the scale of codes; those that compute on them are written in real values
KEEPING = (
    *("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice", "Split"),
    *("Gather", "Pad", "Resize", "MaxPool"),
)
Parameters = tuple[str, str]  # names of a scale and a zero point
OWN = ("channels_last", "opset")  # attributes that ONNX's operators don't have


class _Stays(Exception):
    """The node can't be written in QDQ."""


@dataclass
class _Rewriter:
    graph: Any
    constants: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Parameters] = field(default_factory=dict)  # of codes, by name
    nodes: list[Any] = field(default_factory=list)

    def run(self) -> None:
        self.constants = {one.name: one for one in self.graph.initializer}
        for node in list(self.graph.node):
            before, stored = len(self.nodes), len(self.graph.initializer)
            try:
                self._rewrite(node)
            except _Stays:
                del self.nodes[before:], self.graph.initializer[stored:]
                self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _rewrite(self, node: Any) -> None:
        kind = node.op_type
        quantised = node.domain == MICROSOFT or kind in ("QLinearConv", "QLinearMatMul")
        if quantised and kind in OPERATORS:
            OPERATORS[kind](self, node)
            return
        plain = node.domain in ("", "ai.onnx")
        known = self.kept.get(node.input[0]) if len(node.input) else None
        if plain and kind == "QuantizeLinear" and len(node.input) == 3:
            self.kept[node.output[0]] = (node.input[1], node.input[2])
        elif plain and kind in KEEPING and known is not None:
            self.kept.update(dict.fromkeys(node.output, known))
            if kind == "MaxPool" or (
                kind == "Resize" and self.attribute(node, "mode") == b"linear"
            ):
                real = self.real(node, 0, known, 0)
                self.ended(node, kind, [real, *node.input[1:]], known)
                return
        self.nodes.append(node)

    # -- parts ---------------------------------------------------------------------------------

    @staticmethod
    def attribute(node: Any, name: str) -> Any:
        for one in node.attribute:
            if one.name == name:
                return helper.get_attribute_value(one)
        return None

    def value(self, name: str) -> Any:
        if name not in self.constants:
            raise _Stays
        return numpy_helper.to_array(self.constants[name])

    def constant(self, node: Any, what: str, value: Any) -> str:
        name = f"{node.output[0]}_{what}"
        stored = numpy_helper.from_array(np.asarray(value, order="C"), name)
        self.graph.initializer.append(stored)
        self.constants[name] = stored
        return name

    def given(self, node: Any, at: int) -> str:
        """The name of an input that must be there."""
        if len(node.input) <= at or not node.input[at]:
            raise _Stays
        return str(node.input[at])

    def parameters(self, node: Any, at: int) -> Parameters:
        """The scale at an input and the zero point behind it, of one shape each."""
        names = self.given(node, at), self.given(node, at + 1)
        scale, zero = (self.value(name) for name in names)
        if scale.size == 1 and zero.size == 1:
            if scale.ndim == zero.ndim == 0:
                return names
            scale, zero = scale.reshape(()), zero.reshape(())
        else:
            scale, zero = np.broadcast_arrays(scale.reshape(-1), zero.reshape(-1))
        return self.constant(node, f"scale{at}", scale), self.constant(node, f"zero{at}", zero)

    def real(self, node: Any, at: int, own: Parameters | None = None, axis: int = 1) -> str:
        """The real values of the codes at an input, whose parameters stand behind it."""
        codes = self.given(node, at)
        scale, zero = own or self.parameters(node, at + 1)
        name = f"{node.output[0]}_real{at}"
        many = scale not in self.constants or self.constants[scale].dims
        options = {"axis": axis} if many else {}
        self._add("DequantizeLinear", [codes, scale, zero], name, f"dequantise{at}", node, options)
        return name

    def ended(self, node: Any, kind: str, inputs: list[str], out: Parameters | None) -> None:
        """The float operator, with the node's own name and attributes, and its QuantizeLinear."""
        result = node.output[0] if out is None else f"{node.output[0]}_real"
        made = helper.make_node(kind, inputs, [result], node.name or node.output[0])
        made.attribute.extend(one for one in node.attribute if one.name not in OWN)
        self.nodes.append(made)
        if out is not None:
            self._add("QuantizeLinear", [result, *out], node.output[0], "quantise", node, {})
            self.kept[node.output[0]] = out

    def _add(
        self, kind: str, inputs: list[str], output: str, what: str, node: Any, options: Any
    ) -> None:
        name = f"{node.name or node.output[0]}_{what}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **options))

    def bias(self, node: Any, at: int, source: int, weights: int) -> list[str]:
        """An int32 bias at the scale of the products; empty without one."""
        if len(node.input) <= at or not node.input[at]:
            return []
        scale = (
            np.float32(self.value(node.input[source]).reshape(-1)[0])
            * self.value(node.input[weights]).astype(np.float32)
        ).astype(np.float32)
        scale = scale.reshape(-1) if scale.size > 1 else scale.reshape(())
        zero = np.zeros(scale.shape, np.int32)
        own = self.constant(node, "bias_scale", scale), self.constant(node, "bias_zero", zero)
        name = f"{node.output[0]}_real{at}"
        options = {"axis": 0} if scale.ndim else {}
        codes = [self.given(node, at), *own]
        self._add("DequantizeLinear", codes, name, f"dequantise{at}", node, options)
        return [name]


# -- the operators -------------------------------------------------------------------------------


def _conv(to: _Rewriter, node: Any) -> None:
    if to.attribute(node, "channels_last"):
        raise _Stays
    inputs = [to.real(node, 0), to.real(node, 3, axis=0), *to.bias(node, 8, 1, 4)]
    to.ended(node, "Conv", inputs, to.parameters(node, 6))


def _matmul(to: _Rewriter, node: Any) -> None:
    inputs = [to.real(node, 0), to.real(node, 3, axis=1)]
    to.ended(node, "MatMul", inputs, to.parameters(node, 6))


def _gemm(to: _Rewriter, node: Any) -> None:
    turned = to.attribute(node, "transB") == 1
    if (to.attribute(node, "alpha") or 1.0) != 1.0:
        raise _Stays
    inputs = [to.real(node, 0), to.real(node, 3, axis=0 if turned else 1), *to.bias(node, 6, 1, 4)]
    ends = len(node.input) > 7 and node.input[7]
    to.ended(node, "Gemm", inputs, to.parameters(node, 7) if ends else None)


def _pair(to: _Rewriter, node: Any) -> None:
    to.ended(
        node, PAIRS[node.op_type], [to.real(node, 0), to.real(node, 3)], to.parameters(node, 6)
    )


def _map(to: _Rewriter, node: Any) -> None:
    axis = to.attribute(node, "axis")
    old = (to.attribute(node, "opset") or 13) < 13  # which flattens to two dimensions first
    if to.attribute(node, "channels_last") or (old and axis not in (None, -1, 1)):
        raise _Stays
    to.ended(node, MAPS[node.op_type], [to.real(node, 0)], to.parameters(node, 3))


def _concat(to: _Rewriter, node: Any) -> None:
    reals = [to.real(node, at) for at in range(2, len(node.input), 3)]
    to.ended(node, "Concat", reals, to.parameters(node, 0))


OPERATORS: Mapping[str, Callable[[_Rewriter, Any], None]] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "QGemm": _gemm,
    "QLinearConcat": _concat,
    **dict.fromkeys(PAIRS, _pair),
    **dict.fromkeys(MAPS, _map),
}


def write_as_qdq(model: Any) -> None:
    """Changes the model in place; see the head of this file."""
    if any(node.op_type in OPERATORS for node in model.graph.node):
        _Rewriter(model.graph).run()
        del model.graph.value_info[:]
