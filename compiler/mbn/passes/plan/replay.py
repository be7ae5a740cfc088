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
    if needs.second is None or needs.second == needs.input:
        return (needs.input,)
    return (needs.input, needs.second)


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
    first = band.y * needs.stride_rows - needs.pad_top
    last = (band.y + band.count - 1) * needs.stride_rows - needs.pad_top + needs.kernel_rows
    for y in range(max(0, first), min(last, shapes[needs.input].height)):
        yield needs.input, y
    if needs.second is not None:
        for y in range(band.y, band.y + band.count):
            yield needs.second, y


def lowest_needed(needs: StageNeeds, tensor: int, next_y: int, shapes: Sequence[RowShape]) -> int:
    """The lowest row of `tensor` that the stage's bands from next_y on still read."""
    height = shapes[tensor].height
    if next_y >= shapes[needs.output].height:
        return height
    lowest = height
    if tensor == needs.input:
        lowest = max(0, next_y * needs.stride_rows - needs.pad_top)
    if tensor == needs.second:
        lowest = min(lowest, next_y)
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
            last = (y + needs.band_rows - 1) * needs.stride_rows + needs.kernel_rows
            wanted = min(max(0, last - needs.pad_top), in_height)
            ready = done[needs.input] >= wanted
            if needs.second is not None:
                ready = ready and done[needs.second] >= y + needs.band_rows
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
