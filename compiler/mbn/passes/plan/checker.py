"""Proves a plan by replaying it byte for byte.

The checker knows nothing of how plans are made. For every byte of the arena it keeps which row of
which tensor was written there last. At each band it checks that every row read is complete, that
scratch and output do not overwrite what is still to be read, and that all lies inside the arena. A
plan that fails raises PlanError.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mbn.core.errors import PlanError
from mbn.core.plan import Plan
from mbn.core.schedule import RowShape, StageNeeds
from mbn.passes.plan.replay import INPUT, Band, replay, results_of, rows_read

ROW_BITS = 16  # owner = tensor << 16 | row
SCRATCH = -2
ALIGN = 8  # the kernels load words, and make them from the start of a row


def check_plan(plan: Plan, stages: Sequence[StageNeeds], shapes: Sequence[RowShape]) -> None:
    """Raises PlanError at the first byte that is read after it was overwritten."""
    if any(place.offset_bytes % ALIGN for place in plan.places) or plan.near_bytes % ALIGN:
        raise _broken("a map, a ring or the second memory begins at an unaligned byte")
    if [place.row_bytes for place in plan.places] != [shape.row_bytes for shape in shapes]:
        raise _broken("a map's rows are not as long as the kernels lay them out")
    arena = np.full(plan.arena_bytes, -1, np.int64)
    rows_made = [0] * len(shapes)
    for band in replay(stages, shapes, plan.segments, plan.mode):
        tensor = stages[0].input if band.stage == INPUT else stages[band.stage].output
        if band.stage != INPUT:
            _run(plan, stages[band.stage], shapes, arena, band)
        if band.y % plan.places[tensor].depth + band.count > plan.places[tensor].depth:
            raise _broken(f"the band at row {band.y} of tensor {tensor} wraps round its ring")
        for y in range(band.y, band.y + band.count):
            span = _row(plan, tensor, y)
            if plan.straddles(span.start, len(span)):
                raise _broken(f"row {y} of tensor {tensor} lies in two memories")
            if span.start < 0 or span.stop > plan.arena_bytes:
                raise _broken(f"row {y} of tensor {tensor} lies outside the arena")
            arena[span.start : span.stop] = tensor << ROW_BITS | y
        rows_made[tensor] = band.y + band.count
    for tensor, shape in enumerate(shapes):
        if rows_made[tensor] != shape.height:
            raise _broken(f"tensor {tensor} ends with {rows_made[tensor]} of {shape.height} rows")
    for result in sorted(results_of(stages)):
        for y in range(shapes[result].height):
            _expect(arena, plan, result, y, "the result")


def _run(
    plan: Plan,
    needs: StageNeeds,
    shapes: Sequence[RowShape],
    arena: NDArray[np.int64],
    band: Band,
) -> None:
    reads = list(rows_read(needs, band, shapes))
    for tensor, y in reads:
        _expect(arena, plan, tensor, y, f"stage {band.stage}")
    start = plan.scratch_offsets[band.stage]
    scratch = range(start, start + needs.scratch_bytes)
    if plan.straddles(start, len(scratch)):
        raise _broken(f"stage {band.stage}'s scratch lies in two memories")
    if scratch.stop > plan.arena_bytes or start % ALIGN:
        raise _broken(f"stage {band.stage}'s scratch lies outside the arena or is unaligned")
    arena[scratch.start : scratch.stop] = SCRATCH
    for tensor, y in reads:
        _expect(arena, plan, tensor, y, f"stage {band.stage}, whose scratch lies over it,")
    for y in range(band.y, band.y + band.count):
        out = _row(plan, needs.output, y)
        if _touch(out, scratch):
            raise _broken(f"stage {band.stage} writes row {y} over its own scratch")
        if not needs.reads_before_writing and any(
            _touch(out, _row(plan, tensor, row)) for tensor, row in reads
        ):
            raise _broken(f"stage {band.stage} writes row {y} over a row that it reads")


def _row(plan: Plan, tensor: int, y: int) -> range:
    place = plan.places[tensor]
    start = place.offset_bytes + (y % place.depth) * place.row_bytes
    return range(start, start + place.row_bytes)


def _touch(a: range, b: range) -> bool:
    return a.start < b.stop and b.start < a.stop and len(a) > 0 and len(b) > 0


def _expect(arena: NDArray[np.int64], plan: Plan, tensor: int, y: int, reader: str) -> None:
    span = _row(plan, tensor, y)
    if not np.all(arena[span.start : span.stop] == (tensor << ROW_BITS | y)):
        raise _broken(f"row {y} of tensor {tensor} is overwritten before {reader} reads it")


def _broken(what: str) -> PlanError:
    return PlanError(
        f"the memory plan is wrong: {what}",
        advice="this is a bug of the planner; please report the network",
    )
