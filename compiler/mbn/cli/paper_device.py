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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mbn.cli.run import console as run_console
from mbn.errors import UsageError
from mbn.fit import ALPHAS, RESOLUTIONS
from mbn.paper import device_runs
from mbn.paper.device import SIZES, BoardRow, CoreRow, Device, Size, device, real_boards
from mbn.paper.device_runs import CLASSES, Key, Run
from mbn.predict import Times
from mbn.report.table import UNKNOWN, number, titled
from mbn.target import Board, find_board

RUNS = Path("out") / "paper" / "device.jsonl"
EMULATED = ("qemu", "qemu-m7", "qemu-m55")
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
        )


def runs_of(path: Path, console: Console) -> Mapping[Key, Run]:
    """Of the file, and of what comes with the compiler; prints what was ignored of them."""
    found = [device_runs.bundled(), device_runs.read(path)]
    for reason in (reason for runs in found for reason in runs.ignored):
        console.print(f"warning: {reason}", markup=False)
    return {**found[0].known, **found[1].known}


def progress_of(console: Console) -> Progress:
    """A bar of things done, where there is a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


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
        )
    console.print(f"{len(made)} runs; wrote {arguments.runs}")


def show(found: Device, wanted: Sequence[Board], console: Console) -> None:
    """A table a core, what fits which board, and times on the boards asked for."""
    for table in core_tables(found):
        console.print(table)
    console.print(NOTE)
    if wanted:
        for board in wanted:
            console.print(board_table(board, [r for r in found.boards if r.board == board]))
        console.print(BOARD_NOTE)
    else:
        console.print(fit_matrix(found))
        console.print(FIT_NOTE)


NOTE = (
    "flash: of the check firmware, weights included. RAM: its arena, its own data and the stack, by"
    " input mode.\nCycles are modelled for zero-wait memory. n/n exact: ran in emulation, every bit"
    " of n samples compared,\ninstructions counted; off: by how much the cycles predicted before"
    " were above those. planned: nothing ran.\nWeights are drawn; on the M55 a network whose"
    " depthwise multipliers exceed one half takes up to 13 % more.\n"
)
FIT_NOTE = (
    "Predicted for zero-wait memory; s: fits only with --optimise size; otherwise what it lacks."
    " - no model of the core.\n--board B... has the bounds with wait states and inferences per"
    " second. No energy: no figure of it was measured."
)
BOARD_NOTE = (
    "Predicted, not measured. Wait states: from, with all code in the cache or prefetched in time;"
    " to, with neither.\nPer second: at zero wait, and at those bounds."
)


def core_tables(found: Device) -> list[Table]:
    """Of each core: what every size takes on it."""
    boards = dict.fromkeys(row.stream.board.name for row in found.cores)
    return [
        core_table([row for row in found.cores if row.stream.board.name == name]) for name in boards
    ]


def core_table(rows: Sequence[CoreRow]) -> Table:
    """The sizes on one core."""
    board = rows[0].stream.board
    table = titled(f"{board.core.name} ({board.name}), {CLASSES} classes")
    for column in ("size", "MACs", "flash", "RAM, stream", "RAM, whole", "instructions"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("cycles", "/MAC", "off"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("run", no_wrap=True)
    for row in rows:
        cycles, off = row.cycles, row.off_percent
        table.add_row(
            row.size.name,
            f"{row.stream.macs:,}",
            f"{row.flash_bytes:,}",
            f"{row.stream.ram_bytes:,}",
            f"{row.whole.ram_bytes:,}",
            number(row.instructions),
            number(cycles),
            UNKNOWN if cycles is None else f"{cycles / row.stream.macs:.3f}",
            UNKNOWN if off is None else f"{off:+.1f} %",
            row.how,
        )
    return table


def fit_matrix(found: Device) -> Table:
    """Sizes by boards: milliseconds where it fits, what is lacking where not."""
    boards = {row.board.name: row.board for row in found.boards}
    table = titled("What fits, and milliseconds at zero wait")
    table.add_column("size", justify="right", no_wrap=True)
    for board in boards.values():
        table.add_column(short_name(board), justify="right")
    for size in dict.fromkeys(row.size for row in found.boards):
        cells = [fit_cell(row) for row in found.boards if row.size == size]
        table.add_row(size.name, *cells)
    clocks = [f"{board.clock_hz / 1e6:g}" for board in boards.values()]
    table.add_row("MHz", *clocks)
    return table


def short_name(board: Board) -> str:
    """As the matrix heads its columns: nucleo_f446re is f446re."""
    return board.name.split("_")[-2 if board.name.endswith("_q") else -1]


def fit_cell(row: BoardRow) -> str:
    """Of the matrix."""
    if row.cost is None:
        return "+".join(row.lacks)
    mark = "s " if row.cost.optimise == "size" else ""
    times = row.times
    return f"{mark}{UNKNOWN if times is None else f'{times.zero_wait_ms:.0f}'}"


def board_table(board: Board, rows: Sequence[BoardRow]) -> Table:
    """Every size on a board, with times and their bounds."""
    table = titled(f"{board.name}: {board.core.name} at {board.clock_hz / 1e6:g} MHz")
    for column in ("size", "flash", "RAM", "fits", "cycles", "zero wait"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("with waits, from", "to", "per second", "with waits"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        cost, times = row.cost, row.times
        if cost is None:
            table.add_row(row.size.name, "", "", f"no: {' and '.join(row.lacks)}")
            continue
        cells = [row.size.name, f"{cost.flash_bytes:,}", f"{cost.ram_bytes:,}"]
        cells += ["yes" if cost.optimise == "speed" else f"by {cost.optimise}"]
        cells += [number(cost.cycles)]
        table.add_row(*cells, *time_cells(times))
    return table


def time_cells(times: Times | None) -> list[str]:
    """Milliseconds and inferences per second, at zero wait and with wait states."""
    if times is None:
        return [UNKNOWN] * 5
    zero, low, high = times.zero_wait_ms, times.lower_ms, times.upper_ms
    if not times.wait_states:
        return [f"{zero:.1f} ms", UNKNOWN, UNKNOWN, f"{1000 / zero:.2f}", UNKNOWN]
    bounds = f"{1000 / high:.2f} to {1000 / low:.2f}"
    return [f"{zero:.1f} ms", f"{low:.1f} ms", f"{high:.1f} ms", f"{1000 / zero:.2f}", bounds]


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
        "optimise": None if cost is None else cost.optimise,
        "flash_bytes": None if cost is None else cost.flash_bytes,
        "ram_bytes": None if cost is None else cost.ram_bytes,
        "cycles": None if cost is None else cost.cycles,
        "times": None
        if times is None
        else {**asdict(times), "inferences_per_second": 1000 / times.zero_wait_ms},
    }
