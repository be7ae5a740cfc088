"""What a user chooses: how accumulators are rounded, how the image arrives.

What enters: nothing; these are values. What leaves: enums that commands, passes and reports share.
"""

from __future__ import annotations

from enum import StrEnum


class Rounding(StrEnum):
    """How accumulators become int8 (see arithmetic.py)."""

    SINGLE = "single"  # one rounding, half up: the fast one
    TFLITE = "tflite"  # TensorFlow Lite's reference kernels


class InputMode(StrEnum):
    """How the image arrives."""

    STREAM = "stream"  # row by row; rows are consumed while they come
    WHOLE = "whole"  # it lies in the arena before the first stage runs
