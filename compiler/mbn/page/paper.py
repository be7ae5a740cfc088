"""The paper's page: its tables counted, its trade-offs trained, its models on microcontrollers.

What enters: tables, results, device rows, heads. What leaves: sections. Always holds: a part whose
data are not there is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbn.errors import ModelError
from mbn.page.content import Section, Table, table
from mbn.paper import table_cells
from mbn.report.table import UNKNOWN

if TYPE_CHECKING:  # torch, which only counting needs
    from mbn.paper.tables import Table as Counted

HEADS = Path(__file__).parents[1] / "paper" / "heads.json"
COUNTED = (
    "Counted from this compiler's own definitions of the networks, layer by layer; printed: in"
    " arXiv 1704.04861."
)


def tables_section(found: Sequence[Counted]) -> Section:
    """Every table, ours beside what is printed."""
    figures = [one for table_ in found for row in table_.rows for one in row.figures]
    printed = [one for one in figures if one.printed is not None]
    met = sum(one.agrees for one in printed)
    return Section(
        "tables",
        "The paper's tables, counted",
        (
            f"{met} of {len(printed)} printed figures are met to the last digit; each of the others"
            " has its reason beside it.",
            COUNTED,
        ),
        tuple(_counted(one) for one in found),
    )


def _counted(of: Counted) -> Table:
    columns = table_cells.columns(of)
    left = (0, len(columns) - 1) if table_cells.has_reasons(of) else (0,)
    return table(table_cells.title(of), columns, table_cells.rows(of), left=left)


def heads_section(path: Path = HEADS) -> Section | None:
    """The table of heads; None where there is no file. Raises ModelError for one that is none."""
    if not path.exists():
        return None
    try:
        data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows: list[Mapping[str, Any]] = list(data["heads"])
        command = str(data.get("command", ""))
        columns = list(dict.fromkeys(name for row in rows for name in row))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} has no table of heads ({error})", wanted='"heads": [...]'
        ) from error
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    words = [i for i, name in enumerate(columns) if any(isinstance(r.get(name), str) for r in rows)]
    heads = [name.replace("_", " ") for name in columns]
    shown = table(
        "The heads of sections 4.3 to 4.7", heads, cells, f"By {command}", words, wide=True
    )
    return Section("heads", "Heads", (), (shown,))


def _cell(value: object) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
