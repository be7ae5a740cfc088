"""mbn-flash, mbn-boards and pytest --flash as people run them.

What enters: arguments. What leaves: exit codes and words. Always holds: an error is one paragraph
and exit code 2 or 3, never a traceback.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tty
from pathlib import Path

import pytest

from families import PARTS
from mbn.cli import boards as boards_command
from mbn.cli import compile as compile_command
from mbn.cli import flash as flash_command
from mbn.core.boards import boards

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network for the STM32F405."""
    folder = tmp_path_factory.mktemp("stm32")
    arguments = ["--board", "stm32", "--alpha", "0.25", "--resolution", "96", "--classes", "2"]
    arguments += ["--weights", "random:1", "--samples", "2", "--output", str(folder), "--quiet"]
    assert compile_command.main(arguments) == 0
    return folder


def test_one_command_flashes_and_checks_in_emulation(
    compiled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flash_command.main(["--board", "stm32", "--output", str(compiled), "--check"]) == 0
    said = capsys.readouterr().out
    assert "Flashing stm32f405 by qemu: QEMU's netduinoplus2, not a real board" in said
    assert "bytes; build" in said and "2 of 2 samples exact: all bits equal" in said


def test_dry_run(compiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--board", "stm32", "--output", str(compiled), "--dry-run", "--port", "/dev/ttyX"]
    assert flash_command.main(arguments) == 0
    said = capsys.readouterr().out
    assert "by uart: the ROM bootloader on /dev/ttyX" in said and "identify  on /dev/ttyX" in said


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--board", "nucleo_f446re"], 2, "is for stm32f405, not nucleo_f446re"),
        (["--board", "stm32", "--port", "/dev/ttyNONE"], 2, "the port does not exist"),
        (["--board", "stm32", "--samples", "3"], 2, "with --check"),
        (["--board", "stm32", "--method", "uf2"], 2, "one of uart, swd, qemu"),
        (["--board", "stm32", "--at", "desk", "--lab", "none.toml"], 2, "there is no none.toml"),
        (["--board", "stm33"], 2, "Did you mean"),
    ],
)
def test_what_can_be_mended(
    compiled: Path,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert flash_command.main([*arguments, "--output", str(compiled)]) == code
    said = capsys.readouterr().err
    assert said.startswith("mbn-flash: ") and message in said


@pytest.mark.usefixtures("parity")
def test_a_failed_flash_is_exit_code_3(
    compiled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at the other end: silence, not a bootloader."""
    monkeypatch.setattr("mbn.harness.flash.uart.ANSWER_S", 0.1)
    master, slave = os.openpty()
    tty.setraw(slave)
    arguments = ["--board", "stm32", "--output", str(compiled), "--port", os.ttyname(slave)]
    code = flash_command.main(arguments)
    os.close(master)
    os.close(slave)
    assert code == 3
    assert "connect by uart failed: no bootloader answers" in capsys.readouterr().err


def test_the_boards_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert boards_command.main([]) == 0
    said = capsys.readouterr().out
    for board in boards().values():
        (line,) = (one for one in said.splitlines() if one.strip().startswith(f"{board.name} "))
        assert board.tested in line and board.core.name in line
    assert "480 MHz" in said and "Plugged in" in said
    assert sum("untested on hardware" in line for line in said.splitlines()) == len(PARTS) + 1


def test_a_size_is_planned_on_every_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert boards_command.main(["--network", "0.25-96"]) == 0
    said = capsys.readouterr().out
    for name in PARTS:
        (line,) = (one for one in said.splitlines() if one.strip().startswith(f"{name} "))
        assert " yes " in line
    (f446,) = (one for one in said.splitlines() if "nucleo_f446re" in one)
    (l4r5,) = (one for one in said.splitlines() if "nucleo_l4r5zi" in one)
    times = [float(line.split(" ms")[0].split()[-1]) for line in (f446, l4r5)]
    assert (f446.split()[-1], l4r5.split()[-1]) == ("0.25", "0.75")  # the largest alpha at 96x96
    assert times[1] / times[0] == pytest.approx(180 / 120, rel=0.01)
    assert boards_command.main(["--network", "big"]) == 2


def test_pytest_flashes_first() -> None:
    """`pytest --board X --flash`: the image under test is what was flashed."""
    command = [sys.executable, "-m", "pytest", "-q", "--board", "qemu-m3", "--flash"]
    tests = ["tests/test_device.py::test_identity", "tests/test_device.py::test_outputs_are_exact"]
    done = subprocess.run(
        [*command, *tests], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout
