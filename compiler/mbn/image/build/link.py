"""Places code, data and weights in a board's memories, and writes the linker script for it.

The script depends only on the board and the placement; sections.ld never changes. The first memory
that may hold a thing is preferred. What does not fit moves on: weights go stage by stage, the last
stage first, because maps shrink and so late weights are read least often. Constant ranges are
listed for `seal`. Nothing lies below the stack, and start-up leaves the highest bytes of its
memory alone. An overflow of the linker becomes an error that says what is too large.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mbn.core.errors import BoardError, PlanError
from mbn.core.target import Board, Memory

USES = ("code", "weights", "data", "stack")
KEPT_BYTES = 96  # of RAM that survives a reset: startup.c's record, in whole cache lines
GUARD_LEAST, GUARD_MOST = 256, 32768  # bytes below the stack that the MPU guards
FAR, HOT = "arena", "hot"  # a second part of the arena; code that is copied there at start-up
_OVERFLOW = re.compile(r"region [`'](\w+)' overflowed by (\d+) bytes")


@dataclass(frozen=True)
class Placement:
    """A memory for each use of `USES`."""

    board: Board
    memory: Mapping[str, Memory]
    apart: Mapping[int, Memory] = field(default_factory=dict)  # weights, by stage
    hot: Memory | None = None  # the network's code runs from here
    hot_stages: tuple[int, ...] = ()  # stages whose weights are read from there too

    def script(self) -> str:
        """The linker script: memories, aliases, what lies apart, stack; then sections.ld."""
        lines = [f"/* Generated from boards/{self.board.name}/board.toml. */", "MEMORY", "{"]
        for memory in self.board.memories:
            size = memory.size_bytes - (KEPT_BYTES if memory == self.memory["stack"] else 0)
            lines.append(f"    {memory.name} : ORIGIN = {memory.origin:#010x}, LENGTH = {size:#x}")
        lines.append("}")
        lines += [f'REGION_ALIAS("{use.upper()}", {self.memory[use].name});' for use in USES]
        far = self.board.memories_for(FAR) or (self.memory["data"],)
        lines += [f'REGION_ALIAS("FAR", {far[0].name});', *self._apart(), *self._hot()]
        overread = self.board.core.kernels.overread_bytes
        lines += [f"mbn_ld_stack_bytes = {self.board.stack_bytes};"]
        lines += [f"mbn_ld_overread_bytes = {overread};", *self._guard(), "INCLUDE sections.ld"]
        return "\n".join([*lines, self._seal(), ""])

    def _guard(self) -> list[str]:
        """Where a stack overflow goes: addresses outside all memories if there are any, else bytes
        of the stack itself. A power of two, aligned to its size, as ARMv7-M's regions are."""
        stack = self.memory["stack"]
        below = [m.origin + m.size_bytes for m in self.board.memories if m.origin < stack.origin]
        gap = stack.origin - max(below, default=0)
        size = GUARD_MOST
        while size >= GUARD_LEAST and (size > gap or stack.origin % size):
            size //= 2
        inside = size < GUARD_LEAST or stack in (*self._constant(), self.hot)
        if inside:
            size = GUARD_LEAST
        start = "ADDR(.stack)" if inside else f"{stack.origin - size:#010x}"
        attributes = 1 << 28 | (size.bit_length() - 2) << 1 | 1  # never executed, size, enabled
        return [
            f"mbn_ld_guard_bytes = {size if inside else 0};",
            f"mbn_ld_stack_align = {size if inside else 8};",
            f"mbn_ld_guard_start = {start};",
            f"mbn_ld_guard_last = {start} + {size - 32:#x};",
            f"mbn_ld_guard_rasr = {attributes:#x};",
            f"mbn_ld_kept = {stack.origin + stack.size_bytes - KEPT_BYTES:#010x};",
        ]

    def _constant(self) -> tuple[Memory, ...]:
        return (self.memory["code"], self.memory["weights"], *self.apart.values())

    def _seal(self) -> str:
        """A table of address, size and CRC-32 (filled in by `seal`) of all that may not change."""
        names = [".text", ".weights"]
        names += [f".weights_{one.name}" for one in dict.fromkeys(self.apart.values())]
        names += [] if self.hot is None else [".vectors", ".hot"]
        rows = "".join(f"LONG(ADDR({n})) LONG(SIZEOF({n})) LONG(0) " for n in names)
        return (
            "SECTIONS { .seal (READONLY) : ALIGN(4) "
            f"{{ mbn_ld_seal_start = .; {rows}mbn_ld_seal_end = .; }} > CODE }}"
        )

    def _apart(self) -> list[str]:
        lines = []
        for memory in dict.fromkeys(self.apart.values()):
            stages = sorted(stage for stage, one in self.apart.items() if one == memory)
            lines.append(
                f"SECTIONS {{ .weights_{memory.name} : ALIGN(16) "
                f"{{ {self._tables(stages)}. = ALIGN(8); }} > {memory.name} }}"
            )
        return lines

    @staticmethod
    def _tables(stages: Sequence[int]) -> str:
        """The weights of some stages, for a script."""
        names = " ".join(f".rodata.*_{stage:02d}_*" for stage in stages)
        return f". = ALIGN(16); *weights.c.o*({names}) " if stages else ""

    def filled(self, hot_bytes: int, weights: Mapping[int, int]) -> Placement:
        """The placement with weights in what is left of the fast memory, of which code takes
        hot_bytes. Maps shrink, so a weight of an early stage is read for more pixels."""
        if self.hot is None:
            return self
        left, stages = self.hot.size_bytes - hot_bytes, []
        for stage in sorted(weights):
            size = weights[stage] + 16  # of its alignment
            if stage not in self.apart and size <= left:
                stages.append(stage)
                left -= size
        return replace(self, hot_stages=tuple(stages))

    def _hot(self) -> list[str]:
        """Always the symbols that start-up reads; without hot code, an empty range."""
        if self.hot is None:
            return [f"mbn_ld_hot_{name} = 0;" for name in ("load", "start", "end")]
        return [
            # first in CODE
            "SECTIONS { .vectors : ALIGN(8) { KEEP(*(.mbn_boot)) KEEP(*(.vectors)) "
            "KEEP(*(.mbn_image)) } > CODE }",
            "SECTIONS { .hot : ALIGN(8) { mbn_ld_hot_start = .; "
            "*network.[cS].o*(.text .text.*) *mbn.c.o*(.text .text.*) "
            + self._tables(self.hot_stages)
            + f". = ALIGN(8); mbn_ld_hot_end = .; }} > {self.hot.name} AT> CODE }}",
            "mbn_ld_hot_load = LOADADDR(.hot);",
        ]

    def moved(self, full: str, excess: int, weights: Mapping[int, int]) -> Placement | None:
        """The placement with less in the memory that is full by `excess` bytes. Hot code goes back
        to the other code; weights of late stages, or else data, go to the next memory that may hold
        them. weights: bytes by stage; if they are not known separately, all move."""
        if self.hot is not None and self.hot.name == full:
            return replace(self, hot=self.hot if self.hot_stages else None, hot_stages=())
        at = {stage: self.apart.get(stage, self.memory["weights"]) for stage in weights}
        choices = self.board.memories_for("weights")
        for stage in sorted(weights, reverse=True):
            if excess <= 0:
                break
            following = choices.index(at[stage]) + 1
            if at[stage].name == full and following < len(choices):
                at[stage] = choices[following]
                excess -= weights[stage]
        apart = {stage: one for stage, one in at.items() if one != self.memory["weights"]}
        if apart != self.apart:
            return replace(self, apart=apart)
        for use in ("data",) if weights else ("weights", "data"):
            choices = self.board.memories_for(use)
            following = choices.index(self.memory[use]) + 1
            if self.memory[use].name == full and following < len(choices):
                return replace(self, memory={**self.memory, use: choices[following]})
        return None


def first_placement(board: Board) -> Placement:
    """Each use in its preferred memory. Raises `BoardError` if there is none."""
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
    return Placement(board, memory, hot=next(iter(board.memories_for(HOT)), None))


def overflows(output: str) -> dict[str, int]:
    """How many bytes each memory lacks, from the linker's messages."""
    return {name: int(size) for name, size in _OVERFLOW.findall(output)}


def does_not_fit(placement: Placement, overflow: Mapping[str, int]) -> PlanError:
    """A table of the memories that are too small: needed, available, and what is in each."""
    lines = [f"{'memory':<10} {'needed':>12} {'available':>12}  for"]
    for memory in placement.board.memories:
        if memory.name in overflow:
            uses = [use for use, one in placement.memory.items() if one == memory]
            if memory in placement.board.memories_for(FAR):
                uses.append("the arena's second part")
            uses += [f"weights of stage {s}" for s, one in placement.apart.items() if one == memory]
            lines.append(
                f"{memory.name:<10} {memory.size_bytes + overflow[memory.name]:>12,} "
                f"{memory.size_bytes:>12,}  {', '.join(uses)}"
            )
    return PlanError(
        f"the image does not fit {placement.board.name}:\n  " + "\n  ".join(lines),
        advice="Take a smaller alpha or resolution, --optimise size, or a board with more memory",
    )
