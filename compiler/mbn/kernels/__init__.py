"""A stage and a core in, one kernel in C and its packed weights out."""

from mbn.kernels.build import StageCode, build_stage

__all__ = ["StageCode", "build_stage"]
