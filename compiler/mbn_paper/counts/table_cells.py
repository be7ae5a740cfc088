"""A counted table as words and figures, for the terminal and for a page.

What enters: a table. What leaves: its columns and rows. Always holds: ours stands beside the
printed figure with the difference, and the reason of a difference beside all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # no torch is needed here
    from mbn_paper.counts.figures import Figure, Row, Table


def note(found: Sequence[Table]) -> str:
    """Which printed figures were read in the paper; empty where none is printed."""
    printed = [table for table in found if _printed(table)]
    read = [table.source for table in printed if table.verified]
    unread = [table.source for table in printed if not table.verified]
    said = []
    if read:
        said.append(
            f"Printed figures: {_places(read)}; verified in two transcriptions of arXiv"
            " 1704.04861v1."
        )
    if unread:
        said.append(f"Not verified, written down from memory: {_places(unread)}.")
    return " ".join(said)


def _places(sources: Sequence[str]) -> str:
    return "paper, " + ", ".join(one.removeprefix("paper, ") for one in sources)


def source(table: Table) -> str:
    """Where a table's figures are printed, and whether they were read there; empty where none
    is."""
    if not _printed(table):
        return ""
    return f"Printed: {table.source}, {'verified' if table.verified else 'not verified'}."


def title(table: Table) -> str:
    return f"Table {table.number}: {table.title}" if table.number.isdigit() else table.title


def columns(table: Table) -> list[str]:
    """The first is of the rows' names; the last of reasons, where there are any."""
    found = [""]
    for name in table.columns:
        found += [name, "printed", "difference"] if _printed(table) else [name]
    return [*found, "why"] if has_reasons(table) else found


def has_reasons(table: Table) -> bool:
    return any(row.why for row in table.rows)


def rows(table: Table) -> list[list[str]]:
    """A cell a column."""
    width = len(columns(table))
    return [_cells(row, _printed(table))[:width] for row in table.rows]


def _printed(table: Table) -> bool:
    return any(figure.printed is not None for row in table.rows for figure in row.figures)


def _cells(row: Row, printed: bool) -> list[str]:
    cells = [row.name]
    for figure in row.figures:
        cells += _figure(figure, printed)
    others = [_number(one.other, one.step) for one in row.figures if one.explained]
    return [*cells, f"{row.why} ({', '.join(others)})" if others else row.why]


def _number(value: float | None, step: float) -> str:
    """With the decimals of a printed figure."""
    return "" if value is None else f"{value:,.{0 if step >= 1 else 2 if step < 0.1 else 1}f}"


def _figure(figure: Figure, printed: bool) -> list[str]:
    """Ours, the printed one, the difference."""
    if figure.printed is None:
        return [f"{figure.ours:,.2f}", *(["", ""] if printed else [])]
    places = 2 if figure.step < 0.1 else 1
    ours = f"{figure.ours:,.{places}f}"
    there = _number(figure.printed, figure.step)
    difference = figure.difference or 0.0
    return [ours, there, "0" if figure.agrees else f"{difference:+,.{places}f}"]
