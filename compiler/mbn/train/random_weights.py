"""A quantised MobileNet of any size with drawn weights: to measure a size without training it.

What enters: alpha, resolution, classes, channels, a form, a seed. What leaves: a QDQ int8 ONNX
model as ONNX Runtime's static quantiser would write it (float input, int8 weights with a scale an
output channel, int32 biases at s_in * s_w, clamps fused into the outputs' range). Always holds: the
same
arguments give the same bytes on every machine (raw PCG64 words; sums of integers small enough for
float64 to hold exactly); every channel takes many values over the images it is scaled by.

How scales come about: weights are uniform; images of drawn blocks and noise are pushed through
the integer network, layer by layer, and each channel's scale and bias put its sums at the same
mean and spread. It is batch norm's own idea, and why no channel is constant or saturated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mbn.core.errors import UsageError
from mbn.core.family import Form, Kind, LayerShape, Shape, shape
from mbn.train.graph import INPUT, LOGITS, conv_attributes, model, pool_nodes

Float64 = NDArray[np.float64]
Int8 = NDArray[np.int8]

INPUT_SCALE, INPUT_ZERO_POINT = np.float32(1 / 128), 0
# ReLU6's whole range; the zero point makes saturation at -128 the clamp at 0.
MAP_SCALE, MAP_ZERO_POINT = np.float32(6 / 255), -128
LOGITS_SCALE, LOGITS_ZERO_POINT = np.float32(16 / 255), -1
# Real mean and spread of a channel's sums before ReLU6: a sixth is cut at 0, a fortieth at 6.
MAP_MEAN, MAP_SPREAD = 2.0, 2.0
LOGITS_MEAN, LOGITS_SPREAD = 0.0, 2.0
# Positions of the last map that the scales are taken from, at the least.
_POSITIONS = 64


@dataclass(frozen=True, eq=False)
class QuantisedLayer:
    """A layer's integers. `bias` int32 at scale s_in * weight_scales[n]; both of N values."""

    layer: LayerShape
    weights: Int8
    bias: NDArray[np.int32]
    weight_scales: NDArray[np.float32]
    bias_scales: NDArray[np.float32]


def random_qdq(
    alpha: float,
    resolution: int,
    classes: int,
    channels: int = 3,
    seed: int = 1,
    *,
    form: Form = Form.SEPARABLE,
    stem_stride: int = 2,
) -> onnx.ModelProto:
    """A QDQ int8 MobileNet with drawn weights, opset 17, checked; see the file's head.

    Input float32 1 x channels x resolution x resolution, result `logits` 1 x classes. Raises
    UsageError for sizes that make no MobileNet and for a negative seed.
    """
    network = shape(alpha, resolution, classes, channels, form=form, stem_stride=stem_stride)
    if seed < 0:
        raise UsageError(f"seed {seed}", wanted="0 or more")
    bits = np.random.PCG64(np.random.SeedSequence(seed))
    layers, pool_scale = _drawn(network, bits)
    nodes, constants = _graph(layers, pool_scale)
    name = f"mobilenet_{alpha:g}_{resolution}_random{seed}"
    metadata = {"mbn.alpha": f"{alpha:g}", "mbn.data": f"random:{seed}"}
    return model(network, nodes, constants, name, metadata)


def _drawn(network: Shape, bits: np.random.PCG64) -> tuple[list[QuantisedLayer], np.float32]:
    """All layers, each scaled by what the ones before make of the probes; the pool's scale."""
    maps = _probes(network, bits)
    scale, zero_point = INPUT_SCALE, INPUT_ZERO_POINT
    layers: list[QuantisedLayer] = []
    pool_scale = MAP_SCALE
    for layer in network.layers:
        if layer.kind is Kind.CLASSIFIER:
            maps, pool_scale = _pooled(maps)
            scale = pool_scale
        weights = _weights(layer, bits)
        sums = _sums(layer, weights, maps - zero_point)
        made = _scaled(layer, weights, sums, scale)
        layers.append(made)
        if layer.kind is Kind.CLASSIFIER:
            break
        multipliers = made.bias_scales.astype(np.float64) / float(MAP_SCALE)
        maps = np.rint((sums + made.bias) * multipliers) + MAP_ZERO_POINT
        maps = np.clip(maps, -128, 127)
        scale, zero_point = MAP_SCALE, MAP_ZERO_POINT
    return layers, pool_scale


def _probes(network: Shape, bits: np.random.PCG64) -> Float64:
    """Images to scale by: integers -128..127, N x H x W x C, drawn blocks under drawn noise."""
    last = network.layers[-2].size_out ** 2
    count = int(np.clip(-(-_POSITIONS // last), 4, _POSITIONS))
    size, channels = network.resolution, network.channels
    noise = _bytes(bits, count * size * size * channels).reshape(count, size, size, channels)
    images = noise.astype(np.int64) - 128
    for index in range(count):
        if index % 4 == 0:  # noise alone
            continue
        side = 2 ** (index % 5)  # blocks a side: 1 (one colour) to 16
        colours = _bytes(bits, side * side * channels).reshape(side, side, channels)
        at = np.arange(size) * side // size
        blocks = colours.astype(np.int64)[at][:, at] - 128
        images[index] = (images[index] >> (index % 3 + 1)) + blocks
    return np.clip(images, -128, 127).astype(np.float64)


def _bytes(bits: np.random.PCG64, count: int) -> NDArray[np.uint8]:
    """`count` drawn bytes, the same on machines of either byte order."""
    raw = bits.random_raw(-(-count // 8)).astype("<u8")
    return raw.view(np.uint8)[:count]


def _weights(layer: LayerShape, bits: np.random.PCG64) -> Int8:
    """Weights, uniform in -127..127; each channel has a weight of +-127, as a quantiser's does."""
    count = int(np.prod(layer.weights_shape))
    drawn = np.maximum(_bytes(bits, count).view(np.int8), -127).reshape(layer.channels_out, -1)
    peak = np.argmax(np.abs(drawn.astype(np.int16)), axis=1)
    rows = np.arange(layer.channels_out)
    drawn[rows, peak] = np.where(drawn[rows, peak] < 0, -127, 127)
    return drawn.reshape(layer.weights_shape)


def _sums(layer: LayerShape, weights: Int8, maps: Float64) -> Float64:
    """Sums of products, exact integers in float64. `maps`: N x H x W x C less the zero point."""
    if layer.kernel == 1:
        flat = weights.reshape(layer.channels_out, -1).astype(np.float64)
        return maps @ flat.T
    stride, size = layer.stride, layer.size_out
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    sums = np.zeros((len(maps), size, size, layer.channels_out))
    last = stride * (size - 1) + 1
    for row in range(3):
        for column in range(3):
            part = padded[:, row : row + last : stride, column : column + last : stride]
            tap = weights[:, :, row, column].astype(np.float64)
            sums += part * tap[:, 0] if layer.kind is Kind.DEPTHWISE else part @ tap.T
    return sums


def _pooled(maps: Float64) -> tuple[Float64, np.float32]:
    """Global average, in quanta of a scale that its largest value just fills; and that scale.

    Returned as N x 1 x 1 x C, zero point MAP_ZERO_POINT.
    """
    count = maps.shape[1] * maps.shape[2]
    sums = (maps - MAP_ZERO_POINT).sum(axis=(1, 2), keepdims=True)
    real = sums * float(MAP_SCALE) / count
    scale = np.float32(real.max() / 255)
    quanta = np.clip(np.rint(real / float(scale)) + MAP_ZERO_POINT, -128, 127)
    return quanta, scale


def _scaled(
    layer: LayerShape, weights: Int8, sums: Float64, scale_in: np.float32
) -> QuantisedLayer:
    """Gives each channel the scale and bias that put its sums where the constants above say."""
    classifier = layer.kind is Kind.CLASSIFIER
    flat = sums.reshape(-1, layer.channels_out)
    # Sums of integers below 2^53: exact, hence alike on every machine whatever the order. (Less
    # their rounded mean, sums seldom reach 2^18, so that 2^17 squares still fit.)
    mean = flat.sum(axis=0) / len(flat)
    apart = flat - np.rint(mean)
    variance = (apart * apart).sum(axis=0) / len(flat)
    if classifier:  # few values a class: one spread for all
        variance = np.full(layer.channels_out, _mean(variance))
    spread = np.sqrt(np.maximum(variance, 1.0))
    wanted_mean = LOGITS_MEAN if classifier else MAP_MEAN
    wanted_spread = LOGITS_SPREAD if classifier else MAP_SPREAD
    scales = (wanted_spread / (spread * float(scale_in))).astype(np.float32)
    bias_scales = (scale_in * scales).astype(np.float32)
    bias = np.rint(wanted_mean / bias_scales.astype(np.float64) - mean).astype(np.int32)
    return QuantisedLayer(layer, weights, bias, scales, bias_scales)


def _mean(values: Float64) -> float:
    """Mean in a fixed order (NumPy's own depends on the machine's vector width)."""
    total: float = sum(values.tolist())
    return total / len(values)


def _graph(
    layers: list[QuantisedLayer], pool_scale: np.float32
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes and constants in the order of the network."""
    graph = _Builder()
    value = graph.quantise(INPUT, INPUT_SCALE, INPUT_ZERO_POINT)
    for made in layers:
        layer = made.layer
        parameters = graph.parameters(made)
        if layer.kind is Kind.CLASSIFIER:
            pool, flatten = pool_nodes(value)
            graph.nodes.append(pool)
            flatten.input[0] = graph.quantise(pool.output[0], pool_scale, MAP_ZERO_POINT)
            graph.nodes.append(flatten)
            pooled = graph.requantise(flatten.output[0], pool.output[0])
            sums = f"{LOGITS}_QuantizeLinear_Input"
            gemm = helper.make_node(
                "Gemm", [pooled, *parameters], [sums], name=layer.name, transB=1
            )
            graph.nodes.append(gemm)
            graph.quantise(sums, LOGITS_SCALE, LOGITS_ZERO_POINT, LOGITS, LOGITS)
            break
        out = f"{layer.name}.out"
        attributes = conv_attributes(layer)
        conv = helper.make_node("Conv", [value, *parameters], [out], name=layer.name, **attributes)
        graph.nodes.append(conv)
        value = graph.quantise(out, MAP_SCALE, MAP_ZERO_POINT)
    return graph.nodes, graph.constants


class _Builder:
    """Collects nodes and constants under the names that ONNX Runtime's quantiser gives."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def quantise(
        self,
        value: str,
        scale: np.float32,
        zero_point: int,
        name: str | None = None,
        output: str | None = None,
    ) -> str:
        """QuantizeLinear and DequantizeLinear on `value`; returns the latter's output."""
        name = name or value
        self.constants.append(numpy_helper.from_array(np.array(scale), f"{name}_scale"))
        zero = np.array(zero_point, dtype=np.int8)
        self.constants.append(numpy_helper.from_array(zero, f"{name}_zero_point"))
        return self._pair(value, name, name, output)

    def requantise(self, value: str, like: str) -> str:
        """As `quantise`, with the scale and zero point of the tensor `like`."""
        return self._pair(value, value, like, None)

    def _pair(self, value: str, name: str, scales: str, output: str | None) -> str:
        numbers = [f"{scales}_scale", f"{scales}_zero_point"]
        integers = f"{name}_QuantizeLinear_Output"
        output = output or f"{name}_DequantizeLinear_Output"
        self.nodes += [
            helper.make_node(
                "QuantizeLinear", [value, *numbers], [integers], name=f"{name}_QuantizeLinear"
            ),
            helper.make_node(
                "DequantizeLinear", [integers, *numbers], [output], name=f"{name}_DequantizeLinear"
            ),
        ]
        return output

    def parameters(self, made: QuantisedLayer) -> list[str]:
        """The dequantised weights and bias of a layer."""
        name = made.layer.name
        weight, bias = f"{name}.weight", f"{name}.bias"
        weight_out = f"{weight}_DequantizeLinear_Output"
        self._constant(weight, f"{weight}_scale", made.weights, made.weight_scales, weight_out)
        self._constant(bias, f"{bias}_quantized_scale", made.bias, made.bias_scales, bias)
        return [weight_out, bias]

    def _constant(
        self,
        name: str,
        scale_name: str,
        integers: NDArray[np.int8] | NDArray[np.int32],
        scales: NDArray[np.float32],
        output: str,
    ) -> None:
        zero_name = scale_name.removesuffix("scale") + "zero_point"
        zeros = np.zeros(len(scales), dtype=integers.dtype)
        self.constants += [
            numpy_helper.from_array(integers, f"{name}_quantized"),
            numpy_helper.from_array(scales, scale_name),
            numpy_helper.from_array(zeros, zero_name),
        ]
        inputs = [f"{name}_quantized", scale_name, zero_name]
        node = helper.make_node(
            "DequantizeLinear", inputs, [output], name=f"{name}_DequantizeLinear", axis=0
        )
        self.nodes.append(node)
