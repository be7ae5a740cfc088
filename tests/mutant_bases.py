"""The files that are damaged: hand-made networks that hold every kind of layer.

What enters: nothing. What leaves: files' bytes by name. Always holds: each compiles as it is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import qdq


def _begun(channels: int = 4, side: int = 6) -> qdq.Graph:
    graph = qdq.Graph((1, 3, side, side))
    graph.channels = 3
    graph.dequantise("image", 0.02, 1)
    graph.convolve(channels, 3, pads=(1, 1, 1, 1), name="first")
    graph.quantise(0.05, -7)
    return graph


def _head(graph: qdq.Graph) -> qdq.Graph:
    graph.then("GlobalAveragePool", name="pool")
    graph.quantise(0.04, -9)
    graph.then("Flatten")
    data = graph.value
    codes, scales = graph.draw(3, graph.channels)
    graph.node("Gemm", data, graph.weights("head.w", codes, scales), name="head", transB=1)
    graph.quantise(0.05, 4)
    return graph


def tables() -> bytes:
    """Tables, one by channel; squeeze and excite; a max pool; means."""
    graph = _begun()
    graph.then("HardSwish", name="swish")
    graph.quantise(0.04, -110)
    before = graph.value
    graph.then("ReduceMean", axes=[2, 3], keepdims=1, name="squeeze")
    graph.quantise(0.03, -9)
    graph.convolve(4, 1, name="excite")
    graph.quantise(0.05, 0)
    graph.then("Sigmoid", name="gate")
    graph.quantise(1 / 256, -128)
    graph.node("Mul", before, graph.value, name="product")
    graph.quantise(0.03, -100)
    slopes = graph.constant("slopes", np.array([0.1, 0.2, 0.3, -0.1], np.float32).reshape(4, 1, 1))
    graph.then("PRelu", slopes, name="prelu")
    graph.quantise(0.03, -20)
    graph.then("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, name="max")
    graph.quantise(0.03, -20)
    counts = {"kernel_shape": [2, 2], "pads": [1, 0, 0, 1], "count_include_pad": 1}
    graph.then("AveragePool", name="average", **counts)
    graph.quantise(0.03, -10)
    return _saved(_head(graph))


def moves() -> bytes:
    """Split, shuffle, concatenation, slice, padding, nearest resize, space and depth."""
    graph = _begun()
    sizes = graph.constant("sizes", np.array([2, 2], np.int64))
    left = graph.then("Split", sizes, axis=1, name="split")
    graph.nodes[-1].output.append("right")
    graph.node("Concat", "right", left, axis=1, name="swapped")
    for name, shape in (("apart", [1, 2, 2, 6, 6]), ("together", [1, 4, 6, 6])):
        graph.then("Reshape", graph.constant(name, np.array(shape, np.int64)), name=name)
        if name == "apart":
            graph.then("Transpose", perm=[0, 2, 1, 3, 4], name="shuffle")
    amounts = graph.constant("amounts", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    graph.then("Pad", amounts, name="pad")
    ends = [
        graph.constant(name, np.array(values, np.int64))
        for name, values in (("from", [1, 0]), ("to", [7, 8]), ("axes", [2, 3]), ("by", [2, 1]))
    ]
    graph.then("Slice", *ends, name="slice")
    twice = graph.constant("twice", np.array([1, 1, 2, 1], np.float32))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
    graph.then("Resize", "", twice, name="nearest", nearest_mode="floor", **how)
    graph.then("SpaceToDepth", blocksize=2, name="deeper")
    graph.quantise(0.05, -7)
    graph.channels = 16
    graph.convolve(4, 1, name="after")
    graph.quantise(0.05, 3)
    return _saved(_head(graph))


def windows() -> bytes:
    """Groups, dilation, transposed convolutions, a bilinear resize, a product of each position."""
    graph = _begun()
    codes, scales = graph.draw(4, 2, 3, 3)
    data = graph.value
    stored = graph.weights("groups.w", codes, scales)
    graph.node("Conv", data, stored, name="groups", group=2, pads=[2] * 4, dilations=[2, 2])
    graph.quantise(0.05, 3)
    for name, groups in (("up", 1), ("up_depthwise", 4)):
        codes, scales = graph.draw(4, 4 // groups, 3, 3)
        data = graph.value
        stored = graph.weights(f"{name}.w", codes, scales, axis=1 if groups == 1 else 0)
        given = {"strides": [2, 2], "pads": [1] * 4} if groups == 1 else {"pads": [1] * 4}
        graph.node("ConvTranspose", data, stored, name=name, group=groups, **given)
        graph.quantise(0.05, -3)
    twice = graph.constant("twice", np.array([1, 1, 2, 2], np.float32))
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    graph.then("Resize", "", twice, name="bilinear", **how)
    graph.quantise(0.05, -3)
    graph.then("Transpose", perm=[0, 2, 3, 1], name="last")
    codes, scales = graph.draw(4, 4)
    data = graph.value
    graph.node("MatMul", data, graph.weights("p", codes.T, scales, axis=1), name="positions")
    graph.quantise(0.05, 0)
    graph.then("Transpose", perm=[0, 3, 1, 2], name="back")
    return _saved(_head(graph))


def _saved(graph: qdq.Graph) -> bytes:
    return graph.model().SerializeToString(deterministic=True)


def qoperator() -> bytes:
    """ONNX Runtime's quantised operators."""
    import test_qoperator as made  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = made.every_operator().save(Path(folder) / "f.onnx")
        return made.written(path).read_bytes()


def tflite() -> bytes:
    """A .tflite file."""
    from tflite_drawn import Drawn  # noqa: PLC0415

    drawn = Drawn()
    image = drawn.input((1, 8, 8, 3))
    weights = drawn.weights((4, 3, 3, 3))
    first = drawn.tensor((1, 4, 4, 4), scale=0.06, zero=-5)
    same = {"padding": 0, "strideH": 2, "strideW": 2, "fusedActivationFunction": 0}
    inputs = [image, weights, drawn.bias(image, weights)]
    drawn.operator("CONV_2D", inputs, first, "Conv2DOptions", **same)
    swish = drawn.tensor((1, 4, 4, 4), scale=0.05, zero=-120)
    drawn.operator("HARD_SWISH", [first], swish)
    added = drawn.tensor((1, 4, 4, 4), scale=0.07, zero=3)
    drawn.operator("ADD", [first, swish], added, "AddOptions", fusedActivationFunction=0)
    most = drawn.tensor((1, 2, 2, 4), scale=0.07, zero=3)
    window = {"filterHeight": 2, "filterWidth": 2, **same}
    drawn.operator("MAX_POOL_2D", [added], most, "Pool2DOptions", **window)
    joined = drawn.tensor((1, 2, 2, 8), scale=0.07, zero=3)
    options = {"axis": 3, "fusedActivationFunction": 0}
    drawn.operator("CONCATENATION", [most, most], joined, "ConcatenationOptions", **options)
    mean = drawn.tensor((1, 8), scale=0.05, zero=1)
    drawn.operator("MEAN", [joined, drawn.ints([1, 2])], mean, "ReducerOptions", keepDims=False)
    return drawn.bytes(mean)
