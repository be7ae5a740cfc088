"""The trained half of the paper, at a size that trains on a desk: which networks, and one training.

What enters: a `Design` (what is compared), data, a folder. What leaves: a `Result` a network and
seed. Always holds: a training goes on from its last epoch; its result depends on its `Run` alone
(one CPU thread); int8 accuracy is that of the exact integers that a device computes.

The paper trains on ImageNet; so its differences, not its accuracies, are what can be met. Small
images get a first stride of 1 (section 3 has 2), so that the body halves them four times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mbn.core.boards import find_board
from mbn.core.errors import CheckError
from mbn.core.family import Form, Shape, network_name, shape
from mbn.core.network import Network
from mbn.core.telling import Teller
from mbn.exact import Reference
from mbn.jobs.compile import Job, check_image, compile_image
from mbn.jobs.lower import sources
from mbn.passes.frontend import lower
from mbn.passes.quantise.static import quantise
from mbn.train.data import Dataset
from mbn.train.images import INPUT_RANGE, normalise
from mbn.train.training import Settings, train
from mbn_paper.study.results import LOG, Epoch, Result, append

CALIBRATION_IMAGES = 256
REFERENCE_BATCH = 50
CHECKED_IMAGES = 4
INT8 = "int8.onnx"

Progress = Callable[[int, int, float], None]  # steps done, of, loss


@dataclass(frozen=True)
class Variant:
    """A network of the study."""

    form: Form
    alpha: float
    resolution: int

    def shape(self, classes: int, stem_stride: int) -> Shape:
        size = (self.alpha, self.resolution, classes)
        return shape(*size, form=self.form, stem_stride=stem_stride)

    @property
    def name(self) -> str:
        return f"{self.form}_{self.alpha:g}_{self.resolution}"


@dataclass(frozen=True)
class Design:
    """What is compared. `middle` is the alpha of all comparisons but the sweep over alpha;
    `thin` has about as many multiply-adds as the shallow network at `middle`."""

    alphas: tuple[float, ...]
    resolutions: tuple[int, ...]
    middle: float
    thin: float
    epochs: int
    batch: int = 64
    rate: float = 2e-3
    stem_stride: int = 1

    def variants(self) -> list[Variant]:
        """Each network once."""
        largest = max(self.resolutions)
        found = [Variant(Form.SEPARABLE, alpha, largest) for alpha in self.alphas]
        found += [Variant(Form.SEPARABLE, self.middle, size) for size in self.resolutions]
        found += [
            Variant(Form.CONV, self.middle, largest),
            Variant(Form.SHALLOW, self.middle, largest),
            Variant(Form.SEPARABLE, self.thin, largest),
        ]
        return list(dict.fromkeys(found))


# Ratios of the paper's tables: thin is 0.75 of what is shallow; resolutions from 1 down to a half.
FULL = Design((1.0, 0.75, 0.5, 0.25), (32, 28, 24, 20, 16), 0.25, 0.1875, epochs=3)
QUICK = Design((0.25, 0.125), (20, 16), 0.125, 0.1, epochs=3, batch=32)


@dataclass(frozen=True)
class Run:
    """One training of a study."""

    study: str
    data: str  # as mbn.train.data.load takes it
    design: Design
    variant: Variant
    seed: int
    command: str
    device: str = "cpu"

    @property
    def name(self) -> str:
        return f"{self.variant.name}_seed{self.seed}"

    def done_in(self, results: tuple[Result, ...]) -> bool:
        """Whether its result is there."""
        wanted = (self.study, self.variant, self.seed, self.design.epochs)
        return any(
            (one.study, Variant(Form(one.network), one.alpha, one.resolution), one.seed, one.epochs)
            == wanted
            for one in results
        )


def perform(run: Run, data: Dataset, folder: Path, progress: Progress) -> Result:
    """Trains, quantises and measures one network in `folder`/NAME; resumes what is there. Logs each
    epoch to `folder`/log.jsonl."""
    torch.set_num_threads(1)
    design, variant = run.design, run.variant
    settings = Settings(
        alpha=variant.alpha,
        data=run.data,
        resolution=variant.resolution,
        epochs=design.epochs,
        batch=design.batch,
        rate=design.rate,
        seed=run.seed,
        form=variant.form,
        stem_stride=design.stem_stride,
        channels_last=True,
        device=run.device,
    )
    began = time.process_time()
    log = _Log(folder / LOG, run, data.train_count // design.batch)
    folder = folder / run.name

    def report(epoch: int, step: int, loss: float) -> None:
        log.take(epoch, step, loss)
        progress(epoch * log.steps + step, design.epochs * log.steps, log.mean)

    folder.mkdir(parents=True, exist_ok=True)
    trained = train(settings, data, folder, resume=True, progress=report)
    integers = quantised(trained.path, data, folder, variant)
    counted = variant.shape(len(data.classes), design.stem_stride)
    return Result(
        study=run.study,
        network=str(variant.form),
        alpha=variant.alpha,
        resolution=variant.resolution,
        stem_stride=design.stem_stride,
        seed=run.seed,
        epochs=design.epochs,
        macs=counted.macs,
        params=counted.params,
        float_percent=round(trained.accuracy.percent, 4),
        int8_percent=round(exact_percent(integers, data), 4),
        images=trained.accuracy.total,
        arena_bytes=None,
        cycles=None,
        seconds=round(time.process_time() - began),
        command=run.command,
    )


class _Log:
    """A line an epoch: its mean loss, CPU seconds so far."""

    def __init__(self, path: Path, run: Run, steps: int) -> None:
        self.path, self.run, self.steps = path, run, steps
        self.mean = 0.0
        self._sum = 0.0

    def take(self, epoch: int, step: int, loss: float) -> None:
        self._sum = loss if step == 1 else self._sum + loss
        self.mean = self._sum / step
        if step == self.steps:
            variant = self.run.variant
            line = Epoch(
                study=self.run.study,
                network=str(variant.form),
                alpha=variant.alpha,
                resolution=variant.resolution,
                seed=self.run.seed,
                epoch=epoch + 1,
                loss=round(self.mean, 5),
                seconds=round(time.process_time(), 1),
            )
            append(self.path, line)


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


def on_board(variant: Variant, folder: Path, board: str, tell: Teller) -> tuple[int, int]:
    """Compiles the trained network in `folder` for an emulated board, checks every output bit
    there, and counts: bytes of the arena, modelled cycles. Raises MbnError where it does not fit
    or a bit differs."""
    request = sources.Request(onnx=folder / INT8, samples=CHECKED_IMAGES)
    job = Job(request, find_board(board), output=folder / board)
    report = check_image(compile_image(job, tell), tell)
    check = report.check
    assert check is not None
    if check.exact_samples != check.samples or check.modelled_cycles is None:
        raise CheckError(
            f"{check.exact_samples} of {check.samples} samples are exact",
            node=str(folder / INT8),
            wanted="every bit equal to the reference",
            advice="Please report it with this file",
        )
    return report.memory.arena_bytes, check.modelled_cycles
