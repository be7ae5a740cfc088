"""The record: what the recorded networks cost, kept as data and never exceeded unseen.

What enters: record.json beside this file, and fresh figures of the emulated M4, M7 and M55 (this
command's own builds). What leaves: a table of changes. Always holds: instructions, flash or arena
of more than 0.5 % above the record make the exit code 1; a figure that fell is told, not refused.
Equal bits are another test's business (mbn-compile --check).

    ./dev python benchmarks/record.py             # compares all nine
    ./dev python benchmarks/record.py --quick     # five: network `a` on each core, others on the M4
    ./dev python benchmarks/record.py --update    # rewrites record.json
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mbn.cli import compile as compile_command
from mbn.cli.run import guarded
from mbn.core.boards import find_board
from mbn.core.errors import UsageError
from mbn.core.telling import SILENT
from mbn.image.build.tools import compiler_version
from mbn.jobs import compile as compile_job

RECORD = Path(__file__).with_name("record.json")
NETWORKS = {
    "a": "--alpha 0.25 --classes 2 --weights random:1 --keep-constant",
    "bundled": "--alpha 0.25 --data digits",
    "128": "--alpha 0.25 --resolution 128 --classes 2 --weights random:1",
}
BOARDS = ("qemu", "qemu-m7", "qemu-m55")
QUICK = (("a", "qemu"), ("a", "qemu-m7"), ("a", "qemu-m55"), ("bundled", "qemu"), ("128", "qemu"))
HELD = ("instructions", "flash_bytes", "arena_bytes")  # modelled cycles are told only
TOLERANCE_PERCENT = 0.5
UPDATE = "./dev python benchmarks/record.py --update"

Figures = dict[str, int]  # by name: instructions, modelled_cycles, flash_bytes, arena_bytes
Record = dict[str, dict[str, Figures]]  # by network, by board


def measured(network: str, board: str, folder: Path) -> Figures:
    """One inference in emulation, image rows streamed; bytes of the check firmware."""
    arguments = compile_command.parser().parse_args(
        [
            "--board",
            board,
            "--samples",
            "1",
            "--output",
            str(folder),
            *shlex.split(NETWORKS[network]),
        ]
    )
    quiet = SILENT
    job = compile_command.job_of(arguments, find_board(board))
    compiled = compile_job.compile_image(job, quiet)
    total, memory = compile_job.measure(compiled, quiet).total, compiled.report.memory
    if total.modelled_cycles is None:
        raise UsageError("cycles can't be modelled here", advice="apt-get install llvm")
    return {
        "instructions": total.instructions,
        "modelled_cycles": total.modelled_cycles,
        "flash_bytes": memory.flash_bytes,
        "arena_bytes": memory.arena_bytes,
    }


def load(path: Path) -> tuple[str, Record]:
    """The compiler that the record was made with, and its figures."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return str(data["compiler"]), dict(data["networks"])
    except FileNotFoundError:
        return "", {}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path.name} is not a record: {error}", advice=UPDATE) from error


def save(path: Path, compiler: str, record: Record) -> None:
    data = {"compiler": compiler, "networks": record}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def change_percent(old: int, new: int) -> float:
    return 100 * (new / old - 1)


def exceeded(old: Mapping[str, int], new: Mapping[str, int]) -> list[str]:
    """The held figures that rose beyond the tolerance, in words."""
    return [
        f"{name} {old[name]:,} -> {new[name]:,} ({change_percent(old[name], new[name]):+.2f} %)"
        for name in HELD
        if change_percent(old[name], new[name]) > TOLERANCE_PERCENT
    ]


def row(network: str, board: str, old: Mapping[str, int] | None, new: Mapping[str, int]) -> str:
    """A line of the table: each figure, and its change against the record."""

    def cell(name: str) -> str:
        if old is None:
            return f"{new[name]:,} (new)"
        change = change_percent(old[name], new[name])
        return f"{new[name]:,}" + (f" ({change:+.2f} %)" if new[name] != old[name] else "")

    return f"| {network} | {board} | " + " | ".join(cell(name) for name in new) + " |"


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints, compares or updates."""
    compiler, record = load(arguments.record)
    here = f"arm-none-eabi-gcc {compiler_version('arm-none-eabi-gcc')}"
    pairs = QUICK if arguments.quick else [(n, b) for n in NETWORKS for b in BOARDS]
    print("| network | board | instructions | modelled cycles | flash | arena |")
    print("|---|---|--:|--:|--:|--:|")
    fresh: Record = {}
    risen: list[str] = []
    for network, board in pairs:
        with tempfile.TemporaryDirectory() as folder:
            new = measured(network, board, Path(folder))
        fresh.setdefault(network, {})[board] = new
        old = record.get(network, {}).get(board)
        print(row(network, board, old, new), flush=True)
        if old is not None:
            risen += [f"{network} on {board}: {what}" for what in exceeded(old, new)]
        elif not arguments.update:
            risen.append(f"{network} on {board}: not in the record")
    if arguments.update:
        for network, boards in fresh.items():
            record.setdefault(network, {}).update(boards)
        save(arguments.record, here, record)
        print(f"wrote {arguments.record.name}")
        return 0
    return verdict(risen, compiler, here)


def verdict(risen: list[str], compiler: str, here: str) -> int:
    """Prints what is beyond the record and what to do; the exit code."""
    if not risen:
        print(f"Nothing is more than {TOLERANCE_PERCENT} % above the record.")
        return 0
    print(f"More than {TOLERANCE_PERCENT} % above the record:\n  " + "\n  ".join(risen))
    if compiler != here:
        print(f"The record was made with {compiler}; this is {here}.")
    print(f"If that is meant, commit a new record with the change: {UPDATE}")
    return 1


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="five of the nine")
    parser.add_argument("--update", action="store_true", help="rewrite the record")
    parser.add_argument("--record", type=Path, default=RECORD, help="another file")
    arguments = parser.parse_args()
    return guarded("record", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
