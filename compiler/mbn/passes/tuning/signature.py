"""A stage's signature: a line of text with all that its cost depends on.

Two stages with equal signatures have the same candidates. They cost the same on a core, apart from
where their code happens to lie.
"""

from __future__ import annotations

from mbn.core.constants import rounding_code
from mbn.core.kernel_set import KernelSet
from mbn.core.network import Layer, Network, Op, Stage


def signature(network: Network, stage: Stage, kernels: KernelSet) -> str:
    """As "block 48x48x8 depthwise 3x3/1,1 p1,1 s0 > 48x48x8 conv 1x1/1,1 ... > 48x48x16"."""
    source = network.stage_input(stage)
    parts = [f"{stage.kind} {source.shape_text}"]
    if source is network.input:
        parts.append("image")
    for index in stage.layers:
        layer = network.layers[index]
        kernel, stride = "x".join(map(str, layer.kernel)), ",".join(map(str, layer.stride))
        padding = ",".join(map(str, layer.pads[:2]))  # what is behind follows from the sizes
        parts.append(f"{layer.op} {kernel}/{stride} p{padding} {_end(layer, kernels)}".rstrip())
        parts.append(f"> {network.tensor(layer.output).shape_text}")
    return " ".join(parts)


def _end(layer: Layer, kernels: KernelSet) -> str:
    """How accumulators become stored values: the bodies differ by it."""
    constants = layer.constants
    if constants is None:
        return ""
    saturates = (constants.low, constants.high) == (-128, 127)
    folded = kernels.folded_shift if layer.op is Op.DEPTHWISE else 0
    code = rounding_code(constants)
    shift = 0 if 0 < code <= folded else code
    return f"s{shift}" + ("" if saturates else " clamped")
