"""The RP2040's image as it ships, in an emulator that is no work of ours: rp2040py.

What enters: images of rp2040_pico. What leaves: nothing but failures. Always holds: the core begins
in the boot ROM, which finds the second stage in the serial flash, whose clocks, pins and line are
the image's own doing.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from conftest import Builder
from mbn.cli import compile as compile_command
from mbn.cli import flash as flash_command
from mbn.core.boards import find_board
from mbn.core.elf import symbols
from mbn.core.errors import BoardError, LinkError, ToolError
from mbn.core.process import Child
from mbn.core.target import Board, Image
from mbn.harness.device import Device, check, emulated, open_device
from mbn.harness.device.protocol import Health, Start
from mbn.jobs import check as check_job
from mbn.report import load_report
from test_defence import HANG, STRAY, provoke, registers

pytest.importorskip("rp2040py", reason="needs the extra `rp2040`")


@pytest.fixture
def pico(transport: str | None) -> Board:
    """The board in that emulator."""
    if transport is not None:
        pytest.skip("needs images of its own on the board")
    board = find_board("rp2040_pico")
    return replace(board, emulator=board.slower[0])


@pytest.fixture
def running(pico: Board, build: Builder, tmp_path: Path) -> Iterator[tuple[Device, Image]]:
    """An image that obeys the bytes of test_defence."""
    image = build(pico, TINY_UNKIND="1", MBN_WATCHDOG_MS="50u")
    with open_device(pico, image, log_path=tmp_path / "serial.log") as device:
        yield device, image


def test_bits_cycles_resets_and_reports(
    running: tuple[Device, Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every bit; cycles by the image's own SysTick; a reset that is asked for, a bad access, a
    hang, each told after it by the words that RAM and the watchdog kept."""
    device, image = running
    images = tiny.images(4)
    found = check(device, images, tiny.outputs(images))
    assert found.exact and found.measured_cycles is not None
    assert 500 < found.measured_cycles < 50_000
    assert device.health() == Health(None, Start.POWER, "")
    device.reset()
    assert device.health() == Health(None, Start.ASKED, "")
    stray = provoke(device, STRAY)
    assert stray.start is Start.FAULT and "HardFault" in stray.story
    table = [s for s in symbols(image.elf) if s.is_function and s.name in ("conv", "unkind")]
    pc = registers(stray)["pc"]
    assert any(s.address & ~1 <= pc < (s.address & ~1) + s.size_bytes for s in table)
    monkeypatch.setattr(Device, "_inference_s", lambda self: 3.0)
    with pytest.raises(LinkError, match="started anew in the middle"):  # no warning before it bites
        device.run(np.full((4, 4, 2), HANG, np.int8))
    device.wait_ready()
    assert device.health() == Health(None, Start.WATCHDOG, "")
    np.testing.assert_array_equal(device.run(images[0]).output, tiny.outputs(images)[0])


def test_a_uf2_file_is_dropped_on_the_drive(
    pico: Board, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """mbn-flash copies, sees the drive vanish, and proves by build id what runs."""
    drive = tmp_path / "drive"
    drive.mkdir()
    command = [sys.executable, "-m", emulated.RP2040_PROGRAM, "--drive", str(drive)]
    with Child(command) as child:
        port = _port(child)
        while not list(drive.iterdir()):
            time.sleep(0.01)
        asked = ["--board", pico.name, "--output", str(small), "--drive", str(drive)]
        code = flash_command.main([*asked, "--port", port, "--check", "--samples", "1"])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "1 of 1 samples exact" in said.out
    assert not list(drive.iterdir())


def _port(child: Child) -> str:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = re.search(r"listening on (\S+)", child.errors())
        if found:
            return f"socket://{found[1]}"
        time.sleep(0.01)
    raise AssertionError(child.errors())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of the family for the board, with drawn weights."""
    folder = tmp_path_factory.mktemp("small")
    asked = ["--board", "rp2040_pico", "--alpha", "0.25", "--resolution", "32", "--classes", "2"]
    asked += ["--weights", "random:1", "--samples", "1", "--output", str(folder), "--quiet"]
    assert compile_command.main(asked) == 0
    return folder


def test_one_sample_and_both_counts(pico: Board, small: Path) -> None:
    """What their counter says, and what our model says of the generic image's instructions."""
    told = io.StringIO()
    asked = ["--board", "rp2040_pico", "--alpha", "0.25", "--resolution", "32", "--classes", "2"]
    asked += ["--weights", "random:1", "--samples", "1", "--output", str(small)]
    with contextlib.redirect_stdout(told):
        assert compile_command.main([*asked, "--check", "--emulator", "rp2040py"]) == 0
    assert "emulated by rp2040py (Raspberry Pi Pico)" in told.getvalue()
    assert "that emulator's own counter" in " ".join(told.getvalue().split())
    _agree(small)


def _agree(folder: Path) -> None:
    """Modelled and counted cycles within a percent, of the whole and of each stage that is long."""
    report = load_report(folder)
    assert report.check is not None and report.check.exact_samples == report.check.samples
    pairs = [(one.modelled_cycles, one.measured_cycles) for one in report.stages]
    pairs.append((report.check.modelled_cycles, report.check.measured_cycles))
    for modelled, measured in pairs:
        assert modelled is not None and measured is not None
        assert measured == pytest.approx(modelled, rel=0.01, abs=500)


@pytest.mark.full
def test_the_bundled_network(pico: Board, tmp_path: Path) -> None:
    asked = ["--board", "rp2040_pico", "--alpha", "0.25", "--samples", "1", "--quiet"]
    asked += ["--output", str(tmp_path), "--check", "--emulator", "rp2040py"]
    assert compile_command.main(asked) == 0
    _agree(tmp_path)


def test_what_can_not_be_emulated(
    pico: Board, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BoardError, match=r"rp2040py does not emulate qemu.*wanted: qemu"):
        check_job.running(small, find_board("qemu"), "", emulator="rp2040py")
    monkeypatch.setattr(emulated, "find_spec", lambda name: None)
    with (
        pytest.raises(ToolError, match=r"rp2040py is not installed.*rp2040\]"),
        open_device(pico, small / "check.elf", log_path=tmp_path / "log"),
    ):
        pass
