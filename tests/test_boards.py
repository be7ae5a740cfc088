"""Boards: found by looking, named in errors, built deterministically, refused when too small."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import tiny
from conftest import TINY, Builder
from families import PARTS
from mbn.cli import boards as boards_command
from mbn.core.board_file import load_board
from mbn.core.boards import boards, find_board
from mbn.core.elf import sections
from mbn.core.errors import BoardError, PlanError, ToolError, UsageError
from mbn.core.target import Board, data_root
from mbn.harness.device import check, open_device
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


def _edited(folder: Path, *pairs: tuple[str, str]) -> Path:
    """The folder's board.toml with some text replaced."""
    path = folder / "board.toml"
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_board_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written like one of ours, then with C of its own: a folder, a name by MBN_BOARDS, and an
    image without the folder's path."""
    monkeypatch.chdir(tmp_path)
    assert boards_command.main(["--new", "mine", "--like", "qemu", "--quiet"]) == 0
    mine = tmp_path / "mine"
    startup = data_root() / "boards" / "family_cortex_m"
    for name in ("startup.c", "cortex_m.h"):
        shutil.copyfile(startup / name, mine / name)
    _edited(mine, ("@boards/family_cortex_m/startup.c", "startup.c"), ("0x400000", "0x3F0000"))
    board = find_board("./mine")
    assert (board.name, board.asked, board.place) == ("mine", "./mine", Path("mine"))
    assert {memory.size_bytes for memory in board.memories} == {0x3F0000, 0x1000000}
    (shared, own) = board.sources
    assert shared == data_root() / "boards" / "family_mps2" / "board.c"
    assert own == mine.resolve() / "startup.c"
    image = build_image(TINY, board, "check", tmp_path / "out")
    assert str(tmp_path).encode() not in image.elf.read_bytes()
    images = tiny.images(2)
    with open_device(board, image, log_path=tmp_path / "serial.log") as device:
        assert check(device, images, tiny.outputs(images)).exact
    with pytest.raises(BoardError, match=r"--board \./mine"):
        find_board("mine")
    monkeypatch.setenv("MBN_BOARDS", f"{tmp_path}{os.pathsep}{tmp_path}")
    assert find_board("mine").asked == "mine"
    assert list(boards())[-1] == "mine"
    assert find_board("./mine") == find_board("mine")
    assert find_board(str(data_root() / "boards" / "qemu")) == find_board("qemu")
    assert boards_command.main(["--new", "other", "--like", "mine", "--quiet"]) == 0
    assert find_board("other").sources == board.sources


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clock_hz", "clock_mhz", "'clock_mhz'.*Did you mean clock_hz"),
        ("size_bytes =", "bytes =", "'bytes' in memory"),
        ('name = "mine"', 'name = "qemu"', "'qemu' is that of a packaged board"),
        ("aliases = []", 'aliases = ["stm32"]', "'stm32' is that of a packaged board"),
        ("@boards/family_mps2", "@boards/family_none", r"no file.*@boards/"),
        ("@boards/family_mps2", "@boards/../runtime", "leaves the package's boards"),
        ('"@boards/family_mps2/board.c"', '"loop.c"', r"loop\.c is no file|can't be read"),
        ("0x20000000", "0x00001000", "flash and ram overlap"),
        ('"code", "weights"', '"code", "wheels"', "'wheels'"),
        ('name = "psram"', 'name = "ram"', "two memories are called ram"),
        ("baud = 921600", "baud = 0", "baud is 0"),
        ('"25000000u"', '"1;2"', "MBN_CLOCK_HZ|MBN_FPGAIO_HZ"),
        (
            "[defines]",
            '[current]\nmilliamps = 5\nvolts = 3\nsource = ""\n[defines]',
            "and where it is published",
        ),
    ],
)
def test_a_bad_board_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert boards_command.main(["--new", "mine", "--like", "qemu", "--quiet"]) == 0
    (tmp_path / "mine" / "loop.c").symlink_to("loop.c")
    _edited(tmp_path / "mine", (old, new))
    with pytest.raises(BoardError, match=message) as caught:
        find_board("./mine")
    assert "mine/board.toml" in str(caught.value)


def test_folders_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BoardError, match=r"has no board\.toml.*mbn-boards --new"):
        find_board(f"{tmp_path}/empty")
    with pytest.raises(BoardError, match="is no folder"):
        find_board(f"{tmp_path}/none")
    monkeypatch.setenv("MBN_BOARDS", f"{tmp_path}/none")
    with pytest.raises(BoardError, match=r"MBN_BOARDS=.*none: is no folder"):
        boards()
    monkeypatch.setenv("MBN_BOARDS", str(data_root() / "boards" / "qemu"))
    with pytest.raises(BoardError, match="is a board's folder"):
        boards()
    monkeypatch.chdir(tmp_path)
    assert boards_command.main(["--new", "empty", "--like", "qemu"]) == 2


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
