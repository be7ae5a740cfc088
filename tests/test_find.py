"""Where a board is: ports by USB id, lab.toml, and the method that follows from what was given.

What enters: lists of ports, files. What leaves: nothing but failures. Always holds: of two
candidates none is guessed.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mbn.core.boards import find_board
from mbn.core.errors import BoardError, UsageError
from mbn.core.target import Board
from mbn.harness.flash import find, swd
from mbn.harness.flash.find import Place
from mbn.jobs.flash import choose_method


@pytest.fixture(scope="module")
def board() -> Board:
    return find_board("stm32f405")


def plugged(monkeypatch: pytest.MonkeyPatch, *usb: str) -> None:
    """Ports with these ids, /dev/ttyACM0 and on; "" for one that is no USB port."""
    found = [
        SimpleNamespace(
            device=f"/dev/ttyACM{k}",
            vid=int(one[:4], 16) if one else None,
            pid=int(one[5:], 16) if one else None,
            serial_number=f"S{k}" if one else None,
            description="n/a",
        )
        for k, one in enumerate(usb)
    ]
    monkeypatch.setattr(find.list_ports, "comports", lambda: found)


def test_the_port_is_found_by_usb_id(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, "", "0403:6001", "0483:374b")
    assert find.port_of(find_board("nucleo_f446re")) == "/dev/ttyACM2"


def test_two_ports_are_not_guessed_between(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, "0483:374b", "0483:374e")
    with pytest.raises(UsageError, match=r"2 ports.*ttyACM0 0483:374b S0; /dev/ttyACM1.*--port"):
        find.port_of(find_board("nucleo_f446re"))


def test_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch)
    with pytest.raises(UsageError, match=r"0 ports of nucleo_f446re.*among 0 ports \(none\)"):
        find.port_of(find_board("nucleo_f446re"))
    plugged(monkeypatch, "0403:6001")
    with pytest.raises(UsageError, match=r"among 1 ports \(/dev/ttyACM0 0403:6001 S0\)"):
        find.port_of(find_board("nucleo_f446re"))


def test_lab_names_what_is_on_the_bench(tmp_path: Path, board: Board) -> None:
    lab = tmp_path / "lab.toml"
    assert find.lab_place(board, None, lab) == Place()
    lab.write_text(
        '[stm32]\nport = "/dev/ttyUSB7"\nmethod = "uart"\n\n[far]\nboard = "nucleo_f446re"\n'
        'port = "rfc2217://lab:4000"\nprobe = "06"\n',
        encoding="utf-8",
    )
    assert find.lab_place(board, None, lab) == Place("/dev/ttyUSB7", method="uart")
    assert find.lab_place(find_board("nucleo_f446re"), "far", lab).probe == "06"
    said = Place(port="/dev/ttyUSB9").over(find.lab_place(board, None, lab))
    assert said == Place("/dev/ttyUSB9", method="uart")
    with pytest.raises(UsageError, match="has no far that is a stm32f405"):
        find.lab_place(board, "far", lab)
    with pytest.raises(UsageError, match="names the bench"):
        find.lab_place(board, "far", tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[a]\nboard = "stm32"\n[stm32f405]\nport = "x"\n', "names 2 of stm32f405: a, stm32f405"),
        ("[stm32]\nprot = 1\n", "has prot"),
        ("[stm32]\nport = 1\n", "not text"),
        ("stm32 = 1\n", "not a table"),
        ("[stm32", "can't be read"),
    ],
)
def test_bad_labs_are_named(tmp_path: Path, board: Board, text: str, message: str) -> None:
    lab = tmp_path / "lab.toml"
    lab.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        find.lab_place(board, None, lab)


def test_the_method_follows_what_was_given(board: Board) -> None:
    pico = find_board("rp2040_pico")
    assert choose_method(board, Place()) == "qemu"
    assert choose_method(board, Place(port="/dev/x")) == "uart"
    assert choose_method(board, Place(probe="1")) == "swd"
    assert choose_method(pico, Place()) == "uf2"
    assert choose_method(pico, Place(drive=Path("x"))) == "uf2"
    for bad in (Place(method="uf2"), Place(drive=Path("x"))):
        with pytest.raises(UsageError, match="one of uart, swd, qemu"):
            choose_method(board, bad)
    with pytest.raises(BoardError, match="target"):
        swd.SwdFlasher(find_board("qemu"), "1", Path("x"))
