"""mbn-inspect: what the compiler sees in an ONNX or a .tflite file.

What enters: a file. What leaves: a table of its stages and of the boards that it fits, or a list of
what would be refused. Always holds: nothing is built; exit code 0 means that it compiles and
fits a board, 3 that it compiles and fits none, 2 that something is refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

import mbn
from mbn.cli.arguments import command, say_json
from mbn.cli.network import add_input_shape
from mbn.cli.run import console_of, guarded
from mbn.cli.tables import fit_table, network_facts, network_table
from mbn.core.errors import MbnError, PlanError, UsageError
from mbn.core.network import Network
from mbn.core.options import InputMode

if TYPE_CHECKING:
    from mbn.jobs.lower.fit import Fit

EXAMPLES = """examples:
  mbn-inspect mine.onnx                       # stages, shapes, scales, MACs, boards
  mbn-inspect mine.tflite                     # the same of TensorFlow Lite's files
  mbn-inspect float.onnx                      # quantised with drawn images, to see its stages
  mbn-inspect open.onnx --input-shape 1,3,96,96
  mbn-inspect int8.onnx --input whole --unfused
  mbn-inspect --operators                     # what a network may be made of
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-inspect",
        "Show what the compiler sees in a network's file, and which boards it fits.",
        EXAMPLES,
    )
    made.add_argument(
        "network", type=Path, nargs="?", metavar="FILE", help=".onnx, QDQ or float; or .tflite"
    )
    made.add_argument("--operators", action="store_true", help="list the operators that are taken")
    made.add_argument(
        "--input",
        choices=[mode.value for mode in InputMode],
        default=InputMode.STREAM.value,
        help="how the image arrives, for the boards' RAM (default stream)",
    )
    made.add_argument("--unfused", action="store_true", help="a stage for each layer")
    add_input_shape(made)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-inspect", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Inspects the file and prints what is in it."""
    console = console_of(arguments)
    if arguments.operators:
        console.print(mbn.operators_text())
        return 0
    if arguments.network is None:
        raise UsageError("no network", wanted="an ONNX or a .tflite file, or --operators")
    found = mbn.inspect(
        arguments.network, fused=not arguments.unfused, input_shape=arguments.input_shape
    )
    if found.network is None:
        say_json(arguments, {"refused": found.refused, "closest": found.closest})
        count = len(found.refused)
        print(f"mbn-inspect: {count} thing{'s' if count > 1 else ''} refused:", file=sys.stderr)
        for error in found.refused:
            print(f"  {error}", file=sys.stderr)
        for works in found.closest:
            print(f"closest that works: {works}", file=sys.stderr)
        return MbnError.exit_code
    rows = found.fits(arguments.input)
    fits = [{"board": one.board.name, "fits": one.fits} for one in rows]
    say_json(arguments, {**network_facts(found.network), "boards": fits})
    _print(found, found.network, rows, console)
    return 0 if any(one.fits for one in rows) else PlanError.exit_code


def _print(found: mbn.Inspection, network: Network, rows: Sequence[Fit], console: Console) -> None:
    source = network.input
    if found.is_float:
        console.print(
            "a float network: quantised here with drawn images, so its scales mean nothing"
        )
    console.print(
        f"input   {source.height}x{source.width}x{source.channels} int8, "
        f"real = {source.scale:.6g} * (q - {source.zero_point})"
    )
    if found.normalisation is not None:
        low, high = found.normalisation.pixel_range()
        console.print(
            f"        the graph normalises: what {low:g} .. {high:g} are becomes "
            + ", ".join(dict.fromkeys(found.normalisation.words(low, high)))
        )
    for out in network.outputs:
        console.print(
            f"output  {out.height}x{out.width}x{out.channels} int8, "
            f"real = {out.scale:.6g} * (q - {out.zero_point})"
            + (f", {out.name}" if network.results else "")
            + (f"; then on the host: {', '.join(network.host_ops)}" if network.host_ops else "")
        )
    console.print(network_table(network))
    console.print(
        f"{len(network.layers)} layers in {len(network.stages)} stages, all in integers: "
        f"{network.macs:,} multiply-accumulates, {network.params:,} parameters"
    )
    console.print(fit_table(rows))
