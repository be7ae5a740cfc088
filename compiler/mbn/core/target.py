"""Cores and boards: what a network can be compiled for.

A board is a folder with a board.toml, found by its name. An unknown name raises a `BoardError`
that lists similar ones.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbn.core.errors import BoardError, FileError
from mbn.core.files import read_text
from mbn.core.kernel_set import DSP, M7, MVE, SCALAR, KernelSet

MOST_TOML_BYTES = 1 << 20
STACK_BYTES = 4096  # reserved unless board.toml says stack_bytes
FIRMWARE_BYTES = 6 * 1024  # static RAM of the check firmware besides the arena, as measured
GUARD_BYTES = 64  # guard words and alignment beside a part of the arena


@dataclass(frozen=True)
class Limits:
    """What no kernel exceeds on a core: multiply-accumulates a cycle, bytes loaded a cycle, and
    whether loads are issued beside multiplies."""

    macs_per_cycle: float
    load_bytes: int
    loads_beside: bool


# M0+ and M3: MUL and ADD, or MLA in two cycles, a 32-bit bus
_MUL = Limits(0.5, 4, False)
# M4, M33 (DDI 0439): one SMLAD of two products, one instruction a cycle
_SMLAD = Limits(2.0, 4, False)
# M7: the same beside a load; AXI and TCM are 64 bits wide (DDI 0489, 1.3)
_SMLAD_DUAL = Limits(2.0, 8, True)
# M55: VMLADAV of 16 products in two beats, which overlap with loads of 64 bits (101051, A2)
_VMLADAV = Limits(8.0, 8, True)


@dataclass(frozen=True)
class Core:
    """A processor core: GCC's flags for it, the kernels that it runs, its limits."""

    name: str
    gcc_flags: tuple[str, ...]
    kernels: KernelSet
    limits: Limits | None = None  # None: no limit is known here

    @property
    def native(self) -> bool:
        """Whether it is this computer, not a cross-compiled core."""
        return not self.gcc_flags


# GCC 12 knows no Cortex-M85, whose instructions include the M55's
_CPUS = {"cortex-m4f": "cortex-m4", "cortex-m85": "cortex-m55"}


def _core(name: str, kernels: KernelSet, limits: Limits | None, *float_flags: str) -> Core:
    cpu = _CPUS.get(name, name)
    flags = (f"-mcpu={cpu}", "-mthumb", *(float_flags or ("-mfloat-abi=soft",)))
    return Core(name, flags, kernels, limits)


CORES: Mapping[str, Core] = {
    core.name: core
    for core in (
        Core("host", (), SCALAR),
        _core("cortex-m0plus", SCALAR, _MUL),
        _core("cortex-m3", SCALAR, _MUL),
        _core("cortex-m4f", DSP, _SMLAD, "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
        _core("cortex-m7", M7, _SMLAD_DUAL, "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        _core("cortex-m33", DSP, _SMLAD, "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        _core("cortex-m55", MVE, _VMLADAV, "-mfpu=auto", "-mfloat-abi=hard"),
        _core("cortex-m85", MVE, None, "-mfpu=auto", "-mfloat-abi=hard"),
    )
}


@dataclass(frozen=True)
class Memory:
    """A range of addresses and what it may hold: "code", "weights", "data", "stack", "arena" (a
    second part of the arena), "hot" (code copied there at start-up)."""

    name: str
    origin: int
    size_bytes: int
    holds: tuple[str, ...]
    wait_states: int = 0  # of a read
    line_bytes: int = 4  # that one read delivers
    emulated: bool = True  # whether the board's emulator has it


@dataclass(frozen=True)
class Emulator:
    """How QEMU emulates the board: the machine, and the largest image that it holds."""

    machine: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flashing:
    """How the board is flashed. Empty or None: unknown, or does not apply."""

    methods: tuple[str, ...] = ()  # of METHODS, the preferred one first
    target: str | None = None  # pyOCD's name of the part
    uf2_family: str | None = None  # a name or number of the UF2 family
    drive: str | None = None  # the Board-ID in INFO_UF2.TXT, or the label of the probe's drive
    usb: tuple[str, ...] = ()  # "VID:PID" in hex, of the probe or the serial adapter on the board
    rom_id: int | None = None  # what an STM32's ROM bootloader says that it is (AN2606)
    sectors: tuple[int, ...] = ()  # bytes of each of the flash, in order: what it erases


METHODS = ("swd", "uart", "uf2", "copy", "qemu")


@dataclass(frozen=True)
class Board:
    """A board folder, read. `sources` are C files, `defines` go to the compiler."""

    name: str
    title: str
    aliases: tuple[str, ...]
    core: Core
    clock_hz: int  # 0: unknown (the host)
    tested: str  # "emulated", "native", "untested on hardware", ...
    baud: int
    stack_bytes: int
    memories: tuple[Memory, ...]  # empty: no limits (the host)
    emulator: Emulator | None
    sources: tuple[Path, ...]
    defines: Mapping[str, str]
    flash: Flashing = Flashing()

    @property
    def native(self) -> bool:
        return self.core.native

    def memories_for(self, use: str) -> tuple[Memory, ...]:
        """Memories that may hold `use`, the preferred one first."""
        return tuple(memory for memory in self.memories if use in memory.holds)

    def arena_memories(self) -> tuple[int, ...]:
        """Bytes that each of the one or two memories for the arena leaves to it; empty: no limit.
        The first also holds the firmware's own data, and the stack where that has no other."""
        data, stack = self.memories_for("data"), self.memories_for("stack")
        if not data:
            return ()
        own = FIRMWARE_BYTES + (self.stack_bytes if stack[:1] == data[:1] else 0)
        far = [memory.size_bytes - GUARD_BYTES for memory in self.memories_for("arena")]
        return (data[0].size_bytes - own, *far[:1])


@dataclass(frozen=True)
class Image:
    """A built program and its sizes in bytes. The flash is weights and code together.

    `memory_bytes`: how much of each of the board's memories is used, stack included; empty on the
    host.
    """

    board: Board
    app: str
    build_id: str  # 16 hex digits: of the generated C, board, app and flags
    elf: Path
    hex: Path | None
    bin: Path | None  # None where the image lies in several memories, or on the host
    flash_bytes: int
    code_bytes: int
    weights_bytes: int
    static_ram_bytes: int  # without the stack
    stack_bytes: int  # reserved; 0 on the host
    memory_bytes: Mapping[str, int]


def data_root() -> Path:
    """The folder of runtime/, boards/, firmware/, cmake/ and CMakeLists.txt: in an installed
    package its own copy, else the repository."""
    here = Path(__file__).resolve()
    candidates = (here.parents[1] / "_data", here.parents[3])
    for folder in candidates:
        if (folder / "boards").is_dir() and (folder / "runtime").is_dir():
            return folder
    raise BoardError(
        "the board folders are missing from this installation",
        wanted=" or ".join(str(folder / "boards") for folder in candidates),
        advice="Install mbn-edge again",
    )


def load_board(path: Path) -> Board:
    """Reads a board.toml. Raises `BoardError` that says which key is missing or wrong."""
    try:
        table = tomllib.loads(read_text(path, MOST_TOML_BYTES))
        return _board(table, path.parent)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BoardError(f"can't be read: {error}", node=str(path)) from error
    except FileError as error:
        raise BoardError(error.found, wanted=error.wanted, node=str(path)) from error
    except KeyError as error:
        raise BoardError(f"the key {error} is missing or unknown", node=str(path)) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BoardError(f"a value has the wrong type: {error}", node=str(path)) from error


def _board(table: Mapping[str, Any], folder: Path) -> Board:
    emulator = table.get("emulator")
    return Board(
        name=str(table["name"]),
        title=str(table["title"]),
        aliases=tuple(str(alias) for alias in table.get("aliases", ())),
        core=CORES[table["core"]],
        clock_hz=int(table["clock_hz"]),
        tested=str(table["tested"]),
        baud=int(table["baud"]),
        stack_bytes=int(table.get("stack_bytes", STACK_BYTES)),
        memories=tuple(_memory(entry) for entry in table.get("memory", ())),
        emulator=None
        if emulator is None
        else Emulator(
            machine=str(emulator["machine"]),
            arguments=tuple(str(argument) for argument in emulator.get("arguments", ())),
        ),
        sources=tuple((folder / source).resolve() for source in table["sources"]),
        defines={str(key): str(value) for key, value in table.get("defines", {}).items()},
        flash=_flashing(table.get("flash", {}), emulated=emulator is not None),
    )


def _flashing(entry: Mapping[str, Any], *, emulated: bool) -> Flashing:
    methods = [str(method) for method in entry.get("methods", ())]
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"flash.methods has {method!r}, wanted: {', '.join(METHODS)}")

    def text(key: str) -> str | None:
        return None if key not in entry else str(entry[key])

    return Flashing(
        methods=(*methods, *(("qemu",) if emulated and "qemu" not in methods else ())),
        target=text("target"),
        uf2_family=text("uf2_family"),
        drive=text("drive"),
        usb=tuple(str(one).lower() for one in entry.get("usb", ())),
        rom_id=None if "rom_id" not in entry else int(entry["rom_id"]),
        sectors=tuple(
            int(size) for count, size in entry.get("sectors", ()) for _ in range(int(count))
        ),
    )


def _memory(entry: Mapping[str, Any]) -> Memory:
    return Memory(
        name=str(entry["name"]),
        origin=int(entry["origin"]),
        size_bytes=int(entry["size_bytes"]),
        holds=tuple(str(use) for use in entry["holds"]),
        wait_states=int(entry.get("wait_states", 0)),
        line_bytes=int(entry.get("line_bytes", 4)),
        emulated=bool(entry.get("emulated", True)),
    )


def boards(root: Path | None = None) -> dict[str, Board]:
    """All boards by name, in order of name. `root`: as `data_root()`."""
    folder = (root or data_root()) / "boards"
    found = (load_board(path) for path in sorted(folder.glob("*/board.toml")))
    return {board.name: board for board in found}


def as_board(board: str | Board) -> Board:
    """A board, or the board with that name. Raises BoardError as `find_board` does."""
    return board if isinstance(board, Board) else find_board(board)


def find_board(name: str, root: Path | None = None) -> Board:
    """The board with that name or alias. Raises `BoardError` with similar names and the list."""
    known = boards(root)
    names = {alias: board for board in known.values() for alias in (board.name, *board.aliases)}
    if name in names:
        return names[name]
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    if name == "all":
        raise BoardError(
            "--board all is not accepted here", wanted="one board", advice="mbn-boards lists them"
        )
    if near:
        raise BoardError(
            f"there is no board {name!r}",
            advice=f"Did you mean {' or '.join(near)}? mbn-boards lists them all",
        )
    raise BoardError(
        f"there is no board {name!r}",
        wanted="one of " + ", ".join(sorted(names)),
        advice="A board is a folder in boards/",
    )
