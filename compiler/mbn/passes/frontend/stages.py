"""Groups layers into stages, the unit of scheduling.

Every layer is in exactly one stage, in order. A depthwise layer and the pointwise that is its only
reader form a block. Every other layer is a stage of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from mbn.core.network import Layer, Network, Op, Stage, StageKind


def is_pointwise(layer: Layer) -> bool:
    return (
        layer.op is Op.CONV
        and layer.groups == 1
        and layer.kernel == (1, 1)
        and layer.stride == (1, 1)
        and layer.pads == (0, 0, 0, 0)
    )


def group_stages(network: Network, *, fused: bool = True) -> Network:
    """The network with `stages` filled in; without `fused`, one layer a stage."""
    stages: list[Stage] = []
    readers = Counter(name for layer in network.layers for name in layer.inputs)
    readers.update(tensor.name for tensor in network.outputs)
    if fused:
        network = replace(network, layers=_adjacent(network.layers))
    index = 0
    while index < len(network.layers):
        layer = network.layers[index]
        following = network.layers[index + 1] if index + 1 < len(network.layers) else None
        if (
            fused
            and layer.op is Op.DEPTHWISE
            and following is not None
            and is_pointwise(following)
            and following.input == layer.output
            and readers[layer.output] == 1
        ):
            stages.append(Stage(following.name, StageKind.BLOCK, (index, index + 1)))
            index += 2
            continue
        stages.append(Stage(layer.name, _kind(layer), (index,)))
        index += 1
    return replace(network, stages=tuple(stages))


def _adjacent(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Moves each depthwise layer right before its first reader. In a graph whose maps have several
    readers, other layers may lie between."""
    ordered = list(layers)
    for layer in layers:
        if layer.op is Op.DEPTHWISE:
            reader = next((one for one in layers if layer.output in one.inputs), None)
            if reader is not None:
                ordered.remove(layer)
                ordered.insert(ordered.index(reader), layer)
    return tuple(ordered)


def _kind(layer: Layer) -> StageKind:
    if is_pointwise(layer):
        return StageKind.POINTWISE
    return StageKind(layer.op.value)
