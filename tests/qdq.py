"""QDQ graphs made by hand with onnx.helper, in the spellings that exporters use.

What enters: calls that add one operator each. What leaves: an ONNX model, opset 17. Always holds:
equal calls give equal bytes; every quantised tensor has a name, so that ONNX Runtime can be asked
for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]


class Graph:
    """Collects nodes. `value` is the float tensor that the next operator reads."""

    def __init__(
        self,
        shape: tuple[int | str, ...],
        kind: int = TensorProto.INT8,
        *,
        opset: int = 17,
        per_tensor: bool = False,
    ) -> None:
        self.opset, self.per_tensor = opset, per_tensor
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.input = helper.make_tensor_value_info("image", kind, list(shape))
        self.value = "image"
        self.channels = 0
        self.scale = 0.0
        self.quantised: list[str] = []
        self.outputs: list[str] = []  # empty: the current value
        self.rng = np.random.default_rng(3)

    def constant(self, name: str, values: Array) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Adds a node that reads `inputs` (default: the current value); its output is current."""
        label = name or f"{operator.lower()}{len(self.nodes)}"
        self.value = f"{label}.out"
        self.nodes.append(
            helper.make_node(operator, list(inputs), [self.value], name=label, **attributes)
        )
        return self.value

    def then(self, operator: str, *more: str, name: str | None = None, **attributes: Any) -> str:
        """The operator on the current value."""
        return self.node(operator, self.value, *more, name=name, **attributes)

    def _numbers(self, name: str, scale: Array, zero: Array) -> tuple[str, str]:
        return self.constant(f"{name}.scale", scale), self.constant(f"{name}.zero", zero)

    def dequantise(self, value: str, scale: float, zero: int, kind: type = np.int8) -> str:
        numbers = self._numbers(
            f"{value}.d{len(self.nodes)}", np.array(scale, np.float32), np.array(zero, kind)
        )
        self.scale = float(np.float32(scale))
        return self.node("DequantizeLinear", value, *numbers)

    def quantise(self, scale: float, zero: int, kind: type = np.int8) -> str:
        """QuantizeLinear and DequantizeLinear on the current value."""
        numbers = self._numbers(
            f"q{len(self.nodes)}", np.array(scale, np.float32), np.array(zero, kind)
        )
        codes = self.then("QuantizeLinear", *numbers)
        self.quantised.append(codes)
        self.scale = float(np.float32(scale))
        return self.node("DequantizeLinear", codes, *numbers)

    def weights(self, name: str, codes: Array, scales: Array, axis: int = 0) -> str:
        """Constant codes behind a DequantizeLinear (before opset 13 it has no axis)."""
        zero = np.zeros(scales.shape, codes.dtype)
        before = self.value
        numbers = self._numbers(name, scales.astype(np.float32), zero)
        stored = self.constant(f"{name}.codes", codes)
        options = {"axis": axis} if scales.ndim else {}
        out = self.node("DequantizeLinear", stored, *numbers, name=f"{name}.dq", **options)
        self.value = before
        return out

    def draw(self, *shape: int) -> tuple[Array, Array]:
        """int8 weights and their scales, by the first axis, for outputs of about +-2."""
        codes = self.rng.integers(-127, 128, shape).astype(np.int8)
        size = 73 * np.sqrt(np.prod(shape[1:])) * 73 * self.scale
        scales = (2 / size * self.rng.uniform(0.5, 1.5, shape[0])).astype(np.float32)
        return codes, scales[0].reshape(()) if self.per_tensor else scales

    def convolve(
        self,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        depthwise: bool = False,
        multiplier: int = 1,
        bias: str = "int32",
        name: str | None = None,
        **attributes: Any,
    ) -> str:
        """Conv with drawn weights. bias: int32 (at scale s_in * s_w), float, none, or the name of
        a tensor that is there already."""
        label = name or f"conv{len(self.nodes)}"
        depth = 1 if depthwise else self.channels
        groups = self.channels if depthwise else 1
        channels = self.channels * multiplier if depthwise else channels
        codes, scales = self.draw(channels, depth, kernel, kernel)
        inputs = [self.value, self.weights(f"{label}.w", codes, scales)]
        wanted = self.rng.uniform(-1, 1, channels)
        if bias == "int32":
            scale = (np.float32(self.scale) * scales).astype(np.float32)
            integers = np.rint(wanted / scale).astype(np.int32)
            inputs.append(self.weights(f"{label}.b", integers, scale))
        elif bias == "float":
            inputs.append(self.constant(f"{label}.b", wanted.astype(np.float32)))
        elif bias != "none":
            inputs.append(bias)
        self.value = inputs[0]
        self.channels = channels
        options = {
            "kernel_shape": [kernel, kernel],
            "strides": [stride, stride],
            "pads": list(pads),
            "group": groups,
            **attributes,
        }
        return self.node("Conv", *inputs, name=label, **options)

    def clamp(self, low: float | None, high: float | None) -> str:
        """Clip with both, either or no bound."""
        names = [
            ""
            if bound is None
            else self.constant(f"clip{len(self.nodes)}.{end}", np.array(bound, np.float32))
            for end, bound in (("low", low), ("high", high))
        ]
        return self.then("Clip", *names)

    def model(self) -> onnx.ModelProto:
        """The model."""
        names = self.outputs or [self.value]
        outputs = [onnx.ValueInfoProto(name=name) for name in names]
        graph = helper.make_graph(self.nodes, "g", [self.input], outputs, self.constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8
        )
        inferred = onnx.shape_inference.infer_shapes(model)
        kinds = {v.name: v for v in inferred.graph.value_info}
        kinds.update({v.name: v for v in inferred.graph.output})
        del model.graph.output[:]
        model.graph.output.extend(kinds[name] for name in names)
        return model

    def save(self, path: Path) -> Path:
        path.write_bytes(self.model().SerializeToString(deterministic=True))
        return path

    def saved_with_maps(self, path: Path) -> Path:
        """The same with every quantised tensor as an output."""
        model = self.model()
        inferred = onnx.shape_inference.infer_shapes(model)
        kinds = {v.name: v for v in (*inferred.graph.value_info, *inferred.graph.output)}
        del model.graph.output[:]
        model.graph.output.extend(kinds[name] for name in self.quantised)
        path.write_bytes(model.SerializeToString(deterministic=True))
        return path


def mobile(
    *,
    activation: str = "relu",
    pool: str = "average",
    head: str = "gemm",
    softmax: bool = True,
    side: int = 12,
    whole: bool = False,
    flatten: str = "float",
    layout: str = "nhwc",
) -> Graph:
    """A small network as tf2onnx writes MLPerf Tiny's: int8 image, asymmetric padding, three
    biases (int32, shared between two scales, float) and none, a pool, a dense head.

    activation: relu, relu6, clip_low, clip_both or none. pool: average, global or mean. head: gemm,
    gemm_plain, matmul or conv. whole: the dense head reads a map of more than one pixel. flatten:
    the reshape before it on float values, or on int8 ones (as tf2onnx).
    """
    if layout == "nhwc":
        g = Graph(("batch", side, side, 3))
        g.then("Transpose", perm=[0, 3, 1, 2])
    else:
        g = Graph((1, 3, side, side))
    g.channels = 3
    g.dequantise(g.value, 0.0078125, -1)

    def close(scale: float = 6 / 255, zero: int = -128) -> None:
        if activation == "relu":
            g.then("Relu")
        elif activation == "relu6":
            g.clamp(0.0, 6.0)
        elif activation == "clip_low":
            g.clamp(0.0, None)
        else:
            if activation == "clip_both":
                g.clamp(-1.5, 1.25)
            scale, zero = 6 / 255, 3
        g.quantise(scale, zero)

    g.convolve(8, 3, stride=2, pads=(0, 0, 1, 1), bias="int32", name="stem")
    close()
    shared = g.weights("shared", g.rng.integers(-40, 40, 8).astype(np.int32), np.array(0.01))
    g.convolve(8, 3, pads=(1, 1, 1, 1), depthwise=True, bias=shared, name="dw1")
    close(0.03, -128)
    g.convolve(8, 1, bias=shared, name="pw1")
    close(0.04, -128)
    g.convolve(8, 3, stride=2, pads=(0, 0, 1, 1), depthwise=True, bias="none", name="dw2")
    close()
    g.convolve(11, 1, bias="float", name="pw2")
    close()
    size = side // 4
    if not whole:
        if pool == "average":
            g.then("AveragePool", kernel_shape=[size, size], strides=[size, size], name="pool")
        elif pool == "global":
            g.then("GlobalAveragePool", name="pool")
        else:
            g.then("ReduceMean", axes=[2, 3], keepdims=1, name="pool")
        g.quantise(0.02, -125)
    _head(g, head, flatten, 11 * (size * size if whole else 1))
    if softmax:
        g.then("Softmax", axis=-1)
        g.quantise(1 / 256, -128)
    return g


def _head(g: Graph, head: str, flatten: str, inputs: int) -> None:
    codes, scales = g.draw(5, inputs)
    if head == "conv":
        g.convolve(5, 1, name="logits")
        g.quantise(0.05, 4)
        g.then("Flatten")
        return
    flat = g.constant("flat", np.array([1, inputs], np.int64))
    if flatten == "float":
        g.then("Reshape", flat)
    else:
        last = g.nodes.pop()
        g.node("Reshape", last.input[0], flat)
        g.node("DequantizeLinear", g.value, *last.input[1:])
    data = g.value
    bias = (np.float32(g.scale) * scales).astype(np.float32)
    integers = np.rint(g.rng.uniform(-1, 1, 5) / bias).astype(np.int32)
    offset = g.weights("logits.b", integers, bias)
    if head == "gemm":
        weight = g.weights("logits.w", codes, scales, axis=0)
        g.node("Gemm", data, weight, offset, name="logits", transB=1)
    elif head == "gemm_plain":
        weight = g.weights("logits.w", codes.T, scales, axis=1)
        g.node("Gemm", data, weight, offset, name="logits")
    else:
        weight = g.weights("logits.w", codes.T, scales, axis=1)
        g.node("MatMul", data, weight, name="logits")
        g.then("Add", offset)
    g.quantise(0.05, 4)


def residual(*, unsigned: bool = False, opset: int = 17) -> Graph:
    """Two inverted residual blocks as MobileNetV2 has them, a pool and a dense head. unsigned:
    uint8 codes, 128 higher."""
    kind, offset = (np.uint8, 128) if unsigned else (np.int8, 0)
    image = TensorProto.UINT8 if unsigned else TensorProto.INT8
    g = Graph((1, 3, 10, 10), image, opset=opset, per_tensor=opset < 13)
    g.channels = 3
    g.dequantise("image", 0.0078125, -1 + offset, kind)
    g.convolve(6, 3, stride=2, pads=(1, 1, 1, 1), name="stem")
    g.clamp(0.0, 6.0)
    g.quantise(6 / 255, -128 + offset, kind)
    for number in (1, 2):
        before = g.value
        g.convolve(9, 1, name=f"expand{number}")
        g.clamp(0.0, 6.0)
        g.quantise(6 / 255, -128 + offset, kind)
        g.convolve(9, 3, pads=(1, 1, 1, 1), depthwise=True, name=f"dw{number}")
        g.clamp(0.0, 6.0)
        g.quantise(6 / 255, -128 + offset, kind)
        g.convolve(6, 1, name=f"project{number}")
        g.quantise(0.03, 7 + offset, kind)
        g.node("Add", before, g.value, name=f"add{number}")
        g.quantise(0.05, -11 + offset, kind)
    g.then("GlobalAveragePool", name="pool")
    g.quantise(0.04, -9 + offset, kind)
    g.then("Flatten")
    codes, scales = g.draw(4, 6)
    data = g.value
    g.node("Gemm", data, g.weights("logits.w", codes, scales), name="logits", transB=1)
    g.quantise(0.05, 4 + offset, kind)
    return g


def float_network() -> onnx.ModelProto:
    """A small network in float, batch norms and all."""
    rng = np.random.default_rng(2)
    sizes = {"w": (4, 3, 3, 3), "gain": (4,), "shift": (4,), "mean": (4,), "var": (4,)}
    sizes |= {"dw": (4, 1, 3, 3), "pw": (6, 4, 1, 1), "fc": (3, 6), "fb": (3,)}
    constants = [
        numpy_helper.from_array(rng.uniform(0.2, 1, size).astype(np.float32), name)
        for name, size in sizes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "stem", pads=[1] * 4, strides=[2, 2]),
        helper.make_node("BatchNormalization", ["a", "gain", "shift", "mean", "var"], ["b"], "bn"),
        helper.make_node("Relu", ["b"], ["c"], "relu"),
        helper.make_node("Conv", ["c", "dw"], ["d"], "dw", pads=[1] * 4, group=4),
        helper.make_node("Add", ["c", "d"], ["e"], "add"),
        helper.make_node("Conv", ["e", "pw"], ["f"], "pw"),
        helper.make_node("GlobalAveragePool", ["f"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["h"], "flatten"),
        helper.make_node("Gemm", ["h", "fc", "fb"], ["y"], "fc", transB=1),
    ]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])
    graph = helper.make_graph(nodes, "float", [image], [result], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
