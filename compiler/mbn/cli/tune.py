"""mbn-tune: measures how a network's stages are best built on a core.

What enters: arguments. What leaves: a file of records, a table. Always holds: the file is whole
after every run, so that an interruption loses none; what it knows is not measured again; exit code
0 means that all is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mbn import pipeline, tuner, tuning
from mbn.cli import compile as compile_command
from mbn.cli.run import console as run_console
from mbn.cli.run import guarded
from mbn.errors import UsageError
from mbn.fit import ALPHAS, RESOLUTIONS
from mbn.ir import BandOption, InputMode, Rounding, Sharing, Variant
from mbn.kernels import VERSIONS
from mbn.target import Board, find_board
from mbn.tuning import Point, Records

EXAMPLES = """examples:
  mbn-tune --board qemu --alpha 0.25                    # the bundled network on a Cortex-M4F
  mbn-tune --board qemu-m7 --onnx mine.onnx --records mine.jsonl
  mbn-compile --board stm32 --onnx mine.onnx --records mine.jsonl    # takes what was measured
  mbn-tune --board qemu --family --records family.jsonl # all sizes of the paper's family, hours

Every stage has some candidates: heights of its bands, weights as bytes or halfwords, straight code
or bodies that stages share. Each is built and counted in emulation; --optimise of mbn-compile then
chooses by what was measured. All candidates give the same bits.
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-tune",
        description="Measure how each stage of a network is best built on a core.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--board", required=True, help="an emulated one: qemu, qemu-m7, qemu-m55")
    compile_command.add_network(made)
    made.add_argument(
        "--family",
        action="store_true",
        help="every size of the paper's family, weights drawn, the smallest first",
    )
    made.add_argument(
        "--records",
        type=Path,
        default=Path("tuning.jsonl"),
        metavar="FILE",
        help="what is known, and where it goes (default tuning.jsonl)",
    )
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded(
        "mbn-tune",
        lambda: run(arguments),
        interrupted=f"interrupted; {arguments.records} has what was measured: the same command "
        "goes on from there",
    )


def run(arguments: argparse.Namespace) -> int:
    """Tunes one network, or the family."""
    console = run_console(quiet=arguments.quiet)
    board = find_board(arguments.board)
    known = tuning.read(arguments.records, VERSIONS) if arguments.records.exists() else Records()
    for reason in known.ignored:
        console.print(f"warning: {reason}", markup=False)
    if not arguments.family:
        made = prepared(arguments, board, console)
        spent = measure(made, known, arguments.records, console)
        console.print(table(made, known))
        console.print(f"{spent} runs; wrote {arguments.records}")
        return 0
    if arguments.onnx is not None or arguments.alpha is not None:
        raise UsageError("--family with --onnx or --alpha", wanted="one way to name networks")
    for size in family():
        one = parser().parse_args(["--board", board.name, "--keep-constant", *size])
        made = prepared(one, board, console)
        spent = measure(made, known, arguments.records, console)
        console.print(f"{made.network.name} on {board.core.name}: {spent} runs")
    console.print(f"wrote {arguments.records}")
    return 0


def family() -> list[list[str]]:
    """Arguments that name each size, those with the fewest multiply-accumulates first."""
    sizes = sorted(
        ((alpha, resolution) for alpha in ALPHAS for resolution in RESOLUTIONS),
        key=lambda size: (size[0] * size[1], size[1]),
    )
    return [
        f"--alpha {alpha} --resolution {resolution} --classes 1000 --weights random:1".split()
        for alpha, resolution in sizes
    ]


def prepared(arguments: argparse.Namespace, board: Board, console: Console) -> tuner.Tuning:
    """The network and its candidates."""
    arguments.samples, arguments.images = 1, None
    job = pipeline.Job(
        request=compile_command.request_of(arguments),
        board=board,
        mode=InputMode.STREAM,
        fused=not arguments.unfused,
        simplify=not arguments.keep_constant,
        rounding=Rounding(arguments.rounding),
    )
    return tuner.prepare(job, folder_of(board), console)


def folder_of(board: Board) -> Path:
    """Where runs are built."""
    return Path("out") / "tune" / board.name


def measure(made: tuner.Tuning, known: Records, path: Path, console: Console) -> int:
    """Runs with a progress bar; how many."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(f"measuring {made.network.name}", total=None)
        return tuner.tune(
            made,
            known,
            path,
            folder_of(made.job.board) / made.network.name,
            lambda done, of: bar.update(task, completed=done, total=of),
        )


def table(made: tuner.Tuning, known: Records) -> Table:
    """Of each stage the fastest candidate and the smallest, beside what goes unmeasured."""
    shown = Table(
        title=f"{made.network.name} on {made.job.board.core.name}",
        title_style="bold",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    shown.add_column("stage", no_wrap=True)
    for title in ("measured", "fastest", "cycles*", "bytes", "smallest", "cycles*", "bytes"):
        shown.add_column(title, justify="right" if title != "fastest" else "left", no_wrap=True)
    for index, stage in enumerate(made.stages):
        points = known.points[made.key(stage)].values()
        own = [one for one in points if one.way in {way(option) for option in stage.candidates}]
        fastest = min(own, key=lambda one: (one.cycles, flash(one)))
        smallest = min(own, key=lambda one: (flash(one), one.cycles))
        cells = [f"{index:2} {made.network.stages[index].name}", str(len(own))]
        for one in (fastest, smallest):
            cells += [named(one.rows, one.variant), f"{one.cycles:,}", f"{flash(one):,}"]
        shown.add_row(*cells)
    shown.caption = "*Modelled for zero-wait memory. Bytes: tables and the stage's own code."
    shown.caption_justify = "left"
    return shown


def way(option: BandOption) -> tuple[int, Variant]:
    return option.rows, option.variant


def flash(point: Point) -> int:
    return point.tables_bytes + point.code_bytes


def named(rows: int, variant: Variant) -> str:
    """As "2 rows, halfwords"."""
    parts = [f"{rows} row{'s' if rows > 1 else ''}"]
    if variant.wide:
        parts.append("halfwords")
    if variant.shared is not Sharing.NONE:
        parts.append(f"{variant.shared.name.lower()} shared")
    return ", ".join(parts)
