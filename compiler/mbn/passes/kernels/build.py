"""Chooses and builds the kernel of a stage for a core's kernel set.

What enters: a network, one of its stages, the name of a kernel set. What leaves: `StageCode`.
Always holds: `SETS` is the one table that says which builder serves which kind of stage on which
set, in order of preference; a builder that can't serve a shape answers False and the next is
asked; the last (portable) builder serves every shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mbn.core.errors import UnsupportedError
from mbn.core.network import Network, Stage, StageKind
from mbn.core.schedule import BandOption, Sharing, Variant
from mbn.passes.kernels import dsp, mve, scalar
from mbn.passes.kernels.stage_builder import PLAIN, StageBuilder, StageCode

Choice = Callable[[StageBuilder], bool]

_DSP: dict[StageKind, tuple[Choice, ...]] = {
    StageKind.CONV: (dsp.convolution, scalar.convolution),
    StageKind.BLOCK: (dsp.block, scalar.block),
    StageKind.DEPTHWISE: (scalar.depthwise,),
    StageKind.POINTWISE: (dsp.convolution, scalar.convolution),
    StageKind.POOL: (dsp.pool, scalar.pool),
    StageKind.DENSE: (dsp.convolution, scalar.convolution),
    StageKind.SOFTMAX: (scalar.softmax,),
    StageKind.NORMALISE: (scalar.normalise,),
    StageKind.ADD: (scalar.addition,),
}

SETS: dict[str, dict[StageKind, tuple[Choice, ...]]] = {
    "scalar": {
        StageKind.CONV: (scalar.convolution,),
        StageKind.BLOCK: (scalar.block,),
        StageKind.DEPTHWISE: (scalar.depthwise,),
        StageKind.POINTWISE: (scalar.convolution,),
        StageKind.POOL: (scalar.pool,),
        StageKind.DENSE: (scalar.convolution,),
        StageKind.ADD: (scalar.addition,),
        StageKind.SOFTMAX: (scalar.softmax,),
        StageKind.NORMALISE: (scalar.normalise,),
    },
    "dsp": _DSP,
    "m7": _DSP,  # the same schedules over groups of three pixels, with bodies of its own
    "mve": {
        StageKind.CONV: (mve.convolution, scalar.convolution),
        StageKind.BLOCK: (mve.block, scalar.block),
        StageKind.DEPTHWISE: (scalar.depthwise,),
        StageKind.POINTWISE: (mve.convolution, scalar.convolution),
        StageKind.POOL: (scalar.pool,),
        StageKind.DENSE: (mve.convolution, scalar.convolution),
        StageKind.SOFTMAX: (scalar.softmax,),
        StageKind.NORMALISE: (scalar.normalise,),
        StageKind.ADD: (scalar.addition,),
    },
}


# To be counted up when a set's code changes its cost: what was measured before holds no more
# (tests/test_tuning.py measures some of it again).
VERSIONS = {"scalar": "scalar 1", "dsp": "dsp 1", "m7": "m7 1", "mve": "mve 1"}

# What a builder's variants are, and which of them is taken unmeasured; others have one.
VARIANTS: dict[
    Choice,
    tuple[Callable[[StageBuilder], list[Variant]], Callable[[StageBuilder, str], Variant]],
] = {
    dsp.block: (dsp.offered, dsp.preferred),
    dsp.convolution: (dsp.offered, dsp.preferred),
}

ALL_VARIANTS = tuple(Variant(wide, shared) for wide in (False, True) for shared in Sharing)

# Heights of bands that a builder serves, with estimated cycles; others serve one row.
HEIGHTS: dict[Choice, Callable[[StageBuilder], dict[int, int]]] = {
    dsp.block: dsp.band_cycles,
    mve.block: mve.band_cycles,
}


def candidates(network: Network, stage: Stage, kernel_set: str) -> tuple[BandOption, ...]:
    """All that a stage's schedule may be: heights of its bands and variants, with scratch and
    estimated cycles. Each gives the same bits."""
    for choice in SETS[kernel_set][stage.kind]:
        found: list[BandOption] = []
        for variant in ALL_VARIANTS if choice in VARIANTS else (PLAIN,):
            bare = StageBuilder(network, stage, kernel_set, variant)
            heights = HEIGHTS[choice](bare) if choice in HEIGHTS else {1: 0}
            for rows, cycles in heights.items():
                option = next((one for one in found if one.rows == rows), None)
                if option is None:  # no variant changes the scratch
                    builder = StageBuilder(network, stage, kernel_set, variant, rows)
                    if builder.emitted(choice) is None:
                        continue
                    early = builder.reads_before_writing
                    option = BandOption(rows, builder.scratch_bytes, early, cycles)
                bare.band_rows = rows
                if variant in _offered(bare, choice):
                    found.append(replace(option, variant=variant, cycles=cycles))
        if found:
            return tuple(found)
    raise _unserved(stage, kernel_set)


def preferred(network: Network, stage: Stage, kernel_set: str, optimise: str, rows: int) -> Variant:
    """The variant of bands of so many rows that is taken where none was measured. `optimise`:
    speed, balanced or size."""
    choice = SETS[kernel_set][stage.kind][0]
    bare = StageBuilder(network, stage, kernel_set, band_rows=rows)
    return VARIANTS[choice][1](bare, optimise) if choice in VARIANTS else PLAIN


def _offered(b: StageBuilder, choice: Choice) -> list[Variant]:
    return VARIANTS[choice][0](b) if choice in VARIANTS else [PLAIN]


def build_stage(network: Network, stage: Stage, kernel_set: str, option: BandOption) -> StageCode:
    """The C kernel of one stage, with its constants packed for it. `option`: one of its
    `candidates`."""
    for choice in SETS[kernel_set][stage.kind]:
        builder = StageBuilder(network, stage, kernel_set, option.variant, option.rows)
        code = builder.build(choice)
        if code is not None:
            return code
    raise _unserved(stage, kernel_set)


def _unserved(stage: Stage, kernel_set: str) -> UnsupportedError:
    return UnsupportedError(
        f"no {kernel_set} kernel serves a {stage.kind} of this shape", node=f"stage {stage.name}"
    )
