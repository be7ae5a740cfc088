"""Static quantisation: what it promises about the file it writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mbn.core.errors import ModelError, QuantiseError, UnsupportedError
from mbn.passes.quantise.static import is_quantised, quantise
from mbn.train import accuracy, bundled
from mbn.train.images import INPUT_RANGE, normalise
from mbn.train.random_weights import random_qdq


@pytest.fixture(scope="module")
def samples() -> list[np.ndarray]:
    images, _ = bundled.calibration_samples()
    return [normalise(images)]


@pytest.fixture(scope="module")
def int8_path(samples: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "made" / "int8.onnx"
    report = quantise(bundled.find(0.25, data="digits"), samples, path, input_range=INPUT_RANGE)
    assert report.quantised_nodes == 28
    assert report.samples == len(samples[0])
    assert report.int8_size_bytes == path.stat().st_size < report.float_size_bytes / 2
    return path


def stored(path: Path) -> dict[str, np.ndarray]:
    model = onnx.load(str(path))
    return {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}


def test_int8_is_within_half_a_point_of_float(int8_path: Path) -> None:
    images, labels = bundled.heldout_samples()
    float_accuracy = accuracy.measure(bundled.find(0.25, data="digits"), [(images, labels)])
    int8_accuracy = accuracy.measure(int8_path, [(images, labels)])
    assert abs(float_accuracy.percent - int8_accuracy.percent) <= 0.5


def test_what_the_file_holds(int8_path: Path) -> None:
    values = stored(int8_path)
    assert values["input_scale"] == np.float32(1 / 128)
    assert values["input_zero_point"] == 0
    weights = values["block1_pw.weight_quantized"]
    assert weights.dtype == np.int8
    assert values["block1_pw.weight_scale"].shape == (len(weights),)
    assert not values["block1_pw.weight_zero_point"].any()
    assert values["classifier.weight_scale"].shape == (10,)
    assert values["stem.bias_quantized"].dtype == np.int32
    assert values["stem.out_zero_point"] == -128
    model = onnx.load(str(int8_path))
    assert is_quantised(model)
    assert not is_quantised(onnx.load(str(bundled.find(0.25, data="digits"))))
    assert {prop.key for prop in model.metadata_props} >= {"mbn.classes", "mbn.data"}


def test_the_same_bytes_again(int8_path: Path, samples: list[np.ndarray], tmp_path: Path) -> None:
    again = tmp_path / "elsewhere.onnx"
    quantise(bundled.find(0.25, data="digits"), iter(samples), again, input_range=INPUT_RANGE)
    assert again.read_bytes() == int8_path.read_bytes()


def test_batch_norm_folds_before_calibration(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    sizes = {"w": (4, 3, 3, 3), "gain": (4,), "shift": (4,), "mean": (4,), "var": (4,)}
    constants = [
        onnx.numpy_helper.from_array(random.uniform(0.5, 1, size).astype(np.float32), name)
        for name, size in sizes.items()
    ]
    norm = ["sums", "gain", "shift", "mean", "var"]
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w"], ["sums"], pads=[1] * 4),
        onnx.helper.make_node("BatchNormalization", norm, ["normed"]),
        onnx.helper.make_node("Relu", ["normed"], ["y"]),
    ]
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", count, 8, 8])
        for name, count in (("x", 3), ("y", 4))
    ]
    graph = onnx.helper.make_graph(nodes, "elsewhere", values[:1], values[1:], constants)
    opset = [onnx.helper.make_opsetid("", 17)]
    source, out = tmp_path / "source.onnx", tmp_path / "out.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(source))
    images = random.uniform(-1, 1, (4, 3, 8, 8)).astype(np.float32)
    assert quantise(source, [images], out).samples == 4
    kinds = {node.op_type for node in onnx.load(str(out)).graph.node}
    assert kinds <= {"QuantizeLinear", "DequantizeLinear", "Conv", "Relu"}
    wanted = accuracy.Runner(source).logits(images[:1])
    found = accuracy.Runner(out).logits(images[:1])
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_refuses(samples: list[np.ndarray], tmp_path: Path) -> None:
    source, out = bundled.find(0.25, data="digits"), tmp_path / "out.onnx"
    with pytest.raises(QuantiseError, match="no calibration data"):
        quantise(source, [], out)
    with pytest.raises(QuantiseError, match="no calibration data"):
        quantise(source, [np.zeros((0, 3, 96, 96), np.float32)], out)
    with pytest.raises(QuantiseError, match=r"wanted: float32 \(1, 3, 96, 96\)"):
        quantise(source, [np.zeros((2, 3, 32, 32), np.float32)], out)
    with pytest.raises(QuantiseError, match="uint8"):
        quantise(source, [np.zeros((2, 3, 96, 96), np.uint8)], out)
    with pytest.raises(ModelError, match="no such file"):
        quantise(tmp_path / "missing.onnx", samples, out)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(source.read_bytes()[:5000])
    with pytest.raises(ModelError, match="not a complete ONNX"):
        quantise(broken, samples, out)
    done = tmp_path / "done.onnx"
    done.write_bytes(random_qdq(0.25, 32, 2).SerializeToString())
    with pytest.raises(UnsupportedError, match="quantised already"):
        quantise(done, samples, out)
    assert not out.exists()
