"""One training of a study, or the measurement of a float network that was trained elsewhere.

What enters: a `Run`, data, a folder. What leaves: a `Result`. Always holds: a training goes on from
its last epoch; on the CPU its result depends on its `Run` alone (one thread); int8 accuracy is
measured whenever the float network is at hand.

The paper trains on ImageNet; so its differences, not its accuracies, are what can be met.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mbn.train.data import Dataset
from mbn.train.training import Settings, train
from mbn_paper.study.designs import Design, Variant
from mbn_paper.study.measure import Given, int8_percent, measured
from mbn_paper.study.results import LOG, Epoch, Result, append

Progress = Callable[[int, int, float], None]  # steps done, of, loss


@dataclass(frozen=True)
class Run:
    """One training of a study; of a `given` network, what was trained elsewhere."""

    study: str
    data: str  # as mbn.train.data.load takes it
    design: Design
    variant: Variant
    seed: int
    command: str
    device: str = "cpu"
    given: Given | None = None

    @property
    def name(self) -> str:
        return f"{self.variant.name}_seed{self.seed}"

    def is_of(self, result: Result) -> bool:
        """Whether the result is this training's."""
        return (*result.variant, result.seed, result.epochs) == (
            self.study,
            str(self.variant.form),
            self.variant.alpha,
            self.variant.resolution,
            self.seed,
            self.design.epochs,
        )


def perform(run: Run, data: Dataset, folder: Path, progress: Progress) -> Result:
    """Trains, quantises and measures one network in `folder`/NAME; resumes what is there. Logs each
    epoch to `folder`/log.jsonl. A given network is measured alone. Raises MbnError."""
    torch.set_num_threads(1)
    clock = time.process_time if run.device == "cpu" else time.monotonic
    began = clock()
    inside = folder / run.name
    inside.mkdir(parents=True, exist_ok=True)
    if run.given is not None:
        tops = measured(run.given.path, data, inside, run.variant, run.design)
        return _result(run, data, tops, "trained elsewhere", None)
    settings = _settings(run)
    log = _Log(folder / LOG, run, data.train_count // settings.batch, clock)

    def report(epoch: int, step: int, loss: float) -> None:
        log.take(epoch, step, loss)
        progress(epoch * log.steps + step, settings.epochs * log.steps, log.mean)

    trained = train(settings, data, inside, resume=True, progress=report)
    tops = trained.accuracy.percent, int8_percent(trained.path, data, inside, run.variant)
    return _result(run, data, tops, machine(run.device), round(clock() - began))


def _settings(run: Run) -> Settings:
    design, variant = run.design, run.variant
    return Settings(
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


def machine(device: str) -> str:
    """What trains, and with which torch."""
    what = "one CPU thread" if device == "cpu" else device
    if device.startswith("cuda"):
        what = f"one {torch.cuda.get_device_name(device)}"
    return f"{what}, PyTorch {torch.__version__.partition('+')[0]}"


def _result(
    run: Run, data: Dataset, tops: tuple[float, float], trained_by: str, seconds: int | None
) -> Result:
    design, variant = run.design, run.variant
    counted = variant.shape(len(data.classes), design.stem_stride)
    return Result(
        study=run.study,
        design=design.name,
        network=str(variant.form),
        alpha=variant.alpha,
        resolution=variant.resolution,
        stem_stride=design.stem_stride,
        classes=len(data.classes),
        seed=run.seed,
        epochs=design.epochs,
        macs=counted.macs,
        params=counted.params,
        float_percent=round(tops[0], 4),
        int8_percent=round(tops[1], 4),
        images=sum(len(labels) for _, labels in data.held_out()),
        arena_bytes=None,
        cycles=None,
        ran_on=None,
        drawn=False,
        seconds=seconds,
        machine=trained_by,
        command=run.command,
    )


class _Log:
    """A line an epoch: its mean loss, seconds so far."""

    def __init__(self, path: Path, run: Run, steps: int, clock: Callable[[], float]) -> None:
        self.path, self.run, self.steps, self.clock = path, run, steps, clock
        self.began = 0.0 if run.device == "cpu" else clock()
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
                seconds=round(self.clock() - self.began, 1),
            )
            append(self.path, line)
