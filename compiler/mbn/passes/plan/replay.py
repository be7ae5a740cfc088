"""The order in which bands run, exactly as runtime/src/mbn.c runs them.

Within a segment the deepest stage that can run runs next. Only the readers of rows just made can
have become able to run, so the deepest of them is tried first. A segment begins when the one
before it has finished. With input mode `stream` the first runs while rows are pushed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mbn.core.options import InputMode
from mbn.core.plan import Segment
from mbn.core.schedule import RowShape, StageNeeds

INPUT = -1  # the "stage" that pushes a row of the image


@dataclass(frozen=True)
class Band:
    """Output rows y .. y + count - 1 of a stage (INPUT: of the image)."""

    stage: int
    y: int
    count: int


def inputs_of(needs: StageNeeds) -> tuple[int, ...]:
    """The tensors that a stage reads, each once."""
    return tuple(dict.fromkeys((needs.input, *needs.others)))


def readers_of(stages: Sequence[StageNeeds]) -> dict[int, list[int]]:
    """The stages that read each tensor, in order."""
    found: dict[int, list[int]] = {stage.output: [] for stage in stages}
    for index, stage in enumerate(stages):
        for tensor in inputs_of(stage):
            found.setdefault(tensor, []).append(index)
    return found


def results_of(stages: Sequence[StageNeeds]) -> set[int]:
    """The tensors that are kept to the end."""
    readers = readers_of(stages)
    return {stage.output for stage in stages if stage.is_result or not readers[stage.output]}


def rows_read(
    needs: StageNeeds, band: Band, shapes: Sequence[RowShape]
) -> Iterator[tuple[int, int]]:
    """(tensor, row) of all rows inside the maps that a band reads."""
    first = needs.first_row(band.y)
    last = first + needs.window_rows(band.count)
    for y in range(max(0, first), min(last, shapes[needs.input].height)):
        yield needs.input, y
    for other in needs.others:
        for y in range(band.y, band.y + band.count):
            yield other, min(y, shapes[other].height - 1)


def lowest_needed(needs: StageNeeds, tensor: int, next_y: int, shapes: Sequence[RowShape]) -> int:
    """The lowest row of `tensor` that the stage's bands from next_y on still read."""
    height = shapes[tensor].height
    if next_y >= shapes[needs.output].height:
        return height
    lowest = height
    if tensor == needs.input:
        lowest = max(0, needs.first_row(next_y))
    if tensor in needs.others:
        lowest = min(lowest, next_y, height - 1)
    return min(height, lowest)


def replay(
    stages: Sequence[StageNeeds],
    shapes: Sequence[RowShape],
    segments: Sequence[Segment],
    mode: InputMode,
    readers: Mapping[int, Sequence[int]] | None = None,
) -> Iterator[Band]:
    """All bands of one inference, in order. If the first segment begins after the first stage, what
    earlier stages make is complete from the start. Stage i makes tensor i + 1. `readers`: the
    result of `readers_of(stages)`, if the caller has it already."""
    start = segments[0].first if segments else 0
    done = [shape.height if start and t <= start else 0 for t, shape in enumerate(shapes)]
    readers = readers_of(stages) if readers is None else readers

    def run(segment: Segment, deepest: int) -> Iterator[Band]:
        index = min(deepest, segment.last)
        while True:
            needs = stages[index]
            y, height = done[needs.output], shapes[needs.output].height
            in_height = shapes[needs.input].height
            last = needs.first_row(y) + needs.window_rows(needs.band_rows)
            ready = done[needs.input] >= min(max(0, last), in_height) and all(
                done[other] >= min(y + needs.band_rows, shapes[other].height)
                for other in needs.others
            )
            if y < height and ready:
                yield Band(index, y, needs.band_rows)
                done[needs.output] = y + needs.band_rows
                index = min(max(readers[needs.output], default=index), segment.last)
            elif index > segment.first:
                index -= 1
            else:
                return

    for y in range(0 if start else shapes[0].height):
        yield Band(INPUT, y, 1)
        done[0] = y + 1
        if mode is InputMode.STREAM:
            yield from run(segments[0], max(readers[0]))
    for segment in segments:
        yield from run(segment, segment.last)
