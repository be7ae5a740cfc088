"""The emulated machine that stands for a board which no emulator has.

What enters: a board. What leaves: another, of the same kernels, whose memories are as large and
hold the same, at addresses of a machine that QEMU has. Always holds: no memory is larger than the
board's own. What is not checked so is the part itself: its start-up, clocks, line and addresses.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mbn.core.boards import find_board
from mbn.core.elf import sections
from mbn.core.target import Board, Memory

# By core, a board whose emulator runs its code (M0+: on an M3; M85: it knows no such core)
MACHINES = {
    "cortex-m0plus": "qemu-m0",
    "cortex-m3": "qemu-m3",
    "cortex-m4f": "qemu",
    "cortex-m7": "qemu-m7",
    "cortex-m33": "qemu-m33",
    "cortex-m55": "qemu-m55",
    "cortex-m85": "qemu-m55",
}
WORDS = "as a generic image"  # what a report says of where it ran
ALIGNED = 32  # bytes: where one memory begins behind another


def generic(board: Board) -> Board | None:
    """The stand-in for a board; None where no machine has its core (the host)."""
    if board.core.name not in MACHINES:
        return None
    machine = find_board(MACHINES[board.core.name])
    return replace(
        machine,
        name=f"{board.name}-generic",
        title=f"{board.title}, {WORDS} for its core with its sizes of memory",
        aliases=(),
        stack_bytes=board.stack_bytes,
        memories=_laid_out(board, machine),
    )


def _laid_out(board: Board, machine: Board) -> tuple[Memory, ...]:
    """The board's memories in the machine's, one behind the other. What exceeds the machine's first
    memory for code goes on in one for weights alone."""
    free = {one.name: [one.origin, one.size_bytes] for one in machine.memories}
    made: list[Memory] = []

    def take(name: str, size_bytes: int, uses: tuple[str, ...], use: str) -> int:
        """Room for a memory where the machine has most of it; how many bytes were found."""
        rooms = [free[one.name] for one in machine.memories_for(use)]
        whole = [room for room in rooms if room[1] >= size_bytes]
        room = whole[0] if whole else max(rooms, key=lambda one: one[1], default=[0, 0])
        size = min(size_bytes, room[1])
        if size:
            made.append(Memory(name, room[0], size, uses))
            used = min(-(-size // ALIGNED) * ALIGNED, room[1])
            room[:] = [room[0] + used, room[1] - used]
        return size

    for memory in board.memories:
        uses, left = memory.holds, memory.size_bytes
        if "code" in uses:
            left -= take(memory.name, left, uses, "code")
            uses = tuple(use for use in uses if use == "weights")
        if not uses or not left:
            continue
        name = memory.name if left == memory.size_bytes else f"{memory.name}_weights"
        take(name, left, uses, "weights" if uses == ("weights",) else "data")
    return tuple(made)


def lacking(board: Board, elf: Path) -> str | None:
    """Why the board's own emulator can't run an image of it; None where it can."""
    if board.emulator is None:
        return "it has no emulator"
    for memory in board.memories:
        end = memory.origin + memory.size_bytes
        if not memory.emulated and any(
            one.allocated and one.size_bytes and memory.origin <= one.address < end
            for one in sections(elf)
        ):
            return f"the image uses {memory.name}, which its emulator lacks"
    return None
