"""Figures as tables for the terminal.

What enters: a report. What leaves: rich tables. Always holds: an unknown figure is a dash;
modelled figures say that they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, JustifyMethod
from rich.text import Text

from mbn.report.record import Memory, Report, StageFacts
from mbn.report.sheet import Sheet

UNKNOWN = "-"
# Title, justification, and how soon the column may be left out (0: never)
_COLUMNS: tuple[tuple[str, JustifyMethod, int], ...] = (
    ("", "right", 0),
    ("stage", "left", 0),
    ("in", "right", 1),
    ("out", "right", 0),
    ("MACs", "right", 0),
    ("instr.", "right", 3),
    ("cycles*", "right", 0),
    ("*/MAC", "right", 2),
    ("unaligned", "right", 4),
    ("measured", "right", 0),
)


def number(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _ratio(cycles: int | None, macs: int) -> str:
    return UNKNOWN if cycles is None or not macs else f"{cycles / macs:.2f}"


def memory_lines(memory: Memory) -> Group:
    """Flash and RAM in bytes, for people."""
    painted = memory.stack_bytes_painted
    used = f", {painted:,} used" if painted is not None else ""
    return Group(
        Text(
            f"flash  {memory.flash_bytes:>10,} bytes  "
            f"({memory.weights_bytes:,} weights and tables, {memory.code_bytes:,} code)"
        ),
        Text(
            f"RAM    {memory.static_ram_bytes:>10,} bytes  "
            f"({memory.arena_bytes:,} arena; stack besides: "
            f"{memory.stack_bytes_planned:,} reserved{used})"
        ),
    )


def stage_table(report: Report) -> Sheet:
    """Stage, shape, MACs, instructions, cycles, cycles per MAC; the last row is the whole."""
    table = Sheet(f"{report.network.name} on {report.board} ({report.core})")
    rows = [_cells(str(index), stage) for index, stage in enumerate(report.stages)]
    check, network = report.check, report.network
    if check is not None:
        whole = StageFacts(
            "",
            "whole",
            "",
            "",
            network.macs_computed,
            check.instructions,
            check.modelled_cycles,
            check.measured_cycles,
            check.unaligned_cycles,
        )
        rows.append(_cells("", whole))
    # a column without any figure is left out
    shown = [i for i in range(len(_COLUMNS)) if any(row[i] != UNKNOWN for row in rows)]
    for index in shown:
        table.column(*_COLUMNS[index])
    for at, row in enumerate(rows):
        table.add_row(*(row[index] for index in shown), end_section=at == len(report.stages) - 1)
    return table


def _cells(index: str, stage: StageFacts) -> list[str]:
    return [
        index,
        stage.kind,
        stage.input,
        stage.output,
        number(stage.macs),
        number(stage.instructions),
        number(stage.modelled_cycles),
        _ratio(stage.modelled_cycles, stage.macs),
        number(stage.unaligned_cycles),
        number(stage.measured_cycles),
    ]


_PREDICTED: tuple[tuple[str, JustifyMethod, int], ...] = (
    *_COLUMNS[:5],
    ("predicted*", "right", 0),
    ("*/MAC", "right", 2),
    ("floor", "right", 4),
    ("of it", "right", 3),
)


def prediction_table(
    title: str,
    stages: Sequence[StageFacts],
    cycles: Sequence[int | None],
    floors: Sequence[int],
    total: int,
) -> Sheet:
    """Predicted cycles of each stage, and how many times the floor of its multiplies that is."""
    table = Sheet(title)
    for column in _PREDICTED:
        table.column(*column)

    def times(spent: int | None, floor: int) -> str:
        return UNKNOWN if spent is None or not floor else f"{spent / floor:.2f} x"

    for at, (stage, spent, floor) in enumerate(zip(stages, cycles, floors, strict=True)):
        table.add_row(
            *_cells(str(at), stage)[:5],
            number(spent),
            _ratio(spent, stage.macs),
            number(floor or None),
            times(spent, floor),
            end_section=at == len(stages) - 1,
        )
    macs, floor = sum(stage.macs for stage in stages), sum(floors)
    whole = ("", "whole", "", "", number(macs), number(total), _ratio(total, macs))
    table.add_row(*whole, number(floor), times(total, floor))
    return table


def accuracy_lines(report: Report) -> Group:
    """How often the float network, the exact integers and the device are right, or agree: three
    different things."""
    accuracy, check = report.accuracy, report.check
    assert accuracy is not None

    def line(name: str, top1: float | None, top5: float | None) -> Text:
        said = UNKNOWN if top1 is None else f"top-1 {top1:6.2f} %"
        more = "" if top5 is None else f", top-5 {top5:6.2f} %"
        return Text(f"{name:<28} {said}{more}")

    rows = [
        Text(f"on {accuracy.samples:,} labelled samples"),
        line("  the float network", accuracy.float_percent, accuracy.float_top5_percent),
        line("  the exact integers", accuracy.int8_percent, accuracy.int8_top5_percent),
    ]
    if check is not None:
        rows.append(
            Text(
                f"{'  the device':<28} the integers' top-1 on "
                f"{100 * check.top1_agreement:.1f} % of the {check.samples} samples checked"
            )
        )
    return Group(*rows)


def print_check(report: Report, console: Console) -> None:
    """The verdict and the table."""
    check = report.check
    if check is None:
        return
    console.print(stage_table(report))
    if check.modelled_cycles is not None:
        console.print("*Cycles are modelled for zero-wait memory, not measured on a part.")
        if check.unaligned_cycles is not None:
            console.print(
                " Unaligned: cycles besides, one for each access that the data bus makes of an "
                "unaligned one beyond one."
            )
    if check.measured_cycles is not None and "emulated by" in check.where:
        console.print(
            " Measured: by that emulator's own counter, which shares nothing with the model and "
            "knows no waits\n either."
        )
    verdict = "all bits equal" if check.exact_samples == check.samples else "DIFFERENT"
    if check.boxes is not None and check.is_exact:
        verdict += f", all {check.boxes:,} boxes too"
    console.print(
        f"{check.exact_samples} of {check.samples} samples exact: {verdict} "
        f"(top-1 agreement {100 * check.top1_agreement:.1f} %)",
        style="bold green" if check.exact_samples == check.samples else "bold red",
    )
    if report.accuracy is not None:
        console.print(accuracy_lines(report))
    if check.mismatch:
        console.print(check.mismatch, style="red")
