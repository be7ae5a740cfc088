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
from mbn.cli.run import console as run_console
from mbn.cli.run import guarded
from mbn.core.errors import exit_codes

OUT = Path("out")
PAGE = OUT / "report.html"
EXAMPLES = """examples:
  mbn-report                    # all that is in out/
  mbn-report out/qemu           # what was compiled there
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-report",
        description="Write one HTML page of tables and plots; it works offline and prints.",
        epilog=EXAMPLES + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "folders",
        nargs="*",
        type=Path,
        default=[OUT],
        help=f"with report.json, or above such; default {OUT}",
    )
    made.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help=f"default {PAGE}")
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-report", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Writes the page and says so."""
    write(mbn.report_page(arguments.folders), arguments.output, quiet=arguments.quiet)
    return 0


def write(text: str, path: Path, *, quiet: bool) -> None:
    """Writes a page and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    run_console(quiet=quiet).print(f"wrote  {path} ({path.stat().st_size:,} bytes)")
