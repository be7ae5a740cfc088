"""Chooses which stages stream together, and where rings, maps and scratch lie.

Stages are cut into segments. Within a segment rows stream through rings; their depths come from
replaying the driver's rule. What a later segment reads is kept whole. If a segment is the last to
read a map, a map that it makes may lie over it, as long as no later band reads the rows
overwritten; the same replay gives the distance needed.

The least arena is found by bisection. For each size, a depth-first search that remembers dead ends
looks for segments and offsets that fit. The same input gives the same plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from mbn.core.options import InputMode
from mbn.core.plan import Place, Plan, Segment
from mbn.core.schedule import RowShape, StageNeeds
from mbn.passes.plan.replay import (
    INPUT,
    Band,
    inputs_of,
    lowest_needed,
    readers_of,
    replay,
    results_of,
)

ALIGN = 8
MOST_STATES = 2000  # tried for one size of the arena; chains need a few hundred
LONGEST_SEGMENT = 8  # stages; longer ones were never better, and the search is quadratic in it
LONGEST_FRONT = (
    128  # of the first segment, through which the image streams: each candidate is replayed
)


Offsets = tuple[tuple[int, int], ...]  # (tensor, offset) of maps


def _up(value: int) -> int:
    return (value + ALIGN - 1) // ALIGN * ALIGN


def make_plan(
    stages: Sequence[StageNeeds],
    shapes: Sequence[RowShape],
    mode: InputMode,
    *,
    at_most: int | None = None,
    near_bytes: int = 0,
    known: Known | None = None,
) -> Plan:
    """The plan with the smallest arena that the search finds.

    stages: in order; stage i writes tensor i + 1 and reads earlier ones. shapes: one a tensor.
    at_most: an arena for which `plan_within` has found a plan. near_bytes, known: see
    `plan_within`.
    """
    return _search(stages, shapes, mode, near_bytes, known).best(at_most)


def plan_within(
    stages: Sequence[StageNeeds],
    shapes: Sequence[RowShape],
    mode: InputMode,
    arena_bytes: int,
    near_bytes: int = 0,
    known: Known | None = None,
) -> Plan | None:
    """A plan that fits in an arena, or None if the search finds none. near_bytes: how much of the
    arena lies in the first of two memories; nothing may lie across the boundary. 0: there is one
    memory. known: what earlier searches found of the same network, for the same shapes and mode;
    it only saves time."""
    search = _search(stages, shapes, mode, near_bytes, known)
    return search.within(arena_bytes // ALIGN * ALIGN)


def _search(
    stages: Sequence[StageNeeds],
    shapes: Sequence[RowShape],
    mode: InputMode,
    near_bytes: int,
    known: Known | None,
) -> _Search:
    kept: Known = {} if known is None else known
    return _Search(tuple(stages), tuple(shapes), mode, near_bytes, kept)


@dataclass(frozen=True)
class _Run:
    """A candidate segment: what it makes, and what it needs besides the maps that it reads."""

    segment: Segment
    rings: tuple[tuple[int, int], ...]  # (tensor, depth) of what is used only inside
    ring_bytes: tuple[int, ...]
    scratch_bytes: int
    made: tuple[int, ...]  # maps that are read later, or are the result
    ends: frozenset[int]  # maps that nothing reads after this segment
    gaps: dict[tuple[int, int], int]  # (made, ended): see overlap_gap


# Candidate segments by first and last stage and what each stage between needs
Known = dict[tuple[int, int, tuple[StageNeeds, ...]], _Run]


@dataclass(frozen=True)
class _Placed:
    """A run with offsets: of its rings (as ring_bytes), scratch and the maps that it makes."""

    run: _Run
    rings: tuple[int, ...]
    scratch: int
    made: Offsets


@dataclass
class _Search:
    stages: tuple[StageNeeds, ...]
    shapes: tuple[RowShape, ...]
    mode: InputMode
    near_bytes: int = 0
    known: Known = field(default_factory=dict)  # of other searches too
    own: dict[Segment, _Run] = field(default_factory=dict)  # of this search
    candidates: dict[int, list[tuple[Segment, int]]] = field(default_factory=dict)
    dead: set[tuple[int, Offsets]] = field(default_factory=set)  # of the arena tried now
    left: int = 0  # states that may still be looked at, for this arena

    # -- what segments need ------------------------------------------------------------------

    def map_bytes(self, tensor: int) -> int:
        shape = self.shapes[tensor]
        return _up(shape.height * shape.row_bytes)

    @cached_property
    def _readers(self) -> dict[int, list[int]]:
        return readers_of(self.stages)

    @cached_property
    def last_reader(self) -> dict[int, int]:
        """The last stage that reads each tensor. For a result, the number of stages."""
        readers, results = self._readers, results_of(self.stages)
        end = len(self.stages)
        return {t: end if t in results else max(readers[t]) for t in range(len(self.shapes))}

    def runs(self, first: int, arena: int) -> Iterator[_Run]:
        """Candidate segments from a stage on, the longest first, but those that need more than the
        arena by their least. Each is replayed when it is looked at: most never are."""
        if first not in self.candidates:
            least = self._least_bytes(first)
            self.candidates[first] = [
                (Segment(first, last), least[last - first]) for last in self._lasts(first)
            ]
        for segment, least_bytes in self.candidates[first]:
            if least_bytes <= arena:
                yield self._known_run(segment)

    def _known_run(self, segment: Segment) -> _Run:
        run = self.own.get(segment)
        if run is None:
            needs = self.stages[segment.first : segment.last + 1]
            key = (segment.first, segment.last, needs)
            if key not in self.known:
                self.known[key] = self._run(segment)
            run = self.own[segment] = self.known[key]
        return run

    def _least_bytes(self, first: int) -> list[int]:
        """Of the segments from `first` on, by their last stage: bytes that rings, scratch and the
        maps that they make need at least, wherever they lie."""
        streamed = first == 0 and self.mode is InputMode.STREAM
        fresh = 0 if streamed else first + 1
        ends: dict[int, list[int]] = {}
        maps = self.map_bytes(0) if streamed else 0
        rings = scratch = 0
        if streamed:
            ends[self.last_reader[0]] = [0]
        found = []
        longest = LONGEST_FRONT if first == 0 else first + LONGEST_SEGMENT
        for last in range(first, min(len(self.stages), longest)):
            tensor = last + 1
            maps += self.map_bytes(tensor)
            ends.setdefault(self.last_reader[tensor], []).append(tensor)
            for inside in ends.get(last, ()):
                assert inside >= fresh
                maps -= self.map_bytes(inside)
                rings += self._least_ring(inside)
            scratch = max(scratch, _up(self.stages[last].scratch_bytes))
            found.append(maps + rings + scratch)
        return found

    def _least_ring(self, tensor: int) -> int:
        """Bytes of a ring that holds what any band of a reader reads, and a band of its maker."""
        shape, rows = self.shapes[tensor], 1
        for reader in self._readers[tensor]:
            needs = self.stages[reader]
            for y in range(0, self.shapes[needs.output].height, needs.band_rows):
                before = lowest_needed(needs, tensor, y, self.shapes)
                rows = max(rows, _highest_read(needs, tensor, y, shape.height) - before)
        if tensor:
            kept = -(-rows // self.stages[tensor - 1].band_rows)
            rows = kept * self.stages[tensor - 1].band_rows
        return _up(min(rows, shape.height) * shape.row_bytes)

    def _lasts(self, first: int) -> list[int]:
        """Where a segment may end, the longest first: where later stages read only one map, since
        what is left is then a chain. If that would be too far away, anywhere."""
        count = len(self.stages)
        longest = min(count, LONGEST_FRONT if first == 0 else first + LONGEST_SEGMENT)
        narrow = [last for last in range(longest - 1, first - 1, -1) if self._live(last) <= 1]
        return narrow or list(range(longest - 1, first - 1, -1))

    def _live(self, stage: int) -> int:
        """How many maps that exist after a stage are read by later ones."""
        return self._alive[stage]

    @cached_property
    def _alive(self) -> list[int]:
        """`_live` of every stage, by one pass: a map lives from its maker to its last reader."""
        count = len(self.stages)
        changes = [0] * (count + 2)
        for tensor, deepest in self._deepest.items():
            made = max(0, tensor - 1)  # the stage from which on it may be live
            if deepest > made:
                changes[made] += 1
                changes[deepest] -= 1
        return list(accumulate(changes[:count]))

    @cached_property
    def _deepest(self) -> dict[int, int]:
        """The last stage that reads each tensor; -1 if none does."""
        readers = self._readers
        return {t: max(readers[t], default=-1) for t in range(len(self.shapes))}

    def _run(self, segment: Segment) -> _Run:
        """Replays one segment on its own, the maps before it complete (or streamed in)."""
        first, last = segment.first, segment.last
        streamed = first == 0 and self.mode is InputMode.STREAM
        mode = InputMode.STREAM if streamed else InputMode.WHOLE
        bands = list(replay(self.stages, self.shapes, [segment], mode, self._readers))
        fresh = range(0 if streamed else first + 1, last + 2)
        inside = [tensor for tensor in fresh if self.last_reader[tensor] <= last]
        made = tuple(tensor for tensor in fresh if self.last_reader[tensor] > last)
        ends = frozenset(
            tensor
            for stage in self.stages[first : last + 1]
            for tensor in inputs_of(stage)
            if tensor not in fresh and self.last_reader[tensor] <= last
        )
        depths = ring_depths(self.stages, self.shapes, segment, bands, self._readers)
        return _Run(
            segment,
            tuple((tensor, depths[tensor]) for tensor in inside),
            tuple(_up(depths[tensor] * self.shapes[tensor].row_bytes) for tensor in inside),
            max(_up(stage.scratch_bytes) for stage in self.stages[first : last + 1]),
            made,
            ends,
            {
                (out, end): overlap_gap(self.stages, self.shapes, segment, bands, out, end)
                for out in made
                for end in sorted(ends)
            },
        )

    # -- the search --------------------------------------------------------------------------

    def within(self, arena: int) -> Plan | None:
        """Any plan of this size."""
        found = self.place(arena)
        return None if found is None else self._plan(found, arena)

    def best(self, at_most: int | None = None) -> Plan:
        """Bisects the size of the arena."""
        low = max(ALIGN, self.near_bytes)
        high = self._enough() if at_most is None else at_most // ALIGN * ALIGN
        found = self.place(high)
        while found is None:  # maps laid side by side fit, but freed ones may lie apart
            low, high = high, 2 * high
            found = self.place(high)
        while low < high:
            middle = (low + high) // 2 // ALIGN * ALIGN
            attempt = self.place(middle)
            if attempt is None:
                low = middle + ALIGN
            else:
                found, high = attempt, middle
        return self._plan(found, high)

    def _enough(self) -> int:
        """The size of everything side by side, with every stage in a segment of its own."""
        scratch = sum(_up(stage.scratch_bytes) for stage in self.stages)
        return scratch + sum(self.map_bytes(tensor) for tensor in range(len(self.shapes)))

    def place(self, arena: int) -> tuple[int, list[_Placed]] | None:
        """The input's offset and all segments within `arena` bytes, or None."""
        self.dead.clear()
        self.left = MOST_STATES
        if self.mode is InputMode.STREAM:
            found = self._rest(0, (), arena)
            return None if found is None else (0, found)
        image = self.map_bytes(0)
        for offset in dict.fromkeys((arena - image, 0, self.near_bytes)):
            if 0 <= offset <= arena - image and not self._straddles(offset, image):
                rest = self._rest(0, ((0, offset),), arena)
                if rest is not None:
                    return offset, rest
        return None

    def _rest(self, stage: int, live: Offsets, arena: int) -> list[_Placed] | None:
        """Segments from `stage` on. `live`: the maps that they read and that have a place
        already."""
        if stage == len(self.stages):
            return []
        if (stage, live) in self.dead or self.left == 0:
            return None
        self.left -= 1
        for run in self.runs(stage, arena):
            for made in self._made(run, live, arena):
                placed = self._fit(run, live, made, arena)
                if placed is None:
                    continue
                kept = tuple(one for one in live if one[0] not in run.ends)
                rest = self._rest(run.segment.last + 1, tuple(sorted((*kept, *made))), arena)
                if rest is not None:
                    return [placed, *rest]
        self.dead.add((stage, live))
        return None

    def _made(self, run: _Run, live: Offsets, arena: int, at: int = 0) -> Iterator[Offsets]:
        """Places for the maps that a run makes, from the `at`th on: apart from all others, or over
        rows that are no longer needed."""
        if at == len(run.made):
            yield ()
            return
        tensor = run.made[at]
        size = self.map_bytes(tensor)
        for offset in self._offsets(run, tensor, live, arena):
            for rest in self._made(run, (*live, (tensor, offset)), arena, at + 1):
                if offset + size <= arena:
                    yield ((tensor, offset), *rest)

    def _offsets(self, run: _Run, tensor: int, live: Offsets, arena: int) -> Iterator[int]:
        size = self.map_bytes(tensor)
        limits = {
            other: (start - run.gaps[tensor, other]) // ALIGN * ALIGN
            for other, start in live
            if other in run.ends
        }
        wanted = [arena - size, 0]
        if self.near_bytes:
            wanted += [self.near_bytes - size, self.near_bytes]
        for other, start in live:
            wanted += [start - size, start + self.map_bytes(other)]
            if other in limits:
                wanted.append(limits[other])
        for offset in dict.fromkeys(wanted):
            if offset < 0 or offset + size > arena or self._straddles(offset, size):
                continue
            if all(
                offset >= start + self.map_bytes(other)
                or offset + size <= start
                or offset <= limits.get(other, -1)
                for other, start in live
            ):
                yield offset

    def _fit(self, run: _Run, live: Offsets, made: Offsets, arena: int) -> _Placed | None:
        """Places rings and scratch in what the maps leave free, the largest first; None if there is
        no room."""
        wanted = [*run.ring_bytes, run.scratch_bytes]
        busy = [(start, start + self.map_bytes(tensor)) for tensor, start in (*live, *made)]
        busy.append((self.near_bytes, self.near_bytes))  # nothing lies across
        offsets = [0] * len(wanted)
        for index in sorted(range(len(wanted)), key=lambda i: -wanted[i]):
            offset = _free_offset(arena, wanted[index], busy)
            if offset is None:
                return None
            offsets[index] = offset
            if wanted[index]:
                busy.append((offset, offset + wanted[index]))
        return _Placed(run, tuple(offsets[:-1]), offsets[-1], made)

    def _straddles(self, offset: int, size: int) -> bool:
        return self.near_bytes > 0 and offset < self.near_bytes < offset + size

    # -- the result --------------------------------------------------------------------------

    def _plan(self, found: tuple[int, list[_Placed]], arena: int) -> Plan:
        image, segments = found
        depths = {tensor: shape.height for tensor, shape in enumerate(self.shapes)}
        offsets = {0: image}
        scratch: list[int] = []
        for placed in segments:
            run = placed.run
            depths.update(run.rings)
            rings = (tensor for tensor, _ in run.rings)
            offsets.update(zip(rings, placed.rings, strict=True))
            offsets.update(placed.made)
            scratch += [placed.scratch] * (run.segment.last + 1 - run.segment.first)
        return Plan(
            self.mode,
            tuple(
                Place(offsets[tensor], shape.row_bytes, depths[tensor])
                for tensor, shape in enumerate(self.shapes)
            ),
            tuple(placed.run.segment for placed in segments),
            tuple(scratch),
            arena,
            self.near_bytes,
        )


def ring_depths(
    stages: Sequence[StageNeeds],
    shapes: Sequence[RowShape],
    segment: Segment,
    bands: Sequence[Band],
    readers: Mapping[int, Sequence[int]] | None = None,
) -> dict[int, int]:
    """The row slots that each tensor made by the bands needs, so that no row is overwritten before
    its last reader in the segment. The rows of one band never wrap around."""
    readers = readers_of(stages) if readers is None else readers
    next_y = [0] * len(stages)
    depths: dict[int, int] = {}
    for band in bands:
        tensor = 0 if band.stage == INPUT else stages[band.stage].output
        lowest = min(
            (
                lowest_needed(stages[reader], tensor, next_y[reader], shapes)
                for reader in readers[tensor]
                if reader <= segment.last
            ),
            default=band.y,
        )
        depths[tensor] = max(depths.get(tensor, 1), band.y + band.count - lowest)
        if band.stage != INPUT:
            next_y[band.stage] = band.y + band.count
    for stage in stages[segment.first : segment.last + 1]:
        bands_kept = -(-depths[stage.output] // stage.band_rows)
        depths[stage.output] = bands_kept * stage.band_rows
    return {tensor: min(depth, shapes[tensor].height) for tensor, depth in depths.items()}


def _highest_read(needs: StageNeeds, tensor: int, y: int, height: int) -> int:
    """One more than the last row of `tensor` that a stage's band at y reads."""
    highest = 0
    if tensor == needs.input:
        highest = needs.first_row(y) + needs.window_rows(needs.band_rows)
    if tensor in needs.others:
        highest = max(highest, y + needs.band_rows)
    return min(height, highest)


def overlap_gap(
    stages: Sequence[StageNeeds],
    shapes: Sequence[RowShape],
    segment: Segment,
    bands: Sequence[Band],
    out: int,
    source: int,
) -> int:
    """How far before the map `source` its map `out` must begin, so that each row falls on rows that
    no later band reads. The segment is the last to read `source`. A negative gap means that `out`
    may begin inside it."""
    height, row_bytes = shapes[source].height, shapes[source].row_bytes
    readers = [
        index
        for index in range(segment.first, segment.last + 1)
        if source in inputs_of(stages[index])
    ]
    gap, next_y = -(height * row_bytes), [0] * len(stages)
    for band in bands:
        if band.stage == INPUT:
            continue
        if stages[band.stage].reads_before_writing:
            next_y[band.stage] = band.y + band.count
        if stages[band.stage].output == out:
            lowest = min(lowest_needed(stages[i], source, next_y[i], shapes) for i in readers)
            if lowest < height:
                end = (band.y + band.count) * shapes[out].row_bytes
                gap = max(gap, end - lowest * row_bytes)
        next_y[band.stage] = band.y + band.count
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
