"""Finds the ports and drives of connected boards, by USB id or as lab.toml names them.

The result is a board's one port. If none or several fit, an error lists what is there; none is
guessed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports  # type: ignore[import-untyped]

from mbn.core.board_file import MOST_TOML_BYTES
from mbn.core.errors import ToolError, UsageError
from mbn.core.files import read_text
from mbn.core.target import Board
from mbn.harness.flash.drive import drives, mounted
from mbn.harness.flash.swd import Probe, probes, require_pyocd
from mbn.harness.host.labgrid import PREFIX

LAB = "lab.toml"
_HINT = f"mbn-boards shows what is plugged in; {LAB} can name it once and for all"


@dataclass(frozen=True)
class Place:
    """Where a board is connected, as the user or lab.toml says."""

    port: str | None = None
    probe: str | None = None
    drive: Path | None = None
    method: str | None = None
    labgrid: str | None = None  # a place of its coordinator; it has the port, once it is held

    def over(self, other: Place) -> Place:
        """This place; what it leaves open is taken from the other."""
        return Place(
            self.port or other.port,
            self.probe or other.probe,
            self.drive or other.drive,
            self.method or other.method,
            self.labgrid or other.labgrid,
        )

    @property
    def real(self) -> bool:
        """Whether it names any hardware."""
        return bool(self.port or self.probe or self.drive or self.labgrid)


@dataclass(frozen=True)
class Port:
    """A serial port of this computer. `usb` is "VID:PID" in hex, empty if it is not a USB port."""

    device: str
    usb: str
    serial: str
    title: str


def ports() -> tuple[Port, ...]:
    """All serial ports, in order of their names."""
    found = []
    for one in list_ports.comports():
        usb = "" if one.vid is None else f"{one.vid:04x}:{one.pid:04x}"
        title = one.description if one.description not in (None, "n/a") else ""
        found.append(Port(one.device, usb, one.serial_number or "", title))
    return tuple(sorted(found, key=lambda port: port.device))


def port_of(board: Board) -> str:
    """The board's one port. Raises `UsageError` if there are none or several."""
    everything = ports()
    fitting = [port for port in everything if port.usb in board.flash.usb]
    if len(fitting) == 1:
        return fitting[0].device
    listed = fitting or everything
    names = "; ".join(f"{port.device} {port.usb} {port.serial}".strip() for port in listed)
    raise UsageError(
        f"{len(fitting)} ports of {board.name} are plugged in"
        + (f" ({names})" if fitting else f", among {len(everything)} ports ({names or 'none'})"),
        wanted="one, or --port PORT",
        advice=_HINT,
    )


def probe_of(board: Board) -> str:
    """The one probe. Raises `UsageError` if there are none or several, and `ToolError` without
    pyOCD."""
    require_pyocd()
    everything = probes()
    found = [probe for probe in everything if probe.may_be_on(board)]
    if len(found) == 1:
        return found[0].unique_id
    listed = found or everything
    names = "; ".join(f"{probe.unique_id} {probe.title}".strip() for probe in listed)
    raise UsageError(
        f"{len(found)} probes that may be on {board.name} are connected ({names or 'none'})",
        wanted="one, or --probe ID",
        advice=_HINT,
    )


def drive_of(board: Board, method: str, folders: Iterable[Path] | None = None) -> Path:
    """The board's one drive. Raises `UsageError` if there are none or several."""
    found = drives(board, method, mounted() if folders is None else folders)
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(folder) for folder in found)
    how = "Hold BOOTSEL while plugging the board in. " if method == "uf2" else ""
    raise UsageError(
        f"{len(found)} drives of {board.name} are mounted ({names or 'none'})",
        wanted=f"one called {board.flash.drive}, or --drive DIR",
        advice=how + _HINT,
    )


def all_probes() -> tuple[Probe, ...] | None:
    """All probes; None if pyOCD is not installed."""
    try:
        require_pyocd()
    except ToolError:
        return None
    return probes()


def lab_place(board: Board, at: str | None, file: Path) -> Place:
    """What lab.toml says of the board; of the entry `at` where several are of one board. An entry
    is a table named as a board, or one with `board = NAME`; `at` may be labgrid:PLACE instead.
    Raises `UsageError`."""
    if at is not None and at.startswith(PREFIX):
        if at == PREFIX:
            raise UsageError(
                f"--at {at}", wanted=f"{PREFIX}PLACE, a place of labgrid's coordinator"
            )
        return Place(labgrid=at.removeprefix(PREFIX))
    entries = _entries(file, must_exist=at is not None)
    names = {board.name, *board.aliases}
    mine = {key: entry for key, entry in entries.items() if str(entry.get("board", key)) in names}
    if at is not None:
        if at not in mine:
            raise UsageError(
                f"{file} has no {at} that is a {board.name}",
                wanted="one of " + ", ".join(mine) if mine else f"a table [{at}]",
            )
        return _place(mine[at], file, at)
    if len(mine) > 1:
        raise UsageError(
            f"{file} names {len(mine)} of {board.name}: {', '.join(mine)}", wanted="--at NAME"
        )
    return next((_place(entry, file, key) for key, entry in mine.items()), Place())


def _entries(file: Path, *, must_exist: bool) -> dict[str, dict[str, object]]:
    if not file.exists():
        if must_exist:
            raise UsageError(f"there is no {file}", wanted="the file that names the bench")
        return {}
    try:
        found = tomllib.loads(read_text(file, MOST_TOML_BYTES))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"can't be read: {error}", node=str(file)) from error
    for key, entry in found.items():
        if not isinstance(entry, dict):
            raise UsageError(f"{key} is not a table", wanted=f"[{key}]", node=str(file))
    return found


def _place(entry: dict[str, object], file: Path, key: str) -> Place:
    unknown = set(entry) - {"board", "port", "probe", "drive", "method", "labgrid"}
    if unknown or not all(isinstance(value, str) for value in entry.values()):
        raise UsageError(
            f"[{key}] has {', '.join(sorted(unknown)) or 'a value that is not text'}",
            wanted="board, port, probe, drive, method, labgrid, each a text",
            node=str(file),
        )
    said = {name: str(value) for name, value in entry.items()}
    drive = said.get("drive")
    return Place(
        said.get("port"),
        said.get("probe"),
        Path(drive) if drive else None,
        said.get("method"),
        said.get("labgrid"),
    )
