"""What exporters write around a network: each form gives the network that the plain form gives.

What enters: pairs of small float graphs, drawn weights. What leaves: failures. Always holds: the
two are read to the same integers, layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import mbn
from mbn.core.network import Network
from mbn.passes.frontend.constants import MOST_VALUES, fold_constants

Array = NDArray[Any]


class Graph:
    """Nodes in their order, constants by name; weights are drawn in the order of the calls."""

    def __init__(self, shape: tuple[int | str, ...], kind: int = TensorProto.FLOAT) -> None:
        self.input = helper.make_tensor_value_info("input", kind, shape)
        self.nodes: list[Any] = []
        self.stored: list[Any] = []
        self.bits = np.random.default_rng(3)

    def const(self, value: Any) -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        out = f"v{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, inputs, [out], f"n_{out}", domain=domain, **attributes)
        )
        return out

    def conv(self, value: str, to: int, taps: int, of: int, **attributes: Any) -> str:
        weights = self.bits.standard_normal((to, of, taps, taps)).astype(np.float32) / taps
        given = {"pads": [taps // 2] * 4, **attributes}
        bias = np.full(to, 0.1, np.float32)
        return self.op("Conv", value, self.const(weights), self.const(bias), **given)

    def head(self, value: str, of: int) -> str:
        pooled = self.op("Flatten", self.op("GlobalAveragePool", value))
        weights = self.bits.standard_normal((4, of)).astype(np.float32)
        return self.op("Gemm", pooled, self.const(weights), transB=1)

    def save(self, out: str, path: Path, kind: int = TensorProto.FLOAT, rank: int = 2) -> Path:
        result = helper.make_tensor_value_info(out, kind, [None] * rank)
        graph = helper.make_graph(self.nodes, "g", [self.input], [result], self.stored)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
        return path


def network_of(path: Path) -> Network:
    found = mbn.inspect(path)
    assert found.network is not None, found.refused
    return found.network


def same(first: Network, second: Network) -> None:
    """The same layers, whatever their names."""
    assert first.input.shape == second.input.shape
    assert len(first.layers) == len(second.layers)
    for one, other in zip(first.layers, second.layers, strict=True):
        assert (one.op, one.kernel, one.stride, one.pads) == (
            other.op,
            other.kernel,
            other.stride,
            other.pads,
        )
        for name in ("weights", "weight_scales", "bias"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        ours, theirs = first.tensor(one.output), second.tensor(other.output)
        assert (ours.shape, ours.scale, ours.zero_point) == (
            theirs.shape,
            theirs.scale,
            theirs.zero_point,
        )


def plain(path: Path) -> Network:
    g = Graph((1, 3, 16, 16))
    value = g.op("Relu", g.conv("input", 8, 3, 3, strides=[2, 2]))
    return network_of(g.save(g.head(value, 8), path))


def nhwc(g: Graph) -> str:
    turned = g.op("Transpose", "input", perm=[0, 3, 1, 2])
    return g.head(g.op("Relu", g.conv(turned, 8, 3, 3, strides=[2, 2])), 8)


def view(g: Graph) -> str:
    """x.view(x.size(0), -1), of an open batch, as the TorchScript exporter writes it."""
    value = g.op("Relu", g.conv("input", 8, 3, 3, strides=[2, 2]))
    pooled = g.op("GlobalAveragePool", value)
    batch = g.op("Gather", g.op("Shape", pooled), g.const(np.int64(0)), axis=0)
    batch = g.op("Unsqueeze", batch, g.const(np.array([0])))
    shape = g.op("Concat", batch, g.const(np.array([-1])), axis=0)
    flat = g.op("Reshape", pooled, shape)
    weights = g.bits.standard_normal((4, 8)).astype(np.float32)
    return g.op("Gemm", flat, g.const(weights), transB=1)


def padded(g: Graph) -> str:
    """nn.ZeroPad2d, whose amounts are computed from constants."""
    zeros = g.op("ConstantOfShape", g.const(np.array([2])))
    amounts = g.op("Cast", zeros, to=TensorProto.INT64)
    amounts = g.op("Concat", amounts, g.const(np.array([1, 1, 0, 0, 1, 1])), axis=0)
    value = g.op("Pad", "input", amounts)
    value = g.op("Relu", g.conv(value, 8, 3, 3, strides=[2, 2], pads=[0] * 4))
    return g.head(value, 8)


FORMS: dict[str, tuple[tuple[int | str, ...], Callable[[Graph], str]]] = {
    "height, width, channel": ((1, 16, 16, 3), nhwc),
    "view of an open batch": (("batch", 3, 16, 16), view),
    "pads from constants": ((1, 3, 16, 16), padded),
}


@pytest.mark.parametrize("form", FORMS)
def test_exporters_forms_are_the_plain_one(form: str, tmp_path: Path) -> None:
    shape, made = FORMS[form]
    g = Graph(shape)
    same(network_of(g.save(made(g), tmp_path / "form.onnx")), plain(tmp_path / "plain.onnx"))


def test_a_reshape_of_one_channel_is_a_transposition(tmp_path: Path) -> None:
    """As tf2onnx writes it."""
    networks = []
    for reshaped in (False, True):
        g = Graph((1, 16, 12, 1))
        target = g.const(np.array([-1, 1, 16, 12]))
        turned = (
            g.op("Reshape", "input", target)
            if reshaped
            else g.op("Transpose", "input", perm=[0, 3, 1, 2])
        )
        value = g.op("Relu", g.conv(turned, 8, 3, 1, strides=[2, 2]))
        networks.append(network_of(g.save(g.head(value, 8), tmp_path / f"{reshaped}.onnx")))
    same(*networks)
    assert networks[0].input.shape == (16, 12, 1)


def test_a_gain_behind_a_depthwise_joins_it(tmp_path: Path) -> None:
    """Keras 3's export of a batch normalisation: Mul and Add by a constant a channel."""
    gain = np.linspace(0.5, 1.5, 8).astype(np.float32).reshape(1, 8, 1, 1)
    shift = np.linspace(-0.1, 0.1, 8).astype(np.float32).reshape(1, 8, 1, 1)

    def made(joined: bool) -> Network:
        g = Graph((1, 3, 16, 16))
        value = g.op("Relu", g.conv("input", 8, 3, 3, strides=[2, 2]))
        weights = g.bits.standard_normal((8, 1, 3, 3)).astype(np.float32)
        bias = np.full(8, 0.1, np.float32)
        if joined:
            weights = weights * gain.reshape(8, 1, 1, 1)
            bias = bias * gain.reshape(-1) + shift.reshape(-1)
        names = g.const(weights), g.const(bias)
        value = g.op("Conv", value, *names, pads=[1] * 4, group=8)
        if not joined:
            value = g.op("Add", g.op("Mul", value, g.const(gain)), g.const(shift))
        return network_of(g.save(g.head(g.op("Relu", value), 8), tmp_path / f"{joined}.onnx"))

    ours, wanted = made(False), made(True)
    for one, other in zip(ours.layers, wanted.layers, strict=True):
        if one.weights is not None:
            assert one.weight_scales is not None and other.weight_scales is not None
            assert np.array_equal(one.weights, other.weights)
            assert np.allclose(one.weight_scales, other.weight_scales, rtol=1e-6)


@pytest.mark.parametrize(
    ("operator", "word", "attributes"),
    [
        ("LogSoftmax", "log_softmax", {"axis": 1}),
        ("Tanh", "tanh", {}),
        ("HardSigmoid", "hard_sigmoid", {}),
        ("ArgMax", "argmax", {"axis": 1}),
    ],
)
def test_ends_stay_on_the_host(
    operator: str, word: str, attributes: dict[str, int], tmp_path: Path
) -> None:
    g = Graph((1, 3, 16, 16))
    logits = g.head(g.op("Relu", g.conv("input", 8, 3, 3, strides=[2, 2])), 8)
    kind = TensorProto.INT64 if operator == "ArgMax" else TensorProto.FLOAT
    end = g.op(operator, logits, **attributes)
    found = network_of(g.save(end, tmp_path / "end.onnx", kind))
    assert found.host_ops == (word,)
    same(found, plain(tmp_path / "plain.onnx"))


def quantised(path: Path, *, contrib: bool = False, uint8_first: bool = False) -> Network:
    """A QDQ graph of one convolution; quantisers of com.microsoft; uint8 in front, as TensorFlow
    Lite's inference_input_type gives it."""
    domain = "com.microsoft" if contrib else ""
    g = Graph((1, 16, 16, 3), TensorProto.UINT8 if uint8_first else TensorProto.INT8)
    low, scale = g.const(np.int8(-128)), g.const(np.float32(1 / 255))
    value = "input"
    if uint8_first:
        value = g.op("DequantizeLinear", value, scale, g.const(np.uint8(0)))
        value = g.op("QuantizeLinear", value, scale, low)
    value = g.op("Transpose", value, perm=[0, 3, 1, 2])
    value = g.op("DequantizeLinear", value, scale, low, domain=domain)
    weights = g.bits.integers(-99, 99, (8, 3, 3, 3)).astype(np.int8)
    stored = (g.const(weights), g.const(np.float32(0.01)), g.const(np.int8(0)))
    kernel = g.op("DequantizeLinear", *stored, domain=domain)
    value = g.op("Relu", g.op("Conv", value, kernel, pads=[1] * 4))
    step = g.const(np.float32(0.05))
    value = g.op("QuantizeLinear", value, step, low, domain=domain)
    return network_of(
        g.save(g.op("DequantizeLinear", value, step, low, domain=domain), path, rank=4)
    )


def test_quantisers_of_another_domain_and_uint8_in_front(tmp_path: Path) -> None:
    wanted = quantised(tmp_path / "plain.onnx")
    same(quantised(tmp_path / "contrib.onnx", contrib=True), wanted)
    found = quantised(tmp_path / "uint8.onnx", uint8_first=True)  # a change of codes in front
    images = np.random.default_rng(5).integers(-128, 128, (3, 16, 16, 3)).astype(np.int8)
    assert (mbn.reference(found)(images) == mbn.reference(wanted)(images)).all()


def test_what_is_not_constant_or_too_large_stays(tmp_path: Path) -> None:
    """A hostile Expand asks for more values than there is memory."""
    g = Graph((1, 3, 16, 16))
    huge = g.op("Expand", g.const(np.float32(1)), g.const(np.array([MOST_VALUES, 2])))
    range_ = g.op("Range", g.const(np.int64(0)), g.const(np.int64(1 << 40)), g.const(np.int64(1)))
    small = g.op("Add", g.const(np.float32(1)), g.const(np.float32(2)))
    real = g.op("Mul", "input", small)
    model = onnx.load(str(g.save(real, tmp_path / "g.onnx", rank=4)))
    fold_constants(model)
    left = {node.output[0] for node in model.graph.node}
    assert left == {huge, range_, real}
    folded = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    assert folded[small] == 3


@pytest.mark.parametrize("taps", [9, 16])
def test_large_kernels(taps: int, tmp_path: Path) -> None:
    g = Graph((1, 2, 20, 20))
    value = g.op("Relu", g.conv("input", 4, taps, 2, pads=[taps // 2] * 4))
    found = network_of(g.save(g.head(value, 4), tmp_path / "large.onnx"))
    assert found.layers[0].kernel == (taps, taps)


def test_sizes_of_what_no_node_makes_are_not_maps(tmp_path: Path) -> None:
    """torch's dynamo exporter lists weights among the graph's values, and a quantiser leaves them
    there when it replaces the weights."""
    g = Graph((1, 3, 16, 16))
    path = g.save(g.head(g.op("Relu", g.conv("input", 8, 3, 3)), 8), tmp_path / "g.onnx")
    model = onnx.load(path)
    stale = helper.make_tensor_value_info("stale", TensorProto.FLOAT, [1024, 512, 3, 3])
    model.graph.value_info.append(stale)
    onnx.save(model, path)
    assert network_of(path).layers
