"""A stage and a core in, one kernel in C and its packed weights out."""

from mbn.kernels.build import band_options, build_stage
from mbn.kernels.stage_builder import StageCode

__all__ = ["StageCode", "band_options", "build_stage"]
