"""What a user chooses, and what each choice means.

`Options` holds all choices that shape the C. `LEVELS` says what each level of optimisation means
to each pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mbn.core.schedule import Sharing


class Rounding(StrEnum):
    """How accumulators become int8 (see arithmetic/)."""

    SINGLE = "single"  # one rounding, half up: the fast one
    TFLITE = "tflite"  # TensorFlow Lite's reference kernels


class InputMode(StrEnum):
    """How the image arrives."""

    STREAM = "stream"  # row by row; rows are consumed while they come
    WHOLE = "whole"  # all of it is in the arena before the first stage runs


class Optimise(StrEnum):
    """What to keep low."""

    SPEED = "speed"  # cycles
    BALANCED = "balanced"  # both, each byte of flash at the price of some cycles
    SIZE = "size"  # flash and RAM


@dataclass(frozen=True)
class Level:
    """What a level means to each pass. Cycles are those of one inference."""

    arena_slack: float  # the largest arena, as a multiple of the least one
    # Cycles that a byte of flash is worth, for tables and for code. With wait states tables cost
    # time too: each byte is read in every inference, often several times. Code is in a cache.
    table_byte_cycles: float
    code_byte_cycles: float
    sharing: Sharing  # parts of the code that are shared, for stages that were not measured
    gcc_flag: str


LEVELS: Mapping[Optimise, Level] = {
    Optimise.SPEED: Level(1.45, 4.2, 3, Sharing.NONE, "-O2"),
    Optimise.BALANCED: Level(1.25, 8.5, 8.5, Sharing.REST, "-O2"),
    Optimise.SIZE: Level(1.0, 120, 300, Sharing.ALL, "-Os"),
}


@dataclass(frozen=True)
class Options:
    """All that shapes a network's C besides the network and its target."""

    mode: InputMode = InputMode.STREAM
    optimise: Optimise = Optimise.SPEED
    rounding: Rounding = Rounding.SINGLE
    fused: bool = True  # a depthwise and its pointwise as one stage
    simplify: bool = True  # remove channels that are constant for every image
    ram_budget: int | None = None  # bytes of arena; None: what `optimise` leaves
    prefix: str = "mbn_model"  # of every public name of the C


DEFAULTS = Options()
