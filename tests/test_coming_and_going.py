"""Devices that go in the middle and come back: found by serial number, resumed, or ended in words.

What enters: a fake board on TCP that hangs up or restarts after so many requests; ports of this
computer under changing names. What leaves: nothing but failures. Always holds: what was compared
stays compared, and nothing is compared twice; a board that goes too often ends the check.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from serial.tools import list_ports

import fake_device
from mbn.core.errors import CheckError, LinkError
from mbn.harness.device import Device, check, protocol
from mbn.harness.device.check import MOST_RESTARTS
from mbn.harness.device.link import Link
from mbn.harness.host import port as ports

START = protocol.encode(bytes([protocol.Tell.START, 0, protocol.Start.OTHER]))
OUTPUT = np.array([1, 2, 3, 4, 5], np.int8)


@contextmanager
def leaving(goes: str, after: int, times: int, build: str = "b") -> Iterator[str]:
    """A board that goes by hanging up ("port") or by a reset ("reset") at the request `after`, so
    many times; from the first time on it says that it is `build`."""
    over = threading.Event()
    gone = 0

    def serve(line: socket.socket) -> None:
        nonlocal gone
        pending, asked = b"", 0
        line.settimeout(0.05)
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                data = line.recv(65536)
                if not data:
                    return
                pending += data
            *frames, pending = pending.split(b"\0")
            for request in filter(None, map(protocol.decode, frames)):
                asked += 1
                if asked >= after and gone < times and request[0] == protocol.Ask.INFER:
                    gone, asked = gone + 1, 0
                    if goes == "port":
                        return
                    line.sendall(b"\0" + START)
                    continue
                body = fake_device.body_of(request[0], request, "")
                if request[0] == protocol.Ask.IDENTIFY and gone:
                    body = body.replace(b"\1b\3net", b"\1" + build.encode() + b"\3net")
                fake_device._answer(line, request[0], request[1], body)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def accept() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError), server.accept()[0] as line:
                    serve(line)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join(5)


def checked(url: str, log: Path) -> tuple[int, int, list[int]]:
    """Samples that are exact, restarts, what progress was told."""
    told: list[int] = []
    images = np.zeros((4, *fake_device.SHAPE), np.int8)
    with Link(url, baud=115200, log_path=log) as link:
        device = Device(link)
        device.wait_ready()
        found = check(device, images, np.tile(OUTPUT, (4, 1)), progress=told.append)
    return found.exact_samples, found.restarts, told


@pytest.mark.parametrize("goes", ["port", "reset"])
def test_a_check_is_resumed(goes: str, tmp_path: Path) -> None:
    with leaving(goes, 6, 2) as url:
        assert checked(url, tmp_path / "log") == (4, 2, [1, 2, 3, 4])


@pytest.mark.parametrize("goes", ["port", "reset"])
def test_a_board_that_goes_too_often(goes: str, tmp_path: Path) -> None:
    words = (
        rf"until then 0 of 4 images were compared, 0 exact, and the board came back {MOST_RESTARTS}"
    )
    with leaving(goes, 1, 99) as url, pytest.raises(LinkError, match=words):
        checked(url, tmp_path / "log")


def test_another_image_that_comes_back_ends_it(tmp_path: Path) -> None:
    with leaving("port", 6, 1, build="c") as url, pytest.raises(CheckError, match="runs build c"):
        checked(url, tmp_path / "log")


@dataclass
class Plugged:
    """As pySerial lists a port."""

    device: str
    vid: int | None = 0x0483
    pid: int | None = 0x374B
    serial_number: str | None = "0667"
    location: str | None = "1-2:1.2"


def test_a_port_is_found_again_by_its_serial_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = [Plugged("/dev/ttyACM0"), Plugged("/dev/ttyACM1", serial_number="0668")]
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    name = ports.usb_name("/dev/ttyACM0")
    assert name == ports.UsbName(0x0483, 0x374B, "0667", "1.2")
    there[:] = [Plugged("/dev/ttyACM0", serial_number="0668")]
    assert ports.port_named(name) is None
    there += [
        Plugged("/dev/ttyACM2", location="3-1:1.0"),
        Plugged("/dev/ttyACM3", location="3-1:1.2"),
    ]
    assert ports.port_named(name) == "/dev/ttyACM3"  # at another place, its second port
    there[:] = [Plugged("/dev/ttyS0", vid=None), Plugged("/dev/ttyACM0", serial_number=None)]
    assert ports.usb_name("/dev/ttyS0") is None and ports.usb_name("/dev/ttyACM0") is None


def test_a_port_that_stays_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with leaving("port", 1, 1) as url, Link(url, baud=9600, log_path=tmp_path / "log") as link:
        link._usb = ports.UsbName(1, 2, "0667", "")
        monkeypatch.setattr(list_ports, "comports", list)
        with pytest.raises(LinkError, match="serial number 0667 does not come back"):
            link.reopen(0.3)
