"""Pictures with known content for each head, drawn from scikit-learn's digits.

What enters: a head's name, a resolution, a seed. What leaves: uint8 N x size x size x 3 images and
what is on them. Always holds: integers and PCG64's raw words, so a seed gives the same bytes on
every machine; pictures to train on show other handwriting (four digits of five) than those held
out, which nobody looked at while the heads were tuned; a batch depends on (seed, number) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.train.data import source_digits
from mbn.train.digits import colours, grain, placed, within
from mbn.train.images import Int64, UInt8

Float32 = NDArray[np.float32]

TRAIN, CALIBRATION, HELD_OUT = 11, 13, 14  # the first word of a seed
# Of every five digits the one that is held out. The heads were tuned with the fifth held out and
# pictures of another seed; they are trained on that one now, and this one was never scored then.
FOLDS, HELD_OUT_FOLD = 5, 2
WORDS = 64  # raw words a picture
HUES = 12
CELLS = 8  # of the world, along each side
WORLD = 512  # pixels along each side
MOST_DIGITS = 4  # on a picture for the detector
HELD_OUT_COUNT = 480
CALIBRATION_COUNT = 100
ATTRIBUTES = (
    "ink brighter than paper",
    "reddish ink",
    "bluish paper",
    "large",
    "leans left",
    "leans right",
    "in the upper half",
    "even",
    "above 4",
    "has a loop",
)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pictures before their grain: int32 images, and as in `Pictures` what is on them."""

    images: NDArray[np.int32]
    labels: NDArray[np.int64] | Float32
    boxes: Float32 | None = None


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images with what is on them. `labels`: int64 N (classes), float32 N x attributes, or int64
    N x MOST_DIGITS with -1 where there is none; `boxes` then: float32 N x MOST_DIGITS x 4, top,
    left, bottom, right in parts of the side."""

    images: UInt8
    labels: NDArray[np.int64] | Float32
    boxes: Float32 | None = None


class Scenes:
    """The pictures of one head."""

    def __init__(self, name: str, resolution: int) -> None:
        self.resolution = resolution
        digits, labels = source_digits()
        held_out = np.arange(len(digits)) % FOLDS == HELD_OUT_FOLD
        self._sides = [(digits[part], labels[part]) for part in (~held_out, held_out)]
        self._make = _MAKERS[name]

    def batch(self, seed: int, number: int, count: int) -> Pictures:
        """Pictures to train on."""
        return self._made((TRAIN, seed, number), count, held_out=False)

    def held_out(self, count: int = HELD_OUT_COUNT) -> Pictures:
        """Always the same, of handwriting that no training shows and no tuning was judged by."""
        return self._made((HELD_OUT,), count, held_out=True)

    def calibration(self) -> Pictures:
        """To quantise with."""
        return self._made((CALIBRATION,), CALIBRATION_COUNT, held_out=False)

    def _made(self, seed: tuple[int, ...], count: int, *, held_out: bool) -> Pictures:
        place, noise = np.random.SeedSequence(seed).spawn(2)
        raw = np.random.PCG64(place).random_raw(count * WORDS) >> np.uint64(33)
        words = raw.astype(np.int64).reshape(count, WORDS)
        source = _Source(*self._sides[int(held_out)], words, self.resolution)
        made = self._make(source)
        images = np.clip(made.images + grain(count, self.resolution, noise), 0, 255)
        return Pictures(images.astype(np.uint8), made.labels, made.boxes)


@dataclass(frozen=True, eq=False)
class _Source:
    """What pictures are drawn from: digits, their labels, drawn words (N x WORDS), a size."""

    digits: UInt8
    labels: Int64
    words: Int64
    size: int

    def word(self, at: int, low: int, high: int) -> Int64:
        """Word `at` of each picture as an integer low .. high."""
        return within(self.words[:, at], low, high)

    def pick(self, at: int) -> tuple[UInt8, Int64]:
        """A digit a picture, and which it is."""
        chosen = self.words[:, at] % len(self.digits)
        return self.digits[chosen], self.labels[chosen]

    def colours(self, at: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Ink and paper, N x 3 each."""
        return colours(self.words[:, at : at + 7])


def _flat(paper: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    return np.broadcast_to(paper[:, None, None, :], (len(paper), size, size, 3)).copy()


def _written(
    images: NDArray[np.int32], ink: NDArray[np.int32], share: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Ink on the images where `share` (N x size x size, 0 .. 256) says so."""
    added: NDArray[np.int32] = images + ((share[..., None] * (ink[:, None, None, :] - images)) >> 8)
    return added


def _kinds(source: _Source) -> Drawn:
    """A digit in one of 12 hues, more or less bright and pale, on dark grey."""
    size, hue = source.size, source.word(0, 0, HUES - 1)
    bright, pale = source.word(1, 150, 255), source.word(2, 0, 100)
    pure = np.array([_hue(at) for at in range(HUES)])[hue]  # 0 .. 256
    ink = bright[:, None] * (pure * (256 - pale[:, None]) + 256 * pale[:, None]) >> 16
    paper = np.repeat(source.word(3, 10, 90)[:, None], 3, axis=1)
    digit, label = source.pick(10)
    box = source.word(11, size * 60 // 100, size * 95 // 100)
    slack = (size - box) // 2
    share = placed(
        digit,
        size,
        box,
        size + 2 * within(source.words[:, 12], -slack, slack),
        size + 2 * within(source.words[:, 13], -slack, slack),
        source.word(14, -200, 200) / 1000.0,
    )
    images = _written(_flat(paper.astype(np.int32), size), ink.astype(np.int32), share)
    return Drawn(images, label * HUES + hue)


def _hue(at: int) -> tuple[int, int, int]:
    """The pure colour at 1 / HUES of the circle, 0 .. 256 a channel."""
    third = HUES // 3

    def channel(peak: int) -> int:
        away = min((at - peak) % HUES, (peak - at) % HUES)
        return min(256, max(0, (third - away) * 256 * 2 // third))

    return channel(0), channel(third), channel(2 * third)


def world() -> NDArray[np.int32]:
    """The drawn world, WORLD x WORLD x 3, 0 .. 255: colours that vary over several scales."""
    total = np.zeros((WORLD, WORLD, 3), np.int64)
    weight = 0
    for order, cells in enumerate((4, 8, 16, 32, 64)):
        raw = np.random.PCG64(np.random.SeedSequence((0x776F726C, order))).random_raw(cells**2 * 3)
        nodes = (raw >> np.uint64(33)).astype(np.int64).reshape(cells, cells, 3) % 256
        nodes = np.pad(nodes, ((0, 1), (0, 1), (0, 0)), mode="wrap")
        step = WORLD // cells
        at, part = np.divmod(np.arange(WORLD), step)
        rows = nodes[at] * (step - part)[:, None, None] + nodes[at + 1] * part[:, None, None]
        both = rows[:, at] * (step - part)[:, None] + rows[:, at + 1] * part[:, None]
        total += (6 - order) * (both // step**2)
        weight += 6 - order
    return np.clip((total // weight - 128) * 2 + 128, 0, 255).astype(np.int32)


def _places(source: _Source) -> Drawn:
    """A piece of the world, in another light, with a digit standing before it."""
    size, map_ = source.size, world()
    top, left = source.word(0, 0, WORLD - 1), source.word(1, 0, WORLD - 1)
    light = source.word(2, 200, 312)
    inside = np.arange(size) - size // 2
    rows, columns = (top[:, None] + inside) % WORLD, (left[:, None] + inside) % WORLD
    images = map_[rows[:, :, None], columns[:, None, :]]
    images = np.clip(images * light[:, None, None, None].astype(np.int32) >> 8, 0, 255)
    ink, _ = source.colours(3)
    digit, _ = source.pick(10)
    share = placed(
        digit,
        size,
        source.word(11, size // 4, size // 2),
        source.word(12, size // 2, 3 * size // 2),
        source.word(13, size // 2, 3 * size // 2),
        source.word(14, -200, 200) / 1000.0,
    )
    labels = top * CELLS // WORLD * CELLS + left * CELLS // WORLD
    return Drawn(_written(images.astype(np.int32), ink, share), labels)


def _one(source: _Source) -> tuple[Drawn, dict[str, NDArray[Any]]]:
    """A digit at a drawn place, size and angle, and how it was drawn."""
    size = source.size
    digit, labels = source.pick(0)
    ink, paper = source.colours(1)
    box = source.word(10, size * 45 // 100, size * 90 // 100)
    slack = (size - box) // 2
    middle_y = size + 2 * within(source.words[:, 12], -slack, slack)
    angle = source.word(13, -400, 400)
    share = placed(
        digit,
        size,
        box,
        size + 2 * within(source.words[:, 11], -slack, slack),
        middle_y,
        angle / 1000.0,
    )
    images = _written(_flat(paper, size), ink, share)
    facts: dict[str, NDArray[Any]] = {
        "box": box,
        "middle_y": middle_y,
        "angle": angle,
        "ink": ink,
        "paper": paper,
    }
    return Drawn(images, labels), facts


def _attributes(source: _Source) -> Drawn:
    made, facts = _one(source)
    size, label = source.size, made.labels
    ink, paper = facts["ink"], facts["paper"]
    labels = (
        ink.sum(axis=1) > paper.sum(axis=1),
        (ink[:, 0] > ink[:, 1]) & (ink[:, 0] > ink[:, 2]),
        (paper[:, 2] > paper[:, 0]) & (paper[:, 2] > paper[:, 1]),
        facts["box"] > size * 68 // 100,
        facts["angle"] > 130,
        facts["angle"] < -130,
        facts["middle_y"] < size,
        label % 2 == 0,
        label > 4,
        np.isin(label, (0, 6, 8, 9)),
    )
    return Drawn(made.images, np.stack(labels, axis=1).astype(np.float32))


def _embedding(source: _Source) -> Drawn:
    return _one(source)[0]


def _detection(source: _Source) -> Drawn:
    """One to four digits, apart by their quarters; boxes round the ink."""
    size, count = source.size, source.word(0, 1, MOST_DIGITS)
    _, paper = source.colours(1)
    images = _flat(paper, size)
    labels = np.full((len(count), MOST_DIGITS), -1, np.int64)
    boxes = np.zeros((len(count), MOST_DIGITS, 4), np.float32)
    first = source.word(8, 0, MOST_DIGITS - 1)
    for place in range(MOST_DIGITS):
        at, quarter = 9 + 12 * place, (first + place) % MOST_DIGITS
        digit, label = source.pick(at)
        box = source.word(at + 1, size * 28 // 100, size * 48 // 100)
        spread = size // 2 - box
        share = placed(
            digit,
            size,
            box,
            size // 2 + quarter % 2 * size + within(source.words[:, at + 2], -spread, spread),
            size // 2 + quarter // 2 * size + within(source.words[:, at + 3], -spread, spread),
            source.word(at + 4, -200, 200) / 1000.0,
        )
        share = np.where((place < count)[:, None, None], share, 0).astype(np.int32)
        dark = paper.sum(axis=1, keepdims=True) < 3 * 128
        drawn = within(source.words[:, at + 5 : at + 8], 0, 90).astype(np.int32)
        images = _written(images, np.where(dark, 255 - drawn, drawn).astype(np.int32), share)
        seen = place < count
        labels[seen, place] = label[seen]
        boxes[seen, place] = _extent(share)[seen]
    return Drawn(images, labels, boxes)


def _extent(share: NDArray[np.int32]) -> Float32:
    """The box round what is at least half covered: N x (top, left, bottom, right), 0 .. 1."""
    size = share.shape[1]
    found = []
    for axis in (2, 1):
        any_ink: NDArray[np.bool_] = np.any(share >= 128, axis=axis)
        found.append(any_ink.argmax(axis=1))
        found.append(size - any_ink[:, ::-1].argmax(axis=1))
    top, bottom, left, right = found
    box: Float32 = (np.stack([top, left, bottom, right], axis=1) / size).astype(np.float32)
    return box


_MAKERS: Mapping[str, Callable[[_Source], Drawn]] = {
    "kinds": _kinds,
    "places": _places,
    "attributes": _attributes,
    "detection": _detection,
    "embedding": _embedding,
}
