"""What every command does around its work.

What enters: a command's function. What leaves: an exit code. Always holds: an MbnError, or a file
or folder that can't be used, is one paragraph on standard error and exit code 2; Ctrl-C is 130 and
leaves no process behind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mbn.errors import MbnError, UsageError

INTERRUPTED = 130
LOG_COLUMNS = 120  # where the output is no terminal


def console(*, quiet: bool) -> Console:
    """Where a command prints: as wide as the terminal, and wide enough for tables in a log."""
    width = None if sys.stdout.isatty() else LOG_COLUMNS
    return Console(quiet=quiet, highlight=False, width=width)


def progress_of(console: Console) -> Progress:
    """A bar of things done, where there is a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def not_installed(package: str, does: str, extra: str) -> UsageError:
    """An extra that only some commands need, and that is not there."""
    return UsageError(
        f"{package}, {does}, is not installed",
        advice=f'Install it with: pip install "mbn-edge[{extra}]"',
    )


def guarded(name: str, work: Callable[[], int], *, interrupted: str = "interrupted") -> int:
    """Runs a command; returns its exit code. `interrupted`: what Ctrl-C prints."""
    try:
        return work()
    except MbnError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.filename is None:
            raise
        print(f"{name}: {error.filename}: {error.strerror}.", file=sys.stderr)
        return MbnError.exit_code
    except KeyboardInterrupt:
        print(f"{name}: {interrupted}", file=sys.stderr)
        return INTERRUPTED
