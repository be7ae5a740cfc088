"""SSD's default boxes.

What enters: the sides of the maps that predict. What leaves: the boxes in the order in which the
maps hold them: map by map, row by row, column by column, box by box. Always holds: float64, the
formulae of arXiv 1512.02325, section 2.2: scales evenly from 0.2 to 0.9, ratios 1, 2, 1/2 (and 3,
1/3), and one more square of the geometric mean with the next scale; nothing is rounded here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

LEAST_SCALE, LARGEST_SCALE = 0.2, 0.9
RATIOS = (1.0, 2.0, 0.5)
MORE_RATIOS = (*RATIOS, 3.0, 1 / 3)
VARIANCES = (0.1, 0.2)  # of a centre's and of a size's code


@dataclass(frozen=True, eq=False)
class Anchors:
    """`boxes`: N x 4: the centre's y and x, height and width, in parts of the image's side."""

    sides: tuple[int, ...]
    per_cell: tuple[int, ...]  # by map
    boxes: Float64

    @property
    def counts(self) -> tuple[int, ...]:
        """Boxes of each map."""
        return tuple(
            side * side * each for side, each in zip(self.sides, self.per_cell, strict=True)
        )


def anchors(
    sides: Sequence[int],
    ratios: Sequence[float] = RATIOS,
    scales: tuple[float, float] = (LEAST_SCALE, LARGEST_SCALE),
    first: int | None = None,
) -> Anchors:
    """The default boxes of square maps of these sides, one more than `ratios` a cell; of the first
    map only the `first` ones, where that is given."""
    low, high = scales
    steps = max(1, len(sides) - 1)
    sizes = [low + (high - low) * index / steps for index in range(len(sides) + 1)]
    parts, counts = [], []
    for index, side in enumerate(sides):
        size, following = sizes[index], min(1.0, sizes[index + 1])
        shapes = [(size / math.sqrt(ratio), size * math.sqrt(ratio)) for ratio in ratios]
        between = math.sqrt(size * following)
        shapes.append((between, between))
        shapes = shapes[:first] if index == 0 else shapes
        counts.append(len(shapes))
        middles = (np.arange(side) + 0.5) / side
        grid = np.empty((side, side, len(shapes), 4), np.float64)
        grid[..., 0] = middles[:, None, None]
        grid[..., 1] = middles[None, :, None]
        grid[..., 2:] = shapes
        parts.append(grid.reshape(-1, 4))
    return Anchors(tuple(sides), tuple(counts), np.concatenate(parts))


def corners(boxes: Float64) -> Float64:
    """Centres and sizes (... x 4) to top, left, bottom, right."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)


def overlaps(first: Float64, second: Float64) -> Float64:
    """Intersection over union of corners, N x 4 and M x 4: N x M."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.maximum(bottom_right - top_left, 0), axis=2)
    areas = [np.prod(np.maximum(of[:, 2:] - of[:, :2], 0), axis=1) for of in (first, second)]
    together = areas[0][:, None] + areas[1][None, :] - common
    return np.where(together > 0, common / np.maximum(together, 1e-12), 0.0)


def matched(
    default: Anchors, boxes: Float64, labels: NDArray[np.int64], least: float = 0.5
) -> tuple[NDArray[np.int64], Float64]:
    """What each default box is to predict of one picture (section 2.2, matching): the label (-1:
    nothing) and the four codes. Each true box (M x 4 corners, labels M) has its best default box;
    others overlap by at least `least`."""
    count = len(default.boxes)
    wanted, codes = np.full(count, -1, np.int64), np.zeros((count, 4))
    if not len(boxes):
        return wanted, codes
    overlap = overlaps(corners(default.boxes), boxes)
    best, owner = overlap.max(axis=1), overlap.argmax(axis=1)
    mine = overlap.argmax(axis=0)
    owner[mine], best[mine] = np.arange(len(boxes)), 1.0
    chosen = best >= least
    wanted[chosen] = labels[owner[chosen]]
    true = boxes[owner[chosen]]
    own = default.boxes[chosen]
    sizes = np.maximum(true[:, 2:] - true[:, :2], 1e-6)
    middles = (true[:, 2:] + true[:, :2]) / 2
    codes[chosen, :2] = (middles - own[:, :2]) / own[:, 2:] / VARIANCES[0]
    codes[chosen, 2:] = np.log(sizes / own[:, 2:]) / VARIANCES[1]
    return wanted, codes
