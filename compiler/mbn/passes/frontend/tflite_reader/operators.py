"""The other operators of a .tflite file: element by element, over axes, and those that only move.

What enters: an operator, and the ONNX graph so far. What leaves: the graph with its nodes.
`OPERATORS` names all that are taken. Always holds: axes are turned to the graph's order; what
copies codes in TensorFlow Lite copies them here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import tflite  # type: ignore[import-untyped]

from mbn.core.errors import ModelError, UnsupportedError
from mbn.passes.frontend.tflite_reader import windows
from mbn.passes.frontend.tflite_reader.flat import FlatOperator
from mbn.passes.frontend.tflite_reader.graph import Builder
from mbn.passes.frontend.tflite_reader.values import INTEGERS, axis_in_onnx, in_onnx

Emit = Callable[[Builder, FlatOperator], None]
FARTHEST = 2**31  # an end that lies beyond every axis


def _rank(graph: Builder, number: int) -> int:
    return len(graph.tensor(number).shape)


# -- element by element ---------------------------------------------------------------------


def _of_two(onnx_operator: str, kind: type) -> Emit:
    def emit(graph: Builder, operator: FlatOperator) -> None:
        rank = _rank(graph, operator.outputs[0])
        inputs = [graph.real_beside(number, rank) for number in operator.inputs[:2]]
        activation = int(operator.option(kind, "FusedActivationFunction", 0))
        graph.emit(operator, onnx_operator, inputs, activation=activation)

    return emit


def _of_one(onnx_operator: str) -> Emit:
    def emit(graph: Builder, operator: FlatOperator) -> None:
        graph.emit(operator, onnx_operator, [graph.real(operator.inputs[0])])

    return emit


def _clamp(low: float, high: float) -> Emit:
    def emit(graph: Builder, operator: FlatOperator) -> None:
        real = graph.clamped(graph.real(operator.inputs[0]), low, high, graph.label(operator))
        graph.finish(operator, operator.outputs[0], real)

    return emit


def _leaky(graph: Builder, operator: FlatOperator) -> None:
    alpha = float(operator.option(tflite.LeakyReluOptions, "Alpha", 0.0))
    graph.emit(operator, "LeakyRelu", [graph.real(operator.inputs[0])], alpha=alpha)


def _prelu(graph: Builder, operator: FlatOperator) -> None:
    source, slope = operator.inputs[:2]
    rank = _rank(graph, source)
    graph.emit(operator, "PRelu", [graph.real(source), graph.real_beside(slope, rank)])


def _requantised(graph: Builder, operator: FlatOperator) -> None:
    """QUANTIZE, from float or from other codes. A last one that says int8 as uint8 is left out: the
    graph's output is int8 then, as what a board gives."""
    if graph.is_int8_as_uint8(operator):
        graph.relabel(operator.outputs[0], operator.inputs[0])
        return
    graph.finish(operator, operator.outputs[0], graph.real(operator.inputs[0]))


def _dequantised(graph: Builder, operator: FlatOperator) -> None:
    graph.alias(operator.outputs[0], graph.real(operator.inputs[0]))


# -- over an axis ---------------------------------------------------------------------------


def _softmax(onnx_operator: str) -> Emit:
    def emit(graph: Builder, operator: FlatOperator) -> None:
        real, number = graph.real(operator.inputs[0]), operator.inputs[0]
        beta = 1.0
        if onnx_operator == "Softmax":
            beta = float(operator.option(tflite.SoftmaxOptions, "Beta", 1.0))
        label = graph.label(operator)
        if beta != 1.0:
            factor = graph.add_constant(f"{label}_beta", np.array(beta, np.float32))
            real = graph.compute("Mul", [real, factor], f"{label}_times_beta")
        axis = 1 if _rank(graph, number) == 4 else -1
        graph.emit(operator, onnx_operator, [real], axis=axis)

    return emit


def _mean(graph: Builder, operator: FlatOperator) -> None:
    """MEAN; over a whole image and kept as a map it is a global pool."""
    source = operator.inputs[0]
    rank = _rank(graph, source)
    given = sorted({axis % max(1, rank) for axis in graph.ints(operator, 1, "axes")})
    keep = bool(operator.option(tflite.ReducerOptions, "KeepDims", False))
    if rank == 4 and keep and given == [1, 2]:
        graph.emit(operator, "GlobalAveragePool", [graph.real(source)])
        return
    left = [axis for axis in (0, 3, 1, 2) if axis not in given]
    if rank == 4 and not keep and left != sorted(left):  # the file's order is another one then
        inputs, axes = [graph.real_stored(source)], given
    else:
        inputs, axes = [graph.real(source)], sorted(axis_in_onnx(axis, rank) for axis in given)
    graph.emit(operator, "ReduceMean", inputs, axes=axes, keepdims=int(keep))


def _arg_max(graph: Builder, operator: FlatOperator) -> None:
    """ARG_MAX, whose result is a number that has no scale."""
    source, number = operator.inputs[0], operator.outputs[0]
    rank = _rank(graph, source)
    axis = graph.ints(operator, 1, "axis")[0] % max(1, rank)
    channel = rank == 4 and axis == 3
    real = graph.real(source) if channel or rank != 4 else graph.real_stored(source)
    name = graph.tensor(number).name
    made = graph.compute("ArgMax", [real], name, axis=1 if channel else axis, keepdims=0)
    if graph.tensor(number).kind == "INT32":
        made = graph.compute("Cast", [made], f"{name}_cast", to=6)
    graph.alias(number, made)


def _concatenation(graph: Builder, operator: FlatOperator) -> None:
    kind = tflite.ConcatenationOptions
    rank = _rank(graph, operator.outputs[0])
    axis = axis_in_onnx(int(operator.option(kind, "Axis", 0)), rank)
    activation = int(operator.option(kind, "FusedActivationFunction", 0))
    inputs = [graph.real(number) for number in operator.inputs]
    graph.emit(operator, "Concat", inputs, activation=activation, axis=axis)


def _split(graph: Builder, operator: FlatOperator) -> None:
    """SPLIT (axis, map) and SPLIT_V (map, sizes, axis)."""
    plain = operator.name == "SPLIT"
    source = operator.inputs[1 if plain else 0]
    rank = _rank(graph, source)
    axis = graph.ints(operator, 0 if plain else 2, "axis")[0]
    where = axis_in_onnx(axis, rank)
    sizes = [graph.tensor(number).shape[axis] for number in operator.outputs]
    label = graph.label(operator)
    inputs = [graph.real(source), graph.add_constant(f"{label}_sizes", np.array(sizes, np.int64))]
    results = [f"{graph.tensor(number).name}_prequant" for number in operator.outputs]
    graph.compute_several("Split", inputs, results, label, axis=where)
    for number, result in zip(operator.outputs, results, strict=True):
        graph.finish(operator, number, result)


# -- parts, edges, other shapes -------------------------------------------------------------


def _pad(graph: Builder, operator: FlatOperator) -> None:
    """PAD with zeros, PADV2 with a given value."""
    source = operator.inputs[0]
    rank = _rank(graph, source)
    amounts = graph.ints(operator, 1, "padding")
    if len(amounts) != 2 * rank:
        raise ModelError(
            f"{len(amounts)} amounts of padding for {rank} dimensions",
            node=f"node {graph.label(operator)}",
            wanted="two for each",
        )
    value = np.array(0, np.float32)
    if len(operator.inputs) > 2:
        stored = graph.constant(operator, 2, "value")
        assert stored.data is not None
        code = np.float32(stored.data.reshape(-1)[0])
        if stored.is_quantised:
            code = (code - np.float32(stored.zero_points[0])) * stored.scales[0]
        value = np.array(code, np.float32)
    label = graph.label(operator)
    pads = np.array([*in_onnx(amounts[::2]), *in_onnx(amounts[1::2])], np.int64)
    inputs = [
        graph.real(source),
        graph.add_constant(f"{label}_pads", pads),
        graph.add_constant(f"{label}_value", value),
    ]
    graph.emit(operator, "Pad", inputs, mode="constant")


def _reshape(graph: Builder, operator: FlatOperator) -> None:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the result's shape is the file's."""
    graph.reshape(operator.outputs[0], operator.inputs[0])


def _transpose(graph: Builder, operator: FlatOperator) -> None:
    perm = graph.ints(operator, 1, "permutation")
    graph.transpose(operator.outputs[0], operator.inputs[0], perm)


def _slice(graph: Builder, operator: FlatOperator) -> None:
    """SLICE: from where, and how much (-1: the rest)."""
    begins, sizes = (graph.ints(operator, at, what) for at, what in ((1, "begin"), (2, "size")))
    shape = graph.tensor(operator.inputs[0]).shape
    if not len(begins) == len(sizes) == len(shape):
        raise ModelError(
            f"SLICE: {len(begins)} begins and {len(sizes)} sizes",
            node=f"node {graph.label(operator)}",
            wanted=f"{len(shape)} of each",
        )
    ends = [
        length if size == -1 else begin + size
        for begin, size, length in zip(begins, sizes, shape, strict=True)
    ]
    graph.finish(operator, operator.outputs[0], _part(graph, operator, begins, ends))


def _strided_slice(graph: Builder, operator: FlatOperator) -> None:
    """STRIDED_SLICE, with masks for begins and ends and with axes that shrink."""
    kind = tflite.StridedSliceOptions
    source, number = operator.inputs[0], operator.outputs[0]
    begins, ends, steps = (
        graph.ints(operator, at, what) for at, what in ((1, "begin"), (2, "end"), (3, "strides"))
    )
    masks = {
        name: int(operator.option(kind, f"{name}Mask", 0))
        for name in ("Begin", "End", "ShrinkAxis", "Ellipsis", "NewAxis")
    }
    if masks["Ellipsis"] or masks["NewAxis"]:
        raise UnsupportedError(
            "STRIDED_SLICE with an ellipsis or a new axis",
            node=f"node {graph.label(operator)}",
            wanted="begins, ends and strides of every axis",
        )
    shape = graph.tensor(source).shape
    parts = []
    for axis, (begin, end, step, length) in enumerate(zip(begins, ends, steps, shape, strict=True)):
        bit = 1 << axis
        if masks["ShrinkAxis"] & bit:
            first = begin % max(1, length)
            parts.append((first, first + 1, 1))
            continue
        given = slice(
            None if masks["Begin"] & bit else begin, None if masks["End"] & bit else end, step
        )
        start, stop, _ = given.indices(length)
        parts.append((start, stop if stop >= 0 else -FARTHEST, step))
    starts, stops, strides = (list(one) for one in zip(*parts, strict=True))
    real = _part(graph, operator, starts, stops, strides)
    if not masks["ShrinkAxis"]:
        graph.finish(operator, number, real)
        return
    graph.finish_reshaped(operator, number, graph.turned_back(real) if len(shape) == 4 else real)


def _part(
    graph: Builder,
    operator: FlatOperator,
    begins: Sequence[int],
    ends: Sequence[int],
    steps: Sequence[int] | None = None,
) -> str:
    """The Slice of the operator's map."""
    label, rank = graph.label(operator), len(begins)
    given = (begins, ends, range(rank), steps or [1] * rank)
    named = zip(("begins", "ends", "axes", "steps"), given, strict=True)
    inputs = [
        graph.add_constant(
            f"{label}_{what}",
            np.array(list(values) if what == "axes" else in_onnx(list(values)), np.int64),
        )
        for what, values in named
    ]
    return graph.compute("Slice", [graph.real(operator.inputs[0]), *inputs], label)


OPERATORS: dict[str, Emit] = {
    "CONV_2D": windows.convolution,
    "DEPTHWISE_CONV_2D": windows.depthwise,
    "TRANSPOSE_CONV": windows.transposed,
    "FULLY_CONNECTED": windows.dense,
    "AVERAGE_POOL_2D": windows.pool,
    "MAX_POOL_2D": windows.pool,
    "RESIZE_NEAREST_NEIGHBOR": windows.resize,
    "RESIZE_BILINEAR": windows.resize,
    "MEAN": _mean,
    "ADD": _of_two("Add", tflite.AddOptions),
    "SUB": _of_two("Sub", tflite.SubOptions),
    "MUL": _of_two("Mul", tflite.MulOptions),
    "RELU": _clamp(0.0, math.inf),
    "RELU6": _clamp(0.0, 6.0),
    "RELU_N1_TO_1": _clamp(-1.0, 1.0),
    "RELU_0_TO_1": _clamp(0.0, 1.0),
    "LEAKY_RELU": _leaky,
    "PRELU": _prelu,
    "LOGISTIC": _of_one("Sigmoid"),
    "TANH": _of_one("Tanh"),
    "HARD_SWISH": _of_one("HardSwish"),
    "SOFTMAX": _softmax("Softmax"),
    "LOG_SOFTMAX": _softmax("LogSoftmax"),
    "ARG_MAX": _arg_max,
    "QUANTIZE": _requantised,
    "DEQUANTIZE": _dequantised,
    "CONCATENATION": _concatenation,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "PAD": _pad,
    "PADV2": _pad,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": _transpose,
}


def emit(graph: Builder, operator: FlatOperator) -> None:
    """The operator's nodes. Arithmetic on shapes has none: a reshape takes its result's shape."""
    kinds = {graph.tensor(number).kind for number in operator.outputs}
    if operator.name != "ARG_MAX" and kinds and kinds <= set(INTEGERS):
        return
    known = OPERATORS.get(operator.name)
    if known is None or operator.is_custom:
        graph.unknown(operator)
    elif not operator.outputs or not operator.inputs:
        raise ModelError(f"{operator.name} without inputs or results", wanted="some of each")
    else:
        known(graph, operator)
