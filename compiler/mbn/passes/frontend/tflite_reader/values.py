"""The tensors of a .tflite file as ONNX nodes and constants: what operators read.

What enters: a `FlatGraph`, and numbers of its tensors. What leaves: ONNX names of codes and of real
values, and the nodes that make them. Always holds: a map of four dimensions lies batch, channel,
height, width inside the graph, and as in the file at its input and outputs; every other tensor lies
as in the file; a tensor keeps its name. Biases get the scale of their products, since TensorFlow
Lite's kernels use nothing but their codes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mbn.core.errors import ModelError, UnsupportedError
from mbn.passes.frontend.tflite_reader.flat import ABSENT, FlatGraph, FlatOperator, FlatTensor

Array = NDArray[Any]
TO_NCHW = (0, 3, 1, 2)
TO_NHWC = (0, 2, 3, 1)
MOST_CONSTANT_BYTES = 2**28  # in all: hostile files name one buffer often
CODES = ("INT8", "UINT8")
INTEGERS = ("INT32", "INT64")


def axis_in_onnx(axis: int, rank: int) -> int:
    """Where an axis of a file's tensor lies in the graph."""
    if not -rank <= axis < rank:
        raise ModelError(f"axis {axis} of {rank} dimensions", wanted=f"{-rank} to {rank - 1}")
    axis %= rank
    return TO_NCHW.index(axis) if rank == 4 else axis


def in_onnx(values: Sequence[int]) -> list[int]:
    """Sizes, or anything else that stands for each axis, in the graph's order."""
    return [values[axis] for axis in TO_NCHW] if len(values) == 4 else list(values)


def codes_name(graph: FlatGraph, number: int) -> str:
    """The ONNX name of a tensor's codes inside the graph: its own, unless the graph's input or
    output has it, which lies in another order."""
    tensor = graph.tensors[number]
    at_the_edge = number in graph.inputs or number in graph.outputs
    return f"{tensor.name}_nchw" if at_the_edge and len(tensor.shape) == 4 else tensor.name


class Values:
    """The tensors of a graph under construction, as nodes and constants."""

    def __init__(self, graph: FlatGraph) -> None:
        self.graph = graph
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.constant_bytes = 0
        self.codes: dict[int, str] = {}  # of tensors that are made: their codes inside the graph
        self.reals: dict[str, str] = {}  # dequantised already, by name
        self.stored: dict[int, str] = {}  # codes in the file's order, where that was asked for
        self.bases: dict[int, int] = {}  # what a tensor was reshaped from
        self.as_int8: set[int] = set()  # outputs of uint8 that are given as int8
        self.counted = 0
        for number in graph.inputs:
            self._add_input(number)

    # -- tensors ---------------------------------------------------------------------------

    def tensor(self, number: int) -> FlatTensor:
        return self.graph.tensors[number]

    def constant(self, operator: FlatOperator, at: int, what: str) -> FlatTensor:
        """The operator's input `at`, which must be a constant."""
        number = operator.inputs[at] if at < len(operator.inputs) else ABSENT
        if number == ABSENT or self.tensor(number).data is None:
            raise UnsupportedError(
                f"{operator.name}: its {what} is not a constant",
                node=f"node {self.label(operator)}",
                wanted="a constant that the file holds",
            )
        return self.tensor(number)

    def ints(self, operator: FlatOperator, at: int, what: str) -> list[int]:
        """The operator's input `at` as numbers."""
        data = self.constant(operator, at, what).data
        assert data is not None
        return [int(value) for value in data.reshape(-1)]

    def label(self, operator: FlatOperator) -> str:
        """What an operator is called: as its first result."""
        return self.tensor(operator.outputs[0]).name if operator.outputs else operator.name

    def is_float(self, number: int) -> bool:
        return self.tensor(number).kind == "FLOAT32"

    # -- what operators read -----------------------------------------------------------------

    def code(self, number: int) -> str:
        """The ONNX name of a tensor's codes (of a float tensor its values)."""
        if number not in self.codes:
            tensor = self.tensor(number)
            if tensor.data is None:
                raise ModelError(
                    f"tensor {tensor.name} is read before it is made",
                    wanted="operators in the order in which they run",
                )
            turned = tensor.data.transpose(TO_NCHW) if tensor.data.ndim == 4 else tensor.data
            self.codes[number] = self.add_constant(codes_name(self.graph, number), turned)
        return self.codes[number]

    def real(self, number: int) -> str:
        """The ONNX name of a tensor's real values."""
        name = self.code(number)
        return name if self.is_float(number) else self.dequantised(name, number)

    def real_as(self, number: int, shape: Sequence[int]) -> str:
        """Its real values, reshaped in the file's order to a shape of other than 4 dimensions."""
        tensor = self.tensor(number)
        if tuple(shape) == tensor.shape:
            return self.real(number)
        if math.prod(shape) != math.prod(tensor.shape):
            raise ModelError(
                f"tensor {tensor.name} of shape {list(tensor.shape)} as {list(shape)}",
                wanted="a shape of as many values",
            )
        name = self._reshape(self._before_reshape(number), shape, f"{tensor.name}_flat")
        return name if self.is_float(number) else self.dequantised(name, number)

    def real_beside(self, number: int, rank: int) -> str:
        """Its real values with `rank` dimensions, to be broadcast as in the file."""
        tensor = self.tensor(number)
        missing = rank - len(tensor.shape)
        if missing <= 0 or (rank != 4 and missing > 0):
            return self.real(number)
        shape = (*(1,) * missing, *tensor.shape)
        if tensor.data is not None:
            turned = tensor.data.reshape(shape).transpose(TO_NCHW)
            name = self.add_constant(f"{tensor.name}_map", turned)
        else:
            name = self._reshape(self.code(number), shape, f"{tensor.name}_map")
            name = self._node("Transpose", [name], f"{name}_nchw", perm=TO_NCHW)
        return name if self.is_float(number) else self.dequantised(name, number)

    def real_stored(self, number: int) -> str:
        """Its real values in the file's order."""
        name = self.code_stored(number)
        return name if self.is_float(number) else self.dequantised(name, number)

    def code_stored(self, number: int) -> str:
        """Its codes in the file's order."""
        name = self.code(number)
        if len(self.tensor(number).shape) != 4:
            return name
        if number not in self.stored:
            self.stored[number] = self._node("Transpose", [name], f"{name}_nhwc", perm=TO_NHWC)
        return self.stored[number]

    def dequantised(self, name: str, number: int, axis: int | None = None) -> str:
        """The DequantizeLinear of codes, with a tensor's parameters."""
        if name not in self.reals:
            parameters = self._parameters(number, several=axis is not None or self._const(number))
            single = self.tensor(number).scales.size == 1
            axes: dict[str, Any] = {} if single else {"axis": self._axis(number, axis)}
            self.reals[name] = self._node(
                "DequantizeLinear", [name, *parameters], f"{name}_dequant", **axes
            )
        return self.reals[name]

    def weights(self, operator: FlatOperator, at: int, perm: Sequence[int], axis: int) -> str:
        """The real values of constant weights, transposed; `axis`: the output channel's, then."""
        tensor, number = self.constant(operator, at, "weights"), operator.inputs[at]
        assert tensor.data is not None
        if tensor.data.ndim != len(perm):
            raise ModelError(
                f"{operator.name}: weights of {tensor.data.ndim} dimensions",
                node=f"node {self.label(operator)}",
                wanted=f"{len(perm)}",
            )
        if tensor.scales.size > 1 and perm[axis] != tensor.axis:
            raise UnsupportedError(
                f"{operator.name}: its weights' scales go along axis {tensor.axis}",
                node=f"node {self.label(operator)}",
                wanted="one scale an output channel",
            )
        name = self.add_constant(f"{tensor.name}_weights", tensor.data.transpose(perm))
        return name if self.is_float(number) else self.dequantised(name, number, axis)

    def bias(self, operator: FlatOperator, at: int, source: int, weights: int) -> str | None:
        """The real values of an int32 bias at the scale of its products; None if there is none."""
        if len(operator.inputs) <= at or operator.inputs[at] == ABSENT:
            return None
        tensor = self.constant(operator, at, "bias")
        assert tensor.data is not None
        if tensor.kind != "INT32":
            raise UnsupportedError(
                f"{operator.name}: a bias of {tensor.kind}",
                node=f"node {self.label(operator)}",
                wanted="INT32",
            )
        factors = self.tensor(source).scales[:1], self.tensor(weights).scales
        with np.errstate(over="ignore", invalid="ignore"):  # later checks refuse such scales
            scales = (factors[0].astype(np.float64) * factors[1]).astype(np.float32)
        label = self.label(operator)
        names = [
            self.add_constant(f"{label}_bias", tensor.data.reshape(-1)),
            self.add_constant(f"{label}_bias_scale", scales if scales.size > 1 else scales[0]),
            self.add_constant(f"{label}_bias_zero", np.zeros(scales.size, np.int32))
            if scales.size > 1
            else self.add_constant(f"{label}_bias_zero", np.array(0, np.int32)),
        ]
        axes: dict[str, Any] = {"axis": 0} if scales.size > 1 else {}
        return self._node("DequantizeLinear", names, f"{label}_bias_dequant", **axes)

    def add_constant(self, name: str, value: Any) -> str:
        """An initializer. One name means one value: else a tensor is called as what we call a
        part of another."""
        array = np.asarray(value)
        self.constant_bytes += array.nbytes
        if self.constant_bytes > MOST_CONSTANT_BYTES:
            raise UnsupportedError(
                "its constants are too large in all",
                wanted=f"at most {MOST_CONSTANT_BYTES:,} bytes",
            )
        made = numpy_helper.from_array(array, name)
        if self.constants.setdefault(name, made) != made:
            raise ModelError(f"two constants are called {name}", wanted="a name for each")
        return name

    # -- inside ------------------------------------------------------------------------------

    def _node(
        self, kind: str, inputs: Sequence[str], output: str, name: str | None = None, **given: Any
    ) -> str:
        """A node with one result; named by what it computes for, or by its result."""
        label = f"{name}_{kind}" if name else output
        self.nodes.append(helper.make_node(kind, list(inputs), [output], label, **given))
        return output

    def _const(self, number: int) -> bool:
        return self.tensor(number).data is not None

    def _axis(self, number: int, axis: int | None) -> int:
        tensor = self.tensor(number)
        return axis_in_onnx(tensor.axis, len(tensor.shape)) if axis is None else axis

    def _parameters(self, number: int, *, several: bool = False) -> list[str]:
        """The names of a tensor's scale and zero point."""
        tensor = self.tensor(number)
        if tensor.kind not in (*CODES, "INT32") or not tensor.is_quantised:
            raise UnsupportedError(
                f"tensor {tensor.name} of {tensor.kind} has no scale",
                wanted="INT8 or UINT8 with a scale and a zero point",
            )
        if tensor.scales.size > 1 and not several:
            raise UnsupportedError(
                f"map {tensor.name} has {tensor.scales.size} scales", wanted="one scale a map"
            )
        dtype = {"INT8": np.int8, "UINT8": np.uint8}.get(tensor.kind, np.int32)
        limits = np.iinfo(dtype)
        if np.any((tensor.zero_points < limits.min) | (tensor.zero_points > limits.max)):
            raise ModelError(
                f"tensor {tensor.name} has a zero point outside of {tensor.kind}",
                wanted="one of its codes",
            )
        scales, points = tensor.scales, tensor.zero_points.astype(dtype)
        single = scales.size == 1
        return [
            self.add_constant(f"{tensor.name}_scale", scales[0] if single else scales),
            self.add_constant(f"{tensor.name}_zero_point", points[0] if single else points),
        ]

    def _before_reshape(self, number: int) -> str:
        """Its codes as a reshape reads them: in the file's order, unless that is the graph's."""
        shape = self.tensor(number).shape
        if len(shape) == 4 and (shape[3] == 1 or shape[1] == shape[2] == 1):
            return self.code(number)
        return self.code_stored(number)

    def _reshape(self, code: str, shape: Sequence[int], name: str) -> str:
        wanted = self.add_constant(f"{name}_shape", np.array(shape, np.int64))
        self.counted += 1
        return self._node("Reshape", [code, wanted], f"{name}_reshaped_{self.counted}")

    def _add_input(self, number: int) -> None:
        tensor = self.tensor(number)
        self.codes[number] = tensor.name
        if len(tensor.shape) == 4:
            name = codes_name(self.graph, number)
            self.codes[number] = self._node("Transpose", [tensor.name], name, perm=TO_NCHW)
            self.stored[number] = tensor.name
