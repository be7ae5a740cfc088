"""The tables by which a device turns an SSD head's results into boxes; see core/detector.py.

What enters: a network that carries a `Detector`. What leaves: `MapTables`, one a map. Always holds:
centres depend on a cell's row or column alone and sizes on the box of a cell, so that no table has
an entry for each default box; scores never fall where codes rise, which the device relies on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mbn.core.detector import (
    LARGEST_FACTOR,
    LARGEST_OFFSET,
    OFFSET_BITS,
    SCORE_BITS,
    SIDE,
    SIZE_BITS,
    BoxMap,
    Detector,
    Scores,
)
from mbn.core.network import Network, Tensor

Values = tuple[int, ...]


@dataclass(frozen=True)
class MapTables:
    """Of one map. `scores`, `offsets`, `factors`: 256 values, by code + 128. `rows`, `columns`:
    where the cells' middles are; `sizes`: height and width of each box of a cell; in 2^-14."""

    scores: Values
    offsets: Values
    factors: Values
    rows: Values
    columns: Values
    sizes: tuple[tuple[int, int], ...]


def detector_tables(network: Network) -> tuple[MapTables, ...]:
    """The tables of all maps."""
    detector = network.detector
    assert detector is not None
    return tuple(_tables(detector, one, network) for one in detector.maps)


def _tables(detector: Detector, one: BoxMap, network: Network) -> MapTables:
    classes, boxes = network.outputs[one.class_result], network.outputs[one.box_result]
    share = _sigmoid if detector.scores is Scores.LOGITS else _identity
    of_centre, of_size = detector.variances

    def score(real: float) -> int:
        return round(min(1.0, max(0.0, share(real))) * (1 << SCORE_BITS))

    def offset(real: float) -> int:
        value = round(real * of_centre * (1 << OFFSET_BITS))
        return min(LARGEST_OFFSET, max(-LARGEST_OFFSET, value))

    def factor(real: float) -> int:
        power = real * of_size
        bounded = LARGEST_FACTOR if power > 3 else round(math.exp(power) * (1 << SIZE_BITS))
        return min(LARGEST_FACTOR, bounded)

    return MapTables(
        _by_code(classes, score),
        _by_code(boxes, offset),
        _by_code(boxes, factor),
        _middles(classes.height),
        _middles(classes.width),
        tuple((round(height * SIDE), round(width * SIDE)) for height, width in one.sizes),
    )


def _by_code(tensor: Tensor, value: Callable[[float], int]) -> Values:
    return tuple(value((code - tensor.zero_point) * tensor.scale) for code in range(-128, 128))


def _middles(count: int) -> Values:
    return tuple(round((at + 0.5) / count * SIDE) for at in range(count))


def _sigmoid(logit: float) -> float:
    return 0.0 if logit < -60 else 1 / (1 + math.exp(-logit))


def _identity(real: float) -> float:
    return real
