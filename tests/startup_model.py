"""A part's start-up in Unicorn, with just enough of its registers to be believed.

What enters: an image of a board, which registers report readiness and how. What leaves: what
start-up wrote to peripherals until the app first reads its serial line. Always holds: a register
reads as it was written, but for those of the model; instructions are bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import unicorn
from unicorn import arm_const

from mbn.core.elf import symbols
from mbn.core.target import Image

Ready = Callable[[int], int]  # what was written -> what is read

CPUS = {
    "cortex-m0plus": arm_const.UC_CPU_ARM_CORTEX_M0,
    "cortex-m4f": arm_const.UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": arm_const.UC_CPU_ARM_CORTEX_M7,
    "cortex-m33": arm_const.UC_CPU_ARM_CORTEX_M33,
}
_PERIPHERALS = (0x40000000, 0x5FFFFFFF)
_SYSTEM = 0xE0000000
_RAMS = (0x20000000, 0x20200000, 0x22000000, 0x24000000)
_BYTES, _PAGE = 0x200000, 0x100000
_INSTRUCTIONS = 400_000_000


@dataclass(frozen=True)
class Started:
    """`registers`: the last word written to each; `word(name)` reads a variable."""

    registers: Mapping[int, int]
    memory: unicorn.Uc
    addresses: Mapping[str, int]

    def word(self, name: str) -> int:
        (value,) = struct.unpack("<I", self.memory.mem_read(self.addresses[name], 4))
        return int(value)


def started(
    image: Image, core: str, table: int, ready: Mapping[int, Ready], entry: str = "mbn_reset"
) -> Started:
    """Runs from `entry`, with the stack of the vector table at `table`, to the first call of
    mbn_port_read. Raises AssertionError where that is not reached."""
    machine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    machine.ctl_set_cpu_model(CPUS[core])
    origin = image.board.memories_for("code")[0].origin
    begins = (0, origin - origin % _PAGE, *_RAMS)
    pages = {one for begin in begins for one in range(begin, begin + _BYTES, _PAGE)}
    for page in pages:
        machine.mem_map(page, _PAGE)
    machine.mem_map(_PERIPHERALS[0], _PERIPHERALS[1] + 1 - _PERIPHERALS[0])
    machine.mem_map(_SYSTEM, _PAGE)
    assert image.bin is not None
    machine.mem_write(origin, image.bin.read_bytes())
    written: dict[int, int] = {}

    def write(_: object, kind: int, address: int, size: int, value: int, data: object) -> None:
        base, shift = address & ~3, 8 * (address & 3)
        mask = ((1 << 8 * size) - 1) << shift
        written[base] = (written.get(base, 0) & ~mask) | ((value << shift) & mask)

    def read(_: object, kind: int, address: int, size: int, value: int, data: object) -> None:
        base = address & ~3
        if base in ready:
            word = ready[base](written.get(base, 0)) & 0xFFFFFFFF
            machine.mem_write(base, word.to_bytes(4, "little"))

    machine.hook_add(unicorn.UC_HOOK_MEM_WRITE, write, None, *_PERIPHERALS)
    machine.hook_add(unicorn.UC_HOOK_MEM_READ, read, None, *_PERIPHERALS)
    addresses = {symbol.name: symbol.address for symbol in symbols(image.elf)}
    stack, _ = struct.unpack("<II", machine.mem_read(table, 8))
    reset = addresses[entry]
    machine.reg_write(arm_const.UC_ARM_REG_SP, stack)
    end = addresses["mbn_port_read"]
    machine.emu_start(reset | 1, end, count=_INSTRUCTIONS)
    assert machine.reg_read(arm_const.UC_ARM_REG_PC) == end, "start-up does not end"
    return Started(written, machine, addresses)
