"""A study's findings on the screen.

What enters: results. What leaves: for each study, the paper's design first: its claims, how it was
made, a table a comparison. Always holds: a claim is shown with its verdict, whichever it is.
"""

from __future__ import annotations

from textwrap import fill

from rich.console import Console

from mbn.core.errors import MbnError
from mbn.report.sheet import Sheet
from mbn_paper.study.findings import claims, findings
from mbn_paper.study.results import Result
from mbn_paper.study.words import CLAIM_COLUMNS, claim_cells, method, studies, title

WIDTHS = (8, 18, 15, 14, 5, 7)  # characters of the claims' columns: together they fit 80
# columns that a narrow terminal does without, the highest first
OPTIONAL = {"RAM KB": 4, "params": 3, "int8 - float": 2, "multiply-adds": 1}


def show(found: tuple[Result, ...], console: Console) -> None:
    """Prints it all. Raises MbnError where there is no result."""
    if not found:
        raise MbnError("no results yet", advice="Train: mbn-paper study --data split:PATH")
    for group in studies(found):
        _claims(group, console)
        for finding in findings(group):
            table = Sheet(finding.title)
            table.column("", "left")
            for column in finding.columns:
                table.column(column, optional=OPTIONAL.get(column, 0))
            for row in finding.rows:
                table.add_row(*row)
            console.print(table)
            for note in finding.notes:
                console.print(f"  {note}")


def _claims(group: list[Result], console: Console) -> None:
    table = Sheet(f"The paper's claims, {title(group)}")
    for column in CLAIM_COLUMNS:
        table.column(column, "left")
    for claim in claims(group):
        cells = zip(claim_cells(claim), WIDTHS, strict=True)
        table.add_row(*(fill(cell, width) for cell, width in cells), end_section=True)
    console.print(table)
    for sentence in method(group):
        console.print(f"  {sentence}")
    console.print()
