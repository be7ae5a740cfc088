"""Accuracy of a user's own network: labels of folders, of labels.csv and of .npz files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mbn
from mbn.cli.check import main as check_main
from mbn.cli.compile import main
from mbn.jobs.lower import labelled
from test_plumbing import Graph

CLASSES = ("blue", "green", "red")  # sorted: classes 0, 1, 2
COLOURS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain colours; one picture of each class lies in the next class's folder."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(5)
    for name, after in zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True):
        for number in range(10):
            at = folder / (name if number else after)
            at.mkdir(exist_ok=True)
            pixels = np.array(COLOURS[name]) + rng.integers(-20, 21, (8, 8, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(at / f"{name}{number}.png")
    return folder


def colours(path: Path, *, classes: int = 3) -> Path:
    """Class 0 is blue, 1 green, 2 red: the largest mean colour."""
    g = Graph((1, 3, 8, 8))
    pooled = g.op("Flatten", g.op("GlobalAveragePool", "input"))
    weights = np.zeros((3, classes), np.float32)
    weights[[2, 1, 0], [0, 1, 2]] = 2
    return g.save(g.op("MatMul", pooled, g.const(weights)), path)


def test_three_things_are_told_apart(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = colours(tmp_path / "n.onnx"), tmp_path / "out"
    given = ["--calibrate", str(photos), "--images", str(photos), "--samples", "6"]
    arguments = ["--board", "host", "--onnx", str(path), *given, "--output", str(out), "--check"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "on 30 labelled samples" in said
    assert "the float network          top-1  90.00 %" in said
    assert "the exact integers         top-1  90.00 %" in said
    assert "the integers' top-1 on 100.0 % of the 6 samples checked" in said
    assert "top-5" not in said
    with np.load(out / "samples.npz") as kept:
        assert kept["labels"].tolist() == [0, 1, 2, 0, 1, 2]
        assert "labelled images" in str(kept["what"])
    assert check_main(["--board", "host", "--output", str(out)]) == 0
    assert "the exact integers         top-1  90.00 %" in capsys.readouterr().out


def test_another_number_of_classes(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = colours(tmp_path / "n.onnx", classes=4)
    given = ["--calibrate", str(photos), "--images", str(photos)]
    arguments = ["--board", "host", "--onnx", str(path), *given, "--output", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "has 3 class folders and the network 4 classes" in capsys.readouterr().err


@pytest.mark.parametrize("named", [True, False])
def test_labels_of_a_file(named: bool, photos: Path, tmp_path: Path) -> None:
    lines = ["file,label"]
    for number, file in enumerate(sorted(photos.glob("*/*.png"))):
        kind = file.stem.rstrip("0123456789")
        Image.open(file).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{kind if named else CLASSES.index(kind)}")
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    compiled = mbn.compile(
        colours(tmp_path / "n.onnx"),
        board="host",
        calibrate=photos,
        images=tmp_path,
        output=tmp_path / "out",
    )
    accuracy = compiled.report.accuracy
    assert accuracy is not None
    assert (accuracy.samples, accuracy.float_percent, accuracy.int8_percent) == (30, 100, 100)
    (tmp_path / "labels.csv").write_text("0.png,9\n", encoding="utf-8")
    with pytest.raises(mbn.MbnError, match=r"labels 9 \.\. 9 and the network 3 classes"):
        labelled.files_with_labels(tmp_path, 3)
    (tmp_path / "labels.csv").write_text("0.png,1\nnosuch.png,1\n", encoding="utf-8")
    with pytest.raises(mbn.MbnError, match=r"line 2 of the labels: nosuch\.png,1"):
        labelled.files_with_labels(tmp_path, 3)


def test_labels_that_the_network_names(photos: Path, tmp_path: Path) -> None:
    """In the network's order, and not all of its classes need be there."""
    names = tuple(reversed(("more", *CLASSES)))
    found = labelled.files_with_labels(photos, 4, names)
    assert {names[label] for _, label in found} == set(CLASSES)
    assert all(file.parent.name == names[label] for file, label in found)
    first = found[0][0]
    Image.open(first).save(tmp_path / "0.png")
    (tmp_path / "labels.csv").write_text(f"0.png,{CLASSES[1]}\n", encoding="utf-8")
    ((_, label),) = labelled.files_with_labels(tmp_path, 4, names)
    assert names[label] == CLASSES[1]


def test_labels_beside_numbers(tmp_path: Path) -> None:
    """Twelve classes, so top-5 too; of a vector, which has no pictures."""
    g = Graph((1, 12))
    path = g.save(
        g.op("MatMul", "input", g.const(np.eye(12, dtype=np.float32))), tmp_path / "n.onnx"
    )
    samples = np.eye(12, dtype=np.float32)[np.arange(36) % 12]
    samples[:, 0] += np.where(np.arange(36) < 12, 2, 0)  # a third looks like class 0 most
    np.savez(tmp_path / "a.npz", samples=samples, labels=np.arange(36) % 12)
    compiled = mbn.compile(
        path,
        board="host",
        calibrate=tmp_path / "a.npz",
        images=tmp_path / "a.npz",
        output=tmp_path / "out",
    )
    accuracy = compiled.report.accuracy
    assert accuracy is not None
    assert accuracy.int8_percent == pytest.approx(100 * 25 / 36)
    assert accuracy.float_percent == pytest.approx(100 * 25 / 36)
    assert accuracy.int8_top5_percent == accuracy.float_top5_percent == 100


def test_top_of_outputs() -> None:
    outputs = np.array([[3, 2, 1], [1, 1, 0], [0, 5, 9]])
    assert labelled.top(outputs, np.array([0, 1, 0]), 1) == pytest.approx(100 / 3)
    assert labelled.top(outputs, np.array([0, 1, 0]), 2) == pytest.approx(200 / 3)


def test_pictures_in_one_folder_have_no_labels(photos: Path) -> None:
    assert labelled.files_with_labels(photos / "red", 3) == []
    assert len(labelled.files_with_labels(photos, 3)) == 30
