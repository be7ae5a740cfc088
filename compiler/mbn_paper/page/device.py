"""The paper's models on microcontrollers, as sections.

What enters: planned rows and runs (`mbn_paper.device.entries`). What leaves: sections. Always
holds: the figures are those that `mbn-paper device` prints; plots of stages are of runs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from mbn.core.boards import find_board
from mbn.core.options import InputMode, Options
from mbn.core.target import core_title
from mbn.jobs.lower import lowering
from mbn.jobs.lower.mapping import map_of
from mbn.passes.predict import family_network
from mbn.report import StageFacts
from mbn.report.page import costs, plots
from mbn.report.page.content import Figure, Section, Table, table
from mbn.report.page.memory import memory_figure
from mbn.report.table import UNKNOWN
from mbn_paper.device import cells as device_cells
from mbn_paper.device.entries import CoreRow, Device
from mbn_paper.device.runs import CLASSES

RUN = "Counted instructions, modelled cycles for zero-wait memory, of runs in emulation."
SHOWN = ("0.25-96", "0.5-160", "1-224")  # sizes whose stages are drawn
MAP_SIZE = (0.25, 96)


def sections(found: Device) -> tuple[Section, ...]:
    """What it takes, what fits, the stages, the memory over time."""
    return (
        Section(
            "device",
            "The models on microcontrollers",
            (
                f"The paper's 16 models and the 96s, {CLASSES} classes, all channels computed.",
                device_cells.CORE_NOTE,
            ),
            _core_blocks(found),
        ),
        _fit_section(found),
        *_stage_sections(found),
        _memory_section(),
    )


def _core_blocks(found: Device) -> tuple[Table | Figure, ...]:
    tables = [
        table(
            f"{board.core.name} ({board.name})",
            device_cells.CORE_COLUMNS,
            [device_cells.core_cells(row) for row in rows],
            left=(0, len(device_cells.CORE_COLUMNS) - 1),
        )
        for board, rows in device_cells.by_core(found)
    ]
    return (_growth(found), _ram(found), *tables)


def _fit_section(found: Device) -> Section:
    columns, rows = device_cells.fit_rows(found)
    boards = {row.board.name: row.board for row in found.boards}
    matrix = table(
        "What fits, and milliseconds at zero wait",
        columns,
        rows,
        device_cells.FIT_NOTE,
        wide=True,
        faint=("flash", "RAM", "flash+RAM", UNKNOWN),
    )
    holds = table(
        "The smallest board that holds each size",
        device_cells.HOLD_COLUMNS,
        device_cells.hold_rows(found),
        device_cells.HOLD_NOTE,
        left=(0, 2),
        wide=True,
        faint=(UNKNOWN, "none"),
    )
    energy_columns, energy = device_cells.energy_rows(found)
    millijoules = table(
        "Energy of an inference, mJ",
        energy_columns,
        energy,
        device_cells.ENERGY_NOTE,
        wide=True,
        faint=(UNKNOWN,),
    )
    currents = table(
        "Published currents",
        device_cells.ENERGY_COLUMNS,
        device_cells.current_rows(found),
        left=(0, 3),
    )
    parts = []
    for board in boards.values():
        own = [row for row in device_cells.rows_of(found, board) if row.times is not None]
        if own:
            parts.append(
                table(
                    device_cells.board_title(board),
                    device_cells.BOARD_COLUMNS,
                    [device_cells.board_cells(row) for row in own],
                    wide=True,
                )
            )
    times = Section(
        "times",
        "Times on each board",
        (f"Sizes that fit a board whose core has a model. {device_cells.BOARD_NOTE}",),
        tuple(parts),
    )
    blocks = (matrix, holds, *((millijoules, currents) if energy else ()))
    return Section("fits", "What fits which board", (), blocks, (times,))


def _lines(axes: Axes, rows: Sequence[CoreRow], value: str, **how: Any) -> None:
    """A line an alpha over the resolution."""
    for number, alpha in enumerate(dict.fromkeys(row.size.alpha for row in rows)):
        own = sorted(
            (row.size.resolution, y)
            for row in rows
            if row.size.alpha == alpha and (y := _VALUES[value](row)) is not None
        )
        if own:
            axes.plot(
                *zip(*own, strict=True),
                color=plots.SERIES[number % len(plots.SERIES)],
                marker=plots.MARKERS[number % len(plots.MARKERS)],
                **how,
            )


_VALUES: Mapping[str, Callable[[CoreRow], float | None]] = {
    "cycles": lambda row: None if row.cycles is None else row.cycles / row.stream.macs,
    "stream": lambda row: row.stream.ram_bytes / 1024,
    "whole": lambda row: row.whole.ram_bytes / 1024,
}


def _panels(found: Device, name: str, title: str, label: str, lines: Sequence[str]) -> str:
    rows = device_cells.by_core(found)
    with plots.style():
        made, axes = plots.drawing(1, len(rows), 3.3)
        for place, (board, own) in zip(axes, rows, strict=True):
            for index, value in enumerate(lines):
                how: dict[str, Any] = (
                    {"linestyle": "--", "markerfacecolor": "none"} if index else {}
                )
                _lines(place, own, value, **how)
            place.set_title(core_title(board.core.name))
            place.set_xlabel("rows = columns of the image")
            place.set_xticks(sorted({row.size.resolution for row in own}))
            most = [y for row in own for of in lines if (y := _VALUES[of](row)) is not None]
            place.set_ylim(0, 1.06 * max(most, default=1))
        axes[0].set_ylabel(label)
        alphas = dict.fromkeys(row.size.alpha for row in found.cores)
        names = [f"alpha {alpha:g}" for alpha in alphas]
        handles = axes[0].get_lines()[: len(names)]
        made.legend(handles, names, loc="outside upper left", ncols=len(names))
        return plots.to_svg(made, name, title)


def _growth(found: Device) -> Figure:
    title = "Cycles a multiply-accumulate, by size and core"
    svg = _panels(found, "growth", title, "cycles a multiply-accumulate", ("cycles",))
    return Figure("growth", title, svg, f"{RUN} Where nothing ran, predicted.")


def _ram(found: Device) -> Figure:
    title = "RAM by size and core"
    svg = _panels(found, "ram", title, "RAM, KB", ("stream", "whole"))
    note = (
        "Planned: arena, the check firmware's own data and the stack. Solid: image rows streamed"
        " in; dashed, hollow: the image whole in RAM."
    )
    return Figure("ram", title, svg, note)


def _series(row: CoreRow) -> costs.Series | None:
    return None if row.run is None else costs.Series(row.size.name, row.run.report.stages)


def _stage_sections(found: Device) -> tuple[Section, ...]:
    """Roofline and shares, of the runs of SHOWN, or of the largest that ran."""
    ran = [row for row in found.cores if row.run is not None]
    names = [name for name in SHOWN if any(row.size.name == name for row in ran)]
    names = names or [row.size.name for row in ran[:1]]
    if not names:
        return ()
    panels = [
        (board.core.name, [s for row in rows if row.size.name in names and (s := _series(row))])
        for board, rows in device_cells.by_core(found)
    ]
    title = "Stages against the core's limit"
    roof = costs.roofline("roofline", title, panels, RUN)
    made = [] if roof is None else [Section("roof", "Roofline by core", (), (roof,))]
    figures = [_share(found, name) for name in names]
    lead = (
        "The more a core's bar is like that of the multiply-adds, the more its cycles follow them."
    )
    return (*made, Section("shares", "Share of each stage", (lead,), tuple(figures)))


def _share(found: Device, name: str) -> Figure:
    """Of one size: multiply-accumulates, parameters and each core's cycles."""
    rows = [row for row in found.cores if row.size.name == name and row.run is not None]
    stages: Sequence[StageFacts] = rows[0].run.report.stages if rows[0].run else ()
    bars: list[tuple[str, list[float]]] = [
        ("multiply-adds", [float(stage.macs) for stage in stages]),
        ("parameters", [float(costs.weights(stage)) for stage in stages]),
    ]
    for row in rows:
        series = _series(row)
        assert series is not None
        bars.append((f"cycles, {row.stream.board.core.name}", [c or 0 for c in series.cycles()]))
    title = f"{name}: share of each stage"
    figure_name = f"share-{name.replace('.', '-')}"
    return costs.shares(figure_name, title, bars, [stage.kind for stage in stages], RUN)


def _memory_section() -> Section:
    """The least and the planned arena of the smallest size, in both input modes."""
    alpha, resolution = MAP_SIZE
    board = find_board("qemu")
    network = family_network(alpha, resolution, CLASSES)
    figures = []
    for mode in InputMode:
        tuned = lowering.bundled_tuning(board.core)
        target = lowering.Target(board.core.kernels, tuned=tuned)
        made = lowering.planned(network, target, Options(mode))
        memory = map_of(network, board.core.kernels, made)
        figures.append(memory_figure(f"memory-{mode}", memory))
    return Section(
        "memory",
        "Memory over time",
        (f"{alpha:g}-{resolution} on the {board.core.name}, as mbn-compile --plan-only draws it.",),
        tuple(figures),
    )
