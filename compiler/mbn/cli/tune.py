"""mbn-tune: measures how a network's stages are best built on a core.

What enters: arguments. What leaves: a file of records, a table. Always holds: the file is whole
after every run, so that an interruption loses none; what it knows is not measured again; exit code
0 means that all is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mbn.cli import compile as compile_command
from mbn.cli.place import add_place, place_of, said_place
from mbn.cli.run import console as run_console
from mbn.cli.run import guarded, progress_of
from mbn.core.errors import UsageError, exit_codes
from mbn.core.kernel_set import VERSIONS
from mbn.core.network import Network
from mbn.core.options import Options, Rounding
from mbn.core.schedule import Sharing, Variant
from mbn.core.target import Board, find_board
from mbn.jobs import compile as pipeline
from mbn.jobs import tune as tuner
from mbn.jobs.lower.fit import ALPHAS, RESOLUTIONS
from mbn.passes import tuning
from mbn.passes.predict import family_network
from mbn.passes.tuning import Point, Records
from mbn.report.table import titled

CLASSES = 1000  # the family's, as in the paper

EXAMPLES = """examples:
  mbn-tune --board qemu --alpha 0.25                    # the bundled network on a Cortex-M4F
  mbn-tune --board qemu-m7 --onnx mine.onnx --records mine.jsonl
  mbn-compile --board stm32 --onnx mine.onnx --records mine.jsonl    # takes what was measured
  mbn-tune --board nucleo_h743zi --probe 0668FF --alpha 0.25   # cycles measured on the board
  mbn-tune --board qemu --family --records family.jsonl # all sizes of the paper's family: an hour

Every stage has some candidates: heights of its bands, weights as bytes or halfwords, straight code
or bodies that stages share. Each is built and counted, in emulation or, where --port, --probe,
--drive or --at says which, on a board, which is flashed for each run; --optimise of mbn-compile
then chooses by what was measured. All candidates give the same bits.
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-tune",
        description="Measure how each stage of a network is best built on a core.",
        epilog=EXAMPLES + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--board",
        required=True,
        help="an emulated one (qemu, qemu-m7, qemu-m55, ...), or any that is attached",
    )
    compile_command.add_network(made)
    made.add_argument(
        "--family",
        action="store_true",
        help="every size of the paper's family, the smallest first",
    )
    made.add_argument(
        "--records",
        type=Path,
        default=Path("tuning.jsonl"),
        metavar="FILE",
        help="what is known, and where it goes (default tuning.jsonl)",
    )
    add_place(made.add_argument_group("an attached board, in the place of the emulator"))
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
    counter = counter_for(arguments, board, console)
    known = tuning.read(arguments.records, VERSIONS) if arguments.records.exists() else Records()
    for reason in known.ignored:
        console.print(f"warning: {reason}", markup=False)
    if not arguments.family:
        made = prepared(arguments, board, console)
        spent = measure(made, known, arguments.records, counter, console)
        console.print(table(made, known, counter))
        console.print(f"{spent} runs; wrote {arguments.records}")
        return 0
    if arguments.onnx is not None or arguments.alpha is not None:
        raise UsageError("--family with --onnx or --alpha", wanted="one way to name networks")
    job = job_of(arguments, board)
    job = replace(job, options=replace(job.options, simplify=False))
    for network in family():
        made = tuner.tuning_of(job, network)
        spent = measure(made, known, arguments.records, counter, console)
        console.print(f"{made.network.name} on {board.core.name}: {spent} runs")
    console.print(f"wrote {arguments.records}")
    return 0


def counter_for(arguments: argparse.Namespace, board: Board, console: Console) -> tuner.Counter:
    """The attached board if anything says where it is, otherwise its emulator."""
    said = said_place(arguments)
    if arguments.at is None and not said.real and said.method is None:
        return tuner.counter_of(board)
    return tuner.Attached(board, place_of(arguments, board), console)


def family() -> Iterator[Network]:
    """Each size, multipliers as if trained, those with the fewest multiply-accumulates first."""
    sizes = sorted(
        ((alpha, resolution) for alpha in ALPHAS for resolution in RESOLUTIONS),
        key=lambda size: (size[0] * size[1], size[1]),
    )
    for alpha, resolution in sizes:
        yield family_network(alpha, resolution, CLASSES)


def prepared(arguments: argparse.Namespace, board: Board, console: Console) -> tuner.Tuning:
    """The network and its candidates."""
    return tuner.prepare(job_of(arguments, board), folder_of(board), console)


def job_of(arguments: argparse.Namespace, board: Board) -> pipeline.Job:
    """What is built; nothing is checked."""
    arguments.samples, arguments.images = 1, None
    return pipeline.Job(
        request=compile_command.request_of(arguments),
        board=board,
        options=Options(
            fused=not arguments.unfused,
            simplify=not arguments.keep_constant,
            rounding=Rounding(arguments.rounding),
        ),
    )


def folder_of(board: Board) -> Path:
    """Where runs are built."""
    return Path("out") / "tune" / board.name


def measure(
    made: tuner.Tuning, known: Records, path: Path, counter: tuner.Counter, console: Console
) -> int:
    """Runs with a progress bar; how many."""
    with progress_of(console) as bar:
        task = bar.add_task(f"measuring {made.network.name}", total=None)
        return tuner.tune(
            made,
            known,
            path,
            folder_of(made.job.board) / made.network.name,
            counter,
            lambda done, of: bar.update(task, completed=done, total=of),
        )


def table(made: tuner.Tuning, known: Records, counter: tuner.Counter) -> Table:
    """Of each stage the fastest candidate and the smallest, beside what goes unmeasured."""
    shown = titled(f"{made.network.name} on {made.job.board.core.name}")
    shown.add_column("stage", no_wrap=True)
    shown.add_column("in", justify="right", no_wrap=True)
    for title in ("measured", "fastest", "cycles*", "bytes", "smallest", "cycles*", "bytes"):
        shown.add_column(title, justify="right" if title != "fastest" else "left", no_wrap=True)
    for index, stage in enumerate(made.stages):
        points = known.points[made.key(stage)].values()
        own = [one for one in points if one.way in {option.way for option in stage.candidates}]
        fastest = min(own, key=lambda one: (one.cycles, flash(one)))
        smallest = min(own, key=lambda one: (flash(one), one.cycles))
        built = made.network.stages[index]
        source = made.network.stage_input(built).shape_text
        cells = [f"{index:2} {built.kind}", source, str(len(own))]
        for one in (fastest, smallest):
            cells += [named(*one.way), f"{one.cycles:,}", f"{flash(one):,}"]
        shown.add_row(*cells)
    emulated = counter.by == tuner.Emulated.by
    how = "Modelled for zero-wait memory" if emulated else f"Measured on {counter.by}"
    shown.caption = f"*{how}. Bytes: tables and the stage's own code."
    shown.caption_justify = "left"
    return shown


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
