"""Tuning records, trained networks, pages: what is made once and used often.

What enters: jobs, data, folders. What leaves: files, and what they hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from mbn.api.telling import Place as PathLike
from mbn.api.telling import Progress, teller
from mbn.core.boards import as_board
from mbn.core.errors import UsageError
from mbn.core.installing import advice
from mbn.core.kernel_set import VERSIONS
from mbn.core.network import Network
from mbn.core.target import Board
from mbn.harness.flash.find import Place
from mbn.jobs import flash as flash_job
from mbn.jobs import tune as tune_job
from mbn.jobs.compile import Job
from mbn.jobs.lower.fit import ALPHAS, RESOLUTIONS
from mbn.jobs.tune import Counter, Tuning
from mbn.passes import tuning
from mbn.passes.predict import family_network
from mbn.passes.tuning import Point, Records

if TYPE_CHECKING:
    from mbn.jobs.for_board import Made as ForBoard
    from mbn.train.training import Trained

FAMILY_CLASSES = 1000  # as in the paper
PAGE_PACKAGES = ("matplotlib", "jinja2")


@dataclass(frozen=True, eq=False)
class Tuned:
    """One tuned network: its stages with their candidates, all that is known, and how many runs
    were new."""

    made: Tuning
    records: Records
    counted_by: str
    runs: int

    @property
    def emulated(self) -> bool:
        """Whether cycles were modelled in emulation, not measured on a board."""
        return self.counted_by == tune_job.Emulated.by

    def points(self, index: int) -> list[Point]:
        """What was measured of a stage's candidates."""
        stage = self.made.stages[index]
        ways = {option.way for option in stage.candidates}
        known = self.records.points[self.made.key(stage)].values()
        return [one for one in known if one.way in ways]


def family() -> Iterator[Network]:
    """Each size of the paper's family, multipliers as if trained, the fewest MACs first."""
    sizes = sorted(
        ((alpha, resolution) for alpha in ALPHAS for resolution in RESOLUTIONS),
        key=lambda size: (size[0] * size[1], size[1]),
    )
    for alpha, resolution in sizes:
        yield family_network(alpha, resolution, FAMILY_CLASSES)


def tune(
    asked: Job,
    records: PathLike,
    *,
    place: Place | None = None,
    scheduler: str | None = None,
    progress: Progress = None,
) -> Tuned:
    """Measures every candidate of every stage of a job's network that `records` does not know yet,
    in emulation, or on an attached board (`place`), and writes `records` after each run.
    `scheduler`: the address of a Dask scheduler, whose workers emulate side by side; it executes
    whatever it is sent. Raises BoardError where no cycles can be counted."""
    tell = teller(progress)
    path = Path(records)
    with _counter(asked.board, place, progress) as counter:
        made = tune_job.prepare(asked, _folder(asked.board), tell)
        return _tuned(made, _read(path, progress), path, counter, progress, scheduler)


def tune_family(
    asked: Job,
    records: PathLike,
    *,
    place: Place | None = None,
    scheduler: str | None = None,
    progress: Progress = None,
) -> Iterator[Tuned]:
    """The same for every size of the family, one after the other; the job says board and options,
    and no network."""
    path = Path(records)
    known = _read(path, progress)
    all_channels = replace(asked, options=replace(asked.options, simplify=False))
    with _counter(asked.board, place, progress) as counter:
        for network in family():
            made = tune_job.tuning_of(all_channels, network)
            yield _tuned(made, known, path, counter, progress, scheduler)


@contextmanager
def _counter(board: Board, place: Place | None, progress: Progress) -> Iterator[Counter]:
    if place is None:
        yield tune_job.counter_of(board)
        return
    tell = teller(progress)
    with flash_job.reserved(place, tell) as held:
        yield tune_job.Attached(board, held, tell)


def _folder(board: Board) -> Path:
    return Path("out") / "tune" / board.name


def _read(path: Path, progress: Progress) -> Records:
    known = tuning.read(path, VERSIONS) if path.exists() else Records()
    for reason in known.ignored:
        teller(progress).say(f"warning: {reason}")
    return known


def _tuned(
    made: Tuning,
    known: Records,
    path: Path,
    counter: Counter,
    progress: Progress,
    scheduler: str | None,
) -> Tuned:
    name = made.network.name
    with teller(progress).task(f"measuring {name}") as step:
        folder = _folder(made.job.board) / name
        runs = tune_job.tune(made, known, path, folder, counter, step, scheduler)
    return Tuned(made, known, counter.by, runs)


def train_network(
    alpha: float,
    data: str,
    *,
    resolution: int = 96,
    epochs: int | None = None,
    batch: int | None = None,
    rate: float | None = None,
    seed: int = 1,
    threads: int = 1,
    device: str | None = None,
    resume: bool = False,
    from_scratch: bool = False,
    output: PathLike | None = None,
    progress: Progress = None,
) -> Trained:
    """Trains a MobileNet with RMSprop as in the paper (section 4) and writes checkpoint and ONNX
    file. data: "digits", a folder PATH/CLASS/*.jpg, or a folder or zip with train/ and test/.
    Pictures begin with the bundled weights of that alpha, unless `from_scratch`. device: torch's;
    None: a GPU where torch has one. Needs torch. Raises UsageError, ModelError."""
    from mbn.jobs.train import train  # noqa: PLC0415 - reads pictures

    return train(
        alpha,
        data,
        tell=teller(progress),
        output=None if output is None else Path(output),
        resume=resume,
        threads=threads,
        from_scratch=from_scratch,
        resolution=resolution,
        epochs=epochs,
        batch=batch,
        rate=rate,
        seed=seed,
        device=device,
    )


class TrainingOptions(TypedDict, total=False):
    """Options of `train_for_board` that are those of `train_network`."""

    epochs: int | None
    batch: int | None
    rate: float | None
    seed: int
    threads: int
    device: str | None
    resume: bool
    from_scratch: bool


def train_for_board(
    board: str | Board,
    data: str,
    *,
    max_ms: float | None = None,
    output: PathLike | None = None,
    progress: Progress = None,
    **training: Unpack[TrainingOptions],
) -> ForBoard:
    """Takes the largest network of the family that fits the board and `max_ms`, trains it on
    pictures, quantises, compiles and checks it in emulation. data: as of `train_network`; output:
    the image's folder. Needs torch and TVM. Raises MbnError: PlanError where no size fits."""
    from mbn.jobs.for_board import make  # noqa: PLC0415 - reads pictures

    own: TrainingOptions = {"epochs": None, "batch": None, "rate": None, "device": None, "seed": 1}
    return make(
        as_board(board),
        data,
        tell=teller(progress),
        max_ms=max_ms,
        output=None if output is None else Path(output),
        **(own | training),
    )


def report_page(folders: Sequence[PathLike]) -> str:
    """One HTML page of all that was compiled in or below some folders. Needs matplotlib and
    Jinja2. Raises UsageError for a folder without a report."""
    try:
        from mbn.report.page import compiled, whole  # noqa: PLC0415
    except ImportError as error:
        raise missing(error, PAGE_PACKAGES, "report") from error
    return whole.page(compiled.find([Path(one) for one in folders]), VERSIONS.values())


def missing(error: ImportError, packages: Sequence[str], extra: str) -> Exception:
    """What to raise where a package of an extra is not installed; the error itself for another."""
    package = (error.name or "").partition(".")[0]
    if package not in packages:
        return error
    return UsageError(
        f"{package} is not installed",
        wanted="the packages that make the page",
        advice=advice(extra),
    )
