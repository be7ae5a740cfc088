"""Builds the QDQ ONNX graph of a .tflite file, operator by operator.

What enters: a `FlatGraph`, then calls of the operators in its order. What leaves: a ModelProto.
Always holds: activation and QuantizeLinear follow what an operator computes; an output has its own
name and the file's order; what no output needs is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from mbn.core.errors import ModelError, UnsupportedError
from mbn.passes.frontend.tflite_reader.flat import ABSENT, FlatOperator
from mbn.passes.frontend.tflite_reader.values import (
    TO_NCHW,
    TO_NHWC,
    Values,
    codes_name,
    in_onnx,
)

OPSET = 17
IR_VERSION = 8
DOMAIN = "tflite"  # of operators that ONNX does not have, for later checks to name
TYPES = {
    "FLOAT32": TensorProto.FLOAT,
    "INT8": TensorProto.INT8,
    "UINT8": TensorProto.UINT8,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
}
# By the number of a fused activation: the bounds that it clamps to. TANH and SIGN_BIT have none.
ACTIVATIONS: dict[int, tuple[float, float] | None] = {
    0: None,
    1: (0.0, math.inf),
    2: (-1.0, 1.0),
    3: (0.0, 6.0),
}


class Builder(Values):
    """A graph under construction."""

    def emit(
        self,
        operator: FlatOperator,
        onnx_operator: str,
        inputs: Sequence[str],
        *,
        activation: int = 0,
        flat: Sequence[int] | None = None,
        **attributes: Any,
    ) -> None:
        """A node that computes the operator's result, its activation, its QuantizeLinear. `flat`:
        the shape in which it makes the result, if that is another one."""
        number = operator.outputs[0]
        real = self.compute(onnx_operator, inputs, self.tensor(number).name, **attributes)
        self.finish(operator, number, real, activation, flat)

    def compute(self, onnx_operator: str, inputs: Sequence[str], name: str, **given: Any) -> str:
        """A node called `name`, and the name of its real result."""
        result = f"{name}_prequant"
        self.nodes.append(helper.make_node(onnx_operator, list(inputs), [result], name, **given))
        return result

    def compute_several(
        self, kind: str, inputs: Sequence[str], results: Sequence[str], name: str, **given: Any
    ) -> None:
        """A node with several real results."""
        self.nodes.append(helper.make_node(kind, list(inputs), list(results), name, **given))

    def turned_back(self, real: str) -> str:
        """Real values of a map, in the file's order."""
        return self._node("Transpose", [real], f"{real}_nhwc", perm=TO_NHWC)

    def finish_reshaped(self, operator: FlatOperator, number: int, stored: str) -> None:
        """QuantizeLinear behind real values in the file's order, of another shape than the
        tensor's."""
        real = self._reshape(stored, self.tensor(number).shape, self.tensor(number).name)
        if len(self.tensor(number).shape) == 4:
            real = self._node("Transpose", [real], f"{real}_nchw", perm=TO_NCHW)
        self.finish(operator, number, real)

    def finish(
        self,
        operator: FlatOperator,
        number: int,
        real: str,
        activation: int = 0,
        flat: Sequence[int] | None = None,
    ) -> None:
        """Activation and QuantizeLinear behind real values, which are tensor `number`."""
        tensor = self.tensor(number)
        real = self.activated(operator, real, activation)
        name = codes_name(self.graph, number)
        made = name if flat is None else f"{tensor.name}_made"
        if self.is_float(number):
            self._node("Identity", [real], made)
        else:
            self._node("QuantizeLinear", [real, *self._parameters(number)], made, tensor.name)
        if flat is not None:
            stored = self._reshape(made, tensor.shape, tensor.name)
            self._give_stored(number, stored)
        self.codes.setdefault(number, name)

    def activated(self, operator: FlatOperator, real: str, activation: int) -> str:
        """A fused activation behind real values."""
        if activation not in ACTIVATIONS:
            raise UnsupportedError(
                f"{operator.name}: its fused activation is number {activation}",
                node=f"node {self.label(operator)}",
                wanted="none, RELU, RELU6 or RELU_N1_TO_1",
            )
        bounds = ACTIVATIONS[activation]
        return real if bounds is None else self.clamped(real, *bounds)

    def clamped(self, real: str, low: float, high: float, name: str | None = None) -> str:
        """A Relu or a Clip; `name`: of the operator that is nothing else."""
        kind, ends = "Clip", [low, high]
        if (low, high) == (0.0, math.inf):
            kind, ends = "Relu", []
        bounds = [self.add_constant(f"clip_{end:g}", np.array(end, np.float32)) for end in ends]
        return self.compute(kind, [real, *bounds], name or f"{real}_{kind.lower()}")

    def reshape(self, number: int, source: int) -> None:
        """Tensor `number` is `source` in its own shape: the same codes in the file's order."""
        shape, old = self.tensor(number).shape, self.tensor(source).shape
        if math.prod(shape) != math.prod(old):
            raise UnsupportedError(
                f"tensor {self.tensor(source).name} of shape {list(old)} is reshaped to "
                f"{list(shape)}",
                node=f"node {self.tensor(number).name}",
                wanted="a shape that the file knows",
            )
        self.bases[number] = source
        earlier = self._same_earlier(source, shape)
        name = codes_name(self.graph, number)
        if earlier is not None:
            self.alias(number, self.code(earlier))
        elif len(shape) == len(old) == 4 and shape[3] == old[3]:
            # height and width alone change, which lie last inside the graph
            self.codes[number] = self._reshape(self.code(source), in_onnx(shape), name)
        elif len(shape) == 4 and (shape[3] == 1 or shape[1] == shape[2] == 1):
            before = self._before_reshape(source)
            self.codes[number] = self._reshape(before, in_onnx(shape), name)
        else:
            self._give_stored(number, self._reshape(self._before_reshape(source), shape, name))

    def transpose(self, number: int, source: int, perm: Sequence[int]) -> None:
        """Tensor `number` is `source` transposed."""
        rank = len(self.tensor(source).shape)
        if sorted(perm) != list(range(rank)):
            raise ModelError(f"a transposition by {list(perm)}", wanted=f"all of {rank} axes")
        if rank == 4:
            perm = [TO_NCHW.index(perm[axis]) for axis in TO_NCHW]
        if list(perm) == list(range(rank)):
            self.alias(number, self.code(source))
            return
        name = codes_name(self.graph, number)
        self.codes[number] = self._node("Transpose", [self.code(source)], name, perm=perm)

    def alias(self, number: int, code: str) -> None:
        """Tensor `number` has the codes of another one."""
        self.codes[number] = code

    def is_int8_as_uint8(self, operator: FlatOperator) -> bool:
        """Whether a QUANTIZE makes an output of the very values that its int8 input has."""
        source, made = (self.tensor(one[0]) for one in (operator.inputs, operator.outputs))
        return (
            operator.outputs[0] in self.graph.outputs
            and (source.kind, made.kind) == ("INT8", "UINT8")
            and np.array_equal(source.scales, made.scales)
            and np.array_equal(source.zero_points + 128, made.zero_points)
        )

    def relabel(self, number: int, source: int) -> None:
        """Output `number` is `source`, in the codes of that."""
        self.alias(number, self.code(source))
        self.as_int8.add(number)

    def unknown(self, operator: FlatOperator) -> None:
        """A node for an operator that ONNX does not have: later checks refuse it by its name."""
        inputs = [self.code(number) for number in operator.inputs if number != ABSENT]
        outputs = [codes_name(self.graph, number) for number in operator.outputs]
        label = self.label(operator)
        self.nodes.append(helper.make_node(operator.name, inputs, outputs, label, domain=DOMAIN))
        self.codes.update(zip(operator.outputs, outputs, strict=True))

    # -- the whole ---------------------------------------------------------------------------

    def model(self, name: str) -> Any:
        """The graph as a ModelProto, without what no output needs."""
        for number in self.graph.outputs:
            self._add_output(number)
        self._prune()
        inputs, outputs = (
            [self._described(number) for number in numbers]
            for numbers in (self.graph.inputs, self.graph.outputs)
        )
        read = {one for node in self.nodes for one in node.input}
        constants = [made for made in self.constants.values() if made.name in read]
        made = helper.make_graph(self.nodes, name, inputs, outputs, constants)
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == DOMAIN for node in self.nodes):
            opsets.append(helper.make_opsetid(DOMAIN, 1))
        return helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION)

    def _same_earlier(self, number: int, shape: tuple[int, ...]) -> int | None:
        """What a chain of reshapes began with, where it had this shape."""
        while True:
            if self.tensor(number).shape == shape:
                return number
            if number not in self.bases:
                return None
            number = self.bases[number]

    def _give_stored(self, number: int, stored: str) -> None:
        """Tensor `number`'s codes, of which those in the file's order are known."""
        if len(self.tensor(number).shape) == 4:
            self.stored[number] = stored
            stored = self._node("Transpose", [stored], f"{stored}_nchw", perm=TO_NCHW)
        self.codes[number] = stored

    def _add_output(self, number: int) -> None:
        """A node that gives an output its own name, in the file's order."""
        tensor = self.tensor(number)
        name = self.code(number)
        if number in self.graph.inputs:
            raise UnsupportedError(
                f"output {tensor.name} is the input too", wanted="what an operator computes"
            )
        if len(tensor.shape) == 4:
            self._node("Transpose", [name], tensor.name, tensor.name, perm=TO_NHWC)
        elif name != tensor.name:
            self._node("Identity", [name], tensor.name, tensor.name)

    def _described(self, number: int) -> Any:
        tensor = self.tensor(number)
        if tensor.kind not in TYPES:
            raise UnsupportedError(
                f"{tensor.name} is of {tensor.kind}", wanted="INT8, UINT8 or FLOAT32"
            )
        kind = "INT8" if number in self.as_int8 else tensor.kind
        return helper.make_tensor_value_info(tensor.name, TYPES[kind], tensor.shape)

    def _prune(self) -> None:
        """Removes nodes that no output needs. One that ONNX does not have stays, to be named."""
        needed = {self.tensor(number).name for number in self.graph.outputs}
        kept = []
        for node in reversed(self.nodes):
            if node.domain == DOMAIN or needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        self.nodes = kept[::-1]
