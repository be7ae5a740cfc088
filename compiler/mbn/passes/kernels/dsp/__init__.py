"""The DSP kernel set (M4, M7, M33): SMLAD bodies inside TIR's loops; see stages.py."""

from mbn.passes.kernels.dsp.elements import addition, product, table
from mbn.passes.kernels.dsp.planes import plane_depthwise
from mbn.passes.kernels.dsp.stages import band_cycles, block, convolution, pool
from mbn.passes.kernels.dsp.variants import offered, preferred
from mbn.passes.kernels.dsp.vector import vector, vector_offered

__all__ = [
    "addition",
    "band_cycles",
    "block",
    "convolution",
    "offered",
    "plane_depthwise",
    "pool",
    "preferred",
    "product",
    "table",
    "vector",
    "vector_offered",
]
