"""mbn-report --compare: what changed between two builds.

What enters: two folders with report.json. What leaves: a table of both, and of stages by their
place where the networks have as many. Always holds: a figure that one of them lacks is a dash, and
nothing is called a change that is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mbn.report import Report, load_report
from mbn.report.sheet import Sheet
from mbn.report.table import UNKNOWN, number

Row = tuple[str, int | None, int | None]


def rows(first: Report, second: Report) -> Iterator[Row]:
    """Each figure's name, and its value in both."""
    for name in ("flash_bytes", "weights_bytes", "code_bytes", "static_ram_bytes", "arena_bytes"):
        yield name, getattr(first.memory, name), getattr(second.memory, name)
    yield "macs_computed", first.network.macs_computed, second.network.macs_computed
    for name in ("instructions", "modelled_cycles", "measured_cycles"):
        was, now = (getattr(one.check, name, None) for one in (first, second))
        yield name, was, now
    if len(first.stages) != len(second.stages):
        return
    for at, (one, other) in enumerate(zip(first.stages, second.stages, strict=True)):
        if (one.modelled_cycles, other.modelled_cycles) != (None, None):
            yield f"cycles of {at} {one.kind}", one.modelled_cycles, other.modelled_cycles


def compared(first: Path, second: Path) -> tuple[Sheet, list[dict[str, Any]]]:
    """The table, and the same for scripts. ModelError for a folder without a report."""
    found = [load_report(folder) for folder in (first, second)]
    table = Sheet(" against ".join(f"{one.network.name} on {one.board}" for one in found))
    table.column("", "left")
    for folder in (first, second):
        table.column(str(folder))
    table.column("change")
    data = []
    for name, was, now in rows(*found):
        data.append({"what": name, "first": was, "second": now})
        table.add_row(name.replace("_", " "), number(was), number(now), _change(was, now))
    return table, data


def _change(was: int | None, now: int | None) -> str:
    if was is None or now is None:
        return UNKNOWN
    if was == now:
        return "same"
    return f"{now - was:+,}" + (f" ({100 * (now - was) / was:+.1f} %)" if was else "")
