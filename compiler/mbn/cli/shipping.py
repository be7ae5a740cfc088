"""mbn-compile --release and --export: from arguments to a release folder, or a library.

What enters: mbn-compile's arguments, what it compiled. What leaves: a folder, and what to do with
it. Always holds: arguments that make no sense are refused before anything is compiled.
"""

from __future__ import annotations

import argparse

from rich.console import Console

from mbn.core.errors import ReleaseError, UsageError
from mbn.jobs.compile import Compiled, Job


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
    # its packages are an extra
    from mbn.image.release.signing import KEY_ADVICE, load_key  # noqa: PLC0415
    from mbn.jobs.release import check_version  # noqa: PLC0415

    check_version(arguments.release)
    if arguments.sign is None:
        raise UsageError(
            "--release without a key: nobody could tell it from another's",
            wanted="--sign KEY",
            advice=f"A key is made once: {KEY_ADVICE}",
        )
    if load_key(arguments.sign).private is None:
        raise ReleaseError("is a public key", wanted="the private one", node=str(arguments.sign))


def export_library(job: Job, arguments: argparse.Namespace, console: Console) -> None:
    """Writes the library and says where."""
    from mbn.jobs.export import export  # noqa: PLC0415

    folder = export(job, arguments.export, console, arguments.name)
    console.print(f"wrote  {folder}: README.md tells how a project takes it")


def ship(compiled: Compiled, arguments: argparse.Namespace, console: Console) -> None:
    """Writes the release and says where."""
    from mbn.jobs.release import release  # noqa: PLC0415

    slot = None if arguments.slot is None else (arguments.slot[0], arguments.slot[1])
    folder = release(compiled, arguments.release, arguments.sign, console, slot=slot)
    console.print(f"wrote  {folder}")
    console.print(f"       mbn-verify {folder} --key public.pem")
