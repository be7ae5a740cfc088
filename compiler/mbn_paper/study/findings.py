"""What a study's results say of the paper's claims.

What enters: results of one study. What leaves: a `Finding` a comparison: rows with mean and sample
standard deviation over seeds, the paper's figure beside, and sentences with the differences. Always
holds: every figure is computed from the results; whether the paper's order is met is decided by
pairs of one seed, and said either way.

Source: arXiv 1704.04861, tables 4 to 7 (top-1 on ImageNet).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, stdev

from mbn_paper.study.results import Result

COLUMNS = ("multiply-adds", "params", "seeds", "float", "int8", "int8 - float", "paper")
# Top-1 on ImageNet, verified as the figures of mbn-paper tables are.
PAPER_FORMS = {"conv": 71.7, "separable": 70.6}  # Table 4
PAPER_THIN, PAPER_SHALLOW = 68.4, 65.3  # Table 5
PAPER_ALPHAS = {1.0: 70.6, 0.75: 68.4, 0.5: 63.7, 0.25: 50.6}  # Table 6
PAPER_RESOLUTIONS = "70.6, 69.1, 67.2, 64.4 at 224, 192, 160, 128"  # Table 7


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of percentages, over seeds."""

    mean: float
    deviation: float | None  # None: one seed

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if self.deviation is None else f" ± {self.deviation:.2f}")


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(mean(values), stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Finding:
    """One comparison; a row has a name and a cell for each of `columns`."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    claims: tuple[str, ...]


Group = dict[tuple[str, float, int], list[Result]]  # by form, alpha, resolution


def grouped(found: Sequence[Result]) -> Group:
    """Results of a network's seeds together."""
    made: Group = {}
    for one in found:
        made.setdefault((one.network, one.alpha, one.resolution), []).append(one)
    return made


def findings(found: Sequence[Result]) -> list[Finding]:
    """The comparisons for which there are results."""
    groups = grouped(found)
    largest = max(one.resolution for one in found)
    made = [
        _forms(groups, largest),
        _thin(groups, largest),
        _alphas(groups, largest),
        _resolutions(groups),
        _integers(found),
    ]
    return [one for one in made if one is not None]


def _row(name: str, seeds: Sequence[Result], paper: float | None) -> tuple[str, ...]:
    first = seeds[0]
    return (
        name,
        f"{first.macs / 1e6:.2f} M",
        f"{first.params / 1e6:.3f} M",
        str(len(seeds)),
        str(spread([one.float_percent for one in seeds])),
        str(spread([one.int8_percent for one in seeds])),
        f"{spread([one.int8_percent - one.float_percent for one in seeds]).mean:+.2f}",
        "" if paper is None else f"{paper:.1f}",
    )


def _less(first: Sequence[Result], second: Sequence[Result]) -> Spread:
    """First less second, in points, by pairs of one seed where there are such."""
    by_seed = {one.seed: one.float_percent for one in second}
    pairs = [one.float_percent - by_seed[one.seed] for one in first if one.seed in by_seed]
    if pairs:
        return spread(pairs)
    return Spread(
        mean(one.float_percent for one in first) - mean(one.float_percent for one in second), None
    )


def _verdict(agrees: bool) -> str:
    return "as in the paper" if agrees else "not as in the paper"


def _forms(groups: Group, largest: int) -> Finding | None:
    for form, alpha, resolution in groups:
        other = groups.get(("separable", alpha, resolution))
        if form != "conv" or other is None or resolution != largest:
            continue
        conv = groups[form, alpha, resolution]
        points = _less(conv, other)
        return Finding(
            f"table 4, full convolutions against depthwise separable, alpha {alpha:g}",
            COLUMNS,
            (
                _row("full convolutions", conv, PAPER_FORMS["conv"]),
                _row("depthwise separable", other, PAPER_FORMS["separable"]),
            ),
            (
                f"Separable loses {points} points for {conv[0].macs / other[0].macs:.1f} times "
                f"fewer multiply-adds (paper: 1.1 for 8.6): {_verdict(-1 <= points.mean <= 3)}, "
                "to two points.",
            ),
        )
    return None


def _thin(groups: Group, largest: int) -> Finding | None:
    shallow = next((key for key in groups if key[0] == "shallow" and key[2] == largest), None)
    if shallow is None:
        return None
    macs = groups[shallow][0].macs
    near = [key for key in groups if key[0] == "separable" and key[2] == largest]
    if not near:
        return None
    thin = min(near, key=lambda key: abs(math.log(groups[key][0].macs / macs)))
    points = _less(groups[thin], groups[shallow])
    what = "gains" if points.mean > 0 else "loses"
    size = Spread(abs(points.mean), points.deviation)
    return Finding(
        "table 5, thin against shallow",
        COLUMNS,
        (
            _row(f"thin, alpha {thin[1]:g}", groups[thin], PAPER_THIN),
            _row(f"shallow, alpha {shallow[1]:g}", groups[shallow], PAPER_SHALLOW),
        ),
        (
            f"Thin {what} {size} points against shallow (paper: gains 3.1): "
            f"{_verdict(points.mean > 0)} in its direction.",
        ),
    )


def _alphas(groups: Group, largest: int) -> Finding | None:
    alphas = sorted((key[1] for key in groups if key[::2] == ("separable", largest)), reverse=True)
    if len(alphas) < 2:
        return None
    series = [groups["separable", alpha, largest] for alpha in alphas]
    rows = [
        _row(f"alpha {alpha:g}", seeds, PAPER_ALPHAS.get(alpha))
        for alpha, seeds in zip(alphas, series, strict=True)
    ]
    claims = _line_claims(series, "alpha", "log-linear, and below it for alpha 0.25")
    return Finding("table 6, width multiplier", COLUMNS, tuple(rows), claims)


def _resolutions(groups: Group) -> Finding | None:
    of_alpha: dict[float, list[int]] = {}
    for form, alpha, resolution in groups:
        if form == "separable":
            of_alpha.setdefault(alpha, []).append(resolution)
    if not of_alpha:
        return None
    alpha, sizes = max(of_alpha.items(), key=lambda one: len(one[1]))
    if len(sizes) < 2:
        return None
    sizes.sort(reverse=True)
    series = [groups["separable", alpha, size] for size in sizes]
    rows = [
        _row(f"{size} x {size}", seeds, None)[:-1]
        for size, seeds in zip(sizes, series, strict=True)
    ]
    return Finding(
        f"table 7, resolution, alpha {alpha:g}",
        COLUMNS[:-1],
        tuple(rows),
        _line_claims(series, "resolution", PAPER_RESOLUTIONS),
    )


def _line_claims(series: Sequence[Sequence[Result]], what: str, paper: str) -> tuple[str, ...]:
    """Whether accuracy falls at each step down, and how straight it is over the logarithm of
    multiply-adds (figure 4): the least one's distance from the line through the others."""
    tops = [mean(one.float_percent for one in seeds) for seeds in series]
    steps = [_less(a, b) for a, b in pairwise(series)]
    falls = all(step.mean > 0 for step in steps)
    said = [
        f"Accuracy falls by {', '.join(str(step) for step in steps)} points at each step of "
        f"{what}: {_verdict(falls)} in its order."
    ]
    if len(series) >= 4:
        logs = [math.log2(seeds[0].macs) for seeds in series]
        slope, at = _line(logs[:-1], tops[:-1])
        away = tops[-1] - (slope * logs[-1] + at)
        said.append(
            f"Over the logarithm of multiply-adds: {slope:.2f} points a doubling; the smallest "
            f"lies {abs(away):.2f} points {'above' if away > 0 else 'below'} the line through the "
            f"others (paper: {paper})."
        )
    return tuple(said)


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope and intercept of the least squares line."""
    x_mean, y_mean = mean(x), mean(y)
    square = sum((a - x_mean) ** 2 for a in x)
    slope = sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True)) / square
    return slope, y_mean - slope * x_mean


def _integers(found: Sequence[Result]) -> Finding | None:
    forms: Callable[[Result], str] = lambda one: one.network  # noqa: E731
    names = list(dict.fromkeys(forms(one) for one in found))
    rows = []
    for name in names:
        points = [one.int8_percent - one.float_percent for one in found if one.network == name]
        of = spread(points)
        rows.append((name, str(len(points)), str(of), f"{min(points):+.2f}", f"{max(points):+.2f}"))
    worst = min(found, key=lambda one: one.int8_percent - one.float_percent)
    return Finding(
        "int8, as on a device, less float",
        ("trainings", "points", "least", "most"),
        tuple(rows),
        (
            f"The worst: {worst.network}, alpha {worst.alpha:g} at {worst.resolution}, seed "
            f"{worst.seed}: {worst.float_percent:.2f} % float, {worst.int8_percent:.2f} % int8.",
        ),
    )
