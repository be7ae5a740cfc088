"""What the files of the DSP kernel set share: the shape of a tile.

What enters: a StageBuilder. What leaves: numbers. Always holds: activations meet the pointwise as
int16 pairs in a tile, [group of pixels][pair j][place][half]: channel j in the low half, channel
j + pairs in the high one. A group has four places, of which the M7's bodies use three.
"""

from __future__ import annotations

from mbn.passes.kernels.stage_builder import StageBuilder

SLOTS = 4  # places of a group
MOST_LINES = 8  # output rows of one call of the depthwise


def pixels_of(b: StageBuilder) -> int:
    """Pixels of one group."""
    return b.kernels.group_pixels


def up(value: int, step: int) -> int:
    """How many steps cover a value."""
    return (value + step - 1) // step


def row_pixels(b: StageBuilder, width: int, band_rows: int) -> int:
    """From a row's first pixel to the next row's in a band's tile: rows of 4n + 2 pixels follow
    each other without a gap (a group then ends in the next row), others begin a group."""
    group = pixels_of(b)
    gapless = band_rows == 1 or (group == SLOTS and width % SLOTS == 2)
    return width if gapless else up(width, group) * group
