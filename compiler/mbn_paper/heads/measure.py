"""How well a head does on pictures, float or int8.

What enters: results in real units, or int8, and what is on the pictures. What leaves: `Score`s in
percent. Always holds: NumPy alone; the same formulae for float and int8 results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbn.core.detector import SIDE, VARIANCES, Detection
from mbn_paper.heads.boxes import LEAST_SCORE, Anchors, corners, overlaps
from mbn_paper.heads.scenes import CELLS, Pictures

Reals = NDArray[np.float64]
LEAST_OVERLAP = 0.5  # of a right one with the true box
SUPPRESSED = 0.45


@dataclass(frozen=True)
class Score:
    """One figure in percent."""

    what: str
    percent: float


def scores(head: str, results: Reals, pictures: Pictures) -> tuple[Score, ...]:
    """Of any head but the detector: results N x outputs; the first score is the head's own."""
    labels = pictures.labels
    if head == "attributes":
        return _attribute_scores(results, labels)
    if head == "embedding":
        return _vector_scores(results, labels)
    guess = results.argmax(axis=1)
    found = [Score("top-1", 100 * float(np.mean(guess == labels)))]
    if head == "places":
        rows = np.abs(guess // CELLS - labels // CELLS)
        columns = np.abs(guess % CELLS - labels % CELLS)
        near = np.maximum(np.minimum(rows, CELLS - rows), np.minimum(columns, CELLS - columns)) <= 1
        found.append(Score("within one cell", 100 * float(np.mean(near))))
    return tuple(found)


def _attribute_scores(logits: Reals, labels: NDArray[np.generic]) -> tuple[Score, ...]:
    wanted = labels.astype(np.float64) > 0.5
    precisions = [average_precision(-logits[:, at], wanted[:, at]) for at in range(wanted.shape[1])]
    right = float(np.mean((logits >= 0) == wanted))
    return (
        Score("mean average precision", 100 * float(np.mean(precisions))),
        Score("labels right", 100 * right),
    )


def average_precision(order: Reals, right: NDArray[np.bool_], total: int | None = None) -> float:
    """Area under precision and recall of candidates sorted by `order`; `total` true ones are
    wanted (default: those that are right)."""
    hits = right[np.argsort(order, kind="stable")]
    count = int(hits.sum()) if total is None else total
    if count == 0 or not len(hits):
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # from this recall on
    return float(best[hits].sum() / count)


def _vector_scores(vectors: Reals, labels: NDArray[np.generic]) -> tuple[Score, ...]:
    """The share of pairs told apart at the threshold where both errors are equal, and of vectors
    whose nearest other one shows the same."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    near = unit @ unit.T
    same = labels[:, None] == labels[None, :]
    upper = np.triu_indices(len(labels), 1)
    values, pairs = near[upper], same[upper]
    order = np.argsort(-values, kind="stable")
    accepted = np.cumsum(pairs[order]) / max(1, pairs.sum())
    false = np.cumsum(~pairs[order]) / max(1, (~pairs).sum())
    at = int(np.argmin(np.abs((1 - accepted) - false)))
    error = (1 - accepted[at] + false[at]) / 2
    np.fill_diagonal(near, -2.0)
    nearest = same[np.arange(len(labels)), near.argmax(axis=1)]
    return (
        Score("verification at equal error", 100 * float(1 - error)),
        Score("nearest is the same", 100 * float(np.mean(nearest))),
    )


# -- detection -----------------------------------------------------------------------------------


def detection_scores(found: Sequence[Sequence[Detection]], pictures: Pictures) -> tuple[Score, ...]:
    """Mean average precision over the classes, a detection being right where it overlaps a true
    box of its class, that none before it has taken, by half."""
    assert pictures.boxes is not None
    classes = int(pictures.labels.max()) + 1
    precisions = [
        _class_precision(found, pictures.boxes, pictures.labels, label) for label in range(classes)
    ]
    return (Score("mean average precision at 0.5", 100 * float(np.mean(precisions))),)


def _class_precision(
    found: Sequence[Sequence[Detection]],
    boxes: NDArray[np.float32],
    labels: NDArray[np.generic],
    label: int,
) -> float:
    order, right, total = [], [], 0
    for picture, detections in enumerate(found):
        true = boxes[picture][labels[picture] == label].astype(np.float64)
        total += len(true)
        taken = np.zeros(len(true), np.bool_)
        for one in (each for each in detections if each.label == label):
            overlap = np.where(taken, 0, overlaps(np.array([one.corners]), true)[0])
            best = int(overlap.argmax()) if len(true) else 0
            hit = len(true) > 0 and bool(overlap[best] >= LEAST_OVERLAP)
            if hit:
                taken[best] = True
            order.append(-float(one.score))
            right.append(hit)
    return average_precision(np.array(order), np.array(right, np.bool_), total)


def float_detections(default: Anchors, logits: Reals, codes: Reals) -> list[Detection]:
    """Of one picture's logits (boxes x classes) and codes (boxes x 4), without any rounding but of
    the detections' own units: the yardstick for the integers."""
    own = default.boxes
    middles = own[:, :2] + codes[:, :2] * VARIANCES[0] * own[:, 2:]
    sizes = own[:, 2:] * np.exp(codes[:, 2:] * VARIANCES[1])
    boxes = np.clip(corners(np.concatenate([middles, sizes], axis=1)), 0, 1)
    chance = 1 / (1 + np.exp(-logits))
    found: list[Detection] = []
    kept: list[tuple[int, Reals]] = []
    for at in np.argsort(-chance.reshape(-1), kind="stable")[:100]:
        box, label = divmod(int(at), logits.shape[1])
        if chance[box, label] < LEAST_SCORE:
            break
        mine = [one for other, one in kept if other == label]
        if mine and overlaps(boxes[box][None], np.stack(mine)).max() > SUPPRESSED:
            continue
        kept.append((label, boxes[box]))
        top, left, bottom, right = (int(value) for value in np.rint(boxes[box] * SIDE))
        found.append(Detection(label, int(chance[box, label] * 2**15), (top, left, bottom, right)))
    return found
