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
    "dsp": {
        ir.StageKind.CONV: (dsp.convolution, scalar.convolution),
        ir.StageKind.BLOCK: (dsp.block, scalar.block),
        ir.StageKind.DEPTHWISE: (scalar.depthwise,),
        ir.StageKind.POINTWISE: (dsp.convolution, scalar.convolution),
        ir.StageKind.POOL: (scalar.pool,),
        ir.StageKind.DENSE: (dsp.convolution, scalar.convolution),
        ir.StageKind.SOFTMAX: (scalar.softmax,),
        ir.StageKind.ADD: (scalar.addition,),
    },
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


def build_stage(
    network: ir.Network, stage: ir.Stage, kernel_set: str, optimise: str = "speed"
) -> StageCode:
    """The C kernel of one stage, with its constants packed for it; `optimise`: speed or size."""
    for choice in SETS[kernel_set][stage.kind]:
        builder = StageBuilder(network, stage, optimise)
        code = builder.build(choice)
        if code is not None:
            return code
    raise UnsupportedError(
        f"no {kernel_set} kernel serves a {stage.kind} of this shape", node=f"stage {stage.name}"
    )
