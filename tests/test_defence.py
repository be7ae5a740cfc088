"""What an image does against damage, hangs, overflows and bad accesses; each is caused here.

What enters: the hand-made network, built with kernels that misbehave when an image tells them to;
images whose constants are damaged after linking. What leaves: nothing but failures. Always holds:
firmware as it ships has no command that provokes anything.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import tiny
from conftest import Builder
from mbn.cli.run import ConsoleTeller
from mbn.core.boards import find_board
from mbn.core.elf import Contents, sections, symbols
from mbn.core.errors import CheckError, LinkError, UsageError
from mbn.core.target import FAST_RAM, Board, Image, with_fast_ram
from mbn.core.telling import SILENT
from mbn.harness.device import Device, open_device
from mbn.harness.device.protocol import Health, Start
from mbn.harness.device.session import RefusedError
from mbn.image.build import build_image
from mbn.image.build.seal import SECTION, seal
from mbn.jobs import compile as compile_job
from mbn.jobs.check import _tell_health
from test_memories import FLASH, RAM, cut, job

MAINLINE = ["qemu", "qemu-m3", "qemu-m7", "qemu-m33", "qemu-m55", "stm32f405"]
WATCHED = ["qemu", "qemu-m0", "qemu-m3", "qemu-m7", "qemu-m33", "qemu-m55"]
HANG, STRAY, BELOW, DEEP = 101, 102, 103, 104
WATCHDOG_MS = 500


@pytest.fixture(autouse=True)
def _only_here(transport: str | None) -> None:
    if transport is not None:
        pytest.skip("needs images of its own on the board")


@pytest.fixture
def unkind(build: Builder) -> Builder:
    """unkind(board) -> an image whose kernels obey the bytes above."""

    def get(board: Board) -> Image:
        return build(board, TINY_UNKIND="1", MBN_WATCHDOG_MS=f"{WATCHDOG_MS}u")

    return get


def provoke(device: Device, command: int) -> Health:
    """Runs an image that provokes something; what the device says after its reset."""
    image = np.zeros((4, 4, 2), np.int8)
    image[0, 0, 0] = command
    with pytest.raises(LinkError, match="stopped with a"):
        device.run(image)
    device.wait_ready()
    health = device.health()
    assert health is not None and health.damaged is None
    # and it works as before
    images = tiny.images(1)
    np.testing.assert_array_equal(device.run(images[0]).output, tiny.outputs(images)[0])
    return health


def registers(health: Health) -> dict[str, int]:
    inside = health.fault[health.fault.rindex("r0=") : -1]
    return {name: int(value, 16) for name, value in (w.split("=") for w in inside.split())}


def limit(image: Image) -> int:
    return next(s.address for s in symbols(image.elf) if s.name == "mbn_ld_stack_limit")


@pytest.mark.parametrize("name", MAINLINE)
def test_faults_survive_the_reset(unkind: Builder, name: str, tmp_path: Path) -> None:
    """A bad access, a write below the stack, an overflow: one after the other on one board."""
    board = find_board(name)
    image = unkind(board)
    with open_device(board, image, log_path=tmp_path / "serial.log") as device:
        first = device.health()
        assert first == Health(None, Start.POWER, "") and not first.story
        device.reset()
        assert device.health() == Health(None, Start.ASKED, "")
        stray = provoke(device, STRAY)
        assert stray.start is Start.FAULT
        assert "access where nothing is, at 0xe0300000" in stray.story
        assert registers(stray)["bfar"] == 0xE0300000
        assert 0 < registers(stray)["pc"] - _code(image) < image.code_bytes
        below = provoke(device, BELOW)
        # on MPS2 there is memory below, so only the MPU can tell
        assert f"access that the MPU forbids, at {limit(image) - 64:#010x}" in below.story
        deep = provoke(device, DEEP)
        assert deep.start is Start.FAULT
        assert "the MPU forbids" in deep.story or "over its limit" in deep.story
        device.reset()
        assert device.health() == Health(None, Start.ASKED, "")


def _code(image: Image) -> int:
    return next(s.address for s in sections(image.elf) if s.name == ".text")


@pytest.mark.parametrize("name", WATCHED)
def test_a_hang_ends(unkind: Builder, name: str, tmp_path: Path) -> None:
    board = find_board(name)
    image = unkind(board)
    with open_device(board, image, log_path=tmp_path / "serial.log") as device:
        found = provoke(device, HANG)
        assert found.start is Start.WATCHDOG and "hanging: NMI at pc" in found.story
        table = [s for s in symbols(image.elf) if s.is_function and s.name in ("conv", "unkind")]
        pc = registers(found)["pc"]
        assert any(s.address <= pc < s.address + s.size_bytes for s in table)


@pytest.mark.parametrize("name", ["nucleo_h743zi", "nrf52840dk", "rp2350_pico2", "ek_ra8m1"])
def test_parts_have_their_watchdog(build: Builder, name: str) -> None:
    """Their own functions, not the empty ones of start-up; nothing here can run them."""
    sizes = {s.name: s.size_bytes for s in symbols(build(find_board(name)).elf) if s.is_function}
    assert sizes["mbn_port_watchdog_start"] > 16 and sizes["mbn_port_watchdog_feed"] >= 8


def flipped(image: Image, section: str, folder: Path) -> Path:
    """A copy of the image with one bit of that section changed."""
    damaged = folder / f"damaged{section}.elf"
    data = bytearray(image.elf.read_bytes())
    part = next(one for one in sections(image.elf) if one.name == section)
    data[part.offset + part.size_bytes // 2] ^= 0x10
    damaged.write_bytes(data)
    return damaged


@pytest.mark.parametrize("name", ["qemu", "qemu-m0", "qemu-m55"])
def test_damaged_weights_are_refused(build: Builder, name: str, tmp_path: Path) -> None:
    board = find_board(name)
    damaged = flipped(build(board), ".weights", tmp_path)
    weights = next(one for one in sections(damaged) if one.name == ".weights")
    with open_device(board, damaged, log_path=tmp_path / "serial.log") as device:
        health = device.health()
        assert health is not None
        assert health.damaged == (weights.address, weights.size_bytes)
        with pytest.raises(
            RefusedError, match=r"refuses begin: its weights.*Flash the image again"
        ):
            device.run(tiny.images(1)[0])
        with pytest.raises(CheckError, match=r"CRC-32 of 312 bytes at 0x\w+ is wrong"):
            _tell_health(health, board, SILENT)


def test_damage_where_the_linker_put_them(tmp_path: Path) -> None:
    """Weights in two memories, hot code that is copied: each is checked where it is used."""
    itcm = replace(RAM, name="itcm", origin=0x20300000, size_bytes=0x10000, holds=("hot",))
    psram = replace(RAM, name="psram", origin=0x21000000, holds=("weights",))
    board = cut(replace(FLASH, size_bytes=150_000), psram, RAM, itcm)
    image = compile_job.compile_image(job(board, tmp_path), SILENT).image
    for section in (".weights", ".weights_psram", ".hot"):
        damaged = flipped(image, section, tmp_path)
        part = next(one for one in sections(damaged) if one.name == section)
        log = tmp_path / "serial.log"
        with open_device(board, damaged, log_path=log) as device:
            health = device.health()
        assert health is not None and health.damaged == (part.address, part.size_bytes)


def test_weights_in_fast_ram(tmp_path: Path) -> None:
    """Code and early weights are copied at start-up: the same bits, and checked where they lie."""
    board = with_fast_ram(find_board("qemu"), 64 * 1024)
    asked = job(board, tmp_path)
    made = compile_job.compile_image(asked, SILENT)
    assert made.image.fast_stages[:2] == (0, 1) and len(made.image.fast_stages) < 16
    assert 48 * 1024 < made.image.memory_bytes[FAST_RAM] <= 64 * 1024
    left = sum(one.size_bytes for one in sections(made.image.elf) if one.name == ".weights")
    assert 0 < left < made.image.weights_bytes == 243_672
    found = compile_job.check_image(made, SILENT, samples=1).check
    assert found is not None and found.exact_samples == found.samples == 1
    damaged = flipped(made.image, ".hot", tmp_path)
    with open_device(board, damaged, log_path=tmp_path / "serial.log") as device:
        health = device.health()
    assert health is not None and health.damaged is not None


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("qemu", 700, "a multiple of 1,024 below"),
        ("qemu", 1 << 30, "a multiple of 1,024 below"),
        ("nucleo_h743zi", 65536, "has fast memory already: itcm"),
    ],
)
def test_fast_ram_that_can_not_be(name: str, size: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        with_fast_ram(find_board(name), size)


def test_an_unsealed_image_refuses(build: Builder, tmp_path: Path) -> None:
    """Sealing fills the CRCs in and changes nothing else; without it nothing is inferred."""
    board = find_board("qemu")
    image = build(board)
    table = next(one for one in sections(image.elf) if one.name == SECTION)
    contents = Contents(image.elf)
    rows = list(struct.iter_unpack("<III", contents.read(table.address, table.size_bytes)))
    for address, size, crc in rows:
        assert crc == zlib.crc32(contents.read(address, size))
    data = bytearray(image.elf.read_bytes())
    for k in range(len(rows)):
        data[table.offset + 12 * k + 8 : table.offset + 12 * k + 12] = bytes(4)
    bare = tmp_path / "bare.elf"
    bare.write_bytes(data)
    with (
        open_device(board, bare, log_path=tmp_path / "serial.log") as device,
        pytest.raises(RefusedError, match="weights"),
    ):
        device.run(tiny.images(1)[0])
    seal(bare)
    assert bare.read_bytes() == image.elf.read_bytes()


def test_guard_inside_where_something_lies_below(tmp_path: Path) -> None:
    """A memory directly below the stack's: the guard takes the stack's own bytes."""
    below = replace(RAM, name="below", origin=0x20000000, size_bytes=0x1000, holds=())
    board = cut(FLASH, below, replace(RAM, origin=0x20001000))
    image = build_image(tiny.FOLDER, board, "check", tmp_path, defines={"TINY_UNKIND": "1"})
    assert limit(image) == 0x20001100
    with open_device(board, image, log_path=tmp_path / "serial.log") as device:
        assert "the MPU forbids, at 0x200010c0" in provoke(device, BELOW).story


def test_a_story_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    board = find_board("qemu")
    tell = ConsoleTeller(Console(width=200))
    _tell_health(Health(None, Start.WATCHDOG, "NMI at pc 0x10"), board, tell)
    _tell_health(Health(None, Start.POWER, ""), board, tell)
    assert capsys.readouterr().out == (
        "qemu had started anew by itself: its watchdog found it hanging: NMI at pc 0x10\n"
    )
