"""One bit of an emulated board's memory changed, at a place and a moment that are chosen.

What enters: an image of the check app in QEMU; which part of memory, which band of an inference,
how many instructions after it. What leaves: that memory with one bit inverted, while everything
else goes on. Always holds: QEMU's own debugger stub does it (GDB's remote serial protocol: GDB's
manual, appendix "Remote Protocol"), so the image knows nothing of it; a reset loads the image anew.
"""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Self

from mbn.core.elf import Contents, sections, symbols
from mbn.core.errors import ToolError
from mbn.core.target import Image
from mbn.image.build.seal import SECTION

CONNECT_S, ANSWER_S, QUIET_S = 20.0, 20.0, 0.2
STACK_POINTER = 13  # its number in the stub
GUARD_BYTES = 16  # of the stack's paint: startup.c, STACK_GUARD_WORDS
# words of mbn_state (mbn.h), and bytes of all that counts: what begins with segment is the last
ARENA, ROWS, WINDOW, GUARDS, FAR, FAR_GUARDS = 1, 2, 3, (5, 6), 7, (8, 9)
OBSERVER, SEAL = 10, 11
STATE_BYTES = 4 * 13 + 2


class Where(StrEnum):
    """Parts of memory, by who could notice a change."""

    WEIGHTS = "weights"
    CODE = "code, other constants"
    GUARDS = "guards beside the maps"
    STATE = "runtime's state"
    STACK_GUARD = "stack's lowest words"
    STACK = "stack in use"
    MAPS = "maps"
    REST = "other RAM"


class Debugger:
    """A connection to QEMU's stub. The core stands still from connecting to `go`. Nothing is
    acknowledged: QEMU does without, and stops a running core at any byte."""

    def __init__(self, path: Path) -> None:
        self._stream = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + CONNECT_S
        while True:
            try:
                self._stream.connect(str(path))
                break
            except OSError:
                if time.monotonic() > end:
                    self._stream.close()
                    raise ToolError("QEMU's debugger stub does not answer") from None
                time.sleep(0.01)
        self._pending = b""
        self._ask("?")
        while self.stopped(QUIET_S):  # connecting stops the core, which is told besides
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def _send(self, text: str) -> None:
        data = text.encode("ascii")
        try:
            self._stream.sendall(b"$%s#%02x" % (data, sum(data) & 0xFF))
        except OSError as error:
            raise ToolError(f"QEMU is gone: {error}") from error

    def _reply(self, timeout_s: float) -> str | None:
        """The next packet; None if none comes in time. Raises ToolError where QEMU has ended."""
        end = time.monotonic() + timeout_s
        while True:
            begin, stop = self._pending.find(b"$"), self._pending.find(b"#")
            if 0 <= begin < stop and len(self._pending) >= stop + 3:
                text = self._pending[begin + 1 : stop].decode("ascii")
                self._pending = self._pending[stop + 3 :]
                return text
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._stream.settimeout(left)
            try:
                data = self._stream.recv(4096)
            except TimeoutError:
                return None
            except OSError as error:
                raise ToolError(f"QEMU is gone: {error}") from error
            if not data:
                raise ToolError("QEMU ended")
            self._pending += data

    def _ask(self, text: str) -> str:
        self._send(text)
        found = self._reply(ANSWER_S)
        if found is None or found.startswith("E") or (text[0] in "mg" and found[:1] in "TSO"):
            raise ToolError(f"QEMU's debugger stub answers {found!r} to {text[:40]!r}")
        return found

    def go(self) -> None:
        self._send("c")

    def stop(self) -> None:
        """Stops the core, wherever it is."""
        self._stream.sendall(b"\x03")
        if self._reply(ANSWER_S) is None:
            raise ToolError("QEMU does not stop")

    def stopped(self, timeout_s: float) -> bool:
        """Whether it stops by itself within that time."""
        return self._reply(timeout_s) is not None

    def step(self, count: int) -> None:
        """So many instructions."""
        for _ in range(count):
            self._ask("s")

    def breakpoint(self, address: int, *, there: bool) -> None:
        self._ask(f"{'Z' if there else 'z'}1,{address & ~1:x},2")

    def read(self, address: int, size_bytes: int) -> bytes:
        return bytes.fromhex(self._ask(f"m{address:x},{size_bytes:x}"))

    def write(self, address: int, data: bytes) -> None:
        self._ask(f"M{address:x},{len(data):x}:{data.hex()}")

    def register(self, number: int) -> int:
        words = bytes.fromhex(self._ask("g"))
        return int.from_bytes(words[4 * number : 4 * number + 4], "little")

    def reset(self) -> None:
        """As the reset pin. QEMU loads the image anew. The core stands or runs as before."""
        self._ask(f"qRcmd,{b'system_reset'.hex()}")


Span = tuple[int, int]  # address, bytes


@dataclass(frozen=True)
class Layout:
    """Where the image of the check app has what. `fed`: called after each band."""

    weights: Sequence[Span]
    code: Sequence[Span]
    model: Span  # mbn_model_state
    ram: Sequence[Span]  # .data and .bss
    stack: tuple[int, int]  # limit, top
    fed: int

    @classmethod
    def of(cls, image: Image) -> Layout:
        """Raises ToolError where it is no such image."""
        known = {one.name: one for one in symbols(image.elf)}
        parts = {one.name: one for one in sections(image.elf)}
        try:
            table, model = parts[SECTION], known["model"]
            limit, top = known["mbn_ld_stack_limit"], known["mbn_ld_stack_top"]
            fed = known["fed"].address
        except KeyError as error:
            raise ToolError(f"{image.elf} has no {error}", wanted="a check image") from error
        rows = struct.iter_unpack("<III", Contents(image.elf).read(table.address, table.size_bytes))
        sealed = [(address, size) for address, size, _ in rows if size]
        packed = [one for name, one in parts.items() if name.startswith(".weights")]
        weights = [
            (address, size)
            for address, size in sealed
            if any(p.address <= address < p.address + p.size_bytes for p in packed)
        ]
        ram = [parts[name] for name in (".data", ".bss") if name in parts]
        return cls(
            weights,
            [span for span in sealed if span not in weights],
            (model.address, model.size_bytes),
            [(one.address, one.size_bytes) for one in ram if one.size_bytes],
            (limit.address, top.address),
            fed,
        )


def spans(where: Where, layout: Layout, debugger: Debugger, arena_bytes: int) -> list[Span]:
    """The bytes that are meant, while the core stands. The state says where its parts are, so it
    must have begun."""
    base = layout.model[0]
    words = struct.unpack("<14I", debugger.read(base, 56))
    fixed: Mapping[Where, Sequence[Span]] = {
        Where.WEIGHTS: layout.weights,
        Where.CODE: layout.code,
        Where.STACK_GUARD: [(layout.stack[0], GUARD_BYTES)],
    }
    if where in fixed:
        return list(fixed[where])
    if where is Where.STACK:
        pointer = debugger.register(STACK_POINTER)
        return [(pointer, layout.stack[1] - pointer)]
    state = [
        (base, 4 * OBSERVER),
        (base + 4 * SEAL, STATE_BYTES - 4 * SEAL),
        (words[ROWS], words[WINDOW] - words[ROWS]),
    ]
    if where is Where.STATE:
        return state
    guards = [(words[at], 4) for at in GUARDS]
    guards += [(words[at], 4) for at in FAR_GUARDS if words[FAR]]
    maps = [(words[ARENA], min(arena_bytes, words[GUARDS[1]] - words[ARENA]))]
    if where is Where.GUARDS:
        return guards
    if where is Where.MAPS:
        return maps
    return without(layout.ram, [*state, *guards, *maps])


def without(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """The bytes of `spans` that are in none of `taken`."""
    left = list(spans)
    for begin, size in taken:
        rest = []
        for address, length in left:
            before = min(address + length, begin) - address
            after = address + length - max(address, begin + size)
            rest += [(address, before)] if before > 0 else []
            rest += [(address + length - after, after)] if after > 0 else []
        left = rest
    return left


def invert(spans: Sequence[Span], debugger: Debugger, draw: random.Random) -> tuple[int, int]:
    """Inverts a drawn bit of a drawn byte; its address and number."""
    at = draw.randrange(sum(size for _, size in spans))
    bit = draw.randrange(8)
    address = next(islice((a + k for a, size in spans for k in range(size)), at, None))
    (value,) = debugger.read(address, 1)
    debugger.write(address, bytes([value ^ 1 << bit]))
    return address, bit
