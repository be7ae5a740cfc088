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
from mbn.cli.run import not_installed
from mbn.core.errors import UsageError
from mbn.report.sheet import Sheet
from mbn_paper.counts import table_cells

if TYPE_CHECKING:
    from mbn_paper.counts.figures import Row, Table


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
        from mbn_paper.counts.tables import TABLES  # noqa: PLC0415 - torch, an extra
    except ImportError as error:
        raise not_installed("torch", "in which the networks are defined", "train") from error
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
        if note := table_cells.note(found):
            console.print(note)
    bare = [row for table in found for row in table.rows if not agrees(row) and not row.why]
    return 1 if bare else 0


def agrees(row: Row) -> bool:
    """Whether all of a row's printed figures are met."""
    return all(figure.agrees for figure in row.figures)


def shown(table: Table) -> Shown:
    """A table for the terminal."""
    made = Sheet(table_cells.title(table))
    last = len(table_cells.columns(table)) - 1
    for index, column in enumerate(table_cells.columns(table)):
        if index == 0:
            made.add_column(column, no_wrap=True)
        elif index == last and table_cells.has_reasons(table):
            made.add_column(column)
        else:
            made.add_column(column, justify="right")
    for row in table_cells.rows(table):
        made.add_row(*row)
    return made
