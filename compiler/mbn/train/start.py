"""The bundled weights as a start for training on other pictures.

What enters: a network of a width that is bundled, its ONNX file, some pictures of the new data.
What leaves: the same network with the file's weights, dequantised, and norms that fit the pictures.
Always holds: the network then computes, layer by layer, what the file does but for rounding; its
classifier stays as it was drawn, since its classes are others. The resolution need not be the
file's: no layer before the pool depends on it.

The file's batch norms are folded into its weights. To train, each norm is given the mean and
variance that its layer's sums have on the pictures, and the gain and bias that undo them: training
begins where the file stands, with norms that again keep the sums in hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from mbn.core.errors import ModelError
from mbn.train.images import UInt8, normalise
from mbn.train.mobilenet import ConvNormClamp, Shaped

Float32 = NDArray[np.float32]
_LEAST_VARIANCE = 1e-4  # of a channel that is nearly constant: its gain stays tame


def begin_with(network: Shaped, path: Path, pictures: Iterable[UInt8]) -> None:
    """Gives `network` the weights of a QDQ file of the same width, in place. `pictures`: batches,
    uint8 N x size x size x 3, at least one. Raises ModelError where the file has other layers."""
    stored = dequantised(path)
    modules = dict(network.features.named_children())
    for name, module in modules.items():
        assert isinstance(module, ConvNormClamp)
        weights, bias = stored.get(name, (None, None))
        if weights is None or bias is None or weights.shape != tuple(module.conv.weight.shape):
            raise ModelError(
                f"layer {name} is not the one that is trained",
                node=str(path),
                wanted="a bundled network of the same width",
                advice="Install mbn-edge again, or train with --from-scratch",
            )
        _set_plain(module, torch.from_numpy(weights), torch.from_numpy(bias))
    fit_norms(network, pictures)


def _set_plain(module: ConvNormClamp, weights: Tensor, bias: Tensor) -> None:
    """The folded weights, and a norm that only adds the bias."""
    norm = module.norm
    assert norm.running_mean is not None and norm.running_var is not None
    with torch.no_grad():
        module.conv.weight.copy_(weights)
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.fill_(1)
        norm.bias.copy_(bias)


def fit_norms(network: Shaped, pictures: Iterable[UInt8]) -> None:
    """Norms with the mean and variance of their sums on the pictures, and what undoes both; the
    network computes the same as before."""
    layers = [one for one in network.features.children() if isinstance(one, ConvNormClamp)]
    sums = [[torch.zeros(0), torch.zeros(0), torch.zeros(0)] for _ in layers]

    def watch(index: int) -> Any:
        def hook(_module: nn.Module, _given: Any, made: Tensor) -> None:
            seen = made.double()
            parts = (seen.sum((0, 2, 3)), (seen * seen).sum((0, 2, 3)))
            count = torch.tensor(float(seen[:, 0].numel()))
            for at, part in enumerate((*parts, count)):
                kept = sums[index][at]
                sums[index][at] = part if kept.numel() == 0 else kept + part

        return hook

    hooks = [one.conv.register_forward_hook(watch(index)) for index, one in enumerate(layers)]
    network.eval()
    with torch.inference_mode():
        for images in pictures:
            network(torch.from_numpy(normalise(images)))
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        for layer, (total, squares, count) in zip(layers, sums, strict=True):
            _undo(layer.norm, total / count, squares / count)


def _undo(norm: nn.BatchNorm2d, mean: Tensor, square: Tensor) -> None:
    """A norm that subtracts the mean and divides by the deviation, and gives both back."""
    assert norm.running_mean is not None and norm.running_var is not None
    variance = (square - mean * mean).clamp_min(_LEAST_VARIANCE)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.add_(mean)


def dequantised(path: Path) -> dict[str, tuple[Float32, Float32]]:
    """Weights (as torch lays them out) and bias of each Conv and Gemm of a QDQ file, by name."""
    graph = onnx.load(str(path)).graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}

    def real(name: str) -> Float32:
        codes, scale = (constants[one] for one in makers[name].input[:2])
        scales = scale.reshape(-1, *[1] * (codes.ndim - 1)) if scale.size > 1 else scale
        return np.asarray(codes.astype(np.float64) * scales, np.float32)

    try:
        return {
            node.name: (real(node.input[1]), real(node.input[2]))
            for node in graph.node
            if node.op_type in ("Conv", "Gemm")
        }
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(
            f"its weights are not quantised as expected ({error})",
            node=str(path),
            advice="Install mbn-edge again, or train with --from-scratch",
        ) from error
