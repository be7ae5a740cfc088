"""mbn-paper page: one HTML page of the paper's tables, its study, its models on microcontrollers.

What enters: sizes, a study's folder, folders that mbn-compile wrote. What leaves: a file that needs
nothing else. Always holds: the same data give the same bytes; nothing is trained or run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mbn.api.making import PAGE_PACKAGES, missing
from mbn.cli import report
from mbn.cli.run import console as run_console
from mbn.core.errors import UsageError
from mbn_paper.study import results

if TYPE_CHECKING:
    from mbn_paper.page import whole

PAGE = report.OUT / "paper.html"
PACKAGES = (*PAGE_PACKAGES, "torch")  # torch: to count the paper's tables


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    made = commands.add_parser(
        "page", help="all of it as one HTML page", description="Write the paper's page."
    )
    made.add_argument("sizes", nargs="*", metavar="SIZE", help="of the family, as 0.25-96; or all")
    made.add_argument(
        "--study", type=Path, metavar="DIR", help="a study of your own (out/study/DATA)"
    )
    made.add_argument(
        "--compiled",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders of mbn-compile, to be shown behind the paper's part",
    )
    made.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help=f"default {PAGE}")
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the page and says so."""
    study = arguments.study
    if study is not None and not (study / results.RESULTS).exists():
        raise UsageError(
            f"{study} has no {results.RESULTS}",
            wanted="the folder of a study",
            advice="Train one: mbn-paper study --data DATA",
        )
    console = run_console(quiet=arguments.quiet)
    text = page_of(arguments.compiled, arguments.sizes, study, console)
    report.write(text, arguments.output, quiet=arguments.quiet)
    return 0


def page_of(
    folders: Sequence[Path], sizes: Sequence[str], study: Path | None, console: Console
) -> str:
    """The page's HTML. sizes: none for all. study: a study's folder; None: the bundled one."""
    try:
        # matplotlib, Jinja2 and torch, which the other commands do without
        from mbn.report.page import compiled  # noqa: PLC0415
        from mbn_paper.page import whole  # noqa: PLC0415

        return whole.page(compiled.find(folders), paper_of(sizes, study, console))
    except ImportError as error:
        raise missing(error, PACKAGES, "report,train") from error


def paper_of(sizes: Sequence[str], study: Path | None, console: Console) -> whole.Paper:
    """Counts the paper's tables, reads the study, plans the models."""
    from mbn_paper.cli import device  # noqa: PLC0415
    from mbn_paper.counts.tables import TABLES  # noqa: PLC0415
    from mbn_paper.device.entries import SIZES  # noqa: PLC0415
    from mbn_paper.page.whole import Paper  # noqa: PLC0415

    wanted = [device.size_of(text) for text in sizes] or list(SIZES)
    return Paper(
        tuple(make() for make in TABLES.values()),
        results.read(study / results.RESULTS if study else results.BUNDLED),
        results.read_log(study / results.LOG if study else results.BUNDLED_LOG),
        device.planned(wanted, (), device.RUNS, console),
    )
