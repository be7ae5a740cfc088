"""Writes the folder of a user's own board, like one that there is.

What enters: a folder that there is not, and a board. What leaves: board.toml there, with comments,
which is read before this returns. Always holds: its C is the package's, named by @boards/; nothing
that was there is overwritten.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mbn.core.board_file import FILE, PACKAGED, is_name
from mbn.core.boards import boards, find_board, folder_of, spelled
from mbn.core.errors import BoardError, FileError, UsageError
from mbn.core.files import read_text
from mbn.core.target import METHODS, USES, Board, data_root

_SOURCES = re.compile(r"^sources\s*=\s*\[.*?\]", re.MULTILINE | re.DOTALL)
_TEXT = re.compile(r'"([^"]*)"')
# What is said above the first line that begins so
_COMMENTS = {
    "core =": "GCC's flags and the kernels: a row of CORES in mbn/core/target.py",
    "clock_hz =": "What the core runs at, in Hz; predicted times follow from it",
    "baud =": "Of the serial line, 8N1. What only is said here is told to the computer's side: the "
    "image's own rate is MBN_BAUD below",
    "sources =": "C files: relative to this folder, or behind @boards/ in the package's. One of "
    "your own replaces a family's where pins and clocks are not enough; it implements mbn/port.h",
    "[current]": "What the maker publishes that it draws running code from flash at this clock; "
    "leave it out where yours differs",
    "[flash]": "methods: of "
    + ", ".join(METHODS[:-1])  # qemu comes with an emulator
    + ", the preferred first; target: pyOCD's name of the part; drive: the label of the boot "
    "loader's or the probe's drive; usb: VID:PID of the probe or the serial adapter",
    "[defines]": "Macros for all C files of an image; the first comment of each C file says which "
    "it wants",
    "[[memory]]": "What a memory holds: "
    + ", ".join(USES)
    + '. "data" is state and arena, "arena" a second part of the arena, "hot" the network\'s code, '
    "copied there at start-up. The first that may hold a thing is preferred. A read of line_bytes "
    "takes wait_states more cycles",
    "[[emulator]]": "QEMU's name of the machine",
}
_WIDTH = 98


def new_board(folder: Path, like: Board) -> Board:
    """Makes the folder; its name is the board's. Raises UsageError for a folder that is there or a
    name that is taken, FileError where it can't be written."""
    name = folder.resolve().name
    if not is_name(name):
        raise UsageError(f"a board called {name!r}", wanted="letters, digits and _ . + -")
    if any(name in (one.name, *one.aliases) for one in boards().values()):
        raise UsageError(f"there is a board {name!r} already", wanted="another folder's name")
    if folder.exists():
        raise UsageError("is there already", wanted="a folder to make", node=str(folder))
    text = _text(name, folder, like)
    try:
        folder.mkdir(parents=True)
        (folder / FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(f"can't be written: {error.strerror}", node=str(folder)) from error
    return find_board(spelled(folder))


def _text(name: str, folder: Path, like: Board) -> str:
    """The other board's file with this name, no alias, and its sources found from here."""
    place = folder_of(like)
    text = read_text(place / FILE)
    match = _SOURCES.search(text)
    if match is None:
        raise BoardError("its sources are not a list", node=str(place / FILE))
    sources = [_TEXT.sub(lambda one: f'"{_from(folder, place, one[1])}"', match[0])]
    text = text[: match.start()] + sources[0] + text[match.end() :]
    head = [
        f"# A board of your own, as mbn-boards --new wrote it, like {like.name}. Used as",
        f"# --board {spelled(folder)} or, where MBN_BOARDS names the folder that it lies in, as",
        f"# --board {name}. Change what is different: pins, clocks, memories. {like.name} said:",
        "#",
    ]
    said: set[str] = set()
    lines: list[str] = []
    for line in text.splitlines():
        for begin, comment in _COMMENTS.items():
            if line.startswith(begin) and begin not in said:
                said.add(begin)
                above = _comment(comment)
                lines += [] if lines[-len(above) :] == above else above
        lines.append(_renamed(line, name, like))
    return "\n".join([*head, *lines, ""])


def _renamed(line: str, name: str, like: Board) -> str:
    if line == f'name = "{like.name}"':
        return f'name = "{name}"'
    if line.startswith("title = "):
        return f'title = "{name}, like {like.name}" # what people read'
    return "aliases = []" if line.startswith("aliases = ") else line


def _from(folder: Path, place: Path, source: str) -> str:
    """A source of the other board, as this folder's file names it."""
    if source.startswith(PACKAGED):
        return source
    path, packaged = (place / source).resolve(), (data_root() / "boards").resolve()
    if path.is_relative_to(packaged):
        return PACKAGED + path.relative_to(packaged).as_posix()
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def _comment(text: str) -> list[str]:
    lines = ["#"]
    for word in text.split():
        if len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append("#")
        lines[-1] += f" {word}"
    return lines
