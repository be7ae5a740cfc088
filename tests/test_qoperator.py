"""Files in ONNX Runtime's QOperator format, and in old opsets: read as QDQ in a newer one.

What enters: a small float network of every operator that ONNX Runtime quantises so, drawn weights.
What leaves: nothing but failures. Always holds: layer by layer no value differs by more than 1 from
ONNX Runtime's own quantised operators on the file as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

import networks
import qdq
from mbn.core.errors import UnsupportedError
from mbn.core.network import Network, Op
from mbn.jobs import agreement
from mbn.passes.frontend import lower
from mbn.passes.quantise.static import quantise
from test_frontend import agree
from test_operators import exact_on_host

SHAPE = (1, 3, 12, 12)


class Float:
    """A float network, node by node; weights are drawn."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.rng = np.random.default_rng(1)

    def drawn(self, name: str, *shape: int) -> str:
        values = self.rng.normal(0, 0.4, shape).astype(np.float32)
        return self.constant(name, values)

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def save(self, path: Path, opset: int = 17, outputs: int = 4) -> Path:
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)
        last = self.nodes[-1].output[0]
        result = helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, outputs])
        graph = helper.make_graph(self.nodes, "g", [image], [result], self.constants)
        opsets = [helper.make_opsetid("", opset)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


def every_operator() -> Float:
    f = Float()
    f.node("Conv", ["x", f.drawn("w1", 6, 3, 3, 3), f.drawn("b1", 6)], "first", pads=[1] * 4)
    f.node("Relu", ["first"], "relu")
    depthwise = ["relu", f.drawn("w2", 6, 1, 3, 3)]
    f.node("Conv", depthwise, "depthwise", pads=[1] * 4, strides=[2, 2], group=6)
    f.node("AveragePool", ["relu"], "average", kernel_shape=[2, 2], strides=[2, 2])
    f.node("Add", ["average", "depthwise"], "sum")
    f.node("MaxPool", ["sum"], "most", kernel_shape=[2, 2], strides=[1, 1])
    f.node("Conv", ["most", f.drawn("w3", 6, 6, 1, 1), f.drawn("b3", 6)], "pointwise")
    f.node("Sigmoid", ["pointwise"], "gate")
    f.node("Mul", ["pointwise", "gate"], "product")
    f.node("LeakyRelu", ["product"], "leaky", alpha=0.1)
    f.node("Concat", ["leaky", "most"], "joined", axis=1)
    f.node("Conv", ["joined", f.drawn("w4", 8, 12, 1, 1), f.drawn("b4", 8)], "wide")
    f.node("GlobalAveragePool", ["wide"], "mean")
    f.node("Flatten", ["mean"], "flat")
    f.node("Gemm", ["flat", f.drawn("w5", 5, 8), f.drawn("b5", 5)], "dense", transB=1)
    f.node("MatMul", ["dense", f.drawn("w6", 5, 4)], "last")
    return f


def moved_codes() -> Float:
    f = Float()
    f.node("Conv", ["x", f.drawn("w1", 4, 3, 3, 3), f.drawn("b1", 4)], "first")
    amounts = f.constant("pads", np.array([0, 0, 1, 0, 0, 0, 1, 2], np.int64))
    f.node("Pad", ["first", amounts], "padded")
    sizes = f.constant("sizes", np.array([1, 1, 2, 2], np.float32))
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
    f.node("Resize", ["padded", "", sizes], "larger", nearest_mode="floor", **nearest)
    f.node("Conv", ["larger", f.drawn("w2", 4, 4, 1, 1)], "second")
    f.node("Transpose", ["second"], "turned", perm=[0, 2, 3, 1])
    f.node("Transpose", ["turned"], "back", perm=[0, 3, 1, 2])
    f.node("GlobalAveragePool", ["back"], "mean")
    f.node("Flatten", ["mean"], "last")
    return f


class Samples(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self.left: Iterator[Any] = iter(samples())

    def get_next(self) -> Any:
        found = next(self.left, None)
        return None if found is None else {"x": found}


def samples() -> list[NDArray[np.float32]]:
    return [
        np.random.default_rng(seed).uniform(-1, 1, SHAPE).astype(np.float32) for seed in range(4)
    ]


def written(float_path: Path, **options: Any) -> Path:
    path = float_path.with_name("q.onnx")
    given = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8, **options}
    quantize_static(
        str(float_path), str(path), Samples(), quant_format=QuantFormat.QOperator, **given
    )
    return path


def held(path: Path) -> Network:
    network = lower(path, "g")
    found = agreement.compare(path, networks.images(network, 2))
    apart = {one.layer.name: one.largest for one in found.layers if one.largest > 1}
    assert not apart
    return network


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("codes", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("opset", [10, 11, 17])
def test_every_quantised_operator(
    opset: int, codes: QuantType, per_channel: bool, tmp_path: Path
) -> None:
    path = every_operator().save(tmp_path / "f.onnx", opset)
    path = written(path, activation_type=codes, per_channel=per_channel)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert {"QLinearConv", "QLinearAdd", "QLinearMul", "QGemm", "QLinearConcat"} < kinds
    network = held(path)
    assert {layer.op for layer in network.layers} > {Op.MAX_POOL, Op.TABLE, Op.PRODUCT, Op.MOVE}


def test_codes_that_are_moved(tmp_path: Path) -> None:
    network = held(written(moved_codes().save(tmp_path / "f.onnx")))
    exact_on_host(network, tmp_path)


def test_weights_and_codes_of_two_readers(tmp_path: Path) -> None:
    f = Float()
    f.node("Conv", ["x", f.drawn("w0", 4, 3, 3, 3), f.drawn("b", 4)], "first")
    f.drawn("shared", 4, 4, 1, 1)
    f.node("Conv", ["first", "shared", "b"], "one")
    f.node("Conv", ["one", "shared", "b"], "two")
    f.node("GlobalAveragePool", ["two"], "mean")
    f.node("Flatten", ["mean"], "last")
    network = held(written(f.save(tmp_path / "f.onnx")))
    one, two = network.layers[1:3]
    assert one.weights is not None and two.weights is not None
    assert np.array_equal(one.weights, two.weights)


def test_dynamic_quantisation_is_refused(tmp_path: Path) -> None:
    path = every_operator().save(tmp_path / "f.onnx")
    quantize_dynamic(str(path), str(tmp_path / "d.onnx"))
    with pytest.raises(UnsupportedError, match=r"(Conv|MatMul)Integer|DynamicQuantizeLinear"):
        lower(tmp_path / "d.onnx", "g")


@pytest.mark.parametrize("opset", [8, 9, 10])
def test_float_networks_of_old_opsets(opset: int, tmp_path: Path) -> None:
    path = every_operator().save(tmp_path / "f.onnx", opset)
    quantise(path, samples(), tmp_path / "q.onnx")
    held(tmp_path / "q.onnx")


def test_qdq_of_opset_10(tmp_path: Path) -> None:
    graph = qdq.Graph((1, 3, 8, 8), opset=10, per_tensor=True)
    graph.channels = 3
    graph.dequantise("image", 0.02, 1)
    graph.convolve(4, 3, name="first")
    graph.then("Clip", min=0.0, max=6.0)
    graph.quantise(0.03, -128)
    assert agree(graph, tmp_path).layers[0].clamp == (0, 6)


def test_what_onnx_cannot_convert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="opset 6, and ONNX can't convert it"):
        lower(every_operator().save(tmp_path / "f.onnx", 6), "g")
