"""A network with an SSD head, from its file to boxes on the device, in a library and in Python.

What enters: a small network with drawn weights, and what is said of its results. What leaves:
nothing but failures. Always holds: every number of every box is compared with the reference's.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import mbn
import qdq
from mbn.cli import compile as compile_command
from mbn.core import network_file
from mbn.core.boards import find_board
from mbn.core.errors import BrokenNetwork, ModelError
from mbn.core.telling import SILENT
from mbn.core.verify import verify
from mbn.harness.device import check, open_device
from mbn.harness.device.session import RefusedError
from mbn.image.export.library import exported
from mbn.jobs import check as check_job
from mbn.jobs import export as export_job
from mbn.jobs.lower import detecting
from mbn.passes.frontend import lower
from mbn.report import load_report
from test_detect import CLASSES, WARNINGS, drawn


def headed() -> qdq.Graph:
    """A trunk with two maps of different scale, boxes before classes in the second."""
    g = qdq.Graph((1, 3, 24, 32))
    g.channels = 3
    g.dequantise("image", 0.0078125, 0)
    g.convolve(8, 3, stride=2, pads=(1, 1, 1, 1), name="stem")
    g.then("Relu")
    g.quantise(0.03, -128)
    outputs = []
    for name, values in (("near", (9, 12)), ("far", (8, 6))):
        g.convolve(g.channels, 3, stride=2, pads=(1, 1, 1, 1), depthwise=True, name=f"{name}_dw")
        g.then("Relu")
        g.quantise(0.03, -128)
        g.convolve(16, 1, name=name)
        g.then("Relu")
        trunk, scale = g.quantise(0.03, -128), g.scale
        for number, count in enumerate(values):
            g.value, g.channels, g.scale = trunk, 16, scale
            g.convolve(count, 1, name=f"{name}_{number}")
            outputs.append(g.quantise(0.04, 5))
        g.value, g.channels, g.scale = trunk, 16, scale
    g.outputs = outputs
    return g


WORDS = {
    "classes": 3,
    "background": True,
    "results": [[0, 1], [3, 2]],
    "sizes": [[[0.2, 0.2], [0.2, 0.4], [0.4, 0.2]], [[0.6, 0.6], [0.9, 0.5]]],
    "least": 0.4,
    "candidates": 30,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The network, and what is said of its results."""
    folder = tmp_path_factory.mktemp("headed")
    (folder / "ssd.json").write_text(json.dumps(WORDS))
    return headed().save(folder / "headed.onnx"), folder / "ssd.json"


def command(files: tuple[Path, Path], board: str, output: Path, *more: str) -> list[str]:
    named = ["--model", str(files[0]), "--detect", str(files[1])]
    return ["--board", board, *named, "--output", str(output), *more]


@pytest.mark.parametrize("board", ["qemu", "host"])
def test_check_compares_boxes(
    files: tuple[Path, Path], board: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "names.txt").write_text("nothing\ncat\ndog\n")
    labels = ["--labels", str(tmp_path / "names.txt")]
    more = ["--check", "--samples", "4", *labels]
    assert compile_command.main(command(files, board, tmp_path / "out", *more)) == 0
    said = capsys.readouterr().out
    report = load_report(tmp_path / "out")
    assert report.check is not None and report.check.boxes is not None
    assert report.check.boxes > 4
    assert "boxes  168 default boxes of 2 maps, 3 classes with the background" in said
    assert f"4 of 4 samples exact: all bits equal, all {report.check.boxes} boxes too" in said
    assert (report.stages[-1].kind, report.stages[-1].output) == ("detect", "1x30x6")
    if board == "qemu":
        assert 1000 < (report.stages[-1].modelled_cycles or 0) < 200_000
        spent = sum(stage.modelled_cycles or 0 for stage in report.stages)
        assert spent < (report.check.modelled_cycles or 0) < 1.3 * spent  # the driver's besides
        return
    header = (tmp_path / "out" / "c" / "network.h").read_text()
    assert "#define MBN_MODEL_CANDIDATES 30u" in header
    assert 'return index < MBN_MODEL_CLASSES ? labels[index] : ""' in header
    _boxes_that_differ(tmp_path / "out")


def _boxes_that_differ(folder: Path) -> None:
    """The check says which box of which sample it is, and counts the sample as not exact."""
    network = network_file.load(folder / "network.npz")
    images = check_job.load_samples(folder, 3)
    reference = check_job.Reference(network)
    expected = check_job.reference_outputs(reference, images, SILENT)
    boxes = check_job.reference_boxes(network, expected)
    assert boxes is not None
    other = [[replace(one, score=one.score + 1) for one in boxes[1]], boxes[2][:-1]]
    board = find_board("host")
    with open_device(board, folder / "check.elf", None, log_path=folder / "x.log") as device:
        with pytest.raises(RefusedError, match="boxes: a call out of order"):
            device.boxes()
        device.run(images[0])
        assert list(device.boxes().found) == list(device.boxes().found) == boxes[0]
        for wrong, word in (([boxes[0], other[0], boxes[2]], "box 0 differs first: got class"),):
            found = check(device, images, expected, boxes=wrong)
            assert (found.exact_samples, found.boxes) == (2, sum(map(len, boxes)))
            assert f"sample 1: all bytes agree, but {word}" in str(found.mismatch)
        found = check(device, images, expected, boxes=[*boxes[:2], other[1]])
        assert f"there are {len(boxes[2])} boxes, wanted {len(other[1])}" in str(found.mismatch)


def test_api_and_metadata(files: tuple[Path, Path], tmp_path: Path) -> None:
    model = onnx.load(str(files[0]))
    many = {**WORDS, "least": 0.1, "candidates": 300, "overlap": 1}
    onnx.helper.set_model_props(model, {detecting.METADATA: json.dumps(many)})
    path = tmp_path / "told.onnx"
    onnx.save_model(model, str(path))
    made = mbn.compile(path, board="qemu", output=tmp_path / "out", samples=1)
    detector = made.network.detector
    assert detector is not None
    assert (detector.classes, detector.least, detector.background) == (3, 3277, True)
    assert network_file.load(made.folder / "network.npz").detector == detector
    again = json.loads(json.dumps(detecting.described(detector)))
    assert detecting.of_network(made.network, again, None) == detector
    image = np.random.default_rng(4).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    found = mbn.reference(made.folder).boxes(image)
    assert made.boxes(image) == found
    assert len(found) > 100  # more than one answer of the device holds
    assert all(one.label in (1, 2) for one in found)
    # metadata of another network is left aside
    assert detecting.of_network(made.network, {**WORDS, "classes": 4}, None) is None
    with pytest.raises(mbn.UsageError, match="no detector"):
        mbn.reference(lower(files[0], "plain")).boxes(image)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "no object"),
        ("{}", "no classes"),
        ({**WORDS, "classes": 4}, "map 0: result 0 is 6x8x9. wanted: 6x8x12: 3 boxes a cell"),
        ({**WORDS, "class": 4}, "'class'. wanted: of background, candidates"),
        ({**WORDS, "classes": True}, "classes: true. wanted: a number of classes"),
        ({**WORDS, "ratios": [1]}, "sizes and ratios. wanted: one or the other"),
        ({**WORDS, "results": [[0, 1], [0, 1]]}, "results [0, 1, 0, 1]"),
        ({**WORDS, "results": [[0, 9], [3, 2]]}, "wanted: different ones of 0 to 3"),
        ({**WORDS, "sizes": [[[0.2, 0.2]]]}, "sizes of 1 maps. wanted: of 2"),
        ({**WORDS, "sizes": [[[0.2, 9]], [[1, 1]]]}, "map 0: default boxes of"),
        ({**WORDS, "scores": "softmax"}, "wanted: logits or probabilities"),
        ({**WORDS, "candidates": 0}, "candidates: 0. wanted: 1 to 4096"),
        ({**WORDS, "least": 1.5}, "least: 1.5. wanted: a score, 0 to 1"),
        ({**WORDS, "variances": [float("inf"), 1]}, "variances: [Infinity, 1]"),
    ],
)
def test_words_that_do_not_fit(
    files: tuple[Path, Path],
    words: str | dict[str, object],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "ssd.json"
    path.write_text(words if isinstance(words, str) else json.dumps(words))
    assert compile_command.main(command((files[0], path), "host", tmp_path, "--plan-only")) == 2
    told = capsys.readouterr().err
    assert said in told and str(path) in told.replace("\n", "")


def test_damaged_and_broken(files: tuple[Path, Path], tmp_path: Path) -> None:
    network, _ = drawn(3)
    assert network.detector is not None
    network_file.save(network, tmp_path / "network.npz")
    assert network_file.load(tmp_path / "network.npz").detector == network.detector
    wrong = replace(network, detector=replace(network.detector, classes=CLASSES + 1))
    network_file.save(wrong, tmp_path / "network.npz")
    with pytest.raises(ModelError, match="damaged"):
        network_file.load(tmp_path / "network.npz")
    whole = lower(files[0], "headed")
    with pytest.raises(BrokenNetwork, match="detector: results"):
        verify(replace(whole, detector=network.detector), "a pass")


def test_prediction_beside_boxes(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a detector takes is not predicted; the table of the others is printed."""
    assert compile_command.main(command(files, "qemu", tmp_path / "out", "--samples", "1")) == 0
    said = capsys.readouterr().out
    assert "predicted" in said and "pointwise" in said and "detect" not in said


ARDUINO = """
#pragma once
#include <stdio.h>
struct Console {
    void begin(long) {}
    void print(const char *text) { printf("%s", text); }
    void print(unsigned value) { printf("%u", value); }
    void println(const char *text = "") { printf("%s\\n", text); }
};
extern Console Serial;
inline void delay(unsigned long) {}
"""
SKETCH = """
#include "Arduino.h"
Console Serial;
void setup();
void loop();
int main() { setup(); loop(); return 0; }
"""


def test_exported(files: tuple[Path, Path], tmp_path: Path) -> None:
    """The library's examples find the reference's boxes, natively."""
    arguments = compile_command.parser().parse_args(command(files, "host", tmp_path / "work"))
    made = export_job.library(compile_command.job_of(arguments, find_board("host")), SILENT, "eyes")
    assert made.example.boxes
    for form, example in (("cmake", "examples/find_boxes.c"), ("zephyr", "samples/find_boxes")):
        texts = exported(made, form)
        assert any(path.startswith(example) for path in texts)
        assert not any("lassify" in path or "classify" in text for path, text in texts.items())
    sketch = exported(made, "arduino")["examples/Check/boxes.c"]
    assert "eyes_detect(model, work, found, EYES_CANDIDATES, &count)" in sketch
    assert "mbn_model" not in sketch and "MBN_MODEL" not in sketch
    folder = tmp_path / "eyes"
    both = {**exported(made, "arduino"), **exported(made, "cmake"), "src/Arduino.h": ARDUINO}
    for name, text in both.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    assert "install(FILES src/mbn/detect.h src/mbn/mbn.h" in (folder / "CMakeLists.txt").read_text()
    sources = [*(folder / "src").rglob("*.c"), folder / "examples" / "find_boxes.c"]
    options = [*WARNINGS[:2], "-Werror", "-I", str(folder / "src")]
    build = ["gcc", "-std=c11", *options, "-c", *map(str, sources)]
    subprocess.run(build, check=True, cwd=tmp_path)
    objects = [str(tmp_path / f"{source.stem}.o") for source in sources]
    subprocess.run(["gcc", "-o", str(tmp_path / "run"), *objects], check=True)
    done = subprocess.run([str(tmp_path / "run")], check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert f"{len(made.example.boxes)} objects" in done.stdout
    ino = folder / "examples" / "FindBoxes" / "FindBoxes.ino"
    (tmp_path / "main.cpp").write_text(SKETCH)
    build = ["g++", *options, "-x", "c++", str(ino), str(tmp_path / "main.cpp"), "-x", "none"]
    subprocess.run([*build, *objects[:-1], "-o", str(tmp_path / "sketch")], check=True)
    done = subprocess.run([str(tmp_path / "sketch")], check=True, capture_output=True, text=True)
    assert done.stdout.endswith(f"{len(made.example.boxes)} objects\nas the reference\n")


def ssd300() -> qdq.Graph:
    """A head of SSD-300's size (arXiv 1704.04861, Table 13: 1917 default boxes, 91 classes) on next
    to no trunk."""
    g = qdq.Graph((1, 3, 38, 38))
    g.channels = 3
    g.dequantise("image", 0.0078125, 0)
    outputs = []
    for at, boxes in enumerate((3, 6, 6, 6, 6, 6)):
        g.convolve(8, 3, stride=2, pads=(1, 1, 1, 1), name=f"trunk{at}")
        g.then("Relu")
        trunk, scale = g.quantise(0.03, -128), g.scale
        for values, zero in ((91, 60), (4, 0)):
            g.value, g.channels, g.scale = trunk, 8, scale
            g.convolve(boxes * values, 1, name=f"head{at}_{values}")
            outputs.append(g.quantise(0.04, zero))
        g.value, g.channels, g.scale = trunk, 8, scale
    g.outputs = outputs
    return g


@pytest.mark.full
@pytest.mark.parametrize(("least", "cycles"), [(1.0, 1_775_586), (0.0, 1_997_909)])
def test_what_ssd300_takes(least: float, cycles: int, tmp_path: Path) -> None:
    """docs/detection.md: where no score counts, and where all do."""
    words = {"classes": 91, "background": True, "ratios": [1, 2, 0.5, 3, 1 / 3], "first": 3}
    (tmp_path / "ssd.json").write_text(json.dumps({**words, "least": least}))
    files = ssd300().save(tmp_path / "big.onnx"), tmp_path / "ssd.json"
    arguments = command(files, "qemu", tmp_path / "out", "--check", "--samples", "2")
    assert compile_command.main(arguments) == 0
    last = load_report(tmp_path / "out").stages[-1]
    assert last.input == "1x1917x95"
    assert last.modelled_cycles == pytest.approx(cycles, rel=0.02)
