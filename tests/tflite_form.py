"""Drawn networks as TensorFlow Lite would have them: in rounding `tflite`.

What enters: an integer network. What leaves: one of the same layers in that rounding. Always holds:
nothing in it is refused there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mbn.core.network import Layer, Network, Op, StageKind, Tensor
from mbn.core.options import Rounding
from mbn.passes.frontend.stages import group_stages
from networks import LIMIT


def in_tflite(network: Network) -> Network:
    """The network in rounding `tflite`: its pools keep their input's scale, or are means (some of
    those over a whole map), additions and clamps have no scale that it refuses, a result of one
    pixel gets a softmax, clamps are TensorFlow Lite's, and biases that another zero point makes too
    large are cut."""
    tensors, layers = {network.input.name: network.input}, []
    for layer in network.layers:
        source, out = tensors[layer.input], network.tensor(layer.output)
        if layer.op is Op.POOL and _whole(layer, source) and source.channels % 2:
            layer = replace(layer, is_mean=True)  # noqa: PLW2901
            near = np.clip(out.scale, source.scale / 64, source.scale * 64)
            out = replace(out, scale=float(np.float32(near)))
        elif layer.op is Op.POOL:
            out = replace(out, scale=source.scale, zero_point=source.zero_point)
        if layer.op is Op.ADD:  # TensorFlow Lite stops where the result's scale is 2^-19 of these
            most = max(tensors[name].scale for name in layer.inputs)
            out = replace(out, scale=max(out.scale, float(np.float32(most * 2.0**-18))))
        if layer.clamp == (-1.0, 1.5):
            layer = replace(layer, clamp=(-1.0, 1.0))  # noqa: PLW2901
        if layer.is_mean:  # it has no activation
            layer = replace(layer, clamp=(None, None))  # noqa: PLW2901
        if layer.clamp[1] is not None:  # in codes it must fit 32 bits
            out = replace(out, scale=max(out.scale, 2.0**-28))
        layers.append(_cut_bias(layer, source, out))
        tensors[out.name] = out
    if (out.height, out.width) == (1, 1):
        last = layers[-1]
        tensors["softmax:out"] = Tensor("softmax:out", 1, 1, out.channels, 1 / 256, -128)
        bare = Layer("", Op.SOFTMAX, "", "", (1, 1), (1, 1), (0, 0, 0, 0), (None, None))
        layers.append(replace(bare, name="softmax", input=last.output, output="softmax:out"))
    fused = any(stage.kind is StageKind.BLOCK for stage in network.stages)
    changed = replace(
        network,
        tensors=tuple(tensors.values()),
        layers=tuple(layers),
        stages=(),
        rounding=Rounding.TFLITE,
    )
    return group_stages(changed, fused=fused)


def _whole(layer: Layer, source: Tensor) -> bool:
    return layer.kernel == (source.height, source.width)


def _cut_bias(layer: Layer, source: Tensor, out: Tensor) -> Layer:
    if layer.weights is None:
        return layer
    assert layer.weight_scales is not None and layer.bias is not None
    flat = layer.weights.reshape(len(layer.weights), -1).astype(np.int64)
    factors = source.scale * layer.weight_scales.astype(np.float64) / out.scale
    left = 2.0 ** np.maximum(0, np.floor(np.log2(factors)) + 1)
    fixed = np.abs(flat).sum(axis=1) * 128 + np.abs(source.zero_point * flat.sum(axis=1))
    room = 0.98 * LIMIT / left - fixed
    return replace(layer, bias=np.clip(layer.bias, -room, room).astype(np.int32))
