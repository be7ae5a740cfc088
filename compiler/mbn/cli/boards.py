"""mbn-boards: the boards that there are, and what is plugged in.

What enters: perhaps a size of network. What leaves: a table of boards, one of ports and probes;
with --network what that size would take on each board. Always holds: nothing is run, and no port is
opened; a figure that is not known is "-".
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

import mbn
from mbn.cli.arguments import command, plain, refuse_alone, refuse_together, say_json
from mbn.cli.run import console_of, guarded
from mbn.cli.tables import sheet
from mbn.core.errors import UsageError
from mbn.core.installing import advice
from mbn.core.target import Board
from mbn.report.sheet import Sheet

if TYPE_CHECKING:
    from mbn.jobs.suggest import Cost

EXAMPLES = """examples:
  mbn-boards                       # boards, and the ports and probes that are plugged in
  mbn-boards --network 0.25-96     # flash, RAM and predicted time of that size on every board
  mbn-boards --new ./mine --like nucleo_f446re   # a board of your own, for --board ./mine
"""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)-(\d+)")
CLASSES = 2


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-boards",
        "List boards, and the serial ports and debug probes that are plugged in.",
        EXAMPLES,
    )
    made.add_argument("--network", metavar="ALPHA-RESOLUTION", help="plan a size on every board")
    made.add_argument("--new", metavar="DIR", help="write the folder of a board of your own")
    made.add_argument("--like", metavar="BOARD", help="of --new: the board that it starts from")
    made.add_argument("--classes", type=int, help=f"of it; default {CLASSES}")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-boards", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Prints the tables."""
    console = console_of(arguments)
    refuse_alone(arguments, {"classes": ("network",), "like": ("new",), "new": ("like",)})
    refuse_together(arguments, "new", ("network", "classes"))
    if arguments.new is not None:
        made = mbn.new_board(arguments.new, arguments.like)
        say_json(arguments, facts(made))
        console.print(f"wrote  {made.place}/board.toml", markup=False)
        console.print(f"next   mbn-compile --board {made.asked} --alpha 0.25", markup=False)
        return 0
    classes = CLASSES if arguments.classes is None else arguments.classes
    if arguments.network is not None:
        match = _SIZE.fullmatch(arguments.network)
        if match is None or classes < 1:
            raise UsageError(
                f"--network {arguments.network} --classes {classes}",
                wanted="as 0.25-96: alpha and resolution, and at least one class",
            )
        rows = mbn.costs(float(match[1]), int(match[2]), classes)
        alphas = mbn.largest(int(match[2]), classes, [one.board for one in rows])
        told = zip(rows, alphas, strict=True)
        say_json(
            arguments,
            [{**plain(one), "board": one.board.name, "largest_alpha": a} for one, a in told],
        )
        network_table(arguments.network, rows, alphas, classes, console)
        return 0
    known = mbn.boards()
    say_json(arguments, {"boards": [facts(one) for one in known], "ports": mbn.ports()})
    console.print(board_table(known))
    console.print(plugged_table(known))
    if mbn.all_probes() is None:
        console.print(
            f"Probes are not listed, pyOCD is not installed. {advice('flash')}.", markup=False
        )
    return 0


def facts(board: Board) -> dict[str, Any]:
    """A board for scripts."""
    return {
        "name": board.name,
        "aliases": board.aliases,
        "core": board.core.name,
        "clock_hz": board.clock_hz,
        "memories": {one.name: one.size_bytes for one in board.memories},
        "tested": board.tested,
        "methods": board.flash.methods,
    }


def board_table(found: Sequence[Board]) -> Sheet:
    """Core, clock, memories, what it was tested on, ways to flash it."""
    table = sheet(
        "Boards",
        (
            ("board", "left", 0),
            ("core", "left", 0),
            ("clock", "right", 1),
            ("flash", "right", 0),
            ("RAM", "right", 0),
            ("tested", "left", 3),
            ("flashed by", "left", 2),
        ),
    )
    for board in found:
        table.add_row(
            board.name,
            board.core.name,
            f"{board.clock_hz / 1e6:g} MHz" if board.clock_hz else "-",
            _kilobytes(board, {"code", "weights"}),
            _kilobytes(board, {"data", "arena", "stack", "hot"}),
            board.tested,
            ", ".join(board.flash.methods) or "-",
        )
    return table


def _kilobytes(board: Board, uses: set[str]) -> str:
    size = sum(memory.size_bytes for memory in board.memories if uses & set(memory.holds))
    return f"{size // 1024:,} KB" if size else "-"


def plugged_table(known: Sequence[Board]) -> Sheet:
    """Ports and probes with the boards that they may belong to."""
    table = sheet(
        "Plugged in",
        (("what", "left", 0), ("USB id", "left", 1), ("serial", "left", 0), ("may be", "left", 0)),
    )
    for port in mbn.ports():
        fits = [board.name for board in known if port.usb and port.usb in board.flash.usb]
        table.add_row(port.device, port.usb or "-", port.serial or "-", ", ".join(fits) or "-")
    for probe in mbn.all_probes() or ():
        table.add_row("probe", "-", probe.unique_id, probe.title or "-")
    if not table.row_count:
        table.add_row("nothing", "-", "-", "-")
    return table


def network_table(
    size: str, rows: Sequence[Cost], alphas: Sequence[float | None], classes: int, console: Console
) -> None:
    """Flash, RAM, cycles and milliseconds of a size on every board that has memories, and the
    largest alpha at its resolution that fits."""
    table = sheet(
        f"{size}, {classes} classes, rows streamed in: predicted, nothing was run",
        (
            ("board", "left", 0),
            ("core", "left", 2),
            ("clock", "right", 3),
            ("flash, about", "right", 0),
            ("RAM", "right", 0),
            ("fits", "left", 0),
            ("cycles*", "right", 1),
            ("zero wait", "right", 0),
            ("with waits, from", "right", 0),
            ("to", "right", 0),
            ("largest alpha", "right", 1),
        ),
    )
    for row, alpha in zip(rows, alphas, strict=True):
        times = row.times
        waits = times is not None and times.wait_states > 0
        table.add_row(
            row.board.name,
            row.board.core.name,
            f"{row.board.clock_hz / 1e6:g}",
            f"{row.flash_bytes:,}",
            f"{row.ram_bytes:,}",
            "yes" if row.fits else "no",
            "-" if row.cycles is None else f"{row.cycles:,}",
            "-" if times is None else f"{times.zero_wait_ms:.1f} ms",
            f"{times.lower_ms:.1f} ms" if times is not None and waits else "-",
            f"{times.upper_ms:.1f} ms" if times is not None and waits else "-",
            "none" if alpha is None else f"{alpha:g}",
        )
    console.print(table)
    console.print(
        "*By mbn-tune's records and the model fitted on emulation, for zero-wait memory, all "
        "channels\n computed; - where none was fitted for the core. Emulated boards have made-up "
        "clocks."
    )
