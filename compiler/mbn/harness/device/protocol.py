"""The check app's protocol on the host's side: the bytes of messages and what they mean.

The numbers are those of firmware/check/protocol.h, version 1. A frame is COBS(payload, CRC-32) and
a zero byte. Nothing here touches a port.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from cobs import cobs  # type: ignore[import-untyped]

from mbn.core.detector import Detection
from mbn.core.network import MOST_STAGES

VERSION = 1
_ANSWER = 0x80


class Ask(IntEnum):
    """Requests."""

    IDENTIFY = 0x01
    STAGES = 0x02
    BEGIN = 0x03
    LOAD = 0x04
    INFER = 0x05
    OUTPUT = 0x06
    CHECKSUMS = 0x07
    CYCLES = 0x08
    MEMORY = 0x09
    RESET = 0x0A
    HEALTH = 0x0B
    BOXES = 0x0C


class Tell(IntEnum):
    """Messages that a device sends without a request."""

    TRACE = 0xC1
    DAMAGE = 0xC2
    FAULT = 0xC3
    START = 0xC4


class Watch(IntFlag):
    """What an inference records."""

    NOTHING = 0
    CHECKSUMS = 1
    CYCLES = 2
    TRACE = 4


UNKNOWN_REQUEST, DAMAGED = -64, -67
STATUS = {
    0: "done",
    -1: "a wrong argument",
    -2: "a call out of order",
    -3: "a guard word beside the arena was overwritten",
    -4: "the kernels keep data in FPU registers, and the FPU is off",
    -5: "its state holds what the runtime did not write",
    -64: "an unknown request",
    -65: "arguments of the wrong size",
    -66: "nothing was recorded",
    -67: "its weights or other constants are not those that were linked",
}


def encode(payload: bytes) -> bytes:
    """A frame. The zero at its start ends whatever was on the line before."""
    crc = zlib.crc32(payload).to_bytes(4, "little")
    return b"\0" + bytes(cobs.encode(payload + crc)) + b"\0"


def decode(frame: bytes) -> bytes | None:
    """The payload of a frame without its zero; None if framing or CRC are wrong."""
    try:
        data = bytes(cobs.decode(frame))
    except cobs.DecodeError:
        return None
    if len(data) < 6 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        return None
    return data[:-4]


@dataclass(frozen=True)
class Answer:
    """A device's answer: the request, the sequence number, status and results."""

    ask: int
    sequence: int
    status: int
    body: bytes


def parse_answer(payload: bytes) -> Answer | None:
    """None if the payload is not an answer."""
    if len(payload) < 3 or payload[0] >= Tell.TRACE or not payload[0] & _ANSWER:
        return None
    (status,) = struct.unpack_from("<b", payload, 2)
    return Answer(payload[0] & ~_ANSWER, payload[1], status, payload[3:])


@dataclass(frozen=True)
class Identity:
    """Who answers. Shapes are height, width, channels."""

    version: int
    input_mode: str  # "stream" or "whole"
    has_cycles: bool
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    stages: int
    arena_bytes: int
    weights_bytes: int
    macs: int
    request_bytes: int
    clock_hz: int  # 0: unknown
    board: str
    core: str
    build_id: str
    network: str
    model_sha256: str


# Limits of our devices: an identity beyond them is not valid
_MOST_BYTES = 1 << 24
_LEAST_REQUEST = 16
_LEAST_CLOCK_HZ = 10_000
_IDENTITY = struct.Struct("<3B6HH5I")


def parse_identity(body: bytes) -> Identity:
    """Raises ValueError for an invalid body, or one of another version."""
    if body[:1] != bytes([VERSION]):
        raise ValueError(f"protocol version {body[0] if body else 'missing'}, wanted {VERSION}")
    if len(body) < _IDENTITY.size:
        raise ValueError("an identity that is too short")
    version, mode, cycles, *rest = _IDENTITY.unpack_from(body)
    shapes, (stages, arena, weights, macs, request, clock) = rest[:6], rest[6:]
    texts = _texts(body[_IDENTITY.size :], 5)
    results = _results_shape(shapes[3:])
    for what, shape in (("an input", shapes[:3]), ("an output", results)):
        if not 0 < math.prod(shape) <= _MOST_BYTES:
            raise ValueError(f"{what} of {' x '.join(map(str, shape))}")
    if not (0 < stages <= MOST_STAGES and request >= _LEAST_REQUEST):
        raise ValueError(f"{stages} stages and requests of {request} bytes")
    if 0 < clock < _LEAST_CLOCK_HZ:
        raise ValueError(f"a clock of {clock} Hz")
    return Identity(
        version,
        "whole" if mode == 1 else "stream",
        bool(cycles),
        (shapes[0], shapes[1], shapes[2]),
        results,
        stages,
        arena,
        weights,
        macs,
        request,
        clock,
        *texts,
    )


def _results_shape(sizes: Sequence[int]) -> tuple[int, int, int]:
    """Several results are sent as a height of 0 and the sum of their bytes; they come as one
    row."""
    if sizes[0] == 0:
        return (1, 1, sizes[1] | sizes[2] << 16)
    return (sizes[0], sizes[1], sizes[2])


def _texts(data: bytes, count: int) -> list[str]:
    found = []
    for _ in range(count):
        if not data or len(data) < 1 + data[0]:
            raise ValueError("a text that is cut off")
        found.append(data[1 : 1 + data[0]].decode("utf-8", "replace"))
        data = data[1 + data[0] :]
    return found


@dataclass(frozen=True)
class StageInfo:
    """A stage as the device knows it; shape of its output, height, width, channels."""

    name: str
    shape: tuple[int, int, int]
    macs: int


def parse_stages(body: bytes) -> tuple[int, list[StageInfo]]:
    """The number of stages, and those in this answer."""
    total, _ = struct.unpack_from("<HH", body)
    found = []
    at = 4
    while at < len(body):
        height, width, channels, macs, size = struct.unpack_from("<3HIB", body, at)
        name = body[at + 11 : at + 11 + size].decode("utf-8", "replace")
        found.append(StageInfo(name, (height, width, channels), macs))
        at += 11 + size
    return total, found


def parse_checksums(body: bytes) -> tuple[int, list[tuple[int, int]]]:
    """The number of stages, and (CRC-32, rows) of those in this answer."""
    total, _ = struct.unpack_from("<HH", body)
    return total, [(crc, rows) for crc, rows in struct.iter_unpack("<IH", body[4:])]


def parse_cycles(body: bytes) -> tuple[int, list[int]]:
    """The number of stages, and the cycles of those in this answer."""
    total, _ = struct.unpack_from("<HH", body)
    return total, [cycles for cycles, _ in struct.iter_unpack("<QI", body[4:])]


@dataclass(frozen=True)
class Memory:
    """High-water marks in bytes; None where the device can't know."""

    stack_reserved_bytes: int | None
    stack_used_bytes: int | None
    stack_guard_ok: bool | None
    arena_bytes: int
    arena_guards_ok: bool
    state_bytes: int  # arena and tables


def parse_memory(body: bytes) -> Memory:
    """Raises struct.error for an invalid body."""
    known, guard, arena_ok, reserved, used, arena, state = struct.unpack("<3B4I", body)
    if not known:
        return Memory(None, None, None, arena, bool(arena_ok), state)
    return Memory(reserved, used, bool(guard), arena, bool(arena_ok), state)


def parse_boxes(body: bytes) -> tuple[int, list[Detection], int]:
    """How many there are, those in this answer, and the cycles that they took (0: unknown)."""
    total, _, cycles = struct.unpack_from("<HHI", body)
    found = [
        Detection(label, score, (top, left, bottom, right))
        for label, score, top, left, bottom, right in struct.iter_unpack("<6H", body[8:])
    ]
    return total, found, cycles


_FAULT_WORDS = (
    *("exception", "r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr"),
    *("sp", "exc_return", "cfsr", "hfsr", "mmfar", "bfar"),
)
_EXCEPTIONS = {2: "NMI", 3: "HardFault", 4: "MemManage", 5: "BusFault", 6: "UsageFault"}


# CFSR (ARMv7-M B3.2.15, ARMv8-M D1.2.9): bits, what they mean
_CAUSES = {
    0x00000001: "execution where the MPU allows none",
    0x00000002: "access that the MPU forbids, at {mmfar:#010x}",
    0x00000010: "the stack ran into its guard",
    0x00000100: "code where nothing is",
    0x00000200: "access where nothing is, at {bfar:#010x}",
    0x00000400: "late bus error",
    0x00001000: "the stack left its memory",
    0x00010000: "undefined instruction",
    0x00100000: "the stack ran over its limit",
    0x01000000: "unaligned access",
    0x02000000: "division by zero",
}


def describe_fault(body: bytes) -> str:
    """A fault report as text: which exception, where, why as far as known, and the registers. The
    firmware masks interrupts, so most faults escalate to a HardFault; the status words give the
    cause."""
    if len(body) != 4 * len(_FAULT_WORDS):
        return f"a fault report of {len(body)} bytes"
    words = dict(zip(_FAULT_WORDS, struct.unpack(f"<{len(_FAULT_WORDS)}I", body), strict=True))
    number = words.pop("exception")
    registers = " ".join(f"{name}={value:08x}" for name, value in words.items())
    name = _EXCEPTIONS.get(number, f"exception {number}")
    why = "".join(
        f"{text.format(**words)}; " for bits, text in _CAUSES.items() if words["cfsr"] & bits
    )
    return f"{name} at pc {words['pc']:#010x} ({why}{registers})"


class Start(IntEnum):
    """Why a board started."""

    UNKNOWN = 0
    POWER = 1
    ASKED = 2
    FAULT = 3
    WATCHDOG = 4
    OTHER = 5


@dataclass(frozen=True)
class Health:
    """What a board reports of itself since its start."""

    damaged: tuple[int, int] | None  # address and size of constants whose CRC-32 is wrong
    start: Start
    fault: str  # the fault, or where the watchdog found the core; empty where there was neither

    @property
    def story(self) -> str:
        """Why the board started, if that was not an ordinary start; else empty."""
        return {
            Start.FAULT: f"it stopped with a {self.fault}",
            Start.WATCHDOG: f"its watchdog found it hanging: {self.fault or 'where is not known'}",
        }.get(self.start, "")


_HEALTH = struct.Struct("<B3I")


def parse_health(body: bytes) -> Health:
    """Raises ValueError for an invalid body."""
    if len(body) != _HEALTH.size + 4 * len(_FAULT_WORDS):
        raise ValueError(f"health of {len(body)} bytes")
    whole, address, size, reason = _HEALTH.unpack_from(body)
    start = Start(reason) if reason in set(Start) else Start.UNKNOWN
    words = body[_HEALTH.size :]
    told = start in (Start.FAULT, Start.WATCHDOG) and any(words)
    fault = describe_fault(words) if told else ""
    return Health(None if whole else (address, size), start, fault)
