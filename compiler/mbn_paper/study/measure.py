"""What a float network of the study is worth: its own top-1, and that of its integers.

What enters: a float ONNX file and data. What leaves: percentages, the int8 file. Always holds: int8
accuracy is that of the exact integers that a device computes, calibrated on training images; a file
of another network is refused. Nothing here needs torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from mbn.core.errors import ModelError, UsageError
from mbn.core.family import Form, Shape, network_name
from mbn.core.network import Network
from mbn.exact import Reference
from mbn.passes.frontend import lower
from mbn.passes.quantise.static import load, quantise
from mbn.train.accuracy import measure
from mbn.train.data import Dataset
from mbn.train.images import INPUT_RANGE, normalise
from mbn_paper.study.designs import Design, Variant

CALIBRATION_IMAGES = 256
REFERENCE_BATCH = 50
INT8 = "int8.onnx"
FLOAT_TOLERANCE = 0.1  # points between machines: other sums, another reader of pictures
_FILE = re.compile(r"([a-z]+)_(\d+(?:\.\d+)?)_(\d+)(?:_stem\d)?_seed(\d+)")
FILES = "FORM_ALPHA_PIXELS_seedN.onnx, such as separable_0.5_32_seed1.onnx"


@dataclass(frozen=True)
class Given:
    """A float network that was trained elsewhere."""

    variant: Variant
    seed: int
    path: Path


def networks_in(folder: Path) -> list[Given]:
    """The float networks of a folder, by their names. Raises UsageError where there is none."""
    found = []
    for path in sorted(folder.glob("*.onnx")) if folder.is_dir() else ():
        match = _FILE.fullmatch(path.stem)
        if match and match[1] in set(Form):
            variant = Variant(Form(match[1]), float(match[2]), int(match[3]))
            found.append(Given(variant, int(match[4]), path))
    if not found:
        raise UsageError(f"{folder} has no float network", wanted=f"a folder with {FILES}")
    return found


def measured(
    path: Path, data: Dataset, folder: Path, variant: Variant, design: Design
) -> tuple[float, float]:
    """Top-1 of the float file and of its integers, in percent; writes these to `folder`. Raises
    ModelError for a file of another network."""
    _check(path, variant.shape(len(data.classes), design.stem_stride))
    top = measure(path, data.held_out()).percent
    return top, int8_percent(path, data, folder, variant)


def int8_percent(path: Path, data: Dataset, folder: Path, variant: Variant) -> float:
    """Top-1 of a float network's integers, which are written to `folder`."""
    return exact_percent(quantised(path, data, folder, variant), data)


def _check(path: Path, wanted: Shape) -> None:
    """Whether the file's weights, input and first stride are the shape's."""
    graph = load(path).graph
    weights = [tuple(one.dims) for one in graph.initializer if len(one.dims) > 1]
    dims = [one.type.tensor_type.shape.dim for one in graph.input[:1]]
    size = [dim.dim_value for one in dims for dim in one]
    resolution, channels = wanted.resolution, wanted.channels
    same = sorted(weights) == sorted(layer.weights_shape for layer in wanted.layers)
    if not same or size[1:] != [channels, resolution, resolution] or not _begins(graph, wanted):
        raise ModelError(
            "it is another network",
            node=str(path),
            wanted=f"alpha {wanted.alpha:g}, {resolution} x {resolution} x {channels}, "
            f"{wanted.classes} classes, a first stride of {wanted.layers[0].stride}, batch norms "
            "folded",
            advice="Export it as mbn-paper study does, and name it by what it is",
        )


def _begins(graph: onnx.GraphProto, wanted: Shape) -> bool:
    stem = next((node for node in graph.node if node.op_type == "Conv"), None)
    strides: Iterable[list[int]] = (
        list(one.ints) for one in (stem.attribute if stem else ()) if one.name == "strides"
    )
    return next(iter(strides), [1, 1]) == [wanted.layers[0].stride] * 2


def quantised(path: Path, data: Dataset, folder: Path, variant: Variant) -> Network:
    """The integer network, calibrated on training images of the first epoch of seed 0."""
    name = network_name(variant.alpha, variant.resolution, str(variant.form))
    images, _ = next(data.epoch(0, 0, min(CALIBRATION_IMAGES, data.train_count)))
    made = folder / INT8
    quantise(path, [normalise(images)], made, input_range=INPUT_RANGE)
    return lower(made, name)


def exact_percent(network: Network, data: Dataset) -> float:
    """Top-1 on the held-out images, by the exact integer reference."""
    reference = Reference(network)
    right = total = 0
    for images, labels in data.held_out():
        outputs = reference.run((images.astype(np.int16) - 128).astype(np.int8), REFERENCE_BATCH)
        right += int(np.sum(outputs.argmax(axis=1) == labels))
        total += len(labels)
    return 100.0 * right / total
