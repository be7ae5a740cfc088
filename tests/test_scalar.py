"""The scalar kernel set's blocks on the shapes for which they have cases of their own.

What enters: networks whose rows end in groups of one, two and three pixels, with odd and even
channels, sums of every remainder modulo 4, windows that leave the map on both sides; fused and
not; both roundings. What leaves: nothing but failures. Always holds: every stage's map is compared,
on the host's C (which has no asm), on Thumb-2 without SIMD (M3) and on ARMv6-M (M0+).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import lowered
import networks
from mbn.core.boards import find_board
from mbn.core.network import Network, Op
from mbn.core.options import InputMode
from networks import Spec, conv, depthwise
from test_kernels import compare
from tflite_form import in_tflite

KERNELS = Path(__file__).parents[1] / "runtime" / "kernels"
DENSE = Spec(Op.DENSE, channels=3, zero_point=4)
SATURATING = Spec(Op.CONV, channels=9, zero_point=7)  # no clamp but int8's


def chain(height: int, width: int, padding: str, channels: int) -> Network:
    """Blocks of both strides down to a few pixels, and a dense layer that reads a map."""
    specs = [conv(channels, 3, 2, padding), depthwise(), conv(2 * channels)]
    specs += [depthwise(2, padding), conv(2 * channels + 1), depthwise(1, padding), SATURATING]
    specs += [depthwise(2, "lopsided"), conv(22), depthwise(2, padding), conv(5), DENSE]
    return networks.make_network((height, width, 3), specs, seed=height * width)


def apart(height: int, width: int, channels: int) -> Network:
    """Layers that stand alone: depthwise and 1x1 on the image itself, 1x1 of stride 2, 5x5 and
    multiplied depthwise, a window wider than its map."""
    doubled = Spec(Op.DEPTHWISE, (3, 3), (1, 1), "same", 2, zero_point=-5)
    specs = [depthwise(), conv(channels), doubled, conv(7, 1, 2, "valid")]
    specs += [depthwise(1, kernel=5), conv(6), SATURATING, conv(4, 5, 3), depthwise(3), DENSE]
    return networks.make_network((height, width, 5), specs, seed=height + width, fused=False)


def mixed(width: int) -> Network:
    """Multipliers above a half (Z after the shift), dead channels, extreme weights."""
    loud = Spec(Op.CONV, channels=10, weights="low", factors="mixed", zero_point=3)
    deep = Spec(Op.DEPTHWISE, (3, 3), (1, 1), "same", 1, weights="high", factors="shift")
    specs = [conv(3, 3, 1), loud, deep, conv(5), depthwise(2), loud, DENSE]
    return networks.make_network((6, width, 2), specs, seed=width)


NETWORKS = {
    "rows of 17": lambda: chain(18, 34, "same", 5),
    "rows of 16": lambda: chain(11, 31, "tensorflow", 4),
    "apart": lambda: apart(9, 13, 6),
    "mixed": lambda: mixed(7),
}
CASES = (
    *((name, place, "single") for name in NETWORKS for place in ("qemu-m3", "qemu-m0")),
    ("apart", "qemu-m0", "tflite"),
    ("mixed", "qemu-m3", "tflite"),
    ("mixed", "qemu-m0", "tflite"),
    pytest.param("rows of 17", "host", "single", marks=pytest.mark.full),
    ("apart", "host", "tflite"),
)


@pytest.mark.parametrize(("name", "place", "rounding"), CASES)
def test_shapes(name: str, place: str, rounding: str) -> None:
    network = NETWORKS[name]()
    if rounding == "tflite":
        network = in_tflite(network)
    mode = tuple(InputMode)[list(NETWORKS).index(name) % 2]
    compare(network, "scalar", mode, find_board(place))


def test_a_budget_takes_the_kernels_of_less_scratch() -> None:
    """Two channels a multiply need room; the least arena has none for all stages."""
    network = NETWORKS["rows of 17"]()
    fast = lowered.planned(network, "scalar", InputMode.STREAM)
    least = lowered.planned(network, "scalar", InputMode.STREAM, ram_budget=0)
    assert least.plan.arena_bytes < fast.plan.arena_bytes
    assert not any(one.option.lean for one in fast.stages)
    assert {one.option.lean for one in least.stages} == {False, True}
    compare(network, "scalar", InputMode.STREAM, find_board("qemu-m0"), ram_budget=0)


PRODUCTS = r"""
#include "scalar/kernels.h"
#include <stdio.h>

static uint32_t state = 1;

/* Every sixteenth operand is at an end of its range or of its halves'. */
static uint32_t drawn(void)
{
    static const uint32_t ends[8] = {0, 1, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000u, 0xFFFF0000u,
                                     0xFFFFFFFFu};
    state = state * 1664525u + 1013904223u;
    uint32_t value = (state >> 16) | (state << 16);
    return (state >> 28) == 0 ? ends[(state >> 20) % 8] : value;
}

int main(void)
{
    for (int k = 0; k < 1000000; k++) {
        int32_t a = (int32_t)drawn(), m = (int32_t)(drawn() & 0x7FFFFFFF);
        __int128 product = (__int128)a * m;
        int32_t single = (int32_t)((product + 0x80000000) >> 32);
        int32_t doubled = (int32_t)((2 * product + 0x80000000) >> 32);
        if (mbn_requantise(a, m) != single || mbn_high_scale(a, m) != doubled) {
            printf("%d * %d: %d, %d\n", a, m, mbn_requantise(a, m), mbn_high_scale(a, m));
            return 1;
        }
    }
    return 0;
}
"""


@pytest.mark.parametrize("halves", [False, True])
def test_high_products_are_exact(tmp_path: Path, halves: bool) -> None:
    """By 64 bits and, as on ARMv6-M, by halves of 16."""
    (tmp_path / "products.c").write_text(PRODUCTS, encoding="utf-8")
    command = ["gcc", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover", "-I", str(KERNELS)]
    command += ["-DMBN_HALVES=1"] if halves else []
    command += ["-o", str(tmp_path / "products"), str(tmp_path / "products.c")]
    subprocess.run(command, check=True)
    done = subprocess.run([str(tmp_path / "products")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
