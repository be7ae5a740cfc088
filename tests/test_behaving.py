"""What all commands do alike: versions, JSON, one name for all, budgets, what would be ignored.

What enters: commands' arguments. What leaves: nothing but failures. Always holds: what is refused
is refused before any work, with exit code 2 and one paragraph.
"""

from __future__ import annotations

import json
import subprocess
import time
from importlib import import_module
from pathlib import Path

import pytest

import mbn
import qdq
from mbn.cli import budget, completion
from mbn.cli import compile as compile_command
from mbn.cli import main as every_command
from mbn.cli import report as report_command

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, compiled for the host."""
    folder = tmp_path_factory.mktemp("built")
    path = qdq.residual().save(folder / "small.onnx")
    mbn.compile(path, board="host", output=folder / "out", samples=1)
    return folder


def test_alone_it_lists_every_command(capsys: Capture) -> None:
    assert every_command.main([]) == 0
    printed = capsys.readouterr().out
    assert all(f"mbn {name} " in printed for name in every_command.COMMANDS)
    assert every_command.main(["fly"]) == 2
    assert "no command fly" in capsys.readouterr().err


@pytest.mark.parametrize("name", every_command.COMMANDS)
def test_each_has_a_version_and_common_options(name: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        every_command.main([name, "--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"mbn-{name} {mbn.__version__}\n"
    made = import_module(f"mbn.cli.{name}").parser()
    words = {option for action in made._actions for option in action.option_strings}
    assert {"--json", "--verbose", "--quiet"} <= words


IGNORED = {
    "--calibrate": ["--board", "qemu", "--calibrate", "photos"],
    "--input-range": ["--board", "qemu", "--input-range", "0", "1"],
    "--port": ["--board", "qemu", "--port", "/dev/ttyUSB0"],
    "--plan-only": ["--board", "qemu", "--plan-only", "--check"],
    "--suggest": ["--board", "qemu", "--suggest", "--model", "g.onnx"],
    "--export": ["--board", "qemu", "--export", "cmake", "--fail-over", "ms=3"],
    "no --board": [],
    "--model with --resolution": ["--board", "qemu", "--model", "g.onnx", "--resolution", "64"],
    "besides --model": ["a.onnx", "--model", "b.onnx"],
}


@pytest.mark.parametrize("said", IGNORED)
def test_what_would_be_ignored_is_refused(said: str, capsys: Capture) -> None:
    assert compile_command.main(IGNORED[said]) == 2
    assert said in capsys.readouterr().err


def test_what_can_fail_is_tried_first(tmp_path: Path, capsys: Capture) -> None:
    begun = time.monotonic()
    asked = ["--board", "qemu", "--alpha", "0.25", "--check"]
    assert compile_command.main([*asked, "--port", str(tmp_path / "none")]) == 2
    assert "the port does not exist" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert compile_command.main([*asked, "--output", str(tmp_path / "file")]) == 2
    assert "can't be written" in capsys.readouterr().err
    assert compile_command.main(["--board", "nrf52840dk", "--alpha", "0.25", "--check"]) == 2
    assert "there is no emulator" in capsys.readouterr().err
    assert time.monotonic() - begun < 6  # two seconds each, on a busy machine


def test_a_file_alone_is_a_network(built: Path, capsys: Capture) -> None:
    path = str(built / "small.onnx")
    out = ["--output", str(built / "json"), "--samples", "1"]
    assert every_command.main([path, "--board", "host", "--json", *out]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["network"]["name"] == "small" and data["board"] == "host"


def test_budgets(built: Path, capsys: Capture) -> None:
    asked = [str(built / "small.onnx"), "--board", "host", "--output", str(built / "budget")]
    asked += ["--samples", "1"]
    assert compile_command.main([*asked, "--fail-over", "flash=1M,ram=1M"]) == 0
    assert "within budget" in capsys.readouterr().out
    assert compile_command.main([*asked, "--fail-over", "flash=0.1k,ram=1M"]) == 3
    assert "over budget: flash" in capsys.readouterr().out
    assert budget.budgets("flash=300k, ram=2M,ms=60") == {
        "flash": 307200,
        "ram": 2097152,
        "ms": 60,
    }


def test_two_builds_are_compared(built: Path, capsys: Capture) -> None:
    folder = str(built / "out")
    assert report_command.main(["--compare", folder, folder]) == 0
    printed = capsys.readouterr().out
    assert "flash bytes" in printed and "same" in printed
    assert report_command.main(["--compare", folder, folder, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["what"] == "flash_bytes" and rows[0]["first"] == rows[0]["second"] > 0
    assert report_command.main(["--compare", folder, str(built)]) == 2


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion(shell: str, capsys: Capture) -> None:
    assert every_command.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "calibrate" in script and "mbn-compile" in script
    if shell == "bash":
        asked = "COMP_WORDS=(mbn compile --cali); COMP_CWORD=2; _mbn; echo ${COMPREPLY[@]}"
        done = subprocess.run(
            ["bash", "-c", f"{script}\n{asked}"], capture_output=True, text=True, check=True
        )
        assert done.stdout == "--calibrate\n"
    assert every_command.main(["completion", "tcsh"]) == 2


def test_a_refusal_is_json_too(tmp_path: Path, capsys: Capture) -> None:
    graph = qdq.Graph((1, 4, 8, 8))
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    graph.then("LpPool", kernel_shape=[2, 2], name="length")
    path = graph.save(tmp_path / "g.onnx")
    assert every_command.main(["inspect", str(path), "--json"]) == 2
    data = json.loads(capsys.readouterr().out)
    assert "operator LpPool" in data["refused"][0] and data["closest"]
