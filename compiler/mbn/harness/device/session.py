"""A session with a device that runs the check app.

It asks for identities, outputs, checksums, traces, cycles and memory. A request is repeated if its
answer is lost or damaged, which has no side effects. A fault of the device raises an error with
its registers.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mbn.core.detector import Detection
from mbn.core.errors import CheckError, LinkError, UsageError
from mbn.harness.device import protocol
from mbn.harness.device.link import Link, LostError, SilenceError
from mbn.harness.device.protocol import Ask, Health, Identity, Memory, StageInfo, Tell, Watch

Int8 = NDArray[np.int8]
Item = TypeVar("Item")

_ATTEMPTS = 3
_ANSWER_S = 2.0
_AGAIN_S = 0.1  # between two requests to a device that is starting
_LOAD_HEADER_BYTES = 6
# The slowest core seen takes some 60 cycles a multiply-accumulate; emulators and sanitizers run a
# million and more a second.
_CYCLES_PER_MAC = 100
_EMULATED_MACS_PER_S = 1e6
_LONGEST_S = 3600.0


class IdentityError(LinkError):
    """The device's identity is not valid in this version; asking again won't help."""


class RestartedError(LinkError):
    """The device started anew in the middle; what it was told before is lost."""


class RefusedError(LinkError):
    """The device answered with a refusal."""

    def __init__(self, found: str, status: int, *, advice: str, node: str) -> None:
        super().__init__(found, advice=advice, node=node)
        self.status = status


@dataclass(frozen=True)
class Run:
    """One inference: the output map (height, width, channels), and cycles if they are counted."""

    output: Int8
    cycles: int | None


@dataclass(frozen=True)
class Boxes:
    """What a detector found in one image, best first, and the cycles that it took, if they are
    counted."""

    found: tuple[Detection, ...]
    cycles: int | None


class Device:
    """The check app at the other end of a link."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._sequence = 0
        self._identity: Identity | None = None
        self._stages: tuple[StageInfo, ...] | None = None
        self._trace: dict[int, bytes] = {}
        self._trace_rows = 0  # that the run which is traced sends

    @property
    def identity(self) -> Identity:
        """Requested once and kept."""
        if self._identity is None:
            self._identity = self.identify()
        return self._identity

    def identify(self, timeout_s: float = _ANSWER_S) -> Identity:
        """Requests the identity. Raises `LinkError`: silent, garbage, another protocol version."""
        body = self._ask(Ask.IDENTIFY, timeout_s=timeout_s, expected="an identity")
        try:
            return protocol.parse_identity(body)
        except ValueError as error:
            raise IdentityError(
                f"the device answers with {error}",
                advice="Build and flash the image with this version of mbn",
                node=self.link.url,
            ) from error

    def expect(self, *, model_sha256: str | None = None, build_id: str | None = None) -> None:
        """Raises `CheckError` if the device runs another model or build than expected."""
        found = self.identity
        if model_sha256 is not None and found.model_sha256 != model_sha256:
            raise CheckError(
                f"the device runs the network {found.network!r} with model hash "
                f"{found.model_sha256[:16]}",
                wanted=f"model hash {model_sha256[:16]}",
                advice="Flash the image that belongs to this model, or check with its own files",
                node=self.link.url,
            )
        if build_id is not None and found.build_id != build_id:
            raise CheckError(
                f"the device runs build {found.build_id}",
                wanted=f"build {build_id}",
                advice="Flash the image again",
                node=self.link.url,
            )

    @property
    def stages(self) -> tuple[StageInfo, ...]:
        """The device's stages in order; requested once and kept."""
        if self._stages is None:
            self._stages = tuple(self._list(Ask.STAGES, protocol.parse_stages))
        return self._stages

    def run(self, image: Int8, watch: Watch = Watch.NOTHING, traced: int = 0) -> Run:
        """One inference of an int8 image (height, width, channels)."""
        identity = self.identity
        if image.dtype != np.int8 or image.shape != identity.input_shape:
            raise UsageError(
                f"the image is {image.dtype} {image.shape}",
                wanted=f"int8 {identity.input_shape}",
            )
        self._trace = {}
        self._trace_rows = self.stages[traced].shape[0] if watch & Watch.TRACE else 0
        arguments = struct.pack("<BH", watch, traced)
        self._ask(Ask.BEGIN, arguments, expected="the start of an inference")
        self._load(np.ascontiguousarray(image).tobytes())
        body = self._ask(Ask.INFER, timeout_s=self._inference_s(), expected="a finished inference")
        (cycles,) = self._unpacked("<Q", body)
        return Run(self._output(), cycles if identity.has_cycles else None)

    def boxes(self) -> Boxes:
        """What the network's detector found in the image of the last run."""
        found: list[Detection] = []
        while True:
            body = self._ask(Ask.BOXES, struct.pack("<H", len(found)), expected="boxes")
            total, part, cycles = self._parsed(protocol.parse_boxes, body)
            found.extend(part)
            if len(found) == total:
                return Boxes(tuple(found), cycles if self.identity.has_cycles else None)
            if not part or len(found) > total:
                raise LinkError(
                    f"the device's list has {len(found)} of {total} boxes", node=self.link.url
                )

    def checksums(self) -> tuple[int, ...]:
        """CRC-32 of every stage's output map of the last run, which watched CHECKSUMS."""
        found = self._list(Ask.CHECKSUMS, protocol.parse_checksums)
        for stage, (_, rows) in zip(self.stages, found, strict=True):
            if rows != stage.shape[0]:
                raise CheckError(
                    f"the device stored {rows} rows of {stage.shape[0]}", node=stage.name
                )
        return tuple(crc for crc, _ in found)

    def cycles(self) -> tuple[int, ...] | None:
        """Cycles by stage of the last run, which watched CYCLES; None without a counter."""
        if not self.identity.has_cycles:
            return None
        return tuple(self._list(Ask.CYCLES, protocol.parse_cycles))

    def trace(self, image: Int8, stage: int) -> Int8:
        """Runs the image; the whole output map of one stage (height, width, channels)."""
        height, width, channels = self.stages[stage].shape
        self.run(image, Watch.TRACE, stage)
        missing = [y for y in range(height) if len(self._trace.get(y, b"")) != width * channels]
        if missing:
            raise LinkError(
                f"row {missing[0]} of a trace came damaged or not at all ({len(missing)} in all)",
                advice=f"The log is {self.link.log.path}",
                node=self.stages[stage].name,
            )
        data = b"".join(self._trace[y] for y in range(height))
        return np.frombuffer(data, np.int8).reshape(height, width, channels)

    def memory(self) -> Memory:
        """High-water marks since reset."""
        return self._parsed(protocol.parse_memory, self._ask(Ask.MEMORY, expected="memory marks"))

    def health(self) -> Health | None:
        """Whether its constants are whole, and why it started. None for an older image that lacks
        this request."""
        try:
            body = self._ask(Ask.HEALTH, expected="its health")
        except RefusedError as error:
            if error.status == protocol.UNKNOWN_REQUEST:
                return None
            raise
        return self._parsed(protocol.parse_health, body)

    def reset(self, timeout_s: float = 10.0) -> Identity:
        """Restarts the device and waits until it answers."""
        self._ask(Ask.RESET, expected="the start of a reset")
        self._identity = None
        self._stages = None
        return self.wait_ready(timeout_s)

    def wait_ready(self, timeout_s: float = 10.0) -> Identity:
        """Repeats a request until the device answers: it may be starting. Raises the last
        `LinkError`, but raises at once if the identity is not valid in this version."""
        begun = time.monotonic()
        before = (self.link.received_bytes, self.link.damaged_frames)
        while True:
            try:
                self._identity = self.identify(timeout_s=min(0.25, timeout_s))
                return self._identity
            except SilenceError as error:
                waited = time.monotonic() - begun
                if waited >= timeout_s:  # measured over the whole wait, not its last part
                    raise self.link.silence("an identity", waited, before) from error
            except IdentityError:
                raise
            except LinkError:  # which may come at once: not as fast as the line carries
                if time.monotonic() - begun >= timeout_s:
                    raise
                time.sleep(_AGAIN_S)

    def come_back(self, error: LinkError, timeout_s: float = 10.0) -> None:
        """After a `RestartedError` or a `LostError`: waits until the same image answers again.
        Raises LinkError where nothing does, CheckError where another does."""
        before = self.identity
        if isinstance(error, LostError):
            if not self.link.may_return:
                raise error
            self.link.reopen(timeout_s)
        self.wait_ready(timeout_s)
        self.expect(model_sha256=before.model_sha256, build_id=before.build_id)

    def _inference_s(self) -> float:
        identity = self.identity
        rate = _EMULATED_MACS_PER_S
        if identity.clock_hz:
            rate = min(rate, identity.clock_hz / _CYCLES_PER_MAC)
        return min(10.0 + identity.macs / rate, _LONGEST_S)

    def _load(self, data: bytes) -> None:
        """Sends the image in requests of the length that the device accepts; each answer says where
        to go on."""
        chunk = self.identity.request_bytes - _LOAD_HEADER_BYTES
        at = 0
        stuck = 0
        while at < len(data):
            arguments = struct.pack("<I", at) + data[at : at + chunk]
            body = self._ask(
                Ask.LOAD, arguments, timeout_s=self._inference_s(), expected="an image part taken"
            )
            (wanted,) = self._unpacked("<I", body)
            stuck = stuck + 1 if wanted <= at else 0
            if stuck >= _ATTEMPTS or wanted > len(data):
                raise LinkError(
                    f"the device wants byte {wanted} of the image after byte {at}",
                    advice=f"The log is {self.link.log.path}",
                    node=self.link.url,
                )
            at = wanted

    def _output(self) -> Int8:
        shape = self.identity.output_shape
        data = b""
        size = int(np.prod(shape))
        while len(data) < size:
            arguments = struct.pack("<I", len(data))
            body = self._ask(Ask.OUTPUT, arguments, expected="an output")
            total, at = self._unpacked("<II", body[:8])
            if total != size or at != len(data) or len(body) <= 8:
                raise LinkError(
                    f"the device answers an output of {total} bytes",
                    wanted=f"{size} bytes",
                    node=self.link.url,
                )
            data += body[8:]
        return np.frombuffer(data, np.int8).reshape(shape)

    def _list(self, ask: Ask, parse: Callable[[bytes], tuple[int, Iterable[Item]]]) -> list[Item]:
        """A list with an entry for each stage. It may come in several answers."""
        found: list[Item] = []
        while len(found) < self.identity.stages:
            body = self._ask(ask, struct.pack("<H", len(found)), expected="a list by stage")
            total, part = self._parsed(parse, body)
            if total != self.identity.stages:
                raise LinkError(
                    f"the device answers a list of {total}",
                    wanted=f"of its {self.identity.stages} stages",
                    node=self.link.url,
                )
            before = len(found)
            found.extend(part)
            if len(found) == before or len(found) > total:
                raise LinkError(
                    f"the device's list has {len(found)} of {total} entries", node=self.link.url
                )
        return found

    def _parsed(self, parse: Callable[[bytes], Item], body: bytes) -> Item:
        """A parsed answer. Raises `LinkError` if it is invalid: its CRC was right, so repeating
        won't help."""
        try:
            return parse(body)
        except (struct.error, ValueError, IndexError) as error:
            raise LinkError(
                f"the device answers {len(body)} bytes that mean nothing ({error})",
                advice="Build and flash the image with this version of mbn",
                node=self.link.url,
            ) from error

    def _unpacked(self, form: str, body: bytes) -> tuple[int, ...]:
        return self._parsed(lambda data: struct.unpack(form, data), body)

    def _ask(
        self,
        ask: Ask,
        arguments: bytes = b"",
        *,
        expected: str,
        timeout_s: float = _ANSWER_S,
    ) -> bytes:
        """One request and its results; repeated if damaged. Raises `LinkError`."""
        self._sequence = self._sequence % 255 + 1
        request = bytes((ask, self._sequence)) + arguments
        before = (self.link.received_bytes, self.link.damaged_frames)
        begun = time.monotonic()
        rows = self._trace_rows
        for _ in range(_ATTEMPTS):
            damaged = self.link.damaged_frames
            self.link.send(request)
            answer = self._wait(ask, self._sequence, timeout_s, rows)
            if answer is not None:
                if answer.status != 0:
                    raise self._refused(ask, answer.status)
                return answer.body
            if self.link.received_bytes == before[0] and damaged == self.link.damaged_frames:
                break  # silent throughout: another request would only wait again
        raise self.link.silence(expected, time.monotonic() - begun, before)

    def _wait(self, ask: Ask, sequence: int, timeout_s: float, rows: int) -> protocol.Answer | None:
        """The answer to this request; None if the request must be repeated. There is one deadline,
        whatever else comes, except that each of the trace's `rows` adds once the time to send
        it."""
        end = time.monotonic() + timeout_s
        while True:
            damaged = self.link.damaged_frames
            payload = self.link.receive(max(0.0, end - time.monotonic()))
            if payload is None:
                return None
            if payload[0] == Tell.FAULT:
                raise LinkError(
                    f"the device stopped with a {protocol.describe_fault(payload[2:])}",
                    advice="arm-none-eabi-addr2line -f -e IMAGE.elf PC names the place",
                    node=self.link.url,
                )
            if payload[0] == Tell.START:
                raise RestartedError(
                    "the device started anew in the middle",
                    advice="A supply that breaks down, a loose cable and a pressed button do that. "
                    f"The log is {self.link.log.path}",
                    node=self.link.url,
                )
            if payload[0] == Tell.TRACE and len(payload) >= 6:
                _, y = struct.unpack_from("<HH", payload, 2)
                if y < rows and y not in self._trace:
                    end = max(end, time.monotonic() + timeout_s)
                if y < rows:
                    self._trace[y] = payload[6:]
            elif payload[0] == Tell.DAMAGE:
                return None
            else:
                answer = protocol.parse_answer(payload)
                if answer and (answer.ask, answer.sequence) == (ask, sequence):
                    return answer
            if self.link.damaged_frames != damaged and not self._trace:
                end = min(end, time.monotonic() + _ANSWER_S)  # the answer may have been damaged

    def _refused(self, ask: Ask, status: int) -> RefusedError:
        reason = protocol.STATUS.get(status, f"status {status}")
        advice = f"The log is {self.link.log.path}"
        if status == protocol.DAMAGED:
            advice = f"Flash the image again. {advice}"
        return RefusedError(
            f"the device refuses {ask.name.lower()}: {reason}",
            status,
            advice=advice,
            node=self.link.url,
        )
