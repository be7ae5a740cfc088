"""Which memory holds what, the linker script that says so, and what an overflow means.

What enters: a board's memories. What leaves: a placement by use and the script's text. Always
holds: the script is a function of board and placement alone; sections.ld stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mbn.errors import BoardError, PlanError
from mbn.target import Board, Memory

USES = ("code", "weights", "data", "stack")
_OVERFLOW = re.compile(r"region [`'](\w+)' overflowed by (\d+) bytes")


@dataclass(frozen=True)
class Placement:
    """A memory for each use of `USES`."""

    board: Board
    memory: Mapping[str, Memory]

    def script(self) -> str:
        """The linker script: memories, aliases, stack; then sections.ld."""
        lines = [f"/* Generated from boards/{self.board.name}/board.toml. */", "MEMORY", "{"]
        for memory in self.board.memories:
            lines.append(
                f"    {memory.name} : ORIGIN = {memory.origin:#010x}, "
                f"LENGTH = {memory.size_bytes:#x}"
            )
        lines.append("}")
        lines += [f'REGION_ALIAS("{use.upper()}", {self.memory[use].name});' for use in USES]
        lines += [f"mbn_ld_stack_bytes = {self.board.stack_bytes};", "INCLUDE sections.ld", ""]
        return "\n".join(lines)

    def moved(self, full: str) -> Placement | None:
        """Weights, else data, moved from the memory that is full to the next that may hold them."""
        for use in ("weights", "data"):
            choices = self.board.memories_for(use)
            at = choices.index(self.memory[use])
            if self.memory[use].name == full and at + 1 < len(choices):
                return Placement(self.board, {**self.memory, use: choices[at + 1]})
        return None


def first_placement(board: Board) -> Placement:
    """Each use in its preferred memory. Raises `BoardError` where there is none."""
    memory: dict[str, Memory] = {}
    for use in USES:
        choices = board.memories_for(use)
        if not choices:
            raise BoardError(
                f"no memory holds {use!r}",
                wanted=f'a [[memory]] whose holds has "{use}"',
                node=f"boards/{board.name}/board.toml",
            )
        memory[use] = choices[0]
    return Placement(board, memory)


def overflows(output: str) -> dict[str, int]:
    """Bytes too many by memory, from the linker's messages."""
    return {name: int(size) for name, size in _OVERFLOW.findall(output)}


def does_not_fit(board: Board, overflow: Mapping[str, int]) -> PlanError:
    """Needed and available bytes of each memory that is too small."""
    sizes = {memory.name: memory.size_bytes for memory in board.memories}
    parts = [
        f"{name} needs {sizes[name] + extra} bytes and has {sizes[name]}"
        for name, extra in sorted(overflow.items())
    ]
    return PlanError(
        f"the image does not fit {board.name}: " + "; ".join(parts),
        advice="Take a smaller alpha or resolution, or a board with more memory",
    )
