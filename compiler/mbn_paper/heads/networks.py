"""The heads on MobileNet's body, in torch.

What enters: a `Head`. What leaves: modules, float32 N x 3 x H x W in. Always holds: four heads are
the classifier's dense layer with other outputs; SSD's is of MobileNet-SSD: predictions from
block11, block13 and extra layers (a 1x1 and a 3x3 of stride 2 each, as many as leave a pixel), one
1x1 convolution for classes and one for boxes each, no norm or clamp behind those.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mbn.core.detector import RATIOS, SCORE_BITS, BoxMap, Detector
from mbn.core.family import Kind, LayerShape, shape, width
from mbn.train.mobilenet import ConvNormClamp, MobileNet
from mbn_paper.heads.boxes import LEAST_SCORE, MORE_RATIOS, Anchors, anchors
from mbn_paper.heads.spec import Head

# Channels of each extra layer's 1x1 and 3x3, at alpha 1 (arXiv 1512.02325 for VGG, halved where
# TensorFlow's detection API halves them).
EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))
FIRST_TAP, SECOND_TAP = "block11_pw", "block13_pw"


class Ssd(nn.Module):
    """`forward` gives a list: of each map the class logits and the box codes, N x (boxes a cell *
    classes, or * 4) x side x side. `classes` counts the background where a network has one."""

    def __init__(
        self,
        alpha: float,
        resolution: int,
        classes: int,
        *,
        ratios: tuple[float, ...] = RATIOS,
        first: int | None = None,
    ) -> None:
        super().__init__()
        whole = shape(alpha, resolution, 2)
        self.classes = classes
        self.body = nn.Sequential()
        self.layers: dict[str, LayerShape] = {}
        for layer in whole.layers[:-1]:
            self._add(self.body, layer)
        taps = [self.layers[FIRST_TAP], self.layers[SECOND_TAP]]
        self.extras = nn.Sequential()
        for number, (reduced, made) in enumerate(EXTRAS, start=1):
            side, channels = taps[-1].size_out, taps[-1].channels_out
            if side == 1:
                break
            narrow, wide = width(reduced, alpha), width(made, alpha)
            name, after = f"extra{number}", (side + 1) // 2
            self._add(
                self.extras,
                LayerShape(f"{name}_1x1", Kind.POINTWISE, channels, narrow, 1, side, side),
            )
            taps.append(LayerShape(f"{name}_3x3", Kind.CONV, narrow, wide, 2, side, after))
            self._add(self.extras, taps[-1])
        self.taps = tuple(layer.name for layer in taps)
        self.anchors: Anchors = anchors([layer.size_out for layer in taps], ratios, first=first)
        self.predictors = nn.ModuleDict()
        for layer, each in zip(taps, self.anchors.per_cell, strict=True):
            for what, values in (("classes", classes), ("boxes", 4)):
                name = f"{layer.name}_{what}"
                self.predictors[name] = nn.Conv2d(layer.channels_out, each * values, 1)

    @property
    def detector(self) -> Detector:
        """How the graph's results, classes then boxes of each map, become boxes."""
        maps = (BoxMap(2 * at, 2 * at + 1, one) for at, one in enumerate(self.anchors.sizes))
        return Detector(tuple(maps), self.classes, least=round(LEAST_SCORE * (1 << SCORE_BITS)))

    def _add(self, to: nn.Sequential, layer: LayerShape) -> None:
        self.layers[layer.name] = layer
        to.add_module(layer.name, ConvNormClamp(layer))

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        found, value = [], images
        for name, module in (*self.body.named_children(), *self.extras.named_children()):
            value = module(value)
            if name in self.taps:
                of = [self.predictors[f"{name}_{what}"](value) for what in ("classes", "boxes")]
                found.append((of[0], of[1]))
        return found


def flat(found: list[tuple[Tensor, Tensor]], classes: int) -> tuple[Tensor, Tensor]:
    """All maps' logits, N x boxes x classes, and codes, N x boxes x 4, in the boxes' order."""
    parts = [
        [
            one.permute(0, 2, 3, 1).reshape(len(one), -1, values)
            for one, values in zip(of, (classes, 4), strict=True)
        ]
        for of in found
    ]
    return torch.cat([of[0] for of in parts], 1), torch.cat([of[1] for of in parts], 1)


def paper_ssd(classes: int = 91) -> Ssd:
    """Table 13's SSD-300 at alpha 1, with COCO's classes and the background; three boxes a cell of
    the first map, as in TensorFlow's detection API."""
    return Ssd(1.0, 300, classes, ratios=MORE_RATIOS, first=3)


def head_network(head: Head, alpha: float) -> MobileNet | Ssd:
    """A head's network of a width: the student's, or the teacher's."""
    if head.name == "detection":
        return Ssd(alpha, head.resolution, head.outputs)
    return MobileNet(alpha, head.resolution, head.outputs)
