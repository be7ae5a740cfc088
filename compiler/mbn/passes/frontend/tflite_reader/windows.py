"""Operators with windows or weights: convolutions, dense layers, pools, resizing.

What enters: an operator of a .tflite file, and the ONNX graph so far. What leaves: the graph with
its nodes. Always holds: padding is written as numbers, as TensorFlow Lite computes it; windows are
height, width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tflite  # type: ignore[import-untyped]

from mbn.core.errors import ModelError, UnsupportedError
from mbn.passes.frontend.tflite_reader.flat import FlatOperator
from mbn.passes.frontend.tflite_reader.graph import Builder
from mbn.passes.frontend.tflite_reader.values import in_onnx

Pair = tuple[int, int]
OIHW = (0, 3, 1, 2)  # of a convolution's weights, which lie output, height, width, input
DEPTHWISE_OIHW = (3, 0, 1, 2)  # 1, height, width, output
TRANSPOSED_IOHW = (3, 0, 1, 2)  # output, height, width, input, to input first


def image_size(graph: Builder, operator: FlatOperator, number: int) -> Pair:
    """Height and width of a map."""
    shape = graph.tensor(number).shape
    if len(shape) != 4:
        raise ModelError(
            f"{operator.name}: a map of {len(shape)} dimensions",
            node=f"node {graph.label(operator)}",
            wanted="4",
        )
    return shape[1], shape[2]


def same_pads(size: Pair, window: Pair, strides: Pair) -> list[int]:
    """Top, left, bottom, right of SAME: as many outputs as size / stride, rounded up."""
    before, after = [], []
    for length, taps, stride in zip(size, window, strides, strict=True):
        total = max(0, (-(-length // stride) - 1) * stride + taps - length)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


def _window(
    graph: Builder, operator: FlatOperator, kind: type, kernel: Pair, dilation: Pair = (1, 1)
) -> dict[str, Any]:
    """ONNX's attributes of a window over the operator's map."""
    strides = _pair(operator, kind, "StrideH", "StrideW")
    if min(*strides, *dilation, *kernel) < 1:
        raise ModelError(
            f"{operator.name}: window {kernel}, strides {strides}, dilation {dilation}",
            node=f"node {graph.label(operator)}",
            wanted="1 and more",
        )
    reach = tuple((taps - 1) * step + 1 for taps, step in zip(kernel, dilation, strict=True))
    size = image_size(graph, operator, operator.inputs[0])
    same = operator.option(kind, "Padding", 0) == tflite.Padding.SAME
    pads = same_pads(size, (reach[0], reach[1]), strides) if same else [0, 0, 0, 0]
    return {"kernel_shape": list(kernel), "strides": list(strides), "pads": pads}


def _pair(operator: FlatOperator, kind: type, first: str, second: str, default: int = 1) -> Pair:
    return (
        int(operator.option(kind, first, default)),
        int(operator.option(kind, second, default)),
    )


def _activation(operator: FlatOperator, kind: type) -> int:
    return int(operator.option(kind, "FusedActivationFunction", 0))


def convolution(graph: Builder, operator: FlatOperator) -> None:
    """CONV_2D, of groups too."""
    stored = graph.constant(operator, 1, "weights")
    channels = graph.tensor(operator.inputs[0]).shape[3]
    if channels % stored.shape[3]:
        raise ModelError(
            f"CONV_2D: weights for {stored.shape[3]} channels on a map of {channels}",
            node=f"node {graph.label(operator)}",
            wanted="a divisor of the map's",
        )
    _convolve(graph, operator, tflite.Conv2DOptions, OIHW, channels // stored.shape[3])


def depthwise(graph: Builder, operator: FlatOperator) -> None:
    """DEPTHWISE_CONV_2D, of a depth multiplier too."""
    channels = graph.tensor(operator.inputs[0]).shape[3]
    _convolve(graph, operator, tflite.DepthwiseConv2DOptions, DEPTHWISE_OIHW, channels)


def _convolve(
    graph: Builder, operator: FlatOperator, kind: type, layout: tuple[int, ...], groups: int
) -> None:
    """A Conv of `groups`; layout: the axes of the file's weights that make ONNX's."""
    source, weights = operator.inputs[:2]
    stored = graph.constant(operator, 1, "weights")
    inputs = [graph.real(source), graph.weights(operator, 1, layout, 0)]
    bias = graph.bias(operator, 2, source, weights)
    dilation = _pair(operator, kind, "DilationHFactor", "DilationWFactor")
    window = _window(graph, operator, kind, (stored.shape[1], stored.shape[2]), dilation)
    graph.emit(
        operator,
        "Conv",
        inputs if bias is None else [*inputs, bias],
        activation=_activation(operator, kind),
        group=groups,
        dilations=list(dilation),
        **window,
    )


def transposed(graph: Builder, operator: FlatOperator) -> None:
    """TRANSPOSE_CONV: its inputs are the result's size, weights, the map, a bias."""
    kind = tflite.TransposeConvOptions
    number, source = operator.inputs[1], operator.inputs[2]
    stored = graph.constant(operator, 1, "weights")
    inputs = [graph.real(source), graph.weights(operator, 1, TRANSPOSED_IOHW, 1)]
    bias = graph.bias(operator, 3, source, number)
    strides = _pair(operator, kind, "StrideH", "StrideW")
    same = operator.option(kind, "Padding", 0) == tflite.Padding.SAME
    kernel, result = stored.shape[1:3], graph.tensor(operator.outputs[0]).shape[1:3]
    before, after, more = [], [], []
    size = image_size(graph, operator, source)
    for length, taps, stride, made in zip(size, kernel, strides, result, strict=True):
        total = (length - 1) * stride + taps - made  # what is cut off
        left = max(0, total) // 2 if same else 0
        before.append(left)
        after.append(max(0, total - left))
        more.append(max(0, -total))
    graph.emit(
        operator,
        "ConvTranspose",
        inputs if bias is None else [*inputs, bias],
        activation=_activation(operator, kind),
        kernel_shape=list(kernel),
        strides=list(strides),
        pads=before + after,
        output_padding=more,
    )


def dense(graph: Builder, operator: FlatOperator) -> None:
    """FULLY_CONNECTED, with or without a bias, of the last axis of any map."""
    kind = tflite.FullyConnectedOptions
    if operator.option(kind, "WeightsFormat", 0) != 0:
        raise UnsupportedError(
            "FULLY_CONNECTED: shuffled weights",
            node=f"node {graph.label(operator)}",
            wanted="weights in the plain order",
        )
    source, weights = operator.inputs[:2]
    number = operator.outputs[0]
    stored = graph.constant(operator, 1, "weights")
    rows = math.prod(graph.tensor(source).shape) // max(1, stored.shape[-1])
    name = graph.tensor(number).name
    flat = (rows, stored.shape[0])
    inputs = [
        graph.real_as(source, (rows, stored.shape[-1])),
        graph.weights(operator, 1, (1, 0), 1),
    ]
    bias = graph.bias(operator, 2, source, weights)
    real = graph.compute("MatMul", inputs, name)
    if bias is not None:
        real = graph.compute("Add", [real, bias], f"{name}_bias_add")
    shape = graph.tensor(number).shape
    activation = _activation(operator, kind)
    graph.finish(operator, number, real, activation, None if flat == shape else flat)


def pool(graph: Builder, operator: FlatOperator) -> None:
    """AVERAGE_POOL_2D and MAX_POOL_2D: padding counts in neither."""
    kind = tflite.Pool2DOptions
    kernel = _pair(operator, kind, "FilterHeight", "FilterWidth")
    window = _window(graph, operator, kind, kernel)
    name = "AveragePool" if operator.name == "AVERAGE_POOL_2D" else "MaxPool"
    activation = _activation(operator, kind)
    inputs = [graph.real(operator.inputs[0])]
    graph.emit(operator, name, inputs, activation=activation, **window)


def resize(graph: Builder, operator: FlatOperator) -> None:
    """RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR."""
    nearest = operator.name == "RESIZE_NEAREST_NEIGHBOR"
    kind = tflite.ResizeNearestNeighborOptions if nearest else tflite.ResizeBilinearOptions
    source = operator.inputs[0]
    size = image_size(graph, operator, source)
    wanted = graph.ints(operator, 1, "size")
    corners = bool(operator.option(kind, "AlignCorners", False))
    centres = bool(operator.option(kind, "HalfPixelCenters", False))
    mode = "align_corners" if corners else "half_pixel" if centres else "asymmetric"
    rounding = "round_prefer_ceil" if mode != "asymmetric" else "floor"
    if nearest and not corners and _whole(size, wanted):
        mode, rounding = "asymmetric", "floor"  # the same, and its usual name
    shape = graph.tensor(source).shape
    sizes = in_onnx([shape[0], *wanted, shape[3]])
    label = graph.label(operator)
    inputs = [graph.real(source), "", "", graph.add_constant(f"{label}_size", np.array(sizes))]
    named: dict[str, Any] = {"nearest_mode": rounding} if nearest else {}
    named["mode"] = "nearest" if nearest else "linear"
    graph.emit(operator, "Resize", inputs, coordinate_transformation_mode=mode, **named)


def _whole(size: Pair, wanted: Sequence[int]) -> bool:
    return len(wanted) == 2 and all(
        made >= length > 0 and made % length == 0 for length, made in zip(size, wanted, strict=True)
    )
