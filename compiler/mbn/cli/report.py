"""mbn-report: one HTML page of what was compiled and checked, and of the paper.

What enters: folders with a report.json, or --paper. What leaves: a file that needs nothing else.
Always holds: the same data give the same bytes; nothing is run; a folder without a report is an
error, never an empty page.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mbn.cli.run import console as run_console
from mbn.cli.run import guarded
from mbn.core.errors import UsageError, exit_codes
from mbn.core.installing import advice
from mbn.paper import results
from mbn.report.record import FILE_NAME

if TYPE_CHECKING:
    from mbn.page import whole

OUT = Path("out")
PAGE = OUT / "report.html"
PACKAGES = ("matplotlib", "jinja2", "torch")  # torch: to count the paper's tables
EXAMPLES = """examples:
  mbn-report                    # the paper's page, and all that is in out/
  mbn-report out/qemu           # what was compiled there
  mbn-report --paper            # tables, study and models on microcontrollers alone
  mbn-report --paper 0.25-96 1-224 --output paper.html
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-report",
        description="Write one HTML page of tables and plots; it works offline and prints.",
        epilog=EXAMPLES + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("folders", nargs="*", type=Path, help="with report.json, or above such")
    made.add_argument(
        "--paper",
        nargs="*",
        metavar="SIZE",
        help="the paper's tables, study and models on microcontrollers; of these sizes, or all",
    )
    made.add_argument(
        "--study", type=Path, metavar="DIR", help="a study of your own (out/study/DATA)"
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
    console = run_console(quiet=arguments.quiet)
    folders = list(arguments.folders)
    both = not folders and arguments.paper is None
    if both and any(OUT.rglob(FILE_NAME)):
        folders = [OUT]
    if arguments.study is not None and not (arguments.study / results.RESULTS).exists():
        raise UsageError(
            f"{arguments.study} has no {results.RESULTS}",
            wanted="the folder of a study",
            advice="Train one: mbn-paper study --data DATA",
        )
    sizes = [] if both or (arguments.study and not folders) else arguments.paper
    text = page_of(folders, sizes, arguments.study, console)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(text, encoding="utf-8")
    console.print(f"wrote  {arguments.output} ({arguments.output.stat().st_size:,} bytes)")
    return 0


def page_of(
    folders: Sequence[Path], sizes: Sequence[str] | None, study: Path | None, console: Console
) -> str:
    """The page's HTML. sizes: of the paper's part, none for all; None: without it. study: a
    study's folder; None: the bundled one."""
    try:
        # matplotlib, Jinja2 and torch, which the other commands do without
        from mbn.page import whole  # noqa: PLC0415
        from mbn.report.page import compiled  # noqa: PLC0415

        found = compiled.find(folders)
        return whole.page(found, None if sizes is None else paper_of(sizes, study, console))
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise UsageError(
            f"{package} is not installed",
            wanted="the packages that make the page",
            advice=advice("report,train"),
        ) from error


def paper_of(sizes: Sequence[str], study: Path | None, console: Console) -> whole.Paper:
    """Counts the paper's tables, reads the study, plans the models."""
    from mbn.cli import paper_device  # noqa: PLC0415
    from mbn.page.whole import Paper  # noqa: PLC0415
    from mbn.paper.device import SIZES  # noqa: PLC0415
    from mbn.paper.tables import TABLES  # noqa: PLC0415

    wanted = [paper_device.size_of(text) for text in sizes] or list(SIZES)
    return Paper(
        tuple(make() for make in TABLES.values()),
        results.read(study / results.RESULTS if study else results.BUNDLED),
        results.read_log(study / results.LOG if study else results.BUNDLED_LOG),
        paper_device.planned(wanted, (), paper_device.RUNS, console),
    )
