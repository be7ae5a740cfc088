"""What all commands do alike: versions, JSON, one name for all, budgets, what would be ignored.

What enters: commands' arguments. What leaves: nothing but failures. Always holds: what is refused
is refused before any work, with exit code 2 and one paragraph.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import mbn
import qdq
from mbn.cli import budget, completion
from mbn.cli import compile as compile_command
from mbn.cli import main as every_command
from mbn.cli import report as report_command
from mbn.core.target import Memory
from mbn.jobs.every import Outcome, Verdict
from mbn.report import Check, load_report

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


def test_what_can_fail_is_tried_first(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.monotonic()
    asked = ["--board", "qemu", "--alpha", "0.25", "--check"]
    assert compile_command.main([*asked, "--port", str(tmp_path / "none")]) == 2
    assert "the port does not exist" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert compile_command.main([*asked, "--output", str(tmp_path / "file")]) == 2
    assert "can't be written" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compile_command.main(["--board", "nrf52840dk", "--alpha", "0.25", "--check"]) == 2
    assert "apt-get install" in capsys.readouterr().err
    assert time.monotonic() - begun < 6  # two seconds each, on a busy machine


def test_every_board_in_one_table(
    built: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A native board, one without an emulator, one too small, and one whose C does not compile."""
    known = mbn.find_board("nrf52840dk")
    small = replace(
        known,
        name="small",
        memories=(known.memories[0], Memory("r", 1 << 29, 8000, ("data", "stack"))),
    )
    broken = replace(known, name="broken", core=replace(known.core, gcc_flags=("-mcpu=none",)))
    asked = [str(built / "small.onnx"), "--board", "all", "--check", "--samples", "2"]
    asked += ["--output", str(built / "every")]
    monkeypatch.setattr(
        mbn, "boards", lambda: (mbn.find_board("host"), known, small), raising=False
    )
    assert compile_command.main(asked) == 0
    told = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in told.splitlines() if line.split()}
    assert rows["host"][-3:] == ["-", "2/2", "exact"] and "native" in rows["host"]
    assert rows["nrf52840dk"][-2:] == ["2/2", "exact"] and "generic" in rows["nrf52840dk"]
    assert "small: the image does not fit" in told or "small: the network does not fit" in told
    report = json.loads((built / "every" / "nrf52840dk" / "report.json").read_text("utf-8"))
    assert report["board"] == "nrf52840dk" and "as a generic image" in report["check"]["where"]
    assert report["check"]["instructions"] > 0
    monkeypatch.setattr(mbn, "boards", lambda: (broken, small), raising=False)
    assert compile_command.main([*asked, "--json"]) == 2
    ends = [one["outcome"] for one in json.loads(capsys.readouterr().out)]
    assert ends == ["FAILED", "does not fit"]
    monkeypatch.setattr(mbn, "boards", lambda: (small,), raising=False)
    assert compile_command.main(asked) == 3
    assert compile_command.main([*asked, "--port", "/dev/ttyS0"]) == 2


def test_one_board_that_differs_is_the_exit_code(
    built: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def differs(*_: object, **__: object) -> Iterator[Verdict]:
        report = load_report(built / "out")
        mismatch = Check(2, 1, 0.5, None, None, None, "stage 3", "here")
        yield Verdict(mbn.find_board("host"), Outcome.EXACT, replace(report, check=mismatch))
        yield Verdict(mbn.find_board("qemu"), Outcome.DIFFERS, replace(report, check=mismatch))

    monkeypatch.setattr(mbn, "check_every", differs, raising=False)
    monkeypatch.setattr(mbn, "boards", lambda: (mbn.find_board("host"),), raising=False)
    assert compile_command.main([str(built / "small.onnx"), "--board", "all", "--check"]) == 1
    assert "DIFFERS" in capsys.readouterr().out


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
