"""mbn-check: outputs and cycles of a running board against the host.

What enters: a board, a folder that mbn-compile wrote, a port or nothing (the emulator); or, with
--against, an ONNX or .tflite file and images. What leaves: a table, and of a board the folder's
report.json with the check in it. Always holds: TVM, torch and ONNX are not needed for a board; exit
code 0 means every bit equal (against ONNX Runtime: agreement as wanted), 1 not, 2 that the user can
mend it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import mbn
from mbn.cli.arguments import command, refuse_alone, refuse_together, say_json
from mbn.cli.network import add_input_shape, add_meaning, add_model
from mbn.cli.run import ConsoleTeller, console_of, guarded
from mbn.cli.tables import agreement_facts, agreement_table, noise_facts, noise_table
from mbn.core.errors import UsageError
from mbn.core.target import EMULATORS
from mbn.report.table import memory_lines, print_check

EXAMPLES = """examples:
  mbn-check --board qemu                                # the one network compiled for it
  mbn-check --board stm32 --port /dev/ttyUSB0 --samples 50
  mbn-check --board stm32 --output out/stm32f405/mine --port socket://lab:4000
  mbn-check --against onnxruntime --model int8.onnx --images photos/ --samples 500
  mbn-check --against float --model mine.onnx --calibrate photos/    # dB lost by layer
  mbn-check --against litert --model mine.tflite      # TensorFlow Lite's bits, layer by layer
"""
OF_FLOAT = ("calibrate", "input_range", "mean", "std")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-check",
        "Check a running board (or the emulator) bit for bit against the host, or the "
        "integer network against ONNX Runtime.",
        EXAMPLES,
    )
    made.add_argument("--board", help="host, qemu, stm32, ...")
    made.add_argument(
        "--port", help="serial port, URL or labgrid:PLACE; default: the board's emulator"
    )
    made.add_argument(
        "--emulator",
        choices=EMULATORS,
        help="qemu (default), or another that the board's board.toml names",
    )
    made.add_argument(
        "--sketch",
        action="store_true",
        help="the port is that of the sketch Check of an Arduino export of the same network",
    )
    made.add_argument("--samples", type=int, help="default: all of samples.npz")
    made.add_argument("--output", type=Path, metavar="DIR", help="what mbn-compile wrote")
    other = made.add_argument_group("against another runtime")
    other.add_argument(
        "--against",
        choices=["onnxruntime", "litert", "float"],
        help="compare layer by layer with it; LiteRT runs its reference kernels on a .tflite file, "
        "and every bit of rounding tflite is compared; float: what quantising the float network "
        "loses, with --calibrate",
    )
    add_model(other, "the network")
    other.add_argument(
        "--images", type=Path, metavar="DIR", help="or arrays (.npy, .npz); default: drawn ones"
    )
    other.add_argument(
        "--calibrate", type=Path, metavar="DIR", help="with --against float: as of mbn-compile"
    )
    add_meaning(other)
    add_input_shape(other)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-check", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Checks the folder's network on the board, or a network's file against another runtime."""
    if arguments.samples is not None and arguments.samples < 1:
        raise UsageError(f"--samples {arguments.samples}", wanted="at least 1")
    wants = dict.fromkeys(("model", "images", "input_shape"), ("against",))
    refuse_alone(arguments, wants)
    if arguments.against != "float":
        refuse_alone(arguments, dict.fromkeys(OF_FLOAT, ("against float",)))
    refuse_together(arguments, "port", ("emulator",))
    refuse_together(arguments, "against", ("emulator", "sketch"))
    refuse_alone(arguments, {"sketch": ("port",)})
    console = console_of(arguments)
    if arguments.against is not None:
        return against_runtime(arguments, console)
    if arguments.board is None:
        raise UsageError("no --board", wanted="a board, or --against RUNTIME --model FILE")
    report = mbn.check(
        arguments.board,
        arguments.output,
        port=arguments.port,
        samples=arguments.samples,
        emulator=arguments.emulator,
        sketch=arguments.sketch,
        progress=ConsoleTeller(console),
    )
    say_json(arguments, report)
    console.print(memory_lines(report.memory))
    print_check(report, console)
    assert report.check is not None
    return 0 if report.check.exact_samples == report.check.samples else 1


def against_runtime(arguments: argparse.Namespace, console: Console) -> int:
    """The integer network against ONNX Runtime or LiteRT on the same graph."""
    if arguments.model is None or arguments.board is not None or arguments.port is not None:
        raise UsageError(
            f"--against {arguments.against}",
            wanted="--model FILE with it, and neither --board nor --port",
        )
    if arguments.against == "float":
        return against_float(arguments, console)
    compared = mbn.compare(
        arguments.model,
        images=arguments.images,
        samples=arguments.samples or 100,
        against=arguments.against,
        input_shape=arguments.input_shape,
        progress=ConsoleTeller(console),
    )
    found = compared.agreement
    say_json(arguments, agreement_facts(found))
    console.print(agreement_table(found, compared.name))
    console.print(
        f"top-1 equal on {found.same_top1} of {found.images}: {found.top1_percent:.1f} % "
        f"({compared.what}); {found.judgement}",
        style="bold green" if found.holds else "bold red",
    )
    return 0 if found.holds else 1


def against_float(arguments: argparse.Namespace, console: Console) -> int:
    """What quantising loses, layer by layer. Nothing is judged: mbn-compile does that."""
    found = mbn.compare_float(
        arguments.model,
        calibrate=arguments.calibrate,
        images=arguments.images,
        samples=arguments.samples or 32,
        input_range=arguments.input_range,
        mean=arguments.mean or (),
        std=arguments.std or (),
        input_shape=arguments.input_shape,
        progress=ConsoleTeller(console),
    )
    say_json(arguments, noise_facts(found))
    console.print(noise_table(found))
    losing = ", ".join(f"{one.layer.name} ({one.lost_db:.1f} dB)" for one in found.worst)
    console.print(f"on {found.what}; most is lost in: {losing or 'no layer'}")
    return 0
