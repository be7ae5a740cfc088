"""mbn-mlperf: what MLPerf Tiny's public runner does with a board, and whether it got the truth.

What enters: a board, a folder that mbn-compile --app mlperf wrote, a port or nothing (the
emulator). What leaves: the session's figures; the whole conversation where asked for. Always holds:
exit code 0 means that every result is the host reference's, 1 not, 2 that the user can mend it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

import mbn
from mbn.cli.arguments import command, say_json
from mbn.cli.run import console_of, guarded
from mbn.core.errors import UsageError

if TYPE_CHECKING:
    from mbn.jobs.mlperf import Sessions

EXAMPLES = """examples:
  mbn-compile --board qemu --model vww_96_int8.onnx --app mlperf
  mbn-mlperf --board qemu --transcript session.txt       # both sessions, in emulation
  mbn-mlperf --board stm32 --port /dev/ttyUSB0 --mode accuracy --samples 50
  mbn-compile --board qemu --model ad01_int8.tflite --app mlperf --output out/ad01
  mbn-mlperf --board qemu --output out/ad01 --runs 100   # float32 in, one error out
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-mlperf", "Drive a board as MLPerf Tiny's runner does, and check its results.", EXAMPLES
    )
    made.add_argument("--board", required=True, help="host, qemu, stm32, ...")
    made.add_argument(
        "--port", help="serial port, URL or labgrid:PLACE; default: the board's emulator"
    )
    made.add_argument("--mode", choices=["accuracy", "performance", "both"], default="both")
    made.add_argument("--samples", type=int, default=10, help="of accuracy (default 10)")
    made.add_argument("--runs", type=int, default=10, help="inferences a window (default 10)")
    made.add_argument("--warmup", type=int, default=10, help="unmeasured before it (default 10)")
    made.add_argument("--baud", type=int, default=115200, help="default 115200")
    made.add_argument("--transcript", type=Path, metavar="FILE", help="write all that was said")
    made.add_argument("--output", type=Path, metavar="DIR", help="what mbn-compile wrote")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-mlperf", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Both sessions, or the one asked for."""
    for name in ("samples", "runs"):
        if getattr(arguments, name) < 1:
            raise UsageError(f"--{name} {getattr(arguments, name)}", wanted="at least 1")
    if arguments.warmup < 0:
        raise UsageError(f"--warmup {arguments.warmup}", wanted="at least 0")
    console = console_of(arguments)
    board = mbn.find_board(arguments.board)
    console.print(f"Running on {mbn.where(board, arguments.port)}")
    found = mbn.mlperf(
        board,
        arguments.output,
        port=arguments.port,
        baud=arguments.baud,
        mode=arguments.mode,
        samples=arguments.samples,
        runs=arguments.runs,
        warmup=arguments.warmup,
        transcript=arguments.transcript,
    )
    say_json(arguments, found)
    console.print("device ", "  ".join(found.model), markup=False)
    show(found, console)
    if found.virtual_ns is not None:
        console.print(f"Times are virtual: {found.virtual_ns} ns an instruction, not a part's.")
    if arguments.transcript is not None:
        console.print(f"wrote  {arguments.transcript}")
    return 0 if found.exact else 1


def show(found: Sessions, console: Console) -> None:
    """A line a session, and the first result that differs."""
    if found.accuracy is not None:
        one = found.accuracy
        right = "" if one.right is None else f", top-1 right {one.right} of {one.samples}"
        console.print(f"accuracy     {one.exact} of {one.samples} results exact{right}")
        if one.mismatch:
            console.print(one.mismatch, markup=False)
    if found.performance is not None:
        speed = found.performance
        console.print(
            f"performance  {speed.median:.3f} inferences a second "
            f"(median of {len(speed.per_second)} windows of {speed.runs})"
        )
        if speed.mismatch:
            console.print(speed.mismatch, markup=False)
