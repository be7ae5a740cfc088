"""Serial ports over the network: RFC 2217, and a bare socket.

What enters: a local port. What leaves: the URL that pyserial opens instead. Always holds: one
client after the other; the server ends with its context.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from serial import Serial
from serial.rfc2217 import PortManager


class _Pty(Serial):
    """A pty has no modem lines."""

    cts = dsr = ri = cd = False

    def _update_dtr_state(self) -> None:
        pass

    def _update_rts_state(self) -> None:
        pass


class _Client:
    """What PortManager writes its answers to, and the way of the bytes in both directions."""

    def __init__(self, stream: socket.socket, port: str, telnet: bool) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._port = _Pty(port, timeout=0.02)
        self._manager = PortManager(self._port, self) if telnet else None
        self._ended = False

    def write(self, data: bytes) -> None:
        with self._lock:
            self._stream.sendall(data)

    def serve(self) -> None:
        """Until the client hangs up."""
        reader = threading.Thread(target=self._from_port, daemon=True)
        reader.start()
        try:
            while data := self._stream.recv(4096):
                if self._manager is not None:
                    data = b"".join(self._manager.filter(data))
                self._port.write(data)
        except OSError:
            pass
        self._ended = True
        reader.join(2)
        self._port.close()
        self._stream.close()

    def _from_port(self) -> None:
        try:
            while not self._ended:
                data = self._port.read(1)
                data += self._port.read(self._port.in_waiting)
                if data and self._manager is not None:
                    data = b"".join(self._manager.escape(data))
                if data:
                    self.write(data)
        except (OSError, TypeError):
            self._ended = True


@contextmanager
def _server(port: str, scheme: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    stream, _ = listening.accept()
                except OSError:
                    return
                _Client(stream, port, scheme == "rfc2217").serve()

        threading.Thread(target=accept, daemon=True).start()
        yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def rfc2217_server(port: str) -> AbstractContextManager[str]:
    """The port, with its rate and parity, over telnet (RFC 2217)."""
    return _server(port, "rfc2217")


def socket_server(port: str) -> AbstractContextManager[str]:
    """The port's bytes alone."""
    return _server(port, "socket")
