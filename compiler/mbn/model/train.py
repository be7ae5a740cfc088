"""Trains a MobileNet as the paper does and exports it.

What enters: alpha and a `Dataset`. What leaves: a checkpoint after each epoch, the float ONNX
file, and the held-out accuracy of that very file. Always holds: an epoch depends on the seed and
its number alone, so a resumed training ends with the same network as one that was never stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from mbn.errors import ModelError, UsageError
from mbn.model.accuracy import Accuracy, Runner, measure
from mbn.model.data import Dataset
from mbn.model.graph import float_graph
from mbn.model.images import normalise
from mbn.model.mobilenet import ConvNormClamp, Shaped, folded
from mbn.model.shape import Form, Kind, network_name, shape

# The paper: RMSprop "similar to Inception V3", "very little or no weight decay on the depthwise
# filters", less regularisation than large models. Inception V3 (arXiv 1512.00567, section 8):
# decay 0.9; momentum and smoothing are of its published code. The step is for small batches.
DECAY = 0.9
MOMENTUM = 0.9
EPSILON = 1e-3
WEIGHT_DECAY = 4e-5
LABEL_SMOOTHING = 0.05
WARM_UP_STEPS = 40

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


@dataclass(frozen=True)
class Trained:
    """Where the network lies, and what that very file scores on the held-out split."""

    path: Path
    accuracy: Accuracy
    largest_difference: float  # between torch's logits and ONNX Runtime's


Progress = Callable[[int, int, float], None]  # epoch (from 0), steps done in it, loss


def train(
    settings: Settings, data: Dataset, folder: Path, *, resume: bool, progress: Progress
) -> Trained:
    """Trains (or goes on from `folder`/checkpoint.pt) and exports; raises MbnError."""
    device = usable(settings.device)
    network = network_of(settings, len(data.classes)).to(device)
    steps = data.train_count // settings.batch
    if steps == 0:
        raise UsageError(
            f"{data.train_count} images to train on",
            wanted=f"at least one batch of {settings.batch}",
            advice="Give more images, or a smaller --batch",
        )
    optimiser = torch.optim.RMSprop(
        parameter_groups(network),
        lr=settings.rate,
        alpha=DECAY,
        momentum=MOMENTUM,
        eps=EPSILON,
    )
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    first = restore(checkpoint, settings, network, optimiser) if resume else 0
    loss_of = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    for epoch in range(first, settings.epochs):
        network.train()
        for step, (images, labels) in enumerate(data.epoch(settings.seed, epoch, settings.batch)):
            set_rate(optimiser, rate_at(settings, epoch * steps + step, settings.epochs * steps))
            optimiser.zero_grad(set_to_none=True)
            values = torch.from_numpy(normalise(images)).contiguous(memory_format=layout(settings))
            logits = network(values.to(device))
            loss: Tensor = loss_of(logits, torch.from_numpy(labels).to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            progress(epoch, step + 1, float(loss.detach()))
        save(checkpoint, settings, network, optimiser, epoch + 1)
    return export(network.cpu(), settings, data, folder)


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


def parameter_groups(network: Shaped) -> list[dict[str, Any]]:
    """Weight decay for full convolutions and the classifier; none for depthwise, norms, biases."""
    decayed: list[Tensor] = [network.classifier.weight]
    for layer, module in zip(network.shape.layers, network.features, strict=False):
        assert isinstance(module, ConvNormClamp)
        if layer.kind is not Kind.DEPTHWISE:
            decayed.append(module.conv.weight)
    chosen = {id(parameter) for parameter in decayed}
    others = [parameter for parameter in network.parameters() if id(parameter) not in chosen]
    return [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]


def rate_at(settings: Settings, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to nothing."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return settings.rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def save(
    path: Path,
    settings: Settings,
    network: Shaped,
    optimiser: torch.optim.Optimizer,
    epochs: int,
) -> None:
    """Writes a checkpoint in one step, so that an interruption leaves the one before it whole."""
    part = path.with_suffix(".part")
    state = {
        "settings": json.dumps(asdict(settings), sort_keys=True),
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "epochs": epochs,
    }
    torch.save(state, part)
    part.replace(path)


def restore(
    path: Path, settings: Settings, network: Shaped, optimiser: torch.optim.Optimizer
) -> int:
    """Loads a checkpoint; returns the number of finished epochs (0 if there is none)."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = state["settings"]
    except Exception as error:  # unpickling a damaged file raises nearly anything
        raise ModelError(
            f"no readable checkpoint ({type(error).__name__})",
            node=str(path),
            advice="Delete it, or train without --resume",
        ) from error
    wanted = json.dumps(asdict(settings), sort_keys=True)
    if found != wanted:
        raise UsageError(
            f"the checkpoint was made with {found}",
            node=str(path),
            wanted=wanted,
            advice="Give the same options, or train without --resume",
        )
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["epochs"])


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
