"""mbn-report: one HTML page of what was compiled and checked.

What enters: folders with a report.json. What leaves: a file that needs nothing else. Always holds:
the same data give the same bytes; nothing is run; a folder without a report is an error, never an
empty page.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import mbn
from mbn.cli.arguments import command, say_json
from mbn.cli.comparing import compared
from mbn.cli.run import console, console_of, guarded
from mbn.core.errors import UsageError

OUT = Path("out")
PAGE = OUT / "report.html"
EXAMPLES = """examples:
  mbn-report                    # all that is in out/
  mbn-report out/qemu           # what was compiled there
  mbn-report --compare before/ after/    # flash, RAM and cycles of two builds
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-report",
        "Write one HTML page of tables and plots; it works offline and prints.",
        EXAMPLES,
    )
    made.add_argument(
        "folders",
        nargs="*",
        type=Path,
        help=f"with report.json, or above such; default {OUT}",
    )
    made.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("A", "B"),
        help="write no page: print what differs between two builds",
    )
    made.add_argument("--output", type=Path, metavar="FILE", help=f"default {PAGE}")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-report", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Writes the page and says so."""
    if arguments.compare is not None:
        if arguments.folders or arguments.output is not None:
            raise UsageError("--compare with folders or --output", wanted="two folders alone")
        table, data = compared(*arguments.compare)
        console_of(arguments).print(table)
        say_json(arguments, data)
        return 0
    silent = arguments.quiet or arguments.json
    output = arguments.output or PAGE
    write(mbn.report_page(arguments.folders or [OUT]), output, quiet=silent)
    say_json(arguments, {"page": output})
    return 0


def write(text: str, path: Path, *, quiet: bool) -> None:
    """Writes a page and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    console(quiet=quiet).print(f"wrote  {path} ({path.stat().st_size:,} bytes)")
