"""The STM32's ROM bootloader: our client against a model that follows AN3155, come what may.

What enters: a small image, a model with faults. What leaves: nothing but failures. Always holds: a
flash that went well holds the image's bytes, and no other sector changed; whatever went wrong, the
port can be opened again.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from serial import Serial

from conftest import Builder
from line_servers import rfc2217_server, socket_server
from mbn.core.boards import find_board
from mbn.core.errors import FlashError, LinkError
from mbn.core.process import Child
from mbn.core.target import Board, Image
from mbn.harness.device import open_device
from mbn.harness.flash import Deadline, flash, read_payload
from mbn.harness.flash.rom_uart import _FILL, LONGEST_FRAME_BYTES, RomUart, checksum
from mbn.harness.flash.uart import UartFlasher, needed_sectors
from mbn.harness.host.emulator import qemu_command
from rom_bootloader import Faults, RomBootloader

ANSWER_S = 0.05
pytestmark = pytest.mark.usefixtures("parity")
SECTORS = (0x1000, 0x1000, 0x1000, 0x4000)


@pytest.fixture(scope="module")
def board() -> Board:
    return find_board("stm32f405")


@pytest.fixture(scope="module")
def image(board: Board, build: Builder) -> Image:
    return build(board)


def small(board: Board) -> Board:
    """With short sectors, so that few bytes go over the line."""
    return replace(board, flash=replace(board.flash, sectors=SECTORS))


def run(board: Board, image: Image, model: RomBootloader) -> list[str]:
    """Flashes; what was said about retries. The port is free afterwards, whatever happened."""
    assert image.hex is not None
    said: list[str] = []
    try:
        with UartFlasher(small(board), model.port, answer_s=ANSWER_S) as flasher:
            payload = read_payload(image.hex, board)
            flash(flasher, payload, lambda step, done, of: None, said.append)
    finally:
        if model.faults.hang_up_at is None:
            Serial(model.port, exclusive=True).close()
    return said


def holds(model: RomBootloader, image: Image) -> bool:
    assert image.hex is not None
    parts = read_payload(image.hex, image.board).parts
    return all(
        bytes(model.flash[at - model.base : at - model.base + len(data)]) == data
        for at, data in parts
    )


def test_writes_reads_back_and_starts(board: Board, image: Image, parity: list[bool]) -> None:
    with RomBootloader(SECTORS) as model:
        assert run(board, image, model) == []
    assert any(parity)
    assert holds(model, image)
    assert model.went == 0x08000000
    assert image.hex is not None
    parts = list(read_payload(image.hex, board).parts)
    assert model.erased == needed_sectors(parts, model.base, SECTORS)
    assert 3 not in model.erased and set(model.flash[sum(SECTORS[:3]) :]) == {0xA5}


def test_entered_again_without_a_reset(board: Board, image: Image) -> None:
    """The start byte was taken before: now it is half a command, then NACK."""
    with RomBootloader(SECTORS) as model:
        with Serial(model.port, timeout=60) as line:
            line.write(b"\x7f")
            assert line.read(1) == b"\x79"
            line.timeout = 1
            line.write(b"\x7f")
            assert line.read(1) == b""  # silence: it waits for the complement
        assert run(board, image, model) == []
    assert holds(model, image)


@pytest.mark.parametrize("cut", [1, 7, 9, 40])
def test_entered_in_the_middle_of_a_command(board: Board, image: Image, cut: int) -> None:
    frame = b"\x31\xce" + b"\x08\x00\x00\x00\x08" + b"\xff" + b"\x12" * 256 + b"\x00"
    with RomBootloader(SECTORS) as model:
        with Serial(model.port, timeout=1) as line:
            line.write(b"\x7f" + frame[:cut])
            time.sleep(0.02)
        assert run(board, image, model) == []
    assert holds(model, image)


@pytest.mark.parametrize("at", [1, 2, 30, 3000])
@pytest.mark.parametrize("fault", ["lose", "flip", "lose_answer"])
def test_a_byte_lost_or_turned_costs_one_retry(
    board: Board, image: Image, fault: str, at: int
) -> None:
    """A wrong checksum is a NACK, a lost byte silence; the step is tried once more."""
    at = min(at, 60) if fault == "lose_answer" else at
    with RomBootloader(SECTORS, faults=Faults(**{fault: {at}})) as model:
        assert len(run(board, image, model)) <= 1
    assert holds(model, image) and model.went is not None


@pytest.mark.parametrize("command", [0x00, 0x02, 0x11, 0x21, 0x31, 0x44])
def test_a_command_refused_once(board: Board, image: Image, command: int) -> None:
    with RomBootloader(SECTORS, faults=Faults(refuse={command: 1})) as model:
        (said,) = run(board, image, model)
    assert "Trying once more" in said
    assert holds(model, image)


def test_readout_protection_is_named(board: Board, image: Image) -> None:
    with (
        RomBootloader(SECTORS, faults=Faults(refuse={0x44: 99})) as model,
        pytest.raises(FlashError, match=r"erase by uart failed.*refuses to erase.*readout prot"),
    ):
        run(board, image, model)
    assert set(model.flash) == {0xA5}


def test_a_write_protected_sector_is_found_by_reading(board: Board, image: Image) -> None:
    with (
        RomBootloader(SECTORS, faults=Faults(protected={1})) as model,
        pytest.raises(FlashError, match=r"verify by uart .*0x08001000: 0xa5.*write-protected"),
    ):
        run(board, image, model)
    assert model.went is None  # what was not verified is not started


@pytest.mark.parametrize("at", [40, 2000])
def test_a_board_that_vanishes(board: Board, image: Image, at: int) -> None:
    with (
        RomBootloader(SECTORS, faults=Faults(hang_up_at=at)) as model,
        pytest.raises(FlashError, match=r"vanished.*half written"),
    ):
        run(board, image, model)


def test_power_lost_in_the_middle(board: Board, image: Image) -> None:
    begun = time.monotonic()
    with (
        RomBootloader(SECTORS, faults=Faults(mute_at=2000)) as model,
        pytest.raises(FlashError, match=r"no bootloader answers.*BOOT0|did not end within"),
    ):
        run(board, image, model)
    assert time.monotonic() - begun < 60
    assert model.went is None


def test_an_erase_that_never_ends(
    board: Board, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbn.harness.flash.uart._MARGIN_S", 0.5)
    monkeypatch.setattr("mbn.harness.flash.uart._SECTOR_SMALL_S", 0.1)
    with (
        RomBootloader(SECTORS, faults=Faults(erase_never_ends=True)) as model,
        pytest.raises(FlashError, match=r"erase by uart failed.*silent"),
    ):
        run(board, image, model)


def test_another_part_is_refused_before_anything_is_erased(board: Board, image: Image) -> None:
    with (
        RomBootloader(SECTORS, chip_id=0x449) as model,
        pytest.raises(FlashError, match=r"a part of id 0x449.*wanted: 0x413"),
    ):
        run(board, image, model)
    assert model.erased == []


def test_checksums_and_frames_are_those_of_the_note() -> None:
    """AN3155's own example of an address: 0x08000000 has the checksum 0x08."""
    assert checksum(bytes.fromhex("08000000")) == 0x08
    near, far = socket.socketpair()
    near.close()
    far.close()
    with pytest.raises(ValueError, match="words"):
        RomUart(None).write(0x08000002, b"1234")
    assert needed_sectors([(0x0800FFFF, b"12")], 0x08000000, (0x10000, 0x10000)) == [0, 1]
    assert needed_sectors([(0x08010000, b"12")], 0x08000000, (0x10000, 0x10000, 0x10000)) == [1]


def test_what_fills_a_cut_write_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a write was cut, and with any byte of it lost, the fill ends it in a NACK."""
    frame = b"\x31\xce" + b"\x08\x00\x00\x00\x08" + b"\xff" + b"\x12" * 256
    for cut in range(2, len(frame) + 1):
        for lost in {2, 3, 6, 7, 8, cut}:
            model = RomBootloader(SECTORS)
            answers = bytearray()
            monkeypatch.setattr(model, "_say", answers.extend)
            sent = frame[:cut]
            model._take(b"\x7f" + sent[:lost] + sent[lost + 1 :])
            before = len(answers)
            for byte in b"\x7f\x7f" + _FILL * (LONGEST_FRAME_BYTES // len(_FILL) + 1):
                model._take(bytes((byte,)))
                if len(answers) > before:
                    break
            assert answers[before:] == b"\x1f", (cut, lost)
            assert set(model.flash) == {0xA5}, (cut, lost)


@contextmanager
def part(board: Board, folder: Path) -> Iterator[RomBootloader]:
    """A part whose flash, once started, is executed by QEMU, on the same line."""
    with ExitStack() as stack:

        def go(address: int) -> socket.socket:
            file = folder / "flash.bin"
            file.write_bytes(bytes(model.flash))
            with socket.create_server(("127.0.0.1", 0)) as server:
                line = f"socket,id=line,host=127.0.0.1,port={server.getsockname()[1]},mux=on"
                options = ("-chardev", line, "-serial", "chardev:line", "-echr", "256")
                stack.enter_context(Child(qemu_command(board, file, *options)))
                server.settimeout(120)
                return server.accept()[0]

        model = RomBootloader(board.flash.sectors, on_go=go)
        yield stack.enter_context(model)


@pytest.mark.parametrize("transport", ["device", "rfc2217", "socket"])
def test_what_the_bootloader_wrote_boots(
    board: Board, image: Image, transport: str, tmp_path: Path
) -> None:
    """From an erased part to an identified image on one line, here and over the network."""
    assert image.hex is not None
    with part(board, tmp_path) as model, ExitStack() as stack:
        port = model.port
        if transport != "device":
            server = rfc2217_server if transport == "rfc2217" else socket_server
            port = stack.enter_context(server(model.port))
        with UartFlasher(board, port, answer_s=0.5) as flasher:
            payload = read_payload(image.hex, board)
            flash(flasher, payload, lambda step, done, of: None, pytest.fail)
        while model.application is None:  # a process that starts holds copies of our locks
            time.sleep(0.01)
        with open_device(board, None, port, log_path=tmp_path / "serial.log") as device:
            device.expect(build_id=image.build_id)
            assert device.identity.board == "stm32f405"


def test_a_port_that_is_gone(board: Board) -> None:
    with (
        UartFlasher(board, "/dev/ttyNONE") as flasher,
        pytest.raises(LinkError, match="does not exist"),
    ):
        flasher.connect(Deadline(1, "connect"))
