"""Finds boards: the package's, and a user's own.

What enters: a name, an alias, or a folder with a board.toml, and the environment's MBN_BOARDS
(folders of boards, as PATH has them). What leaves: a `Board`. Always holds: no name means two
boards; what is not found raises a `BoardError` that lists similar names.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mbn.core.board_file import FILE, load_board
from mbn.core.errors import BoardError
from mbn.core.target import Board, data_root

VARIABLE = "MBN_BOARDS"


def boards(root: Path | None = None) -> dict[str, Board]:
    """All boards by name: the package's in order of name, then those of MBN_BOARDS. `root`: as
    `data_root()`. Raises `BoardError` for a name that two boards have."""
    known = _packaged(root)
    own = [replace(load_board(path / FILE, root), place=path) for path in _own_folders(_variable())]
    _names((*known.values(), *own))
    return {**known, **{board.name: board for board in own}}


def as_board(board: str | Board) -> Board:
    """A board, or the board with that name. Raises BoardError as `find_board` does."""
    return board if isinstance(board, Board) else find_board(board)


def find_board(name: str, root: Path | None = None) -> Board:
    """The board with that name or alias, or of that folder (which has a / in it, as ./mine). Raises
    `BoardError` with similar names and the list."""
    if os.sep in name or name in (os.curdir, os.pardir):
        return _of_folder(Path(name), root)
    names = _names(_packaged(root).values())
    if name in names:
        return names[name]
    names = _names(boards(root).values())
    if name in names:
        return names[name]
    if (Path(name) / FILE).is_file():
        raise BoardError(
            f"there is no board {name!r}", advice=f"The folder of that name is --board ./{name}"
        )
    if name == "all":
        raise BoardError(
            "--board all is not accepted here",
            wanted="one board",
            advice="mbn-compile takes it with --check or --plan-only; mbn-boards lists the boards",
        )
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    if near:
        raise BoardError(
            f"there is no board {name!r}",
            advice=f"Did you mean {' or '.join(near)}? mbn-boards lists them all",
        )
    raise BoardError(
        f"there is no board {name!r}",
        wanted="one of " + ", ".join(sorted(names)),
        advice="A board is a folder in boards/, or your own: mbn-boards --new ./mine --like BOARD",
    )


def folder_of(board: Board, root: Path | None = None) -> Path:
    """Where its board.toml lies."""
    return board.place or (root or data_root()) / "boards" / board.name


def _packaged(root: Path | None) -> dict[str, Board]:
    folder = (root or data_root()) / "boards"
    found = (load_board(path, root) for path in sorted(folder.glob(f"*/{FILE}")))
    return {board.name: board for board in found}


def _variable() -> list[Path]:
    """The folders that MBN_BOARDS names."""
    said = os.environ.get(VARIABLE, "")
    return [Path(one).expanduser() for one in said.split(os.pathsep) if one]


def _own_folders(places: Iterable[Path]) -> list[Path]:
    """The boards' folders in some folders of boards, each once."""
    found: dict[Path, Path] = {}
    for place in places:
        if not place.is_dir():
            raise BoardError("is no folder", wanted="folders of boards", node=f"{VARIABLE}={place}")
        if (place / FILE).is_file():
            raise BoardError(
                "is a board's folder",
                wanted=f"the folder that it lies in, {place.resolve().parent}",
                node=f"{VARIABLE}={place}",
            )
        for path in sorted(place.glob(f"*/{FILE}")):
            found.setdefault(path.resolve().parent, path.parent)
    return list(found.values())


def _names(known: Iterable[Board]) -> dict[str, Board]:
    """Every name and alias. Raises BoardError where two boards have one."""
    names: dict[str, Board] = {}
    for board in known:
        for name in (board.name, *board.aliases):
            other = names.setdefault(name, board)
            if other is not board:
                raise BoardError(
                    f"the name {name!r} is that of {_whose(other)} too",
                    wanted="a name and aliases that no other board has",
                    node=_whose(board),
                )
    return names


def _whose(board: Board) -> str:
    return "a packaged board" if board.place is None else str(board.place / FILE)


def spelled(folder: Path) -> str:
    """The folder as --board takes it."""
    text = str(folder)
    plain = os.sep not in text and text not in (os.curdir, os.pardir)
    return f"{os.curdir}{os.sep}{text}" if plain else text


def _of_folder(folder: Path, root: Path | None) -> Board:
    """A board by its folder: one that has a name already, or one that only this names."""
    if folder.name == FILE and folder.is_file():
        folder = folder.parent
    if not (folder / FILE).is_file():
        raise BoardError(
            f"has no {FILE}" if folder.is_dir() else "is no folder",
            wanted=f"a folder with a {FILE}",
            advice=f"mbn-boards --new {spelled(folder)} --like BOARD writes one",
            node=str(folder),
        )
    packaged, place = (root or data_root()) / "boards", folder.resolve()
    if place.parent == packaged.resolve():
        return load_board(place / FILE, root)
    board = replace(load_board(folder / FILE, root), place=folder, said=spelled(folder))
    if place in {one.resolve() for one in _own_folders(_variable())}:
        return boards(root)[board.name]
    _names((*_packaged(root).values(), board))
    return board
