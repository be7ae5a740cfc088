"""From pictures to a board: the largest network that fits it, trained, quantised and checked.

What enters: a board, a limit in milliseconds, pictures in class folders. What leaves: a float and
an int8 ONNX file, the compiled image, its report with the accuracy on pictures that were held out.
Always holds: the size is chosen by planning alone, before anything is trained; calibration sees
training pictures, accuracy held-out ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mbn.core.errors import PlanError
from mbn.core.options import InputMode
from mbn.core.target import Board
from mbn.core.telling import Teller
from mbn.jobs.compile import Compiled, Job, check_image, compile_image
from mbn.jobs.lower import labelled
from mbn.jobs.lower.sources import CALIBRATION_SAMPLES, Request
from mbn.jobs.ready import ready
from mbn.jobs.suggest import Suggestion, suggest
from mbn.jobs.train import needs_torch, train
from mbn.passes.predict import Times
from mbn.passes.quantise.static import quantise
from mbn.train.data import Dataset, class_names, load
from mbn.train.images import INPUT_RANGE, normalise

if TYPE_CHECKING:
    from mbn.train.training import Trained

CHECKED_SAMPLES = 20  # that are run and compared


@dataclass(frozen=True, eq=False)
class Made:
    """What came of the pictures."""

    chosen: Suggestion
    trained: Trained
    quantised: Path
    compiled: Compiled
    times: Times | None

    @property
    def exact(self) -> bool:
        """Whether every sample that was run gave the reference's bits."""
        check = self.compiled.report.check
        return check is not None and check.exact_samples == check.samples


def choose(board: Board, classes: int, max_ms: float | None) -> Suggestion:
    """The size of the family with most multiply-accumulates that fits the board and the time.
    Raises PlanError where none does, BoardError where times can't be predicted."""
    sizes = suggest(board, InputMode.STREAM, classes)
    within = [one for one in sizes if max_ms is None or one.times.lower_ms <= max_ms]
    if within:
        return within[0]
    least = min((one.times.lower_ms for one in sizes), default=None)
    raise PlanError(
        f"no size of the family fits {board.name}"
        + ("" if max_ms is None else f" within {max_ms:g} ms"),
        wanted=None if least is None else f"at least {least:.1f} ms, for the smallest that fits",
        advice=f"See all sizes: mbn-compile --board {board.asked} --suggest",
    )


def make(
    board: Board,
    data: str,
    *,
    tell: Teller,
    max_ms: float | None = None,
    output: Path | None = None,
    **training: Any,
) -> Made:
    """Chooses, trains, quantises, compiles and checks. `training`: options of `train`. `output`:
    the image's folder. Raises MbnErrors: whatever can be known before is said before training."""
    classes = class_names(data)
    needs_torch()
    ready(Job(Request(), board, output=output), check=True)
    with tell.task("planning the family's sizes"):
        chosen = choose(board, len(classes), max_ms)
    tell.say(
        f"{board.name}: alpha {chosen.alpha:g} at {chosen.resolution}x{chosen.resolution} is the "
        f"largest that fits, {chosen.macs:,} MACs, about {chosen.times.lower_ms:.0f} ms"
    )
    trained = train(chosen.alpha, data, tell=tell, resolution=chosen.resolution, **training)
    images = load(data, chosen.resolution)
    quantised = _quantised(trained.path, images, tell)
    request = Request(onnx=quantised, images=_held_out(images, trained.path.parent))
    job = Job(replace(request, samples=CHECKED_SAMPLES), board, output=output)
    compiled = compile_image(job, tell)
    times, macs = compiled.prediction, compiled.report.network.macs_computed
    compiled = replace(compiled, report=check_image(compiled, tell, unaligned=False))
    return Made(
        chosen,
        trained,
        quantised,
        compiled,
        None if times is None else times.times(macs, board),
    )


def _quantised(path: Path, images: Dataset, tell: Teller) -> Path:
    """The trained network in int8, beside its float file, by ranges of training pictures."""
    made = path.with_name(f"{path.stem}_int8.onnx")
    batch = min(32, images.train_count)
    count = CALIBRATION_SAMPLES // batch * batch
    seen = (normalise(one) for one, _ in islice(images.epoch(0, 0, batch), count // batch))
    with tell.task("calibrating", min(count, images.train_count)) as step:
        quantise(path, seen, made, input_range=INPUT_RANGE, progress=step)
    return made


def _held_out(images: Dataset, folder: Path) -> Path:
    """Held-out pictures and labels as the network takes them (uint8 codes, N x channel x height x
    width), of each class in turn."""
    maps, labels = _evenly(images.held_out(), sum(len(one) for _, one in images.held_out()))
    path = folder / "heldout.npz"
    np.savez(path, samples=maps.transpose(0, 3, 1, 2), labels=labels)
    return path


def _evenly(batches: Iterator[Any], count: int) -> tuple[Any, Any]:
    """At most as many as accuracy is counted on, from all over the split, in a drawn order, so
    that the first of them are of many classes."""
    kept = np.unique(np.arange(min(count, labelled.MOST)) * count // min(count, labelled.MOST))
    maps, labels, at = [], [], 0
    for pictures, known in batches:
        here = kept[(kept >= at) & (kept < at + len(known))] - at
        maps.append(pictures[here])
        labels.append(known[here])
        at += len(known)
    order = np.random.Generator(np.random.PCG64(count)).permutation(len(kept))
    return np.concatenate(maps)[order], np.concatenate(labels)[order]
