"""A model of an STM32's ROM bootloader on a pty, as AN3155 describes it, its silences included.

What enters: bytes on the pty. What leaves: answers, and a flash that was erased and written. Always
holds: as the part, it waits for ever in the middle of a command, says nothing about a write to a
protected sector, and takes 0x7F for the start only once; programming can only clear bits.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Self

ACK, NACK = b"\x79", b"\x1f"
COMMANDS = (0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x44, 0x63, 0x73, 0x82, 0x92)
Script = Generator[None, int, None]


@dataclass
class Faults:
    """What goes wrong. Counts are of bytes from the host, or to it, from the beginning."""

    lose: set[int] = field(default_factory=set)  # bytes from the host that never arrive
    flip: set[int] = field(default_factory=set)  # ... that arrive with a bit turned
    lose_answer: set[int] = field(default_factory=set)  # bytes to the host that never arrive
    refuse: dict[int, int] = field(default_factory=dict)  # commands: how often each gets a NACK
    protected: set[int] = field(default_factory=set)  # sectors that can't be written or erased
    hang_up_at: int | None = None  # the adapter is unplugged after so many bytes
    mute_at: int | None = None  # the part loses its power after so many bytes
    erase_never_ends: bool = False


class RomBootloader:
    """The part. `on_go(address)` gives a connected socket of what runs then, or None."""

    def __init__(
        self,
        sectors: tuple[int, ...],
        *,
        base: int = 0x08000000,
        chip_id: int = 0x413,
        faults: Faults | None = None,
        on_go: Callable[[int], socket.socket | None] = lambda address: None,
    ) -> None:
        self.sectors, self.base, self.chip_id = sectors, base, chip_id
        self.faults = faults or Faults()
        self.flash = bytearray(b"\xa5" * sum(sectors))  # an old image
        self.erased: list[int] = []
        self.went: int | None = None
        self.received = self.sent = 0
        self._on_go = on_go
        self.application: socket.socket | None = None
        self._script = self._boot()
        next(self._script)

    # -- the line ------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *rest: object) -> None:
        os.write(self._wake, b"x")
        self._thread.join(5)
        for handle in (self._stop, self._wake):
            os.close(handle)
        self._hang_up()
        if self.application is not None:
            self.application.close()

    def _hang_up(self) -> None:
        for handle in (self._master, self._slave):
            if handle >= 0:
                os.close(handle)
        self._master = self._slave = -1

    def _serve(self) -> None:
        while self._master >= 0:
            watched: list[int | socket.socket] = [self._master, self._stop]
            if self.application is not None:
                watched.append(self.application)
            ready, _, _ = select.select(watched, [], [])
            if self._stop in ready:
                return
            if self._master in ready:
                self._take(os.read(self._master, 4096))
            elif self.application is not None:
                data = self.application.recv(4096)
                if not data:
                    return
                os.write(self._master, data)

    def _take(self, data: bytes) -> None:
        if self.application is not None:
            self.application.sendall(data)
            return
        for byte in data:
            self.received += 1
            if self.faults.hang_up_at == self.received:
                self._hang_up()
                return
            muted = self.faults.mute_at is not None and self.received >= self.faults.mute_at
            if muted or self.received in self.faults.lose:
                continue
            self._script.send(byte ^ (1 if self.received in self.faults.flip else 0))

    def _say(self, data: bytes) -> None:
        for byte in data:
            self.sent += 1
            if self.sent not in self.faults.lose_answer:
                os.write(self._master, bytes((byte,)))

    # -- the protocol (AN3155) -------------------------------------------------------------------

    def _boot(self) -> Script:
        while (yield) != 0x7F:
            pass
        self._say(ACK)
        while True:
            command = yield
            if (yield) != command ^ 0xFF or command not in COMMANDS or self._refused(command):
                self._say(NACK)
                continue
            self._say(ACK)
            if command == 0x00:
                self._say(bytes((len(COMMANDS), 0x31, *COMMANDS)) + ACK)
            elif command == 0x02:
                self._say(bytes((1, *self.chip_id.to_bytes(2, "big"))) + ACK)
            elif command == 0x11:
                yield from self._read()
            elif command == 0x21:
                yield from self._go()
            elif command == 0x31:
                yield from self._write()
            elif command == 0x44:
                yield from self._erase()

    def _refused(self, command: int) -> bool:
        left = self.faults.refuse.get(command, 0)
        self.faults.refuse[command] = left - 1
        return left > 0

    def _bytes(self, count: int) -> Generator[None, int, tuple[bytes, bool]]:
        """That many bytes and whether the checksum behind them is right."""
        data = bytearray()
        check = 0
        for _ in range(count):
            byte = yield
            data.append(byte)
            check ^= byte
        return bytes(data), (yield) == check

    def _address(self) -> Generator[None, int, int | None]:
        data, right = yield from self._bytes(4)
        address = int.from_bytes(data, "big")
        inside = self.base <= address < self.base + len(self.flash)
        self._say(ACK if right and inside else NACK)
        return address if right and inside else None

    def _read(self) -> Script:
        address = yield from self._address()
        if address is None:
            return
        size = yield
        if (yield) != size ^ 0xFF:
            self._say(NACK)
            return
        at = address - self.base
        self._say(ACK + bytes(self.flash[at : at + size + 1]))

    def _write(self) -> Script:
        address = yield from self._address()
        if address is None:
            return
        size = yield
        data = bytearray()
        check = size
        for _ in range(size + 1):
            byte = yield
            data.append(byte)
            check ^= byte
        if (yield) != check:
            self._say(NACK)
            return
        for k, byte in enumerate(data):
            at = address - self.base + k
            if self._sector(at) not in self.faults.protected:
                self.flash[at] &= byte
        self._say(ACK)

    def _erase(self) -> Script:
        high = yield
        count = high << 8 | (yield)
        check = (count >> 8) ^ (count & 255)
        numbers = []
        for _ in range(count + 1):
            high = yield
            low = yield
            check ^= high ^ low
            numbers.append(high << 8 | low)
        if (yield) != check or any(number >= len(self.sectors) for number in numbers):
            self._say(NACK)
            return
        for number in numbers:
            if number not in self.faults.protected:
                at = sum(self.sectors[:number])
                self.flash[at : at + self.sectors[number]] = b"\xff" * self.sectors[number]
                self.erased.append(number)
        if not self.faults.erase_never_ends:
            self._say(ACK)

    def _go(self) -> Script:
        address = yield from self._address()
        if address is not None:
            self.went = address
            self.application = self._on_go(address)
            while True:  # the bootloader is gone
                yield

    def _sector(self, at: int) -> int:
        end = 0
        for number, size in enumerate(self.sectors):
            end += size
            if at < end:
                return number
        raise AssertionError("an address outside the flash")
