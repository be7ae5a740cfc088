"""What a network costs on every emulated core, as a table.

What enters: the arguments of mbn-compile that name a network (default: the bundled one). What
leaves: one line a board and input mode, Markdown: instructions and modelled cycles of one
inference, flash of the check firmware, arena, painted stack; then, with --stages, a column a board
of each stage's instructions and cycles. Always holds: every line was checked bit for bit first; a
board that differs is said so and makes the exit code 1.

    ./dev python benchmarks/cores.py --alpha 0.25 --data digits
    ./dev python benchmarks/cores.py --stages --modes stream --weights random:1 --keep-constant
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mbn
from mbn.cli import compile as compile_command
from mbn.cli.run import guarded
from mbn.core.boards import boards, find_board
from mbn.core.options import InputMode
from mbn.report import Report

HEADER = (
    "| board | core | kernels | input | instructions | modelled cycles | per MAC "
    "| flash | arena | stack |\n|---|---|---|---|--:|--:|--:|--:|--:|--:|"
)


def main() -> int:
    """Runs every emulated board; returns the exit code."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--boards", nargs="+", help="default: all that have an emulator")
    own.add_argument("--modes", nargs="+", default=[mode.value for mode in InputMode])
    own.add_argument("--stages", action="store_true", help="and what each stage costs")
    chosen, rest = own.parse_known_args()
    names = chosen.boards or [name for name, board in boards().items() if board.emulator]
    return guarded("cores", lambda: run(names, chosen.modes, rest, stages=chosen.stages))


def run(names: list[str], modes: list[str], rest: list[str], *, stages: bool) -> int:
    """Prints the table as its lines come."""
    all_exact = True
    reports = []
    print(HEADER)
    for name in names:
        for mode in modes:
            arguments = compile_command.parser().parse_args(
                ["--board", name, "--input", mode, "--samples", "4", *rest]
            )
            arguments.output = Path("out") / "benchmarks" / name / mode
            job = compile_command.job_of(arguments, find_board(name))
            report = mbn.build(job).check()
            all_exact &= print_line(report)
            reports.append(report)
    if stages:
        print_stages(reports)
    return 0 if all_exact else 1


def print_line(report: Report) -> bool:
    """One board's line; whether it was exact."""
    check, memory = report.check, report.memory
    assert check is not None
    exact = check.exact_samples == check.samples

    def text(value: int | None) -> str:
        return "-" if value is None else f"{value:,}"

    ratio = "-"
    if check.modelled_cycles:
        ratio = f"{check.modelled_cycles / report.network.macs:.2f}"
    print(
        f"| {report.board} | {report.core} | {report.kernel_set} | {report.input_mode} "
        f"| {text(check.instructions)} | {text(check.modelled_cycles)} | {ratio} "
        f"| {text(memory.flash_bytes)} | {text(memory.arena_bytes)} "
        f"| {text(memory.stack_bytes_painted)} |" + ("" if exact else " **DIFFERENT BITS** |"),
        flush=True,
    )
    return exact


def print_stages(reports: list[Report]) -> None:
    """Thousands of instructions / of cycles, a row a stage, a column a board and mode."""
    titles = [f"{one.board}, {one.input_mode}" for one in reports]
    print("\nThousands of instructions / of modelled cycles:\n")
    print(f"| stage | in | out | {' | '.join(titles)} |")
    print(f"|---|--:|--:|{'--:|' * len(reports)}")
    for index, stage in enumerate(reports[0].stages):
        cells = []
        for report in reports:
            own = report.stages[index]
            both = (own.instructions, own.modelled_cycles)
            cells.append(" / ".join("-" if one is None else f"{one / 1000:,.0f}" for one in both))
        print(f"| {index} {stage.kind} | {stage.input} | {stage.output} | {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())
