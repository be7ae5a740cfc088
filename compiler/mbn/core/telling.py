"""How a job reports progress: lines of text, and how far it is.

A job never prints. It calls a `Teller`: the base class is silent, a command's writes to the
console, and the Python API's calls the user's function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Step(Protocol):
    """How far a task is. `of`: the total, if it is known only now; `doing`: a new description."""

    def __call__(self, done: int, of: int | None = None, doing: str | None = None) -> None: ...


class Teller:
    """Reports to nobody. A class that shows something overrides both methods."""

    def say(self, text: str, style: str | None = None) -> None:
        """Shows a line. `style`: a colour or "bold", if they are available."""

    @contextmanager
    def task(self, what: str, total: int | None = None) -> Iterator[Step]:
        """Starts work that takes a while. It yields a function to call as the work goes on."""
        yield _untold


def _untold(done: int, of: int | None = None, doing: str | None = None) -> None:
    """Ignores all progress."""


class Listener(Teller):
    """Keeps what is said and calls `progress(what, done, of)`; `of` is 0 where it is not known."""

    def __init__(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        self.said: list[str] = []
        self._progress = progress

    def say(self, text: str, style: str | None = None) -> None:
        self.said.append(text)

    @contextmanager
    def task(self, what: str, total: int | None = None) -> Iterator[Step]:
        call = self._progress
        if call is None:
            yield _untold
            return

        def told(done: int, of: int | None = None, doing: str | None = None) -> None:
            call(doing or what, done, of or total or 0)

        told(0)
        yield told


SILENT = Teller()
