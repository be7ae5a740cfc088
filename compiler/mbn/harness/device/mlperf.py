"""Talks to a device as MLPerf Tiny's public runner does.

A command ends with `%`; the answer is complete when `m-ready` comes. The runner's own time limits
are kept (5 s for a line, 30 s for `infer`), and a `LinkError` is raised when one is over.
`transcript` has all that was said.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial  # type: ignore[import-untyped]

from mbn.core.errors import BoardError, LinkError
from mbn.core.target import Board
from mbn.harness.device.emulated import native_pty, qemu_pty
from mbn.harness.host import labgrid
from mbn.harness.host.port import open_port

APP = "mlperf"  # the folder of firmware/ that answers the runner
BAUD = 115200  # the runner's, for accuracy and performance
LINE_S, INFER_S = 5.0, 30.0
BYTES_A_COMMAND = 31
_QUIET_S = 0.2
COUNTER = 2**32  # the microseconds wrap here
_LAP = re.compile(r"m-lap-us-(\d+)")
_RESULTS = re.compile(r"m-results-\[((?:-?[0-9.]+|nan)(?:,-?[0-9.]+)*)\]")


@dataclass(frozen=True)
class Inference:
    """What one `infer` command gave."""

    results: tuple[float, ...]
    text: str  # the results as they were printed
    runs: int
    elapsed_us: int

    @property
    def per_second(self) -> float:
        return 1e6 * self.runs / max(1, self.elapsed_us)


class Runner:
    """The host's side of the protocol, over pyserial's `port`."""

    def __init__(self, port: Any, name: str) -> None:
        self._port, self._name = port, name
        self._pending = bytearray()
        self.transcript: list[str] = []

    def greeting(self, timeout_s: float = LINE_S) -> list[str]:
        """The lines that a device says after a reset."""
        return self.until_ready("the greeting", timeout_s)

    def wake(self) -> None:
        """Makes a device answer that was started long ago, whatever it has received since."""
        self.send_raw(b"%")
        self.until_ready("m-ready", LINE_S)
        end = time.monotonic() + LINE_S
        while self._port.read(1):  # opening the port may have reset it: its greeting comes too
            if time.monotonic() > end:
                raise LinkError(
                    f"the board still sends after {LINE_S:g} s, without a request",
                    wanted="silence between commands",
                    advice="Does the board run an mbn mlperf image, at this baud rate?",
                    node=self._name,
                )
            time.sleep(_QUIET_S)
            self._port.reset_input_buffer()
        self._pending.clear()

    def ask(self, command: str, timeout_s: float = LINE_S) -> list[str]:
        """The lines that answer a command, without `m-ready`. Raises `LinkError`."""
        self.transcript.append(f"> {command}%")
        self.send_raw(f"{command}%".encode("latin-1"))
        return self.until_ready(command, timeout_s)

    def send_raw(self, data: bytes) -> None:
        """Sends bytes unchanged. Raises `LinkError` if the other side is gone."""
        try:
            self._port.write(data)
            self._port.flush()
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"the other side hung up: {error}", node=self._name) from error

    def load(self, image: bytes) -> None:
        """Sends an image, 31 bytes a command as the public runner does. Raises `LinkError`."""
        lines = self.ask(f"db load {len(image)}")
        if lines != [f"m-[Expecting {len(image)} bytes]"]:
            raise self._answered(lines, f"m-[Expecting {len(image)} bytes]")
        for start in range(0, len(image), BYTES_A_COMMAND):
            part = image[start : start + BYTES_A_COMMAND]
            lines = self.ask(f"db {part.hex()}")
            last = start + len(part) == len(image)
            if lines != (["m-load-done"] if last else []):
                raise self._answered(lines, "m-load-done" if last else "m-ready")

    def infer(self, runs: int, warmup: int) -> Inference:
        """Runs `infer`. Raises `LinkError` if the answer is not two times and results."""
        lines = self.ask(f"infer {runs} {warmup}", INFER_S)
        laps = [int(found[1]) for line in lines if (found := _LAP.fullmatch(line))]
        texts = [found[1] for line in lines if (found := _RESULTS.fullmatch(line))]
        if len(laps) != 2 or len(texts) != 1 or "m-infer-done" not in lines:
            raise self._answered(lines, "two timestamps, m-infer-done and results")
        values = tuple(float(value) for value in texts[0].split(","))
        return Inference(values, texts[0], runs, (laps[1] - laps[0]) % COUNTER)

    def _answered(self, lines: list[str], wanted: str) -> LinkError:
        return LinkError(
            "the device answered " + (" | ".join(lines[:8]) or "nothing"),
            wanted=wanted,
            node=self._name,
        )

    def until_ready(self, what: str, timeout_s: float) -> list[str]:
        """The lines up to the next `m-ready`; one deadline for all. Raises `LinkError`."""
        lines: list[str] = []
        end = time.monotonic() + timeout_s
        while True:
            if time.monotonic() > end:  # lines came all the time, and none ended it
                raise LinkError(
                    f"{len(lines)} lines within {timeout_s:g} s of {what!r}, and no m-ready",
                    wanted="the MLPerf Tiny protocol",
                    advice="Does the board run an mbn mlperf image?",
                    node=self._name,
                )
            line = self._line(what, timeout_s, end)
            self.transcript.append(f"< {line}")
            if line == "m-ready":
                return lines
            lines.append(line)

    def _line(self, what: str, timeout_s: float, end: float) -> str:
        while (at := self._pending.find(b"\r\n")) < 0:
            if time.monotonic() > end:
                raise LinkError(
                    f"no m-ready within {timeout_s:g} s of {what!r}"
                    + (f", but {bytes(self._pending[:48])!r}" if self._pending else ""),
                    wanted="a line of the MLPerf Tiny protocol",
                    advice="Does the board run an mbn mlperf image, at this baud rate?",
                    node=self._name,
                )
            try:
                self._pending += self._port.read(max(1, self._port.in_waiting))
            except (serial.SerialException, OSError, TypeError) as error:
                raise LinkError(f"the other side hung up: {error}", node=self._name) from error
        line = bytes(self._pending[:at])
        del self._pending[: at + 2]
        return line.decode("ascii", "replace")


@contextmanager
def open_runner(board: Board, elf: Path, port: str | None, baud: int) -> Iterator[Runner]:
    """A runner that has received the device's greeting. A device on a port may have been started
    long before; it is woken. Without a port the emulator is started, on a pty."""
    begin: Callable[[], object] | None = None
    with ExitStack() as stack:
        if port is None and board.native:
            waiting = stack.enter_context(native_pty(elf))
            port, begin = waiting.port, waiting.begin
        elif port is None and board.emulator is not None:
            started, _ = stack.enter_context(qemu_pty(board, elf))
            port, begin = started.port, started.begin
        elif port is None:
            raise BoardError(f"there is no emulator for {board.name}", advice="Give --port")
        port = stack.enter_context(labgrid.reached(port))
        opened = stack.enter_context(open_port(port, baud))
        runner = Runner(opened, port)
        if begin is None:
            runner.wake()
        else:
            begin()
            runner.greeting()
        yield runner
