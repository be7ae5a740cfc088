"""The interface of every flasher: erase, write, verify, reset, in this order.

A flasher is a context manager that releases its port, process or drive. A step ends within its
deadline. Every failure is a `FlashError`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mbn.core.errors import FlashError

Part = tuple[int, bytes]  # address, what lies there
Tick = Callable[[int, int], None]  # bytes done, of


class Deadline:
    """The end of a step."""

    def __init__(self, limit_s: float, what: str) -> None:
        self.limit_s = limit_s
        self.what = what
        self._end = time.monotonic() + limit_s

    def left(self) -> float:
        """Seconds, never negative."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raises `FlashError` when it has passed."""
        if self.left() == 0.0:
            raise self.passed()

    def passed(self, last: str = "") -> FlashError:
        """The error for a step that took too long. `last`: what was waited for."""
        tail = f": {last}" if last else ""
        return FlashError(
            f"{self.what} did not end within {self.limit_s:g} s{tail}",
            advice="Is the board powered and connected?",
        )


class Flasher(ABC):
    """One method to flash a board. `port` is where its image answers afterwards, if the flasher
    knows."""

    name: str  # of target.METHODS
    reads_back: bool = True  # False: only the image's own identity proves it
    port: str | None = None

    @abstractmethod
    def describe(self) -> str:
        """What it uses, in words: a probe, a port, a drive."""

    @abstractmethod
    def limits(self, size_bytes: int) -> dict[str, float]:
        """Seconds for each step, for an image of that size."""

    @abstractmethod
    def connect(self, deadline: Deadline) -> None:
        """Connects to the board; called again after a failed step."""

    @abstractmethod
    def erase(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        """Erases what the parts need and no more."""

    @abstractmethod
    def write(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        """Writes the parts."""

    @abstractmethod
    def verify(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        """Reads back and compares."""

    @abstractmethod
    def reset(self, deadline: Deadline) -> None:
        """Starts the image."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Releases what it holds. Does nothing if it holds nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def differs(where: int, found: bytes, wanted: bytes) -> FlashError | None:
    """The error for a comparison, with the first address that differs; None if both are equal."""
    if found == wanted:
        return None
    short = min(len(found), len(wanted))
    at = next((k for k in range(short) if found[k] != wanted[k]), short)
    got = f"{found[at]:#04x}" if at < len(found) else "nothing"
    return FlashError(
        f"read back at {where + at:#010x}: {got}",
        wanted=f"{wanted[at]:#04x}" if at < len(wanted) else "nothing",
        advice="Is that sector write-protected, or the flash worn out?",
    )
