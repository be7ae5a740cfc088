"""mbn-verify: whether a release is whole, signed, and agrees with itself.

What enters: a release folder (or one MCUboot image) and a public key. What leaves: a table. Always
holds: exit code 0 means that every check is good, 1 that the release is not to be trusted, 2 that
the user can mend something.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import mbn
from mbn.cli.arguments import command, say_json
from mbn.cli.run import console_of, guarded

if TYPE_CHECKING:
    from mbn.image.release.verify import Verdict

EXAMPLES = """examples:
  mbn-verify out/stm32f405/mine/release-1.2.3 --key public.pem
  mbn-verify update.mcuboot.bin --key public.pem      # one MCUboot image

keys:
  imgtool keygen -t ed25519 -k key.pem                # once; keep key.pem secret, and a copy of it
  imgtool getpub -e pem -k key.pem > public.pem       # for whoever verifies
  imgtool getpub -k key.pem > key.c                   # for MCUboot itself
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-verify", "Check a release of mbn-compile --release, or one MCUboot image.", EXAMPLES
    )
    made.add_argument("release", type=Path, metavar="DIR|IMAGE")
    made.add_argument("--key", type=Path, required=True, metavar="PUB", help="an Ed25519 PEM file")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-verify", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Checks and prints."""
    console = console_of(arguments)
    found = mbn.verify(arguments.release, arguments.key)
    show(found, console)
    say_json(arguments, {"checks": found, "good": all(one.good for one in found)})
    return 0 if all(one.good for one in found) else 1


def show(found: Sequence[Verdict], console: Console) -> None:
    """The table and what it comes to."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("", "what", "found"):
        table.add_column(title, overflow="fold")
    for one in found:
        state = "[green]ok[/]" if one.good else "[bold red]BAD[/]"
        table.add_row(state, escape(one.what), escape(one.words))
    console.print(table)
    bad = sum(not one.good for one in found)
    if bad:
        console.print(f"Not to be trusted: {bad} of {len(found)} checks are bad", style="bold red")
    else:
        console.print(f"Whole: all {len(found)} checks are good", style="bold green")
