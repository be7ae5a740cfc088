"""What a .tflite file holds, as plain values.

What enters: the bytes of a file. What leaves: its one graph: tensors with their quantisation,
operators in order. Always holds: a damaged file gives an error, and never more memory than its own
size; constants are views into the file's bytes. Only here is the flatbuffers schema known, and in
the options that `operators.py` asks an operator for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite  # type: ignore[import-untyped]
from numpy.typing import NDArray

from mbn.core.errors import ModelError, UnsupportedError

Array = NDArray[Any]
MOST_OPERATORS = 10_000
MOST_TENSORS = 50_000
MOST_OPERANDS = 1_000
MOST_DIMENSIONS = 8
ABSENT = -1  # an optional input that is not there
KINDS = {
    name: value
    for name, value in vars(tflite.TensorType).items()
    if isinstance(value, int) and not name.startswith("_")
}
KIND_NAMES = {value: name for name, value in KINDS.items()}
DTYPES: dict[str, np.dtype[Any]] = {
    "FLOAT32": np.dtype("<f4"),
    "FLOAT16": np.dtype("<f2"),
    "INT8": np.dtype("<i1"),
    "UINT8": np.dtype("<u1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "BOOL": np.dtype("?"),
}
_OPERATORS = {
    value: name
    for name, value in vars(tflite.BuiltinOperator).items()
    if isinstance(value, int) and not name.startswith("_")
}


@dataclass(frozen=True, eq=False)
class FlatTensor:
    """A tensor as the file has it: maps lie batch, height, width, channel."""

    name: str  # unique in the file
    shape: tuple[int, ...]
    kind: str  # INT8, FLOAT32, ... as the schema names it
    scales: NDArray[np.float32]  # empty: not quantised
    zero_points: NDArray[np.int64]  # as many as scales
    axis: int  # along which scales go, if there are several
    data: Array | None  # its values, if it is a constant

    @property
    def is_quantised(self) -> bool:
        return self.scales.size > 0


@dataclass(frozen=True, eq=False)
class FlatOperator:
    """An operator: `name` as the schema has it (CONV_2D); of a custom one the name it came with."""

    name: str
    is_custom: bool
    inputs: tuple[int, ...]  # tensor numbers, or ABSENT
    outputs: tuple[int, ...]
    table: Any  # its options, None where the file has none

    def option(self, kind: Any, field: str, default: Any) -> Any:
        """A field of its options, which are a table of the schema's class `kind`."""
        if self.table is None:
            return default
        options = kind()
        options.Init(self.table.Bytes, self.table.Pos)
        return getattr(options, field)()


@dataclass(frozen=True, eq=False)
class FlatGraph:
    """The graph of a file."""

    tensors: tuple[FlatTensor, ...]
    operators: tuple[FlatOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def parse(content: bytes) -> FlatGraph:
    """The graph in a file's bytes. Raises ModelError and UnsupportedError; for damage also what
    flatbuffers raise, which the caller turns into a ModelError."""
    model = tflite.Model.GetRootAsModel(content, 0)
    count = model.SubgraphsLength()
    if count != 1:
        raise UnsupportedError(
            f"the file has {count} subgraphs",
            wanted="one, without control flow (If, While, CallOnce)",
            advice="convert the inference function alone",
        )
    graph = model.Subgraphs(0)
    tensors = _tensors(model, graph)
    _bounded("operators", graph.OperatorsLength(), MOST_OPERATORS)
    codes = _operator_codes(model)
    operators = tuple(
        _operator(graph.Operators(at), codes, len(tensors)) for at in range(graph.OperatorsLength())
    )
    inputs, outputs = (
        _numbers(given, len(tensors), optional=False)
        for given in (graph.InputsAsNumpy(), graph.OutputsAsNumpy())
    )
    return FlatGraph(tensors, operators, inputs, outputs)


def _bounded(what: str, count: int, most: int) -> None:
    if count > most:
        raise ModelError(f"the file has {count:,} {what}", wanted=f"at most {most:,}")


def _operator_codes(model: Any) -> list[tuple[str, bool]]:
    """Of each operator code its name, and whether it is a custom one."""
    _bounded("operator codes", model.OperatorCodesLength(), MOST_OPERATORS)
    found = []
    for at in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(at)
        # old writers fill the first field alone, which ends at 127
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = number == tflite.BuiltinOperator.CUSTOM
        name = _text(code.CustomCode()) or "without a name"
        found.append((f"custom operator {name}", True) if custom else (_builtin(number), False))
    return found


def _builtin(number: int) -> str:
    return str(_OPERATORS.get(number, f"number {number}"))


def _operator(operator: Any, codes: list[tuple[str, bool]], tensors: int) -> FlatOperator:
    at = operator.OpcodeIndex()
    if not 0 <= at < len(codes):
        raise ModelError(f"operator code {at} of {len(codes)}", wanted="one that the file lists")
    name, custom = codes[at]
    return FlatOperator(
        name,
        custom,
        _numbers(operator.InputsAsNumpy(), tensors, optional=True),
        _numbers(operator.OutputsAsNumpy(), tensors, optional=False),
        operator.BuiltinOptions(),
    )


def _numbers(found: Any, tensors: int, *, optional: bool) -> tuple[int, ...]:
    """Tensor numbers, each of a tensor that there is."""
    given = () if isinstance(found, int) else found
    _bounded("operands of an operator", len(given), MOST_OPERANDS)
    numbers = tuple(int(number) for number in given)
    for number in numbers:
        if not (0 <= number < tensors or (optional and number == ABSENT)):
            raise ModelError(f"tensor {number} of {tensors}", wanted="one that the file has")
    return numbers


def _tensors(model: Any, graph: Any) -> tuple[FlatTensor, ...]:
    _bounded("tensors", graph.TensorsLength(), MOST_TENSORS)
    found = [graph.Tensors(at) for at in range(graph.TensorsLength())]
    names = _unique(
        _text(tensor.Name()) or f"tensor{number}" for number, tensor in enumerate(found)
    )
    return tuple(_tensor(model, tensor, name) for tensor, name in zip(found, names, strict=True))


def _tensor(model: Any, tensor: Any, name: str) -> FlatTensor:
    kind = KIND_NAMES.get(tensor.Type(), f"type {tensor.Type()}")
    given = tensor.ShapeAsNumpy()
    _bounded(f"dimensions in tensor {name}", tensor.ShapeLength(), MOST_DIMENSIONS)
    shape = () if isinstance(given, int) else tuple(int(size) for size in given)
    if any(size < 0 for size in shape):
        raise ModelError(f"tensor {name} has shape {list(shape)}", wanted="sizes of 0 and more")
    for found, what in ((tensor.IsVariable(), "state"), (tensor.Sparsity(), "sparse weights")):
        if found:
            raise UnsupportedError(
                f"{what} in tensor {name}", wanted="a network of plain constants and maps"
            )
    scales, zero_points, axis = _quantisation(tensor.Quantization(), shape, name)
    data = _data(model, tensor.Buffer(), kind, shape, name)
    return FlatTensor(name, shape, kind, scales, zero_points, axis, data)


def _quantisation(
    given: Any, shape: tuple[int, ...], name: str
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    none = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    if given is None or given.ScaleLength() == 0:
        return none
    scales = np.asarray(given.ScaleAsNumpy(), np.float32)
    zeros = given.ZeroPointAsNumpy()
    points = np.zeros(scales.size, np.int64) if isinstance(zeros, int) else np.asarray(zeros)
    if points.size == 1:
        points = np.repeat(points, scales.size)
    axis = given.QuantizedDimension()
    along = shape[axis] if 0 <= axis < len(shape) else None
    if points.size != scales.size or scales.size not in (1, along):
        raise ModelError(
            f"tensor {name} of shape {list(shape)} has {scales.size} scales and "
            f"{points.size} zero points",
            wanted="one of each, or one a channel",
        )
    return scales, points.astype(np.int64), int(axis)


def _data(model: Any, at: int, kind: str, shape: tuple[int, ...], name: str) -> Array | None:
    """A constant's values, as a view into the file."""
    if not 0 <= at < model.BuffersLength():
        raise ModelError(f"tensor {name} lies in buffer {at}", wanted="one that the file has")
    buffer = model.Buffers(at)
    if buffer.Offset() > 1 or buffer.Size() > 1:
        raise UnsupportedError(
            f"tensor {name} lies outside the flatbuffer", wanted="a file of less than 2 GB"
        )
    if buffer.DataLength() == 0:
        return None
    data = buffer.DataAsNumpy()
    if kind not in DTYPES:
        return np.asarray(data)  # of a kind that is refused by name where it is read
    dtype = DTYPES[kind]
    if data.size != math.prod(shape) * dtype.itemsize:
        raise ModelError(
            f"tensor {name} of shape {list(shape)} has {data.size:,} bytes",
            wanted=f"{math.prod(shape) * dtype.itemsize:,}, as its shape says",
        )
    return np.frombuffer(data, dtype).reshape(shape)


def _text(given: Any) -> str:
    """A name; bytes that are no text are shown as such."""
    return "" if given is None else bytes(given).decode("utf-8", "backslashreplace")


def _unique(names: Iterable[str]) -> list[str]:
    """The names, in which the second of a kind is told apart."""
    made: list[str] = []
    taken: set[str] = set()
    for number, name in enumerate(names):
        own = name if name not in taken else f"{name}_{number}"
        while own in taken:
            own += "_"
        taken.add(own)
        made.append(own)
    return made
