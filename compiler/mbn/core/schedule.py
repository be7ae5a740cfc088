"""How a stage may be built, and what the planner must know of it.

That is: which input rows a kernel needs, which options a stage has, and how rows lie in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True)
class StageNeeds:
    """What the planner must know of a stage's kernel. Bytes are the target's."""

    input: int  # tensor index
    output: int
    kernel_rows: int
    stride_rows: int
    pad_top: int
    band_rows: int
    scratch_bytes: int
    reads_before_writing: bool
    others: tuple[int, ...] = ()  # tensors of which it reads rows y besides (the last, where fewer)
    is_result: bool = False  # its output is kept to the end, like one that nothing reads
    up_rows: int = 1  # output rows of one step of the window; divides band_rows

    def first_row(self, y: int) -> int:
        """The window's first input row for a band at output row y; below 0 it lies in the
        padding."""
        return y // self.up_rows * self.stride_rows - self.pad_top

    def window_rows(self, band_rows: int) -> int:
        """Input rows of a band's window."""
        return (band_rows // self.up_rows - 1) * self.stride_rows + self.kernel_rows

    @property
    def input_rows(self) -> int:
        """How many row pointers a band gets."""
        return self.window_rows(self.band_rows) + len(self.others) * self.band_rows


class Sharing(IntEnum):
    """Which parts of a stage call bodies that serve all shapes, instead of code made for the shape:
    less flash, more cycles. Each level includes those before it."""

    NONE = 0
    REST = 1  # groups of pixels that a row leaves over
    POINTWISE = 2
    ALL = 3  # the depthwise, the gathering of windows and the last pixels of a row, too


@dataclass(frozen=True)
class Variant:
    """How a stage is built, apart from the height of its bands. A kernel set offers the variants
    that make a difference; all give the same bits."""

    shared: Sharing = Sharing.NONE


Way = tuple[int, Variant]  # rows of a band, and how the stage is built


@dataclass(frozen=True)
class BandOption:
    """A band height and a variant of a stage. Cycles are estimated or measured, in one way for all
    options of a stage; only differences count. `flash_cycles`: what its flash is worth in cycles,
    if known."""

    rows: int
    scratch_bytes: int
    reads_before_writing: bool  # the output rows may lie over input rows of the same band
    cycles: int  # of the whole map
    variant: Variant = Variant()
    measured: bool = False
    flash_cycles: float = 0.0
    lean: bool = False  # by a kernel that takes less scratch than a faster one

    @property
    def way(self) -> Way:
        """The band height and variant."""
        return self.rows, self.variant

    def serves(self, stage: StageNeeds) -> bool:
        """Whether this is the option that a stage was given."""
        return (self.rows, self.scratch_bytes) == (stage.band_rows, stage.scratch_bytes)

    @property
    def cost(self) -> float:
        """What the planner minimises."""
        return self.cycles + self.flash_cycles


@dataclass(frozen=True)
class RowShape:
    """How a kernel set lays out a tensor's rows."""

    height: int
    row_bytes: int
    plane_bytes: int
