"""mbn-paper: the MobileNets paper counted, trained and measured again.

What enters: arguments. What leaves: what each of its commands prints and writes. Always holds: a
command is a module of its own, `NAME.py`, with `add` (its arguments) and `run`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mbn.cli.run import guarded
from mbn.core.errors import exit_codes
from mbn_paper.cli import device as paper_device
from mbn_paper.cli import heads as paper_heads
from mbn_paper.cli import page as paper_page
from mbn_paper.cli import study as paper_study
from mbn_paper.cli import tables as paper_tables

EXAMPLES = """examples:
  mbn-paper tables              # tables 1 to 14 and the 16 models, ours beside the paper's
  mbn-paper tables 2 8 9        # some of them
  mbn-paper tables --json       # for scripts
  mbn-paper study               # tables 4 to 7 trained on small images: what came of it
  mbn-paper device              # all sizes on M4, M7 and M55, and the boards that they fit
  mbn-paper device 0.25-96 --board stm32 nucleo_h743zi
  mbn-paper device --run 0.25-96 --on qemu    # run it bit-exact in emulation, and keep what it took
  mbn-paper heads               # the heads of sections 4.3 to 4.7, trained small, run bit by bit
  mbn-paper heads --recorded    # the same, as recorded
  mbn-paper page                # all of it as one HTML page, out/paper.html
"""

INTERRUPTED = "interrupted; the same command goes on where it was"


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-paper",
        description="The MobileNets paper (arXiv 1704.04861), again, from our definitions.",
        epilog=EXAMPLES + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(dest="command", required=True)
    paper_tables.add(commands)
    paper_study.add(commands)
    paper_device.add(commands)
    paper_heads.add(commands)
    paper_page.add(commands)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-paper", lambda: int(arguments.run(arguments)), interrupted=INTERRUPTED)
