"""mbn-compile --release and --export: from arguments to a release folder, or a library.

What enters: mbn-compile's arguments, what it compiled. What leaves: a folder, and what to do with
it. Always holds: arguments that make no sense are refused before anything is compiled.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.console import Console

import mbn
from mbn.cli.run import ConsoleTeller
from mbn.core.errors import UsageError

if TYPE_CHECKING:
    from mbn.jobs.compile import Job


def check(arguments: argparse.Namespace) -> None:
    """Raises `UsageError`, `ReleaseError` for a release or an export that can't be made."""
    if arguments.export is None and arguments.name is not None:
        raise UsageError("--name alone", wanted="--export with it")
    if arguments.export is not None and (arguments.check or arguments.release):
        raise UsageError(
            "--export with --check or --release", wanted="one of them: an export builds no firmware"
        )
    if arguments.release is None:
        if arguments.sign is not None or arguments.slot is not None:
            raise UsageError("--sign or --slot alone", wanted="--release VERSION with them")
        return
    if arguments.sign is None:
        raise UsageError(
            "--release without a key: nobody could tell it from another's",
            wanted="--sign KEY",
            advice=f"A key is made once: {mbn.key_advice()}",
        )
    mbn.check_release(arguments.release, arguments.sign)


def export_library(job: Job, arguments: argparse.Namespace, console: Console) -> None:
    """Writes the library and says where."""
    tell = ConsoleTeller(console)
    folder = mbn.export(job, arguments.export, name=arguments.name, progress=tell)
    console.print(f"wrote  {folder}: README.md tells how a project takes it")


def ship(compiled: mbn.Compiled, arguments: argparse.Namespace, console: Console) -> None:
    """Writes the release and says where."""
    slot = None if arguments.slot is None else (arguments.slot[0], arguments.slot[1])
    folder = compiled.release(
        arguments.release, arguments.sign, slot=slot, progress=ConsoleTeller(console)
    )
    console.print(f"wrote  {folder}")
    console.print(f"       mbn-verify {folder} --key public.pem")
