"""The boards that nothing here emulates, and the machines that stand for their cores.

What enters: a board. What leaves: another with the same core, kernels and sizes of memory, at the
addresses of an emulated machine of that core. Always holds: no memory is larger than the board's.
"""

from __future__ import annotations

from dataclasses import replace

from mbn.core.boards import find_board
from mbn.core.target import Board, Memory

PARTS = (
    "ek_ra8m1",
    "nrf52840dk",
    "nucleo_f446re",
    "nucleo_f746zg",
    "nucleo_h743zi",
    "nucleo_h7a3zi_q",
    "nucleo_l4r5zi",
    "nucleo_u575zi_q",
    "rp2040_pico",
    "rp2350_pico2",
)
# A machine of the core, where its code lies, and where its data, with the room for both
MACHINES = {
    "cortex-m0plus": ("qemu-m0", 0x00000000, 0x20002000, 0x3F0000),
    "cortex-m4f": ("qemu", 0x00000000, 0x20000000, 0x3F0000),
    "cortex-m7": ("qemu-m7", 0x00000000, 0x20000000, 0x3F0000),
    "cortex-m33": ("qemu-m33", 0x10000000, 0x38000000, 0x3F0000),
    "cortex-m85": ("qemu-m55", 0x00000000, 0x20000000, 0x80000),
}


def stand_in(board: Board) -> Board:
    """The machine of the board's core with its memories cut to the board's sizes, in its order."""
    name, code_at, data_at, room = MACHINES[board.core.name]
    machine = find_board(name)
    memories = []
    code_end, data_end = code_at + room, data_at + room
    for memory in board.memories:
        at = code_at if {"code", "weights"} & set(memory.holds) else data_at
        end = code_end if at == code_at else data_end
        size = min(memory.size_bytes, end - at)
        memories.append(Memory(memory.name, at, size, memory.holds))
        if at == code_at:
            code_at += size
        else:
            data_at += size
    return replace(machine, name=f"{board.name}-memories", memories=tuple(memories))
