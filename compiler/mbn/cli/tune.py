"""mbn-tune: measures how a network's stages are best built on a core.

What enters: arguments. What leaves: a file of records, a table. Always holds: the file is whole
after every run, so that an interruption loses none; what it knows is not measured again; exit code
0 means that all is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mbn
from mbn.cli.arguments import command, say_json
from mbn.cli.network import add_network, check_network, network_options
from mbn.cli.place import add_place, place_of, said_anything
from mbn.cli.run import ConsoleTeller, console_of, guarded
from mbn.core.errors import UsageError
from mbn.core.executing import HELP
from mbn.core.schedule import Sharing, Variant
from mbn.core.target import Board
from mbn.report.sheet import Sheet

if TYPE_CHECKING:
    from mbn.jobs.compile import Job
    from mbn.passes.tuning import Point

CLASSES = 1000  # the family's, as in the paper

EXAMPLES = """examples:
  mbn-tune --board qemu --alpha 0.25                    # the bundled network on a Cortex-M4F
  mbn-tune --board qemu-m7 --model mine.onnx --records mine.jsonl
  mbn-compile --board stm32 --model mine.onnx --records mine.jsonl    # takes what was measured
  mbn-tune --board nucleo_h743zi --probe 0668FF --alpha 0.25   # cycles measured on the board
  mbn-tune --board qemu --family --records family.jsonl # all sizes of the paper's family: an hour

Every stage has some candidates: heights of its bands, weights as bytes or halfwords, straight code
or bodies that stages share. Each is built and counted, in emulation or, where --port, --probe,
--drive or --at says which, on a board, which is flashed for each run; --optimise of mbn-compile
then chooses by what was measured. All candidates give the same bits.
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-tune", "Measure how each stage of a network is best built on a core.", EXAMPLES
    )
    made.add_argument(
        "--board",
        required=True,
        help="an emulated one (qemu, qemu-m7, qemu-m55, ...), or any that is attached",
    )
    add_network(made)
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
    made.add_argument("--scheduler", metavar="ADDRESS", help=HELP)
    add_place(made.add_argument_group("an attached board, in the place of the emulator"))
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
    check_network(arguments)
    console = console_of(arguments)
    board, tell = mbn.find_board(arguments.board), ConsoleTeller(console)
    place = place_of(arguments, board) if said_anything(arguments) else None
    if place is not None and arguments.scheduler is not None:
        raise UsageError("--scheduler with an attached board", wanted="one of them")
    ways: Any = {"place": place, "scheduler": arguments.scheduler, "progress": tell}
    if not arguments.family:
        found = mbn.tune(job_of(arguments, board), arguments.records, **ways)
        console.print(table(found))
        console.print(f"{found.runs} runs; wrote {arguments.records}")
        say_json(arguments, {"runs": found.runs, "records": arguments.records})
        return 0
    if arguments.model is not None or arguments.alpha is not None:
        raise UsageError("--family with --model or --alpha", wanted="one way to name networks")
    job = job_of(arguments, board)
    for found in mbn.tune_family(job, arguments.records, **ways):
        console.print(f"{found.made.network.name} on {board.core.name}: {found.runs} runs")
    console.print(f"wrote {arguments.records}")
    return 0


def job_of(arguments: argparse.Namespace, board: Board) -> Job:
    """What is built; nothing is checked."""
    return mbn.job(arguments.model, board=board, samples=1, **network_options(arguments))


def table(found: mbn.Tuned) -> Sheet:
    """Of each stage the fastest candidate and the smallest, beside what goes unmeasured."""
    made = found.made
    shown = Sheet(f"{made.network.name} on {made.job.board.core.name}")
    shown.column("stage", "left")
    shown.column("in", optional=2)
    shown.column("measured", optional=3)
    for title, optional in (("fastest", 0), ("smallest", 1)):
        shown.column(title, "left", optional)
        shown.column("cycles*", optional=optional)
        shown.column("bytes", optional=optional)
    for index, built in enumerate(made.network.stages):
        own = found.points(index)
        fastest = min(own, key=lambda one: (one.cycles, flash(one)))
        smallest = min(own, key=lambda one: (flash(one), one.cycles))
        source = made.network.stage_input(built).shape_text
        cells = [f"{index:2} {built.kind}", source, str(len(own))]
        for one in (fastest, smallest):
            cells += [named(*one.way), f"{one.cycles:,}", f"{flash(one):,}"]
        shown.add_row(*cells)
    how = "Modelled for zero-wait memory" if found.emulated else f"Measured on {found.counted_by}"
    shown.caption = f"*{how}. Bytes: tables and the stage's own code."
    shown.caption_justify = "left"
    return shown


def flash(point: Point) -> int:
    return point.tables_bytes + point.code_bytes


def named(rows: int, variant: Variant) -> str:
    """As "2 rows, halfwords"."""
    parts = [f"{rows} row{'s' if rows > 1 else ''}"]
    if variant.shared is not Sharing.NONE:
        parts.append(f"{variant.shared.name.lower()} shared")
    return ", ".join(parts)
