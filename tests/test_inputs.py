"""Inputs of any kind: open sizes, vectors and maps that are no images, and graphs that normalise.

What enters: small float graphs of drawn weights, arrays. What leaves: failures. Always holds: what
the integers give is near what ONNX Runtime gives on the user's own file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

import mbn
from mbn.cli.inspect import main as inspect_main
from test_plumbing import Graph, network_of

Array = NDArray[Any]


def convolved(g: Graph, value: str = "input", of: int = 3) -> str:
    return g.head(g.op("Relu", g.conv(value, 8, 3, of, strides=[2, 2])), 8)


def dense(g: Graph, value: str, of: int, to: int = 4) -> str:
    weights = g.bits.standard_normal((of, to)).astype(np.float32) / np.sqrt(of)
    return g.op("MatMul", value, g.const(weights.astype(np.float32)))


def near(path: Path, samples: Array, tmp_path: Path, **options: Any) -> mbn.Compiled:
    """Compiled for this computer and calibrated with `samples`, each as the file takes it: the
    integers must follow ONNX Runtime on the file itself."""
    np.save(tmp_path / "samples.npy", samples)
    compiled = mbn.compile(
        path,
        board="host",
        calibrate=tmp_path / "samples.npy",
        images=tmp_path / "samples.npy",
        samples=len(samples),
        output=tmp_path / "out",
        **options,
    )
    session = ort.InferenceSession(str(path))
    given = session.get_inputs()[0]
    batched = len(given.shape) > samples.ndim - 1
    wanted = np.concatenate(
        [
            session.run(None, {given.name: one[None] if batched else one})[0].reshape(1, -1)
            for one in samples
        ]
    )
    out = compiled.network.output
    with np.load(tmp_path / "out" / "samples.npz") as kept:
        codes = mbn.reference(compiled.network)(kept["images"]).reshape(len(samples), -1)
    got = (codes.astype(np.float64) - out.zero_point) * out.scale
    assert np.abs(got - wanted).max() < 0.1 * np.abs(wanted).max()
    return compiled


# -- sizes that the file leaves open ----------------------------------------------------------


def test_open_sizes_are_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    g = Graph(("batch", 3, "height", "width"))
    path = g.save(convolved(g), tmp_path / "open.onnx")
    found = mbn.inspect(path)
    assert "--input-shape 1,3,N,N" in str(found.refused[0])
    assert mbn.inspect(path, input_shape=(1, 3, 16, 24)).network is not None
    assert inspect_main([str(path), "--input-shape", "1,3,16,24", "--quiet"]) == 0
    samples = np.random.default_rng(1).uniform(-1, 1, (40, 3, 16, 24)).astype(np.float32)
    compiled = near(path, samples, tmp_path, input_shape=(1, 3, 16, 24))
    assert compiled.network.input.shape == (16, 24, 3)
    capsys.readouterr()
    assert inspect_main([str(path), "--input-shape", "1,1,16,24"]) == 2
    said = capsys.readouterr().err
    assert "--input-shape 1,1,16,24" in said
    assert "batch,3,height,width" in said


def test_an_open_shape_of_a_quantised_file(tmp_path: Path) -> None:
    """The quantised form of an open file is open too: it is compiled from a copy."""
    g = Graph(("batch", 3, "height", "width"))
    wide = {"zero": np.int8(0), "scale": np.float32(1 / 128)}
    value = g.op("QuantizeLinear", "input", g.const(wide["scale"]), g.const(wide["zero"]))
    value = g.op("DequantizeLinear", value, g.const(wide["scale"]), g.const(wide["zero"]))
    value = g.op("GlobalAveragePool", value)
    value = g.op("QuantizeLinear", value, g.const(wide["scale"]), g.const(wide["zero"]))
    value = g.op("DequantizeLinear", value, g.const(wide["scale"]), g.const(wide["zero"]))
    path = g.save(value, tmp_path / "open.onnx", rank=4)
    compiled = mbn.compile(
        path, board="host", input_shape=(1, 3, 16, 24), output=tmp_path / "out", samples=3
    )
    report = compiled.check()
    assert report.check is not None
    assert report.check.exact_samples == 3
    assert mbn.compare(path, input_shape=(1, 3, 16, 24), samples=3).holds


# -- inputs that are no images ----------------------------------------------------------------


def test_a_vector_is_one_pixel(tmp_path: Path) -> None:
    g = Graph(("batch", 40))
    value = g.op("Relu", dense(g, "input", 40, 16))
    path = g.save(dense(g, value, 16), tmp_path / "vector.onnx")
    samples = np.random.default_rng(1).normal(0, 3, (50, 40)).astype(np.float32)
    compiled = near(path, samples, tmp_path)
    assert compiled.network.input.shape == (1, 1, 40)
    report = compiled.check()
    assert report.check is not None
    assert report.check.exact_samples == 50


def map_after(g: Graph, form: str) -> str:
    """The map 1 x 1 x 49 x 10 from the input."""
    if form in ("unsqueeze", "no batch"):
        axes = [1] if form == "unsqueeze" else [0, 1]
        return g.op("Unsqueeze", "input", g.const(np.array(axes)))
    if form == "last":
        return g.op("Transpose", "input", perm=[0, 3, 1, 2])
    if form == "grown last":
        grown = g.op("Unsqueeze", "input", g.const(np.array([3])))
        return g.op("Transpose", grown, perm=[0, 3, 1, 2])
    if form == "from a row":
        return g.op("Reshape", "input", g.const(np.array([-1, 1, 49, 10])))
    return "input"


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ("unsqueeze", ("b", 49, 10)),
        ("grown last", (1, 49, 10)),
        ("no batch", (49, 10)),
        ("last", ("b", 49, 10, 1)),
        ("first", (1, 1, 49, 10)),
        ("from a row", (1, 490)),
    ],
)
def test_a_spectrogram(form: str, shape: tuple[int | str, ...], tmp_path: Path) -> None:
    g = Graph(shape)
    path = g.save(convolved(g, map_after(g, form), 1), tmp_path / "map.onnx")
    assert network_of(path).input.shape == (49, 10, 1)
    own = shape if form == "no batch" else shape[1:]
    samples = np.random.default_rng(2).normal(1, 2, (40, *own)).astype(np.float32)  # type: ignore[misc]
    near(path, samples, tmp_path)


def test_two_dimensions_to_a_dense_layer(tmp_path: Path) -> None:
    g = Graph((1, 12, 10))
    path = g.save(dense(g, g.op("Flatten", "input"), 120), tmp_path / "flat.onnx")
    samples = np.random.default_rng(2).normal(0, 2, (40, 12, 10)).astype(np.float32)
    assert near(path, samples, tmp_path).network.input.shape == (12, 10, 1)


def test_pictures_are_refused_for_what_is_no_image(tmp_path: Path) -> None:
    g = Graph((1, 40))
    path = g.save(dense(g, "input", 40), tmp_path / "vector.onnx")
    with pytest.raises(mbn.MbnError, match="no image"):
        mbn.compile(path, board="host", calibrate=tmp_path, output=tmp_path / "out")


# -- many stages ------------------------------------------------------------------------------


@pytest.mark.full
def test_more_than_256_stages(tmp_path: Path) -> None:
    """Each stage is checked and counted: the bench app gets a mark for each."""
    g = Graph((1, 3, 8, 8))
    value = g.conv("input", 4, 3, 3, strides=[2, 2])
    for _ in range(260):
        value = g.op("AveragePool", value, kernel_shape=[1, 1])
    path = g.save(g.head(value, 4), tmp_path / "deep.onnx")
    np.save(tmp_path / "a.npy", g.bits.normal(0, 1, (8, 3, 8, 8)).astype(np.float32))
    compiled = mbn.compile(
        path, board="qemu", calibrate=tmp_path / "a.npy", output=tmp_path / "out", samples=1
    )
    assert len(compiled.stages) > 256
    report = compiled.check()
    assert report.check is not None
    assert report.check.exact_samples == 1
    assert all(stage.instructions for stage in report.stages)


def test_pixels_of_a_dense_first_layer(tmp_path: Path) -> None:
    """What is reshaped from the input has its range: a pixel means what it should."""
    g = Graph((1, 1, 8, 8))
    path = g.save(dense(g, g.op("Flatten", "input"), 64), tmp_path / "n.onnx")
    samples = np.random.default_rng(2).uniform(-0.5, 0.5, (40, 1, 8, 8)).astype(np.float32)
    compiled = near(path, samples, tmp_path, input_range=(-1, 1))
    source = compiled.network.input
    assert source.shape == (8, 8, 1)
    assert source.scale == pytest.approx(2 / 255)
