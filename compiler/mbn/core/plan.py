"""The memory plan: where every map lies in the arena, and in which order stages run.

passes/plan makes it and proves it; emit and the report read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbn.core.options import InputMode


@dataclass(frozen=True)
class Place:
    """Where a tensor's rows lie: slot y % depth at offset + slot * row_bytes."""

    offset_bytes: int
    row_bytes: int
    depth: int

    @property
    def size_bytes(self) -> int:
        return self.depth * self.row_bytes


@dataclass(frozen=True)
class Segment:
    """Stages that run together, row by row; the deepest stage that can run goes first."""

    first: int
    last: int  # inclusive


@dataclass(frozen=True)
class Plan:
    """Where everything lies in the arena, and in which order stages run."""

    mode: InputMode
    places: tuple[Place, ...]  # one a tensor
    segments: tuple[Segment, ...]
    scratch_offsets: tuple[int, ...]  # one a stage
    arena_bytes: int
    near_bytes: int = 0  # how much of the arena lies in the first of two memories; 0: there is one

    def straddles(self, offset_bytes: int, size_bytes: int) -> bool:
        """Whether a range of the arena would lie in two memories."""
        return self.near_bytes > 0 and offset_bytes < self.near_bytes < offset_bytes + size_bytes

    @property
    def streamed_stages(self) -> int:
        """How many stages, from the first, run while the rows of the image arrive."""
        return self.segments[0].last + 1 if self.segments else 0
