"""What each body costs, call by call, within a network.

What enters: the arguments of mbn-compile that name a network (default: the bundled one) and an
emulated board. What leaves: a line for each function that one inference runs, Markdown: calls,
instructions and modelled cycles of a call, and its share of the whole. A function's own code is
counted; bodies in C are part of the stage function that they are inlined in.

    ./dev python benchmarks/kernels.py --board qemu --alpha 0.25
    ./dev python benchmarks/kernels.py --board qemu-m7 --model my.onnx --most 10
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mbn
from mbn.cli import compile as compile_command
from mbn.cli.run import guarded
from mbn.core.boards import find_board
from mbn.harness import cost
from mbn.image.build import build_image


def main() -> int:
    """Prints the table; returns the exit code."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--board", default="qemu", help="one with an emulator (default: qemu)")
    own.add_argument("--most", type=int, default=30, help="lines (default: 30)")
    chosen, rest = own.parse_known_args()
    return guarded("kernels", lambda: run(chosen.board, chosen.most, rest))


def run(name: str, most: int, rest: list[str]) -> int:
    """Compiles, counts, prints."""
    arguments = compile_command.parser().parse_args(["--board", name, *rest])
    arguments.output = Path("out") / "benchmarks" / "kernels" / name
    board = find_board(name)
    built = mbn.build(compile_command.job_of(arguments, board))
    count = len(built.report.stages)
    folder = arguments.output
    image = build_image(folder / "c", board, "bench", folder, defines=cost.bench_defines(count))
    found = cost.functions(board, image.elf, count, folder / "cost")
    whole = sum(one.modelled_cycles for one in found) or 1.0
    print("| function | calls | instructions a call | cycles a call | share |")
    print("|---|--:|--:|--:|--:|")
    for one in found[:most]:
        calls = max(one.calls, 1)
        each = f"{one.instructions / calls:,.0f} | {one.modelled_cycles / calls:,.0f}"
        print(
            f"| {one.name} | {one.calls:,} | {each} | {100 * one.modelled_cycles / whole:.1f} % |"
        )
    if len(found) > most:
        print(f"\n{len(found) - most} more; --most {len(found)} shows all.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
