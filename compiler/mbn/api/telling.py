"""How a caller hears of progress, and how values look in a notebook.

What enters: a function `progress(what, done, of)`, or nothing. What leaves: a Teller for the jobs;
HTML tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from mbn.core.telling import Listener, Teller

Place = str | Path  # of a file or folder
Progress = Callable[[str, int, int], None] | Teller | None


def teller(progress: Progress) -> Teller:
    """What the jobs tell; a Teller is taken as it is."""
    return progress if isinstance(progress, Teller) else Listener(progress)


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table for notebooks."""

    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><caption>{escape(caption)}</caption>{line('th', head)}{body}</table>"
