"""The study: the paper's claims as they came out, and accuracy against what it costs.

What enters: results of trainings and their log. What leaves: sections. Always holds: the claims'
come first, those of the paper's design before any other; a point is the mean over seeds, its bar
their sample standard deviation; costs of drawn weights are marked; networks that were not run on a
board have no RAM and no milliseconds, and the section says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from mbn.report.page import plots
from mbn.report.page.content import Figure, Section, Table, table
from mbn.report.table import UNKNOWN
from mbn_paper.study.findings import (
    DRAWN,
    Spread,
    claims,
    findings,
    grouped,
    int8_cell,
    spread,
)
from mbn_paper.study.results import Epoch, Result
from mbn_paper.study.words import CLAIM_COLUMNS, NAMES, claim_cells, method, studies, title

CLOCK_MHZ = 168  # of the STM32F405, a Cortex-M4
Axis = tuple[str, Callable[[Result], float | None]]
AXES: tuple[Axis, ...] = (
    ("multiply-adds, millions", lambda one: one.macs / 1e6),
    ("parameters, millions", lambda one: one.params / 1e6),
    ("RAM of the activations, KB", lambda one: _scaled(one.arena_bytes, 1024)),
    (
        f"milliseconds on a Cortex-M4 at {CLOCK_MHZ} MHz",
        lambda one: _scaled(one.cycles, CLOCK_MHZ * 1000),
    ),
)
SOURCE = (
    "Measured: top-1 on test images, int8 by the exact integer reference. Counted: multiply-adds"
    " and parameters. Of runs on an emulated Cortex-M4, every bit compared: RAM, image rows"
    " streamed in, and milliseconds, modelled for zero-wait memory."
)


def _scaled(value: int | None, by: int) -> float | None:
    return None if value is None else value / by


def claims_section(results: Sequence[Result]) -> Section:
    """The table of claims of each study, and how its networks were trained."""
    groups = studies(results)
    tables = tuple(
        table(
            f"The paper's claims, {title(group)}",
            CLAIM_COLUMNS,
            [claim_cells(claim) for claim in claims(group)],
            " ".join(method(group)),
            left=tuple(range(len(CLAIM_COLUMNS))),
        )
        for group in groups
    )
    first = claims(groups[0])
    met = sum(claim.agrees for claim in first)
    differ = ", ".join(f"{claim.table} ({claim.says})" for claim in first if not claim.agrees)
    lead = (
        f"{met} of {len(first)} claims agree with {title(groups[0])}."
        + (f" What differs: {differ}." if differ else ""),
        "Accuracies on small images are not those of ImageNet: differences are compared.",
    )
    return Section("claims", "Are the paper's claims met?", lead, tables)


def sections(results: Sequence[Result], log: Sequence[Epoch]) -> tuple[Section, ...]:
    """One a study; none where there are no results."""
    return tuple(
        _section(group, [one for one in log if one.study == group[0].study])
        for group in studies(results)
    )


def _section(results: Sequence[Result], log: Sequence[Epoch]) -> Section:
    study = results[0].study
    variants = grouped(results)
    parts = [
        Section(
            f"study-{study}-{number}",
            f"{one.title[0].upper()}{one.title[1:]}",
            tuple(f"{claim}." for claim in one.claims) + one.notes,
            (table("Top-1 in percent, mean ± deviation", ("network", *one.columns), one.rows),),
        )
        for number, one in enumerate(findings(results), 1)
    ]
    blocks: list[Table | Figure] = [_accuracy(study, variants), _all(variants)]
    if log:
        blocks.insert(1, _losses(study, log))
    return Section(
        f"study-{study}",
        f"Accuracy against cost: {title(results)}",
        method(results),
        tuple(blocks),
        tuple(parts),
    )


def _losses(study: str, log: Sequence[Epoch]) -> Figure:
    """Training loss by epoch, a line a network."""
    named = f"Training loss, {study}"
    networks = list(dict.fromkeys((one.network, one.alpha, one.resolution) for one in log))
    with plots.style():
        made, (axes,) = plots.drawing(1, 1, 3.6)
        for number, network in enumerate(networks):
            own = [one for one in log if (one.network, one.alpha, one.resolution) == network]
            epochs = sorted({one.epoch for one in own})
            losses = [spread([one.loss for one in own if one.epoch == epoch]) for epoch in epochs]
            name, alpha, resolution = network
            turn, colour = divmod(number, len(plots.SERIES))
            axes.plot(
                epochs,
                [of.mean for of in losses],
                linestyle=("-", "--", ":")[turn % 3],
                marker=plots.MARKERS[number % len(plots.MARKERS)],
                color=plots.SERIES[colour],
                label=f"{name} {alpha:g} at {resolution}",
            )
        axes.set_xticks(sorted({one.epoch for one in log}))
        axes.set_xlabel("epoch")
        axes.set_ylabel("mean loss of the epoch")
        made.legend(loc="outside right upper")
        svg = plots.to_svg(made, f"loss-{study}", named)
    caption = "Measured while training, mean over seeds: cross entropy with smoothed labels."
    return Figure(f"loss-{study}", named, svg, caption)


def _accuracy(study: str, variants: dict[tuple[str, float, int], list[Result]]) -> Figure:
    """Four plots: accuracy over each cost, float hollow and int8 filled."""
    named = f"Accuracy against what it costs, {study}"
    with plots.style():
        first = [seeds[0] for seeds in variants.values()]
        known = [(label, cost) for label, cost in AXES if any(cost(one) for one in first)]
        made, axes = plots.drawing(len(known) // 2, 2, 3.4)
        for place, (label, cost) in zip(axes, known, strict=True):
            _points(place, variants, cost)
            place.set_xlabel(label)
        low, high = axes[0].get_ylim()
        for place in axes:
            place.set_ylim(low, high)
        for place in axes[::2]:
            place.set_ylabel("top-1, percent")
        handles, names = axes[0].get_legend_handles_labels()
        made.legend(handles, names, loc="outside upper left", ncols=len(names), handletextpad=0.2)
        svg = plots.to_svg(made, f"accuracy-{study}", named)
    marks = "Filled: int8; hollow: float. Bars: one sample standard deviation over seeds."
    return Figure(f"accuracy-{study}", named, svg, f"{marks} {SOURCE}")


def _points(
    axes: Axes,
    variants: dict[tuple[str, float, int], list[Result]],
    cost: Callable[[Result], float | None],
) -> None:
    known = [x for seeds in variants.values() if (x := cost(seeds[0])) is not None]
    for number, name in enumerate(dict.fromkeys(key[0] for key in variants)):
        own = [seeds for key, seeds in variants.items() if key[0] == name]
        for kind, filled in (("float", False), ("int8", True)):
            at = [
                (x, spread(tops))
                for seeds in own
                if (x := cost(seeds[0])) is not None and (tops := _tops(seeds, kind))
            ]
            if at:
                _errorbars(axes, at, number, "" if filled else NAMES[name], filled)
    if known:
        low, high = min(known) / 1.3, max(known) * 1.3
        plots.log_axis(axes, "x", plots.ticks_between(low, high, 6))
        axes.set_xlim(low, high)


def _tops(seeds: Sequence[Result], kind: str) -> list[float]:
    """Percentages of float or int8, where they are known."""
    found = (one.int8_percent if kind == "int8" else one.float_percent for one in seeds)
    return [top for top in found if top is not None]


def _errorbars(
    axes: Axes, at: Sequence[tuple[float, Spread]], number: int, label: str, filled: bool
) -> None:
    colour = plots.SERIES[number % len(plots.SERIES)]
    axes.errorbar(
        [x for x, _ in at],
        [of.mean for _, of in at],
        yerr=[math.nan if of.deviation is None else of.deviation for _, of in at],  # nan: no bar
        linestyle="none",
        marker=plots.MARKERS[number % len(plots.MARKERS)],
        color=colour,
        markerfacecolor=colour if filled else "none",
        elinewidth=1,
        capsize=2.5,
        label=label or None,
    )


def _all(variants: dict[tuple[str, float, int], list[Result]]) -> Table:
    rows = []
    for (name, alpha, resolution), seeds in variants.items():
        first = seeds[0]
        rows.append(
            (
                NAMES[name],
                f"{alpha:g}",
                str(resolution),
                str(len(seeds)),
                str(first.epochs),
                str(spread([one.float_percent for one in seeds])),
                int8_cell(seeds),
                *(_cell(cost(first)) for _, cost in AXES[:2]),
                *(_cell(cost(first), DRAWN if first.drawn else "") for _, cost in AXES[2:]),
            )
        )
    columns = ("network", "alpha", "pixels", "seeds", "epochs", "float, %", "int8, %")
    return table(
        "All networks of the study",
        (*columns, "multiply-adds, M", "parameters, M", "RAM, KB", "ms"),
        rows,
        f"{SOURCE} At {CLOCK_MHZ} MHz. {DRAWN}: of drawn weights.",
        wide=True,
    )


def _cell(value: float | None, mark: str = "") -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.3g}{mark}" if value < 100 else f"{value:,.0f}{mark}"
