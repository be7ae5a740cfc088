"""mbn-paper: the MobileNets paper's tables, counted again.

What enters: arguments. What leaves: tables for the terminal, or JSON. Always holds: exit code 0
means that every printed figure is met, or its difference has a reason beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table as Shown

from mbn.cli.run import console as run_console
from mbn.cli.run import guarded
from mbn.paper import TABLES, Figure, Row, Table
from mbn.report.table import titled

EXAMPLES = """examples:
  mbn-paper tables              # tables 1 to 9 and the 16 models, ours beside the paper's
  mbn-paper tables 2 8 9        # some of them
  mbn-paper tables --json       # for scripts
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-paper",
        description="The MobileNets paper (arXiv 1704.04861) counted again from our definitions.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(dest="command", required=True)
    tables = commands.add_parser(
        "tables", help="multiply-adds and parameters, next to the printed figures"
    )
    tables.add_argument("numbers", nargs="*", metavar="N", help=f"of {', '.join(TABLES)}")
    tables.add_argument("--json", action="store_true", help="as JSON")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    made = parser()
    arguments = made.parse_args(argv)
    unknown = [one for one in arguments.numbers if one not in TABLES]
    if unknown:
        made.error(f"no table {', '.join(unknown)}; wanted: {', '.join(TABLES)}")
    return guarded("mbn-paper", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Prints the tables; 1 if a difference has no reason."""
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
