"""Chooses and builds the kernel of a stage for a core's kernel set.

`candidates` lists how a stage may be scheduled, `build_stage` makes its `StageCode`. The table in
sets.py says which builder serves which stage.
"""

from __future__ import annotations

from dataclasses import replace

from mbn.core.errors import UnsupportedError
from mbn.core.kernel_set import KernelSet
from mbn.core.lowered import StageCode
from mbn.core.network import Network, Stage
from mbn.core.options import Optimise
from mbn.core.schedule import BandOption, Variant
from mbn.passes.kernels.sets import SETS
from mbn.passes.kernels.stage_builder import StageBuilder


def candidates(network: Network, stage: Stage, kernels: KernelSet) -> tuple[BandOption, ...]:
    """All options of a stage: band heights and variants, with scratch and estimated cycles. Each
    gives the same bits."""
    for builder in SETS[kernels.name][stage.kind]:
        found: list[BandOption] = []
        for variant in builder.considered:
            bare = StageBuilder(network, stage, kernels, variant)
            for rows, cycles in builder.heights(bare).items():
                bare.band_rows = rows
                if variant not in builder.variants(bare):
                    continue
                option = next((one for one in found if one.rows == rows), None)
                if option is None:  # no variant changes the scratch
                    made = StageBuilder(network, stage, kernels, variant, rows)
                    if made.emitted(builder.emit) is None:
                        continue
                    early = made.reads_before_writing
                    option = BandOption(rows, made.scratch_bytes, early, cycles)
                found.append(replace(option, variant=variant, cycles=cycles))
        if found:
            return tuple(found)
    raise _unserved(stage, kernels)


def lean(network: Network, stage: Stage, kernels: KernelSet) -> tuple[BandOption, ...]:
    """The option of less scratch that is not among a stage's `candidates`, if there is one. Its
    cycles are those that it takes more."""
    fast, *others = SETS[kernels.name][stage.kind]
    if fast.saves is None:
        return ()
    bare = StageBuilder(network, stage, kernels)
    if bare.emitted(fast.emit) is None:
        return ()
    for builder in others:
        made = StageBuilder(network, stage, kernels)
        if made.emitted(builder.emit) is not None:
            early, scratch = made.reads_before_writing, made.scratch_bytes
            return (BandOption(1, scratch, early, fast.saves(bare), lean=True),)
    return ()


def preferred(
    network: Network, stage: Stage, kernels: KernelSet, optimise: Optimise, rows: int
) -> Variant:
    """The variant that is taken for bands of this height where none was measured."""
    builder = SETS[kernels.name][stage.kind][0]
    return builder.preferred(StageBuilder(network, stage, kernels, band_rows=rows), optimise)


def build_stage(
    network: Network, stage: Stage, kernels: KernelSet, option: BandOption
) -> StageCode:
    """The C kernel of one stage, with its packed constants. `option` is one of its `candidates`, or
    `lean`."""
    for builder in SETS[kernels.name][stage.kind]:
        if option.lean and builder.saves is not None:
            continue
        code = StageBuilder(network, stage, kernels, option.variant, option.rows).build(
            builder.emit
        )
        if code is not None:
            return code
    raise _unserved(stage, kernels)


def _unserved(stage: Stage, kernels: KernelSet) -> UnsupportedError:
    return UnsupportedError(
        f"no {kernels} kernel serves a {stage.kind} of this shape", node=f"stage {stage.name}"
    )
