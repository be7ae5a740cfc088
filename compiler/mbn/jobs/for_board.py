"""From pictures to a board: the largest network that fits it, trained, quantised and checked.

What enters: a board, a limit in milliseconds, pictures in class folders. What leaves: a float and
an int8 ONNX file, the compiled image, its report with the accuracy on pictures that were held out.
Always holds: the size is chosen by planning alone, before anything is trained; calibration sees
training pictures, accuracy held-out ones; a board without an emulator is checked on an emulated
one with the same core, whose kernels are the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mbn.core.boards import boards
from mbn.core.errors import PlanError
from mbn.core.options import InputMode
from mbn.core.target import Board
from mbn.core.telling import Teller
from mbn.jobs.check import SAMPLES_NAME
from mbn.jobs.compile import Compiled, Job, check_image, compile_image
from mbn.jobs.lower import labelled
from mbn.jobs.lower.sources import CALIBRATION_SAMPLES, Request
from mbn.jobs.ready import ready
from mbn.jobs.suggest import Suggestion, suggest
from mbn.jobs.train import needs_torch, train
from mbn.passes.predict import Times
from mbn.passes.quantise.static import quantise
from mbn.report import Report
from mbn.train.data import Dataset, class_names, load
from mbn.train.images import INPUT_RANGE, normalise

if TYPE_CHECKING:
    from mbn.train.training import Trained

CHECKED_SAMPLES = 20  # that are run and compared


@dataclass(frozen=True, eq=False)
class Made:
    """What came of the pictures. `report`: of the board that was asked for; `checked`: of the one
    that ran, which is another where the first has no emulator; None where none could."""

    chosen: Suggestion
    trained: Trained
    quantised: Path
    compiled: Compiled
    checked_on: Board | None
    checked: Report | None
    times: Times | None

    @property
    def exact(self) -> bool:
        """Whether every sample that was run gave the reference's bits, or none could be run."""
        if self.checked is None or self.checked.check is None:
            return True
        return self.checked.check.exact_samples == self.checked.check.samples


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
    where = board if board.emulator is not None else emulated_like(board)
    ready(Job(Request(), where or board, output=output), check=where is not None)
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
    checked = None
    if where is not None:
        run = compiled if where is board else _on(where, compiled, tell)
        checked = check_image(run, tell, unaligned=False)
        compiled = replace(compiled, report=checked) if where is board else compiled
    return Made(
        chosen,
        trained,
        quantised,
        compiled,
        where,
        checked,
        None if times is None else times.times(macs, board),
    )


def emulated_like(board: Board) -> Board | None:
    """A board with the same core that has an emulator."""
    found = (one for one in boards().values() if one.emulator is not None)
    return next((one for one in found if one.core == board.core), None)


def _on(board: Board, made: Compiled, tell: Teller) -> Compiled:
    """The same network for another board, in a folder of its own, to be checked with the same
    samples."""
    job = made.job
    tell.say(f"{job.board.name} has no emulator: the same kernels are checked on {board.name}")
    unlabelled = replace(job.request, images=None)  # accuracy is known by now
    other = compile_image(replace(job, request=unlabelled, board=board, output=None), tell)
    shutil.copyfile(made.folder / SAMPLES_NAME, other.folder / SAMPLES_NAME)
    return other


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
