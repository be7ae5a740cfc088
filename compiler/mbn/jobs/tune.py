"""Measures how fast each stage of a network is, in every way that it can be built.

A stage has about ten candidates: heights of its bands, variants of its code. All are measured, in
emulation or on an attached board; nothing is searched for and nothing depends on chance. One run
builds the whole network with one candidate a stage, which is sound because a stage's cycles do not
depend on how the others are built; stages that are equal try different candidates in one run.
Records are written after each run, and what they hold is not measured again.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mbn.core import elf
from mbn.core.errors import BoardError
from mbn.core.executing import executor
from mbn.core.network import Network
from mbn.core.options import LEVELS
from mbn.core.schedule import BandOption
from mbn.core.target import Board, Image
from mbn.core.telling import Teller
from mbn.harness import cost
from mbn.harness.device.open import open_device
from mbn.harness.device.protocol import Watch
from mbn.harness.flash.find import Place
from mbn.image.build import build_image
from mbn.jobs import check as check_job
from mbn.jobs import compile as compile_job
from mbn.jobs import flash as flash_job
from mbn.jobs.lower import lowering, sources
from mbn.jobs.lower.lowering import Target
from mbn.passes import tuning
from mbn.passes.frontend import lower
from mbn.passes.kernels import candidates
from mbn.passes.tuning import Point, Records, signature

Progress = Callable[[int, int], None]  # runs done, of


class Counter(Protocol):
    """What tells a stage's cycles."""

    app: str  # whose image it runs
    by: str  # what the records call it

    def cycles(self, image: Image, network: Network, folder: Path) -> Sequence[int]:
        """Of one inference, by stage. Raises `BoardError` where nothing counts them."""
        ...


class Emulated:
    """Modelled cycles in emulation, for memory without wait states."""

    app = "bench"
    by = "emulation"

    def cycles(self, image: Image, network: Network, folder: Path) -> Sequence[int]:
        result = cost.measure(image.board, image.elf, len(network.stages), folder / "cost")
        found = [stage.modelled_cycles for stage in result.stages]
        if None in found:
            raise BoardError("no cycles to tune by", wanted="; ".join(result.notes) or "a model")
        return [cycles or 0 for cycles in found]


class Attached:
    """Cycles that a board measures itself, each image flashed into it first."""

    app = check_job.IMAGE_NAME

    def __init__(self, board: Board, place: Place, tell: Teller) -> None:
        self.by, self.place, self.tell = board.name, place, tell

    def cycles(self, image: Image, network: Network, folder: Path) -> Sequence[int]:
        wanted = flash_job.wanted_of(image)
        log = folder / "flash.log"
        with (
            flash_job.flashed(wanted, self.place, self.tell, log) as flasher,
            open_device(image.board, image, flasher.port, log_path=log) as device,
        ):
            device.run(np.zeros(network.input.shape, np.int8), Watch.CYCLES)
            found = device.cycles()
        if found is None or not all(found):
            raise BoardError(
                f"{image.board.name} counts no cycles: its counter does not move",
                advice="Leave out --port and the like to tune in emulation",
            )
        return found


@dataclass(frozen=True, eq=False)
class Stage:
    """A stage with its candidates."""

    signature: str
    candidates: tuple[BandOption, ...]


@dataclass(frozen=True, eq=False)
class Tuning:
    """What is to be measured of a network on a core."""

    job: compile_job.Job
    network: Network
    stages: tuple[Stage, ...]

    def key(self, stage: Stage) -> tuple[str, str, str]:
        """Of the stage's records."""
        core = self.job.board.core
        return core.name, core.kernels.version, stage.signature


def prepare(job: compile_job.Job, folder: Path, tell: Teller) -> Tuning:
    """Finds and lowers the network, and lists its stages' candidates."""
    source = sources.find_network(job.request, folder / "onnx", tell)
    network = lower(
        source.path, source.name, fused=job.options.fused, rounding=job.options.rounding
    )
    return tuning_of(job, network)


def tuning_of(job: compile_job.Job, network: Network) -> Tuning:
    """All that can be measured of a network; the job says only how it is built."""
    computed, _ = lowering.computed_of(network, simplify=job.options.simplify)
    kernels = job.board.core.kernels
    stages = tuple(
        Stage(signature(computed, stage, kernels), candidates(computed, stage, kernels))
        for stage in computed.stages
    )
    return Tuning(job, network, stages)


def rounds(made: Tuning, known: Records) -> list[tuple[BandOption, ...]]:
    """What each run builds, one option a stage, until all that is not known has been measured.
    Stages of one signature share the work; one with nothing left takes its first candidate."""
    waiting: dict[str, list[BandOption]] = {}
    for stage in made.stages:
        points = known.points.get(made.key(stage), {})
        own = [one for one in stage.candidates if one.way not in points]
        waiting.setdefault(stage.signature, own)
    found = []
    while any(waiting.values()):
        found.append(
            tuple(
                waiting[stage.signature].pop(0) if waiting[stage.signature] else stage.candidates[0]
                for stage in made.stages
            )
        )
    return found


def counter_of(board: Board) -> Counter:
    """The board's emulator. Raises BoardError where it has none, or nothing to count by."""
    if board.emulator is None or board.native:
        raise BoardError(
            f"no cycles can be counted for the board {board.name}",
            wanted="a board with an emulator (qemu, qemu-m7, qemu-m55, ...), or an attached one",
            advice="Records are of a core: those of the emulated board of the same core serve",
        )
    return Emulated()


def measured(
    made: Tuning, options: Sequence[BandOption], folder: Path, counter: Counter
) -> list[tuple[Stage, Point]]:
    """One run: builds an image so, counts, and says what each stage costs."""
    job = made.job
    generated = lowering.generate(
        made.network,
        Target(job.board.core.kernels),
        job.options,
        forced=options,
    )
    generated.files.write(folder / "c")
    image = build_image(
        folder / "c", job.board, counter.app, folder, flag=LEVELS[job.options.optimise].gcc_flag
    )
    cycles = counter.cycles(image, made.network, folder)
    sizes = _code_bytes(image.elf, generated)
    found = []
    for index, (stage, option) in enumerate(zip(made.stages, options, strict=True)):
        tables = generated.stages[index].code.tables_bytes
        point = Point(option.rows, option.variant, cycles[index], tables, sizes[index])
        found.append((stage, point))
    return found


def tune(
    made: Tuning,
    known: Records,
    path: Path,
    folder: Path,
    counter: Counter,
    progress: Progress,
    scheduler: str | None = None,
) -> int:
    """Measures what is not known, and writes all to `path` after each run. Returns the runs. With a
    `scheduler` its workers run side by side, each in a folder of its own."""
    todo = rounds(made, known)

    def take(points: Sequence[tuple[Stage, Point]]) -> None:
        for stage, point in points:
            known.add(made.key(stage), point, counter.by)
        tuning.write(known, path)

    if scheduler is None:
        for number, options in enumerate(todo):
            progress(number, len(todo))
            take(measured(made, options, folder, counter))
    else:
        with executor(scheduler) as pool:
            waiting = [pool.submit(_apart, made, options, counter) for options in todo]
            for number, future in enumerate(as_completed(waiting)):
                take(future.result())
                progress(number + 1, len(todo))
    progress(len(todo), len(todo))
    return len(todo)


def _apart(
    made: Tuning, options: Sequence[BandOption], counter: Counter
) -> list[tuple[Stage, Point]]:
    """A run on a worker, which may share this computer with others."""
    with tempfile.TemporaryDirectory() as folder:
        return measured(made, options, Path(folder), counter)


def _code_bytes(image: Path, generated: lowering.Generated) -> list[int]:
    """Of each stage: its function's, and its kernel's where that was not made part of it."""
    sizes: dict[str, int] = defaultdict(int)
    for symbol in elf.symbols(image):
        if symbol.is_function:
            sizes[symbol.name.partition(".")[0]] += symbol.size_bytes  # name.constprop.0
    return [sum(sizes[name] for name in names) for names in generated.files.functions]
