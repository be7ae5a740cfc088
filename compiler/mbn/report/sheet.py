"""A table for the terminal that loses no name and no number.

What enters: columns and rows, of each column how soon it may be left out. What leaves: what fits
the terminal's width: the whole table; else without optional columns, the least wanted first; else
what is left, stacked, a row's cells one under the other. Always holds: no cell is cut or folded
where it fits a line of its own; where nobody looks (a pipe, a file) the table is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

WIDEST = 4096  # columns of an output that is no terminal


class Sheet(Table):
    """Rich's table, rendered as the head of this file says."""

    def __init__(self, title: str | None = None) -> None:
        super().__init__(
            title=title,
            title_style="bold",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        self._optional: list[int] = []

    def column(self, title: str, justify: JustifyMethod = "right", optional: int = 0) -> None:
        """A column; of the optional ones the highest goes first, 0 stays."""
        self.add_column(title, justify=justify, no_wrap=True)
        self._optional[-1] = optional

    def add_column(self, *given: Any, **options: Any) -> None:
        """As rich's; the column stays."""
        super().add_column(*given, **options)
        self._optional.append(0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in self._narrower():
            if Table.__rich_measure__(table, console, _wide(options)).maximum <= options.max_width:
                yield from Table.__rich_console__(table, console, options)
                left_out = [one for one in self.columns if one not in table.columns]
                if left_out:
                    names = ", ".join(str(one.header) for one in left_out)
                    yield Text(f"a wider terminal, or a pipe, shows: {names}", style="dim")
                return
        yield from self._stacked(table)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)

    def _narrower(self) -> Iterator[Table]:
        """The table, and then again and again without the column that is least wanted."""
        left = list(range(len(self.columns)))
        while True:
            table = copy(self)
            table.columns = [self.columns[index] for index in left]
            yield table
            worst = max(left, key=lambda index: self._optional[index])
            if self._optional[worst] == 0:
                return
            left.remove(worst)

    def _stacked(self, table: Table) -> Iterator[Any]:
        if self.title:
            yield Text(str(self.title), style="bold")
        heads = [str(one.header) for one in table.columns]
        cells = [list(one.cells) for one in table.columns]
        first = 1 if heads[0] else 2  # the number of a row is no name
        wide = max((len(head) for head in heads[first:]), default=0)
        for row in range(len(cells[0])):
            yield Text(" ".join(str(one[row]) for one in cells[:first] if str(one[row])), "bold")
            for head, of_column in zip(heads[first:], cells[first:], strict=True):
                if str(of_column[row]):
                    yield Text(f"  {head:<{wide}}  {of_column[row]}")
        if self.caption:
            yield Text(str(self.caption), style="dim")


def _wide(options: ConsoleOptions) -> ConsoleOptions:
    return options.update(max_width=WIDEST)
