"""SSD's boxes: the integers against the formulae, and what suppression promises.

What enters: drawn int8 results with drawn scales. What leaves: nothing but failures. Always holds:
each property is checked by other code than the detector's.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbn_paper.detect import Detection, Detector, MapCode, anchors
from mbn_paper.detect.boxes import MORE_RATIOS, VARIANCES, corners, matched, overlaps
from mbn_paper.detect.decode import SIDE
from mbn_paper.heads import measure
from mbn_paper.heads.scenes import Pictures, Scenes

CLASSES = 3
SIDES = (4, 2, 1)
fuzzed = settings(max_examples=40, deadline=None, derandomize=True)


def drawn(seed: int) -> tuple[Detector, list[np.ndarray]]:
    """A detector, and results of one picture."""
    bits = np.random.default_rng(seed)
    maps = tuple(
        MapCode(
            float(bits.uniform(0.01, 0.2)),
            int(bits.integers(-128, 128)),
            float(bits.uniform(0.005, 0.1)),
            int(bits.integers(-40, 40)),
        )
        for _ in SIDES
    )
    results = []
    for side in SIDES:
        for values in (CLASSES, 4):
            results.append(bits.integers(-128, 128, (side, side, 4 * values)).astype(np.int8))
    return Detector(anchors(SIDES), CLASSES, maps, candidates=40), results


@fuzzed
@given(st.integers(0, 2**32 - 1))
def test_integers_are_the_formulae_rounded(seed: int) -> None:
    detector, results = drawn(seed)
    scores, boxes = detector.decoded(results)
    start = 0
    for code, count, at in zip(detector.maps, detector.default.counts, (0, 2, 4), strict=True):
        own = detector.default.boxes[start : start + count]
        logits = (results[at].reshape(-1, CLASSES) - float(code.class_zero)) * code.class_scale
        exact = 1 / (1 + np.exp(-logits))
        assert np.abs(scores[start : start + count] / 2**15 - exact).max() < 2e-5
        codes = (results[at + 1].reshape(-1, 4) - float(code.box_zero)) * code.box_scale
        middle = own[:, :2] + codes[:, :2] * VARIANCES[0] * own[:, 2:]
        size = own[:, 2:] * np.minimum(np.exp(codes[:, 2:] * VARIANCES[1]), 8)
        wanted = np.clip(corners(np.concatenate([middle, size], axis=1)), 0, 1)
        assert np.abs(boxes[start : start + count] / SIDE - wanted).max() < 4e-4
        start += count
    assert start == len(boxes) == len(detector.own)


@fuzzed
@given(st.integers(0, 2**32 - 1))
def test_suppression(seed: int) -> None:
    detector, results = drawn(seed)
    found = detector.run(results)
    assert found == detector.run([one.copy() for one in results])
    scores, boxes = detector.decoded(results)
    best = sorted(
        ((-int(scores[n, c]), n, c) for n, c in np.ndindex(scores.shape)),
    )[: detector.candidates]
    candidates = [
        Detection(c, -s, tuple(int(v) for v in boxes[n]))
        for s, n, c in best
        if -s >= detector.least
    ]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    limit = detector.overlap / 256

    def overlap(a: Detection, b: Detection) -> float:
        return float(overlaps(np.array([a.box], float), np.array([b.box], float))[0, 0])

    for at, one in enumerate(found):
        assert one in candidates
        before = [other for other in found[:at] if other.label == one.label]
        assert all(overlap(one, other) <= limit + 1e-9 for other in before)
    for one in (each for each in candidates if each not in found):
        better = [o for o in found if o.label == one.label and o.score >= one.score]
        assert any(overlap(one, other) > limit - 1e-9 for other in better)


def test_default_boxes() -> None:
    made = anchors((19, 10, 5, 3, 2, 1), MORE_RATIOS, first=3)
    assert made.counts == (1083, 600, 150, 54, 24, 6)  # TensorFlow's SSD: 1917
    assert len(made.boxes) == 1917
    assert np.allclose(made.boxes[:3, :2], 0.5 / 19)
    assert np.allclose(np.sqrt(made.boxes[:3, 2] * made.boxes[:3, 3]), 0.2)
    assert np.allclose(made.boxes[1, 3] / made.boxes[1, 2], 2)


def test_codes_of_true_boxes_decode_to_them() -> None:
    pictures = Scenes("detection", 96).batch(5, 0, 20)
    assert pictures.boxes is not None
    default = anchors((6, 3, 2, 1))
    for boxes, labels in zip(pictures.boxes, pictures.labels, strict=True):
        true = boxes[labels >= 0].astype(np.float64)
        wanted, codes = matched(default, true, labels[labels >= 0])
        assert set(wanted[wanted >= 0]) == set(labels[labels >= 0])
        logits = np.full((len(wanted), 10), -20.0)
        chosen = np.flatnonzero(wanted >= 0)
        logits[chosen, wanted[chosen]] = 5.0
        found = measure.float_detections(default, logits, codes)
        for box, label in zip(true, labels[labels >= 0], strict=True):
            mine = np.array([one.corners for one in found if one.label == label])
            assert overlaps(box[None], mine).max() > 0.99


def test_average_precision_by_hand() -> None:
    right = np.array([True, False, True])
    assert measure.average_precision(np.array([0.0, 1.0, 2.0]), right) == pytest.approx(5 / 6)
    assert measure.average_precision(np.array([2.0, 1.0, 0.0]), right, 4) == pytest.approx(
        (1 + 2 / 3) / 4
    )
    assert measure.average_precision(np.zeros(0), np.zeros(0, np.bool_), 3) == 0
    true = np.array([[[0.0, 0.0, 0.5, 0.5], [0, 0, 0, 0]]], np.float32)
    pictures = Pictures(np.zeros((1, 1, 1, 3), np.uint8), np.array([[0, -1]]), true)
    twice = [Detection(0, 9, (0, 0, SIDE // 2, SIDE // 2)), Detection(0, 8, (0, 0, 8000, 8192))]
    (score,) = measure.detection_scores([twice], pictures)
    assert score.percent == 100  # the second is wrong, but behind the first
    (score,) = measure.detection_scores([[]], pictures)
    assert score.percent == 0
