"""Chooses where to stop streaming, and where rings, maps and scratch lie.

What enters: stages' needs, tensors' row shapes, the input mode. What leaves: `ir.Plan`. Always
holds: the first p stages stream through rings whose depths come from replaying the driver's rule;
the output of stage p - 1 is kept whole; each later stage runs alone, its output laid over input
rows that no later row reads where that saves bytes. Every p is tried and the smallest arena taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mbn import ir
from mbn.plan.replay import INPUT, lowest_needed, replay

ALIGN = 8


@dataclass(frozen=True)
class _Problem:
    stages: Sequence[ir.StageNeeds]
    shapes: Sequence[ir.RowShape]
    mode: ir.InputMode

    def map_bytes(self, tensor: int) -> int:
        shape = self.shapes[tensor]
        return _up(shape.height * shape.row_bytes)


def _up(value: int) -> int:
    return (value + ALIGN - 1) // ALIGN * ALIGN


def make_plan(
    stages: Sequence[ir.StageNeeds], shapes: Sequence[ir.RowShape], mode: ir.InputMode
) -> ir.Plan:
    """The plan with the smallest arena; the fewest streamed stages among equals.

    stages: a chain, stage i reads tensor i and writes tensor i + 1. shapes: one a tensor.
    """
    problem = _Problem(stages, shapes, mode)
    plans = [_plan_for(problem, count) for count in range(1, len(stages) + 1)]
    return min(plans, key=lambda plan: (plan.arena_bytes, plan.streamed_stages))


def _plan_for(problem: _Problem, streamed: int) -> ir.Plan:
    """The smallest arena when the first `streamed` stages run as one segment."""
    segments = [ir.Segment(0, streamed - 1)]
    segments += [ir.Segment(i, i) for i in range(streamed, len(problem.stages))]
    depths = ring_depths(problem.stages, problem.shapes, segments, problem.mode)
    low, scratch = 0, max(_up(s.scratch_bytes) for s in problem.stages[:streamed])
    places: dict[int, ir.Place] = {}
    for tensor in range(streamed):
        shape = problem.shapes[tensor]
        places[tensor] = ir.Place(low, shape.row_bytes, depths[tensor])
        low += _up(shape.row_bytes * depths[tensor])
    scratch_offsets = [low] * streamed
    low += scratch
    smallest = low + problem.map_bytes(streamed)
    for stage in range(streamed, len(problem.stages)):
        smallest = max(smallest, problem.map_bytes(stage), problem.map_bytes(stage + 1))
    largest = low + sum(
        problem.map_bytes(t) + (_up(problem.stages[t].scratch_bytes) if t < len(problem.stages) else 0)
        for t in range(streamed, len(problem.shapes))
    )
    best = _search(problem, streamed, smallest, largest)
    offsets, late_scratch, arena = best
    for tensor in range(streamed, len(problem.shapes)):
        shape = problem.shapes[tensor]
        places[tensor] = ir.Place(offsets[tensor - streamed], shape.row_bytes, shape.height)
    return ir.Plan(
        problem.mode,
        tuple(places[tensor] for tensor in range(len(problem.shapes))),
        tuple(segments),
        tuple(scratch_offsets + late_scratch),
        arena,
    )


def ring_depths(
    stages: Sequence[ir.StageNeeds],
    shapes: Sequence[ir.RowShape],
    segments: Sequence[ir.Segment],
    mode: ir.InputMode,
) -> list[int]:
    """Row slots that each tensor needs so that no row is overwritten before its last reader."""
    reader = {needs.input: needs for needs in stages}
    next_y = [0] * len(stages)
    index_of = {needs.input: i for i, needs in enumerate(stages)}
    depths = [1] * len(shapes)
    for band in replay(stages, shapes, segments, mode):
        tensor = stages[0].input if band.stage == INPUT else stages[band.stage].output
        if tensor in reader:
            needs = reader[tensor]
            lowest = lowest_needed(
                needs,
                next_y[index_of[tensor]],
                shapes[tensor].height,
                shapes[needs.output].height,
            )
            depths[tensor] = max(depths[tensor], band.y + band.count - lowest)
        if band.stage != INPUT:
            next_y[band.stage] = band.y + band.count
    for needs in stages:  # a band's rows lie together: no wrap inside it
        bands = -(-depths[needs.output] // needs.band_rows)
        depths[needs.output] = bands * needs.band_rows
    return [min(depth, shape.height) for depth, shape in zip(depths, shapes, strict=True)]


def _search(
    problem: _Problem, streamed: int, smallest: int, largest: int
) -> tuple[list[int], list[int], int]:
    """The least arena in which the maps from tensor `streamed` on can be placed."""
    low, high = smallest, max(smallest, largest)
    found = _place(problem, streamed, high)
    assert found is not None, "disjoint maps always fit the largest arena"
    while low < high:
        middle = (low + high) // 2 // ALIGN * ALIGN
        attempt = _place(problem, streamed, middle)
        if attempt is None:
            low = middle + ALIGN
        else:
            found, high = attempt, middle
    return found[0], found[1], high


def _place(
    problem: _Problem, streamed: int, arena: int
) -> tuple[list[int], list[int]] | None:
    """Offsets of maps and scratch within `arena` bytes, depth first; None if there are none."""
    dead: set[tuple[int, int]] = set()

    def visit(stage: int, in_offset: int) -> tuple[list[int], list[int]] | None:
        if stage == len(problem.stages):
            return [], []
        if (stage, in_offset) in dead:
            return None
        for out_offset in _out_offsets(problem, stage, in_offset, arena):
            scratch = _free_offset(
                arena,
                _up(problem.stages[stage].scratch_bytes),
                (
                    (in_offset, in_offset + problem.map_bytes(stage)),
                    (out_offset, out_offset + problem.map_bytes(stage + 1)),
                ),
            )
            if scratch is None:
                continue
            rest = visit(stage + 1, out_offset)
            if rest is not None:
                return [out_offset, *rest[0]], [scratch, *rest[1]]
        dead.add((stage, in_offset))
        return None

    start = arena - problem.map_bytes(streamed)
    result = visit(streamed, start)
    return None if result is None else ([start, *result[0]], result[1])


def _out_offsets(problem: _Problem, stage: int, in_offset: int, arena: int) -> Iterator[int]:
    """Places for a stage's output map: apart from its input, or over rows already used."""
    in_end = in_offset + problem.map_bytes(stage)
    size = problem.map_bytes(stage + 1)
    overlap = (in_offset - overlap_gap(problem.stages[stage], problem.shapes)) // ALIGN * ALIGN
    for offset in (arena - size, 0, in_offset - size, in_end, overlap):
        if offset < 0 or offset + size > arena:
            continue
        apart = offset >= in_end or offset + size <= in_offset
        if apart or offset <= overlap:
            yield offset


def overlap_gap(needs: ir.StageNeeds, shapes: Sequence[ir.RowShape]) -> int:
    """How far before its input map an output map must begin so that each output row falls on
    input rows that no later band reads. Negative: it may begin inside the input."""
    source, out = shapes[needs.input], shapes[needs.output]
    gap = -(source.height * source.row_bytes)
    for y in range(0, out.height, needs.band_rows):
        end = (y + needs.band_rows) * out.row_bytes
        following = y + needs.band_rows if needs.reads_before_writing else y
        lowest = lowest_needed(needs, following, source.height, out.height)
        if lowest < source.height:
            gap = max(gap, end - lowest * source.row_bytes)
    return gap


def _free_offset(arena: int, size: int, taken: tuple[tuple[int, int], ...]) -> int | None:
    """The lowest offset of `size` free bytes."""
    if size == 0:
        return 0
    offset = 0
    for start, end in sorted(taken):
        if start - offset >= size:
            return offset
        offset = max(offset, end)
    return offset if arena - offset >= size else None
