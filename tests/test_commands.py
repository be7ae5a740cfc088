"""The commands as a user meets them: bad input ends in one paragraph, good input in files.

What enters: command lines. What leaves: nothing but failures. Always holds: bad input ends with
exit code 2 and one paragraph on standard error that says what to do; nothing is run on a board that
another program may be using.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import onnx
import pytest
from serial import Serial

import qdq
from conftest import Builder, Compiled
from mbn.cli import check as check_command
from mbn.cli import compile as compile_command
from mbn.cli import train as train_command
from mbn.core import network_file
from mbn.core.target import Board
from mbn.harness.device.emulated import native, qemu
from mbn.image.build import build_image
from mbn.report.record import schema
from mbn.train import bundled as bundled_model
from test_link import far_side

ROOT = Path(__file__).parents[1]
Main = Callable[[Sequence[str]], int]
Refused = Callable[..., str]
SMALL = ["--weights", "random:1", "--alpha", "0.25", "--resolution", "32", "--samples", "3"]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """refused(main, *arguments) -> the one paragraph, after checking that it is one (or a table
    between two lines)."""

    def run(main: Main, *arguments: object, code: int = 2) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == code
        text = capsys.readouterr().err
        assert text.startswith(("mbn-compile: ", "mbn-check: ", "mbn-train: "))
        first, *table = text.strip().splitlines()
        assert not table or first.endswith(":"), text
        assert all(line.startswith("  ") for line in table[:-1]), text
        assert "Traceback" not in text
        assert text.endswith(".\n")
        return text

    return run


def compiling(refused: Refused, *arguments: object) -> str:
    return refused(compile_command.main, "--board", "qemu", *arguments)


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def small(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drawn network, compiled for the board."""
    folder = tmp_path_factory.mktemp("small")
    arguments = ["--board", board.asked, *SMALL, "--output", str(folder), "--quiet"]
    assert compile_command.main(arguments) == 0
    return folder


@pytest.fixture
def copied(small: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    shutil.copytree(small, tmp_path / "copy")
    return tmp_path / "copy"


# -- files ---------------------------------------------------------------------------------------


def test_missing_onnx(refused: Refused) -> None:
    assert "no file nowhere.onnx" in compiling(refused, "--onnx", "nowhere.onnx")


@pytest.mark.parametrize("size", [0, 10, 2000, -100])
def test_truncated_onnx(refused: Refused, size: int) -> None:
    data = bundled_model.find(0.25, data="digits").read_bytes()
    Path("cut.onnx").write_bytes(data[:size])
    text = compiling(refused, "--onnx", "cut.onnx", "--calibrate", ".")
    assert "cut.onnx" in text


def test_text_is_no_onnx(refused: Refused) -> None:
    Path("text.onnx").write_text("this is no network\n", encoding="utf-8")
    assert "text.onnx is not a valid ONNX file" in compiling(refused, "--onnx", "text.onnx")


def test_a_folder_is_no_onnx(refused: Refused) -> None:
    Path("folder.onnx").mkdir()
    assert "folder.onnx" in compiling(refused, "--onnx", "folder.onnx")


def test_unsupported_operator_is_named_with_its_node(refused: Refused) -> None:
    graph = qdq.mobile(softmax=False)
    graph.then("Cos", name="gate_7")
    graph.save(Path("gated.onnx"))
    text = compiling(refused, "--onnx", "gated.onnx")
    assert "Cos" in text
    assert "gate_7" in text


def test_dynamic_shape(refused: Refused) -> None:
    model = qdq.mobile().model()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "rows"
    onnx.save(model, "dynamic.onnx")
    text = compiling(refused, "--onnx", "dynamic.onnx")
    assert "dynamic shape" in text
    assert "rows" in text


def test_float_network_without_calibration(refused: Refused) -> None:
    text = compiling(refused, "--onnx", bundled_model.find(0.25, data="digits"))
    assert "no calibration data" in text
    assert "--calibrate" in text


@pytest.mark.parametrize("option", ["--calibrate", "--images"])
@pytest.mark.parametrize("kind", ["missing", "empty", "text"])
def test_folders_without_images(refused: Refused, option: str, kind: str) -> None:
    if kind != "missing":
        Path("photos").mkdir()
    if kind == "text":
        Path("photos/one.jpg").write_text("no image", encoding="utf-8")
    path: Path = bundled_model.find(0.25, data="digits")
    if option == "--images":
        path = qdq.mobile().save(Path("net.onnx"))
    text = compiling(refused, "--onnx", path, option, "photos")
    assert "photos" in text or "one.jpg" in text


def test_output_that_is_a_file(refused: Refused) -> None:
    Path("taken").write_text("", encoding="utf-8")
    path = qdq.mobile().save(Path("net.onnx"))
    assert "taken" in compiling(refused, "--onnx", path, "--output", "taken")


# -- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", ["0", "-1", "nan", "inf"])
@pytest.mark.parametrize("weights", ["trained", "random:1"])
def test_alpha_that_is_no_width(refused: Refused, alpha: str, weights: str) -> None:
    text = compiling(refused, f"--alpha={alpha}", "--weights", weights)
    assert "alpha" in text


@pytest.mark.parametrize("alpha", ["0", "-0.5", "nan"])
def test_training_alpha_that_is_no_width(refused: Refused, alpha: str) -> None:
    assert "alpha" in refused(train_command.main, f"--alpha={alpha}", "--data", "digits")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--samples", "0"], "--samples 0"),
        (["--weights", "drawn"], "random:SEED"),
        (["--weights", "random:x"], "random:SEED"),
        (["--weights", "random:1", "--classes", "0"], "classes"),
        (["--weights", "random:1", "--classes", "-3"], "classes"),
        (["--weights", "random:1", "--resolution", "8"], "resolution"),
        (["--classes", "7"], "10 classes"),
        (["--onnx", "x.onnx", "--alpha", "1"], "one way"),
        (["--input-range", "1", "-1"], "--input-range alone would be ignored"),
        (["--model", "x.onnx", "--input-range", "1", "-1"], "LOW below HIGH"),
    ],
)
def test_arguments_that_make_no_sense(refused: Refused, arguments: list[str], words: str) -> None:
    assert words in compiling(refused, *arguments)


def test_size_that_is_not_bundled_names_the_command(refused: Refused) -> None:
    text = compiling(refused, "--alpha", "0.5", "--resolution", "128")
    assert "mbn-train --alpha 0.5 --resolution 128" in text


def test_a_label_file_of_another_length_is_refused(refused: Refused, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    text = compiling(refused, *SMALL, "--classes", "3", "--labels", labels)
    assert "2 labels" in text and "3 classes" in text
    labels.write_text("cat\n\ndog\n")
    assert "line 2 is no name" in compiling(refused, *SMALL, "--classes", "3", "--labels", labels)
    labels.write_text("cat\nd\u202eog\nx\n", encoding="utf-8")
    assert "line 2 is no name" in compiling(refused, *SMALL, "--classes", "3", "--labels", labels)
    assert "no such file" in compiling(refused, *SMALL, "--labels", tmp_path / "none.txt").lower()


def test_photographs_are_compiled_with_names_and_recorded_accuracy(tmp_path: Path) -> None:
    arguments = ["--board", "qemu", "--alpha", "0.25", "--samples", "1", "--output", str(tmp_path)]
    assert compile_command.main(arguments) == 0
    data = _report(tmp_path)
    assert data["network"]["name"] == "mobilenet_0.25_96_photographs"  # type: ignore[index]
    assert data["accuracy"]["samples"] == 10_000  # type: ignore[index]
    names = network_file.load(tmp_path / "network.npz").classes
    assert names[0] == "airplane" and len(names) == 10


@pytest.mark.parametrize("main", [compile_command.main, check_command.main])
def test_unknown_board_lists_near_names(refused: Refused, main: Main) -> None:
    text = refused(main, "--board", "qemu-m8")
    assert "Did you mean" in text
    assert "qemu-m7" in text


def test_training_without_the_extra(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    text = refused(train_command.main, "--alpha", "0.25", "--data", "digits")
    assert "./dev COMMAND" in text and "[train]'" in text


def test_network_that_does_not_fit(refused: Refused) -> None:
    arguments = ["--alpha", "1.0", "--resolution", "224", "--weights", "random:1"]
    text = refused(compile_command.main, "--board", "stm32", *arguments, code=3)
    assert "does not fit stm32f405" in text
    assert re.search(r"needed +available +in\n +weights, code.* 1,048,576  flash\n", text)
    assert re.search(r"arena, state and stack .* 196,608  ram, ccm", text)
    assert "--alpha 0." in text
    assert not list(Path("out").rglob("*.elf"))


# -- tools and devices ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["host", "qemu"])
def test_missing_toolchain(refused: Refused, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path.cwd()))
    text = refused(compile_command.main, "--board", name, *SMALL)
    assert "apt-get install cmake" in text


def test_missing_cross_compiler(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = Path("tools").resolve()
    tools.mkdir()
    for program in ("cmake", "ninja"):
        found = shutil.which(program)
        assert found is not None
        (tools / program).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    assert "apt-get install gcc-arm-none-eabi" in compiling(refused, *SMALL)


def test_missing_qemu(
    refused: Refused, small: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    if board.native:
        pytest.skip("the host needs no emulator")
    monkeypatch.setenv("PATH", str(Path.cwd()))
    text = refused(check_command.main, "--board", board.asked, "--output", small)
    assert "apt-get install qemu-system-arm" in text


def test_port_that_does_not_exist(refused: Refused, small: Path, board: Board) -> None:
    port = Path("ttyNONE").resolve()
    text = refused(check_command.main, "--board", board.asked, "--output", small, "--port", port)
    assert "ttyNONE" in text
    assert "does not exist" in text


def test_port_that_is_busy(refused: Refused, small: Path, board: Board) -> None:
    with far_side(lambda data: b"") as port, Serial(port, exclusive=True):
        text = refused(
            check_command.main, "--board", board.asked, "--output", small, "--port", port
        )
    assert "busy" in text


@pytest.mark.parametrize("answer", [b"login: \0sh\0", b""])
def test_port_that_answers_garbage_or_nothing(
    refused: Refused, small: Path, board: Board, answer: bytes
) -> None:
    with far_side(lambda data: answer) as port:
        text = refused(
            check_command.main, "--board", board.asked, "--output", small, "--port", port
        )
    assert ("not an answer" if answer else "nothing came") in text
    assert "check.log" in text


@pytest.fixture
def other_device(board: Board, build: Builder) -> Iterator[str]:
    """The port of a device that runs the hand-made network."""
    elf = build(board).elf
    with native(elf) if board.native else qemu(board, elf) as (port, _):
        yield port


def test_device_that_runs_another_model(
    refused: Refused, small: Path, board: Board, other_device: str
) -> None:
    text = refused(
        check_command.main, "--board", board.asked, "--output", small, "--port", other_device
    )
    assert "the device runs the network 'tiny'" in text
    assert "Flash the image" in text


def test_folder_compiled_for_another_board(refused: Refused, small: Path, board: Board) -> None:
    other = "qemu-m7" if board.name != "qemu-m7" else "qemu"
    text = refused(check_command.main, "--board", other, "--output", small)
    assert f"compiled for {board.name}, not {other}" in text


@pytest.mark.parametrize("name", ["report.json", "network.npz", "samples.npz"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_folder(
    refused: Refused, copied: Path, board: Board, name: str, damage: str
) -> None:
    path = copied / name
    data = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    text = refused(check_command.main, "--board", board.asked, "--output", copied)
    assert "compile" in text


def test_missing_image(refused: Refused, copied: Path, board: Board) -> None:
    (copied / "check.elf").unlink()
    text = refused(check_command.main, "--board", board.asked, "--output", copied)
    assert "check.elf" in text


def test_nothing_compiled_yet(refused: Refused, board: Board) -> None:
    assert "mbn-compile" in refused(check_command.main, "--board", board.asked)


# -- good input ----------------------------------------------------------------------------------


def _report(folder: Path) -> dict[str, object]:
    data: dict[str, object] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, schema())
    return data


def test_main_command_prints_what_matters(bundled: Compiled, board: Board) -> None:
    assert bundled.exit_code == 0
    assert "100 of 100 samples exact" in bundled.printed
    assert "% on 359 labelled samples" in bundled.printed
    assert "flash" in bundled.printed
    data = _report(bundled.folder)
    assert data["board"] == board.name
    assert len(data["stages"]) == 16  # type: ignore[arg-type]


def test_compile_writes_where_it_says(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    qdq.mobile().save(Path("mine.onnx"))
    arguments = ["--board", board.asked, "--onnx", "mine.onnx", "--samples", "2"]
    assert compile_command.main(arguments) == 0
    folder = Path("out") / board.name / "mine"
    assert str(folder) in capsys.readouterr().out
    assert _report(folder)["check"] is None
    kept = {"network.npz", "samples.npz", "check.elf", "report.json"}
    assert kept <= {path.name for path in folder.iterdir()}


@pytest.mark.usefixtures("_no_port")
@pytest.mark.parametrize("more", [[], ["--input", "whole"], ["--unfused"]])
def test_own_network_is_checked(board: Board, more: list[str]) -> None:
    qdq.mobile(whole=True).save(Path("mine.onnx"))
    arguments = ["--board", board.asked, "--onnx", "mine.onnx", "--samples", "5", "--quiet"]
    assert compile_command.main([*arguments, *more, "--check"]) == 0
    data = _report(Path("out") / board.name / "mine")
    assert data["check"]["exact_samples"] == data["check"]["samples"] == 5  # type: ignore[index]


@pytest.fixture
def _no_port(transport: str | None) -> None:
    if transport is not None:
        pytest.skip("needs an image of its own on the board")


@pytest.mark.usefixtures("_no_port")
def test_check_alone_and_quiet(
    copied: Path, board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--board", board.asked, "--output", str(copied)]
    assert check_command.main([*arguments, "--quiet", "--samples", "2"]) == 0
    said = capsys.readouterr()
    assert said.out == said.err == ""
    assert _report(copied)["check"]["samples"] == 2  # type: ignore[index]
    assert check_command.main(arguments) == 0
    assert "3 of 3 samples exact" in capsys.readouterr().out


@pytest.mark.usefixtures("_no_port")
def test_one_wrong_weight_ends_with_code_1(
    copied: Path, board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    """The image is right; the host's network is changed, and its hash with it."""
    network = network_file.load(copied / "network.npz")
    first = network.layers[0]
    assert first.bias is not None
    changed = replace(
        network, layers=(replace(first, bias=first.bias + 40000), *network.layers[1:])
    )
    network_file.save(changed, copied / "network.npz")
    old, new = network_file.sha256(network), network_file.sha256(changed)
    for name in ("network.c", "network.h", "weights.c"):
        source = copied / "c" / name
        source.write_text(source.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    image = build_image(copied / "c", board, "check", copied)
    report = _report(copied)
    report["network"]["model_sha256"] = new  # type: ignore[index]
    report["build_id"] = image.build_id
    (copied / "report.json").write_text(json.dumps(report), encoding="utf-8")
    assert check_command.main(["--board", board.asked, "--output", str(copied)]) == 1
    assert "stage 0" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", ["compile", "check", "train"])
def test_help_has_examples(name: str) -> None:
    """In a process of its own, as a user would ask."""
    script = f"import sys; from mbn.cli.{name} import main; sys.exit(main(['--help']))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT / "compiler")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "examples:" in done.stdout
    assert f"mbn-{name} --" in done.stdout
    assert done.stderr == ""


def test_error_in_a_process_of_its_own() -> None:
    script = "import sys; from mbn.cli.compile import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", script, "--board", "nothing"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "compiler")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("mbn-compile: there is no board 'nothing'")
