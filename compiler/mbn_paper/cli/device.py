"""mbn-paper device: the paper's models on microcontrollers.

What enters: sizes, boards, a file of runs. What leaves: tables for the terminal, or JSON; with
--run, more runs in the file. Always holds: a size that ran in emulation, every bit compared, is
marked; all else is planned and predicted, and called so; no time is measured on a part.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mbn.cli.run import console as run_console
from mbn.cli.run import progress_of
from mbn.core.boards import find_board
from mbn.core.errors import UsageError
from mbn.core.executing import HELP
from mbn.core.target import Board
from mbn.jobs.lower.fit import ALPHAS, RESOLUTIONS
from mbn.report.sheet import Sheet
from mbn_paper.device import cells as device_cells
from mbn_paper.device import runs as device_runs
from mbn_paper.device.entries import SIZES, BoardRow, CoreRow, Device, Size, device, real_boards
from mbn_paper.device.plans import Plans
from mbn_paper.device.runs import CLASSES, Key, Run

RUNS = Path("out") / "paper" / "device.jsonl"
PLANS = Path("out") / "paper" / "plans.json"  # made once for a state of the compiler
EMULATED = ("qemu", "qemu-m7", "qemu-m55")
# columns that a narrow terminal does without, the highest first
OPTIONAL = {
    "with waits": 7,
    "instructions": 6,
    "off": 5,
    "RAM, whole": 4,
    "MACs": 3,
    "per second": 2,
    "boards": 1,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)-(\d+)")


def add(commands: Any) -> None:
    """Adds the command to the subparsers of mbn-paper."""
    device = commands.add_parser(
        "device",
        help="flash, RAM, cycles and times of the 16 models and the 96s, with 1000 classes",
        description="What the paper's models take on microcontrollers: 1000 classes, all channels "
        "computed. Energy is there where the maker publishes a current, and from modelled cycles.",
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
    device.add_argument("--scheduler", metavar="ADDRESS", help=f"with --run: {HELP}")
    device.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs what is asked for, then prints; 1 if a run differs in a bit."""
    console = run_console(quiet=arguments.json)
    sizes = [size_of(text) for text in arguments.sizes] or list(SIZES)
    wanted = [find_board(name) for name in arguments.board]
    if arguments.emulate:
        run_sizes(sizes, arguments, console)
    found = planned(sizes, wanted, arguments.runs, console)
    if arguments.json:
        print(json.dumps(as_json(found), indent=2))
    else:
        show(found, wanted, console)
    bad = [row for row in found.cores if row.run is not None and not row.run.exact]
    return 1 if bad else 0


def planned(sizes: Sequence[Size], wanted: Sequence[Board], path: Path, console: Console) -> Device:
    """All rows, planned with a bar; the runs are those of the file and the bundled ones."""
    known = runs_of(path, console)
    with progress_of(console) as bar:
        task = bar.add_task("planning", total=None)
        return device(
            sizes,
            [find_board(name) for name in EMULATED],
            wanted or real_boards(),
            known,
            lambda done, of: bar.update(task, completed=done, total=of),
            Plans(PLANS),
        )


def runs_of(path: Path, console: Console) -> Mapping[Key, Run]:
    """Of the file, and of what comes with the compiler; prints what was ignored of them."""
    found = [device_runs.bundled(), device_runs.read(path)]
    for reason in (reason for runs in found for reason in runs.ignored):
        console.print(f"warning: {reason}", markup=False)
    return {**found[0].known, **found[1].known}


def size_of(text: str) -> Size:
    """One of the 20 sizes. Raises UsageError for any other."""
    match = _SIZE.fullmatch(text)
    size = Size(float(match[1]), int(match[2])) if match else None
    if size is None or size not in SIZES:
        raise UsageError(
            f"no size {text}",
            wanted="one of the paper's: alpha of "
            f"{', '.join(f'{one:g}' for one in ALPHAS)}, resolution of "
            f"{', '.join(map(str, RESOLUTIONS))}, as in 0.25-96",
        )
    return size


def run_sizes(sizes: Sequence[Size], arguments: argparse.Namespace, console: Console) -> None:
    """Runs, with a bar of runs."""
    boards = [find_board(name) for name in arguments.on]
    for board in boards:
        if board.emulator is None or board.name not in EMULATED:
            raise UsageError(f"--on {board.name}", wanted=f"of {', '.join(EMULATED)}")
    with progress_of(console) as bar:
        task = bar.add_task("", total=None)

        def progress(done: int, of: int, what: str) -> None:
            bar.update(task, completed=done, total=of, description=what)
            if not console.is_terminal and what:
                console.print(f"{done + 1} of {of}: {what}")

        made = device_runs.run(
            [(size.alpha, size.resolution) for size in sizes],
            boards,
            arguments.runs,
            arguments.runs.parent,
            progress,
            arguments.scheduler,
        )
    console.print(f"{len(made)} runs; wrote {arguments.runs}")


def show(found: Device, wanted: Sequence[Board], console: Console) -> None:
    """A table a core, what fits which board, or times on the boards asked for."""
    for board, rows in device_cells.by_core(found):
        title = f"{board.core.name} ({board.name}), {CLASSES} classes"
        cells = [device_cells.core_cells(row) for row in rows]
        console.print(table(title, device_cells.CORE_COLUMNS, cells))
    console.print(f"{device_cells.CORE_NOTE}\n")
    if not wanted:
        columns, cells = device_cells.largest_rows(found)
        console.print(table("What fits which board, and milliseconds at zero wait", columns, cells))
        console.print(f"{device_cells.LARGEST_NOTE} --board B... has bounds with wait states.\n")
        holds = "The smallest board that holds each size"
        cells = device_cells.hold_rows(found)
        console.print(table(holds, device_cells.HOLD_COLUMNS, cells))
        console.print(f"{device_cells.HOLD_NOTE}\n")
    for board in wanted:
        cells = [device_cells.board_cells(row) for row in device_cells.rows_of(found, board)]
        console.print(table(device_cells.board_title(board), device_cells.BOARD_COLUMNS, cells))
    if wanted:
        console.print(f"{device_cells.BOARD_NOTE}\n")
    columns, cells = device_cells.energy_rows(found)
    if cells:
        console.print(table("Energy of an inference, mJ", columns, cells))
    if currents := device_cells.current_rows(found):
        console.print(table("Published currents", device_cells.ENERGY_COLUMNS, currents))
        console.print(device_cells.ENERGY_NOTE)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """For the terminal."""
    made = Sheet(title)
    for column in columns:
        made.column(column, optional=OPTIONAL.get(column, 0))
    for row in rows:
        made.add_row(*row)
    return made


def as_json(found: Device) -> dict[str, Any]:
    """For scripts: null where a figure is not known."""
    return {
        "classes": CLASSES,
        "cores": [core_json(row) for row in found.cores],
        "boards": [board_json(row) for row in found.boards],
    }


def core_json(row: CoreRow) -> dict[str, Any]:
    board, run_ = row.stream.board, row.run
    return {
        "size": row.size.name,
        "core": board.core.name,
        "emulated_board": board.name,
        "macs": row.stream.macs,
        "params": row.size.params,
        "flash_bytes": row.flash_bytes,
        "arena_bytes": {
            "stream": row.stream.demand.arena_bytes,
            "whole": row.whole.demand.arena_bytes,
        },
        "ram_bytes": {"stream": row.stream.ram_bytes, "whole": row.whole.ram_bytes},
        "instructions": row.instructions,
        "cycles": row.cycles,
        "off_percent": row.off_percent,
        "run": None
        if run_ is None
        else {
            "exact": run_.exact,
            "command": run_.command,
            "commit": run_.commit,
            "kernels": run_.kernels,
        },
    }


def board_json(row: BoardRow) -> dict[str, Any]:
    cost, times = row.cost, row.times
    return {
        "size": row.size.name,
        "board": row.board.name,
        "core": row.board.core.name,
        "clock_hz": row.board.clock_hz,
        "fits": cost is not None,
        "lacks": list(row.lacks),
        "flash_and_ram_bytes": list(row.room),
        "optimise": None if cost is None else cost.optimise,
        "flash_bytes": None if cost is None else cost.flash_bytes,
        "ram_bytes": None if cost is None else cost.ram_bytes,
        "cycles": None if cost is None else cost.cycles,
        "times": None
        if times is None
        else {**asdict(times), "inferences_per_second": 1000 / times.zero_wait_ms},
        "current": None if row.board.current is None else asdict(row.board.current),
        "millijoules": row.millijoules,
    }
