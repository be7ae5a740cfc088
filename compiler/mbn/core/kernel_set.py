"""The kernel sets: everything about them that is a number or a word.

Reports and builds read these rows and need no TVM. The builders of each set's kernels are in
passes/kernels/sets.py, under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class KernelSet:
    """The kernels for one group of cores. One call of the pointwise computes a group of pixels."""

    name: str  # also the folder in runtime/kernels
    version: str  # to be raised when its code changes cost: older measurements are then void
    group_pixels: int
    depth_step: int  # input channels of one step of the pointwise
    depthwise_lanes: int  # channels of one call of the depthwise
    # The largest shift that is folded into a depthwise's weights, which are halfwords: -128 << 8 is
    # the least halfword. Larger shifts are applied to every accumulator.
    folded_shift: int
    overread_bytes: int  # that kernels may read after a table of weights
    needs_fpu: bool
    estimate: Estimate
    # what its assembly wants of the preprocessor besides MBN_ASSEMBLY (scalar/compiler.h)
    feature: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Estimate:
    """Bytes that a network of the paper's family takes, estimated from its shape alone.

    `tile(width, depth)`: scratch of a block with rows of `width` pixels and `depth` input channels
    of the pointwise. `depthwise(channels)`, `products(channels, taps)`: tables of a layer.
    """

    tile: Callable[[int, int], int]
    depthwise: Callable[[int], int]
    products: Callable[[int, int], int]


def _up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


_SCALAR = Estimate(
    tile=lambda width, depth: width * depth,
    depthwise=lambda channels: channels * (9 + 8),
    products=lambda channels, taps: channels * (taps + 8),
)
_DSP = Estimate(
    tile=lambda width, depth: _up(width, 4) * _up(depth, 2) * 2,
    depthwise=lambda channels: 28 * channels,
    products=lambda channels, taps: _up(channels, 2) * (_up(taps, 2) + 8),
)
_MVE = Estimate(
    tile=lambda width, depth: width * _up(depth, 16) + 16 * (width + 4) + 64,
    depthwise=lambda channels: 24 * _up(channels, 4),
    products=lambda channels, taps: _up(channels, 2) * (_up(taps, 16) + 8),
)

# what the assembly of a set wants of the preprocessor
_MULTIPLIES = (
    "(defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) || defined(__ARM_ARCH_7M__))"
)
_SMLAD = "defined(__ARM_FEATURE_DSP) && defined(__ARM_FP)"

SCALAR = KernelSet("scalar", "scalar 2", 3, 1, 1, 0, 0, False, _SCALAR, _MULTIPLIES)
# SMLAD on M4 and M33
DSP = KernelSet("dsp", "dsp 4", 4, 2, 1, 8, 0, True, _DSP, _SMLAD)
# The same schedules over groups of three pixels, with bodies of its own
M7 = KernelSet("m7", "m7 4", 3, 2, 1, 8, 16, True, _DSP, _SMLAD)
# Helium on M55 and M85
MVE = KernelSet(
    "mve", "mve 4", 4, 16, 4, 0, 0, True, _MVE, _SMLAD + " && defined(__ARM_FEATURE_MVE)"
)

KERNEL_SETS: Mapping[str, KernelSet] = {one.name: one for one in (SCALAR, DSP, M7, MVE)}
VERSIONS: Mapping[str, str] = {name: one.version for name, one in KERNEL_SETS.items()}
