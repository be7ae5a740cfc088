"""A network of the paper's family as integer stages, from its shape alone.

What enters: alpha, resolution, classes. What leaves: an `ir.Network` with drawn weights. Always
holds: it is made in milliseconds, with no ONNX file and no image; its multipliers and clamps are
of the usual sort (those of a depthwise above one half), so the kernels chosen for it are those of
a trained network without constant channels. It is for planning and predicting, not for running.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mbn.arithmetic import single as arithmetic
from mbn.core import ir
from mbn.core.family import Kind, LayerShape, network_name, shape

MAP_SCALE = float(np.float32(6 / 255))


def family_network(alpha: float, resolution: int, classes: int) -> ir.Network:
    """Stem, fused blocks, pool and dense; UsageError for sizes that are none."""
    found = shape(alpha, resolution, classes).layers
    tensors = [ir.Tensor("image", resolution, resolution, 3, float(np.float32(1 / 128)), 0)]
    layers: list[ir.Layer] = []
    stages: list[ir.Stage] = []
    for one in found:
        if one.kind is Kind.CLASSIFIER:
            _append(tensors, layers, _pool(tensors[-1]), (1, 1, one.channels_in))
            stages.append(ir.Stage("pool", ir.StageKind.POOL, (len(layers) - 1,)))
        size = one.size_out
        _append(tensors, layers, _layer(one, tensors[-1]), (size, size, one.channels_out))
        index = len(layers) - 1
        if one.kind is Kind.POINTWISE:
            stages.append(ir.Stage(one.name, ir.StageKind.BLOCK, (index - 1, index)))
        elif one.kind is not Kind.DEPTHWISE:
            kind = ir.StageKind.CONV if one.kind is Kind.CONV else ir.StageKind.DENSE
            stages.append(ir.Stage(one.name, kind, (index,)))
    name = network_name(alpha, resolution, "shape")
    return arithmetic.derive_all(ir.Network(name, tuple(tensors), tuple(layers), tuple(stages)))


def _append(
    tensors: list[ir.Tensor], layers: list[ir.Layer], layer: ir.Layer, size: tuple[int, int, int]
) -> None:
    scale = tensors[-1].scale if layer.op is ir.Op.POOL else MAP_SCALE
    tensors.append(ir.Tensor(layer.output, *size, scale, -128))
    layers.append(replace(layer, input=tensors[-2].name))


def _pool(source: ir.Tensor) -> ir.Layer:
    window = (source.height, source.width)
    return ir.Layer(
        "pool", ir.Op.POOL, source.name, "pooled", window, (1, 1), (0, 0, 0, 0), (None, None)
    )


def _layer(one: LayerShape, source: ir.Tensor) -> ir.Layer:
    op = {Kind.DEPTHWISE: ir.Op.DEPTHWISE, Kind.CLASSIFIER: ir.Op.DENSE}.get(one.kind, ir.Op.CONV)
    depthwise = op is ir.Op.DEPTHWISE
    taps = (one.kernel, one.kernel, 1 if depthwise else one.channels_in)
    bits = np.random.Generator(np.random.PCG64(one.fan_in))
    largest = 2 if depthwise else 127  # of int8; a small one means a large multiplier
    weights = bits.integers(-largest, largest + 1, (one.channels_out, *taps), np.int8)
    # sums of the width of the output's range
    scale = np.float32(1 / (0.6 * largest * np.sqrt(one.fan_in) * source.scale / MAP_SCALE))
    scale = np.float32(1.0) if depthwise else scale
    before, size = one.pad, (one.size_out - 1) * one.stride + one.kernel
    after = size - one.size_in - before
    return ir.Layer(
        one.name,
        op,
        source.name,
        f"{one.name}_out",
        (one.kernel, one.kernel),
        (one.stride, one.stride),
        (before, before, after, after),
        (None, None) if op is ir.Op.DENSE else (0.0, 6.0),
        weights,
        np.full(one.channels_out, scale, np.float32),
        np.zeros(one.channels_out, np.int32),
    )
