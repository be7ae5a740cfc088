"""Flashes through a debug probe with pyOCD.

Every step is a process of pyOCD's command line, killed at its time limit. The probe is chosen by
its unique id, so a second probe is never touched.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mbn.core.errors import BoardError, FlashError, ToolError
from mbn.core.installing import advice
from mbn.core.process import Child
from mbn.core.target import Board
from mbn.harness.flash.interface import Deadline, Flasher, Part, Tick, differs
from mbn.harness.host.port import RULES

PYOCD = (sys.executable, "-m", "pyocd")
UNKNOWN = "cortex_m"
_PART_LETTERS = 9  # stm32f446, nrf52840: what follows is package and size
_LIST_S = 20.0
_BYTES_PER_S = 8000.0  # a slow probe on a slow part
_AGAIN_S = 0.5  # between two looks for a probe that went
_MARGIN_S = 20.0  # starting pyOCD, its packs, and the probe
_ERROR = re.compile(r"(?:^|\s)(?:ERROR|CRITICAL)[:|\s]+(.*)|^\d+ [EC] (.*)", re.MULTILINE)


@dataclass(frozen=True)
class Probe:
    """A connected debug probe. `target`: the part of its board if pyOCD knows it, else
    "cortex_m"."""

    unique_id: str
    title: str
    target: str = UNKNOWN

    def may_be_on(self, board: Board) -> bool:
        """Whether it may be on a board with this part: False if another part is known."""
        wanted = board.flash.target or ""
        same = self.target[:_PART_LETTERS] == wanted[:_PART_LETTERS]
        return self.target == UNKNOWN or same


def require_pyocd() -> None:
    """Raises `ToolError` if pyOCD is not installed."""
    if importlib.util.find_spec("pyocd") is None:
        raise ToolError("pyOCD is not installed", advice=advice("flash"))


def probes() -> tuple[Probe, ...]:
    """The probes that pyOCD finds. Raises `ToolError`."""
    try:
        done = subprocess.run(
            [*PYOCD, "json", "--probes"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIST_S,
            check=False,
        )
        found = json.loads(done.stdout)["boards"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"pyOCD lists no probes: {error}") from error
    return tuple(
        Probe(str(one["unique_id"]), str(one.get("info", "")), str(one.get("target", UNKNOWN)))
        for one in found
    )


class _NotConnectedError(FlashError):
    """pyOCD finds no such probe."""


class SwdFlasher(Flasher):
    """pyOCD with one probe."""

    name = "swd"

    def __init__(self, board: Board, probe: str, file: Path) -> None:
        if board.flash.target is None:
            raise BoardError(
                f"{board.name} can't be flashed by SWD",
                wanted="target, pyOCD's name of the part, in the [flash] table of its board.toml",
            )
        self._target = board.flash.target
        self._probe = probe
        self._file = file
        self._was_there = False

    def describe(self) -> str:
        return f"probe {self._probe} ({self._target})"

    def limits(self, size_bytes: int) -> dict[str, float]:
        moved = _MARGIN_S + size_bytes / _BYTES_PER_S
        return {
            "connect": _MARGIN_S,
            "erase": 2 * moved,
            "write": 2 * moved,
            "verify": moved,
            "reset": _MARGIN_S,
        }

    def connect(self, deadline: Deadline) -> None:
        """A probe that was there and went (it enumerates anew, a hub restarts) is waited for."""
        while True:
            try:
                self._run(deadline, "commander", "--command", "status", "--command", "exit")
            except _NotConnectedError:
                if not self._was_there or deadline.left() < _AGAIN_S:
                    raise
                time.sleep(_AGAIN_S)
            else:
                self._was_there = True
                return

    def erase(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        ranges = [f"{address:#x}-{address + len(data):#x}" for address, data in parts]
        self._run(deadline, "erase", "--sector", *ranges)

    def write(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        options = ("--no-reset", "--erase", "sector", "--format", "hex")
        self._run(deadline, "load", *options, str(self._file))

    def verify(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "read"
            for count, (address, data) in enumerate(parts):
                target.unlink(missing_ok=True)
                saved = f"savemem {address:#x} {len(data)} {target}"
                self._run(deadline, "commander", "--command", saved, "--command", "exit")
                if not target.is_file():
                    raise FlashError("pyOCD read nothing back")
                error = differs(address, target.read_bytes(), data)
                if error is not None:
                    raise error
                tick(count + 1, len(parts))

    def reset(self, deadline: Deadline) -> None:
        self._run(deadline, "reset")

    def _run(self, deadline: Deadline, verb: str, *arguments: str) -> None:
        options = ("--no-wait", "--uid", self._probe, "--target", self._target)
        with tempfile.TemporaryFile() as said:
            command = [*PYOCD, verb, *options, *arguments]
            with Child(command, stdout=said.fileno()) as child:
                status = child.wait(deadline.left())
                words = child.errors()
            said.seek(0)
            words += said.read().decode("utf-8", "replace")
        if status is None:
            raise deadline.passed("pyOCD was ended")
        if status != 0 or _ERROR.search(words):
            raise self._failed(verb, status, words)

    def _failed(self, verb: str, status: int, words: str) -> FlashError:
        if "No available debug probes" in words or "No connected debug probe" in words:
            return _NotConnectedError(
                "the probe is not connected",
                advice=f"Plug it in; if it is, cp {RULES} /etc/udev/rules.d/ as root; mbn-boards "
                "lists those that are seen",
            )
        if "not recognized" in words or "unknown target" in words.lower():
            return FlashError(
                f"pyOCD does not know the part {self._target}",
                advice=f"pyocd pack install {self._target}",
                final=True,
            )
        said = [next(filter(None, match.groups()), "") for match in _ERROR.finditer(words)]
        lines = said or [line for line in words.splitlines() if line.strip()][-1:]
        last = lines[-1].strip() if lines else f"status {status}"
        return FlashError(f"pyocd {verb}: {last}")
