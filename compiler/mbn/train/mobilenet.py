"""MobileNetV1 and its other forms in torch (arXiv 1704.04861).

What enters: alpha, resolution, classes, input channels, or a `Shape`. What leaves: a torch module,
float32 N x C x H x W to N x classes logits. Always holds: the layers are exactly those of the
shape, in its order and under its names; each but the classifier is convolution, batch norm, ReLU6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mbn.core.family import Kind, LayerShape, Shape, shape


class ConvNormClamp(nn.Module):
    """Convolution without bias, batch norm, ReLU6: one layer of the paper's figure 3."""

    def __init__(self, layer: LayerShape) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            layer.channels_in,
            layer.channels_out,
            layer.kernel,
            stride=layer.stride,
            padding=layer.pad,
            groups=layer.channels_in if layer.kind is Kind.DEPTHWISE else 1,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(layer.channels_out)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.relu6(self.norm(self.conv(image)))


class Shaped(nn.Module):
    """The network of a `Shape`."""

    def __init__(self, of: Shape) -> None:
        super().__init__()
        self.shape = of
        body = self.shape.layers[:-1]
        self.features = nn.Sequential()
        for layer in body:
            self.features.add_module(layer.name, ConvNormClamp(layer))
        self.classifier = nn.Linear(self.shape.layers[-1].channels_in, of.classes)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.features(images)
        logits: Tensor = self.classifier(maps.mean(dim=(2, 3)))
        return logits


class MobileNet(Shaped):
    """MobileNetV1: 28 layers, counting depthwise and pointwise apart.

    `alpha` > 0 widens or narrows every layer (the rule: `shape.width`), `resolution` >= 32 is
    the image's rows and columns. Raises UsageError for other values.
    """

    def __init__(self, alpha: float, resolution: int, classes: int, channels: int = 3) -> None:
        super().__init__(shape(alpha, resolution, classes, channels))


def folded(network: Shaped) -> list[tuple[Tensor, Tensor]]:
    """Weights and bias of each layer, float64, batch norms folded in: w * g / sqrt(v + eps)."""
    layers: list[tuple[Tensor, Tensor]] = []
    for module in network.features:
        assert isinstance(module, ConvNormClamp)
        layers.append(folded_layer(module))
    last = network.classifier
    layers.append((last.weight.double().detach(), last.bias.double().detach()))
    return layers


def folded_layer(module: ConvNormClamp) -> tuple[Tensor, Tensor]:
    """Weights and bias of one layer, float64, with its batch norm."""
    norm = module.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weights = module.conv.weight.double() * gain[:, None, None, None]
    return weights.detach(), (norm.bias - norm.running_mean * gain).detach()
