"""Quantising keeps the network: input ranges and Clips without zero, and what is said if not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mbn.cli.compile import main
from mbn.core.errors import QuantiseError
from mbn.core.telling import SILENT
from mbn.jobs.lower import fidelity, sources
from mbn.passes.frontend import lower

QUIET = SILENT


def network(
    path: Path, centre: float, half: float, clip: tuple[float, float], *, loud: float = 1
) -> Path:
    """Convolution, Clip, pool and dense, for inputs centre - half .. centre + half; the dense
    layer's outputs vary with the picture. `loud`: how much larger a channel is that the dense
    layer does not read: the steps of the map are its."""
    rng = np.random.default_rng(3)
    kernel = rng.normal(0, 0.3, (8, 3, 3, 3)) / half
    bias = rng.normal(0, 0.2, 8) - kernel.sum((1, 2, 3)) * centre + np.mean(clip)
    dense = rng.normal(0, 4 / (clip[1] - clip[0]), (8, 4))
    if loud != 1:
        kernel[0], bias[0], dense[0] = kernel[0] * loud, 0, 0
    constants = {
        "kernel": kernel,
        "bias": bias,
        "low": np.array(clip[0]),
        "high": np.array(clip[1]),
        "dense": dense,
    }
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["c"], name="conv", strides=[2, 2]),
        helper.make_node("Clip", ["c", "low", "high"], ["r"], name="clip"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "dense"], ["y"], name="logits"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 17, 17])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures of 17 x 17 whose colours differ as a whole, so that pooled outputs do."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(5)
    for number in range(40):
        colour = rng.integers(20, 236, 3)
        noise = rng.integers(-20, 21, (17, 17, 3))
        Image.fromarray((colour + noise).astype(np.uint8)).save(folder / f"{number:02d}.png")
    return folder


def judged(request: sources.Request, work: Path) -> fidelity.Fidelity:
    source = sources.find_network(request, work / "onnx", QUIET)
    mean, std = sources.normalisation(request, 3)
    lowered = replace(lower(source.path, source.name), mean=mean, std=std)
    assert source.float_path is not None
    assert source.calibration is not None
    form = source.form
    assert form is not None
    return fidelity.compare(
        lowered,
        source.float_path,
        source.calibration,
        lambda images: sources.as_codes(lowered, images, form),
        lambda image: sources.real_input(request, form, image),
    )


@pytest.mark.parametrize("ends", [(-1.0, 1.0), (0.0, 1.0), (0.5, 1.5), (10.0, 20.0), (-3.0, -1.0)])
def test_input_range_without_zero_is_widened(
    ends: tuple[float, float], pictures: Path, tmp_path: Path
) -> None:
    path = network(tmp_path / "n.onnx", sum(ends) / 2, (ends[1] - ends[0]) / 2, (-3, 3))
    request = sources.Request(onnx=path, calibrate=pictures, input_range=ends)
    found = judged(request, tmp_path)
    assert found.images == fidelity.IMAGES
    assert found.correlation is not None
    assert found.correlation > 0.99
    assert found.is_good


@pytest.mark.parametrize("clip", [(0.0, 6.0), (-0.5, 0.5), (0.1, 0.3), (-3.0, -0.2)])
def test_clip_without_zero_clips(clip: tuple[float, float], pictures: Path, tmp_path: Path) -> None:
    path = network(tmp_path / "n.onnx", 0, 1, clip)
    found = judged(sources.Request(onnx=path, calibrate=pictures), tmp_path)
    assert found.correlation is not None
    assert found.correlation > 0.99


def test_a_lost_network_is_refused_unless_accepted(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = network(tmp_path / "n.onnx", 0, 1, (-1e4, 1e4), loud=1e4)
    asked = ["--board", "qemu", "--onnx", str(path), "--calibrate", str(pictures)]
    asked += ["--output", str(tmp_path / "out")]
    assert main(asked) == 2
    assert "quantising lost the network: correlation 0." in capsys.readouterr().err
    assert main([*asked, "--accept-loss"]) == 0
    assert "warning: int8 correlation 0." in capsys.readouterr().out


def test_constant_outputs_are_judged_by_error(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Inputs of about -1000 where the network clips: every picture gives the same
    path = network(tmp_path / "n.onnx", 0.5, 0.5, (-1, 1))
    asked = ["--board", "qemu", "--onnx", str(path), "--calibrate", str(pictures)]
    asked += ["--input-range", "-1000", "-999.5", "--output", str(tmp_path / "out")]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "pixels 0 .. 255 mean -1000 .. -999.5" in said
    assert "outputs that don't vary" in said


def test_judgement_in_numbers() -> None:
    follows = fidelity.Fidelity(32, 0.985, 5.0, 30)
    assert (follows.is_good, follows.is_lost) == (True, False)
    warned = fidelity.Fidelity(32, 0.93, 5.0, 30)
    assert (warned.is_good, warned.is_lost) == (False, False)
    lost = fidelity.Fidelity(32, 0.75, 5.0, 20)
    assert (lost.is_good, lost.is_lost) == (False, True)
    steps = fidelity.Fidelity(32, 0.75, 1.5, 20)  # what rounding to steps alone explains
    assert not steps.is_lost
    constant = fidelity.Fidelity(32, None, 30.0, None)
    assert constant.is_lost
    fidelity.refuse_lost(lost, accept=True)
    with pytest.raises(QuantiseError, match=r"correlation 0\.7500.*--accept-loss"):
        fidelity.refuse_lost(lost, accept=False)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["123.675", "116.28", "103.53", "--std", "58.395", "57.12", "57.375"], "--mean 0.485 "),
        (["-1", "--std", "0.5"], "--input-range 2 4"),
    ],
)
def test_means_of_other_units_are_refused(
    arguments: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--board", "qemu", "--onnx", "n.onnx", "--mean", *arguments]) == 2
    assert advice in capsys.readouterr().err
