"""What a study's results say of the paper's claims.

What enters: results of one study. What leaves: a `Finding` a comparison: rows with mean and sample
standard deviation over seeds, the paper's figure beside, and its `Claim`s. Always holds: every
figure is computed from the results, differences by pairs of one seed where there are such; whether
a claim agrees is decided by the rule that stands in it, and said either way.

Source: arXiv 1704.04861, tables 4 to 7 (top-1 on ImageNet).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import linear_regression, mean, stdev

from mbn.report.table import UNKNOWN
from mbn_paper.study.results import Result

COLUMNS = (
    *("multiply-adds", "params", "seeds", "float", "int8", "int8 - float"),
    *("RAM KB", "M4 cycles", "paper"),
)
DRAWN = "*"  # behind a cost of drawn weights
# Top-1 on ImageNet, verified as the figures of mbn-paper tables are.
PAPER_FORMS = {"conv": 71.7, "separable": 70.6}  # Table 4
PAPER_THIN, PAPER_SHALLOW = 68.4, 65.3  # Table 5
PAPER_ALPHAS = {1.0: 70.6, 0.75: 68.4, 0.5: 63.7, 0.25: 50.6}  # Table 6
PAPER_MACS = (569, 325, 149, 41)  # million, of those: Table 6
PAPER_RESOLUTIONS = (70.6, 69.1, 67.2, 64.4)  # at 224, 192, 160, 128: Table 7
NEAR = 1.0  # points


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
class Claim:
    """One claim of the paper, in words, its figures there and here, and whether they agree by
    `rule`. `seeds`: trainings of each network behind it, fewest and most."""

    table: str
    says: str
    rule: str
    paper: str
    ours: str
    seeds: tuple[int, int]
    agrees: bool

    def __str__(self) -> str:
        return (
            f"{self.table}, {self.says}: {self.verdict} (rule: {self.rule}). Paper: {self.paper}; "
            f"here: {self.ours}"
        )

    @property
    def verdict(self) -> str:
        return "agrees" if self.agrees else "differs"

    @property
    def trainings(self) -> str:
        fewest, most = self.seeds
        return f"{fewest}" if fewest == most else f"{fewest}-{most}"


@dataclass(frozen=True)
class Finding:
    """One comparison; a row has a name and a cell for each of `columns`. `notes`: what it says
    besides the paper's claims."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()


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
        int8_cell(seeds),
        points_cell(seeds),
        cost_cell(first, first.arena_bytes, 1024, ""),
        cost_cell(first, first.cycles, 1e6, " M"),
        "" if paper is None else f"{paper:.1f}",
    )


def cost_cell(one: Result, value: int | None, by: float, unit: str) -> str:
    """A cost in units of `by`, marked where it is of drawn weights; a dash where there is none."""
    return UNKNOWN if value is None else f"{value / by:.1f}{unit}{DRAWN if one.drawn else ''}"


def int8_of(seeds: Sequence[Result]) -> list[tuple[float, float]]:
    """Float and int8 percent of the trainings that have both."""
    return [(one.float_percent, one.int8_percent) for one in seeds if one.int8_percent is not None]


def int8_cell(seeds: Sequence[Result]) -> str:
    """Of the seeds that have it; a dash where none has."""
    both = int8_of(seeds)
    return str(spread([int8 for _, int8 in both])) if both else UNKNOWN


def points_cell(seeds: Sequence[Result]) -> str:
    """int8 less float."""
    both = int8_of(seeds)
    return f"{mean(int8 - top for top, int8 in both):+.2f}" if both else UNKNOWN


def _less(first: Sequence[Result], second: Sequence[Result]) -> Spread:
    """First less second, in points, by pairs of one seed where there are such."""
    by_seed = {one.seed: one.float_percent for one in second}
    pairs = [one.float_percent - by_seed[one.seed] for one in first if one.seed in by_seed]
    if pairs:
        return spread(pairs)
    return Spread(
        mean(one.float_percent for one in first) - mean(one.float_percent for one in second), None
    )


def _seeds(*groups: Sequence[Result]) -> tuple[int, int]:
    counts = [len(one) for one in groups]
    return min(counts), max(counts)


def _forms(groups: Group, largest: int) -> Finding | None:
    for form, alpha, resolution in groups:
        other = groups.get(("separable", alpha, resolution))
        if form != "conv" or other is None or resolution != largest:
            continue
        conv = groups[form, alpha, resolution]
        points = _less(conv, other)
        paper = PAPER_FORMS["conv"] - PAPER_FORMS["separable"]
        claim = Claim(
            "Table 4",
            "separable convolutions lose little to full ones",
            f"within {NEAR:g} point of the paper's",
            f"{paper:.1f} points, for 8.6 times fewer multiply-adds",
            f"{points} points, for {conv[0].macs / other[0].macs:.1f} times fewer",
            _seeds(conv, other),
            abs(points.mean - paper) <= NEAR,
        )
        return Finding(
            f"Table 4, full convolutions against depthwise separable, alpha {alpha:g}",
            COLUMNS,
            (
                _row("full convolutions", conv, PAPER_FORMS["conv"]),
                _row("depthwise separable", other, PAPER_FORMS["separable"]),
            ),
            (claim,),
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
    claim = Claim(
        "Table 5",
        "thin beats shallow at as many multiply-adds",
        "it gains",
        f"gains {PAPER_THIN - PAPER_SHALLOW:.1f} points",
        f"{what} {Spread(abs(points.mean), points.deviation)} points",
        _seeds(groups[thin], groups[shallow]),
        points.mean > 0,
    )
    return Finding(
        "Table 5, thin against shallow",
        COLUMNS,
        (
            _row(f"thin, alpha {thin[1]:g}", groups[thin], PAPER_THIN),
            _row(f"shallow, alpha {shallow[1]:g}", groups[shallow], PAPER_SHALLOW),
        ),
        (claim,),
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
    # without a thin network of table 5 that is none of the paper's four
    own = [groups["separable", a, largest] for a in PAPER_ALPHAS if a in alphas]
    whole = len(own) == len(PAPER_ALPHAS)
    tops = list(PAPER_ALPHAS.values())
    falls = _falls("Table 6", "the width", own if whole else series, tops)
    jump = (_jump(own),) if whole else ()
    return Finding("Table 6, width multiplier", COLUMNS, tuple(rows), (falls, *jump))


def _jump(series: Sequence[Sequence[Result]]) -> Claim:
    """Figure 4: straight over the logarithm of multiply-adds, but for alpha 0.25."""
    ours = Line.of([seeds[0].macs for seeds in series], _tops(series))
    paper = Line.of([macs * 1e6 for macs in PAPER_MACS], list(PAPER_ALPHAS.values()))
    return Claim(
        "Figure 4",
        "accuracy is a line over the logarithm of multiply-adds, but for a drop at alpha 0.25",
        "the drop below the line is more than twice what the others are off it",
        str(paper),
        str(ours),
        _seeds(*series),
        -ours.last > 2 * ours.apart,
    )


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
        f"Table 7, resolution, alpha {alpha:g}",
        COLUMNS[:-1],
        tuple(rows),
        (_falls("Table 7", "the resolution", series, PAPER_RESOLUTIONS),),
    )


def _falls(
    table: str, what: str, series: Sequence[Sequence[Result]], paper: Sequence[float]
) -> Claim:
    """Whether accuracy falls at each step down."""
    steps = [_less(a, b) for a, b in pairwise(series)]
    return Claim(
        table,
        f"accuracy falls with {what}",
        "at every step",
        f"by {', '.join(f'{a - b:.1f}' for a, b in pairwise(paper))} points",
        f"by {', '.join(str(step) for step in steps)} points",
        _seeds(*series),
        all(step.mean > 0 for step in steps),
    )


def _tops(series: Sequence[Sequence[Result]]) -> list[float]:
    return [mean(one.float_percent for one in seeds) for seeds in series]


@dataclass(frozen=True)
class Line:
    """The least squares line through all points but the last, over the logarithm of base 2: its
    slope, how far the last lies above it, and how far the furthest of the others is from it."""

    slope: float
    last: float
    apart: float

    @classmethod
    def of(cls, macs: Sequence[float], tops: Sequence[float]) -> Line:
        logs = [math.log2(one) for one in macs]
        slope, at = linear_regression(logs[:-1], tops[:-1])
        *others, last = (top - (slope * log + at) for log, top in zip(logs, tops, strict=True))
        return cls(slope, last, max(map(abs, others)))

    def __str__(self) -> str:
        where = "below" if self.last < 0 else "above"
        return (
            f"{self.slope:.2f} points a doubling; alpha 0.25 lies {abs(self.last):.2f} {where} "
            f"the line, the others within {self.apart:.2f}"
        )


def _integers(found: Sequence[Result]) -> Finding | None:
    rows = []
    for name in dict.fromkeys(one.network for one in found):
        points = [int8 - top for top, int8 in int8_of([o for o in found if o.network == name])]
        if points:
            ends = (f"{min(points):+.2f}", f"{max(points):+.2f}")
            rows.append((name, str(len(points)), str(spread(points)), *ends))
    if not rows:
        return None
    worst = min(
        (one for one in found if one.int8_percent is not None),
        key=lambda one: (one.int8_percent or 0) - one.float_percent,
    )
    return Finding(
        "int8, as on a device, less float",
        ("trainings", "points", "least", "most"),
        tuple(rows),
        notes=(
            f"The worst: {worst.network}, alpha {worst.alpha:g} at {worst.resolution}, seed "
            f"{worst.seed}: {worst.float_percent:.2f} % float, {worst.int8_percent:.2f} % int8.",
        ),
    )


def claims(found: Sequence[Result]) -> list[Claim]:
    """Of one study, in the paper's order."""
    return [claim for finding in findings(found) for claim in finding.claims]
