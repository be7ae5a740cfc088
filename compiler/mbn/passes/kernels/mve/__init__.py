"""The Helium kernel set (M55, M85): VMLADAV bodies inside TIR's loops; see stages.py."""

from mbn.passes.kernels.mve.stages import band_cycles, block, convolution

__all__ = ["band_cycles", "block", "convolution"]
