"""MLPerf Tiny's four networks on every emulated core, beside what another compiler has published.

What enters: the folder with their four files, as mlcommons/tiny publishes them. What leaves: one
line a network, rounding and board, Markdown: flash of the check firmware, arena, instructions and
modelled cycles of one inference, whether every output bit was the reference's. Always holds: a
network that differs is said so and makes the exit code 1. The last column is measured, not
modelled: ST's closed compiler (closed division, v1.2 and v1.3), clock over inferences a second;
beside the M55 stands its M85, which does twice the multiplies a cycle.

    ./dev python benchmarks/mlperf.py tiny/
    ./dev python benchmarks/mlperf.py tiny/ --boards qemu --roundings tflite --tasks kws01
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import mbn
from mbn.cli import compile as compile_command
from mbn.cli.run import guarded
from mbn.core.boards import find_board
from mbn.core.errors import UsageError
from mbn.core.options import Rounding
from mbn.report import Report

BOARDS = ("qemu", "qemu-m7", "qemu-m33", "qemu-m55")
HEADER = (
    "| network | rounding | board | core | flash | arena | instructions | modelled cycles "
    "| per MAC | exact | published cycles |\n|---|---|---|---|--:|--:|--:|--:|--:|---|--:|"
)


@dataclass(frozen=True)
class Task:
    """A network of MLPerf Tiny. published: inferences a second, by core."""

    what: str
    files: tuple[str, ...]
    published: dict[str, float]


CLOCKS_MHZ = {"M4": 120, "M7": 280, "M33": 160, "M85": 480}  # of the parts that were measured
NEAREST = {"qemu": "M4", "qemu-m7": "M7", "qemu-m33": "M33", "qemu-m55": "M85"}
TASKS = {
    "vww01": Task(
        "MobileNetV1 0.25",
        ("vww_96_int8.tflite", "vww_96_int8.onnx"),
        {"M4": 11.18, "M7": 42.0, "M33": 16.9, "M85": 74.7},
    ),
    "ic01": Task(
        "ResNet-8",
        ("pretrainedResnet_quant.tflite", "pretrainedResnet_quant.onnx"),
        {"M4": 6.04, "M7": 24.5, "M33": 9.0, "M85": 117.9},
    ),
    "kws01": Task(
        "DS-CNN",
        ("kws_ref_model.tflite", "kws_ref_model.onnx"),
        {"M4": 23.0, "M7": 88.3, "M33": 34.4, "M85": 288.6},
    ),
    "ad01": Task(
        "autoencoder",
        ("ad01_int8.tflite", "ad01_int8.onnx"),
        {"M4": 208.6, "M7": 816, "M33": 291.6, "M85": 1884},
    ),
}


def main() -> int:
    """Runs every network on every board; returns the exit code."""
    own = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument("folder", type=Path, help="where the four files are, or folders with them")
    own.add_argument("--boards", nargs="+", default=list(BOARDS))
    own.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    roundings = [one.value for one in Rounding]
    own.add_argument("--roundings", nargs="+", choices=roundings, default=roundings)
    own.add_argument("--samples", type=int, default=2, help="a board (default 2)")
    arguments = own.parse_args()
    return guarded("mlperf", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Prints the table as its lines come."""
    models = {task: find_model(arguments.folder, task) for task in arguments.tasks}
    all_exact = True
    print(HEADER)
    for task, model in models.items():
        for rounding in arguments.roundings:
            for board in arguments.boards:
                report = measured(board, model, rounding, arguments.samples)
                all_exact &= print_line(task, rounding, board, report)
    return 0 if all_exact else 1


def find_model(folder: Path, task: str) -> Path:
    """The task's file; .tflite before .onnx. Raises UsageError."""
    for name in TASKS[task].files:
        found = sorted(folder.rglob(name))
        if found:
            return found[0]
    raise UsageError(
        f"{folder} holds none of {', '.join(TASKS[task].files)}",
        wanted=f"the file of {task}, in it or in a folder below",
        advice="they are in mlcommons/tiny; --tasks leaves tasks out",
    )


def measured(board: str, model: Path, rounding: str, samples: int) -> Report:
    """The report of a board that was built and checked."""
    network = ["--model", str(model), "--rounding", rounding, "--samples", str(samples)]
    arguments = compile_command.parser().parse_args(["--board", board, *network])
    arguments.output = Path("out") / "benchmarks" / "mlperf" / board / f"{model.stem}-{rounding}"
    return mbn.build(compile_command.job_of(arguments, find_board(board))).check()


def print_line(task: str, rounding: str, board: str, report: Report) -> bool:
    """One line; whether it was exact."""
    check, memory = report.check, report.memory
    assert check is not None
    exact = check.exact_samples == check.samples

    def text(value: int | None) -> str:
        return "-" if value is None else f"{value:,}"

    ratio = f"{check.modelled_cycles / report.network.macs:.2f}" if check.modelled_cycles else "-"
    print(
        f"| {task} {TASKS[task].what} | {rounding} | {board} | {report.core} "
        f"| {text(memory.flash_bytes)} | {text(memory.arena_bytes)} | {text(check.instructions)} "
        f"| {text(check.modelled_cycles)} | {ratio} | {'yes' if exact else '**NO**'} "
        f"| {published(task, board)} |",
        flush=True,
    )
    return exact


def published(task: str, board: str) -> str:
    """Millions of cycles of one inference, and the core that took them."""
    core = NEAREST.get(board)
    if core is None:
        return "-"
    millions = CLOCKS_MHZ[core] / TASKS[task].published[core]
    return f"{millions:.3g} M ({core})"


if __name__ == "__main__":
    sys.exit(main())
