"""A float last layer behind int8 ones: quantised with samples, or refused in these words.

What enters: QDQ graphs whose last layers have no scale of their result. What leaves: failures.
Always holds: what the integers give is what ONNX Runtime gives on the user's own file, to the steps
of the last scale.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import mbn
from mbn.cli.compile import main
from test_plumbing import Graph

WORDS = "a float last layer behind int8 ones"


def both(g: Graph, value: str, scale: float, zero: int = 0) -> str:
    given = g.const(np.float32(scale)), g.const(np.int8(zero))
    return g.op("DequantizeLinear", g.op("QuantizeLinear", value, *given), *given)


def features(g: Graph, *, pooled: bool = True) -> str:
    weights = g.bits.integers(-99, 99, (8, 3, 3, 3)).astype(np.int8)
    kernel = g.op("DequantizeLinear", g.const(weights), g.const(np.float32(0.005)))
    value = g.op("Conv", both(g, "input", 1 / 128), kernel, strides=[2, 2], pads=[1] * 4)
    value = both(g, g.op("Relu", value), 0.01, -128)
    pool = g.op("GlobalAveragePool", value)
    return g.op("Flatten", both(g, pool, 0.008, -128) if pooled else pool)


def codes(g: Graph, value: str) -> str:
    weights = g.const(g.bits.integers(-99, 99, (4, 8)).astype(np.int8))
    real = g.op("DequantizeLinear", weights, g.const(np.float32(0.01)))
    return g.op("Gemm", value, real, g.const(np.float32([1, -1, 0, 0.5])), transB=1)


def floats(g: Graph, value: str) -> str:
    weights = g.bits.standard_normal((8, 4)).astype(np.float32)
    value = g.op("MatMul", value, g.const(weights))
    return g.op("Add", value, g.const(np.float32([1, -1, 0, 0.5])))


def convolution(g: Graph, value: str) -> str:
    value = g.op("Reshape", value, g.const(np.array([1, 8, 1, 1])))
    return g.op("Flatten", g.conv(value, 4, 1, 8, pads=[0] * 4))


End = Callable[[Graph, str], str]


def saved(path: Path, end: End, *, pooled: bool = True, after: str = "") -> Path:
    g = Graph((1, 3, 16, 16))
    value = end(g, features(g, pooled=pooled))
    return g.save(g.op(after, value) if after else value, path)


@pytest.mark.parametrize("pooled", [True, False], ids=["the last", "the last two"])
@pytest.mark.parametrize("end", [codes, floats, convolution])
def test_it_is_quantised_with_samples(end: End, pooled: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "n.onnx", end, pooled=pooled)
    samples = np.random.default_rng(2).uniform(-1, 1, (40, 3, 16, 16)).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    compiled = mbn.compile(
        path, board="host", calibrate=tmp_path / "samples.npy", output=tmp_path / "out"
    )
    out = compiled.network.output
    codes = np.load(tmp_path / "samples.npy")
    maps = np.rint(codes * 128).clip(-128, 127).astype(np.int8).transpose(0, 2, 3, 1)
    got = mbn.reference(compiled.network)(np.ascontiguousarray(maps)).reshape(40, 4)
    session = ort.InferenceSession(str(path))
    wanted = np.concatenate([session.run(None, {"input": one[None]})[0] for one in samples])
    assert out.scale == pytest.approx((wanted.max() - wanted.min()) / 255, rel=0.3)
    apart = np.abs((got.astype(np.float64) - out.zero_point) * out.scale - wanted)
    assert apart.max() < 4 * out.scale + 0.01 * np.abs(wanted).max()
    report = compiled.check(samples=3)
    assert report.check is not None
    assert report.check.exact_samples == 3


def test_a_softmax_behind_it_stays_on_the_host(tmp_path: Path) -> None:
    path = saved(tmp_path / "n.onnx", codes, after="Softmax")
    np.save(tmp_path / "samples.npy", np.zeros((3, 3, 16, 16), np.float32))
    compiled = mbn.compile(
        path, board="host", calibrate=tmp_path / "samples.npy", output=tmp_path / "out"
    )
    assert compiled.network.host_ops == ("softmax",)


def test_without_samples_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "n.onnx", codes)
    assert main(["--board", "host", "--onnx", str(path), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert WORDS in said
    assert "--calibrate" in said
    refused: Any = mbn.inspect(path).refused
    assert [WORDS in str(one) for one in refused] == [True]
