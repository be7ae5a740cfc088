"""Top-1 accuracy of an ONNX network, run by ONNX Runtime.

What enters: a network file and batches of uint8 images with labels. What leaves: counts.
Always holds: images are normalised as `images.py` says, one at a time; no optimisation is on
unless asked for, so an int8 graph is computed node by node as it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped, unused-ignore]

from mbn.core.errors import ModelError
from mbn.train.images import Float32, Int64, UInt8, normalise


@dataclass(frozen=True)
class Accuracy:
    """How many of how many images were classified as labelled."""

    right: int
    total: int

    @property
    def percent(self) -> float:
        return 100.0 * self.right / self.total if self.total else 0.0

    def __str__(self) -> str:
        return f"{self.percent:.2f} % ({self.right} of {self.total})"


class Runner:
    """An ONNX network in ONNX Runtime: float32 1 x C x H x W in, its first output out."""

    def __init__(self, path: Path, *, optimise: bool = False) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        if not optimise:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common public base
            raise ModelError(
                f"ONNX Runtime can't load it ({error})",
                node=str(path),
                wanted="a complete ONNX file",
            ) from error
        self._input = self._session.get_inputs()[0].name

    def logits(self, image: Float32) -> Float32:
        """One normalised image, 1 x C x H x W, to the network's first output."""
        found: Float32 = self._session.run(None, {self._input: image})[0]
        return found


def measure(path: Path, batches: Iterable[tuple[UInt8, Int64]]) -> Accuracy:
    """Accuracy of the network in `path` over uint8 N x H x W x C images with labels."""
    runner = Runner(path)
    right = total = 0
    for image, label in _singly(batches):
        right += int(np.argmax(runner.logits(image)) == label)
        total += 1
    return Accuracy(right, total)


def _singly(batches: Iterable[tuple[UInt8, Int64]]) -> Iterator[tuple[Float32, int]]:
    for images, labels in batches:
        for index in range(len(images)):
            yield normalise(images[index : index + 1]), int(labels[index])
