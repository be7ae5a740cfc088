"""mbn-boards: the boards that there are, and what is plugged in.

What enters: perhaps a size of network. What leaves: a table of boards, one of ports and probes;
with --network what that size would take on each board. Always holds: nothing is run, and no port is
opened; a figure that is not known is "-".
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from rich.console import Console

import mbn
from mbn.cli.run import console as run_console
from mbn.cli.run import guarded
from mbn.cli.tables import sheet
from mbn.core.errors import UsageError, exit_codes
from mbn.core.installing import advice
from mbn.core.target import Board
from mbn.report.sheet import Sheet

EXAMPLES = """examples:
  mbn-boards                       # boards, and the ports and probes that are plugged in
  mbn-boards --network 0.25-96     # flash, RAM and predicted time of that size on every board
"""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)-(\d+)")
CLASSES = 2


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-boards",
        description="List boards, and the serial ports and debug probes that are plugged in.",
        epilog=EXAMPLES + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--network", metavar="ALPHA-RESOLUTION", help="plan a size on every board")
    made.add_argument("--classes", type=int, default=CLASSES, help=f"of it; default {CLASSES}")
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-boards", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Prints the tables."""
    console = run_console(quiet=arguments.quiet)
    if arguments.network is not None:
        match = _SIZE.fullmatch(arguments.network)
        if match is None or arguments.classes < 1:
            raise UsageError(
                f"--network {arguments.network} --classes {arguments.classes}",
                wanted="as 0.25-96: alpha and resolution, and at least one class",
            )
        return network_table(float(match[1]), int(match[2]), arguments.classes, console)
    known = mbn.boards()
    console.print(board_table(known))
    console.print(plugged_table(known))
    if mbn.all_probes() is None:
        console.print(
            f"Probes are not listed, pyOCD is not installed. {advice('flash')}.", markup=False
        )
    return 0


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


def network_table(alpha: float, resolution: int, classes: int, console: Console) -> int:
    """Flash, RAM, cycles and milliseconds of a size on every board that has memories."""
    rows = mbn.costs(alpha, resolution, classes)
    table = sheet(
        f"{alpha:g}-{resolution}, {classes} classes, rows streamed in: predicted, nothing was run",
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
        ),
    )
    for row in rows:
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
        )
    console.print(table)
    console.print(
        "*By mbn-tune's records and the model fitted on emulation, for zero-wait memory, all "
        "channels\n computed; - where none was fitted for the core. Emulated boards have made-up "
        "clocks."
    )
    return 0
