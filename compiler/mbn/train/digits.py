"""Draws 8x8 grey digits as colour photographs of any size.

What enters: digits as scikit-learn keeps them: uint8 0..16, N x 8 x 8; a seed. What leaves: uint8
N x size x size x 3 images in drawn colours, with noise; with `moved` (for training), each digit
also at a drawn place, size and angle, else upright in the middle. Always holds: integers and
PCG64's raw words only (both specified), so the same seed gives the same bytes on every machine;
image i depends on the seed, i and digit i, not on N. No scikit-learn here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mbn.train.images import UInt8

Int32 = NDArray[np.int32]
Ints = NDArray[np.int64]

_CELLS = 8
_WORDS = 16  # raw words an image for its parameters
_FRACTION = 16  # bits after the point of the map from half output pixels to digit cells
_MAX_ANGLE_MILLIRADIANS = 200
# Side of the digit's square, in percent of the image's.
_UPRIGHT_PERCENT = 80
_MOVED_PERCENT = (60, 95)
_MIN_CONTRAST = 90  # between the luminances of ink and paper
_NOISE = 10  # the sum of two uniform draws lies in -_NOISE .. _NOISE


def split(count: int) -> tuple[Ints, Ints]:
    """The fixed split of `count` digits: indices to train on, and every fifth held out."""
    order = np.arange(count, dtype=np.int64)
    return order[order % 5 != 4], order[order % 5 == 4]


def draw(digits: UInt8, size: int, seed: tuple[int, ...], *, moved: bool) -> UInt8:
    """uint8 (0..16) N x 8 x 8 digits to uint8 N x size x size x 3 images; see the file's head."""
    place, noise = np.random.SeedSequence(seed).spawn(2)
    count = len(digits)
    raw = np.random.PCG64(place).random_raw(count * _WORDS) >> np.uint64(33)
    words: Ints = raw.astype(np.int64).reshape(count, _WORDS)
    ink_share = _coverage(digits, size, words if moved else None)
    ink, paper = colours(words[:, 4:])
    images = paper[:, None, None, :] * 256 + ink_share[..., None] * (ink - paper)[:, None, None, :]
    images = (images >> 8) + grain(count, size, noise)
    return np.clip(images, 0, 255).astype(np.uint8)


def within(words: Ints, low: Ints | int, high: Ints | int) -> Ints:
    """Words to integers low..high, both included."""
    return low + words % (high - low + 1)


def _coverage(digits: UInt8, size: int, words: Ints | None) -> Int32:
    """How much ink lies on each pixel, 0..256: N x size x size, the digit bilinearly enlarged.

    `words` (N x 4 or more) place it; without them it stands upright in the middle.
    """
    box = np.full(len(digits), size * _UPRIGHT_PERCENT // 100, dtype=np.int64)
    middle_x = middle_y = np.full(len(digits), size, dtype=np.int64)  # in half pixels
    angle = np.zeros(len(digits))
    if words is not None:
        least, most = _MOVED_PERCENT
        box = within(words[:, 0], size * least // 100, size * most // 100)
        slack = (size - box) // 2  # from the middle, in pixels: the square stays inside
        middle_x = size + 2 * within(words[:, 1], -slack, slack)
        middle_y = size + 2 * within(words[:, 2], -slack, slack)
        angle = within(words[:, 3], -_MAX_ANGLE_MILLIRADIANS, _MAX_ANGLE_MILLIRADIANS) / 1000.0
    return placed(digits, size, box, middle_x, middle_y, angle)


def placed(
    digits: UInt8,
    size: int,
    box: Ints,
    middle_x: Ints,
    middle_y: Ints,
    angle: NDArray[np.float64],
) -> Int32:
    """How much ink lies on each pixel, 0..256: N x size x size, each digit in a square of `box`
    pixels about its middle (in half pixels), turned by `angle` (radians)."""
    step = _CELLS / (2.0 * box) * 2**_FRACTION  # digit cells for a half pixel
    cos = np.rint(np.cos(angle) * step).astype(np.int32)[:, None, None]
    sin = np.rint(np.sin(angle) * step).astype(np.int32)[:, None, None]

    grid = 2 * np.arange(size, dtype=np.int32) + 1
    dx = (grid - middle_x[:, None].astype(np.int32))[:, None, :]
    dy = (grid - middle_y[:, None].astype(np.int32))[:, :, None]
    # The middle is cell 4; a cell's value stands at its centre; a border of one empty cell
    # beside the digit (index 0 and 9) takes everything outside.
    origin = np.int32((_CELLS // 2 + 1) * 2**_FRACTION - 2 ** (_FRACTION - 1))
    column, right = _cell(cos * dx + sin * dy + origin)
    row, low = _cell(cos * dy - sin * dx + origin)

    padded: Int32 = np.zeros((len(digits), _CELLS + 2, _CELLS + 2), dtype=np.int32)
    padded[:, 1:-1, 1:-1] = digits
    which = np.arange(len(digits))[:, None, None]
    top = padded[which, row, column] * (256 - right) + padded[which, row, column + 1] * right
    bottom = (
        padded[which, row + 1, column] * (256 - right) + padded[which, row + 1, column + 1] * right
    )
    value = np.asarray(top * (256 - low) + bottom * low, dtype=np.int32)  # 0 .. 16 * 2^16
    # Half again the contrast around the middle, so that strokes have edges.
    sharper: Int32 = np.clip(((value * 3) >> 13) - 64, 0, 256).astype(np.int32)
    return sharper


def _cell(position: Int32) -> tuple[Int32, Int32]:
    """A position to the index of the cell before it and the way to the next one in 1/256."""
    limited = np.clip(position, 0, ((_CELLS + 1) << _FRACTION) - 1)
    return limited >> _FRACTION, (limited >> (_FRACTION - 8)) & 255


def colours(words: Ints) -> tuple[Int32, Int32]:
    """Two RGB colours an image (0..255), apart by at least _MIN_CONTRAST on every channel."""
    dark = within(words[:, 0:3], 0, 255 - _MIN_CONTRAST)
    light = within(words[:, 3:6], dark + _MIN_CONTRAST, 255)
    swap = (words[:, 6:7] & 1).astype(bool)
    ink = np.where(swap, light, dark).astype(np.int32)
    paper = np.where(swap, dark, light).astype(np.int32)
    return ink, paper


def grain(count: int, size: int, seed: np.random.SeedSequence) -> Int32:
    """Noise for each value: N x size x size x 3 in -_NOISE.._NOISE, triangular."""
    values = size * size * 3
    words = -(-values // 4)  # a raw word gives four draws of two bytes
    raw = np.random.PCG64(seed).random_raw(count * words).astype("<u8")
    pairs = raw.view(np.uint8).reshape(count, words * 4, 2)[:, :values].astype(np.int32)
    grain: Int32 = (pairs.sum(axis=2) * (2 * _NOISE + 1) >> 9) - _NOISE
    return grain.reshape(count, size, size, 3)
