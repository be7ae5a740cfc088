"""The networks that the MobileNets paper compares, in torch, for counting.

What enters: sizes. What leaves: modules. Always holds: shapes only matter (weights are never
used): every convolution is followed by a ReLU that is left out, norms are left out.

Sources: arXiv 1704.04861, tables 3 to 5 (its own variants); AlexNet: Krizhevsky et al. 2012, with
its two groups; VGG-16: arXiv 1409.1556, column D; GoogLeNet: arXiv 1409.4842, table 1, without the
two auxiliary classifiers, which inference does not use; SqueezeNet 1.0: arXiv 1602.07360, table 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mbn.core.family import Form, shape
from mbn.train.mobilenet import MobileNet, Shaped


def mobilenet(alpha: float = 1.0, resolution: int = 224, classes: int = 1000) -> nn.Module:
    """Table 1."""
    return MobileNet(alpha, resolution, classes)


def conv_mobilenet(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """Table 4: full 3x3 convolutions where MobileNet has a depthwise and a pointwise."""
    return Shaped(shape(1.0, resolution, classes, form=Form.CONV))


def shallow_mobilenet(classes: int = 1000) -> nn.Module:
    """Table 5: without the five blocks of 14 x 14 x 512."""
    return Shaped(shape(1.0, 224, classes, form=Form.SHALLOW))


def one_layer(kind: str, channels: int = 512) -> nn.Module:
    """Table 3: one layer inside the body, 3x3: "conv" or "separable"."""
    if kind == "conv":
        return _conv(channels, channels, 3)
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(depthwise, _conv(channels, channels, 1))


def alexnet(classes: int = 1000) -> nn.Module:
    """For 3 x 227 x 227."""
    return nn.Sequential(
        _conv(3, 96, 11, 4, 0),
        nn.MaxPool2d(3, 2),
        _conv(96, 256, 5, groups=2),
        nn.MaxPool2d(3, 2),
        _conv(256, 384, 3),
        _conv(384, 384, 3, groups=2),
        _conv(384, 256, 3, groups=2),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(256 * 6 * 6, 4096),
        nn.Linear(4096, 4096),
        nn.Linear(4096, classes),
    )


def vgg16(classes: int = 1000) -> nn.Module:
    """For 3 x 224 x 224."""
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers.append(_conv(channels, width, 3))
            channels = width
        layers.append(nn.MaxPool2d(2))
    dense = (nn.Linear(512 * 7 * 7, 4096), nn.Linear(4096, 4096), nn.Linear(4096, classes))
    return nn.Sequential(*layers, nn.Flatten(), *dense)


class Side(nn.Module):
    """Branches of one input, put together by channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([branch(image) for branch in self.branches], 1)


# Of each inception: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool's projection. None: a pool.
_INCEPTIONS: tuple[tuple[int, int, int, int, int, int] | None, ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def googlenet(classes: int = 1000) -> nn.Module:
    """For 3 x 224 x 224."""
    layers: list[nn.Module] = [
        _conv(3, 64, 7, 2),
        _pool(),
        _conv(64, 64, 1),
        _conv(64, 192, 3),
        _pool(),
    ]
    channels = 192
    for inception in _INCEPTIONS:
        if inception is None:
            layers.append(_pool())
            continue
        one, reduce3, three, reduce5, five, projection = inception
        layers.append(
            Side(
                _conv(channels, one, 1),
                nn.Sequential(_conv(channels, reduce3, 1), _conv(reduce3, three, 3)),
                nn.Sequential(_conv(channels, reduce5, 1), _conv(reduce5, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), _conv(channels, projection, 1)),
            )
        )
        channels = one + three + five + projection
    return nn.Sequential(*layers, *_classifier(channels, classes))


def squeezenet(classes: int = 1000) -> nn.Module:
    """For 3 x 227 x 227."""
    layers: list[nn.Module] = [_conv(3, 96, 7, 2, 0), _pool()]
    channels = 96
    for number, (squeeze, expand) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)), 2
    ):
        expanded = Side(_conv(squeeze, expand, 1), _conv(squeeze, expand, 3))
        layers.append(nn.Sequential(_conv(channels, squeeze, 1), expanded))
        channels = 2 * expand
        if number in (4, 8):
            layers.append(_pool())
    return nn.Sequential(*layers, _conv(channels, classes, 1), nn.AdaptiveAvgPool2d(1))


def _conv(
    channels: int, out: int, kernel: int, stride: int = 1, pad: int | None = None, groups: int = 1
) -> nn.Conv2d:
    padding = kernel // 2 if pad is None else pad
    return nn.Conv2d(channels, out, kernel, stride, padding, groups=groups)


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def _classifier(channels: int, classes: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
