"""Int8 results of an SSD head to boxes, in integers.

What enters: for each map its int8 class codes and box codes, and what these mean. What leaves:
detections, best first. Always holds: integers only once the tables are made, so that C gives the
same ones. A class code q becomes a score of 15 bits by a table (the sigmoid of the logit), a
centre's code an offset of 16 bits by a table, a size's code a factor of 12 bits by a table (the
exponential); with a default box cy, cx, h, w in 2^-14 of the image's side:

    middle = c + (h * offset + 2^15 >> 16)       half = h * factor + 2^12 >> 13
    top, bottom = clamp(middle -+ half, 0, 2^14)

and the same across. Of all pairs of box and class whose score is at least `least`, the `candidates`
best are kept, in the order of the maps where scores are equal; from the best on, each suppresses
later ones of its class with which its intersection over union is above `overlap` / 2^8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mbn_paper.detect.boxes import VARIANCES, Anchors

Int8 = NDArray[np.int8]
Int64 = NDArray[np.int64]

SIDE_BITS, SCORE_BITS, OFFSET_BITS, SIZE_BITS, OVERLAP_BITS = 14, 15, 16, 12, 8
SIDE = 1 << SIDE_BITS
LARGEST_OFFSET = 4 << OFFSET_BITS  # of a box's own size
LARGEST_FACTOR = 8 << SIZE_BITS


@dataclass(frozen=True)
class MapCode:
    """What a map's codes mean: scale and zero point of its class and of its box results."""

    class_scale: float
    class_zero: int
    box_scale: float
    box_zero: int

    def _reals(self, scale: float, zero: int) -> NDArray[np.float64]:
        reals: NDArray[np.float64] = (np.arange(-128, 128) - zero) * np.float64(np.float32(scale))
        return reals

    @cached_property
    def scores(self) -> Int64:
        """By code + 128, as all tables are."""
        logits = self._reals(self.class_scale, self.class_zero)
        scores: Int64 = np.rint((1 << SCORE_BITS) / (1 + np.exp(-logits))).astype(np.int64)
        return scores

    @cached_property
    def offsets(self) -> Int64:
        codes = self._reals(self.box_scale, self.box_zero) * VARIANCES[0]
        values = np.rint(codes * (1 << OFFSET_BITS))
        offsets: Int64 = np.clip(values, -LARGEST_OFFSET, LARGEST_OFFSET).astype(np.int64)
        return offsets

    @cached_property
    def factors(self) -> Int64:
        codes = self._reals(self.box_scale, self.box_zero) * VARIANCES[1]
        values = np.rint(np.exp(np.minimum(codes, 10.0)) * (1 << SIZE_BITS))
        factors: Int64 = np.minimum(values, LARGEST_FACTOR).astype(np.int64)
        return factors


@dataclass(frozen=True)
class Detection:
    """`score` of 2^15; top, left, bottom, right in 2^-14 of the image's side."""

    label: int
    score: int
    box: tuple[int, int, int, int]

    @property
    def corners(self) -> tuple[float, ...]:
        """In parts of the image's side."""
        return tuple(value / SIDE for value in self.box)


@dataclass(frozen=True, eq=False)
class Detector:
    """Turns the results of one picture into detections."""

    default: Anchors
    classes: int
    maps: tuple[MapCode, ...]
    least: int = 1 << (SCORE_BITS - 2)  # score
    candidates: int = 100
    overlap: int = 115  # of 256: 0.45, arXiv 1512.02325, section 2.2

    @cached_property
    def own(self) -> Int64:
        """The default boxes, N x 4, in 2^-14 of the side."""
        return np.rint(self.default.boxes * SIDE).astype(np.int64)

    def decoded(self, results: Sequence[Int8]) -> tuple[Int64, Int64]:
        """Scores N x classes and corners N x 4 of all default boxes. results: of each map its
        class codes, then its box codes, in any shape of height x width x channel order."""
        scores, offsets, factors = [], [], []
        for at, code in enumerate(self.maps):
            classes = results[2 * at].reshape(-1, self.classes).astype(np.int64) + 128
            boxes = results[2 * at + 1].reshape(-1, 4).astype(np.int64) + 128
            scores.append(code.scores[classes])
            offsets.append(code.offsets[boxes[:, :2]])
            factors.append(code.factors[boxes[:, 2:]])
        middles, sizes = self.own[:, :2], self.own[:, 2:]
        half_offset, half_factor = 1 << (OFFSET_BITS - 1), 1 << SIZE_BITS
        middle = middles + ((sizes * np.concatenate(offsets) + half_offset) >> OFFSET_BITS)
        half = (sizes * np.concatenate(factors) + half_factor) >> (SIZE_BITS + 1)
        corners = np.concatenate([middle - half, middle + half], axis=1)
        return np.concatenate(scores), np.clip(corners, 0, SIDE)

    def run(self, results: Sequence[Int8]) -> list[Detection]:
        """The detections of one picture, best first."""
        scores, corners = self.decoded(results)
        flat = scores.reshape(-1)
        order = np.argsort(-flat, kind="stable")[: self.candidates]
        found: list[Detection] = []
        for at in order[flat[order] >= self.least]:
            box, label = divmod(int(at), self.classes)
            top, left, bottom, right = (int(value) for value in corners[box])
            one = Detection(label, int(flat[at]), (top, left, bottom, right))
            if not any(other.label == label and self._suppresses(other, one) for other in found):
                found.append(one)
        return found

    def _suppresses(self, first: Detection, second: Detection) -> bool:
        """Whether intersection over union is above the limit, without a division."""
        a, b = first.box, second.box
        rows = max(0, min(a[2], b[2]) - max(a[0], b[0]))
        columns = max(0, min(a[3], b[3]) - max(a[1], b[1]))
        common = rows * columns
        together = _area(a) + _area(b) - common
        return common << OVERLAP_BITS > together * self.overlap


def _area(box: tuple[int, int, int, int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
