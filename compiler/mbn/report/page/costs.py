"""Where the cycles go: each stage against its core's limit, and its share of the whole.

What enters: stages with multiply-accumulates and cycles. What leaves: figures. Always holds: a
stage whose cycles are unknown is not drawn; the limits are those of the core alone, whatever the
kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from mbn.core.target import CORES, Limits, core_title
from mbn.report import StageFacts
from mbn.report.page import plots
from mbn.report.page.content import Figure

LIMIT_NOTE = (
    "Line: the core's limit, from its multiply-accumulates a cycle (M0+, M3: one in two cycles; M4,"
    " M33, M7: two by SMLAD; M55: eight by VMLADAV) and its data bus (M7, M55: 8 bytes a cycle"
    " beside the multiplies; the others 4, in turn with them). Bytes moved: input map, output map"
    " and weights, each once."
)
# What the kernels' inner loop allows where that is less: 16 products in 14.5 cycles with their
# loads (passes/kernels/asm/pointwise.py).
INNER_LOOP: Mapping[str, float] = {"cortex-m4f": 16 / 14.5, "cortex-m33": 16 / 14.5}
INNER_NOTE = "Dotted: the kernels' inner loop on M4 and M33, 16 in 14.5 cycles with their loads."
KINDS = {"conv": 1, "block": 0, "dense": 2, "pool": 3}
OTHER = 4


@dataclass(frozen=True)
class Series:
    """One network's stages on a core. `measured`: by a part's counter, not modelled."""

    name: str
    stages: tuple[StageFacts, ...]

    def cycles(self) -> list[int | None]:
        """Of each stage: measured on a part where that is known, otherwise modelled."""
        return [
            one.modelled_cycles if one.measured_cycles is None else one.measured_cycles
            for one in self.stages
        ]


def weights(stage: StageFacts) -> int:
    """Of a convolution, block or dense stage: what each place of its output multiplies by."""
    height, width, _ = shape(stage.output)
    return stage.macs // (height * width)


def shape(text: str) -> tuple[int, int, int]:
    """Of "48x48x8"."""
    height, width, channels = (int(part) for part in text.split("x"))
    return height, width, channels


def intensity(stage: StageFacts) -> float:
    """Multiply-accumulates for each byte that must be moved."""
    moved = math.prod(shape(stage.input)) + math.prod(shape(stage.output)) + weights(stage)
    return stage.macs / moved


def limit(core: str, macs_per_byte: float) -> float:
    """Multiply-accumulates a cycle that no kernel exceeds."""
    limits = limits_of(core)
    assert limits is not None, core
    most, loaded = limits.macs_per_cycle, limits.load_bytes * macs_per_byte
    return min(most, loaded) if limits.loads_beside else 1 / (1 / most + 1 / loaded)


def limits_of(core: str) -> Limits | None:
    """What limits a core; None where that is not known, or for an unknown core."""
    return CORES[core].limits if core in CORES else None


def roofline(
    name: str, title: str, panels: Sequence[tuple[str, Sequence[Series]]], source: str
) -> Figure | None:
    """A panel a core: stages by multiply-accumulates a byte and a cycle; colours are kinds, markers
    networks. None where no panel's core has a limit here or nothing is known."""
    shown = [(core, series) for core, series in panels if limits_of(core) and _known(series)]
    if not shown:
        return None
    with plots.style():
        made, axes = plots.drawing(1, len(shown), 3.7)
        for place, (core, series) in zip(axes, shown, strict=True):
            _roof(place, core, series)
        axes[0].set_ylabel("multiply-accumulates a cycle")
        _legend(made, [series for _, series in shown], [core for core, _ in shown])
        svg = plots.to_svg(made, name, title)
    note = INNER_NOTE if any(core in INNER_LOOP for core, _ in shown) else ""
    return Figure(name, title, svg, f"{source} {LIMIT_NOTE} {note}".rstrip())


def _known(series: Sequence[Series]) -> bool:
    return any(cycles for one in series for cycles in one.cycles())


def _roof(axes: Axes, core: str, series: Sequence[Series]) -> None:
    low, high, most = math.inf, 0.0, limit(core, math.inf)
    for number, one in enumerate(series):
        named: dict[tuple[float, float], list[int]] = {}
        for index, (stage, cycles) in enumerate(zip(one.stages, one.cycles(), strict=True)):
            if cycles and stage.macs:
                at, reached = intensity(stage), stage.macs / cycles
                low, high = min(low, at), max(high, at)
                colour = plots.SERIES[KINDS.get(stage.kind, OTHER)]
                axes.plot(at, reached, color=colour, **_marker(number))
                named.setdefault((at, reached), []).append(index)
        if len(series) == 1:
            _name_stages(axes, named)
    line = np.geomspace(low / 1.6, high * 1.6, 200)
    axes.plot(line, [limit(core, float(x)) for x in line], color=plots.INK, linewidth=1.3)
    if core in INNER_LOOP:
        axes.axhline(INNER_LOOP[core], color=plots.INK, linewidth=1.1, linestyle=":")
    plots.log_axis(axes, "x", plots.ticks_between(low / 1.6, high * 1.6, 6))
    axes.set_ylim(0, 1.08 * most)
    axes.set_title(core_title(core))
    axes.set_xlabel("multiply-accumulates a byte moved")


def _name_stages(axes: Axes, named: Mapping[tuple[float, float], Sequence[int]]) -> None:
    """The stages' numbers beside their points; of a run of equal stages the first and the last."""
    for place, numbers in named.items():
        words = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} .. {numbers[-1]}"
        axes.annotate(
            words,
            place,
            xytext=(5, 3),
            textcoords="offset points",
            fontsize=8.5,
            color=plots.MUTED,
        )


def _marker(number: int) -> dict[str, Any]:
    """Of the network of that number; every second one is hollow."""
    how: dict[str, Any] = {
        "marker": plots.MARKERS[number % len(plots.MARKERS)],
        "linestyle": "none",
    }
    return {**how, "markerfacecolor": "none"} if number % 2 else how


def _legend(made: Drawing, panels: Sequence[Sequence[Series]], cores: Sequence[str]) -> None:
    """Kinds by colour, networks by marker where there are several, then the lines."""
    kinds = {stage.kind for panel in panels for one in panel for stage in one.stages if stage.macs}
    handles = [
        Line2D([], [], color=plots.SERIES[KINDS.get(kind, OTHER)], marker="o", linestyle="none")
        for kind in (*KINDS, "other")
        if kind in kinds or (kind == "other" and kinds - set(KINDS))
    ]
    names = [kind for kind in KINDS if kind in kinds] + (["other"] if kinds - set(KINDS) else [])
    largest = max(panels, key=len)
    if len(largest) > 1:
        handles += [Line2D([], [], color=plots.INK, **_marker(n)) for n in range(len(largest))]
        names += [one.name for one in largest]
    handles.append(Line2D([], [], color=plots.INK, linewidth=1.3))
    names.append("the core's limit")
    if any(core in INNER_LOOP for core in cores):
        handles.append(Line2D([], [], color=plots.INK, linewidth=1.1, linestyle=":"))
        names.append("the kernels' inner loop")
    made.legend(handles, names, loc="outside upper left", ncols=len(names), handletextpad=0.2)


def shares(
    name: str,
    title: str,
    rows: Sequence[tuple[str, Sequence[float]]],
    kinds: Sequence[str],
    source: str,
) -> Figure:
    """One bar a row, divided among the stages; the numbers in it are the stages'."""
    with plots.style():
        made, (axes,) = plots.drawing(1, 1, 0.62 * len(rows) + 0.7)
        for at, (_, values) in enumerate(rows):
            _bar(axes, at, values, kinds)
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("percent of the whole")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        svg = plots.to_svg(made, name, title)
    note = "Numbers are stages, 0 the first convolution; those below 2.5 % have none."
    return Figure(name, title, svg, f"{source} {note}")


def _bar(axes: Axes, at: int, values: Sequence[float], kinds: Sequence[str]) -> None:
    left, total = 0.0, sum(values) or 1
    for index, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        part = 100 * value / total
        colour = plots.SERIES[5 if kind == "block" and index % 2 else KINDS.get(kind, OTHER)]
        axes.barh(at, part, 0.72, left, color=colour, edgecolor=plots.PAGE, linewidth=0.8)
        if part >= 2.5:
            axes.text(
                left + part / 2,
                at,
                str(index),
                color=plots.PAGE,
                ha="center",
                va="center",
                fontsize=9,
            )
        left += part
