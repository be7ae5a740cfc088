"""The integers that kernels need, derived by the compiler; the exact reference derives its own."""

from mbn.arithmetic.derive import (
    added,
    derive_addition_in,
    derive_all,
    derive_in,
    multiplied,
    pixel_codes,
    resettled,
    stored,
)
from mbn.arithmetic.detection import MapTables, detector_tables
from mbn.arithmetic.tflite import halves_fit

__all__ = [
    "MapTables",
    "added",
    "derive_addition_in",
    "derive_all",
    "derive_in",
    "detector_tables",
    "halves_fit",
    "multiplied",
    "pixel_codes",
    "resettled",
    "stored",
]
