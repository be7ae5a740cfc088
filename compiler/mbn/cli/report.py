"""mbn-report: one HTML page of what was compiled and checked.

What enters: folders with a report.json. What leaves: a file that needs nothing else. Always holds:
the same data give the same bytes; nothing is run; a folder without a report is an error, never an
empty page.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mbn.cli.run import console as run_console
from mbn.cli.run import guarded
from mbn.core.errors import UsageError, exit_codes
from mbn.core.installing import advice

OUT = Path("out")
PAGE = OUT / "report.html"
PACKAGES = ("matplotlib", "jinja2")
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
    text = page_of(arguments.folders)
    write(text, arguments.output, quiet=arguments.quiet)
    return 0


def write(text: str, path: Path, *, quiet: bool) -> None:
    """Writes a page and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    run_console(quiet=quiet).print(f"wrote  {path} ({path.stat().st_size:,} bytes)")


def page_of(folders: Sequence[Path]) -> str:
    """The page's HTML."""
    try:
        # matplotlib and Jinja2, which the other commands do without
        from mbn.report.page import compiled, whole  # noqa: PLC0415
    except ImportError as error:
        raise missing(error, PACKAGES, "report") from error
    from mbn.core.kernel_set import VERSIONS  # noqa: PLC0415

    return whole.page(compiled.find(folders), VERSIONS.values())


def missing(error: ImportError, packages: Sequence[str], extra: str) -> Exception:
    """What to raise where a package of an extra is not installed; the error itself for another."""
    package = (error.name or "").partition(".")[0]
    if package not in packages:
        return error
    return UsageError(
        f"{package} is not installed",
        wanted="the packages that make the page",
        advice=advice(extra),
    )
