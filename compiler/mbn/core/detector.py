"""How results of an SSD head (arXiv 1512.02325) become boxes; a `Network` may carry it.

What enters: default boxes and limits. What leaves: frozen values. Always holds: codes, scores and
corners mean the same on a device and on the host; the integers behind them are derived twice, in
arithmetic/ for the device's tables and in exact/ for the reference.

A class code q becomes a score of 15 bits by a table (the sigmoid of the logit), a centre's code an
offset of 16 bits, a size's code a factor of 12 bits (the exponential); with a default box cy, cx,
h, w in 2^-14 of the image's side:

    middle = c + (h * offset + 2^15 >> 16)       half = h * factor + 2^12 >> 13
    top, bottom = clamp(middle -+ half, 0, 2^14)

and the same across. Of all pairs of box and class whose score is at least `least`, the `candidates`
best are kept, in the order of the maps where scores are equal (row, column, box, class); from the
best on, each suppresses later ones of its class with which its intersection over union is above
`overlap` / 2^8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

SIDE_BITS, SCORE_BITS, OFFSET_BITS, SIZE_BITS, OVERLAP_BITS = 14, 15, 16, 12, 8
SIDE = 1 << SIDE_BITS
LARGEST_OFFSET = 4 << OFFSET_BITS  # of a box's own size
LARGEST_FACTOR = 8 << SIZE_BITS
LARGEST_SIDE = 3.99  # of a default box, in parts of the image's: 16 bits hold it
VARIANCES = (0.1, 0.2)  # of a centre's and of a size's code: SSD's

LEAST_SCALE, LARGEST_SCALE = 0.2, 0.9
RATIOS = (1.0, 2.0, 0.5)
MOST_CANDIDATES, MOST_MAPS, MOST_CLASSES = 4096, 64, 1 << 15

Float64 = NDArray[np.float64]
Sizes = tuple[tuple[float, float], ...]  # of a cell's default boxes: height, width


class Scores(StrEnum):
    """What the class results hold."""

    LOGITS = "logits"  # a score is the sigmoid, each class by itself
    PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class BoxMap:
    """One map that predicts. `class_result`, `box_result`: numbers of the network's results, both
    of one height and width, with boxes a cell * classes and boxes a cell * 4 channels (centre's y
    and x, height, width). `sizes`: in parts of the image's sides."""

    class_result: int
    box_result: int
    sizes: Sizes


@dataclass(frozen=True)
class Detector:
    """How results become detections; see the file's head. `classes` counts the background, which
    is class 0 where there is one and never detected. `least` is a score of 2^15, `overlap` of
    2^8."""

    maps: tuple[BoxMap, ...]
    classes: int
    background: bool = False
    scores: Scores = Scores.LOGITS
    variances: tuple[float, float] = VARIANCES
    least: int = 1 << (SCORE_BITS - 2)
    candidates: int = 100
    overlap: int = 115  # 0.45, arXiv 1512.02325, section 2.2

    def default_boxes(self, shapes: Sequence[tuple[int, int, int]]) -> int:
        """How many there are in all, of results of these shapes."""
        cells = (shapes[one.box_result][:2] for one in self.maps)
        counts = (len(one.sizes) for one in self.maps)
        return sum(high * wide * each for (high, wide), each in zip(cells, counts, strict=True))

    def problem(self, shapes: Sequence[tuple[int, int, int]]) -> tuple[str, str] | None:
        """What does not fit results of these shapes, and what would; None where all does."""
        first = int(self.background)
        limits = (
            ("maps", len(self.maps), 1, MOST_MAPS),
            ("classes", self.classes, first + 1, MOST_CLASSES),
            ("the least score", self.least, 0, 1 << SCORE_BITS),
            ("candidates", self.candidates, 1, MOST_CANDIDATES),
            ("the overlap", self.overlap, 0, 1 << OVERLAP_BITS),
        )
        for what, value, low, high in limits:
            if not low <= value <= high:
                return f"{what}: {value}", f"{low} to {high}"
        if not all(0 < value <= 10 for value in self.variances):
            return f"variances {list(self.variances)}", "values above 0, at most 10"
        used = [at for one in self.maps for at in (one.class_result, one.box_result)]
        if len(set(used)) < len(used) or not all(0 <= at < len(shapes) for at in used):
            return f"results {used}", f"different ones of 0 to {len(shapes) - 1}"
        for number, one in enumerate(self.maps):
            if found := self._map_problem(one, shapes):
                return f"map {number}: {found[0]}", found[1]
        return None

    def _map_problem(
        self, one: BoxMap, shapes: Sequence[tuple[int, int, int]]
    ) -> tuple[str, str] | None:
        sides = [side for size in one.sizes for side in size]
        if not sides or not all(0 < side <= LARGEST_SIDE for side in sides):
            return f"default boxes of {list(one.sizes)}", f"sides above 0, at most {LARGEST_SIDE}"
        height, width, _ = shapes[one.class_result]
        for at, values in ((one.class_result, self.classes), (one.box_result, 4)):
            wanted = (height, width, len(one.sizes) * values)
            if shapes[at] != wanted:
                return (
                    f"result {at} is {'x'.join(map(str, shapes[at]))}",
                    f"{'x'.join(map(str, wanted))}: {len(one.sizes)} boxes a cell",
                )
        return None


@dataclass(frozen=True)
class Detection:
    """`score` of 2^15; top, left, bottom, right in 2^-14 of the image's sides."""

    label: int
    score: int
    box: tuple[int, int, int, int]

    @property
    def corners(self) -> tuple[float, ...]:
        """In parts of the image's sides."""
        return tuple(value / SIDE for value in self.box)

    def __str__(self) -> str:
        return f"class {self.label}, score {self.score}, corners {' '.join(map(str, self.box))}"


# -- default boxes -------------------------------------------------------------------------------


def scaled_sizes(
    count: int,
    ratios: Sequence[float] = RATIOS,
    scales: tuple[float, float] = (LEAST_SCALE, LARGEST_SCALE),
    first: int | None = None,
) -> tuple[Sizes, ...]:
    """The default boxes of a cell of each of `count` maps, by section 2.2: scales evenly between
    the two, each ratio (width / height), and one more square of the geometric mean with the next
    scale; of the first map only the `first` ones, where that is given."""
    low, high = scales
    steps = max(1, count - 1)
    made = []
    for index in range(count):
        size, following = (low + (high - low) * at / steps for at in (index, index + 1))
        shapes = [(size / math.sqrt(ratio), size * math.sqrt(ratio)) for ratio in ratios]
        between = math.sqrt(size * min(1.0, following))
        shapes.append((between, between))
        made.append(tuple(shapes[:first] if index == 0 else shapes))
    return tuple(made)


def default_boxes(height: int, width: int, sizes: Sizes) -> Float64:
    """The default boxes of a map, N x 4: centre's y and x, height and width in parts of the image's
    sides; row by row, column by column, box by box."""
    grid = np.empty((height, width, len(sizes), 4), np.float64)
    grid[..., 0] = ((np.arange(height) + 0.5) / height)[:, None, None]
    grid[..., 1] = ((np.arange(width) + 0.5) / width)[None, :, None]
    grid[..., 2:] = sizes
    return grid.reshape(-1, 4)
