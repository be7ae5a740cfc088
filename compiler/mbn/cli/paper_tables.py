"""mbn-paper tables: the paper's tables, counted again.

What enters: the tables' numbers. What leaves: tables for the terminal, or JSON. Always holds: exit
code 0 means that every printed figure is met, or its difference has a reason beside it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table as Shown

from mbn.cli.run import console as run_console
from mbn.errors import UsageError
from mbn.report.table import titled

if TYPE_CHECKING:
    from mbn.paper.tables import Figure, Row, Table


def add(commands: Any) -> None:
    """Adds the command to the subparsers of mbn-paper."""
    tables = commands.add_parser(
        "tables", help="multiply-adds and parameters, next to the printed figures"
    )
    tables.add_argument("numbers", nargs="*", metavar="N", help="a table's number, or figures")
    tables.add_argument("--json", action="store_true", help="as JSON")
    tables.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the tables; 1 if a difference has no reason."""
    try:
        from mbn.paper.tables import TABLES  # noqa: PLC0415 - torch, an extra
    except ImportError as error:
        raise UsageError(
            "torch, in which the networks are defined, is not installed",
            advice='Install it with: pip install "mbn-edge[train]"',
        ) from error
    unknown = [one for one in arguments.numbers if one not in TABLES]
    if unknown:
        raise UsageError(f"no table {', '.join(unknown)}", wanted=", ".join(TABLES))
    found = [TABLES[number]() for number in arguments.numbers or TABLES]
    if arguments.json:
        print(json.dumps([asdict(table) for table in found], indent=2))
    else:
        console = run_console(quiet=False)
        for table in found:
            console.print(shown(table))
    bare = [row for table in found for row in table.rows if not agrees(row) and not row.why]
    return 1 if bare else 0


def agrees(row: Row) -> bool:
    """Whether all of a row's printed figures are met."""
    return all(figure.agrees for figure in row.figures)


def shown(table: Table) -> Shown:
    """A table for the terminal."""
    made = titled(f"Table {table.number}: {table.title}" if table.number != "F" else table.title)
    made.add_column("", no_wrap=True)
    printed = any(figure.printed is not None for row in table.rows for figure in row.figures)
    for column in table.columns:
        made.add_column(column, justify="right")
        if printed:
            made.add_column("printed", justify="right")
            made.add_column("difference", justify="right")
    if any(row.why for row in table.rows):
        made.add_column("why")
    for row in table.rows:
        cells = [row.name]
        for figure in row.figures:
            cells += figure_cells(figure, printed)
        reason = row.why
        others = [number(one.other, one.step) for one in row.figures if one.explained]
        if others:
            reason += f" ({', '.join(others)})"
        made.add_row(*cells, reason)
    return made


def number(value: float | None, step: float) -> str:
    """With the decimals of a printed figure."""
    return "" if value is None else f"{value:,.{0 if step >= 1 else 2 if step < 0.1 else 1}f}"


def figure_cells(figure: Figure, printed: bool) -> list[str]:
    """Ours, the printed one, the difference."""
    if figure.printed is None:
        return [f"{figure.ours:,.2f}", *(["", ""] if printed else [])]
    places = 2 if figure.step < 0.1 else 1
    ours = f"{figure.ours:,.{max(places, 1)}f}"
    there = number(figure.printed, figure.step)
    difference = figure.difference or 0.0
    return [ours, there, "0" if figure.agrees else f"{difference:+,.{places}f}"]
