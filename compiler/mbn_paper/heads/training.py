"""Trains the network of a head, and where the paper distils, its teacher first.

What enters: a `Head`, a folder. What leaves: the trained module, eval mode; checkpoints in the
folder. Always holds: a step depends on the seed and its number alone, so a training that was
stopped ends with the same network; a student that is distilled sees its teacher's outputs and no
label (sections 4.5 and 4.7).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mbn.train.images import normalise
from mbn.train.mobilenet import MobileNet
from mbn.train.optimising import restore, rmsprop, save, set_rate
from mbn.train.training import LABEL_SMOOTHING
from mbn_paper.heads.boxes import Anchors, matched
from mbn_paper.heads.networks import Ssd, flat, head_network
from mbn_paper.heads.scenes import HELD_OUT_FOLD, Pictures, Scenes
from mbn_paper.heads.spec import Head

EVERY = 100  # steps between checkpoints
LARGEST_GRADIENT = 4.0  # its norm
NEGATIVES = 3  # a positive box, the hardest ones: arXiv 1512.02325, section 2.2
TEMPERATURE = 0.1
DIGITS = 10
PRIOR = 0.02  # of a box showing a class, before training

Network = MobileNet | Ssd
Progress = Callable[[str, int, int, float], None]  # what is trained, step, of, loss


def train_head(
    head: Head, folder: Path, progress: Progress, *, only_teacher: bool = False
) -> Network:
    """The student (or its teacher); goes on from the checkpoints in `folder`. Raises MbnError."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = Scenes(head.name, head.resolution)
    teacher = None
    if head.teacher:
        teacher = _trained(head, head.teacher, scenes, None, folder / "teacher.pt", progress)
        if only_teacher:
            return teacher
    return _trained(head, head.alpha, scenes, teacher, folder / "checkpoint.pt", progress)


def _trained(
    head: Head,
    alpha: float,
    scenes: Scenes,
    teacher: Network | None,
    path: Path,
    progress: Progress,
) -> Network:
    torch.manual_seed(head.seed)
    network = head_network(head, alpha)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(network, Ssd):
        _start_unlikely(network)
    optimiser = rmsprop(network, head.rate)
    facts = {**asdict(head), "width": alpha, "held_out_fold": HELD_OUT_FOLD}
    settings = json.dumps(facts, sort_keys=True)
    first = restore(path, settings, network, optimiser, otherwise="give another --output")
    for step in range(first, head.steps):
        network.train()
        pictures = scenes.batch(head.seed, step, head.batch)
        images = as_tensor(pictures)
        set_rate(optimiser, head.rate, step, head.steps)
        optimiser.zero_grad(set_to_none=True)
        loss = _loss(head, network, teacher, images, pictures)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        kind = "student" if teacher is not None else "network"
        progress(kind, step + 1, head.steps, float(loss.detach()))
        if (step + 1) % EVERY == 0 or step + 1 == head.steps:
            save(path, settings, network, optimiser, step + 1)
    network.eval()
    return network


def as_tensor(pictures: Pictures) -> Tensor:
    """The images as the network takes them."""
    values = torch.from_numpy(normalise(pictures.images))
    return values.contiguous(memory_format=torch.channels_last)


def _start_unlikely(network: Ssd) -> None:
    """Every box shows every class with probability PRIOR, so that the many negatives do not rule
    the first steps."""
    for name, module in network.predictors.items():
        assert isinstance(module, nn.Conv2d)
        assert module.bias is not None
        nn.init.normal_(module.weight, std=0.01)
        start = -math.log((1 - PRIOR) / PRIOR) if name.endswith("_classes") else 0.0
        nn.init.constant_(module.bias, start)


# -- losses --------------------------------------------------------------------------------------


def _loss(
    head: Head, network: Network, teacher: Network | None, images: Tensor, pictures: Pictures
) -> Tensor:
    found = network(images)
    if teacher is not None:
        with torch.inference_mode():
            wanted = teacher(images)
        return _distilled(head, found, wanted.clone())
    if isinstance(network, Ssd):
        return detection_loss(network.anchors, found, network.classes, pictures)
    labels = torch.from_numpy(pictures.labels)
    if head.name == "attributes":
        return functional.binary_cross_entropy_with_logits(found, labels)
    if head.name == "embedding":
        return _apart(functional.normalize(found), labels)
    return functional.cross_entropy(found, labels, label_smoothing=LABEL_SMOOTHING)


def _distilled(head: Head, found: Tensor, wanted: Tensor) -> Tensor:
    """Attributes: the teacher's probabilities; an embedding: squared distance to the teacher's."""
    if head.name == "attributes":
        return functional.binary_cross_entropy_with_logits(found, torch.sigmoid(wanted))
    distance = functional.normalize(found) - functional.normalize(wanted)
    return distance.square().sum(dim=1).mean()


def _apart(vectors: Tensor, labels: Tensor) -> Tensor:
    """Cosines with an axis of its own for each label, as logits (arXiv 1704.06369, with fixed
    weights): vectors of a label come together, and square to those of others. A loss of pairs
    alone, in batches of so few, fell into one point."""
    return functional.cross_entropy(vectors[:, :DIGITS] / TEMPERATURE, labels)


def detection_loss(
    default: Anchors, found: list[tuple[Tensor, Tensor]], classes: int, pictures: Pictures
) -> Tensor:
    """SSD's: sigmoid cross entropy of matched boxes and the hardest others, smooth L1 of codes;
    both a matched box."""
    assert pictures.boxes is not None
    logits, codes = flat(found, classes)
    each = [
        matched(default, boxes[labels >= 0].astype(np.float64), labels[labels >= 0])
        for boxes, labels in zip(pictures.boxes, pictures.labels, strict=True)
    ]
    wanted = torch.from_numpy(np.stack([one[0] for one in each]))
    places = torch.from_numpy(np.stack([one[1] for one in each]).astype(np.float32))
    positive = wanted >= 0
    target = functional.one_hot(wanted.clamp(min=0), classes) * positive[..., None]
    losses = functional.binary_cross_entropy_with_logits(
        logits, target.to(logits.dtype), reduction="none"
    ).sum(dim=2)
    counts = positive.sum(dim=1)
    hard = losses.detach().masked_fill(positive, -1.0)
    rank = hard.argsort(dim=1, descending=True).argsort(dim=1)
    chosen = positive | (rank < (NEGATIVES * counts)[:, None])
    boxes = functional.smooth_l1_loss(codes[positive], places[positive], reduction="sum")
    return (losses[chosen].sum() + boxes) / counts.sum().clamp(min=1)
