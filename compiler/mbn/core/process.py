"""Child processes that end when this one does.

The kernel kills the child if this process dies, for whatever reason (Linux's PR_SET_PDEATHSIG).
Ctrl-C reaches only this process, which then ends the child.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from mbn.core.errors import ToolError

_PR_SET_PDEATHSIG = 1  # prctl(2)
_END_S = 2.0
_LAST_WORDS_S = 0.3
_NOTES = logging.getLogger("mbn")


_KEPT = ("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH")


def clean_environment() -> dict[str, str]:
    """The environment for programs whose output becomes part of a result. Compilers, CMake and
    Ninja take options, paths and programs from dozens of variables (CFLAGS, CPATH, LDFLAGS,
    CMAKE_C_COMPILER_LAUNCHER, ...), which no build id includes; they are left out. Messages are in
    English, since some are parsed."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return before_exec


class Child:
    """A child process. Leaving the context manager ends it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        _NOTES.debug("$ %s", " ".join(command))
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=self._errors,
                env=environment,
                start_new_session=True,
                # only a system call between fork and exec, no lock that a thread may hold
                preexec_fn=_die_with_parent(),  # noqa: PLW1509
            )
        except OSError as error:
            self._errors.close()
            raise ToolError(f"can't be started: {error}", node=Path(command[0]).name) from error
        atexit.register(self.end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait_briefly(self) -> int | None:
        """The exit status if it ends at once (negative: a signal), else None."""
        return self.wait(_LAST_WORDS_S)

    def wait(self, timeout_s: float) -> int | None:
        """The exit status, or None if it did not end by itself within that time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def errors(self) -> str:
        """What it has written to standard error so far."""
        if self._errors.closed:
            return ""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def end(self) -> None:
        """Terminates it, then kills it. Does nothing if it has ended."""
        atexit.unregister(self.end)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._errors.close()
