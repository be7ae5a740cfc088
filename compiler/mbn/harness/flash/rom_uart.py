"""The serial protocol of an STM32's ROM bootloader (AN3155).

The port has even parity. Every wait has a limit. A missing or wrong answer raises a `FlashError`;
`synchronise` then finds the start of a command again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from mbn.core.errors import FlashError
from mbn.harness.flash.interface import Deadline
from mbn.harness.host.port import GONE, POLL_S

START = 0x7F
ACK, NACK = 0x79, 0x1F
GET, GET_ID, READ, GO, WRITE = 0x00, 0x02, 0x11, 0x21, 0x31
ERASE, EXTENDED_ERASE = 0x43, 0x44
BLOCK_BYTES = 256
# A write that was cut may want this many bytes more: address, length, data, checksums.
LONGEST_FRAME_BYTES = 4 + 1 + 1 + BLOCK_BYTES + 1
# What fills it must end in a wrong checksum, or it is written: start bytes are a length of 127 with
# its data and checksum. No two of these in a row are a command and its complement.
_FILL, _FILL_S = b"\x0e\x70\x22" * 11, 0.05


def checksum(data: bytes) -> int:
    """The exclusive or of all bytes."""
    value = 0
    for byte in data:
        value ^= byte
    return value


class RomUart:
    """The bootloader at the other end of a port. `answer_s`: time for an answer that needs no
    work."""

    def __init__(self, port: Any, *, answer_s: float = 1.0) -> None:
        self._port = port
        self._answer_s = answer_s
        self.commands: tuple[int, ...] = ()

    def synchronise(self, deadline: Deadline) -> None:
        """Finds the start of a command. After a reset the start byte is acknowledged. As the first
        byte of a command there is no answer, and the second byte gives a NACK. In the middle of a
        frame there is no answer until the frame is full, so it is filled."""
        self._quiet(deadline)
        if self._started(2):
            return
        for _ in range(0, LONGEST_FRAME_BYTES, len(_FILL)):
            deadline.check()
            self._send(_FILL)
            if self._byte(_FILL_S) is not None:
                self._quiet(deadline)
                if self._started(2):
                    return
        raise FlashError(
            "no bootloader answers",
            wanted=f"{ACK:#04x} or {NACK:#04x} after {START:#04x}",
            advice="Set BOOT0 to 1, reset the board, and try again (8 data bits, even parity)",
        )

    def _quiet(self, deadline: Deadline) -> None:
        """Waits until no more bytes come, so that a late answer is not taken for the next one."""
        while self._take(BLOCK_BYTES, POLL_S):
            deadline.check()

    def _started(self, attempts: int) -> bool:
        """Whether the start byte is answered; the second may end a command that the first began."""
        for _ in range(attempts):
            self._send(bytes((START,)))
            if self._byte(self._answer_s) in (ACK, NACK):
                self._discard()
                return True
        return False

    def get(self) -> int:
        """The version, as 0x31 for 3.1. `commands` is what the bootloader supports."""
        self._command(GET)
        count = self._read(1)[0] + 1
        data = self._read(count)
        self._acknowledged("Get")
        self.commands = tuple(data[1:])
        return data[0]

    def chip_id(self) -> int:
        """The product's id (AN2606)."""
        self._command(GET_ID)
        count = self._read(1)[0] + 1
        data = self._read(count)
        self._acknowledged("Get ID")
        return int.from_bytes(data, "big")

    def read(self, address: int, size: int) -> bytes:
        """1 to 256 bytes."""
        self._command(READ, protected="read")
        self._address(address)
        self._send(bytes((size - 1, (size - 1) ^ 0xFF)))
        self._acknowledged("the length of a read")
        return self._read(size)

    def write(self, address: int, data: bytes) -> None:
        """1 to 256 bytes, a multiple of 4 at a multiple of 4. A write-protected sector is no error
        here."""
        if not 0 < len(data) <= BLOCK_BYTES or len(data) % 4 or address % 4:
            raise ValueError("a write of words, at most 256 bytes")
        self._command(WRITE, protected="write")
        self._address(address)
        body = bytes((len(data) - 1,)) + data
        self._send(body + bytes((checksum(body),)))
        self._acknowledged("data", wait_s=self._answer_s + 0.5)

    def erase(self, sectors: Sequence[int], limit_s: float) -> None:
        """Erases sectors or pages by number: up to `limit_s` of silence. Raises `FlashError`."""
        if EXTENDED_ERASE in self.commands:
            self._command(EXTENDED_ERASE, protected="erase")
            body = (len(sectors) - 1).to_bytes(2, "big")
            body += b"".join(sector.to_bytes(2, "big") for sector in sectors)
        else:
            self._command(ERASE, protected="erase")
            body = bytes((len(sectors) - 1, *sectors))
        self._send(body + bytes((checksum(body),)))
        self._acknowledged("the erased sectors", wait_s=limit_s)

    def go(self, address: int) -> None:
        """Starts the image whose vector table is there. Silence is not an error: the bootloader may
        end before its answer is sent; the image's identity proves the start."""
        self._command(GO, protected="start")
        self._address(address, silence=True)

    def _command(self, command: int, *, protected: str | None = None) -> None:
        if self.commands and command not in self.commands:
            raise FlashError(f"this bootloader has no command {command:#04x}", final=True)
        self._discard()
        self._send(bytes((command, command ^ 0xFF)))
        answer = self._byte(self._answer_s)
        if answer == NACK and protected:
            raise FlashError(
                f"the bootloader refuses to {protected}",
                advice="Is the part's readout protection on? Taking it off (STM32CubeProgrammer, "
                "or command 0x92) erases everything",
            )
        self._judge(answer, f"command {command:#04x}")

    def _address(self, address: int, *, silence: bool = False) -> None:
        data = address.to_bytes(4, "big")
        self._send(data + bytes((checksum(data),)))
        answer = self._byte(self._answer_s)
        if answer == NACK:
            raise FlashError(f"the bootloader refuses the address {address:#010x}")
        if answer is None and silence:
            return
        self._judge(answer, "an address")

    def _acknowledged(self, what: str, wait_s: float | None = None) -> None:
        self._judge(self._byte(self._answer_s if wait_s is None else wait_s), what)

    def _judge(self, answer: int | None, what: str) -> None:
        if answer == ACK:
            return
        if answer is None:
            raise FlashError(f"the bootloader is silent after {what}")
        said = "NACK" if answer == NACK else f"{answer:#04x}"
        raise FlashError(f"the bootloader answers {said} to {what}", wanted=f"{ACK:#04x}")

    def _send(self, data: bytes) -> None:
        try:
            self._port.write(data)
            self._port.flush()
        except GONE as error:
            raise gone(error) from error

    def _discard(self) -> None:
        """Drops what has come. (Not reset_input_buffer, which some kinds of port lack.)"""
        try:
            while waiting := self._port.in_waiting:
                self._port.read(waiting)
        except GONE as error:
            raise gone(error) from error

    def _byte(self, wait_s: float) -> int | None:
        found = self._take(1, wait_s)
        return found[0] if found else None

    def _read(self, size: int) -> bytes:
        found = self._take(size, self._answer_s)
        if len(found) != size:
            raise FlashError(f"{len(found)} bytes of {size} came from the bootloader")
        return found

    def _take(self, size: int, wait_s: float) -> bytes:
        data = b""
        end = time.monotonic() + wait_s
        try:
            # a read ends by itself (port.POLL_S); over RFC 2217 another time-out costs a second
            while len(data) < size and time.monotonic() < end:
                data += self._port.read(size - len(data))
        except GONE as error:
            raise gone(error) from error
        return data


def gone(error: Exception) -> FlashError:
    """The error for a port whose other side closed."""
    return FlashError(
        f"the board vanished: {error}",
        advice="Its flash may be half written: plug it in and flash it again",
        final=True,
    )
