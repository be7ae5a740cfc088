"""The line itself: framing on both sides, damage, silence, garbage, ports that can't be opened."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from mbn.core.boards import find_board
from mbn.core.errors import LinkError
from mbn.core.target import Board, Image
from mbn.harness.device import Device, open_device
from mbn.harness.device import protocol as wire
from mbn.harness.device.link import Link


@given(st.binary(min_size=2, max_size=1200))
def test_frames_come_back(payload: bytes) -> None:
    frame = wire.encode(payload)
    assert frame.count(0) == 2
    assert wire.decode(frame[1:-1]) == payload


@given(st.binary(min_size=2, max_size=300), st.data())
def test_one_flipped_bit_is_noticed(payload: bytes, data: st.DataObject) -> None:
    frame = bytearray(wire.encode(payload)[1:-1])
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= 1 << data.draw(st.integers(0, 7))
    assert wire.decode(bytes(frame)) is None


@contextmanager
def far_side(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """A pty whose other side answers whatever comes with answer(bytes)."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def serve() -> None:
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                return
            if not data:
                return
            reply = answer(data)
            if reply:
                os.write(master, reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        thread.join(2)
        os.close(master)


def test_missing_port(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="does not exist"):
        Link(str(tmp_path / "ttyNONE"), baud=9600, log_path=tmp_path / "log")


def test_busy_port(tmp_path: Path) -> None:
    with (
        far_side(lambda data: b"") as port,
        Link(port, baud=9600, log_path=tmp_path / "one"),
        pytest.raises(LinkError, match="busy"),
    ):
        Link(port, baud=9600, log_path=tmp_path / "two")


def test_refused_socket(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="can't be opened"):
        Link("socket://127.0.0.1:1", baud=9600, log_path=tmp_path / "log")


def test_silence_says_what_was_expected_and_where_the_log_is(tmp_path: Path) -> None:
    log = tmp_path / "serial.log"
    with (
        far_side(lambda data: b"") as port,
        Link(port, baud=9600, log_path=log) as link,
        pytest.raises(
            LinkError, match=r"nothing came within \d+\.\d+ s.*wanted: an identity"
        ) as error,
    ):
        Device(link).identify(timeout_s=0.3)
    assert str(log) in str(error.value)
    assert "nothing came" in log.read_text(encoding="utf-8")


def test_garbage_is_told_from_silence(tmp_path: Path) -> None:
    with (
        far_side(lambda data: b"login: \0sh\0") as port,
        Link(port, baud=9600, log_path=tmp_path / "log") as link,
        pytest.raises(LinkError, match="bytes came that are not an answer"),
    ):
        Device(link).identify(timeout_s=0.3)


def test_other_protocol_version_is_named(tmp_path: Path) -> None:
    def answer(data: bytes) -> bytes:
        request = wire.decode(data.strip(b"\0"))
        assert request is not None
        return wire.encode(bytes((wire.Ask.IDENTIFY | 0x80, request[1], 0, 99)))

    with (
        far_side(answer) as port,
        Link(port, baud=9600, log_path=tmp_path / "log") as link,
        pytest.raises(LinkError, match="protocol version 99, wanted 1"),
    ):
        Device(link).identify()


def test_hang_up_is_an_error(tmp_path: Path) -> None:
    with (
        far_side(lambda data: b"") as port,
        Link(port, baud=9600, log_path=tmp_path / "l") as link,
    ):
        link._port.close()
        with pytest.raises(LinkError, match="hung up"):
            link.receive(0.2)


def test_board_without_emulator_needs_a_port(tmp_path: Path, board: Board) -> None:
    with (
        pytest.raises(LinkError, match="does not exist"),
        open_device(board, None, str(tmp_path / "tty"), log_path=tmp_path / "log"),
    ):
        pass


def _raw(device: Device, data: bytes) -> None:
    device.link._port.write(data)


@pytest.mark.parametrize(
    "noise",
    [
        b"\xff" * 300,
        b"\0\0\0",
        b"hello\0",
        b"\x05ab\0",
        bytes(range(1, 256)) * 20 + b"\0",
        wire.encode(b"\x01\x07")[:-3],
    ],
)
def test_device_recovers_from_noise(device: Device, noise: bytes) -> None:
    _raw(device, noise)
    image = tiny.images(1)[0]
    assert (device.run(image).output == tiny.stage_maps(image)[-1]).all()


def test_damaged_request_is_told(device: Device) -> None:
    frame = bytearray(wire.encode(b"\x01\x07"))
    frame[3] ^= 0x55
    _raw(device, bytes(frame))
    payload = device.link.receive(2.0)
    assert payload is not None
    assert payload[0] == wire.Tell.DAMAGE


def test_too_long_request_is_told(device: Device) -> None:
    _raw(device, wire.encode(bytes(3000)))
    payload = device.link.receive(5.0)
    assert payload is not None
    assert payload[:3] == bytes((wire.Tell.DAMAGE, 0, 2))


def test_unknown_request_is_refused(device: Device) -> None:
    device.link.send(b"\x3f\x09")
    answer = wire.parse_answer(device.link.receive(2.0) or b"")
    assert answer is not None
    assert (answer.ask, answer.status) == (0x3F, -64)


def test_repeated_part_is_not_taken_twice(device: Device) -> None:
    """As after a lost answer: the device says where to go on."""
    image = tiny.images(1)[0]
    device._ask(wire.Ask.BEGIN, b"\0\0\0", expected="start")
    data = image.tobytes()
    for at, end in ((0, 13), (0, 13), (13, 20), (0, 13), (20, 32)):
        part = at.to_bytes(4, "little") + data[at:end]
        device._ask(wire.Ask.LOAD, part, expected="part")
    device._ask(wire.Ask.INFER, expected="end")
    device._ask(wire.Ask.INFER, expected="end, asked again")
    assert (device._output() == tiny.stage_maps(image)[-1]).all()


def test_lost_and_damaged_answers_are_asked_for_again(device: Device) -> None:
    """Every third payload that comes is thrown away as damaged."""
    link = device.link
    receive = link.receive
    count = 0

    def lossy(timeout_s: float) -> bytes | None:
        nonlocal count
        payload = receive(min(timeout_s, 1.0))
        count += 1
        if count % 3 == 0:
            link.damaged_frames += 1
            return None
        return payload

    link.receive = lossy  # type: ignore[method-assign]
    image = tiny.images(1)[0]
    for _ in range(3):
        assert (device.run(image).output == tiny.stage_maps(image)[-1]).all()


def test_native_image_is_found_missing(tmp_path: Path) -> None:
    with (
        pytest.raises(LinkError, match="no such image"),
        open_device(find_board("host"), tmp_path / "x", log_path=tmp_path / "log"),
    ):
        pass


def test_log_holds_both_directions(device: Device, app: Image) -> None:
    device.identify()
    device.link.log.say("end")
    text = device.link.log.path.read_text(encoding="utf-8")
    assert " > " in text
    assert " < " in text
