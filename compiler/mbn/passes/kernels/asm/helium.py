"""What the bodies for Helium share: how far a load reaches, and how sums end.

What enters: a function, a vector of requantised sums. What leaves: the instructions that store it.
"""

from __future__ import annotations

from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.rounding import Rounding

REACH = 508  # of VLDRW's offset, in both directions


def saturate(f: Function, rounding: Rounding, value: str, scalar: str, vector: str) -> None:
    """Clamps four values in place. int8's range: by narrowing; any other overwrites the scalar and
    the vector."""
    if rounding.is_whole:
        f.op("vqmovnb.s32", value, value)
        f.op("vqmovnb.s16", value, value)
        return
    for bound, mnemonic in ((rounding.low, "vmax.s32"), (rounding.high, "vmin.s32")):
        f.op("mvn" if bound < 0 else "mov", scalar, f"#{~bound if bound < 0 else bound}")
        f.op("vdup.32", vector, scalar)
        f.op(mnemonic, value, value, vector)
