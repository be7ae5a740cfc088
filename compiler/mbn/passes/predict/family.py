"""A network of the paper's family as integer stages, from its shape alone.

Its weights are random. It takes milliseconds to make and needs no ONNX file and no image.
Multipliers and clamps are typical (those of a depthwise above one half), so the same kernels are
chosen as for a trained network without constant channels. It is for planning and prediction, not
for inference.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mbn import arithmetic
from mbn.core.family import Kind, LayerShape, network_name, shape
from mbn.core.network import Layer, Network, Op, Stage, StageKind, Tensor

MAP_SCALE = float(np.float32(6 / 255))


def family_network(alpha: float, resolution: int, classes: int) -> Network:
    """Stem, fused blocks, pool and dense. Raises UsageError for an impossible size."""
    found = shape(alpha, resolution, classes).layers
    tensors = [Tensor("image", resolution, resolution, 3, float(np.float32(1 / 128)), 0)]
    layers: list[Layer] = []
    stages: list[Stage] = []
    for one in found:
        if one.kind is Kind.CLASSIFIER:
            _append(tensors, layers, _pool(tensors[-1]), (1, 1, one.channels_in))
            stages.append(Stage("pool", StageKind.POOL, (len(layers) - 1,)))
        size = one.size_out
        _append(tensors, layers, _layer(one, tensors[-1]), (size, size, one.channels_out))
        index = len(layers) - 1
        if one.kind is Kind.POINTWISE:
            stages.append(Stage(one.name, StageKind.BLOCK, (index - 1, index)))
        elif one.kind is not Kind.DEPTHWISE:
            kind = StageKind.CONV if one.kind is Kind.CONV else StageKind.DENSE
            stages.append(Stage(one.name, kind, (index,)))
    name = network_name(alpha, resolution, "shape")
    return arithmetic.derive_all(Network(name, tuple(tensors), tuple(layers), tuple(stages)))


def _append(
    tensors: list[Tensor], layers: list[Layer], layer: Layer, size: tuple[int, int, int]
) -> None:
    scale = tensors[-1].scale if layer.op is Op.POOL else MAP_SCALE
    tensors.append(Tensor(layer.output, *size, scale, -128))
    layers.append(replace(layer, input=tensors[-2].name))


def _pool(source: Tensor) -> Layer:
    window = (source.height, source.width)
    return Layer("pool", Op.POOL, source.name, "pooled", window, (1, 1), (0, 0, 0, 0), (None, None))


def _layer(one: LayerShape, source: Tensor) -> Layer:
    op = {Kind.DEPTHWISE: Op.DEPTHWISE, Kind.CLASSIFIER: Op.DENSE}.get(one.kind, Op.CONV)
    depthwise = op is Op.DEPTHWISE
    taps = (one.kernel, one.kernel, 1 if depthwise else one.channels_in)
    bits = np.random.Generator(np.random.PCG64(one.fan_in))
    largest = 2 if depthwise else 127  # of int8; a small one means a large multiplier
    weights = bits.integers(-largest, largest + 1, (one.channels_out, *taps), np.int8)
    # sums of the width of the output's range
    scale = np.float32(1 / (0.6 * largest * np.sqrt(one.fan_in) * source.scale / MAP_SCALE))
    scale = np.float32(1.0) if depthwise else scale
    before, size = one.pad, (one.size_out - 1) * one.stride + one.kernel
    after = size - one.size_in - before
    return Layer(
        one.name,
        op,
        source.name,
        f"{one.name}_out",
        (one.kernel, one.kernel),
        (one.stride, one.stride),
        (before, before, after, after),
        (None, None) if op is Op.DENSE else (0.0, 6.0),
        weights,
        np.full(one.channels_out, scale, np.float32),
        np.zeros(one.channels_out, np.int32),
    )
