"""The paper's page: its tables counted, its trade-offs trained, its models on microcontrollers.

What enters: tables, results, device rows, heads. What leaves: sections. Always holds: a part whose
data are not there is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbn.core.errors import ModelError
from mbn.report.page.content import Section, Table, table
from mbn.report.table import UNKNOWN, number
from mbn_paper.counts import table_cells

if TYPE_CHECKING:  # torch, which only counting needs
    from mbn_paper.counts.figures import Table as Counted

HEADS = Path(__file__).parents[1] / "data" / "heads.json"
COUNTED = "Counted from this compiler's own definitions of the networks, layer by layer."
HEADS_NOTE = (
    "Percent on pictures that no training shows; int8 by the exact reference. Instructions are"
    " counted in emulation; cycles are modelled for zero-wait memory."
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
            " has its reason beside it, as far as one is known.",
            f"{COUNTED} {table_cells.note(found)}".strip(),
        ),
        tuple(_counted(one) for one in found),
    )


def _counted(of: Counted) -> Table:
    columns = table_cells.columns(of)
    left = (0, len(columns) - 1) if table_cells.has_reasons(of) else (0,)
    rows = table_cells.rows(of)
    return table(table_cells.title(of), columns, rows, table_cells.source(of), left)


def heads_section(path: Path = HEADS) -> Section | None:
    """The table of heads, as mbn-paper heads writes it; None where there is no file. Raises
    ModelError for a file of another form."""
    if not path.exists():
        return None
    try:
        data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows = [cells for row in data["rows"] for cells in _head(row)]
        command = str(data["command"])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(
            f"{path} has no table of heads ({type(error).__name__}: {error})",
            wanted="what mbn-paper heads --json prints",
        ) from error
    columns = (
        "head",
        "what is measured",
        "float, %",
        "int8, %",
        "teacher, %",
        "MACs",
        "params",
    )
    costs = ("arena", "flash", "instr.", "cycles", "exact")
    title = "The heads of sections 4.3 to 4.7 on the body, at toy scale"
    shown = table(title, (*columns, *costs), rows, f"{HEADS_NOTE} By {command}.", (0, 1), wide=True)
    return Section("heads", "Heads", (), (shown,))


def _head(row: Mapping[str, Any]) -> list[list[str]]:
    """A line a score of one head; what it costs stands in the first."""
    keys = ("macs", "params", "arena_bytes", "flash_bytes", "instructions", "cycles")
    costs = [*(number(row[key]) for key in keys), f"{row['exact_samples']} of {row['samples']}"]
    teacher = UNKNOWN if row["teacher_percent"] is None else f"{row['teacher_percent']:.1f}"
    lines = []
    for at, what in enumerate(row["scores"]):
        figures = [f"{row['float_percent'][at]:.1f}", f"{row['int8_percent'][at]:.1f}"]
        name = [f"{row['section']} {row['head']}"] if at == 0 else [""]
        rest = [teacher, *costs] if at == 0 else [""] * (1 + len(costs))
        lines.append([*name, str(what), *figures, *rest])
    return lines
