"""What a page is made of, before it is HTML.

What enters: figures. What leaves: frozen values. Always holds: text is plain; the template alone
escapes it; only a figure's SVG is markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """`columns`: heads; those of `left` are words, the others numbers. `source`: what stands behind
    the figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str = ""
    left: tuple[int, ...] = (0,)
    wide: bool = False  # many columns: set smaller
    faint: tuple[str, ...] = ()  # cells of these words stand back


@dataclass(frozen=True)
class Figure:
    """`name`: unique on the page, made of letters, digits and dashes; it begins the SVG's ids."""

    name: str
    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A headed part of a page. `lead`: sentences before the rest; `blocks` in order."""

    name: str
    title: str
    lead: tuple[str, ...] = ()
    blocks: tuple[Table | Figure, ...] = ()
    parts: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Network:
    """A compiled network in the page's head. `link`: its section; `state`: good, bad or open;
    `note`: what must be said besides; `facts`: pairs of name and value."""

    title: str
    link: str
    state: str
    verdict: str
    note: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Page:
    """`facts`: the summary's pairs of name and value; `made`: versions and sources."""

    title: str
    summary: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    made: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...] = field(default=())
    networks: tuple[Network, ...] = ()


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    source: str = "",
    left: Sequence[int] = (0,),
    *,
    wide: bool = False,
    faint: Sequence[str] = (),
) -> Table:
    """A `Table` of any sequences; every row has a cell a column."""
    assert all(len(row) == len(columns) for row in rows), title
    cells = tuple(tuple(row) for row in rows)
    return Table(title, tuple(columns), cells, source, tuple(left), wide, tuple(faint))
