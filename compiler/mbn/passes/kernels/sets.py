"""The table of kernels: the builders of each kernel set for each kind of stage, best first.

A builder returns False for a shape that it can't serve, and the next one is tried. The last,
portable builder serves every shape that the frontend accepts. Facts about a set that need no TVM
are in core/kernel_set.py, under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mbn.core.network import StageKind
from mbn.core.options import Optimise
from mbn.core.schedule import Sharing, Variant
from mbn.passes.kernels import between, couples, dsp, mve, scalar
from mbn.passes.kernels.stage_builder import PLAIN, StageBuilder

ALL_VARIANTS = tuple(Variant(shared) for shared in Sharing)


def _plain(_b: StageBuilder) -> list[Variant]:
    return [PLAIN]


def _always_plain(_b: StageBuilder, _optimise: Optimise) -> Variant:
    return PLAIN


def _one_row(_b: StageBuilder) -> dict[int, int]:
    return {1: 0}


def _step(b: StageBuilder) -> dict[int, int]:
    """As many rows as one step of the window makes."""
    return {b.layers[0].up[0]: 0}


@dataclass(frozen=True)
class Builder:
    """How one kernel is built.

    emit: writes S-TIR into a StageBuilder; returns False if it can't serve the shape.

    variants: the variants of a stage that differ in their code, the plain one first.

    preferred: the variant that is taken where none was measured.

    heights: the band heights, each with the estimated cycles of the stage's map.

    saves: if it takes much more scratch than the next builder, the cycles of the map that it
    saves: then a plan may choose the other one.
    """

    emit: Callable[[StageBuilder], bool]
    variants: Callable[[StageBuilder], list[Variant]] = _plain
    preferred: Callable[[StageBuilder, Optimise], Variant] = _always_plain
    heights: Callable[[StageBuilder], dict[int, int]] = _one_row
    saves: Callable[[StageBuilder], int] | None = None

    @property
    def considered(self) -> tuple[Variant, ...]:
        """The variants that `variants` may name."""
        return (PLAIN,) if self.variants is _plain else ALL_VARIANTS


_COUPLED_CONVOLUTION = (
    Builder(couples.convolution, saves=couples.saves),
    Builder(scalar.convolution),
)
_SCALAR: Mapping[StageKind, tuple[Builder, ...]] = {
    StageKind.CONV: _COUPLED_CONVOLUTION,
    StageKind.BLOCK: (
        Builder(couples.block, heights=couples.heights, saves=couples.saves),
        Builder(scalar.block),
    ),
    StageKind.DEPTHWISE: (Builder(scalar.depthwise),),
    StageKind.POINTWISE: _COUPLED_CONVOLUTION,
    StageKind.POOL: (Builder(scalar.pool),),
    StageKind.DENSE: (Builder(scalar.convolution),),
    StageKind.ADD: (Builder(between.addition),),
    StageKind.SOFTMAX: (Builder(between.softmax),),
    StageKind.NORMALISE: (Builder(between.normalise),),
    StageKind.TABLE: (Builder(between.table),),
    StageKind.PRODUCT: (Builder(between.product),),
    StageKind.MAX_POOL: (Builder(between.max_pool),),
    StageKind.MOVE: (Builder(between.move, heights=_step),),
    StageKind.RESIZE: (Builder(between.resize, heights=_step),),
}


def _before(
    first: Mapping[StageKind, Builder | tuple[Builder, ...]],
) -> Mapping[StageKind, tuple[Builder, ...]]:
    """A set's own builders, best first, followed by the portable one."""
    own = {kind: one if isinstance(one, tuple) else (one,) for kind, one in first.items()}
    return {kind: (*own.get(kind, ()), *portable) for kind, portable in _SCALAR.items()}


_DSP_CONVOLUTION = Builder(dsp.convolution, dsp.offered, dsp.preferred)
_DSP_OWN = {
    StageKind.CONV: _DSP_CONVOLUTION,
    StageKind.BLOCK: Builder(dsp.block, dsp.offered, dsp.preferred, dsp.band_cycles),
    StageKind.DEPTHWISE: Builder(dsp.plane_depthwise),
    StageKind.POINTWISE: _DSP_CONVOLUTION,
    StageKind.POOL: Builder(dsp.pool),
    StageKind.DENSE: _DSP_CONVOLUTION,
    StageKind.ADD: Builder(dsp.addition),
    StageKind.PRODUCT: Builder(dsp.product),
    StageKind.TABLE: Builder(dsp.table),
}
# of one pixel; the M7's pointwise is as fast there
_VECTORS = {
    kind: (Builder(dsp.vector, dsp.vector_offered, dsp.preferred), _DSP_CONVOLUTION)
    for kind in (StageKind.CONV, StageKind.POINTWISE, StageKind.DENSE)
}

SETS: Mapping[str, Mapping[StageKind, tuple[Builder, ...]]] = {
    "scalar": _SCALAR,
    "dsp": _before({**_DSP_OWN, **_VECTORS}),
    "m7": _before(_DSP_OWN),  # with groups of three pixels and other bodies
    "mve": _before(
        {
            StageKind.CONV: Builder(mve.convolution),
            StageKind.BLOCK: Builder(mve.block, heights=mve.band_cycles),
            StageKind.POINTWISE: Builder(mve.convolution),
            StageKind.DENSE: Builder(mve.convolution),
            # Helium cores have the DSP extension too
            StageKind.DEPTHWISE: Builder(dsp.plane_depthwise),
            StageKind.POOL: Builder(dsp.pool),
            StageKind.ADD: Builder(dsp.addition),
            StageKind.PRODUCT: Builder(dsp.product),
            StageKind.TABLE: Builder(dsp.table),
        }
    ),
}
