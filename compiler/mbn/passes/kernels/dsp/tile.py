"""The shape of a tile, which the files of the DSP kernel set share.

A tile holds int16 pairs: [group of pixels][pair j][place][half], with channel j in the low half
and channel j + pairs in the high half. A group has four places; the M7's bodies use three of them.
"""

from __future__ import annotations

from mbn import arithmetic
from mbn.core.constants import TfliteConstants
from mbn.passes.kernels.stage_builder import StageBuilder

SLOTS = 4  # places of a group
MOST_LINES = 8  # output rows of one call of the depthwise


def pixels_of(b: StageBuilder) -> int:
    """Pixels of one group."""
    return b.kernels.group_pixels


def is_requantisable(b: StageBuilder) -> bool:
    """Whether the bodies can requantise: see dsp/requantise.h."""
    return all(
        not isinstance(one, TfliteConstants) or arithmetic.halves_fit(one) for one in b.derived
    )


def up(value: int, step: int) -> int:
    """value / step, rounded up."""
    return (value + step - 1) // step


def row_pixels(b: StageBuilder, width: int, band_rows: int) -> int:
    """Pixels from the start of a row to the start of the next one in a band's tile. Rows of 4n + 2
    pixels follow each other without a gap, so a group may end in the next row. Other rows begin a
    new group."""
    group = pixels_of(b)
    gapless = band_rows == 1 or (group == SLOTS and width % SLOTS == 2)
    return width if gapless else up(width, group) * group
