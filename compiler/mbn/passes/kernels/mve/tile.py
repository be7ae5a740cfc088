"""What the files of the Helium kernel set share: the shape of a tile, the order of constants.

Activations reach the pointwise in a tile, int8 [pixel][depth]. The depth is the number of channels
rounded up to 16; the weights of the channels added are zero, so their bytes may be anything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import SingleConstants, WeightedConstants

PIXELS = 4  # of one group
LANES = 16  # int8 values of a vector


def up(value: int, step: int) -> int:
    """A value, rounded up to a multiple of `step`."""
    return (value + step - 1) // step * step


def other_words(derived: WeightedConstants) -> tuple[NDArray[np.int32], ...]:
    """The words after the multipliers: see mbn_mve_store_value in runtime/kernels/mve/
    instructions.h. Right shifts are negated, as VSHL takes them."""
    if isinstance(derived, SingleConstants):
        return derived.words
    right, left = np.maximum(-derived.exponent, 0), np.maximum(derived.exponent, 0)
    if derived.short:
        return (derived.offset, -right)
    some = right > 0
    half = np.where(some, 1 << np.maximum(right - 1, 0), 0)
    return tuple(
        word.astype(np.int32) for word in (derived.offset, -right, left, half, -some.astype(int))
    )


def table(values: NDArray[np.int32], step: int) -> NDArray[np.int32]:
    """Channels in rows of `step`, the last one filled with zeros."""
    full = np.zeros(up(len(values), step), np.int32)
    full[: len(values)] = values
    return full.reshape(-1, step)
