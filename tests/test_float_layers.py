"""mbn-check --against float: where quantising a network loses, layer by layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mbn
from mbn.cli.check import main
from test_plumbing import Graph


def network(path: Path, *, spoiled: bool = False) -> Path:
    """Three convolutions. `spoiled`: of the second one channel is a thousand times the others,
    which then have hardly a step of int8."""
    g = Graph((1, 3, 16, 16))
    value = g.op("Relu", g.conv("input", 8, 3, 3, strides=[2, 2]))
    weights = g.bits.standard_normal((8, 8, 3, 3)).astype(np.float32) / 9
    bias = np.zeros(8, np.float32)
    if spoiled:
        bias[0] = 1000
    value = g.op("Conv", value, g.const(weights), g.const(bias), pads=[1] * 4)
    value = g.op("Relu", value)
    last = g.bits.standard_normal((8, 8, 1, 1)).astype(np.float32)
    last[:, 0] = 0
    value = g.op("Relu", g.op("Conv", value, g.const(last), g.const(np.zeros(8, np.float32))))
    return g.save(g.head(value, 8), path)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    values = np.random.default_rng(3).uniform(-1, 1, (40, 3, 16, 16)).astype(np.float32)
    np.save(tmp_path / "samples.npy", values)
    return tmp_path / "samples.npy"


def test_every_layer_has_a_ratio(samples: Path, tmp_path: Path) -> None:
    found = mbn.compare_float(network(tmp_path / "n.onnx"), calibrate=samples, samples=8)
    assert found.what == "8 calibration samples"
    assert [str(one.layer.op) for one in found.layers] == ["conv", "conv", "conv", "pool", "dense"]
    for one in found.layers:
        assert one.snr_db is not None
        assert 25 < one.snr_db < 60


def test_the_layer_that_loses_most_is_named(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = network(tmp_path / "n.onnx", spoiled=True)
    arguments = ["--against", "float", "--model", str(path), "--calibrate", str(samples)]
    assert main([*arguments, "--images", str(samples), "--samples", "4"]) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "on 4 samples of samples.npy; most is lost in: n_v4" in said


def test_a_quantised_network_is_refused(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = network(tmp_path / "n.onnx")
    mbn.compile(path, board="host", calibrate=samples, output=tmp_path / "out")
    arguments = ["--against", "float", "--model", str(tmp_path / "out" / "onnx" / "n.onnx")]
    assert main([*arguments, "--calibrate", str(samples)]) == 2
    assert "n.onnx is quantised already" in capsys.readouterr().err
    assert main(["--against", "float", "--model", str(path)]) == 2
    assert "--calibrate" in capsys.readouterr().err
