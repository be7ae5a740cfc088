"""A stage and a core in, one kernel in C and its packed weights out."""

from mbn.passes.kernels.build import VERSIONS, build_stage, candidates, preferred
from mbn.passes.kernels.stage_builder import StageCode

__all__ = ["VERSIONS", "StageCode", "build_stage", "candidates", "preferred"]
