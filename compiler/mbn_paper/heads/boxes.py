"""What SSD's default boxes are to predict of pictures with known boxes.

What enters: the sides of the maps that predict; true boxes. What leaves: default boxes in the order
in which the maps hold them (map by map, row by row, column by column, box by box), and what each is
to predict. Always holds: float64, the formulae of arXiv 1512.02325, section 2.2; nothing is rounded
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mbn.core.detector import RATIOS, VARIANCES, Float64, Sizes, default_boxes, scaled_sizes

LEAST_SCORE = 0.05  # of a detection: low, since what is measured is the precision at every score
MORE_RATIOS = (*RATIOS, 3.0, 1 / 3)


@dataclass(frozen=True)
class Anchors:
    """The default boxes of square maps. `sizes`: by map, of a cell's boxes."""

    sides: tuple[int, ...]
    sizes: tuple[Sizes, ...]

    @cached_property
    def boxes(self) -> Float64:
        """N x 4: the centre's y and x, height and width, in parts of the image's side."""
        pairs = zip(self.sides, self.sizes, strict=True)
        return np.concatenate([default_boxes(side, side, sizes) for side, sizes in pairs])

    @property
    def per_cell(self) -> tuple[int, ...]:
        """Boxes of a cell of each map."""
        return tuple(len(sizes) for sizes in self.sizes)

    @property
    def counts(self) -> tuple[int, ...]:
        """Boxes of each map."""
        return tuple(
            side * side * each for side, each in zip(self.sides, self.per_cell, strict=True)
        )


def anchors(
    sides: Sequence[int], ratios: Sequence[float] = RATIOS, first: int | None = None
) -> Anchors:
    """By SSD's recipe, one box more than `ratios` a cell; of the first map only the `first` ones,
    where that is given."""
    return Anchors(tuple(sides), scaled_sizes(len(sides), ratios, first=first))


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
