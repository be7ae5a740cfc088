"""The hand-made network of tests/fixtures/tiny, in NumPy: what its images must answer.

What enters: int8 images 4 x 4 x 2. What leaves: its two stage maps. Always holds: the weights are
read from weights.c, so there is one copy of them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "fixtures" / "tiny"
_SOURCE = (FOLDER / "weights.c").read_text(encoding="utf-8")
ZERO_POINT = -3


def _array(name: str) -> NDArray[np.int32]:
    found = re.search(rf"{name}[^=]*=\s*(.*?);", _SOURCE, flags=re.DOTALL)
    assert found, name
    return np.array(json.loads(found[1].replace("{", "[").replace("}", "]")), np.int32)


CONV = _array("tiny_conv_weights")
BIAS = _array("tiny_conv_bias")
DENSE = _array("tiny_dense_weights")


def _clamp(value: NDArray[np.int32]) -> NDArray[np.int8]:
    return np.clip(value >> 6, -128, 127).astype(np.int8)


def stage_maps(image: NDArray[np.int8]) -> list[NDArray[np.int8]]:
    """4 x 4 x 3 and 1 x 1 x 5."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=ZERO_POINT).astype(np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    conv = _clamp(np.einsum("yxckl,nklc->yxn", windows, CONV) + BIAS)
    dense = np.einsum("yxc,nyxc->n", conv.astype(np.int32), DENSE)
    return [conv, _clamp(dense).reshape(1, 1, 5)]


def images(count: int, seed: int = 7) -> NDArray[np.int8]:
    """Random images, all int8 values."""
    return np.random.default_rng(seed).integers(-128, 128, (count, 4, 4, 2), dtype=np.int8)


def outputs(batch: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.stack([stage_maps(image)[-1] for image in batch])
