"""Kinds of networks that people bring: each compiles, or is refused in the words that help.

What enters: tiny graphs of drawn weights, one a kind. What leaves: failures. Always holds: what is
refused is refused by its node, with what would be right.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import mbn
from mbn.core.network import Op
from test_plumbing import Graph


def pictures(folder: Path) -> Path:
    folder.mkdir()
    bits = np.random.default_rng(2)
    for number in range(8):
        pixels = bits.integers(0, 256, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("shape", [(1, 16, 16, 3), (1, 3, 12, 20)], ids=["nhwc", "not square"])
def test_float_networks_with_pictures(shape: tuple[int, ...], tmp_path: Path) -> None:
    g = Graph(shape)
    value = "input" if shape[1] == 3 else g.op("Transpose", "input", perm=[0, 3, 1, 2])
    value = g.op("Relu", g.conv(value, 8, 3, 3, strides=[2, 2]))
    path = g.save(g.head(value, 8), tmp_path / "g.onnx")
    compiled = mbn.compile(
        path,
        board="host",
        calibrate=pictures(tmp_path / "pictures"),
        output=tmp_path / "out",
        accept_loss=True,
        samples=1,
    )
    report = compiled.check()
    assert report.check is not None and report.check.exact_samples == 1


def pool_first(g: Graph) -> str:
    value = g.op("AveragePool", "input", kernel_shape=[2, 2], strides=[2, 2])
    return g.head(g.conv(value, 8, 3, 3), 8)


def moved_pool_first(g: Graph) -> str:
    value = g.op("Pad", "input", g.const(np.array([0, 0, 1, 1, 0, 0, 1, 1])))
    value = g.op("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2])
    return g.head(g.conv(value, 8, 3, 3), 8)


def padded_pool(g: Graph) -> str:
    value = g.op("Relu", g.conv("input", 8, 3, 3))
    counted = {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}
    return g.head(g.op("AveragePool", value, **counted), 8)


def grouped(g: Graph) -> str:
    value = g.op("Relu", g.conv("input", 8, 3, 3))
    return g.head(g.conv(value, 8, 3, 2, group=4), 8)


def dilated(g: Graph) -> str:
    value = g.op("Relu", g.conv("input", 8, 3, 3))
    return g.head(g.conv(value, 8, 3, 8, dilations=[2, 2], pads=[2] * 4), 8)


def shifted(g: Graph) -> str:
    value = g.op("Relu", g.conv("input", 8, 3, 3))
    return g.head(g.op("Add", g.conv(value, 8, 1, 8), g.const(np.float32(3))), 8)


def normed_depthwise(g: Graph) -> str:
    value = g.conv(g.op("Relu", g.conv("input", 8, 3, 3)), 8, 3, 1, group=8)
    gain = g.bits.uniform(0.5, 2, (8, 1, 1)).astype(np.float32)
    value = g.op("Mul", value, g.const(gain))
    return g.head(g.op("Relu", g.op("Add", value, g.const(gain - 1))), 8)


@pytest.mark.parametrize(
    "make",
    [pool_first, moved_pool_first, padded_pool, grouped, dilated, shifted, normed_depthwise],
)
def test_float_networks_are_taken(make: Callable[[Graph], str], tmp_path: Path) -> None:
    g = Graph((1, 3, 16, 16))
    found = mbn.inspect(g.save(make(g), tmp_path / "g.onnx"))
    assert found.network is not None, found.refused
    ops = [layer.op for layer in found.network.layers]
    if make in (pool_first, moved_pool_first):
        assert Op.POOL in ops[:1] or Op.MAX_POOL in ops[:2]


def broadcast(g: Graph) -> str:
    value = g.op("Relu", g.conv("input", 8, 3, 3))
    return g.head(g.op("Add", value, g.op("ReduceMean", value, axes=[2], keepdims=1)), 8)


def strange(g: Graph) -> str:
    value = g.op("Sin", g.op("Cos", g.conv("input", 8, 3, 3)))
    return g.head(g.op("Cos", value), 8)


REFUSED: dict[str, tuple[Callable[[Graph], str], tuple[int, ...], list[str]]] = {
    "addition of one row": (broadcast, (1, 3, 16, 16), ["addition of maps of (1, 8, 16, 16)"]),
    "operators": (strange, (1, 3, 16, 16), ["operator Cos", "2 nodes", "operator Sin"]),
    "batch, operators": (strange, (10, 3, 16, 16), ["batch 10", "operator Cos", "operator Sin"]),
    "batch": (grouped, (10, 3, 16, 16), ["has batch 10. wanted: batch 1"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_float_networks_are_refused(kind: str, tmp_path: Path) -> None:
    make, shape, words = REFUSED[kind]
    g = Graph(shape)
    found = mbn.inspect(g.save(make(g), tmp_path / "g.onnx"))
    said = " ".join(map(str, found.refused))
    assert all(word in said for word in words), said


def both(g: Graph, value: str, scale: float, zero: Any) -> str:
    given = g.const(np.float32(scale)), g.const(zero)
    return g.op("DequantizeLinear", g.op("QuantizeLinear", value, *given), *given)


def quantised(
    path: Path, weights: Any, zero: Any, codes: type = np.int8, *, pooled: bool = True
) -> Path:
    """Input, a convolution and a pool in QDQ; the pool and a Gemm in float without `pooled`."""
    g = Graph((1, 3, 16, 16))
    value = both(g, "input", 1 / 128, codes(0))
    kernel = g.op("DequantizeLinear", g.const(weights), g.const(np.float32(0.01)), g.const(zero))
    value = both(g, g.op("Relu", g.op("Conv", value, kernel)), 0.03, codes(0))
    if not pooled:
        return g.save(g.head(value, 8), path)
    value = both(g, g.op("GlobalAveragePool", value), 0.03, codes(0))
    return g.save(value, path, rank=4)


WEIGHTS = np.random.default_rng(3).integers(-99, 99, (8, 3, 3, 3)).astype(np.int8)


def refused(path: Path) -> str:
    found = mbn.inspect(path)
    assert found.network is None
    assert len(found.refused) == 1
    return str(found.refused[0])


def test_activations_of_16_bits(tmp_path: Path) -> None:
    path = quantised(tmp_path / "g.onnx", WEIGHTS, np.int8(0), np.int16)
    opset = mbn.inspect(path).refused
    assert opset and "traceback" not in str(opset[0]).lower()


def test_weights_with_a_zero_point(tmp_path: Path) -> None:
    moved = (WEIGHTS.astype(np.int16) + 120).astype(np.uint8)
    found = mbn.inspect(quantised(tmp_path / "g.onnx", moved, np.uint8(120)))
    assert found.network is not None, found.refused
    assert np.array_equal(found.network.layers[0].weights, WEIGHTS.transpose(0, 2, 3, 1))
    said = refused(quantised(tmp_path / "h.onnx", moved, np.uint8(10)))
    assert "less their zero point reach" in said


def test_weights_of_4_bits(tmp_path: Path) -> None:
    g = Graph((1, 3, 16, 16))
    value = both(g, "input", 1 / 128, np.int8(0))
    name = "packed"
    g.stored.append(
        helper.make_tensor(name, TensorProto.INT4, (8, 3, 3, 3), (WEIGHTS % 8).reshape(-1).tolist())
    )
    zero = "packed_zero"
    g.stored.append(helper.make_tensor(zero, TensorProto.INT4, (), [0]))
    kernel = g.op("DequantizeLinear", name, g.const(np.float32(0.01)), zero)
    value = both(g, g.op("Conv", value, kernel), 0.03, np.int8(0))
    path = g.save(value, tmp_path / "g.onnx", rank=4)
    _in_opset(path, 21)
    assert "weights of type INT4. wanted: INT8 or UINT8" in refused(path)


def _in_opset(path: Path, opset: int) -> None:
    model = onnx.load(path)
    model.opset_import[0].version = opset
    onnx.save(model, path)


def test_what_is_left_in_float_is_named(tmp_path: Path) -> None:
    said = refused(quantised(tmp_path / "g.onnx", WEIGHTS, np.int8(0), pooled=False))
    assert "a float last layer behind int8 ones (with it 2 layers are)" in said
    assert "call_tir" not in said


def test_weights_alone_in_8_bits_are_a_float_network(tmp_path: Path) -> None:
    g = Graph((1, 3, 16, 16))
    kernel = g.op("DequantizeLinear", g.const(WEIGHTS), g.const(np.float32(0.01)))
    value = g.op("Relu", g.op("Conv", "input", kernel))
    found = mbn.inspect(g.save(g.head(value, 8), tmp_path / "g.onnx"))
    assert found.network is not None, found.refused
    assert found.is_float


def test_a_softmax_of_each_cell(tmp_path: Path) -> None:
    """As FOMO ends: over the channels of a map, in both roundings."""
    g = Graph((1, 3, 16, 16))
    value = both(g, "input", 1 / 255, np.int8(-128))
    kernel = g.op("DequantizeLinear", g.const(WEIGHTS), g.const(np.float32(0.01)))
    value = both(g, g.op("Conv", value, kernel, pads=[1] * 4), 0.05, np.int8(3))
    value = g.op("Softmax", g.op("Transpose", value, perm=[0, 2, 3, 1]), axis=3)
    value = both(g, value, 1 / 256, np.int8(-128))
    path = g.save(value, tmp_path / "g.onnx", rank=4)
    for rounding in ("single", "tflite"):
        found = mbn.inspect(path, rounding=rounding)
        assert found.network is not None, found.refused
        assert (found.network.host_ops == ("softmax",)) == (rounding == "single")


@pytest.mark.parametrize("channels", [-3, 2**40])
def test_impossible_channels_are_refused(channels: int, tmp_path: Path) -> None:
    g = Graph((1, channels, 16, 16))
    value = g.op("Relu", g.conv("input", 8, 3, 3))
    with pytest.raises(mbn.MbnError):
        mbn.compile(
            g.save(g.head(value, 8), tmp_path / "g.onnx"),
            board="host",
            calibrate=pictures(tmp_path / "pictures"),
            output=tmp_path / "out",
        )


def test_a_constant_with_a_byte_too_many_is_refused(tmp_path: Path) -> None:
    g = Graph((1, 3, 16, 16))
    path = g.save(g.head(g.conv("input", 8, 3, 3), 8), tmp_path / "g.onnx")
    model = onnx.load(path)
    model.graph.initializer[1].raw_data += b"\0"
    onnx.save(model, path)
    with pytest.raises(mbn.MbnError, match=r"the values of constant c1 don't fit"):
        mbn.inspect(path)
