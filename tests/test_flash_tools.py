"""Flashing by the programs of boot loaders: what they are called with, and what is made of it.

What enters: stand-ins of the programs on the PATH. What leaves: nothing but failures. Always holds:
no program of the machine is called.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Builder
from mbn.core.boards import find_board
from mbn.core.errors import FlashError
from mbn.core.target import Board, Image
from mbn.harness.flash import flash, read_payload, tool
from mbn.harness.flash.find import Place, Port
from mbn.jobs.flash import choose_method, flasher_for, wanted_of

STAND_IN = """#!{python}
import json, sys
open({said!r}, "w").write(json.dumps(sys.argv[1:]))
print({words!r}, file=sys.stderr)
sys.exit({status})
"""


@pytest.fixture
def image(build: Builder) -> Image:
    return build(find_board("teensy41"))


@pytest.fixture
def stand_in(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the PATH, once the image is built; programs put there write their
    arguments to said.json."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, program: str, status: int = 0, words: str = "") -> Path:
    said = folder / "said.json"
    path = folder / program
    text = STAND_IN.format(python=sys.executable, said=str(said), words=words, status=status)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return said


def board_for(method: str) -> Board:
    """A board that is flashed so: ours, or one of ours with another boot loader."""
    board = find_board("teensy41")
    if method == "teensy":
        return board
    return replace(board, flash=replace(board.flash, methods=(method,), boot_usb=("2341:035b",)))


CALLS = {
    "teensy": ("teensy_loader_cli", ["--mcu=TEENSY41", "-w", "-v", "FILE.hex"]),
    "dfu": (
        "dfu-util",
        ["-d", "2341:035b", "-a", "0", "-s", "0x60000000:leave", "-D", "FILE.bin"],
    ),
    "bossac": ("bossac", ["--port=ttyACM7", "-U", "-i", "-e", "-w", "FILE.bin", "-R"]),
}


@pytest.mark.parametrize("method", CALLS)
def test_each_program_is_called_once_with_the_image(
    method: str, image: Image, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, (program, arguments) = board_for(method), CALLS[method]
    monkeypatch.setattr(tool, "ports", lambda: (Port("/dev/ttyACM7", "2341:035b", "", ""),))
    said = put(stand_in, program)
    wanted = replace(wanted_of(image), board=board)
    assert choose_method(board, Place(port="socket://x")) == method
    flasher = flasher_for(wanted, Place(port="socket://x"))
    assert flasher.port == "socket://x" and not flasher.reads_back
    payload = read_payload(wanted.hex, board)
    flash(flasher, payload, lambda *_: None, lambda _: None)
    files = {"FILE.hex": str(image.hex), "FILE.bin": str(image.bin)}
    assert json.loads(said.read_text()) == [files.get(one, one) for one in arguments]
    put(stand_in, program, status=3, words="no device")
    with pytest.raises(FlashError, match=rf"{program} ended with status 3: no device.*button"):
        flash(flasher, payload, lambda *_: None, lambda _: None)


def test_what_is_missing_is_said(image: Image, stand_in: Path) -> None:
    payload = read_payload(image.hex or Path(), image.board)
    flasher = tool.ToolFlasher(image.board, "teensy", image.hex or Path())
    with pytest.raises(FlashError, match=r"teensy_loader_cli is missing.*apt-get install"):
        flash(flasher, payload, lambda *_: None, lambda _: None)
    put(stand_in, "bossac")
    none = tool.ToolFlasher(board_for("bossac"), "bossac", image.hex or Path())
    with pytest.raises(FlashError, match=r"0 boot loaders.*2341:035b.*reset button twice"):
        flash(none, payload, lambda *_: None, lambda _: None)
