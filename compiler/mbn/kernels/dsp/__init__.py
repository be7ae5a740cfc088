"""The DSP kernel set (M4, M7, M33): SMLAD bodies inside TIR's loops; see stages.py."""

from mbn.kernels.dsp.stages import block, convolution

__all__ = ["block", "convolution"]
