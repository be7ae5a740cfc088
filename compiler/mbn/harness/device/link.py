"""A serial line that carries frames.

Every wait has a limit. Its error says what was expected, what came, and where the log is. Every
byte is logged.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from mbn.core.errors import LinkError
from mbn.harness.device import protocol
from mbn.harness.host.port import GONE, POLL_S, open_port, port_named, usb_name

_READ_BYTES = 65536
_SHOWN_BYTES = 48
_MOST_PENDING = 1 << 20


class SilenceError(LinkError):
    """A wait that ended without an answer; asking again may help."""


class LostError(LinkError):
    """The other side hung up, or the port went; it may come back."""


_AGAIN_S = 0.1  # between two looks for a port that went


class Log:
    """What went over the line: time in seconds, direction, count, the first bytes in hex."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("w", encoding="utf-8")
        self._start = time.monotonic()

    def note(self, direction: str, data: bytes) -> None:
        shown = data[:256].hex() + ("..." if len(data) > 256 else "")
        elapsed = time.monotonic() - self._start
        self._file.write(f"{elapsed:10.4f} {direction} {len(data):6d} {shown}\n")

    def say(self, text: str) -> None:
        self._file.write(f"{time.monotonic() - self._start:10.4f} # {text}\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Link:
    """Sends and receives payloads over one port. A context manager that closes it."""

    def __init__(self, url: str, *, baud: int, log_path: Path) -> None:
        self.url = url
        self.log = Log(log_path)
        self._baud = baud
        self.may_return = True  # False for a process that was started here: it won't
        self._usb = None if "://" in url else usb_name(url)
        try:
            self._port = open_port(url, baud)
        except LinkError:
            self.log.close()
            raise
        # over RFC 2217 a change of the time-out is negotiated, a socket can't count what has come
        self._counts = url.startswith("rfc2217://")
        self._pending = bytearray()
        self._frames: list[bytes] = []
        self.received_bytes = 0  # since opening
        self.damaged_frames = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._port.close()
        self.log.close()

    def reopen(self, timeout_s: float) -> None:
        """Waits for a port that went: by its USB serial number, where it has one, under whatever
        name it comes back. Raises the last `LinkError` where it does not come back in time."""
        end = time.monotonic() + timeout_s
        with contextlib.suppress(*GONE):
            self._port.close()
        self._pending.clear()
        self._frames.clear()
        while True:
            url = port_named(self._usb) if self._usb else self.url
            try:
                if url is None:
                    raise LostError(
                        f"the port of serial number {self._usb.serial if self._usb else ''} does "
                        "not come back",
                        advice=f"Is its cable in? The log is {self.log.path}",
                        node=self.url,
                    )
                self._port = open_port(url, self._baud)
                self.url = url
                self.log.say(f"opened again as {url}")
                return
            except LinkError:
                if time.monotonic() >= end:
                    raise
                time.sleep(_AGAIN_S)

    def send(self, payload: bytes) -> None:
        """Writes one frame. Raises `LinkError` if the other side is gone."""
        self.send_raw(protocol.encode(payload))

    def send_raw(self, data: bytes) -> None:
        """Writes bytes as they are: a frame, or a part of one."""
        self.log.note(">", data)
        try:
            self._port.write(data)
            self._port.flush()
        except GONE as error:
            raise self._lost(error) from error

    def receive(self, timeout_s: float) -> bytes | None:
        """The next good payload; None if none came in time. Damaged ones are counted."""
        end = time.monotonic() + timeout_s
        while True:
            while self._frames:
                payload = protocol.decode(self._frames.pop(0))
                if payload is not None:
                    return payload
                self.damaged_frames += 1
                self.log.say("a damaged frame came")
            if time.monotonic() >= end:
                return None
            self._fill()

    def _fill(self) -> None:
        """Reads what has come; waits a tenth of a second for a first byte."""
        try:
            data = self._port.read(1)
            if data and self._counts:
                data += self._port.read(self._port.in_waiting)
            elif data:
                self._port.timeout = 0
                data += self._port.read(_READ_BYTES)
                self._port.timeout = POLL_S
        except GONE as error:
            raise self._lost(error) from error
        if not data:
            return
        self.log.note("<", data)
        self.received_bytes += len(data)
        self._pending += data
        *frames, rest = bytes(self._pending).split(b"\0")
        self._frames += [frame for frame in frames if frame]
        self._pending = bytearray(rest)
        if len(rest) > _MOST_PENDING:  # no frame is as long: not ours, or at another baud rate
            self._pending.clear()
            self.damaged_frames += 1

    def _lost(self, error: Exception) -> LostError:
        self.log.say(f"lost: {error}")
        return LostError(
            f"the other side hung up: {error}",
            advice=f"The log is {self.log.path}",
            node=self.url,
        )

    def silence(self, expected: str, timeout_s: float, before: tuple[int, int]) -> SilenceError:
        """The error for a wait that ended. `before`: (received_bytes, damaged_frames) when it
        began."""
        came = self.received_bytes - before[0]
        damaged = self.damaged_frames - before[1]
        if came == 0:
            what = "nothing came"
            advice = "Is the board powered, is it this port, does it run an mbn image? "
        else:
            shown = bytes(self._pending[:_SHOWN_BYTES])
            tail = f", last {shown!r}" if shown else ""
            what = f"{came} bytes came that are not an answer ({damaged} damaged frames{tail})"
            advice = "Does the board run an mbn check image, at this baud rate? "
        self.log.say(f"no {expected} in {timeout_s:g} s: {what}")
        return SilenceError(
            f"{what} within {max(timeout_s, 0.1):.2g} s",
            wanted=expected,
            advice=f"{advice}The log is {self.log.path}",
            node=self.url,
        )
