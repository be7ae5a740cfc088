"""mbn-paper heads: the heads of the paper's sections 4.3 to 4.7, trained small and run on a board.

What enters: heads' names, a board. What leaves: a table, or JSON. Always holds: exit code 0 means
that every result of every checked picture was the reference's in every bit.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table as Shown

from mbn.cli.run import console as run_console
from mbn.cli.run import not_installed, progress_of
from mbn.core.boards import find_board
from mbn.core.errors import UsageError
from mbn.core.telling import SILENT
from mbn.report.sheet import Sheet
from mbn.report.table import number
from mbn_paper.heads.spec import HEADS, Head

RECORDED = "heads.json"  # in mbn_paper/data, with the command that made it


def add(commands: Any) -> None:
    """Adds the command to the subparsers of mbn-paper."""
    made = commands.add_parser(
        "heads", help="the heads of sections 4.3 to 4.7: trained at toy scale, run bit by bit"
    )
    made.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(HEADS)}")
    made.add_argument("--board", default="qemu", help="where they run (default qemu)")
    made.add_argument("--samples", type=int, default=10, help="pictures to check (default 10)")
    made.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[1],
        metavar="SEED",
        help="of trainings: as many networks of each head (default 1)",
    )
    made.add_argument("--steps", type=int, help="of training, in the place of each head's own")
    made.add_argument("--recorded", action="store_true", help="print the recorded figures")
    made.add_argument("--json", action="store_true", help="as JSON")
    made.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=Path("out") / "heads",
        help="keeps the trained networks; goes on where it was interrupted (default out/heads)",
    )
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains, compiles, checks and prints; 1 where a bit differed."""
    unknown = [name for name in arguments.names if name not in HEADS]
    if unknown:
        raise UsageError(f"no head {', '.join(unknown)}", wanted=", ".join(HEADS))
    if min(arguments.samples, *arguments.seeds) < 1 or (
        arguments.steps is not None and arguments.steps < 1
    ):
        raise UsageError("--samples, --seeds or --steps below 1", wanted="at least 1")
    heads = [HEADS[name] for name in arguments.names or HEADS]
    console = run_console(quiet=False)
    if arguments.recorded:
        rows = [row for row in recorded()["rows"] if row["head"] in [head.name for head in heads]]
    else:
        if arguments.steps is not None:
            heads = [replace(head, steps=arguments.steps) for head in heads]
        rows = _made(
            [replace(head, seed=seed) for head in heads for seed in arguments.seeds], arguments
        )
    if arguments.json:
        seeds = " ".join(map(str, arguments.seeds))
        made_by = (
            f"mbn-paper heads --board {arguments.board} --samples {arguments.samples} "
            f"--seeds {seeds} --json"
        )
        print(json.dumps({"command": made_by, "board": arguments.board, "rows": rows}, indent=2))
    else:
        console.print(shown(rows))
        console.print(FOOT)
    return 0 if all(row["exact_samples"] == row["samples"] for row in rows) else 1


def recorded() -> dict[str, Any]:
    """The figures that come with the compiler, and the command that made them."""
    text = resources.files("mbn_paper").joinpath("data", RECORDED).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _made(heads: Sequence[Head], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    board = find_board(arguments.board)
    try:
        import torch  # noqa: PLC0415 - an extra, which the arguments' mistakes must not need

        from mbn_paper.heads.run import run_head  # noqa: PLC0415
    except ImportError as error:
        raise not_installed("torch", "which trains networks", "train") from error
    torch.set_num_threads(1)  # sums, and so the networks, depend on it
    rows = []
    for head in heads:
        with progress_of(Console(stderr=True)) as bar:
            task = bar.add_task(head.name, total=head.steps)
            show = partial(_show, bar, task)
            folder = arguments.output / head.name / str(head.seed)
            row = run_head(head, folder, board, arguments.samples, show, SILENT)
            rows.append(asdict(row))
    return rows


def _show(bar: Progress, task: TaskID, what: str, step: int, of: int, loss: float) -> None:
    bar.update(task, completed=step, total=of, description=f"{what}: loss {loss:.3f}")


FOOT = (
    "Percent on pictures of handwriting that no training shows and no tuning was judged by; int8\n"
    "by the exact reference, whose boxes the device's are compared with too.\n"
    "Cycles are modelled for zero-wait memory, not measured on a part. A teacher's figure: *."
)


def shown(rows: Sequence[dict[str, Any]]) -> Shown:
    """The table for the terminal."""
    made = Sheet("The heads of sections 4.3 to 4.7 on the body, at toy scale")
    for title in ("head and seed", "what is measured"):
        made.add_column(title)
    for title in ("float", "int8", "MACs", "params", "arena", "flash", "instr.", "cycles", "exact"):
        made.add_column(title, justify="right")
    for row in rows:
        for at, what in enumerate(row["scores"]):
            figures = [f"{row[f'{kind}_percent'][at]:.1f}" for kind in ("float", "int8")]
            if at == 0 and row["teacher_percent"] is not None:
                figures[0] += f" ({row['teacher_percent']:.1f}*)"
            name = f"{row['section']} {row['head']} {row['seed']}"
            first = [name, *_costs(row)] if at == 0 else [""] * 8
            made.add_row(first[0], what, *figures, *first[1:])
    return made


def _costs(row: dict[str, Any]) -> list[str]:
    keys = ("macs", "params", "arena_bytes", "flash_bytes", "instructions", "cycles")
    boxes = "" if row["boxes"] is None else f", {row['boxes']} boxes"
    return [*(number(row[key]) for key in keys), f"{row['exact_samples']}/{row['samples']}{boxes}"]
