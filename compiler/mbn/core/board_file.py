"""Reads a board.toml.

What enters: a file of a board's folder. What leaves: a `Board`. Always holds: each key is known and
each source exists; a path that begins with @boards/ lies below the package's folder of boards. What
is wrong raises a `BoardError` that names the file and the key.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from mbn.core.errors import BoardError, FileError
from mbn.core.files import read_text
from mbn.core.target import (
    CORES,
    EMULATORS,
    METHODS,
    QEMU,
    STACK_BYTES,
    USES,
    Board,
    Current,
    Emulator,
    Flashing,
    Memory,
    data_root,
)

FILE = "board.toml"
PACKAGED = "@boards/"  # what a path into the package's folder of boards begins with
MOST_TOML_BYTES = 1 << 20
MOST_ADDRESS = 1 << 32
MOST_MILLIAMPS, MOST_VOLTS = 10_000, 48
KEYS: Mapping[str, tuple[str, ...]] = {
    "": (
        *("name", "title", "aliases", "core", "clock_hz", "tested", "baud", "stack_bytes"),
        *("sources", "defines", "memory", "emulator", "flash", "fqbn", "current"),
    ),
    "memory": ("name", "origin", "size_bytes", "holds", "wait_states", "line_bytes", "emulated"),
    "emulator": ("machine", "arguments", "kind"),
    "current": ("milliamps", "volts", "source"),
    "flash": ("methods", "target", "uf2_family", "drive", "usb", "boot_usb", "rom_id", "sectors"),
}
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")  # it names a folder, and stands in C and on terminals
_WORD = re.compile(r"[A-Za-z_]\w*")  # a macro; a memory, in the linker script
_FQBN = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+(:[\w.,=-]+)?")
_NO_VALUE = re.compile(r"[;\r\n]|\]==\]")  # what CMake would not take as one


def load_board(path: Path, root: Path | None = None) -> Board:
    """The board of a board.toml. `root`: as `data_root()`. Raises `BoardError` that says which key
    is missing or wrong."""
    try:
        table = tomllib.loads(read_text(path, MOST_TOML_BYTES))
        return _board(table, path.parent, (root or data_root()) / "boards")
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BoardError(f"can't be read: {error}", node=str(path)) from error
    except FileError as error:
        raise BoardError(error.found, wanted=error.wanted, node=str(path)) from error
    except BoardError as error:
        raise BoardError(
            error.found, wanted=error.wanted, advice=error.advice, node=str(path)
        ) from error
    except KeyError as error:
        raise BoardError(f"the key {error} is missing or unknown", node=str(path)) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BoardError(f"a value has the wrong type: {error}", node=str(path)) from error


def is_name(text: str) -> bool:
    """Whether a board may be called so."""
    return _NAME.fullmatch(text) is not None


def _known(table: Mapping[str, Any], where: str) -> None:
    """Raises BoardError for a key that would be ignored."""
    for key in table:
        if key not in KEYS[where]:
            near = difflib.get_close_matches(key, KEYS[where], n=1)
            raise BoardError(
                f"the key {key!r}{f' in {where}' if where else ''} is unknown",
                wanted="one of " + ", ".join(KEYS[where]),
                advice=f"Did you mean {near[0]}?" if near else None,
            )


def _board(table: Mapping[str, Any], folder: Path, packaged: Path) -> Board:
    _known(table, "")
    emulators = [_emulator(entry) for entry in table.get("emulator", ())]
    quick = next((one for one in emulators if one.kind == QEMU), None)
    defines = {str(key): str(value) for key, value in table.get("defines", {}).items()}
    for key, value in defines.items():
        if not _WORD.fullmatch(key) or _NO_VALUE.search(value):
            raise BoardError(f"the macro {key!r} = {value!r} in defines", wanted="a C macro")
    names = [str(table["name"]), *(str(alias) for alias in table.get("aliases", ()))]
    for name in names:
        if not is_name(name):
            raise BoardError(f"the name {name!r}", wanted="letters, digits and _ . + -")
    return Board(
        name=names[0],
        title=str(table["title"]),
        aliases=tuple(names[1:]),
        core=CORES[_one_of(str(table["core"]), CORES, "core")],
        clock_hz=_number(table, "clock_hz", 0),
        tested=str(table["tested"]),
        baud=_number(table, "baud", 1),
        stack_bytes=_number({"stack_bytes": STACK_BYTES, **table}, "stack_bytes", 1),
        memories=_memories(table.get("memory", ())),
        emulator=quick,
        sources=tuple(_source(str(one), folder, packaged) for one in table["sources"]),
        defines=defines,
        fqbn=None if "fqbn" not in table else _fqbn(str(table["fqbn"])),
        current=None if "current" not in table else _current(table["current"]),
        flash=_flashing(table.get("flash", {}), emulated=quick is not None),
        slower=tuple(one for one in emulators if one is not quick),
    )


def _current(entry: Mapping[str, Any]) -> Current:
    """Of a published figure, whose source is named."""
    _known(entry, "current")
    made = Current(float(entry["milliamps"]), float(entry["volts"]), str(entry["source"]))
    if not (0 < made.milliamps < MOST_MILLIAMPS and 0 < made.volts <= MOST_VOLTS and made.source):
        raise BoardError(
            f"a current of {made.milliamps:g} mA at {made.volts:g} V, source {made.source!r}",
            wanted=f"below {MOST_MILLIAMPS} mA, up to {MOST_VOLTS} V, and where it is published",
        )
    return made


def _fqbn(value: str) -> str:
    """PACKAGER:ARCHITECTURE:BOARD, and perhaps options."""
    if not _FQBN.fullmatch(value):
        raise BoardError(f"fqbn is {value!r}", wanted="as arduino:mbed_nano:nano33ble")
    return value


def _one_of(value: str, known: Collection[str], key: str) -> str:
    if value not in known:
        raise BoardError(f"{key} has {value!r}", wanted="one of " + ", ".join(known))
    return value


def _number(table: Mapping[str, Any], key: str, least: int) -> int:
    value = int(table[key])
    if not least <= value <= MOST_ADDRESS:
        raise BoardError(f"{key} is {value:,}", wanted=f"{least} to {MOST_ADDRESS:,}")
    return value


def _source(said: str, folder: Path, packaged: Path) -> Path:
    """A C file, relative to the board's folder, or to the package's boards by @boards/."""
    root = packaged.resolve()
    shared = said.startswith(PACKAGED)
    path = root / said.removeprefix(PACKAGED) if shared else folder / said
    try:
        path = path.resolve()
    except RuntimeError as error:  # of links (until Python 3.12)
        raise BoardError(f"the source {said} can't be read: {error}") from error
    if shared and not path.is_relative_to(root):
        raise BoardError(f"the source {said} leaves the package's boards", wanted=str(root))
    if not path.is_file():
        raise BoardError(
            f"the source {said} is no file: {path}",
            advice=f"{PACKAGED} in front names the package's folder of boards, {packaged}",
        )
    return path


def _emulator(entry: Mapping[str, Any]) -> Emulator:
    _known(entry, "emulator")
    return Emulator(
        machine=str(entry["machine"]),
        arguments=tuple(str(argument) for argument in entry.get("arguments", ())),
        kind=_one_of(str(entry.get("kind", QEMU)), EMULATORS, "emulator.kind"),
    )


def _flashing(entry: Mapping[str, Any], *, emulated: bool) -> Flashing:
    _known(entry, "flash")
    methods = [_one_of(str(one), METHODS, "flash.methods") for one in entry.get("methods", ())]

    def text(key: str) -> str | None:
        return None if key not in entry else str(entry[key])

    return Flashing(
        methods=(*methods, *(("qemu",) if emulated and "qemu" not in methods else ())),
        target=text("target"),
        uf2_family=text("uf2_family"),
        drive=text("drive"),
        usb=tuple(str(one).lower() for one in entry.get("usb", ())),
        boot_usb=tuple(str(one).lower() for one in entry.get("boot_usb", ())),
        rom_id=None if "rom_id" not in entry else int(entry["rom_id"]),
        sectors=tuple(
            int(size) for count, size in entry.get("sectors", ()) for _ in range(int(count))
        ),
    )


def _memories(entries: Collection[Mapping[str, Any]]) -> tuple[Memory, ...]:
    found = tuple(_memory(entry) for entry in entries)
    in_order = sorted(found, key=lambda memory: memory.origin)
    for one, following in pairwise(in_order):
        if one.origin + one.size_bytes > following.origin:
            raise BoardError(
                f"the memories {one.name} and {following.name} overlap",
                wanted=f"{one.name} to end at {following.origin:#010x}",
            )
    for one in found:
        if sum(one.name == other.name for other in found) > 1:
            raise BoardError(f"two memories are called {one.name}", wanted="a name for each")
    return found


def _memory(entry: Mapping[str, Any]) -> Memory:
    _known(entry, "memory")
    name = str(entry["name"])
    if not _WORD.fullmatch(name):
        raise BoardError(f"the memory's name {name!r}", wanted="letters, digits and _")
    return Memory(
        name=name,
        origin=_number(entry, "origin", 0),
        size_bytes=_number(entry, "size_bytes", 1),
        holds=tuple(_one_of(str(use), USES, f"{name}.holds") for use in entry["holds"]),
        wait_states=_number({"wait_states": 0, **entry}, "wait_states", 0),
        line_bytes=_number({"line_bytes": 4, **entry}, "line_bytes", 1),
        emulated=bool(entry.get("emulated", True)),
    )
