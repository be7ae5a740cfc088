"""Chooses a stage's variant at each height of its bands.

Measured and estimated cycles are never compared with each other. Only candidates are chosen, so a
record can't ask for code that the kernels don't offer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mbn.core.options import LEVELS, Optimise
from mbn.core.schedule import BandOption, Variant, Way
from mbn.passes.tuning.records import Point


def options(
    candidates: Sequence[BandOption],
    points: Mapping[Way, Point],
    optimise: Optimise,
    preferred: Callable[[int], Variant],
    copies: int = 1,
) -> tuple[BandOption, ...]:
    """One option for each band height. If every height was measured, the best measured variant is
    taken, and a taller band is kept only if it is worth its flash. Otherwise it is the variant that
    `preferred` names, if it is a candidate at this height. copies: stages that share this one's
    code."""
    heights = list(dict.fromkeys(one.rows for one in candidates))
    measured = {one.rows for one in candidates if one.way in points}
    if measured != set(heights):
        found = [one for one in candidates if one.variant == preferred(one.rows)]
        return tuple(found or candidates[:1])

    def built(option: BandOption) -> BandOption:
        point = points[option.way]
        level = LEVELS[optimise]
        flash = level.table_byte_cycles * point.tables_bytes
        flash += level.code_byte_cycles * point.code_bytes / copies
        return replace(option, cycles=point.cycles, measured=True, flash_cycles=flash)

    best = [
        min(
            (built(one) for one in candidates if one.rows == rows and one.way in points),
            key=lambda one: one.cost,
        )
        for rows in heights
    ]
    best.sort(key=lambda one: (one.scratch_bytes, one.rows))
    return tuple(
        one
        for index, one in enumerate(best)
        if all(one.cost < shorter.cost for shorter in best[:index])
    )
