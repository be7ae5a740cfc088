"""A counted table as words and figures, for the terminal and for a page.

What enters: a table. What leaves: its columns and rows. Always holds: ours stands beside the
printed figure with the difference, and the reason of a difference beside all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # no torch is needed here
    from mbn_paper.counts.figures import Figure, Row, Table


_REMEMBERED = {"10", "11", "12", "13", "14"}


def note(found: Sequence[Table]) -> str:
    """What is to be known of the printed figures; empty where nothing is."""
    if not any(table.number in _REMEMBERED for table in found):
        return ""
    return (
        "The printed figures of tables 10 to 14 were written down from memory, not from the paper"
        " in hand."
    )


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
