"""Chooses which stages stream together, and where rings, maps and scratch lie.

What enters: stages' needs, tensors' row shapes, the input mode. What leaves: `ir.Plan`. Always
holds: stages are cut into segments; within a segment rows stream through rings whose depths come
from replaying the driver's rule; between segments a map is kept whole, and a segment's output map
may lie over rows of its input map that no later band reads (the lag comes from the same replay).
The least arena is found by bisection; for each size a depth-first search with memory looks for
segments and offsets that fit. Same input, same plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mbn import ir
from mbn.plan.replay import INPUT, Band, lowest_needed, replay

ALIGN = 8
LONGEST_SEGMENT = 8  # stages; longer ones never won, and the search is quadratic in it


def _up(value: int) -> int:
    return (value + ALIGN - 1) // ALIGN * ALIGN


def make_plan(
    stages: Sequence[ir.StageNeeds], shapes: Sequence[ir.RowShape], mode: ir.InputMode
) -> ir.Plan:
    """The plan with the smallest arena that the search finds.

    stages: a chain, stage i reads tensor i and writes tensor i + 1. shapes: one a tensor.
    """
    return _Search(tuple(stages), tuple(shapes), mode).best()


@dataclass(frozen=True)
class _Run:
    """A candidate segment: what it needs besides its input and output maps."""

    segment: ir.Segment
    depths: tuple[int, ...]  # of tensors first .. last: the input's only counts if it is a ring
    ring_bytes: tuple[int, ...]  # of those tensors; 0 for an input that is a whole map
    scratch_bytes: int
    gap: int  # the output map may begin this far before the input map; negative: inside it


@dataclass(frozen=True)
class _Placed:
    """A run with offsets: of its rings (as ring_bytes), scratch and output map."""

    run: _Run
    rings: tuple[int, ...]
    scratch: int
    out: int


@dataclass
class _Search:
    stages: tuple[ir.StageNeeds, ...]
    shapes: tuple[ir.RowShape, ...]
    mode: ir.InputMode
    dead: set[tuple[int, int]] = field(default_factory=set)  # of the arena tried now

    # -- what segments need ------------------------------------------------------------------

    def map_bytes(self, tensor: int) -> int:
        shape = self.shapes[tensor]
        return _up(shape.height * shape.row_bytes)

    @cached_property
    def runs(self) -> dict[int, tuple[_Run, ...]]:
        """Candidate segments by their first stage, the longest first."""
        count = len(self.stages)
        result = {}
        for first in range(count):
            longest = count if first == 0 else min(count, first + LONGEST_SEGMENT)
            result[first] = tuple(
                self._run(ir.Segment(first, last)) for last in range(longest - 1, first - 1, -1)
            )
        return result

    def _run(self, segment: ir.Segment) -> _Run:
        """Replays one segment on its own, its input map complete (or streamed in)."""
        first, last = segment.first, segment.last
        part = self.stages[first : last + 1]
        streamed = first == 0 and self.mode is ir.InputMode.STREAM
        mode = ir.InputMode.STREAM if streamed else ir.InputMode.WHOLE
        bands = list(replay(part, self.shapes, [ir.Segment(0, last - first)], mode, first))
        depths = ring_depths(part, self.shapes, bands)
        ring_bytes = [
            0 if tensor == first and not streamed else _up(depth * self.shapes[tensor].row_bytes)
            for tensor, depth in zip(range(first, last + 1), depths, strict=False)
        ]
        return _Run(
            segment,
            tuple(depths[: last + 1 - first]),
            tuple(ring_bytes),
            max(_up(stage.scratch_bytes) for stage in part),
            overlap_gap(part, self.shapes, bands),
        )

    # -- the search --------------------------------------------------------------------------

    def best(self) -> ir.Plan:
        """Bisects the size of the arena."""
        low, high = ALIGN, self._enough()
        found = self.place(high)
        assert found is not None, "maps and rings laid side by side always fit"
        while low < high:
            middle = (low + high) // 2 // ALIGN * ALIGN
            attempt = self.place(middle)
            if attempt is None:
                low = middle + ALIGN
            else:
                found, high = attempt, middle
        return self._plan(found, high)

    def _enough(self) -> int:
        """Everything side by side, every stage on its own."""
        scratch = sum(_up(stage.scratch_bytes) for stage in self.stages)
        return scratch + sum(self.map_bytes(tensor) for tensor in range(len(self.shapes)))

    def place(self, arena: int) -> tuple[int, list[_Placed]] | None:
        """The input's offset and all segments within `arena` bytes, or None."""
        self.dead.clear()
        if self.mode is ir.InputMode.STREAM:
            for run in self.runs[0]:
                found = self._first(run, arena)
                if found is not None:
                    return 0, found
            return None
        image = self.map_bytes(0)
        for offset in dict.fromkeys((arena - image, 0)):
            if offset >= 0:
                rest = self._rest(0, offset, arena)
                if rest is not None:
                    return offset, rest
        return None

    def _first(self, run: _Run, arena: int) -> list[_Placed] | None:
        """The segment that the pushed rows feed: it has no input map."""
        out = run.segment.last + 1
        size = self.map_bytes(out)
        for offset in dict.fromkeys((arena - size, 0)):
            if offset < 0:
                continue
            placed = self._fit(run, ((offset, offset + size),), offset, arena)
            rest = None if placed is None else self._rest(out, offset, arena)
            if placed is not None and rest is not None:
                return [placed, *rest]
        return None

    def _rest(self, stage: int, in_offset: int, arena: int) -> list[_Placed] | None:
        """Segments from `stage` on, whose input map lies at in_offset."""
        if stage == len(self.stages):
            return []
        if (stage, in_offset) in self.dead:
            return None
        taken = (in_offset, in_offset + self.map_bytes(stage))
        for run in self.runs[stage]:
            out = run.segment.last + 1
            size = self.map_bytes(out)
            for offset in self._out_offsets(run, taken, size, arena):
                placed = self._fit(run, (taken, (offset, offset + size)), offset, arena)
                if placed is None:
                    continue
                rest = self._rest(out, offset, arena)
                if rest is not None:
                    return [placed, *rest]
        self.dead.add((stage, in_offset))
        return None

    @staticmethod
    def _out_offsets(run: _Run, taken: tuple[int, int], size: int, arena: int) -> Iterator[int]:
        """Places for an output map: apart from its input, or over rows already used."""
        start, end = taken
        overlap = (start - run.gap) // ALIGN * ALIGN
        for offset in dict.fromkeys((arena - size, 0, start - size, end, overlap)):
            if offset < 0 or offset + size > arena:
                continue
            if offset >= end or offset + size <= start or offset <= overlap:
                yield offset

    @staticmethod
    def _fit(run: _Run, taken: tuple[tuple[int, int], ...], out: int, arena: int) -> _Placed | None:
        """Rings and scratch in what `taken` leaves free, the largest first; None if no room."""
        wanted = [*run.ring_bytes, run.scratch_bytes]
        busy = list(taken)
        offsets = [0] * len(wanted)
        for index in sorted(range(len(wanted)), key=lambda i: -wanted[i]):
            offset = _free_offset(arena, wanted[index], busy)
            if offset is None:
                return None
            offsets[index] = offset
            if wanted[index]:
                busy.append((offset, offset + wanted[index]))
        return _Placed(run, tuple(offsets[:-1]), offsets[-1], out)

    # -- the result --------------------------------------------------------------------------

    def _plan(self, found: tuple[int, list[_Placed]], arena: int) -> ir.Plan:
        image, segments = found
        shape = self.shapes[0]
        places = {0: ir.Place(image, shape.row_bytes, shape.height)}
        scratch: list[int] = []
        for placed in segments:
            run = placed.run
            first = run.segment.first
            for index, size in enumerate(run.ring_bytes):
                if size:
                    tensor = first + index
                    row_bytes = self.shapes[tensor].row_bytes
                    places[tensor] = ir.Place(placed.rings[index], row_bytes, run.depths[index])
            out = run.segment.last + 1
            shape = self.shapes[out]
            places[out] = ir.Place(placed.out, shape.row_bytes, shape.height)
            scratch += [placed.scratch] * (run.segment.last + 1 - first)
        return ir.Plan(
            self.mode,
            tuple(places[tensor] for tensor in range(len(self.shapes))),
            tuple(placed.run.segment for placed in segments),
            tuple(scratch),
            arena,
        )


def ring_depths(
    stages: Sequence[ir.StageNeeds], shapes: Sequence[ir.RowShape], bands: Sequence[Band]
) -> list[int]:
    """Row slots that the tensors from the first stage's input on need, so that no row is
    overwritten before its last reader; a band's rows do not wrap."""
    base = stages[0].input
    next_y = [0] * len(stages)
    depths = [1] * (len(stages) + 1)
    for band in bands:
        tensor = base if band.stage == INPUT else stages[band.stage].output
        reader = tensor - base
        if reader < len(stages):
            needs = stages[reader]
            lowest = lowest_needed(
                needs, next_y[reader], shapes[tensor].height, shapes[needs.output].height
            )
            depths[reader] = max(depths[reader], band.y + band.count - lowest)
        if band.stage != INPUT:
            next_y[band.stage] = band.y + band.count
    for index, needs in enumerate(stages):
        bands_kept = -(-depths[index + 1] // needs.band_rows)
        depths[index + 1] = bands_kept * needs.band_rows
    return [min(depth, shapes[base + i].height) for i, depth in enumerate(depths)]


def overlap_gap(
    stages: Sequence[ir.StageNeeds], shapes: Sequence[ir.RowShape], bands: Sequence[Band]
) -> int:
    """How far before its input map a segment's output map must begin so that each output row
    falls on input rows that no later band reads. Negative: it may begin inside the input."""
    first, last = stages[0], stages[-1]
    source, out = shapes[first.input], shapes[last.output]
    gap, next_y = -(source.height * source.row_bytes), 0
    for band in bands:
        if band.stage == 0:
            next_y = band.y + band.count
        if band.stage != len(stages) - 1:
            continue
        following = next_y
        if len(stages) == 1 and not first.reads_before_writing:
            following = band.y
        lowest = lowest_needed(first, following, source.height, shapes[first.output].height)
        if lowest < source.height:
            end = (band.y + band.count) * out.row_bytes
            gap = max(gap, end - lowest * source.row_bytes)
    return gap


def _free_offset(arena: int, size: int, taken: Sequence[tuple[int, int]]) -> int | None:
    """The lowest offset of `size` free bytes."""
    if size == 0:
        return 0
    offset = 0
    for start, end in sorted(taken):
        if start - offset >= size:
            return offset
        offset = max(offset, end)
    return offset if arena - offset >= size else None
