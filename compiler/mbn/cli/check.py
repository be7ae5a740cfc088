"""mbn-check: outputs and cycles of a running board against the host.

What enters: a board, a folder that mbn-compile wrote, a port or nothing (the emulator).
What leaves: a table, and the folder's report.json with the check in it. Always holds: TVM, torch
and ONNX are not needed; exit code 0 means every bit equal, 1 not, 2 that the user can mend it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mbn.checking import run_check
from mbn.cli.run import console as run_console
from mbn.cli.run import guarded
from mbn.errors import UsageError
from mbn.report.record import FILE_NAME
from mbn.report.table import memory_lines, print_check
from mbn.target import Board, find_board

EXAMPLES = """examples:
  mbn-check --board qemu                                # the one network compiled for it
  mbn-check --board stm32 --port /dev/ttyUSB0 --samples 50
  mbn-check --board stm32 --output out/stm32f405/mine --port socket://lab:4000
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-check",
        description="Check a running board (or the emulator) bit for bit against the host.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--board", required=True, help="host, qemu, stm32, ...")
    made.add_argument("--port", help="serial port; default: the board's emulator")
    made.add_argument("--samples", type=int, help="default: all of samples.npz")
    made.add_argument("--output", type=Path, metavar="DIR", help="what mbn-compile wrote")
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-check", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Checks the folder's network on the board."""
    if arguments.samples is not None and arguments.samples < 1:
        raise UsageError(f"--samples {arguments.samples}", wanted="at least 1")
    console = run_console(quiet=arguments.quiet)
    board = find_board(arguments.board)
    folder = arguments.output or compiled_folder(board)
    report = run_check(folder, board, console, port=arguments.port, samples=arguments.samples)
    console.print(memory_lines(report.memory))
    print_check(report, console)
    assert report.check is not None
    return 0 if report.check.exact_samples == report.check.samples else 1


def compiled_folder(board: Board) -> Path:
    """The one folder below out/BOARD/ that holds a report."""
    root = Path("out") / board.name
    found = sorted(path.parent for path in root.glob(f"*/{FILE_NAME}"))
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"{len(found)} compiled networks in {root}"
        + (": " + ", ".join(path.name for path in found) if found else ""),
        wanted="one, or --output DIR",
        advice=f"mbn-compile --board {board.name} makes one" if not found else None,
    )
