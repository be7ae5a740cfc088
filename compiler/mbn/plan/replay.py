"""The order in which bands run, exactly as runtime/src/mbn.c runs them.

What enters: stages' row needs, segments, the input mode. What leaves: events in order. Always
holds: the rule is the driver's: within a segment the deepest stage that can run does; a segment
begins when the one before it has finished, the first while rows are pushed (stream).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mbn import ir

INPUT = -1  # the "stage" that pushes a row of the image


@dataclass(frozen=True)
class Band:
    """Output rows y .. y + count - 1 of a stage (INPUT: of the image)."""

    stage: int
    y: int
    count: int


def rows_read(needs: ir.StageNeeds, band: Band, in_height: int) -> range:
    """Input rows that lie in the map, of those that a band reads."""
    first = band.y * needs.stride_rows - needs.pad_top
    last = (band.y + band.count - 1) * needs.stride_rows - needs.pad_top + needs.kernel_rows
    return range(max(0, first), min(last, in_height))


def lowest_needed(needs: ir.StageNeeds, next_y: int, in_height: int, out_height: int) -> int:
    """The lowest input row that the bands from next_y on still read."""
    if next_y >= out_height:
        return in_height
    return min(in_height, max(0, next_y * needs.stride_rows - needs.pad_top))


def replay(
    stages: Sequence[ir.StageNeeds],
    shapes: Sequence[ir.RowShape],
    segments: Sequence[ir.Segment],
    mode: ir.InputMode,
    source: int = 0,
) -> Iterator[Band]:
    """All bands of one inference, in order. `stages` may be a part of a network, whose first
    input is tensor `source`; its stages are counted from 0."""
    done = [0] * len(shapes)

    def run(segment: ir.Segment) -> Iterator[Band]:
        index = segment.first
        while True:
            needs = stages[index]
            y, height = done[needs.output], shapes[needs.output].height
            in_height = shapes[needs.input].height
            last = (y + needs.band_rows - 1) * needs.stride_rows + needs.kernel_rows
            wanted = min(max(0, last - needs.pad_top), in_height)
            if y < height and done[needs.input] >= wanted:
                yield Band(index, y, needs.band_rows)
                done[needs.output] = y + needs.band_rows
                index = min(index + 1, segment.last)
            elif index > segment.first:
                index -= 1
            else:
                return

    for y in range(shapes[source].height):
        yield Band(INPUT, y, 1)
        done[source] = y + 1
        if mode is ir.InputMode.STREAM:
            yield from run(segments[0])
    for segment in segments:
        yield from run(segment)
