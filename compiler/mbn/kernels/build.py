"""Chooses and builds the kernel of a stage for a core's kernel set.

What enters: a network, one of its stages, the name of a kernel set. What leaves: `StageCode`.
Always holds: `SETS` is the one table that says which builder serves which kind of stage on which
set, in order of preference; a builder that can't serve a shape answers False and the next is
asked; the last (portable) builder serves every shape.
"""

from __future__ import annotations

from collections.abc import Callable

from mbn import ir
from mbn.errors import UnsupportedError
from mbn.kernels import dsp, mve, scalar
from mbn.kernels.stage_builder import StageBuilder, StageCode

Choice = Callable[[StageBuilder], bool]

_DSP: dict[ir.StageKind, tuple[Choice, ...]] = {
    ir.StageKind.CONV: (dsp.convolution, scalar.convolution),
    ir.StageKind.BLOCK: (dsp.block, scalar.block),
    ir.StageKind.DEPTHWISE: (scalar.depthwise,),
    ir.StageKind.POINTWISE: (dsp.convolution, scalar.convolution),
    ir.StageKind.POOL: (dsp.pool, scalar.pool),
    ir.StageKind.DENSE: (dsp.convolution, scalar.convolution),
    ir.StageKind.SOFTMAX: (scalar.softmax,),
    ir.StageKind.ADD: (scalar.addition,),
}

SETS: dict[str, dict[ir.StageKind, tuple[Choice, ...]]] = {
    "scalar": {
        ir.StageKind.CONV: (scalar.convolution,),
        ir.StageKind.BLOCK: (scalar.block,),
        ir.StageKind.DEPTHWISE: (scalar.depthwise,),
        ir.StageKind.POINTWISE: (scalar.convolution,),
        ir.StageKind.POOL: (scalar.pool,),
        ir.StageKind.DENSE: (scalar.convolution,),
        ir.StageKind.ADD: (scalar.addition,),
        ir.StageKind.SOFTMAX: (scalar.softmax,),
    },
    "dsp": _DSP,
    "m7": _DSP,  # the same schedules over groups of three pixels, with bodies of its own
    "mve": {
        ir.StageKind.CONV: (mve.convolution, scalar.convolution),
        ir.StageKind.BLOCK: (mve.block, scalar.block),
        ir.StageKind.DEPTHWISE: (scalar.depthwise,),
        ir.StageKind.POINTWISE: (mve.convolution, scalar.convolution),
        ir.StageKind.POOL: (scalar.pool,),
        ir.StageKind.DENSE: (mve.convolution, scalar.convolution),
        ir.StageKind.SOFTMAX: (scalar.softmax,),
        ir.StageKind.ADD: (scalar.addition,),
    },
}


# Heights of bands that a builder serves, with estimated cycles; others serve one row.
HEIGHTS: dict[Choice, Callable[[StageBuilder], dict[int, int]]] = {
    dsp.block: dsp.band_cycles,
    mve.block: mve.band_cycles,
}


def band_options(
    network: ir.Network, stage: ir.Stage, kernel_set: str, optimise: str = "speed"
) -> tuple[ir.BandOption, ...]:
    """The heights that a stage's bands may have, with their scratch and estimated cycles."""
    for choice in SETS[kernel_set][stage.kind]:
        bare = StageBuilder(network, stage, kernel_set, optimise)
        heights = HEIGHTS[choice](bare) if choice in HEIGHTS else {1: 0}
        found = []
        for rows, cycles in heights.items():
            builder = StageBuilder(network, stage, kernel_set, optimise, rows)
            if builder.emitted(choice) is not None:
                early = builder.reads_before_writing
                found.append(ir.BandOption(rows, builder.scratch_bytes, early, cycles))
        if found:
            return tuple(found)
    raise _unserved(stage, kernel_set)


def build_stage(
    network: ir.Network,
    stage: ir.Stage,
    kernel_set: str,
    optimise: str = "speed",
    band_rows: int = 1,
) -> StageCode:
    """The C kernel of one stage, with its constants packed for it. `optimise`: speed, balanced or
    size; `band_rows`: one of its `band_options`."""
    for choice in SETS[kernel_set][stage.kind]:
        code = StageBuilder(network, stage, kernel_set, optimise, band_rows).build(choice)
        if code is not None:
            return code
    raise _unserved(stage, kernel_set)


def _unserved(stage: ir.Stage, kernel_set: str) -> UnsupportedError:
    return UnsupportedError(
        f"no {kernel_set} kernel serves a {stage.kind} of this shape", node=f"stage {stage.name}"
    )
