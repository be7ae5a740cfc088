"""Kernels, plan and tables in; network.h, network.c and weights.c out."""

from mbn.passes.emit.files import GeneratedNetwork, emit

__all__ = ["GeneratedNetwork", "emit"]
