"""mbn-flash: an image into a board, and the proof that it runs.

What enters: a board, a folder that mbn-compile wrote, perhaps a port, probe or drive. What leaves:
exit code 0 if the board runs that very image (and, with --check, every bit is right), 1 if a bit
differs, 2 for what the user can mend, 3 if flashing failed or another image answers. Always holds:
two boards, ports or probes are never guessed between.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import mbn
from mbn.cli.arguments import command, say_json
from mbn.cli.place import add_place, place_of
from mbn.cli.run import ConsoleTeller, console_of, guarded
from mbn.core.errors import UsageError
from mbn.report.table import print_check

EXAMPLES = """examples:
  mbn-flash --board stm32 --check                          # in QEMU, then compare all bits
  mbn-flash --board stm32 --port /dev/ttyUSB0              # by the ROM bootloader (BOOT0 set)
  mbn-flash --board nucleo_l4r5zi                          # by SWD; probe and port found by USB id
  mbn-flash --board nucleo_l4r5zi --probe 0668FF --port rfc2217://lab:4000
  mbn-flash --board rp2040_pico --port /dev/ttyACM0        # to the UF2 drive (hold BOOTSEL)
  mbn-flash --board nucleo_f446re --at desk --dry-run      # as lab.toml says; touches nothing
  mbn-flash --board stm32 --at labgrid:rack3 --check       # a place of a labgrid coordinator
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-flash",
        "Write a compiled network's check image into a board, read it back, start it, "
        "and prove by build id and model hash that it runs.",
        EXAMPLES,
    )
    made.add_argument("--board", required=True, help="stm32, nucleo_l4r5zi, ...; see mbn-boards")
    made.add_argument("--output", type=Path, metavar="DIR", help="what mbn-compile wrote")
    add_place(made)
    made.add_argument("--check", action="store_true", help="then compare every output bit")
    made.add_argument("--samples", type=int, help="with --check; default: all of samples.npz")
    made.add_argument("--dry-run", action="store_true", help="say what would be done")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-flash", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Flashes, identifies and, if asked, checks."""
    if arguments.samples is not None and (arguments.samples < 1 or not arguments.check):
        raise UsageError(f"--samples {arguments.samples}", wanted="at least 1, with --check")
    console = console_of(arguments)
    board = mbn.find_board(arguments.board)
    place = place_of(arguments, board)
    if arguments.dry_run:
        steps = mbn.flash_steps(board, arguments.output, place=place)
        console.print(steps, markup=False)
        say_json(arguments, {"board": board.name, "steps": steps.splitlines()})
        return 0
    report = mbn.flash(
        board,
        arguments.output,
        place=place,
        check=arguments.check,
        samples=arguments.samples,
        progress=ConsoleTeller(console),
    )
    if report is None:
        say_json(arguments, {"board": board.name, "flashed": True})
        return 0
    say_json(arguments, report)
    print_check(report, console)
    assert report.check is not None
    return 0 if report.check.exact_samples == report.check.samples else 1
