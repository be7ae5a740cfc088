"""Boards of real parts: each builds the 0.25-96 network, and runs on its core with its memories.

What enters: the boards that nothing here emulates. What leaves: nothing but failures. Always holds:
a family's C is compiled with warnings as errors; what runs is a stand-in of the core with the
board's sizes of memory, since no emulator has the part's clocks and serial line.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import tiny
from conftest import TINY
from families import PARTS, stand_in
from mbn import fit, ir, lowering
from mbn.build import build_image
from mbn.build.boot import crc32_boot2
from mbn.build.uf2 import family_id
from mbn.device import check, open_device
from mbn.elf import Contents, symbols
from mbn.errors import PlanError
from mbn.predict import family_network
from mbn.target import METHODS, Board, Image, data_root, find_board, load_board


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The C of alpha 0.25 at 96x96, by kernel set."""

    @cache
    def get(kernel_set: str) -> Path:
        folder = tmp_path_factory.mktemp(kernel_set)
        network = family_network(0.25, 96, 2)
        lowering.generate(network, kernel_set, ir.InputMode.STREAM).files.write(folder)
        return folder

    return get


@pytest.mark.parametrize("name", PARTS)
def test_every_board_builds_the_network(
    name: str, generated: Callable[[str], Path], tmp_path: Path
) -> None:
    board = find_board(name)
    image = build_image(generated(board.core.kernels), board, "check", tmp_path)
    assert image.hex is not None and image.bin is not None
    assert image.weights_bytes > 200_000
    for memory in board.memories:
        assert image.memory_bytes[memory.name] <= memory.size_bytes
    if board.memories_for("hot"):
        assert image.memory_bytes[board.memories_for("hot")[0].name] > 10_000
    _starts(image, board)


def _starts(image: Image, board: Board) -> None:
    """The file begins with what the part's boot ROM reads."""
    code = board.memories_for("code")[0].origin
    contents = Contents(image.elf)
    table = code
    if name_at(image, "mbn_boot2") is not None:
        table += 256
        block = contents.read(code, 256)
        assert name_at(image, "mbn_boot2") == code
        assert struct.unpack("<I", block[252:])[0] == crc32_boot2(block[:252])
    if board.name == "rp2350_pico2":
        words = struct.unpack("<5I", contents.read(table + 64, 20))
        assert words == (0xFFFFDED3, 0x10210142, 0x1FF, 0, 0xAB123579)
    stack, reset = struct.unpack("<2I", contents.read(table, 8))
    data = board.memories_for("stack")[0]
    assert data.origin < stack <= data.origin + data.size_bytes
    assert reset == (name_at(image, "mbn_reset") or 0) | 1


def name_at(image: Image, name: str) -> int | None:
    return next((one.address for one in symbols(image.elf) if one.name == name), None)


@pytest.mark.parametrize("name", PARTS)
def test_every_boards_memories_hold_what_runs(name: str, tmp_path: Path) -> None:
    board = stand_in(find_board(name))
    image = build_image(TINY, board, "check", tmp_path)
    images = tiny.images(4)
    with open_device(board, image, log_path=tmp_path / "serial.log") as device:
        assert check(device, images, tiny.outputs(images), quiet=True).exact


def test_a_network_too_large_is_refused_with_its_table() -> None:
    board = find_board("nucleo_f446re")
    demand = fit.family_demand(1.0, 224, 1000, board.core.kernels, ir.InputMode.STREAM)
    with pytest.raises(PlanError, match=r"weights, code \(about\) +[\d,]+ +524,288  flash"):
        fit.refuse_if_too_large(demand, board, board.core.kernels, ir.InputMode.STREAM, 1000)


# A board of each family with other numbers: only board.toml says them
OTHERS = {
    "nucleo_f446re": {"MBN_PLL_N": "168u", "MBN_CORE_HZ": "168000000u", "MBN_TX_PIN": "9u"},
    "nucleo_h743zi": {"MBN_PLL_N": "200u", "MBN_CORE_HZ": "400000000u"},
    "nucleo_l4r5zi": {"MBN_PLL_N": "20u", "MBN_CORE_HZ": "80000000u"},
    "nucleo_u575zi_q": {"MBN_TX_PORT": "1u", "MBN_TX_PIN": "6u"},
    "nrf52840dk": {"MBN_TX_PIN": "20u"},
    "rp2040_pico": {"MBN_PLL_FBDIV": "125u", "MBN_CORE_HZ": "125000000u"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_board_of_a_known_family_is_only_a_table(name: str, tmp_path: Path) -> None:
    boards = data_root() / "boards"
    text = (boards / name / "board.toml").read_text(encoding="utf-8")
    for key, value in OTHERS[name].items():
        text, count = re.subn(rf'^{key} = ".*?"', f'{key} = "{value}"', text, flags=re.MULTILINE)
        assert count == 1, key
    text = text.replace(f'name = "{name}"', 'name = "mine"').replace('"../', f'"{boards}/')
    path = tmp_path / "mine" / "board.toml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    board = load_board(path)
    build_image(TINY, board, "check", tmp_path / "out")
    told = (tmp_path / "out" / "build-check" / "board.cmake").read_text(encoding="utf-8")
    for key, value in OTHERS[name].items():
        assert re.search(rf"[;\[]{key}={value}[;\]]", told), key


def test_boot2_checksum_is_the_boot_roms() -> None:
    assert crc32_boot2(b"123456789") == 0x0376E6E7  # CRC-32/MPEG-2's check value


def test_flash_tables_say_what_is_needed() -> None:
    for name in ("stm32f405", *PARTS):
        flash = find_board(name).flash
        assert set(flash.methods) <= set(METHODS) and flash.methods
        assert "swd" not in flash.methods or flash.target
        assert "uf2" not in flash.methods or (family_id(flash.uf2_family or "") and flash.drive)
        assert "copy" not in flash.methods or flash.drive
        for one in flash.usb:
            assert re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", one)
    assert find_board("qemu-m3").flash.methods == ("qemu",)


def test_cycles_by_systick_count_over_its_wraps(tmp_path: Path) -> None:
    """SysTick's 24 bits and the microseconds give the cycle count, whatever the phase."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    source = tmp_path / "cycles.c"
    header = data_root() / "boards" / "family_rp2" / "cycles.h"
    source.write_text(
        f'#include "{header}"\nuint32_t cycles(uint32_t low, uint32_t about);\n'
        "uint32_t cycles(uint32_t low, uint32_t about) { return mbn_rp2_cycles(low, about); }\n",
        encoding="ascii",
    )
    library = tmp_path / "cycles.so"
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-shared"]
    subprocess.run([*command, "-fPIC", str(source), "-o", str(library)], check=True)
    cycles = ctypes.CDLL(str(library)).cycles
    cycles.restype = ctypes.c_uint32
    for true in (0, 1, 132, 133, 1 << 23, (1 << 24) - 1, 1 << 24, 5_000_000_007, (1 << 32) - 1):
        microseconds = true // 133
        found = cycles(true & 0xFFFFFF, microseconds * 133 & 0xFFFFFFFF)
        assert found == true & 0xFFFFFFFF
