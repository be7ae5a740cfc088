"""Networks as other people's tools write them: they compile, agree with ONNX Runtime, are exact.

What enters: small torch networks with drawn weights, exported and quantised here; the file that
tf2onnx made of MLPerf Tiny's network, where it is at hand. What leaves: nothing but failures.
Always holds: layer by layer no value differs from ONNX Runtime's by more than 1, and the C, under
sanitizers, equals the reference in every bit. The table of exporters in docs/networks.md is this
list.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

import networks
import test_kernels
from mbn.core.boards import find_board
from mbn.core.options import InputMode
from mbn.jobs import agreement
from mbn.passes.frontend import lower
from mbn.passes.quantise.static import quantise
from test_network import MODEL

SIDE = 24


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> list[Any]:
    pad = kernel // 2
    made = nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False)
    return [made, nn.BatchNorm2d(outputs)]


class _Residual(nn.Module):
    """MobileNetV2's block: expansion, depthwise, linear projection, and the sum."""

    def __init__(self, inputs: int, outputs: int, factor: int, stride: int) -> None:
        super().__init__()
        inner = inputs * factor
        self.adds = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            *_convolution(inputs, inner, 1, 1, 1),
            nn.ReLU6(),
            *_convolution(inner, inner, 3, stride, inner),
            nn.ReLU6(),
            *_convolution(inner, outputs, 1, 1, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean([2, 3])


def _mobilenet_v1() -> nn.Module:
    def block(inputs: int, outputs: int, stride: int) -> list[Any]:
        depthwise = _convolution(inputs, inputs, 3, stride, inputs)
        return [*depthwise, nn.ReLU(), *_convolution(inputs, outputs, 1, 1, 1), nn.ReLU()]

    return nn.Sequential(
        *_convolution(3, 8, 3, 2, 1),
        nn.ReLU(),
        *block(8, 12, 1),
        *block(12, 16, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
        nn.Softmax(dim=1),
    )


def _mobilenet_v2() -> nn.Module:
    return nn.Sequential(
        *_convolution(3, 8, 3, 2, 1),
        nn.ReLU6(),
        _Residual(8, 8, 1, 1),
        _Residual(8, 12, 3, 2),
        _Residual(12, 12, 3, 1),
        _Mean(),
        nn.Linear(12, 5),
    )


def _drawn(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    made = make().eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    return made


NETWORKS = {"MobileNetV1": _mobilenet_v1, "MobileNetV2": _mobilenet_v2}


def _export(network: str, exporter: str, folder: Path) -> Path:
    """exporter: torchscript, torchscript with its batch norms, dynamo, dynamo with any batch."""
    model, path = _drawn(NETWORKS[network]), folder / "float.onnx"
    options: dict[str, Any] = {"dynamo": exporter.startswith("dynamo")}
    if not options["dynamo"]:
        options["input_names"] = ["image"]
    if exporter == "torchscript, batch norms":
        preserve = torch.onnx.TrainingMode.PRESERVE
        options |= {"training": preserve, "do_constant_folding": False}
    if exporter == "dynamo, any batch":
        options["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    image = torch.zeros(2 if "any batch" in exporter else 1, 3, SIDE, SIDE)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (image,), str(path), **options)
    return path


class _Images(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, path: Path) -> None:
        name = onnx.load(str(path), load_external_data=False).graph.input[0].name
        self.left = [{name: image} for image in _images()]

    def get_next(self) -> dict[str, Any] | None:
        return self.left.pop() if self.left else None


def _images() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32) for _ in range(8)]


def _quantised(path: Path, how: str, folder: Path) -> Path:
    """how: mbn (our own step), or ONNX Runtime's with words: per-channel, processed, uint8."""
    out = folder / "int8.onnx"
    if how == "mbn":
        quantise(path, _images(), out)
        return out
    if "processed" in how:
        whole = folder / "whole.onnx"
        onnx.save(onnx.load(str(path)), str(whole))
        path = folder / "processed.onnx"
        quant_pre_process(str(whole), str(path), skip_symbolic_shape=True)
    quantize_static(
        str(path),
        str(out),
        _Images(path),
        quant_format=QuantFormat.QDQ,
        per_channel="per-channel" in how,
        activation_type=QuantType.QUInt8 if "uint8" in how else QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )
    return out


CASES = [  # each network, way of exporting and way of quantising
    ("MobileNetV2", "torchscript", "mbn"),
    ("MobileNetV2", "dynamo, any batch", "mbn"),
    ("MobileNetV1", "torchscript", "per-tensor"),
    ("MobileNetV2", "torchscript, batch norms", "per-tensor, uint8"),
    ("MobileNetV2", "torchscript, batch norms", "per-channel, processed"),
    ("MobileNetV1", "dynamo", "per-tensor, processed"),
]
FULL = [  # the same otherwise paired
    ("MobileNetV1", "torchscript", "mbn"),
    ("MobileNetV1", "dynamo", "mbn"),
    ("MobileNetV2", "torchscript", "per-channel"),
    ("MobileNetV2", "torchscript", "per-tensor, processed"),
    ("MobileNetV1", "torchscript, batch norms", "per-channel"),
    ("MobileNetV2", "dynamo", "per-channel, uint8"),
]


@pytest.mark.parametrize(
    ("network", "exporter", "quantiser"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.full) for case in FULL)],
)
def test_exported_network(network: str, exporter: str, quantiser: str, tmp_path: Path) -> None:
    path = _quantised(_export(network, exporter, tmp_path), quantiser, tmp_path)
    lowered = lower(path, "exported")
    kinds = [str(stage.kind) for stage in lowered.stages]
    assert kinds.count("add") == (2 if network == "MobileNetV2" else 0)
    # batch norms and clamps stand behind a QuantizeLinear of their own, unless it folds them
    apart = "batch norms" in exporter and "processed" not in quantiser
    assert kinds.count("table" if apart else "block") >= 2
    found = agreement.compare(path, networks.images(lowered, 4))
    assert found.holds, [(one.layer.name, one.factor, one.largest) for one in found.layers]
    test_kernels.compare(lowered, "dsp", InputMode.STREAM, find_board("host"), simplify=True)


def test_tf2onnx_agrees() -> None:
    """MLPerf Tiny's network, from Keras by TensorFlow Lite and tf2onnx (bits: test_network)."""
    if not MODEL.is_file():
        pytest.skip(f"{MODEL.name} is not at hand (MBN_SHARED names another folder)")
    lowered = lower(MODEL, "vww")
    found = agreement.compare(MODEL, networks.images(lowered, 2), layer_images=2)
    assert all(one.holds for one in found.layers)
