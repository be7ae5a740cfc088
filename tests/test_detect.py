"""SSD's boxes: the integers against the formulae, what suppression promises, and the device's C.

What enters: drawn int8 results with drawn scales. What leaves: nothing but failures. Always holds:
the reference is checked by other code than its own; the C, under sanitizers, gives the reference's
boxes, every number of each. (On a device: test_detector.py.)
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mbn.arithmetic import detector_tables
from mbn.core.detector import (
    SIDE,
    VARIANCES,
    BoxMap,
    Detection,
    Detector,
    Scores,
    default_boxes,
    scaled_sizes,
)
from mbn.core.network import Network, Tensor
from mbn.core.target import data_root
from mbn.exact import BoxReference
from mbn_paper.heads import measure
from mbn_paper.heads.boxes import MORE_RATIOS, anchors, corners, matched, overlaps
from mbn_paper.heads.scenes import Pictures, Scenes

Int8 = NDArray[np.int8]
CLASSES = 3
SIDES = (4, 2, 1)
fuzzed = settings(max_examples=40, deadline=None, derandomize=True)


def with_head(
    detector: Detector, sides: list[tuple[int, int]], meanings: list[tuple[float, int]]
) -> Network:
    """No layers: results alone, classes then boxes of each map, of the given scales and zeros."""
    tensors = []
    for one, (height, width) in zip(detector.maps, sides, strict=True):
        for values in (detector.classes, 4):
            scale, zero = meanings[len(tensors)]
            channels = len(one.sizes) * values
            real = float(np.float32(scale))
            tensors.append(Tensor(f"r{len(tensors)}", height, width, channels, real, zero))
    names = tuple(tensor.name for tensor in tensors)
    return Network("n", tuple(tensors), (), (), results=names, detector=detector)


def drawn(seed: int) -> tuple[Network, Int8]:
    """A network with a head, and results of one picture."""
    bits = np.random.default_rng(seed)
    sizes = scaled_sizes(len(SIDES))
    maps = tuple(BoxMap(2 * at, 2 * at + 1, one) for at, one in enumerate(sizes))
    detector = Detector(maps, CLASSES, candidates=40)
    meanings = []
    for _ in SIDES:
        meanings.append((float(bits.uniform(0.01, 0.2)), int(bits.integers(-128, 128))))
        meanings.append((float(bits.uniform(0.005, 0.1)), int(bits.integers(-40, 40))))
    network = with_head(detector, [(side, side) for side in SIDES], meanings)
    return network, bits.integers(-128, 128, network.result_bytes).astype(np.int8)


@fuzzed
@given(st.integers(0, 2**32 - 1))
def test_integers_are_the_formulae_rounded(seed: int) -> None:
    network, results = drawn(seed)
    reference = BoxReference(network)
    scores, boxes = reference.decoded(results)
    start, at = 0, 0
    for number, side in enumerate(SIDES):
        own = default_boxes(side, side, reference.detector.maps[number].sizes)
        count, (classes, codes) = len(own), network.outputs[2 * number : 2 * number + 2]
        values = results[at : at + classes.size_bytes].reshape(-1, CLASSES)
        logits = (values - float(classes.zero_point)) * classes.scale
        exact = 1 / (1 + np.exp(-logits))
        assert np.abs(scores[start : start + count] / 2**15 - exact).max() < 2e-5
        at += classes.size_bytes
        values = results[at : at + codes.size_bytes].reshape(-1, 4)
        reals = (values - float(codes.zero_point)) * codes.scale
        middle = own[:, :2] + reals[:, :2] * VARIANCES[0] * own[:, 2:]
        size = own[:, 2:] * np.minimum(np.exp(reals[:, 2:] * VARIANCES[1]), 8)
        wanted = np.clip(corners(np.concatenate([middle, size], axis=1)), 0, 1)
        assert np.abs(boxes[start : start + count] / SIDE - wanted).max() < 4e-4
        at, start = at + codes.size_bytes, start + count
    assert start == len(boxes) == len(reference.own)


@fuzzed
@given(st.integers(0, 2**32 - 1))
def test_suppression(seed: int) -> None:
    network, results = drawn(seed)
    reference = BoxReference(network)
    detector, found = reference.detector, reference.run(results)
    scores, boxes = reference.decoded(results)
    best = sorted(
        ((-int(scores[n, c]), n, c) for n, c in np.ndindex(scores.shape)),
    )[: detector.candidates]
    candidates = [
        Detection(c, -s, tuple(int(v) for v in boxes[n]))  # type: ignore[arg-type]
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


# -- the device's C, natively --------------------------------------------------------------------

Run = Callable[[list[tuple[Network, Int8, int]]], list[tuple[int, list[Detection]]]]
SANITIZED = ["-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wcast-align=strict", "-Werror"]


@pytest.fixture(scope="module")
def run_c(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Status and boxes of mbn_detect for networks, results, and how many boxes there is room
    for."""
    program = tmp_path_factory.mktemp("detect") / "cases"
    runtime = data_root() / "runtime"
    sources = [Path(__file__).with_name("detect_cases.c"), *(runtime / "src").glob("*.c")]
    command = ["gcc", *SANITIZED, *WARNINGS, "-I", str(runtime / "include"), "-o", str(program)]
    subprocess.run([*command, *map(str, sources)], check=True)

    def run(cases: list[tuple[Network, Int8, int]]) -> list[tuple[int, list[Detection]]]:
        words = np.concatenate([np.fromiter(_words(*one), np.int32) for one in cases])
        done = subprocess.run([program], input=words.tobytes(), capture_output=True, check=True)
        return [_boxes([int(part) for part in line.split()]) for line in done.stdout.splitlines()]

    return run


def _words(network: Network, results: Int8, most: int) -> Iterator[int]:
    """A case as detect_cases.c reads it; results lie in planes by turns."""
    detector = network.detector
    assert detector is not None
    yield from (len(detector.maps), detector.classes, int(detector.background))
    yield from (detector.candidates, detector.least, detector.overlap, most)
    ends = np.cumsum([out.size_bytes for out in network.outputs])[:-1]
    parts = np.split(results, ends)
    for at, (one, tables) in enumerate(zip(detector.maps, detector_tables(network), strict=True)):
        out = network.outputs[one.class_result]
        yield from (out.height, out.width, len(one.sizes), at % 2, 1 - at % 2)
        yield from (*tables.scores, *tables.offsets, *tables.factors, *tables.rows)
        yield from (*tables.columns, *(side for size in tables.sizes for side in size))
        yield from (*parts[one.class_result].tolist(), *parts[one.box_result].tolist())


def _boxes(numbers: list[int]) -> tuple[int, list[Detection]]:
    status, count, *rest = numbers
    assert len(rest) == 6 * count
    rows = [rest[at : at + 6] for at in range(0, len(rest), 6)]
    return status, [Detection(row[0], row[1], (row[2], row[3], row[4], row[5])) for row in rows]


def _agree(run: Run, cases: list[tuple[Network, Int8]]) -> list[list[Detection]]:
    wanted = [BoxReference(network).run(results) for network, results in cases]
    found = run([(*case, case[0].detector.candidates) for case in cases])  # type: ignore[union-attr]
    for number, (own, (status, got)) in enumerate(zip(wanted, found, strict=True)):
        assert (status, got) == (0, own), f"case {number}"
    return wanted


def _any(bits: np.random.Generator) -> tuple[Network, Int8]:
    """Any head, any codes: also ones that are nearly all equal, at the ends, or seldom high."""
    maps, sides = [], []
    for at in range(int(bits.integers(1, 5))):
        count = int(bits.integers(1, 5))
        drawn_sizes = 10 ** bits.uniform(-5, 0.59, (count, 2))
        sizes = tuple((float(height), float(width)) for height, width in drawn_sizes)
        maps.append(BoxMap(2 * at, 2 * at + 1, sizes))
        sides.append((int(bits.integers(1, 7)), int(bits.integers(1, 7))))
    background = bool(bits.integers(0, 2))
    detector = Detector(
        tuple(maps),
        int(bits.integers(1 + background, 6)),
        background=background,
        scores=list(Scores)[int(bits.integers(0, 2))],
        variances=(float(bits.uniform(0.01, 2)), float(bits.uniform(0.01, 2))),
        least=int(bits.choice([0, 1, 1638, 8192, 32768, int(bits.integers(0, 32769))])),
        candidates=int(bits.choice([1, 2, 7, 40, 400])),
        overlap=int(bits.choice([0, 115, 256, int(bits.integers(0, 257))])),
    )
    meanings = [(float(10 ** bits.uniform(-4, 1)), int(bits.integers(-128, 128))) for _ in range(8)]
    network = with_head(detector, sides, meanings)
    low, high = sorted(int(one) for one in bits.integers(-128, 128, 2))
    kinds = [
        lambda: bits.integers(-128, 128, network.result_bytes),
        lambda: bits.integers(low, high + 1, network.result_bytes),
        lambda: np.full(network.result_bytes, low),
        lambda: bits.choice([-128, 127], network.result_bytes),
        lambda: np.where(bits.random(network.result_bytes) < 0.02, high, -128),
    ]
    return network, kinds[int(bits.integers(0, len(kinds)))]().astype(np.int8)


def test_c_on_any_codes(run_c: Run) -> None:
    bits = np.random.default_rng(20)
    found = _agree(run_c, [_any(bits) for _ in range(400)])
    assert min(map(len, found)) == 0
    assert max(map(len, found)) > 40


def one_cell(sizes: tuple[tuple[float, float], ...], **limits: int) -> Network:
    """One map of one cell; code 0 means no offset, the default size, and a score of a half."""
    detector = Detector((BoxMap(0, 1, sizes),), 1, **limits)  # type: ignore[arg-type]
    return with_head(detector, [(1, 1)], [(0.05, 0), (0.05, 0)])


def test_limits_in_c(run_c: Run) -> None:
    halves = ((1.0, 1.0), (0.5, 1.0))  # intersection over union is exactly 1/2
    codes = np.array([1, 0] + [0] * 8, np.int8)
    cases = [(one_cell(halves, overlap=overlap), codes) for overlap in (128, 127)]
    empty = (one_cell(((1e-5, 0.5),) * 3, overlap=0), np.zeros(15, np.int8))  # sides of zero
    outside = np.array([5, 5, *[127, 127, -128, -128] * 2], np.int8)
    beyond = (one_cell(((3.0, 3.0),) * 2, overlap=0), outside)  # all behind the edge: no area
    at_least = [
        (one_cell(((1.0, 1.0),), least=least), np.zeros(5, np.int8)) for least in (16384, 16385)
    ]
    many = one_cell(((0.2, 0.2),) * 9, candidates=4, overlap=256)
    ties = (many, np.zeros(45, np.int8))  # the first four stay, in their order
    rising = (many, np.array([*range(9), *np.arange(36) % 9], np.int8))
    found = _agree(run_c, [*cases, empty, beyond, *at_least, ties, rising])
    assert [len(one) for one in found] == [2, 1, 3, 2, 1, 0, 4, 4]
    assert [one.score for one in found[7]] == sorted({one.score for one in found[7]}, reverse=True)
    # with less room than objects the best come; with none, none
    wanted = BoxReference(many).run(ties[1])
    assert run_c([(*ties, most) for most in (2, 0)]) == [(0, wanted[:2]), (0, [])]


def test_c_refuses_other_results(run_c: Run) -> None:
    network, results = drawn(1)
    assert network.detector is not None
    none = replace(network, detector=replace(network.detector, candidates=0))
    assert run_c([(none, results, 3)]) == [(-1, [])]


# -- the paper's head ----------------------------------------------------------------------------


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
