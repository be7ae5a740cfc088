"""Sizes of the paper's family that ran in emulation: a file of JSON lines, and how one is added.

What enters: a size and an emulated board, or such a file. What leaves: `Run`s. Always holds: a line
is the report.json of a check in which every output bit was compared, with the command, the kernels
and the commit that made it; the file is whole after every run, so that an interruption loses none;
lines that are damaged, or of other kernels than these, are left out and named.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from mbn.core.boards import find_board
from mbn.core.errors import UsageError
from mbn.core.executing import executor
from mbn.core.kernel_set import VERSIONS
from mbn.core.options import Options
from mbn.core.target import Board, data_root
from mbn.core.telling import SILENT
from mbn.jobs import compile as compile_job
from mbn.jobs.lower.sources import Request
from mbn.report.record import Report, of_json, schema, to_json

FILE_NAME = "device.jsonl"
CLASSES = 1000
SAMPLES = 2
WEIGHTS = "random:1"
Key = tuple[float, int, str]  # alpha, resolution, board


@dataclass(frozen=True)
class Run:
    """One check of a size with drawn weights, all channels computed, image rows streamed in.
    `predicted_cycles`: of what was compiled, before it ran. `commit`: as git describes it; empty
    where there is no repository."""

    command: str
    commit: str
    kernels: str
    predicted_cycles: int | None
    report: Report

    @property
    def key(self) -> Key:
        alpha = self.report.network.alpha
        return 0.0 if alpha is None else alpha, self.report.network.resolution, self.report.board

    @property
    def exact(self) -> bool:
        """Whether every bit of every sample was the reference's."""
        check = self.report.check
        return check is not None and check.samples == check.exact_samples > 0


@dataclass(frozen=True)
class Runs:
    """By size and board; `ignored` says what was left out of the files, and why."""

    known: Mapping[Key, Run]
    ignored: tuple[str, ...] = ()


def bundled() -> Runs:
    """Those that come with the compiler."""
    file = resources.files("mbn_paper").joinpath("data", FILE_NAME)
    return _parse(file.read_text(encoding="utf-8"), FILE_NAME) if file.is_file() else Runs({})


def read(path: Path) -> Runs:
    """A file's runs; none where there is no file. Raises UsageError where it is no text."""
    try:
        return _parse(path.read_text(encoding="utf-8"), str(path)) if path.exists() else Runs({})
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the runs {path} can't be read: {error}",
            wanted="a file that mbn-paper device --run wrote",
        ) from error


def write(runs: Mapping[Key, Run], path: Path) -> None:
    """All at once, lines in order: an interruption leaves the old file or the new one."""
    lines = [_line(runs[key]) for key in sorted(runs)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_name(path.name + ".new")
    partly.write_text("".join(lines), encoding="utf-8")
    partly.replace(path)


def run(
    sizes: Sequence[tuple[float, int]],
    boards: Sequence[Board],
    path: Path,
    folder: Path,
    progress: Callable[[int, int, str], None],
    scheduler: str | None = None,
) -> list[Run]:
    """Runs what `path` does not know yet, the fewest multiply-accumulates first, and writes it
    after each. Returns the new ones. progress: runs done, of how many, and what runs now (of a
    scheduler, whose workers run side by side in `folder` of their own: what has run)."""
    known = dict(read(path).known)
    order = sorted(sizes, key=lambda size: size[0] * size[1] ** 2)
    todo = [
        (*size, board) for size in order for board in boards if (*size, board.name) not in known
    ]
    made: list[Run] = []

    def take(one: Run) -> None:
        made.append(one)
        known[one.key] = one
        write(known, path)

    if scheduler is None:
        for number, (alpha, resolution, board) in enumerate(todo):
            progress(number, len(todo), f"{alpha:g}-{resolution} on {board.name}")
            take(_run(alpha, resolution, board, folder))
    else:
        with executor(scheduler) as pool:
            waiting = [
                pool.submit(_run_named, alpha, resolution, board.name, str(folder))
                for alpha, resolution, board in todo
            ]
            for number, future in enumerate(as_completed(waiting)):
                take(future.result())
                alpha, resolution, name = made[-1].key
                progress(number, len(todo), f"{alpha:g}-{resolution} on {name}")
    progress(len(todo), len(todo), "")
    return made


def _run_named(alpha: float, resolution: int, board: str, folder: str) -> Run:
    """A run on a worker, which finds the board by itself."""
    return _run(alpha, resolution, find_board(board), Path(folder))


def _run(alpha: float, resolution: int, board: Board, folder: Path) -> Run:
    """Compiles, boots, compares every bit, counts. What was built stays only where a bit differs:
    a large size takes some 100 MB."""
    request = Request(
        alpha=alpha,
        resolution=resolution,
        classes=CLASSES,
        weights=WEIGHTS,
        samples=SAMPLES,
    )
    size = f"{alpha:g}-{resolution}"
    built = folder / f"{board.name}-{size}"
    fresh = not built.exists()  # else it may hold what somebody put there
    job = compile_job.Job(request, board, Options(simplify=False), output=built)
    compiled = compile_job.compile_image(job, SILENT)
    guess = compile_job.predicted(compiled.generated, board)
    made = Run(
        command=f"mbn-paper device --run {size} --on {board.name}",
        commit=_commit(),
        kernels=board.core.kernels.version,
        predicted_cycles=None if guess is None else guess.total,
        report=compile_job.check_image(compiled, SILENT, unaligned=False),
    )
    if made.exact and fresh:
        shutil.rmtree(built)
    return made


def _commit() -> str:
    """What git says of the sources; empty where they are no repository."""
    root = data_root()
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git
        return ""


def _line(one: Run) -> str:
    found = {**vars(one), "report": to_json(one.report)}
    text = json.dumps(found, separators=(",", ":"))
    return f"{text}\n"


def _parse(text: str, name: str) -> Runs:
    found: dict[Key, Run] = {}
    damaged: list[str] = []
    others = 0
    accepted = schema()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            one = _checked(json.loads(line), accepted)
        except (ValueError, KeyError, TypeError, jsonschema.ValidationError):
            damaged.append(str(number))
            continue
        if one.kernels in VERSIONS.values():
            found[one.key] = one
        else:
            others += 1
    ignored = []
    if damaged:
        ignored.append(f"{name}: no runs, so ignored: line {', '.join(damaged[:5])}")
    if others:
        ignored.append(f"{name}: ignored {others} runs of other kernels; --run makes them anew")
    return Runs(found, tuple(ignored))


def _checked(data: Any, accepted: Mapping[str, Any]) -> Run:
    jsonschema.validate(data["report"], accepted)
    return Run(**{**data, "report": of_json(data["report"])})
