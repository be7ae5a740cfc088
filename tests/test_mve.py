"""The Helium kernel set: awkward shapes, bit for bit.

What enters: networks written out or drawn (networks.py). What leaves: nothing but failures. Always
holds: each network runs as portable C under sanitizers on the host and as Helium code on the
emulated M55, every stage's map against the reference.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import networks
import shares
from mbn.core.boards import find_board
from mbn.core.constants import SingleConstants
from mbn.core.network import Network, Op
from mbn.core.options import InputMode
from mbn.passes.kernels.mve.depthwise import depthwise_words
from mbn.passes.kernels.mve.pointwise import pointwise_stream
from networks import Spec, conv, depthwise, make_network
from test_kernels import compare
from tflite_form import in_tflite

FRESH = int(os.environ.get("MBN_EXAMPLES", "0"))
BOARDS = ("host", "qemu-m55")
DENSE = Spec(Op.DENSE, channels=3)


def _wide(spec: Spec, **changes: object) -> Spec:
    """Without a clamp, so that saturation alone stores the values."""
    return replace(spec, clamp=(None, None), zero_point=3, scale=0.05, **changes)  # type: ignore[arg-type]


def _shapes() -> dict[str, Network]:
    found = {}
    for width in range(1, 14):
        first = conv(5 + width % 7, 1)
        specs = [first, depthwise(1), conv(3 + width, 1), depthwise(2), _wide(conv(7, 1))]
        found[f"width {width}"] = make_network((5 + width % 3, width, 3), specs, seed=width)
    found["even heights"] = make_network(
        (12, 12, 3),
        [conv(8, 3, 2), depthwise(1), conv(17, 1), depthwise(2), conv(33, 1), DENSE],
        seed=3,
    )
    for number, factors in enumerate(("shift", "mixed")):
        specs = [conv(9, 3, 2, "tensorflow")]
        specs += [replace(depthwise(1), factors=factors), replace(conv(10, 1), factors=factors)]
        specs += [replace(depthwise(2), factors=factors), replace(conv(6, 1), factors=factors)]
        found[f"{factors} factors"] = make_network((12, 20, 3), specs, seed=20 + number)
    for kernel in (1, 2, 3, 4, 5):
        specs = [conv(6, 1), depthwise(1, "same", kernel), conv(5, 1)]
        specs += [_wide(depthwise(2, "tensorflow", kernel)), _wide(conv(4, 1))]
        specs += [depthwise(1, "lopsided", kernel), conv(4, 1)]
        found[f"kernel {kernel}"] = make_network((9, 10, 3), specs, seed=30 + kernel)
    for channels in (16, 32, 48, 160, 272, 528):  # one step to many, shared pointers and not
        specs = [conv(channels, 1), conv(6, 1), DENSE]
        found[f"{channels} deep"] = make_network((3, 7, 3), specs, seed=channels)
    found["deep block"] = make_network((4, 7, 3), [conv(544, 1), depthwise(1), conv(5, 1)], seed=9)
    # a loop over steps in a loop over register tiles, of couples and of a lone channel
    specs = [conv(272, 1), depthwise(1), conv(5, 1)]
    found["deep and wide"] = make_network((2, 56, 3), specs, seed=11)
    found["wide row"] = make_network((4, 130, 2), [conv(4, 1), depthwise(1), conv(4, 1)], seed=10)
    # two lines at once, whose windows are two rows apart
    for kernel in (1, 2):
        specs = [conv(6, 1), depthwise(2, "same", kernel), conv(5, 1)]
        found[f"kernel {kernel} by two"] = make_network((12, 12, 3), specs, seed=40 + kernel)
    specs = [conv(9, 3, 2), depthwise(1), conv(10, 1), depthwise(2), conv(6, 1)]
    found["any multiplier"] = in_tflite(make_network((12, 20, 3), specs, seed=22))
    return found


SHAPES = _shapes()
ALWAYS = ["even heights", "mixed factors", "deep block", "wide row", "deep and wide"]
ALWAYS += [f"width {width}" for width in (1, 3, 8, 13)]
ALWAYS += ["kernel 3", "kernel 4", "16 deep", "272 deep", "kernel 2 by two", "any multiplier"]


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", shares.some(SHAPES, *ALWAYS))
def test_every_bit(name: str, board: str) -> None:
    compare(SHAPES[name], "mve", InputMode.STREAM, find_board(board))


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("seed", range(FRESH) if FRESH else shares.some(range(8), 0, 2))
def test_drawn_networks(seed: int, board: str) -> None:
    network = networks.draw(1000 + seed)
    for mode in InputMode:
        compare(network, "mve", mode, find_board(board))


def test_tables_hold_every_weight_once() -> None:
    def derived(weights: NDArray[np.int8]) -> SingleConstants:
        count = np.arange(1, len(weights) + 1, dtype=np.int32)
        return SingleConstants(weights, count, 2 * count, count * 0, 0, -128, 127)

    taps = np.arange(1, 46, dtype=np.int8).reshape(5, 3, 3, 1)
    words = depthwise_words(derived(taps))
    assert words.shape == (2, 24)
    windows = np.ascontiguousarray(words[:, :16]).view(np.int8).reshape(8, 4, 4)
    last = [*range(4), *range(1, 5)]  # the last group is of the last four channels
    assert np.array_equal(windows[:, :3, :3], taps[last, ..., 0].transpose(0, 2, 1))
    assert not windows[:, 3].any() and not windows[:, :, 3].any()
    few = np.ascontiguousarray(depthwise_words(derived(taps[:3]))[:, :16]).view(np.int8)
    assert few[0, 32:48].any() and not few[0, 48:].any()

    weights = np.arange(1, 61, dtype=np.int8).reshape(3, 1, 1, 20)
    stream = pointwise_stream(derived(weights))
    assert stream.shape == (2, 4 + 2 * 8)
    assert stream[1, 16:].tolist() == [3, 0, 3, 0]
    steps = np.ascontiguousarray(stream[:, :16]).view(np.int8).reshape(2, 2, 2, 16)
    flat = steps.transpose(0, 2, 1, 3).reshape(4, 32)
    assert np.array_equal(flat[:3, :20], weights.reshape(3, 20))
    assert not flat[3].any() and not flat[:, 20:].any()
