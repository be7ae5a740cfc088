"""Multiply-adds and parameters of a torch network, layer by layer.

What enters: a module and the shape of its input. What leaves: a `Count`. Always holds: every
network is counted by this one counter, on torch's meta device, so that nothing is computed;
convolutions and dense layers count one multiply-add a product, pools, norms and activations none;
parameters are the weights of convolutions and dense layers, with biases where `biases` asks (the
paper counts weights: a batch norm's parameters fold away).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mbn.core.errors import UnsupportedError


@dataclass(frozen=True)
class Layer:
    """One layer: `kind` as the paper's table 2 names it."""

    kind: str
    macs: int
    params: int


@dataclass(frozen=True)
class Count:
    """A network's layers in the order in which they run."""

    layers: tuple[Layer, ...]

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def params(self) -> int:
        return sum(layer.params for layer in self.layers)

    def shares(self) -> dict[str, tuple[float, float]]:
        """Percent of multiply-adds and of parameters by kind of layer."""
        kinds = dict.fromkeys(layer.kind for layer in self.layers)
        return {
            kind: (
                100 * sum(one.macs for one in self.layers if one.kind == kind) / self.macs,
                100 * sum(one.params for one in self.layers if one.kind == kind) / self.params,
            )
            for kind in kinds
        }


def count(network: nn.Module, *shape: int, biases: bool = False) -> Count:
    """Counts one image of `shape` (channels, rows, columns). The network is moved to the meta
    device. Raises UnsupportedError for a layer with weights of an unknown kind."""
    found: list[Layer] = []

    def see(layer: nn.Module, _given: Any, out: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        weights = layer.weight.numel()
        places = out.shape[2] * out.shape[3] if isinstance(layer, nn.Conv2d) else 1
        bias = layer.bias.numel() if biases and layer.bias is not None else 0
        found.append(Layer(_kind(layer), weights * places, weights + bias))

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(see)
        elif list(module.parameters(recurse=False)) and not isinstance(module, nn.BatchNorm2d):
            raise UnsupportedError(f"{type(module).__name__} is not counted", node=name)
    network.to("meta").eval()(torch.zeros(1, *shape, device="meta"))
    return Count(tuple(found))


def _kind(layer: nn.Conv2d | nn.Linear) -> str:
    if isinstance(layer, nn.Linear):
        return "Fully Connected"
    rows, columns = layer.kernel_size
    depthwise = layer.groups == layer.in_channels > 1
    return f"Conv {'DW ' if depthwise else ''}{rows}x{columns}"
