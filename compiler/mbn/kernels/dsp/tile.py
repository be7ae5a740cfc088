"""What the files of the DSP kernel set share: the shape of a tile.

What enters / leaves: numbers. Always holds: activations meet the pointwise as int16 pairs in a
tile, [group of four pixels][pair j][pixel][half]: channel j in the low half, channel j + pairs in
the high one.
"""

PIXELS = 4  # of one group
MOST_LINES = 8  # output rows of one call of the depthwise


def up(value: int, step: int) -> int:
    """How many steps cover a value."""
    return (value + step - 1) // step


def row_pixels(width: int, band_rows: int) -> int:
    """From a row's first pixel to the next row's in a band's tile: rows of 4n + 2 pixels follow
    each other without a gap (a group then ends in the next row), others begin a group."""
    return width if band_rows == 1 or width % PIXELS == 2 else up(width, PIXELS) * PIXELS
