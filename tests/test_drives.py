"""Flashing by drives: a UF2 boot loader's, a debug probe's.

What enters: the hand-made network's image for the RP2040 and the STM32F405, folders that act as
drives. What leaves: nothing but failures. Always holds: a drive that is not the board's is left
alone; what the drive says of a failure is passed on.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Builder
from mbn.core.boards import find_board
from mbn.core.errors import FlashError, UsageError
from mbn.core.uf2 import from_uf2
from mbn.harness.flash import find, read_payload
from mbn.harness.flash.drive import DriveFlasher, drives
from mbn.jobs.flash import Wanted, wanted_of
from test_flash import run


@pytest.fixture(scope="module")
def wanted(build: Builder) -> Wanted:
    return wanted_of(build(find_board("stm32f405")))


@pytest.fixture
def pico(build: Builder) -> Wanted:
    return wanted_of(build(find_board("rp2040_pico")))


def boot_loader(folder: Path, act: Callable[[bytes], None], times: int = 1) -> threading.Thread:
    """Acts on the file, each time that it lies on the drive whole."""

    def watch() -> None:
        end = time.monotonic() + 60
        size, left = -1, times
        while left and time.monotonic() < end:
            for file in folder.glob("mbn.*"):
                now = file.stat().st_size
                if now and now == size:
                    act(file.read_bytes())
                    left, now = left - 1, -1
                size = now
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def uf2_drive(folder: Path, name: str = "RPI-RP2") -> Path:
    folder.mkdir()
    text = f"UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: {name}\n"
    (folder / "INFO_UF2.TXT").write_text(text, encoding="ascii")
    return folder


def test_uf2_drive_takes_the_file_and_vanishes(pico: Wanted, tmp_path: Path) -> None:
    drive = uf2_drive(tmp_path / "drive")
    taken: list[bytes] = []

    def act(data: bytes) -> None:
        taken.append(data)
        shutil.rmtree(drive)

    thread = boot_loader(drive, act)
    assert run(DriveFlasher(pico.board, "uf2", drive, pico.hex), pico) == []
    thread.join()
    family, parts = from_uf2(taken[0])
    assert family == 0xE48BFF56
    (address, data), *_ = read_payload(pico.hex, pico.board).parts
    assert parts[0][0] == address == 0x10000000
    assert parts[0][1][: len(data)] == data


def test_uf2_drive_that_does_not_take_it(
    pico: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbn.harness.flash.drive._MARGIN_S", 0.5)
    drive = uf2_drive(tmp_path / "drive")
    with pytest.raises(FlashError, match="the boot loader did not take the file"):
        run(DriveFlasher(pico.board, "uf2", drive, pico.hex), pico)


def nucleo(wanted: Wanted) -> Wanted:
    """The same file for a board with an ST-LINK's drive."""
    flash_table = replace(find_board("nucleo_f446re").flash, methods=("copy",))
    return replace(wanted, board=replace(wanted.board, flash=flash_table))


def test_a_probes_drive_says_why_it_failed(wanted: Wanted, tmp_path: Path) -> None:
    drive = tmp_path / "NODE_F446RE"
    drive.mkdir()
    (drive / "DETAILS.TXT").touch()
    words = "The target is write-protected.\r\n"

    def act(data: bytes) -> None:
        (drive / "FAIL.TXT").write_text(words, encoding="ascii")
        (drive / "mbn.hex").unlink()

    thread = boot_loader(drive, act, times=2)
    with pytest.raises(FlashError, match="the probe says: The target is write-protected"):
        run(DriveFlasher(nucleo(wanted).board, "copy", drive, wanted.hex), wanted)
    thread.join()


def test_a_probes_drive_takes_the_hex_file(
    wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = tmp_path / "NODE_F446RE"
    drive.mkdir()
    (drive / "MBED.HTM").touch()
    monkeypatch.setattr("mbn.harness.flash.drive._VERDICT_S", 0.2)
    assert drives(nucleo(wanted).board, "copy", [tmp_path, drive]) == (drive,)
    assert run(DriveFlasher(nucleo(wanted).board, "copy", drive, wanted.hex), wanted) == []
    assert (drive / "mbn.hex").read_bytes() == wanted.hex.read_bytes()


def test_a_drive_that_is_full(pico: Wanted, tmp_path: Path) -> None:
    drive = uf2_drive(tmp_path / "drive")
    (drive / "mbn.uf2").symlink_to("/dev/full")
    with pytest.raises(FlashError, match="write by uf2 failed: the drive is full"):
        run(DriveFlasher(pico.board, "uf2", drive, pico.hex), pico)


def test_a_drive_that_vanishes_half_way(
    pico: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody empties stands for a mount whose device is gone: the copy is ended."""
    monkeypatch.setattr("mbn.harness.flash.drive._MARGIN_S", 0.5)
    monkeypatch.setattr("mbn.harness.flash.drive._BYTES_PER_S", 1e6)
    drive = uf2_drive(tmp_path / "drive")
    os.mkfifo(drive / "mbn.uf2")
    with pytest.raises(FlashError, match="write did not end within"):
        run(DriveFlasher(pico.board, "uf2", drive, pico.hex), pico)
    shutil.rmtree(drive)
    with pytest.raises(FlashError, match=r"the drive is not there.*BOOTSEL"):
        run(DriveFlasher(pico.board, "uf2", drive, pico.hex), pico)


def test_drives_are_not_guessed(pico: Wanted, tmp_path: Path) -> None:
    first = uf2_drive(tmp_path / "one")
    assert find.drive_of(pico.board, "uf2", [tmp_path, first]) == first
    second = uf2_drive(tmp_path / "two")
    other = uf2_drive(tmp_path / "three", "RP2350")
    with pytest.raises(UsageError, match=r"2 drives.*one.*two.*--drive"):
        find.drive_of(pico.board, "uf2", [first, second, other])
    with pytest.raises(UsageError, match=r"0 drives.*BOOTSEL"):
        find.drive_of(pico.board, "uf2", [other])
