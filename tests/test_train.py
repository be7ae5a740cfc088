"""mbn-train, from its arguments to the ONNX file, on networks small enough to wait for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from mbn.cli.train import main
from mbn.core.errors import ModelError, UsageError

SMALL = ["--alpha", "0.1", "--resolution", "32", "--epochs", "2", "--batch", "128", "--quiet"]


@pytest.fixture
def digits() -> list[str]:
    pytest.importorskip("torch", reason="needs the extra `train`")
    pytest.importorskip("sklearn", reason="needs the extra `train`")
    return ["--data", "digits", *SMALL]


def test_trains_exports_and_resumes_to_the_same_network(
    digits: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*digits, "--output", str(whole)]) == 0
    path = whole / "mobilenet_0.1_32_digits.onnx"
    model = onnx.load(str(path), load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    assert all(item.data_location == 0 for item in model.graph.initializer)
    with np.load(whole / "digits.npz") as stored:
        assert stored["heldout_digits"].shape == (359, 8, 8)

    interrupted_after_one_epoch(digits, parts)
    assert main([*digits, "--resume", "--output", str(parts)]) == 0
    assert (parts / path.name).read_bytes() == path.read_bytes()

    assert main([*digits, "--resume", "--seed", "2", "--output", str(parts)]) == 2
    (parts / "checkpoint.pt").write_bytes(b"nothing")
    assert main([*digits, "--resume", "--output", str(parts)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "the checkpoint was made with" in said.err
    assert "no readable checkpoint" in said.err


def interrupted_after_one_epoch(digits: list[str], folder: Path) -> None:
    """Leaves the checkpoint that Ctrl-C in the second epoch leaves."""
    from mbn.cli import train as command  # noqa: PLC0415
    from mbn.train.data import load  # noqa: PLC0415
    from mbn.train.training import Settings, train  # noqa: PLC0415

    given = command.parser().parse_args(digits)
    settings = Settings(
        alpha=given.alpha,
        data=given.data,
        resolution=given.resolution,
        epochs=given.epochs,
        batch=given.batch,
        seed=given.seed,
    )

    def stop(epoch: int, step: int, loss: float) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, load("digits", 32), folder, resume=False, progress=stop)


def test_learns(digits: list[str], tmp_path: Path) -> None:
    from mbn.train.data import load  # noqa: PLC0415
    from mbn.train.training import Settings, train  # noqa: PLC0415

    losses: list[float] = []
    settings = Settings(0.25, "digits", resolution=32, epochs=3, batch=32)
    train(
        settings,
        load("digits", 32),
        tmp_path,
        resume=False,
        progress=lambda _epoch, _step, loss: losses.append(loss),
    )
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.1


def test_weight_decay_spares_depthwise_filters() -> None:
    pytest.importorskip("torch", reason="needs the extra `train`")
    from mbn.train.mobilenet import MobileNet  # noqa: PLC0415
    from mbn.train.optimising import rmsprop  # noqa: PLC0415

    network = MobileNet(0.25, 32, 4)
    decayed, free = rmsprop(network, 1e-3).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (4e-5, 0)
    assert len(decayed["params"]) == 1 + 13 + 1  # stem, pointwise, classifier
    assert all(tuple(weights.shape[2:]) != (3, 3) for weights in decayed["params"][1:])
    assert len(decayed["params"]) + len(free["params"]) == len(list(network.parameters()))


def test_compare_catches_a_wrong_export(digits: list[str], tmp_path: Path) -> None:
    from mbn.train.data import load  # noqa: PLC0415
    from mbn.train.mobilenet import MobileNet  # noqa: PLC0415
    from mbn.train.training import Settings, compare, export  # noqa: PLC0415

    dataset = load("digits", 32)
    trained = export(MobileNet(0.25, 32, 10), Settings(0.25, "digits", 32), dataset, tmp_path)
    with pytest.raises(ModelError, match="differ from torch's"):
        compare(MobileNet(0.25, 32, 10).eval(), dataset, trained.path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--alpha", "0", "--data", "digits"], "alpha 0"),
        (["--alpha", "-0.5", "--data", "digits"], "alpha -0.5"),
        (["--alpha", "0.5", "--data", "digits", "--resolution", "16"], "resolution 16"),
        (["--alpha", "0.5", "--data", "digits", "--epochs", "0"], "--epochs 0"),
        (["--alpha", "0.5", "--data", "digits", "--seed", "-1"], "--seed -1"),
        (["--alpha", "0.5", "--data", "digits", "--batch", "1"], "--batch 1"),
        (["--alpha", "0.5", "--data", "digits", "--threads", "0"], "--threads 0"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert f"mbn-train: {said}" in capsys.readouterr().err


def test_data_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="needs the extra `train`")
    assert main(["--alpha", "0.5", "--data", "cats"]) == 2
    assert "one folder a class" in capsys.readouterr().err


def test_trains_on_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="needs the extra `train`")
    for label, name in enumerate(["cat", "dog"]):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(10):
            pixels = np.full((40, 50, 3), 60 + 120 * label + index, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{index}.png")
    out = tmp_path / "out"
    arguments = ["--alpha", "0.1", "--resolution", "32", "--epochs", "1", "--batch", "8"]
    data = f"folder:{tmp_path / 'pets'}"
    assert main([*arguments, "--data", data, "--output", str(out)]) == 0
    assert "Held-out accuracy: " in capsys.readouterr().out
    model = onnx.load(str(out / "mobilenet_0.1_32_pets.onnx"))
    assert {prop.key: prop.value for prop in model.metadata_props}[
        "mbn.classes"
    ] == '["cat", "dog"]'
    assert not (out / "digits.npz").exists()


@pytest.mark.parametrize("missing", ["torch", "sklearn"])
def test_without_the_extra(missing: str) -> None:
    if missing == "sklearn":
        pytest.importorskip("torch", reason="needs the extra `train`")
    code = (
        f"import sys; sys.modules['{missing}'] = None\n"
        "from mbn.cli.train import main\n"
        "sys.exit(main(['--alpha', '0.25', '--data', 'digits']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "mbn-train --alpha 0.25 --data digits" in capsys.readouterr().out


def test_too_few_images_for_a_batch(digits: list[str], tmp_path: Path) -> None:
    from mbn.train.data import load  # noqa: PLC0415
    from mbn.train.training import Settings, train  # noqa: PLC0415

    settings = Settings(0.1, "digits", resolution=32, batch=5000)
    with pytest.raises(UsageError, match="--batch"):
        train(settings, load("digits", 32), tmp_path, resume=False, progress=lambda *_: None)
