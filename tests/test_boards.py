"""Boards: found by looking, named in errors, built deterministically, refused when too small."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import TINY, Builder
from families import PARTS
from mbn.core.elf import sections
from mbn.core.errors import BoardError, PlanError, ToolError, UsageError
from mbn.core.target import Board, boards, find_board, load_board
from mbn.harness.host.emulator import qemu_command
from mbn.image.build import build_image

CORTEX = ["qemu", "qemu-m0", "qemu-m3", "qemu-m7", "qemu-m33", "qemu-m55", "stm32f405"]


def test_all_boards_are_found() -> None:
    assert set(boards()) == {"host", *CORTEX, *PARTS}
    assert find_board("qemu-m4").name == "qemu"
    assert find_board("stm32").name == "stm32f405"


def test_unknown_board_lists_near_names() -> None:
    with pytest.raises(BoardError, match=r"qemu-m8.*Did you mean.*qemu-m"):
        find_board("qemu-m8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "can't be read"),
        ('name = "x"', "title"),
        (
            'name = "x"\ntitle = "x"\ncore = "cortex-a9"\nclock_hz = 1\ntested = ""\nbaud = 1\n'
            "sources = []\n",
            "cortex-a9",
        ),
    ],
)
def test_bad_board_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "board.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BoardError, match=message):
        load_board(path)


@pytest.mark.parametrize("name", CORTEX)
def test_every_board_builds(build: Builder, name: str) -> None:
    board = find_board(name)
    image = build(board)
    assert image.hex is not None and image.hex.is_file()
    assert image.flash_bytes == image.code_bytes + image.weights_bytes
    assert image.weights_bytes == 312  # 306 of weights, aligned
    assert image.stack_bytes == board.stack_bytes
    for memory in board.memories:
        assert 0 <= image.memory_bytes[memory.name] <= memory.size_bytes


def test_build_has_no_paths_and_repeats(tmp_path: Path) -> None:
    board = find_board("qemu")
    images = []
    for name in ("one", "another/deeper"):
        generated = tmp_path / name / "generated"
        shutil.copytree(TINY, generated)
        images.append(build_image(generated, board, "check", tmp_path / name / "out"))
    first, second = (image.elf.read_bytes() for image in images)
    assert first == second
    assert images[0].build_id == images[1].build_id
    assert str(tmp_path).encode() not in first
    assert str(Path(__file__).parents[1]).encode() not in first


def test_build_id_follows_the_source(tmp_path: Path, build: Builder) -> None:
    board = find_board("qemu")
    generated = tmp_path / "generated"
    shutil.copytree(TINY, generated)
    weights = generated / "weights.c"
    text = weights.read_text(encoding="utf-8")
    weights.write_text(re.sub(r"340", "341", text, count=1), encoding="utf-8")
    changed = build_image(generated, board, "check", tmp_path / "out")
    assert changed.build_id != build(board).build_id


def _shrunk(board: Board, name: str, size_bytes: int) -> Board:
    memories = tuple(
        dataclasses.replace(memory, size_bytes=size_bytes) if memory.name == name else memory
        for memory in board.memories
    )
    return dataclasses.replace(board, memories=memories)


def test_full_memory_is_refused_in_bytes(tmp_path: Path) -> None:
    small = _shrunk(find_board("stm32f405"), "ram", 6000)
    with pytest.raises(PlanError, match=r"ram +[\d,]+ +6,000 +data"):
        build_image(TINY, small, "check", tmp_path)


def test_weights_move_to_the_next_memory(tmp_path: Path, build: Builder) -> None:
    board = find_board("qemu")
    code_bytes = build(board).code_bytes
    image = build_image(TINY, _shrunk(board, "flash", code_bytes + 32), "check", tmp_path)
    assert image.memory_bytes["psram"] == 312
    assert image.bin is None
    weights = next(section for section in sections(image.elf) if section.name == ".weights")
    assert weights.address == 0x21000000


def test_data_moves_to_the_next_memory(tmp_path: Path) -> None:
    small = _shrunk(find_board("qemu-m55"), "dtcm", 5000)
    image = build_image(TINY, small, "check", tmp_path)
    assert image.memory_bytes["dtcm"] == image.stack_bytes
    assert image.memory_bytes["sram"] == image.static_ram_bytes


def test_unknown_app_and_missing_c(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bench, check"):
        build_image(TINY, find_board("qemu"), "nothing", tmp_path)
    with pytest.raises(UsageError, match=r"network\.h"):
        build_image(tmp_path, find_board("qemu"), "check", tmp_path)


def test_missing_tools_name_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="apt-get install cmake"):
        build_image(TINY, find_board("qemu"), "check", tmp_path)
    with pytest.raises(ToolError, match="apt-get install qemu-system-arm"):
        qemu_command(find_board("qemu"), tmp_path / "x.elf")


@pytest.mark.parametrize("name", ["host", *(n for n in CORTEX if find_board(n).emulator)])
@pytest.mark.parametrize("runs", ["1", "2"])
def test_bench_runs_and_ends(build: Builder, name: str, runs: str) -> None:
    board = find_board(name)
    image = build(board, "bench", MBN_BENCH_RUNS=runs)
    semihosting = ("-semihosting-config", "enable=on,target=native", "-serial", "none")
    command = [str(image.elf)] if board.native else qemu_command(board, image.elf, *semihosting)
    assert subprocess.run(command, timeout=120, check=False).returncode == 0
