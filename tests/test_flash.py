"""Flashing: payloads, steps, each flasher but the ROM bootloader's, finding things, bad input.

What enters: the hand-made network's image for the STM32F405 and the RP2040, a stand-in for pyOCD,
folders that act as drives, QEMU. What leaves: nothing but failures. Always holds: whatever went
wrong, no process stays and no port stays locked.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import serial

from conftest import Builder
from families import PARTS
from mbn.core.boards import find_board
from mbn.core.errors import FlashError, LinkError, MbnError, PlanError, ToolError, UsageError
from mbn.core.target import Board, Image
from mbn.core.telling import SILENT
from mbn.harness.device.emulated import qemu
from mbn.harness.flash import Deadline, find, flash, read_payload, swd
from mbn.harness.flash.drive import DriveFlasher
from mbn.harness.flash.find import Place
from mbn.harness.flash.payload import pages
from mbn.harness.flash.qemu import QemuFlasher
from mbn.harness.host.port import UsbName, open_port
from mbn.jobs.flash import Wanted, flashed, flasher_for, steps_text, wanted_of

ROOT = Path(__file__).parents[1]
QUIET = SILENT


@pytest.fixture(scope="module")
def board() -> Board:
    return find_board("stm32f405")


@pytest.fixture(scope="module")
def image(board: Board, build: Builder) -> Image:
    return build(board)


@pytest.fixture(scope="module")
def wanted(image: Image) -> Wanted:
    return wanted_of(image)


@pytest.fixture(autouse=True)
def no_process_stays() -> Iterator[None]:
    """Every child of ours that the test started has ended with it."""
    before = _children()
    yield
    end = time.monotonic() + 60
    while _children() - before:
        assert time.monotonic() < end, _children() - before
        time.sleep(0.02)


def _children() -> set[str]:
    found = set()
    for path in Path("/proc/self/task").glob("*/children"):
        found |= set(path.read_text(encoding="ascii").split())
    return found


def run(flasher: swd.SwdFlasher | DriveFlasher | QemuFlasher, wanted: Wanted) -> list[str]:
    said: list[str] = []
    with flasher:
        payload = read_payload(wanted.hex, wanted.board)
        flash(flasher, payload, lambda step, done, of: None, said.append)
    return said


FLASH = 0x08000000  # of the STM32F405

# -- payloads ------------------------------------------------------------------------------------


def test_payload_is_what_the_elf_loads(wanted: Wanted, image: Image) -> None:
    payload = read_payload(wanted.hex, wanted.board)
    assert image.bin is not None
    flash = image.bin.read_bytes()
    assert payload.parts[0][0] == FLASH
    for address, data in payload.parts:
        assert flash[address - FLASH :][: len(data)] == data
    assert 0 <= len(flash) - payload.size_bytes < 16  # the gap before the weights, if any


def test_pages_are_whole_and_aligned() -> None:
    assert pages([(6, b"ab"), (9, b"cde")], 4) == [
        (4, b"\xff\xffab"),
        (8, b"\xffcde"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (":00000001FE\n", "line 1 is not an Intel HEX record"),
        ("hello\n", "line 1 is not an Intel HEX record"),
        (":0400000001020304F2\n", "no end record"),
        (":00000001FF\n", "holds no bytes"),
        (":00000009F7\n:00000001FF\n", "kind 9"),
    ],
)
def test_bad_hex_is_named(tmp_path: Path, board: Board, text: str, message: str) -> None:
    file = tmp_path / "check.hex"
    file.write_text(text, encoding="ascii")
    with pytest.raises(FlashError, match=message):
        read_payload(file, board)


def test_an_image_that_fills_more_than_the_flash(wanted: Wanted) -> None:
    """Another board's image, or a flash too small: said with a table before anything is erased."""
    board = wanted.board
    small = replace(board.memories[0], size_bytes=4096)
    with pytest.raises(PlanError, match=r"flash +0x08000000 0x08001000"):
        read_payload(wanted.hex, replace(board, memories=(small, *board.memories[1:])))
    with pytest.raises(PlanError, match="another board"):
        read_payload(wanted.hex, find_board("rp2040_pico"))


# -- QEMU ----------------------------------------------------------------------------------------


def test_qemu_runs_what_was_read_back(wanted: Wanted, tmp_path: Path) -> None:
    with flashed(wanted, Place(), QUIET, tmp_path / "flash.log") as flasher:
        assert flasher.name == "qemu"
        assert flasher.port is not None and flasher.port.startswith("socket://")


def test_qemu_that_holds_something_else(wanted: Wanted, build: Builder) -> None:
    """The file of the machine is not the payload: found by reading its memory."""
    other = build(wanted.board, MBN_SOMETHING="1")
    changed = replace(wanted, elf=other.elf)
    payload = read_payload(wanted.hex, wanted.board)
    parts = ((0x08000000, payload.parts[0][1][:-8] + b"\x55" * 8),)
    with (
        QemuFlasher(wanted.board, changed.elf) as flasher,
        pytest.raises(FlashError, match="verify by qemu failed: read back at 0x0800"),
    ):
        flash(flasher, replace(payload, parts=parts), lambda *rest: None, lambda text: None)


def test_a_machine_that_vanishes(wanted: Wanted) -> None:
    payload = read_payload(wanted.hex, wanted.board)

    def show(step: str, done: int, of: int) -> None:
        if step == "verify" and flasher.child is not None:
            flasher.child.end()

    with (
        QemuFlasher(wanted.board, wanted.elf) as flasher,
        pytest.raises(FlashError, match="the machine vanished"),
    ):
        flash(flasher, payload, show, lambda text: None)


# -- identity ------------------------------------------------------------------------------------


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for pyOCD with one probe; its part's memory."""
    memory = tmp_path / "part"
    memory.write_bytes(b"\xa5" * 0x10000)
    monkeypatch.setattr(swd, "PYOCD", (sys.executable, str(ROOT / "tests" / "fake_pyocd.py")))
    monkeypatch.setattr(find, "require_pyocd", lambda: None)
    monkeypatch.setenv("FAKE_FLASH", str(memory))
    return memory


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize(
    ("name", "message"),
    [("qemu", "a qemu answers"), ("stm32f405", "another runs: the device runs build")],
)
def test_another_board_or_image_answers(
    wanted: Wanted,
    build: Builder,
    name: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mbn.jobs.flash._ANSWER_S", 1.5)
    board = find_board(name)
    with qemu(board, build(board, MBN_SOMETHING="1").elf) as (port, _):
        place = Place(port=port, probe="PROBE1")
        with (
            pytest.raises(FlashError, match=message),
            flashed(wanted, place, QUIET, tmp_path / "flash.log"),
        ):
            pytest.fail("it was taken for ours")


@pytest.mark.usefixtures("probe")
def test_a_port_that_enumerates_anew_is_found(
    wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe's port comes back under another name when the image starts."""
    usb, asked = UsbName(0x0483, 0x374B, "0668FF", "1"), []
    monkeypatch.setattr("mbn.jobs.flash.usb_name", lambda port: usb)
    with qemu(wanted.board, wanted.elf) as (now, _):

        def named(name: UsbName) -> str:
            asked.append(name)
            return now

        monkeypatch.setattr("mbn.jobs.flash.port_named", named)
        place = Place(port="/dev/ttyGONE", probe="PROBE1")
        with flashed(wanted, place, QUIET, tmp_path / "flash.log") as flasher:
            assert flasher.port == now
    assert asked == [usb]


@pytest.mark.usefixtures("probe")
def test_nothing_answers_after_all_was_written(
    wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbn.jobs.flash._ANSWER_S", 0.3)
    master, slave = os.openpty()
    port = os.ttyname(slave)
    place = Place(port=port, probe="PROBE1")
    with (
        pytest.raises(FlashError, match=r"was written, but does not answer: nothing came"),
        flashed(wanted, place, QUIET, tmp_path / "flash.log"),
    ):
        pass
    serial.Serial(port, exclusive=True).close()  # nobody holds it
    os.close(master)
    os.close(slave)


@pytest.mark.usefixtures("probe")
def test_a_port_in_use(wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbn.jobs.flash._ANSWER_S", 0.3)
    master, slave = os.openpty()
    port = os.ttyname(slave)
    place = Place(port=port, probe="PROBE1")
    with (
        serial.Serial(port, exclusive=True),
        pytest.raises(MbnError, match="busy"),
        flashed(wanted, place, QUIET, tmp_path / "flash.log"),
    ):
        pass
    with serial.Serial(port, exclusive=True), pytest.raises(LinkError, match="busy"):
        flasher = flasher_for(wanted, Place(port=port, method="uart"))
        flasher.connect(Deadline(1, "connect"))
    os.close(master)
    os.close(slave)


def test_permission_denied_names_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*rest: object, **options: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(LinkError, match=r"cp boards/60-mbn\.rules /etc/udev/rules\.d/"):
        open_port("/dev/ttyACM0", 921600)
    rules = (ROOT / "boards" / "60-mbn.rules").read_text(encoding="utf-8")
    for board in (find_board(name) for name in PARTS):
        for usb in (*board.flash.usb, *board.flash.boot_usb):
            vendor, product = usb.split(":")
            assert f'"{vendor}"' in rules and product in rules


# -- SWD -----------------------------------------------------------------------------------------


def test_swd_erases_writes_and_reads_back(
    wanted: Wanted, probe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyocd")
    monkeypatch.setenv("FAKE_STRICT", "1")
    assert run(swd.SwdFlasher(wanted.board, "PROBE1", wanted.hex), wanted) == []
    found = probe.read_bytes()
    parts = read_payload(wanted.hex, wanted.board).parts
    for address, data in parts:
        assert found[address - FLASH :][: len(data)] == data
    end = parts[-1][0] + len(parts[-1][1]) - FLASH
    assert found[end:] == b"\xa5" * (0x10000 - end)
    log = probe.with_suffix(".log").read_text(encoding="ascii").splitlines()
    steps = ["commander", "erase", "load", *["commander" for _ in parts], "reset"]
    assert [line.split()[0] for line in log] == steps
    assert all("--uid PROBE1 --target stm32f405rgtx" in line for line in log)


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("bad write", r"verify by swd failed: read back at 0x08000040"),
        ("unknown target", r"pyocd pack install stm32f405rgtx"),
        ("hang load", r"write by swd failed: write did not end within"),
    ],
)
def test_swd_in_trouble(
    wanted: Wanted, probe: Path, trouble: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", trouble)
    if trouble.startswith("hang"):
        monkeypatch.setattr(swd, "_MARGIN_S", 0.5)
        monkeypatch.setattr(swd, "_BYTES_PER_S", 1e6)
    with pytest.raises(FlashError, match=message):
        run(swd.SwdFlasher(wanted.board, "PROBE1", wanted.hex), wanted)


def test_a_probe_that_vanishes_is_waited_for(
    wanted: Wanted, probe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of writing; what was half written is erased and written again."""
    monkeypatch.setattr(swd, "_AGAIN_S", 0.01)
    monkeypatch.setenv("FAKE_TROUBLE", "vanish load")
    (said,) = run(swd.SwdFlasher(wanted.board, "PROBE1", wanted.hex), wanted)
    assert "USB device disconnected" in said and "once more" in said
    log = probe.with_suffix(".log").read_text(encoding="ascii").splitlines()
    verbs = [line.split()[0] for line in log]
    again = ["commander"] * 3 + ["erase", "load"]
    assert verbs[:8] == ["commander", "erase", "load", *again]


def test_swd_tries_once_more(wanted: Wanted, probe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", "once load")
    (said,) = run(swd.SwdFlasher(wanted.board, "PROBE1", wanted.hex), wanted)
    assert "no ACK received" in said


def test_pyocd_itself_takes_our_words(wanted: Wanted) -> None:
    """The real one, which has no such probe."""
    pytest.importorskip("pyocd")
    with pytest.raises(FlashError, match="the probe is not connected"):
        run(swd.SwdFlasher(wanted.board, "NONE", wanted.hex), wanted)


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ("", r"0 probes .*\(none\)"),
        ("PROBE1 PROBE2", r"2 probes .*\(PROBE1; PROBE2\)"),
        ("PROBE1@stm32l4r5zitx", r"0 probes .*\(PROBE1\)"),
    ],
)
def test_probes_are_not_guessed(
    seen: str, message: str, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PROBES", seen)
    with pytest.raises(UsageError, match=message):
        find.probe_of(board)


@pytest.mark.usefixtures("probe")
def test_a_probe_on_another_board_is_left_alone(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PROBES", "PROBE1@stm32l4r5zitx PROBE2@stm32f405vgtx")
    assert find.probe_of(board) == "PROBE2"


def test_pyocd_that_is_missing(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"\[flash\]'"):
        find.probe_of(board)


def test_a_dry_run_says_all_and_touches_nothing(wanted: Wanted) -> None:
    payload = read_payload(wanted.hex, wanted.board)
    with flasher_for(wanted, Place(port="/dev/ttyNONE")) as flasher:
        text = steps_text(flasher, payload)
    assert "by uart: the ROM bootloader on /dev/ttyNONE" in text
    for address, data in payload.parts:
        assert f"0x{address:08x}  {len(data):>9,} bytes" in text
    assert "identify  on /dev/ttyNONE" in text
