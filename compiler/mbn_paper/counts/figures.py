"""Figures, rows and tables: ours beside what the paper prints.

Our figures are counted; a printed one that ours does not round to has a reason beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MILLION = 1e6


@dataclass(frozen=True)
class Figure:
    """One of our figures, in the unit of the printed one, of which `step` is the last digit's
    worth. `other`: what another way of counting gives, where that is the reason of a difference."""

    ours: float
    printed: float | None = None
    step: float = 1.0
    other: float | None = None

    @property
    def difference(self) -> float | None:
        """Ours, rounded as the printed one, less the printed one."""
        return None if self.printed is None else _rounded(self.ours, self.step) - self.printed

    @property
    def agrees(self) -> bool:
        """To the last printed digit."""
        return self.difference is None or abs(self.difference) < self.step / 2

    @property
    def explained(self) -> bool:
        """Whether the other way of counting gives the printed figure."""
        if self.other is None or self.printed is None:
            return False
        return abs(_rounded(self.other, self.step) - self.printed) < self.step / 2


@dataclass(frozen=True)
class Row:
    """A network or a layer. `why`: the reason of a difference."""

    name: str
    figures: tuple[Figure, ...]
    why: str = ""


@dataclass(frozen=True)
class Table:
    """`columns`: what the figures are; `source`: where they are printed, empty where none is;
    `verified`: whether every printed figure was read there, or is written down from memory."""

    number: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    source: str = ""
    verified: bool = False


def _rounded(value: float, step: float) -> float:
    return math.floor(value / step + 0.5) * step


MACS_PARAMS = ("multiply-adds, M", "parameters, M")
CUT = "printed without its decimals, not rounded"
