"""Which variants the DSP kernel set offers for a stage, and which is taken without a measurement.

Each variant offered gives other code than the plain one, and the same bits. LEVELS in
core/options.py has the assumptions for stages that were not measured.
"""

from __future__ import annotations

from mbn.core.network import Op, StageKind
from mbn.core.options import LEVELS, Optimise
from mbn.core.schedule import Sharing, Variant
from mbn.passes.kernels.dsp.depthwise import serves_shared
from mbn.passes.kernels.dsp.im2col import SHARED_WINDOW
from mbn.passes.kernels.dsp.pointwise import LEAST_PIXELS, straight
from mbn.passes.kernels.dsp.tile import SLOTS, pixels_of, row_pixels, up
from mbn.passes.kernels.stage_builder import PLAIN, StageBuilder

# Pairs from which on a sum is deep. Deep sums lose least by a shared body.
DEEP_PAIRS = 64


def offered(b: StageBuilder) -> list[Variant]:
    """The variants of a stage, the plain one first."""
    index = len(b.derived) - 1
    if b.stage.kind is StageKind.POOL or not straight(b, index):
        return [PLAIN]
    sizes = group_sizes(b)
    found = [PLAIN]
    if pixels_of(b) != SLOTS and len(sizes) > 1:
        found.append(Variant(shared=Sharing.REST))
    if max(sizes) >= LEAST_PIXELS:
        found.append(Variant(shared=Sharing.POINTWISE))
    if _all_is_more(b):
        found.append(Variant(shared=Sharing.ALL))
    return found


def preferred(b: StageBuilder, optimise: Optimise) -> Variant:
    """The offered variant that is taken where none was measured."""
    index = len(b.derived) - 1
    sharing = LEVELS[optimise].sharing
    given = offered(b)
    if sharing is Sharing.REST:
        deep = up(b.derived[index].weights[0].size, 2) >= DEEP_PAIRS
        threes = 3 in group_sizes(b) and SLOTS not in group_sizes(b)
        sharing = Sharing.NONE if not deep else Sharing.POINTWISE if threes else sharing
    shared = [one for one in given if one.shared <= sharing]
    return max(shared, key=lambda one: one.shared)


def group_sizes(b: StageBuilder) -> set[int]:
    """The sizes, in pixels, of the groups in a band."""
    width, rows = b.out.width, b.band_rows
    full, rest = divmod(
        rows * width if row_pixels(b, width, rows) == width else width, pixels_of(b)
    )
    return ({pixels_of(b)} if full else set()) | ({rest} if rest else set())


def _all_is_more(b: StageBuilder) -> bool:
    """Whether Sharing.ALL shares more than Sharing.POINTWISE."""
    if b.stage.kind is StageKind.BLOCK and serves_shared(b):
        return True
    if pixels_of(b) == SLOTS and min(group_sizes(b)) < LEAST_PIXELS:
        return True
    if b.stage.kind is StageKind.BLOCK:
        return False
    layer = b.layers[0]
    image = b.in_layout().plane_bytes == 0 and layer.op is not Op.DENSE
    run = layer.kernel[1] * b.source.channels
    return image and (layer.kernel[0], run) == SHARED_WINDOW
