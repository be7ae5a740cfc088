"""From pictures to a board: mbn-train --board, and the bundled weights as a start.

What enters: few drawn pictures. What leaves: failures. Always holds: one short training in all; the
sizes of the family are not planned again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mbn.cli import train as command
from mbn.core.boards import find_board
from mbn.core.errors import PlanError
from mbn.jobs import for_board
from mbn.jobs import train as train_job
from mbn.jobs.suggest import Suggestion
from mbn.train import bundled, data
from mbn.train.images import UInt8, normalise


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two kinds of pictures, five of each: bright above, or bright below."""
    rng = np.random.default_rng(5)
    for name in ("above", "below"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(5):
            picture = rng.integers(0, 90, (48, 64, 3), np.uint8)
            picture[:24] += 120 * (name == "above")
            picture[24:] += 120 * (name == "below")
            Image.fromarray(picture).save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path / "photos"


def suggestion(alpha: float, macs: int, least_ms: float) -> Suggestion:
    from mbn.jobs.lower import fit  # noqa: PLC0415
    from mbn.passes.predict import Times  # noqa: PLC0415

    times = Times(least_ms, least_ms, 2 * least_ms, 5)
    return Suggestion(alpha, 96, macs, fit.Demand(1, 1, 1), 1, times)


@pytest.fixture
def two_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of the family's twenty."""

    def found(*_: object) -> list[Suggestion]:
        return [suggestion(0.5, 20, 90.0), suggestion(0.25, 7, 30.0)]

    monkeypatch.setattr(for_board, "suggest", found)


Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    def run(*arguments: object, code: int = 2) -> str:
        assert command.main([str(one) for one in arguments]) == code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return said.err

    return run


def test_the_largest_size_within_the_time_is_taken(two_sizes: None) -> None:
    board = find_board("nucleo_l4r5zi")
    assert for_board.choose(board, 2, None).alpha == 0.5
    assert for_board.choose(board, 2, 90.0).alpha == 0.5
    assert for_board.choose(board, 2, 89.0).alpha == 0.25
    with pytest.raises(PlanError, match=r"within 10 ms.*at least 30.0 ms"):
        for_board.choose(board, 2, 10.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no --alpha"),
        (["--board", "qemu", "--alpha", "0.5"], "the board decides the size"),
        (["--board", "qemu", "--resolution", "96"], "the board decides the size"),
        (["--alpha", "0.5", "--max-ms", "9"], "--max-ms without --board"),
        (["--board", "qemu", "--max-ms", "0"], "above 0"),
        (["--board", "qemu-m8"], "Did you mean"),
        (["--board", "qemu", "--data", "nowhere"], "--data nowhere"),
    ],
)
def test_arguments_that_make_no_sense(
    refused: Refused, photos: Path, arguments: list[str], words: str
) -> None:
    assert words in refused("--data", photos, *arguments)


def test_a_class_folder_with_one_picture(refused: Refused, photos: Path) -> None:
    for index in range(1, 5):
        (photos / "below" / f"{index}.png").unlink()
    text = refused("--board", "qemu", "--data", photos)
    assert "below holds 1 image(s)" in text and "at least 5 a class" in text


def test_no_size_fits(refused: Refused, photos: Path, two_sizes: None) -> None:
    pytest.importorskip("torch", reason="needs the extra `train`")
    text = refused("--board", "qemu", "--data", photos, "--max-ms", "1", code=PlanError.exit_code)
    assert "no size of the family fits" in text


def test_kinds_of_data(photos: Path, tmp_path: Path) -> None:
    assert data.kind_of("digits")[0] == "digits"
    assert data.kind_of(str(photos)) == ("folder", photos)
    assert data.class_names(str(photos)) == ("above", "below")
    for part in ("train", "test"):
        (tmp_path / "both" / part).mkdir(parents=True)
        for name in ("a", "b"):
            (tmp_path / "both" / part / name).mkdir()
            Image.new("RGB", (8, 8)).save(tmp_path / "both" / part / name / "1.png")
    assert data.kind_of(str(tmp_path / "both"))[0] == "split"
    assert data.class_names(str(tmp_path / "both")) == ("a", "b")


def test_what_training_begins_with_and_how_long_it_takes(photos: Path) -> None:
    assert train_job.start_of(0.5, str(photos)) == bundled.find(0.5)
    assert train_job.start_of(0.5, "digits") is None  # made anew, as it is bundled
    assert train_job.start_of(0.3, str(photos)) is None
    given = {"epochs": None, "rate": None, "batch": None, "seed": 1}
    begun = train_job._chosen(given, 160, bundled.find(0.5))
    assert (begun["epochs"], begun["batch"]) == (30, 16) and begun["start"]
    anew = train_job._chosen(given | {"batch": 8}, 160, None)
    assert (anew["epochs"], anew["batch"], anew["start"]) == (100, 8, "")


def test_training_begins_where_the_bundled_network_stands() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    from mbn.train.accuracy import Runner  # noqa: PLC0415
    from mbn.train.mobilenet import MobileNet  # noqa: PLC0415
    from mbn.train.start import begin_with, dequantised  # noqa: PLC0415

    path = bundled.find(0.25)
    pictures: UInt8 = bundled.heldout_samples()[0][::24]
    network = MobileNet(0.25, 96, 10)
    begin_with(network, path, [pictures[:8], pictures[8:]])
    weights, bias = dequantised(path)["classifier"]
    with torch.inference_mode():
        network.classifier.weight.copy_(torch.from_numpy(weights.reshape(10, -1)))
        network.classifier.bias.copy_(torch.from_numpy(bias))
        values = normalise(pictures)
        ours = network.eval()(torch.from_numpy(values)).numpy()
        in_training = network.train()(torch.from_numpy(values)).numpy()
    runner = Runner(path)
    theirs = np.concatenate([runner.logits(values[i : i + 1]) for i in range(len(values))])
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99
    # the norms hold for a batch of such pictures too
    assert np.corrcoef(ours.ravel(), in_training.ravel())[0, 1] > 0.99


def test_pictures_become_a_checked_image(
    photos: Path,
    two_sizes: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("torch", reason="needs the extra `train`")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(for_board, "CHECKED_SAMPLES", 1)
    arguments = ["--board", "nucleo_l4r5zi", "--max-ms", "50", "--epochs", "1", "--device", "cpu"]
    assert command.main([*arguments, "--data", "photos"]) == 0
    printed = capsys.readouterr().out
    assert "from the weights of mobilenet_0.25_96_photographs" in " ".join(printed.split())
    assert "1 of 1 samples exact" in printed
    assert "held-out pictures" in printed and "flash" in printed and "ms" in printed
    assert "as a generic image for its core" in " ".join(printed.split())
    folder = tmp_path / "out" / "nucleo_l4r5zi" / "mobilenet_0.25_96_photos_int8"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["accuracy"]["samples"] == 2
    trained = tmp_path / "out" / "train" / "mobilenet_0.25_96_photos"
    with np.load(trained / "heldout.npz") as kept:
        assert kept["samples"].shape == (2, 3, 96, 96) and sorted(kept["labels"]) == [0, 1]
