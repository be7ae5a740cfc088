"""A stage and a core in, one kernel in C and its packed weights out."""

from mbn.passes.kernels.build import build_stage, candidates, lean, preferred

__all__ = ["build_stage", "candidates", "lean", "preferred"]
