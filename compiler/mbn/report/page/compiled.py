"""What was compiled and checked, as sections.

What enters: folders with a report.json. What leaves: sections. Always holds: a figure that the
report does not know is a dash; measured cycles, where a part counted them, stand before modelled
ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mbn.core.errors import UsageError
from mbn.report import Report, load_report
from mbn.report.memory_map import MemoryMap, load_map
from mbn.report.page import costs
from mbn.report.page.content import Figure, Section, Table, table
from mbn.report.page.memory import memory_figure
from mbn.report.record import FILE_NAME
from mbn.report.table import UNKNOWN, number

MODELLED = (
    "Instructions are counted in emulation; cycles are modelled for zero-wait memory, not measured"
    " on a part."
)
MEASURED = "Cycles were read from the counter of what ran it."


@dataclass(frozen=True)
class Compiled:
    """A folder that mbn-compile wrote; `name` is its path as it was given."""

    name: str
    report: Report
    memory: MemoryMap | None


def find(paths: Sequence[Path]) -> list[Compiled]:
    """Every report.json at or below the paths, in order of path. Raises UsageError where a path has
    none, ModelError for a report that is damaged or of another schema."""
    found = []
    for path in paths:
        folders = sorted(one.parent for one in path.rglob(FILE_NAME)) if path.is_dir() else []
        if not folders:
            raise UsageError(
                f"no {FILE_NAME} in or below {path}",
                wanted="a folder that mbn-compile wrote, or one above such folders",
                advice="mbn-compile --board qemu --alpha 0.25 --check makes one in out/",
            )
        found += [Compiled(str(one), load_report(one), load_map(one)) for one in folders]
    return found


def sections(found: Sequence[Compiled]) -> tuple[Section, ...]:
    """All in one table, then each by itself."""
    parts = tuple(_network(index, one) for index, one in enumerate(found, 1))
    return (Section("compiled", "Compiled networks", (), (_overview(found),), parts),)


def _overview(found: Sequence[Compiled]) -> Table:
    columns = ("network", "board", "core", "kernels", "input", "rounding", "exact", "flash")
    rows = []
    for one in found:
        report, check, memory = one.report, one.report.check, one.report.memory
        exact = UNKNOWN if check is None else f"{check.exact_samples} of {check.samples}"
        accuracy = report.accuracy
        rows.append(
            (
                report.network.name,
                report.board,
                report.core,
                report.kernel_set,
                report.input_mode,
                report.rounding,
                exact,
                f"{memory.flash_bytes:,}",
                f"{memory.static_ram_bytes + memory.stack_bytes_planned:,}",
                f"{report.network.macs_computed:,}",
                number(None if check is None else check.instructions),
                number(cycles_of(report)),
                UNKNOWN if accuracy is None else f"{accuracy.int8_percent:.2f}",
            )
        )
    return table(
        "Compiled and checked",
        (*columns, "RAM", "MACs", "instructions", "cycles", "top-1, %"),
        rows,
        f"exact: samples whose every bit equals the reference's. flash, RAM: linked bytes, the"
        f" stack reserved included. {MODELLED}",
        left=(0, 1, 2, 3, 4, 5),
        wide=True,
    )


def cycles_of(report: Report) -> int | None:
    """Of one inference: measured on a part where that is known, otherwise modelled."""
    check = report.check
    if check is None:
        return None
    return check.modelled_cycles if check.measured_cycles is None else check.measured_cycles


def _network(index: int, one: Compiled) -> Section:
    report, check = one.report, one.report.check
    where = "It was not checked."
    if check is not None:
        where = f"Checked on: {check.where}."
    elif report.earlier_check is not None:
        where = f"It was not checked; build {report.earlier_check.build_id} was."
    if check is not None and check.mismatch:
        where += f" It differs: {check.mismatch}."
    blocks: list[Table | Figure] = [_stages(report)]
    series = costs.Series(report.network.name, report.stages)
    source = MEASURED if any(s.measured_cycles for s in report.stages) else MODELLED
    roof = costs.roofline(
        f"roof-{index}", "Stages against the core's limit", [(report.core, [series])], source
    )
    if roof is not None:
        blocks += [roof, _share(index, report, series, source)]
    if one.memory is not None:
        blocks.append(memory_figure(f"memory-{index}", one.memory))
    title = f"{report.network.name} on {report.board}"
    return Section(f"network-{index}", title, (f"{one.name}. {where}",), tuple(blocks))


def _stages(report: Report) -> Table:
    rows = []
    for index, stage in enumerate(report.stages):
        cycles = stage.modelled_cycles if stage.measured_cycles is None else stage.measured_cycles
        rows.append(
            (
                f"{index} {stage.kind}",
                stage.input,
                stage.output,
                f"{stage.macs:,}",
                number(stage.instructions),
                number(stage.modelled_cycles),
                number(stage.measured_cycles),
                UNKNOWN if not cycles or not stage.macs else f"{cycles / stage.macs:.2f}",
            )
        )
    columns = ("stage", "in", "out", "MACs", "instructions", "modelled", "measured", "a MAC")
    return table("Stages", columns, rows, MODELLED)


def _share(index: int, report: Report, series: costs.Series, source: str) -> Figure:
    bars: list[tuple[str, list[float]]] = [
        ("multiply-adds", [float(stage.macs) for stage in report.stages]),
        ("parameters", [float(costs.weights(stage)) for stage in report.stages]),
        ("cycles", [float(spent or 0) for spent in series.cycles()]),
    ]
    kinds = [stage.kind for stage in report.stages]
    return costs.shares(f"share-{index}", "Share of each stage", bars, kinds, source)
