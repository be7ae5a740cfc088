"""The shape of a MobileNetV1: its layers with their widths and sizes. It needs no framework.

`shape` lists the layers for a width multiplier alpha, a resolution, classes, input channels and a
`Form`: MobileNet itself (28 layers), or one of the networks that the paper compares it with. Every
3x3 layer pads by one on each side, so a layer of stride s has ceil(size / s) rows and columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from mbn.core.errors import UsageError

STEM_CHANNELS = 32
MIN_CHANNELS = 8
MIN_RESOLUTION = 32

# (stride of the depthwise layer, channels out at alpha 1): arXiv 1704.04861, table 1.
BLOCKS: tuple[tuple[int, int], ...] = (
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    *(((1, 512),) * 5),
    (2, 1024),
    # Table 1 prints stride 2 here with a 7x7 output, which contradict each other; the output
    # (and every published implementation) says 1.
    (1, 1024),
)


# The five blocks of 14 x 14 x 512 that table 5's shallow network is without
SHALLOW_WITHOUT = range(7, 12)


class Form(StrEnum):
    """MobileNet, or one of the networks that the paper compares it with."""

    SEPARABLE = "separable"  # table 1
    CONV = "conv"  # table 4: a full 3x3 convolution in each block's place
    SHALLOW = "shallow"  # table 5: without the five blocks of 14 x 14 x 512


class Kind(StrEnum):
    """What a layer computes."""

    CONV = "conv"  # 3x3, dense over channels: the stem
    DEPTHWISE = "depthwise"  # 3x3, a filter a channel
    POINTWISE = "pointwise"  # 1x1
    CLASSIFIER = "classifier"  # dense, after the global average pool


@dataclass(frozen=True)
class LayerShape:
    """One layer with weights. `size` values are rows (= columns) of its input and output."""

    name: str
    kind: Kind
    channels_in: int
    channels_out: int
    stride: int
    size_in: int
    size_out: int

    @property
    def kernel(self) -> int:
        return 3 if self.kind in {Kind.CONV, Kind.DEPTHWISE} else 1

    @property
    def pad(self) -> int:
        return self.kernel // 2

    @property
    def fan_in(self) -> int:
        """Products that one output value sums."""
        inputs = 1 if self.kind is Kind.DEPTHWISE else self.channels_in
        return self.kernel * self.kernel * inputs

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """As ONNX and torch store them: out, in, height, width (classifier: out, in)."""
        if self.kind is Kind.CLASSIFIER:
            return (self.channels_out, self.channels_in)
        inputs = 1 if self.kind is Kind.DEPTHWISE else self.channels_in
        return (self.channels_out, inputs, self.kernel, self.kernel)


@dataclass(frozen=True)
class Shape:
    """A whole network: `layers` holds the stem, depthwise and pointwise in turn, the classifier."""

    alpha: float
    resolution: int
    classes: int
    channels: int
    layers: tuple[LayerShape, ...]

    @property
    def macs(self) -> int:
        return sum(layer.size_out**2 * layer.channels_out * layer.fan_in for layer in self.layers)

    @property
    def params(self) -> int:
        """Weights of convolutions and dense layers, as the paper counts."""
        return sum(layer.fan_in * layer.channels_out for layer in self.layers)


def width(base: int, alpha: float) -> int:
    """Channels of a layer that has `base` at alpha 1.

    max(8, base * alpha to the nearest integer, halves up). At the paper's 1, 0.75, 0.5 and 0.25
    every product is whole, so this is its table exactly: alpha 0.25 gives stem 8 and blocks 16,
    32, 32, 64, 64, 128 x 6, 256, 256. The floor of 8 is that of the authors' own code.
    """
    return max(MIN_CHANNELS, math.floor(base * alpha + 0.5))


def check(alpha: float, resolution: int, classes: int, channels: int, stem_stride: int = 2) -> None:
    """Raises UsageError for an impossible size."""
    if not (math.isfinite(alpha) and alpha > 0):
        raise UsageError(
            f"alpha {alpha:g}",
            wanted="a width multiplier above 0",
            advice="The paper uses 1.0, 0.75, 0.5 and 0.25",
        )
    if stem_stride not in (1, 2):
        raise UsageError(f"a first stride of {stem_stride}", wanted="1 (small images) or 2")
    least = MIN_RESOLUTION * stem_stride // 2
    if resolution < least:
        raise UsageError(
            f"resolution {resolution}",
            wanted=f"at least {least}: the network halves the image {3 + stem_stride} times",
            advice="The paper uses 224, 192, 160 and 128; 96 is usual on microcontrollers",
        )
    if classes < 2:
        raise UsageError(f"{classes} class(es)", wanted="at least 2 classes to tell apart")
    if channels < 1:
        raise UsageError(f"{channels} input channels", wanted="1 (grey) or 3 (colour)")


def shape(
    alpha: float,
    resolution: int,
    classes: int,
    channels: int = 3,
    *,
    form: Form = Form.SEPARABLE,
    stem_stride: int = 2,
) -> Shape:
    """The layers of a MobileNetV1, or of another form of it. Raises UsageError for an impossible
    size. `stem_stride` 1 is for small images, such as CIFAR-10's."""
    check(alpha, resolution, classes, channels, stem_stride)
    size = -(-resolution // stem_stride)
    out = width(STEM_CHANNELS, alpha)
    layers = [LayerShape("stem", Kind.CONV, channels, out, stem_stride, resolution, size)]
    for number, (stride, base) in enumerate(BLOCKS, start=1):
        if form is Form.SHALLOW and number in SHALLOW_WITHOUT:
            continue
        after = -(-size // stride)
        name, wide = f"block{number}", width(base, alpha)
        if form is Form.CONV:
            layers.append(LayerShape(name, Kind.CONV, out, wide, stride, size, after))
        else:
            layers.append(LayerShape(f"{name}_dw", Kind.DEPTHWISE, out, out, stride, size, after))
            layers.append(LayerShape(f"{name}_pw", Kind.POINTWISE, out, wide, 1, after, after))
        out, size = wide, after
    layers.append(LayerShape("classifier", Kind.CLASSIFIER, out, classes, 1, 1, 1))
    return Shape(alpha, resolution, classes, channels, tuple(layers))


def network_name(alpha: float, resolution: int, data: str) -> str:
    """The name of a network's files: mobilenet_0.25_96_digits."""
    return f"mobilenet_{alpha:g}_{resolution}_{data}"
