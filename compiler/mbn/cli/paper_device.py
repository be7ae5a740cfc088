"""mbn-paper device: the paper's models on microcontrollers.

What enters: sizes, boards, a file of runs. What leaves: tables for the terminal, or JSON; with
--run, more runs in the file. Always holds: a size that ran in emulation, every bit compared, is
marked; all else is planned and predicted, and called so; no time is measured on a part.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mbn.cli.run import console as run_console
from mbn.errors import UsageError
from mbn.fit import ALPHAS, RESOLUTIONS
from mbn.target import find_board

RUNS = Path("out") / "paper" / "device.jsonl"
EMULATED = ("qemu", "qemu-m7", "qemu-m55")
SIZES = tuple((alpha, resolution) for alpha in ALPHAS for resolution in RESOLUTIONS)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)-(\d+)")


def add(commands: Any) -> None:
    """Adds the command to the subparsers of mbn-paper."""
    device = commands.add_parser(
        "device",
        help="flash, RAM, cycles and times of the 16 models and the 96s, with 1000 classes",
        description="What the paper's models take on microcontrollers: 1000 classes, all channels "
        "computed. There is no column of energy: no measured figure stands behind one.",
    )
    device.add_argument(
        "sizes", nargs="*", metavar="SIZE", help="as 0.25-96; default: the paper's 16 and the 96s"
    )
    device.add_argument(
        "--board", nargs="+", default=[], metavar="B", help="times and bounds on these boards"
    )
    device.add_argument("--json", action="store_true", help="as JSON")
    device.add_argument(
        "--run",
        dest="emulate",
        action="store_true",
        help="run the sizes in emulation first: drawn weights, every output bit compared",
    )
    device.add_argument(
        "--on",
        nargs="+",
        default=EMULATED,
        metavar="B",
        help=f"emulated boards for --run; default: {' '.join(EMULATED)}",
    )
    device.add_argument(
        "--runs", type=Path, default=RUNS, metavar="FILE", help=f"of --run; default {RUNS}"
    )
    device.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs what is asked for, then prints; 1 if a run differs in a bit."""
    console = run_console(quiet=arguments.json)
    sizes = [size_of(text) for text in arguments.sizes] or list(SIZES)
    if arguments.emulate:
        run_sizes(sizes, arguments, console)
    return 0


def size_of(text: str) -> tuple[float, int]:
    """A size's alpha and resolution. Raises UsageError for one that is none of the 20."""
    match = _SIZE.fullmatch(text)
    size = (float(match[1]), int(match[2])) if match else None
    if size not in SIZES:
        raise UsageError(
            f"no size {text}",
            wanted="one of the paper's: alpha of "
            f"{', '.join(f'{one:g}' for one in ALPHAS)}, resolution of "
            f"{', '.join(map(str, RESOLUTIONS))}, as in 0.25-96",
        )
    assert size is not None
    return size


def run_sizes(
    sizes: Sequence[tuple[float, int]], arguments: argparse.Namespace, console: Console
) -> None:
    """Runs, with a bar of runs."""
    # TVM, which nothing else here needs
    from mbn.paper import device_runs  # noqa: PLC0415

    boards = [find_board(name) for name in arguments.on]
    for board in boards:
        if board.emulator is None or board.native:
            raise UsageError(f"--on {board.name}", wanted=f"of {', '.join(EMULATED)}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def progress(done: int, of: int, what: str) -> None:
            bar.update(task, completed=done, total=of, description=what)
            if not console.is_terminal and what:
                console.print(f"{done + 1} of {of}: {what}")

        made = device_runs.run(sizes, boards, arguments.runs, arguments.runs.parent, progress)
    console.print(f"{len(made)} runs; wrote {arguments.runs}")
