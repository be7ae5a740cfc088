"""The exact boxes of an SSD head's results, in NumPy; core/detector.py says what they are.

What enters: a network that carries a `Detector`, and int8 results. What leaves: detections, best
first. Always holds: integers only once the tables are made; the tables are derived here, as every
integer of the reference is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mbn.core.detector import (
    LARGEST_FACTOR,
    LARGEST_OFFSET,
    OFFSET_BITS,
    OVERLAP_BITS,
    SCORE_BITS,
    SIDE,
    SIZE_BITS,
    Detection,
    Detector,
    Scores,
    default_boxes,
)
from mbn.core.network import Network, Tensor

Int8 = NDArray[np.int8]
Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

LARGEST_LOGIT = 60.0  # its sigmoid is 1 to 86 bits


@dataclass(frozen=True)
class MapCode:
    """What a map's codes mean: by code + 128, as all tables are."""

    classes: Tensor
    boxes: Tensor
    detector: Detector

    @cached_property
    def scores(self) -> Int64:
        reals = _reals(self.classes)
        if self.detector.scores is Scores.LOGITS:
            reals = 1 / (1 + np.exp(-np.clip(reals, -LARGEST_LOGIT, LARGEST_LOGIT)))
        scores: Int64 = np.rint((1 << SCORE_BITS) * np.clip(reals, 0, 1)).astype(np.int64)
        return scores

    @cached_property
    def offsets(self) -> Int64:
        codes = _reals(self.boxes) * self.detector.variances[0]
        values = np.rint(codes * (1 << OFFSET_BITS)).astype(np.int64)
        return np.clip(values, -LARGEST_OFFSET, LARGEST_OFFSET)

    @cached_property
    def factors(self) -> Int64:
        codes = _reals(self.boxes) * self.detector.variances[1]
        values = np.rint(np.exp(np.minimum(codes, 10.0)) * (1 << SIZE_BITS))
        factors: Int64 = np.minimum(values, LARGEST_FACTOR).astype(np.int64)
        return factors


def _reals(tensor: Tensor) -> Float64:
    codes = np.arange(-128, 128) - tensor.zero_point
    return np.asarray(codes * np.float64(np.float32(tensor.scale)))


class BoxReference:
    """Turns the results of one picture into detections. The network must carry a detector."""

    def __init__(self, network: Network) -> None:
        assert network.detector is not None
        self.detector, self._outputs = network.detector, network.outputs
        self.maps = tuple(
            MapCode(
                self._outputs[one.class_result], self._outputs[one.box_result], network.detector
            )
            for one in self.detector.maps
        )

    @cached_property
    def own(self) -> Int64:
        """The default boxes, N x 4, in 2^-14 of the side."""
        parts = [
            default_boxes(code.classes.height, code.classes.width, one.sizes)
            for one, code in zip(self.detector.maps, self.maps, strict=True)
        ]
        return np.rint(np.concatenate(parts) * SIDE).astype(np.int64)

    def decoded(self, results: Int8) -> tuple[Int64, Int64]:
        """Scores N x classes and corners N x 4 of all default boxes. results: all bytes of one
        picture, one result after the other, each in height x width x channel order."""
        ends = np.cumsum([out.size_bytes for out in self._outputs])[:-1]
        parts = np.split(results.reshape(-1), ends)
        scores, offsets, factors = [], [], []
        for one, code in zip(self.detector.maps, self.maps, strict=True):
            classes = parts[one.class_result].reshape(-1, self.detector.classes)
            boxes = parts[one.box_result].reshape(-1, 4).astype(np.int64) + 128
            scores.append(code.scores[classes.astype(np.int64) + 128])
            offsets.append(code.offsets[boxes[:, :2]])
            factors.append(code.factors[boxes[:, 2:]])
        middles, sizes = self.own[:, :2], self.own[:, 2:]
        half_offset, half_factor = 1 << (OFFSET_BITS - 1), 1 << SIZE_BITS
        middle = middles + ((sizes * np.concatenate(offsets) + half_offset) >> OFFSET_BITS)
        half = (sizes * np.concatenate(factors) + half_factor) >> (SIZE_BITS + 1)
        corners = np.concatenate([middle - half, middle + half], axis=1)
        return np.concatenate(scores), np.clip(corners, 0, SIDE)

    def run(self, results: Int8) -> list[Detection]:
        """The detections of one picture, best first."""
        detector = self.detector
        scores, corners = self.decoded(results)
        flat = scores.reshape(-1)
        allowed = flat >= detector.least
        if detector.background:
            allowed[:: detector.classes] = False
        at = np.flatnonzero(allowed)
        best = at[np.argsort(-flat[at], kind="stable")][: detector.candidates]
        found: list[Detection] = []
        for pair in best:
            box, label = divmod(int(pair), detector.classes)
            top, left, bottom, right = (int(value) for value in corners[box])
            one = Detection(label, int(flat[pair]), (top, left, bottom, right))
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
        return common << OVERLAP_BITS > together * self.detector.overlap


def _area(box: Sequence[int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
