"""Cores and boards: what a network can be compiled for, as values.

What enters: nothing; `core/boards.py` reads boards from their folders. What leaves: cores, boards,
images. Always holds: a value is frozen, and what it says of memory is in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mbn.core.errors import BoardError, UsageError
from mbn.core.kernel_set import DSP, M7, MVE, SCALAR, KernelSet

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


def core_title(core: str) -> str:
    """A core's name as Arm writes it: Cortex-M0+ of cortex-m0plus."""
    family, _, kind = core.replace("plus", "+").partition("-")
    return f"{family.capitalize()}-{kind.upper()}" if kind else core


FAST_RAM, FAST_RAM_STEP = "ram_fast", 1024  # a part of the data RAM, and its granularity


@dataclass(frozen=True)
class Memory:
    """A range of addresses and what it may hold: "code", "weights", "data", "stack", "arena" (a
    second part of the arena), "hot" (code copied there at start-up, and weights as far as there is
    room)."""

    name: str
    origin: int
    size_bytes: int
    holds: tuple[str, ...]
    wait_states: int = 0  # of a read
    line_bytes: int = 4  # that one read delivers
    emulated: bool = True  # whether the board's emulator has it


QEMU, RP2040PY = EMULATORS = ("qemu", "rp2040py")


@dataclass(frozen=True)
class Emulator:
    """What emulates the board: of EMULATORS, and that one's name of the machine."""

    machine: str
    arguments: tuple[str, ...] = ()
    kind: str = QEMU


@dataclass(frozen=True)
class Flashing:
    """How the board is flashed. Empty or None: unknown, or does not apply."""

    methods: tuple[str, ...] = ()  # of METHODS, the preferred one first
    target: str | None = None  # pyOCD's name of the part; of `teensy` the loader's
    uf2_family: str | None = None  # a name or number of the UF2 family
    drive: str | None = None  # the Board-ID in INFO_UF2.TXT, or the label of the probe's drive
    usb: tuple[str, ...] = ()  # "VID:PID" in hex, of the probe or the serial adapter on the board
    boot_usb: tuple[str, ...] = ()  # of the boot loader, for `dfu` and `bossac`
    rom_id: int | None = None  # what an STM32's ROM bootloader says that it is (AN2606)
    sectors: tuple[int, ...] = ()  # bytes of each of the flash, in order: what it erases


@dataclass(frozen=True)
class Current:
    """What the part, or the whole board, draws while it runs code from flash at the board's clock,
    as its maker publishes it."""

    milliamps: float
    volts: float
    source: str  # the document and its section or table, and the conditions

    def millijoules(self, milliseconds: float) -> float:
        """Energy of so long at this current."""
        return self.milliamps * self.volts * milliseconds / 1000


USES = ("code", "weights", "data", "stack", "arena", "hot")  # what a memory may hold
METHODS = ("swd", "uart", "uf2", "copy", "teensy", "dfu", "bossac", "qemu")


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
    emulator: Emulator | None  # what runs it where none is asked for
    sources: tuple[Path, ...]
    defines: Mapping[str, str]
    flash: Flashing = Flashing()
    slower: tuple[Emulator, ...] = ()  # emulators that only run it where they are asked for
    fqbn: str | None = None  # what the Arduino tools call it
    current: Current | None = None  # None: no published figure is known here
    place: Path | None = None  # the folder of a user's own board; None: it comes with the package
    said: str | None = None  # that folder as --board named it, where no name finds it

    @property
    def asked(self) -> str:
        """What --board takes."""
        return self.said or self.name

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


def with_fast_ram(board: Board, size_bytes: int) -> Board:
    """The board with the last bytes of its data RAM set apart for code and weights, which start-up
    copies there: RAM has no wait states. Raises `UsageError` where there is not so much."""
    data = next(iter(board.memories_for("data")), None)
    taken = 0 if data is None else data.size_bytes - board.stack_bytes - FIRMWARE_BYTES
    if data is None or not 0 < size_bytes < taken or size_bytes % FAST_RAM_STEP:
        raise UsageError(
            f"{size_bytes:,} bytes of fast RAM",
            wanted=f"a multiple of {FAST_RAM_STEP:,} below {max(taken, 0):,}, the RAM of "
            f"{board.name} less stack and firmware",
            node="--fast-ram",
        )
    if board.memories_for("hot"):
        raise UsageError(
            f"{board.name} has fast memory already: {board.memories_for('hot')[0].name}",
            node="--fast-ram",
            advice="leave --fast-ram out",
        )
    less = replace(data, size_bytes=data.size_bytes - size_bytes)
    fast = Memory(FAST_RAM, data.origin + less.size_bytes, size_bytes, ("hot",))
    at = board.memories.index(data)
    memories = (*board.memories[:at], less, fast, *board.memories[at + 1 :])
    return replace(board, memories=memories)


@dataclass(frozen=True)
class Image:
    """A built program and its sizes in bytes. The flash is weights and code together.

    `fast_stages`: those whose weights lie in the board's fast memory (`hot`).
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
    fast_stages: tuple[int, ...] = ()


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
