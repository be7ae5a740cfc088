"""mbn-paper study: trains what the paper compares, and shows what came of it.

What enters: data and a design's options. What leaves: a line of results a training, checkpoints and
logs in the output folder, tables on the screen. Always holds: what is in the results is not trained
again; trainings side by side are processes of one thread each, so results don't depend on how many
there are; torch is imported only to train.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, TaskID

from mbn.cli.run import console as run_console
from mbn.cli.run import not_installed, progress_of
from mbn.core.errors import BoardError, MbnError, UsageError, exit_codes
from mbn.core.telling import SILENT
from mbn.report.sheet import Sheet
from mbn_paper.study import results
from mbn_paper.study.findings import findings

if TYPE_CHECKING:
    from mbn.train.data import Dataset
    from mbn_paper.study.run import Run

EXAMPLES = """examples:
  mbn-paper study --data split:cifar10.zip --jobs 2     # train/CLASS/*.jpg, test/CLASS/*.jpg
  mbn-paper study --data split:cifar10.zip --board qemu # and each network's cycles on an M4
  mbn-paper study --data digits --quick                 # two minutes: does it all work here?
  mbn-paper study                                       # what is known: the bundled results

An interrupted study goes on where it was: give the same command again.
"""
OUTPUT = Path("out") / "study"
SEEDS = 3


def add(commands: Any) -> None:
    """Adds the command to the subparsers of mbn-paper."""
    made = commands.add_parser(
        "study",
        help="train what tables 4 to 7 compare, at a size that trains on a desk",
        description="Full convolutions against depthwise separable ones, thin against shallow, "
        "width and resolution multipliers, each as float and as int8.",
        epilog=EXAMPLES + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--data", metavar="DATA", help="digits, or a folder or zip as of mbn-train")
    made.add_argument("--seeds", type=int, help=f"trainings of each network (default {SEEDS})")
    made.add_argument("--epochs", type=int, help="passes over the data (default: the design's)")
    made.add_argument("--jobs", type=int, default=1, help="trainings side by side (default 1)")
    made.add_argument("--device", default="cpu", help="torch's: cpu (default), cuda, ...")
    made.add_argument("--quick", action="store_true", help="a small design, 2 seeds")
    made.add_argument(
        "--only", nargs="+", metavar="NAME", help="networks to train, such as separable_0.5_32"
    )
    made.add_argument(
        "--board",
        help="then run each network on this emulated board, bit for bit, and count (qemu)",
    )
    made.add_argument("--results", type=Path, metavar="FILE", help="default OUTPUT/results.jsonl")
    made.add_argument("--output", type=Path, metavar="DIR", help=f"default {OUTPUT}/DATA")
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains what is missing, then prints the findings."""
    console = run_console(quiet=arguments.quiet)
    if arguments.data is None:
        if arguments.results is not None and not arguments.results.exists():
            raise UsageError(f"{arguments.results}: no such file", wanted="a study's results")
        show(results.read(arguments.results or results.BUNDLED), console)
        return 0
    for option in ("seeds", "epochs", "jobs"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise UsageError(f"--{option} {value}", wanted="1 or more")
    folder = arguments.output or OUTPUT / _study_name(arguments)
    path = arguments.results or folder / results.RESULTS
    missing = wanted_runs(arguments, results.read(path))
    if missing:
        console.print(f"{len(missing)} networks to train; results go to {path}")
        train_all(missing, arguments.jobs, folder, path, console)
    if arguments.board is not None:
        cost_all(arguments.board, folder, path, console)
    show(results.read(path), console)
    return 0


def cost_all(board: str, folder: Path, path: Path, console: Console) -> None:
    """Runs each network without costs on an emulated board: the first seed's, bit for bit."""
    from mbn.core.family import Form  # noqa: PLC0415
    from mbn_paper.study.run import Variant, on_board  # noqa: PLC0415

    done: set[object] = set()
    for one in results.read(path):
        variant = Variant(Form(one.network), one.alpha, one.resolution)
        trained = folder / f"{variant.name}_seed{one.seed}"
        if one.cycles is not None or one.variant in done or not trained.exists():
            continue
        done.add(one.variant)
        console.print(f"{variant.name} on {board}")
        try:
            costs = on_board(variant, trained, board, SILENT)
        except BoardError as error:
            console.print(f"  left out: {error}", markup=False)
            continue
        results.with_costs(path, {one.variant: costs})
        console.print(f"  all bits equal; arena {costs[0]:,} bytes, {costs[1]:,} cycles")


def wanted_runs(arguments: argparse.Namespace, known: tuple[results.Result, ...]) -> list[Run]:
    """The design's trainings that have no result, seed by seed."""
    from dataclasses import replace  # noqa: PLC0415

    try:
        from mbn_paper.study.run import FULL, QUICK, Run  # noqa: PLC0415 - torch, an extra
    except ImportError as error:
        raise not_installed("torch", "which trains networks", "train") from error
    design = QUICK if arguments.quick else FULL
    if arguments.epochs:
        design = replace(design, epochs=arguments.epochs)
    names = {variant.name: variant for variant in design.variants()}
    chosen = arguments.only or list(names)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise UsageError(f"no network {', '.join(unknown)}", wanted=f"of {', '.join(names)}")
    seeds = arguments.seeds or (2 if arguments.quick else SEEDS)
    study, command = _study_name(arguments), _command(arguments)
    runs = [
        Run(study, arguments.data, design, names[name], seed, command, arguments.device)
        for seed in range(1, seeds + 1)
        for name in chosen
    ]
    return [one for one in runs if not one.done_in(known)]


def _study_name(arguments: argparse.Namespace) -> str:
    """The data's name; trainings of another length are another study."""
    kind, _, path = arguments.data.partition(":")
    name = Path(path).stem if path else kind
    return f"{name}-{arguments.epochs}-epochs" if arguments.epochs else name


def _command(arguments: argparse.Namespace) -> str:
    """What makes these results again: without paths, whose names are the user's own."""
    kind, _, path = arguments.data.partition(":")
    parts = ["mbn-paper study --data", f"{kind}:{Path(path).name}" if path else kind]
    parts += ["--quick"] if arguments.quick else []
    parts += [f"--seeds {arguments.seeds}"] if arguments.seeds else []
    parts += [f"--epochs {arguments.epochs}"] if arguments.epochs else []
    return " ".join(parts)


# -- training ------------------------------------------------------------------------------------


def train_all(runs: list[Run], jobs: int, folder: Path, path: Path, console: Console) -> None:
    """Trains runs, `jobs` at a time, under a bar for all and one for each that is under way."""
    decode(runs, folder, console)
    context = multiprocessing.get_context("spawn")  # torch's threads don't survive a fork
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(jobs, mp_context=context) as pool,
        progress_of(console) as bar,
    ):
        news: queue.Queue[tuple[str, int, int, float]] = manager.Queue()
        whole = bar.add_task("networks", total=len(runs))
        pending: dict[Future[results.Result], Run] = {
            pool.submit(work, one, folder, news): one for one in runs
        }
        tasks: dict[str, TaskID] = {}
        try:
            while pending:
                done, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                _show_news(news, bar, tasks)
                for future in done:
                    one = pending.pop(future)
                    result = future.result()
                    results.append(path, result)
                    bar.advance(whole)
                    if one.name in tasks:
                        bar.remove_task(tasks.pop(one.name))
                    console.print(
                        f"{one.name}: float {result.float_percent:.2f} %, int8 "
                        f"{result.int8_percent:.2f} % ({result.seconds} s)"
                    )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _show_news(news: Any, bar: Progress, tasks: dict[str, TaskID]) -> None:
    """Moves the bars to what the trainings told."""
    while True:
        try:
            name, step, of, loss = news.get_nowait()
        except queue.Empty:
            return
        if name not in tasks:
            tasks[name] = bar.add_task(name, total=of)
        bar.update(tasks[name], completed=step, description=f"{name}, loss {loss:.3f}")


def decode(runs: list[Run], folder: Path, console: Console) -> None:
    """Decodes each resolution's pictures once, before there are several readers."""
    for resolution in dict.fromkeys(one.variant.resolution for one in runs):
        with progress_of(console) as bar:
            task = bar.add_task(f"reading the data at {resolution}", total=None)
            load_data(runs[0].data, resolution, folder, partial(_show_read, bar, task))


def _show_read(bar: Progress, task: TaskID, done: int, of: int) -> None:
    bar.update(task, completed=done, total=of)


def load_data(
    spec: str, resolution: int, folder: Path, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """The data, from what was decoded where it is a split."""
    from mbn.train.data import load  # noqa: PLC0415
    from mbn.train.pictures import read_split  # noqa: PLC0415

    kind, _, path = spec.partition(":")
    if kind == "split" and path:
        return read_split(Path(path), resolution, cache=folder / "pictures", progress=progress)
    return load(spec, resolution)


def work(one: Run, folder: Path, news: Any) -> results.Result:
    """One training, in a process of its own."""
    from mbn_paper.study.run import perform  # noqa: PLC0415

    data = load_data(one.data, one.variant.resolution, folder)
    every = 10

    def progress(step: int, of: int, loss: float) -> None:
        if step % every == 0 or step == of:
            news.put((one.name, step, of, loss))

    return perform(one, data, folder, progress)


# -- showing -------------------------------------------------------------------------------------


def show(found: tuple[results.Result, ...], console: Console) -> None:
    """A table a comparison, and what it says about the paper's claim."""
    if not found:
        raise MbnError("no results yet", advice="Train: mbn-paper study --data split:PATH")
    for study in dict.fromkeys(one.study for one in found):
        for finding in findings([one for one in found if one.study == study]):
            table = Sheet(f"{study}: {finding.title}")
            table.add_column("", no_wrap=True)
            for column in finding.columns:
                table.add_column(column, justify="right")
            for row in finding.rows:
                table.add_row(*row)
            console.print(table)
            for claim in finding.claims:
                console.print(f"  {claim}")
