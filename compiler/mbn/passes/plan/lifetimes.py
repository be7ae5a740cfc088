"""When each part of the arena is in use, as rectangles of time and address.

Time counts bands in the order in which the driver runs them. A part is in use from its first byte
written to its last byte read. So two parts that overlap are a map written over rows of another
that are no longer needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mbn.core.plan import Plan
from mbn.core.schedule import RowShape, StageNeeds
from mbn.passes.plan.replay import INPUT, inputs_of, replay, results_of


@dataclass(frozen=True)
class Piece:
    """A ring, a map or a stage's scratch; times are band numbers, both inclusive."""

    kind: str  # ring, map, scratch
    index: int  # of the tensor, or the stage
    first: int
    last: int
    offset_bytes: int
    size_bytes: int


def lifetimes(
    plan: Plan, stages: Sequence[StageNeeds], shapes: Sequence[RowShape]
) -> tuple[list[Piece], int]:
    """All pieces, and the number of bands of one inference."""
    spans: dict[tuple[str, int], list[int]] = {}

    def touch(kind: str, index: int, time: int) -> None:
        spans.setdefault((kind, index), [time, time])[1] = time

    time = -1
    for time, band in enumerate(replay(stages, shapes, plan.segments, plan.mode)):
        if band.stage == INPUT:
            touch("tensor", stages[0].input, time)
            continue
        needs = stages[band.stage]
        for tensor in inputs_of(needs):
            touch("tensor", tensor, time)
        touch("tensor", needs.output, time)
        if needs.scratch_bytes:
            touch("scratch", band.stage, time)
    for result in results_of(stages):
        spans[("tensor", result)][1] = time
    pieces = []
    for (kind, index), (first, last) in spans.items():
        if kind == "scratch":
            offset, size = plan.scratch_offsets[index], stages[index].scratch_bytes
        else:
            place = plan.places[index]
            offset, size = place.offset_bytes, place.size_bytes
            kind = "map" if place.depth == shapes[index].height else "ring"  # noqa: PLW2901
        pieces.append(Piece(kind, index, first, last, offset, size))
    return pieces, time + 1


def live_bytes(pieces: Sequence[Piece], bands: int) -> list[int]:
    """Bytes in use at each band, shared ones counted once."""
    result = []
    for time in range(bands):
        live = sorted(
            (piece.offset_bytes, piece.offset_bytes + piece.size_bytes)
            for piece in pieces
            if piece.first <= time <= piece.last
        )
        total = end = 0
        for start, stop in live:
            total += max(0, stop - max(start, end))
            end = max(end, stop)
        result.append(total)
    return result
