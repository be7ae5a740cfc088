"""Trains a MobileNet as the paper does and exports it.

What enters: alpha and a `Dataset`. What leaves: a checkpoint after each epoch, the float ONNX
file, and the held-out accuracy of that very file. Always holds: an epoch depends on the seed and
its number alone, so a resumed training ends with the same network as one that was never stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from mbn.core.errors import ModelError, UsageError
from mbn.core.family import Form, network_name, shape
from mbn.train.accuracy import Accuracy, Runner, measure
from mbn.train.data import Dataset
from mbn.train.graph import float_graph
from mbn.train.images import normalise
from mbn.train.mobilenet import Shaped, folded
from mbn.train.optimising import restore, rmsprop, save, set_rate
from mbn.train.start import begin_with

LABEL_SMOOTHING = 0.05
_SEEN = 256  # pictures, for the norms of a start

# torch and ONNX Runtime sum in different orders; float32 logits of size ~10 agree to this.
EXPORT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Settings:
    """One training. The file names and the result depend on nothing else."""

    alpha: float
    data: str
    resolution: int = 96
    epochs: int = 100
    batch: int = 32
    rate: float = 4e-3
    seed: int = 1
    form: Form = Form.SEPARABLE
    stem_stride: int = 2
    channels_last: bool = False  # some 1.7 times faster; other sums, so other last bits
    device: str = "cpu"  # as torch names it; sums on a GPU need not repeat
    start: str = ""  # the bundled file whose weights it begins with; none: the seed's


@dataclass(frozen=True)
class Trained:
    """Where the network lies, and what that very file scores on the held-out split."""

    path: Path
    accuracy: Accuracy
    largest_difference: float  # between torch's logits and ONNX Runtime's


Progress = Callable[[int, int, float], None]  # epoch (from 0), steps done in it, loss


def train(
    settings: Settings,
    data: Dataset,
    folder: Path,
    *,
    resume: bool,
    progress: Progress,
    start: Path | None = None,
) -> Trained:
    """Trains (or goes on from `folder`/checkpoint.pt) and exports; raises MbnError. `start`: a
    bundled file of the same width, whose weights come first."""
    device = usable(settings.device)
    network = network_of(settings, len(data.classes))
    steps = data.train_count // settings.batch
    if steps == 0:
        raise UsageError(
            f"{data.train_count} images to train on",
            wanted=f"at least one batch of {settings.batch}",
            advice="Give more images, or a smaller --batch",
        )
    if start is not None:
        seen = islice(data.epoch(settings.seed, 0, settings.batch), -(-_SEEN // settings.batch))
        begin_with(network, start, (images for images, _ in seen))
    network.to(device)
    optimiser = rmsprop(network, settings.rate)
    own = json.dumps(asdict(settings), sort_keys=True)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    first = 0
    if resume:
        first = restore(checkpoint, own, network, optimiser, otherwise="train without --resume")
    loss_of = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    for epoch in range(first, settings.epochs):
        network.train()
        for step, (images, labels) in enumerate(data.epoch(settings.seed, epoch, settings.batch)):
            set_rate(optimiser, settings.rate, epoch * steps + step, settings.epochs * steps)
            optimiser.zero_grad(set_to_none=True)
            values = torch.from_numpy(normalise(images)).contiguous(memory_format=layout(settings))
            logits = network(values.to(device))
            loss: Tensor = loss_of(logits, torch.from_numpy(labels).to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            progress(epoch, step + 1, float(loss.detach()))
        save(checkpoint, own, network, optimiser, epoch + 1)
    return export(network.cpu(), settings, data, folder)


def best_device() -> str:
    """A GPU where torch has one, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def usable(device: str) -> torch.device:
    """A device of torch's; raises UsageError where it can't be used here."""
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except Exception as error:  # which one depends on the device and on how torch was built
        raise UsageError(
            f"torch can't use the device {device} ({str(error).splitlines()[0]})",
            wanted="cpu, or cuda with a torch that was built for it",
        ) from error
    return found


def network_of(settings: Settings, classes: int) -> Shaped:
    """The network that is trained, as it begins: its weights are the seed's."""
    torch.manual_seed(settings.seed)
    size = (settings.alpha, settings.resolution, classes)
    made = Shaped(shape(*size, form=settings.form, stem_stride=settings.stem_stride))
    # torch's annotation of Module.to lacks memory_format alone
    return made.to(memory_format=layout(settings))  # type: ignore[call-overload, no-any-return]


def layout(settings: Settings) -> torch.memory_format:
    """In which order maps lie in memory."""
    return torch.channels_last if settings.channels_last else torch.contiguous_format


def export(network: Shaped, settings: Settings, data: Dataset, folder: Path) -> Trained:
    """Writes the ONNX file, compares it with torch, and measures it on the held-out split."""
    network.eval()
    name = network_name(settings.alpha, settings.resolution, data.name)
    weights = [
        (weight.numpy().astype(np.float32), bias.numpy().astype(np.float32))
        for weight, bias in folded(network)
    ]
    metadata = {
        "mbn.alpha": f"{settings.alpha:g}",
        "mbn.classes": json.dumps(list(data.classes)),
        "mbn.data": data.name,
        "mbn.input": "(x - 128) / 128, RGB",
    }
    path = folder / f"{name}.onnx"
    onnx.save_model(float_graph(network.shape, weights, name, metadata), str(path))
    difference = compare(network, data, path)
    return Trained(path, measure(path, data.held_out()), difference)


def compare(network: Shaped, data: Dataset, path: Path) -> float:
    """Largest difference between torch's logits and the file's, over the first held-out batch."""
    runner = Runner(path)
    images, _ = next(iter(data.held_out()))
    values = normalise(images)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(values)).numpy()
    found = np.concatenate([runner.logits(values[i : i + 1]) for i in range(len(values))])
    difference = float(np.max(np.abs(found - wanted)))
    if not difference <= EXPORT_TOLERANCE * max(1.0, float(np.max(np.abs(wanted)))):
        raise ModelError(
            f"ONNX Runtime's logits differ from torch's by {difference:g}",
            node=str(path),
            wanted=f"at most {EXPORT_TOLERANCE:g} of the largest logit",
            advice="Please report it with this file",
        )
    return difference
