"""mbn-paper study: trains what the paper compares, and shows what came of it.

What enters: data and a design's options. What leaves: a line of results a training, checkpoints and
logs in the output folder, tables on the screen. Always holds: what is in the results is not trained
again; torch is imported only to train; costs are of runs whose every bit was compared.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, TaskID

from mbn.cli.run import console as run_console
from mbn.cli.run import not_installed, progress_of
from mbn.core.errors import ModelError, UsageError, exit_codes
from mbn.core.executing import HELP
from mbn.core.family import Form
from mbn_paper.cli.claims import show
from mbn_paper.study import results
from mbn_paper.study.designs import DESIGNS, DESK, QUICK, Design, Variant

if TYPE_CHECKING:
    from mbn_paper.study.costs import Costs
    from mbn_paper.study.measure import Given
    from mbn_paper.study.run import Run

EXAMPLES = """examples:
  mbn-paper study                                       # what is known: the bundled results
  mbn-paper study --data split:cifar10.zip --jobs 2     # train/CLASS/*.jpg, test/CLASS/*.jpg
  mbn-paper study --data split:cifar10.zip --design paper --device cuda   # the paper's widths
  mbn-paper study --data split:cifar10.zip --board qemu # and each network's cycles on an M4
  mbn-paper study --data digits --quick                 # two minutes: does it all work here?
  mbn-paper study --data split:cifar10.zip --design paper --networks DIR --results FILE
                                                        # int8 of float networks trained elsewhere

An interrupted study goes on where it was: give the same command again.
"""
OUTPUT = Path("out") / "study"
SEEDS = 3


def add(commands: Any) -> None:
    """Adds the command to the subparsers of mbn-paper."""
    made = commands.add_parser(
        "study",
        help="the claims of tables 4 to 7, trained again on small images",
        description="Full convolutions against depthwise separable ones, thin against shallow, "
        "width and resolution multipliers,\neach as float and as int8. Without --data it shows "
        "the results that come with the compiler.",
        epilog=EXAMPLES + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--data", metavar="DATA", help="digits, or a folder or zip as of mbn-train")
    made.add_argument(
        "--design",
        choices=[name for name in DESIGNS if name != QUICK.name],
        help="desk (default): alpha 0.25 in the middle, 3 epochs, a few CPU hours; paper: the "
        "paper's own alpha 1, 30 epochs, for a GPU",
    )
    made.add_argument("--seeds", type=int, help=f"trainings of each network (default {SEEDS})")
    made.add_argument("--epochs", type=int, help="passes over the data (default: the design's)")
    made.add_argument("--jobs", type=int, default=1, help="trainings side by side (default 1)")
    made.add_argument("--device", default="cpu", help="torch's: cpu (default), cuda, ...")
    made.add_argument("--quick", action="store_true", help="a small design, 2 seeds")
    made.add_argument(
        "--only", nargs="+", metavar="NAME", help="networks to train, such as separable_0.5_32"
    )
    made.add_argument(
        "--networks",
        type=Path,
        metavar="DIR",
        help="train nothing; measure the int8 of the design's float networks in DIR, "
        "FORM_ALPHA_PIXELS_seedN.onnx",
    )
    made.add_argument(
        "--board",
        help="then run each network on this emulated board, bit for bit, and count (qemu): with "
        "the trained weights in OUTPUT, else with drawn ones, and marked so",
    )
    made.add_argument("--results", type=Path, metavar="FILE", help="default OUTPUT/results.jsonl")
    made.add_argument("--output", type=Path, metavar="DIR", help=f"default {OUTPUT}/DATA")
    made.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help=f"{HELP}; they must find DATA and OUTPUT under the same names",
    )
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains or measures what is missing, then prints the findings."""
    console = run_console(quiet=arguments.quiet)
    if arguments.data is None:
        if arguments.results is not None and not arguments.results.exists():
            raise UsageError(f"{arguments.results}: no such file", wanted="a study's results")
        if arguments.networks or arguments.board:
            raise UsageError("--networks or --board without --data", wanted="the data of the study")
        show(results.read(arguments.results or results.BUNDLED), console)
        return 0
    for option in ("seeds", "epochs", "jobs"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise UsageError(f"--{option} {value}", wanted="1 or more")
    if arguments.quick and arguments.design:
        raise UsageError("--quick with --design", wanted="one of them")
    folder = arguments.output or OUTPUT / _study_name(arguments)
    path = arguments.results or folder / results.RESULTS
    missing = wanted_runs(arguments, results.read(path))
    if missing:
        what = "measure" if arguments.networks else "train"
        console.print(f"{len(missing)} networks to {what}; results go to {path}")
        perform(missing, arguments, folder, path, console)
    if arguments.board is not None:
        cost_all(arguments.board, _study_name(arguments), folder, path, console)
    show(results.read(path), console)
    return 0


def design_of(arguments: argparse.Namespace) -> Design:
    """The design asked for, at the epochs asked for."""
    design = QUICK if arguments.quick else DESIGNS[arguments.design or DESK.name]
    return replace(design, epochs=arguments.epochs) if arguments.epochs else design


def wanted_runs(arguments: argparse.Namespace, known: tuple[results.Result, ...]) -> list[Run]:
    """The design's trainings that have no result, seed by seed; of given networks, those without
    an int8 figure."""
    try:
        from mbn_paper.study.run import Run  # noqa: PLC0415 - torch, an extra
    except ImportError as error:
        raise not_installed("torch", "which trains networks", "train") from error
    design = design_of(arguments)
    names = {variant.name: variant for variant in design.variants()}
    chosen = arguments.only or list(names)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise UsageError(f"no network {', '.join(unknown)}", wanted=f"of {', '.join(names)}")
    study, command = _study_name(arguments), _command(arguments)
    of = partial(Run, study, arguments.data, design)
    if arguments.networks:
        given = [of(one.variant, one.seed, command, given=one) for one in _given(arguments, chosen)]
        done = [one for one in known if one.int8_percent is not None]
        return [one for one in given if not any(map(one.is_of, done))]
    seeds = arguments.seeds or (2 if arguments.quick else SEEDS)
    runs = [
        of(names[name], seed, command, arguments.device)
        for seed in range(1, seeds + 1)
        for name in chosen
    ]
    return [one for one in runs if not any(map(one.is_of, known))]


def _given(arguments: argparse.Namespace, chosen: list[str]) -> list[Given]:
    """The chosen networks of --networks; UsageError where it has none of them."""
    from mbn_paper.study.measure import networks_in  # noqa: PLC0415

    there = networks_in(arguments.networks)
    found = [one for one in there if one.variant.name in chosen]
    if not found:
        raise UsageError(
            f"{arguments.networks} has {', '.join(one.path.name for one in there)}",
            wanted=f"networks of the design: {', '.join(chosen)}",
        )
    return found


def _study_name(arguments: argparse.Namespace) -> str:
    """The data's name; trainings of another design or length are another study."""
    kind, _, path = arguments.data.partition(":")
    name = Path(path).stem if path else kind
    if arguments.design not in (None, DESK.name):
        name += f"-{arguments.design}"
    return f"{name}-{arguments.epochs}-epochs" if arguments.epochs else name


def _command(arguments: argparse.Namespace) -> str:
    """What makes these results again: without paths, whose names are the user's own."""
    kind, _, path = arguments.data.partition(":")
    parts = ["mbn-paper study --data", f"{kind}:{Path(path).name}" if path else kind]
    parts += ["--quick"] if arguments.quick else []
    parts += [f"--design {arguments.design}"] if arguments.design not in (None, DESK.name) else []
    parts += [f"--device {arguments.device}"] if arguments.device != "cpu" else []
    parts += ["--networks DIR"] if arguments.networks else []
    parts += [f"--seeds {arguments.seeds}"] if arguments.seeds else []
    parts += [f"--epochs {arguments.epochs}"] if arguments.epochs else []
    return " ".join(parts)


# -- training ------------------------------------------------------------------------------------


def perform(
    runs: list[Run], arguments: argparse.Namespace, folder: Path, path: Path, console: Console
) -> None:
    """Trains or measures runs, under a bar for all and one for each that is under way."""
    from mbn_paper.study.work import perform_all  # noqa: PLC0415

    decode(runs, folder, console)
    with progress_of(console) as bar:
        whole = bar.add_task("networks", total=len(runs))
        tasks: dict[str, TaskID] = {}

        def take(one: Run, result: results.Result) -> None:
            keep(one, result, path)
            bar.advance(whole)
            if one.name in tasks:
                bar.remove_task(tasks.pop(one.name))
            took = "" if result.seconds is None else f" ({result.seconds} s)"
            console.print(
                f"{one.name}: float {result.float_percent:.2f} %, int8 "
                f"{result.int8_percent:.2f} %{took}"
            )

        def news(name: str, step: int, of: int, loss: float) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=of)
            bar.update(tasks[name], completed=step, description=f"{name}, loss {loss:.3f}")

        perform_all(runs, folder, arguments.jobs, arguments.scheduler, take, news)


def keep(one: Run, result: results.Result, path: Path) -> None:
    """Writes a result; a given network's int8 beside its float figure where that is known. Raises
    ModelError if the file is not the network of that figure."""
    from mbn_paper.study.measure import FLOAT_TOLERANCE  # noqa: PLC0415

    known = next((each for each in results.read(path) if one.is_of(each)), None)
    if known is None:
        results.append(path, result)
        return
    if abs(known.float_percent - result.float_percent) > FLOAT_TOLERANCE:
        raise ModelError(
            f"its top-1 is {result.float_percent:.2f} %, and {path} has {known.float_percent:.2f} "
            f"% for {one.name}",
            node=str(one.given.path if one.given else one.name),
            wanted=f"the network of that line, to {FLOAT_TOLERANCE} points",
        )
    int8 = result.int8_percent
    results.change(path, lambda each: replace(each, int8_percent=int8) if each == known else each)


def decode(runs: list[Run], folder: Path, console: Console) -> None:
    """Decodes each resolution's pictures once, before there are several readers."""
    from mbn_paper.study.work import load_data  # noqa: PLC0415

    for resolution in dict.fromkeys(one.variant.resolution for one in runs):
        with progress_of(console) as bar:
            task = bar.add_task(f"reading the data at {resolution}", total=None)
            load_data(runs[0].data, resolution, folder, partial(_show_read, bar, task))


def _show_read(bar: Progress, task: TaskID, done: int, of: int) -> None:
    bar.update(task, completed=done, total=of)


# -- costs ---------------------------------------------------------------------------------------


def cost_all(board: str, study: str, folder: Path, path: Path, console: Console) -> None:
    """Runs each network of the study that has no costs, bit for bit: with trained weights where
    some seed's are in the folder, else with drawn ones."""
    from mbn_paper.study.costs import costs, drawn  # noqa: PLC0415
    from mbn_paper.study.measure import INT8  # noqa: PLC0415

    found = [one for one in results.read(path) if one.study == study]
    for key, one in {one.variant: one for one in reversed(found)}.items():
        variant = Variant(Form(one.network), one.alpha, one.resolution)
        seeds = [each.seed for each in found if each.variant == key]
        files = [folder / f"{variant.name}_seed{seed}" / INT8 for seed in seeds]
        trained = next((file for file in files if file.exists()), None)
        if one.ran_on is not None and not (one.drawn and trained):
            continue
        console.print(f"{variant.name} on {board}{'' if trained else ', drawn weights'}")
        int8 = trained or folder / f"{variant.name}_drawn" / INT8
        if not trained:
            drawn(variant, one.classes, one.stem_stride, int8)
        made = costs(int8, board)
        results.change(path, partial(_with_costs, key, made, trained is None))
        if made.why_not:
            console.print(f"  on {made.board} instead: {made.why_not}", markup=False)
        console.print("  all bits equal" + (f"; {made}" if made.cycles else ""))


def _with_costs(
    key: results.Key, made: Costs, weights_drawn: bool, one: results.Result
) -> results.Result:
    if one.variant != key:
        return one
    return replace(
        one,
        arena_bytes=made.arena_bytes,
        cycles=made.cycles,
        ran_on=made.board,
        drawn=weights_drawn,
    )
