"""What every command does around its work.

What enters: a command's function. What leaves: an exit code, one of `errors.EXIT_CODES`. Always
holds: what the user, the disk or a file is to blame for is one paragraph on standard error, never a
traceback; what can't be written in the terminal's encoding is replaced; Ctrl-C and a closed pipe
leave no process behind.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mbn.core.errors import CLOSED_PIPE, INTERRUPTED, MbnError, UsageError
from mbn.core.installing import advice
from mbn.core.telling import Step, Teller
from mbn.report.sheet import WIDEST

__all__ = [
    "ConsoleTeller",
    "console",
    "console_of",
    "escape",
    "guarded",
    "not_installed",
    "progress_of",
]

# What files and disks do, besides OSError and MbnError. A ValueError of our own stays a bug.
_DAMAGE = (UnicodeError, zipfile.BadZipFile, Image.DecompressionBombError, EOFError)
_NOTES = logging.getLogger("mbn")


class _Console(Console):
    """rich's own ends with code 1 where nobody reads, and eats [words in brackets], which paths and
    names may hold: here text is text, styled by `style` alone."""

    def print(self, *objects: Any, **options: Any) -> None:
        if all(isinstance(one, str) for one in objects):
            options.setdefault("markup", False)
        super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(*, quiet: bool) -> Console:
    """Where a command prints: as wide as the terminal; nothing is wrapped elsewhere."""
    for handler in _NOTES.handlers:
        if isinstance(handler, _Notes):
            handler.setLevel(logging.ERROR if quiet else logging.WARNING)
    width = None if sys.stdout.isatty() else WIDEST
    return _Console(quiet=quiet, highlight=False, width=width)


def console_of(arguments: argparse.Namespace) -> Console:
    """`console` as --quiet, --verbose and --json want it."""
    made = console(quiet=arguments.quiet or arguments.json)
    if arguments.verbose:
        for handler in _NOTES.handlers:
            handler.setLevel(logging.DEBUG)
        _NOTES.setLevel(logging.DEBUG)
    return made


def progress_of(console: Console) -> Progress:
    """A bar of things done, where there is a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


class ConsoleTeller(Teller):
    """Prints what a job says, and shows bars where there is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str, style: str | None = None) -> None:
        self._console.print(text, markup=False, style=style)

    @contextlib.contextmanager
    def task(self, what: str, total: int | None = None) -> Iterator[Step]:
        begun = time.monotonic()
        with progress_of(self._console) as bar:
            task = bar.add_task(what, total=total)

            def step(done: int, of: int | None = None, doing: str | None = None) -> None:
                bar.update(task, completed=done, total=of or total, description=doing or what)

            yield step
        _NOTES.debug("%s: %.1f s", what, time.monotonic() - begun)


def not_installed(package: str, does: str, extra: str) -> UsageError:
    """An extra that only some commands need, and that is not there."""
    return UsageError(f"{package}, {does}, is not installed", advice=advice(extra))


def guarded(name: str, work: Callable[[], int], *, interrupted: str = "interrupted") -> int:
    """Runs a command; returns its exit code. `interrupted`: what Ctrl-C prints."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    notes = _Notes(name)
    _NOTES.addHandler(notes)
    _NOTES.propagate = False
    try:
        code = _coded(name, work, interrupted)
        try:
            sys.stdout.flush()  # here, and not by the interpreter after all words were said
        except OSError as error:
            _drop_output()
            return _failed_write(name, error)
        return code
    finally:
        _NOTES.setLevel(logging.NOTSET)
        _NOTES.removeHandler(notes)
        _NOTES.propagate = True


def _coded(name: str, work: Callable[[], int], interrupted: str) -> int:
    try:
        return work()
    except MbnError as error:
        _say(f"{name}: {error}")
        return error.exit_code
    except BrokenPipeError as error:
        if error.filename is None:
            _drop_output()
        return _failed_write(name, error)
    except OSError as error:
        return _failed_write(name, error)
    except _DAMAGE as error:
        _say(f"{name}: something that was read is damaged: {error or type(error).__name__}.")
        return MbnError.exit_code
    except KeyboardInterrupt:
        _say(f"{name}: {interrupted}")
        return INTERRUPTED


def _failed_write(name: str, error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return CLOSED_PIPE
    place = "" if error.filename is None else f"{error.filename}: "
    _say(f"{name}: {place}{error.strerror or error}.")
    if error.filename is None:
        _drop_output()
    return MbnError.exit_code


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _drop_output() -> None:
    """What is still to be written would fail again when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class _Notes(logging.Handler):
    """Prints what the package notes, each once."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.WARNING)
        self._name, self._said = name, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self._said:
            self._said.add(text)
            _say(f"{self._name}: {text}")
