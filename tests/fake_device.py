"""A TCP "board" that answers as told: CRC-valid nonsense, or none at all, for ever.

What enters: a mode. What leaves: a port. Always holds: it ends with its context.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mbn.harness.device import protocol

FLOODS = {
    "noise": lambda: random.randbytes(4096),
    "nozero": lambda: b"\x55" * 65536,
    "zeros_stream": lambda: bytes(4096),
    "noise_frames": lambda: protocol.encode(random.randbytes(20)) * 20,
    "mlperf_lines": lambda: b"m-hello\r\n" * 100,
}
SHORT = ("stages", "load", "infer", "output", "memory", "health", "cycles", "checksums")
IDENTITIES = ("huge", "big_shape", "no_shape", "req0", "req6", "no_stages", "cut_texts")
MODES = (*FLOODS, *(f"short_{what}" for what in SHORT), *IDENTITIES, "stale", "stale_all", "trace")
SHAPE = (12, 12, 3)


def identity(mode: str) -> bytes:
    """The body of an IDENTIFY answer."""
    shapes = {"big_shape": (*SHAPE, 65535, 65535, 65535), "no_shape": (0, 12, 3, 1, 1, 5)}
    macs, clock = (2**32 - 1, 1) if mode == "huge" else (14167, 0)
    request = {"req0": 0, "req6": 6}.get(mode, 2048)
    stages = 0 if mode == "no_stages" else 3
    body = struct.pack(
        *("<3B6HH5I", 1, 0, 1, *shapes.get(mode, (*SHAPE, 1, 1, 5)), stages),
        *(64, 1, macs, request, clock),
    )
    texts = b"".join(bytes([len(t)]) + t for t in [b"host", b"host", b"b", b"net", b"sha"])
    return body + (texts[:7] if mode == "cut_texts" else texts)


def stages_body() -> bytes:
    """Three stages, named a, b, c."""
    parts = (struct.pack("<3HIB", 1, 1, 5, 9, 1) + name for name in (b"a", b"b", b"c"))
    return struct.pack("<HH", 3, 0) + b"".join(parts)


def body_of(ask: int, request: bytes, mode: str) -> bytes:
    """A right answer, but for what the mode spoils."""
    names = {2: "stages", 4: "load", 5: "infer", 6: "output", 7: "checksums", 8: "cycles"}
    names |= {9: "memory", 11: "health"}
    if mode == f"short_{names.get(ask)}":
        return b"\1"
    if ask == 4:
        return struct.pack("<I", struct.unpack_from("<I", request, 2)[0] + len(request) - 6)
    return {
        1: identity(mode),
        2: stages_body(),
        5: struct.pack("<Q", 5),
        6: struct.pack("<II", 5, 0) + b"\1\2\3\4\5",
        7: struct.pack("<HH", 3, 0) + struct.pack("<IH", 7, 1) * 3,
        8: struct.pack("<HH", 3, 0) + struct.pack("<QI", 7, 1) * 3,
        9: struct.pack("<3B4I", 1, 1, 1, 4096, 100, 64, 1),
        11: b"\1" + struct.pack("<3I", 0, 0, 1) + bytes(60),
    }.get(ask, b"")


def _answer(line: socket.socket, ask: int, sequence: int, body: bytes) -> None:
    line.sendall(protocol.encode(bytes([ask | 0x80, sequence, 0]) + body))


def _serve(line: socket.socket, mode: str, over: threading.Event) -> None:
    pending = b""
    line.settimeout(0.05)
    while not over.is_set():
        if mode in FLOODS:
            line.sendall(FLOODS[mode]())
            over.wait(0.001)
            continue
        with contextlib.suppress(TimeoutError):
            pending += line.recv(65536)
        *frames, pending = pending.split(b"\0")
        for request in filter(None, map(protocol.decode, frames)):
            ask, sequence = request[0], request[1]
            late = mode == "stale_all" or (mode in ("stale", "trace") and ask not in (1, 2, 3, 4))
            while late and not over.wait(0.01):
                if mode == "trace":
                    row = bytes([0xC1, 0]) + struct.pack("<HH", 0, random.randrange(65536)) + b"zz"
                    line.sendall(protocol.encode(row))
                else:
                    _answer(line, ask, (sequence + 7) % 256, b"x")
            if not late:
                _answer(line, ask, sequence, body_of(ask, request, mode))


@contextmanager
def fake_device(mode: str) -> Iterator[str]:
    """The port's URL."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                line, _ = server.accept()
                with line:
                    _serve(line, mode, over)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join(5)
