"""A Raspberry Pi Pico in the emulator rp2040py, as a process with a serial line on TCP.

What enters: a UF2 file, or a folder that stands for the boot loader's drive and into which one will
be copied; then bytes. What leaves: the line's port, on standard error; then bytes. Always holds:
the core begins in its boot ROM, after every reset too; a byte reaches the UART's FIFO no sooner
than the line's rate allows, and never while the FIFO is full. The emulator is no work of ours: what
it counts and does shares nothing with our models.

Two things it leaves out are added here: the PLL (its registers are read, so that the microseconds
and the baud rate follow from what the image wrote), and what the core does on bad accesses (a
HardFault) and on AIRCR.SYSRESETREQ. ARMv6-M Architecture Reference Manual (DDI 0419) B1.5, B3.2.6;
RP2040 datasheet, "PLL", "UART".
"""

from __future__ import annotations

import argparse
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import load_uf2
from rp2040py.execute_batch import execute_batch
from rp2040py.peripherals.peripheral import BasePeripheral
from rp2040py.rp2040 import RP2040

CYCLE_NANOS = 8.0  # of the emulator's clock, whose core always runs at 125 MHz
CRYSTAL_HZ = 12_000_000
CLOCKS_A_BIT, BITS_A_BYTE = 16, 10
PLL_SYS = 0x40028
CS, PWR, FBDIV, PRIM = 0x0, 0x4, 0x8, 0xC  # its registers
LOCKED = 1 << 31
AIRCR, RESET_KEY, SYSRESETREQ = 0xD0C, 0x05FA, 1 << 2
HARD_FAULT = 3
THUMB_BYTES = 2  # of every load and store
INFO = "INFO_UF2.TXT"
WAIT_S = 0.02
MOST_AT_ONCE = 4096


class Pll(BasePeripheral):
    """The system PLL's registers: what was written is read, and it locks at once."""

    def __init__(self, rp2040: RP2040, clock: Scaled) -> None:
        super().__init__(rp2040, "PLL_SYS")
        self._words = {CS: 1, PWR: 0x2D, FBDIV: 0, PRIM: 0x77000}
        self._clock = clock

    def read_uint32(self, offset: int) -> int:
        return self._words.get(offset, 0) | (LOCKED if offset == CS else 0)

    def write_uint32(self, offset: int, value: int) -> None:
        self._words[offset] = value & 0xFFFFFFFF
        posts = self._words[PRIM]
        divider = (self._words[CS] & 63) * (posts >> 16 & 7) * (posts >> 12 & 7)
        hz = CRYSTAL_HZ * self._words[FBDIV] / divider if divider else 0
        if hz:
            self._clock.hz = hz


class Scaled:
    """The emulator's time for what counts microseconds: as if the core ran at `hz`."""

    def __init__(self, clock: Any) -> None:
        self._clock, self._hz = clock, 1e9 / CYCLE_NANOS
        self._from, self._base = clock.nanos, 0.0

    @property
    def nanos(self) -> float:
        ran = float(self._clock.nanos - self._from)
        return self._base + ran * (1e9 / CYCLE_NANOS) / self._hz

    @property
    def hz(self) -> float:
        return self._hz

    @hz.setter
    def hz(self, value: float) -> None:
        self._base, self._from, self._hz = self.nanos, self._clock.nanos, value


class Faults:
    """The emulator's log: what it warns of would be a HardFault on the part."""

    def __init__(self, pico: Pico) -> None:
        self._pico = pico

    def warning(self, component_name: str, message: str) -> None:
        if component_name == "RP2040":
            self._pico.stop("fault")

    def debug(self, component_name: str, message: str) -> None:
        """Nothing."""

    info = debug

    def error(self, component_name: str, message: str) -> None:
        print(f"rp2040py: {component_name}: {message}", file=sys.stderr, flush=True)


def _chip() -> Any:
    """The emulator's chip, of which parts are replaced here."""
    return RP2040()


class Pico:
    """The chip with an image in its flash and UART0 on a socket."""

    def __init__(self, uf2: Path) -> None:
        self.chip = _chip()
        # of the emulator's Simulator, whose threads are not wanted, what a batch of work reads
        self._room: Any = SimpleNamespace(rp2040=self.chip, clock=self.chip.clock, stopped=False)
        self.coming: deque[int] = deque()
        self.sent = bytearray()
        self.waited = 0  # byte times that the line stood still because the FIFO was full
        self._why = ""
        self.chip.load_bootrom(BOOTROM_B1)
        load_uf2(uf2, self.chip)
        self.chip.logger = Faults(self)
        scaled = Scaled(self.chip.clock)
        self.chip.peripherals[PLL_SYS] = Pll(self.chip, scaled)
        self.chip.timer.clock = scaled
        self.chip.watchdog.on_watchdog_trigger = lambda: self.stop("watchdog")
        self.chip.on_break = lambda code: self.stop("fault")
        self._ppb_write = self.chip.ppb.write_uint32
        self.chip.ppb.write_uint32 = self._write_ppb
        self._uart = self.chip.uart[0]
        self._uart.on_byte = self.sent.append
        self._alarm = self.chip.clock.create_alarm(self._byte)
        self._due = False
        self.chip.core.reset()

    def _write_ppb(self, offset: int, value: int) -> None:
        if offset == AIRCR:
            if value >> 16 == RESET_KEY and value & SYSRESETREQ:
                self.stop("asked")
            return
        self._ppb_write(offset, value)

    def stop(self, why: str) -> None:
        """Ends the batch after this instruction; what is to be done then."""
        self._why, self._room.stopped = why, True

    def _byte(self) -> None:
        """One byte of the line is over."""
        self._due = False
        if self.coming:
            if self._uart.rx_fifo.full:
                self.waited += 1
            else:
                self._uart.feed_byte(self.coming.popleft())
            self._next()

    def _next(self) -> None:
        if self.coming and not self._due and self._uart.baud_divider:
            self._due = True
            clocks = CLOCKS_A_BIT * BITS_A_BYTE * self._uart.baud_divider
            self._alarm.schedule(clocks * CYCLE_NANOS)

    def receive(self, data: bytes) -> None:
        """Bytes for the UART, in their time."""
        self.coming.extend(data)
        self._next()

    def run(self) -> None:
        """Some milliseconds of work, and what it led to."""
        self._room.stopped = False
        execute_batch(self._room, 1)
        why, self._why = self._why, ""
        core = self.chip.core
        if why == "fault":
            core.pc -= THUMB_BYTES
            core.exception_entry(HARD_FAULT)
        elif why == "watchdog":
            self.chip.enter_reset(from_watchdog=True)
            core.reset()
        elif why == "asked":
            core.reset()


def serve(pico: Pico, listening: socket.socket) -> None:
    """Runs for ever; from the first connection on, or at once where nothing listens at first."""
    line: socket.socket | None = None
    while True:
        if line is None:
            ready, _, _ = select.select([listening], [], [], 0.0)
            if ready:
                line = listening.accept()[0]
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        elif len(pico.coming) < MOST_AT_ONCE and select.select([line], [], [], 0.0)[0]:
            data = _received(line)
            if not data:
                line.close()
                line = None
            pico.receive(data)
        pico.run()
        if pico.sent:
            data = bytes(pico.sent)
            pico.sent.clear()
            if line is not None:
                line = _send(line, data)


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(MOST_AT_ONCE)
    except OSError:
        return b""


def _send(line: socket.socket, data: bytes) -> socket.socket | None:
    """The line, or None where nobody is there any more."""
    try:
        line.sendall(data)
        return line
    except OSError:
        line.close()
        return None


def dropped(drive: Path) -> Path:
    """Waits for a whole UF2 file in the drive's folder; then the drive vanishes, as the boot
    loader's does, and the file with it."""
    (drive / INFO).write_text("Model: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n", encoding="ascii")
    size = -1
    while True:
        files = sorted(drive.glob("*.uf2"))
        now = files[0].stat().st_size if files else -1
        if files and now == size and now and now % 512 == 0:
            kept = drive.with_name(f"{drive.name}-taken.uf2")
            files[0].rename(kept)
            (drive / INFO).unlink()
            return kept
        size = now
        time.sleep(WAIT_S)


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--uf2", type=Path)
    source.add_argument("--drive", type=Path)
    arguments = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"listening on 127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
        pico = Pico(arguments.uf2 or dropped(arguments.drive))
        serve(pico, listening)


if __name__ == "__main__":
    main()
