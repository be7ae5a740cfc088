"""Flashes a compiled folder and proves what runs.

What enters: a folder that mbn-compile wrote, a board, where it is. What leaves: the running device,
identified: its board, build id and model hash are those of the folder. Always holds: an image that
"was written" but does not answer, or answers as another, is a `FlashError`; nothing stays open or
running behind an error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mbn.core.errors import CheckError, FlashError, LinkError, UsageError
from mbn.core.target import Board, Image
from mbn.core.telling import Step, Teller
from mbn.harness.device.link import Link
from mbn.harness.device.session import Device
from mbn.harness.flash import STEPS, Flasher, Payload, flash, read_payload
from mbn.harness.flash.drive import DriveFlasher
from mbn.harness.flash.find import Place, drive_of, port_of, probe_of
from mbn.harness.flash.qemu import QemuFlasher
from mbn.harness.flash.swd import SwdFlasher
from mbn.harness.flash.tool import LABGRID_METHODS, TOOLS, ToolFlasher, labgrid_tool
from mbn.harness.flash.uart import UartFlasher
from mbn.harness.host import labgrid
from mbn.harness.host.port import UsbName, port_named, usb_name
from mbn.jobs.check import IMAGE_NAME
from mbn.report import load_report

_ANSWER_S = 15.0  # from the reset to the first answer; a probe's port may go and come


@dataclass(frozen=True)
class Wanted:
    """The image that the board shall run. `model_sha256`: None where only the build counts."""

    board: Board
    elf: Path
    build_id: str
    model_sha256: str | None

    @property
    def hex(self) -> Path:
        return self.elf.with_suffix(".hex")


def wanted_from(folder: Path, board: Board) -> Wanted:
    """The check image of a compiled folder. Raises `ModelError` (none), `CheckError` (another
    board's)."""
    report = load_report(folder)
    if report.board != board.name:
        raise CheckError(
            f"the image in {folder} is for {report.board}, not {board.name}",
            advice=f"Compile it for this board: mbn-compile --board {board.asked}",
        )
    elf = folder / f"{IMAGE_NAME}.elf"
    return Wanted(board, elf, report.build_id, report.network.model_sha256)


def wanted_of(image: Image) -> Wanted:
    """An image that was just built."""
    return Wanted(image.board, image.elf, image.build_id, None)


def choose_method(board: Board, place: Place) -> str:
    """The method asked for, or the one that the place is about, or the board's preferred one; the
    emulator where nothing was said of hardware. Raises `UsageError`."""
    methods = board.flash.methods
    if place.method is not None:
        chosen: str | None = place.method
    elif not place.real and "qemu" in methods:
        chosen = "qemu"
    elif place.labgrid:
        chosen = next((one for one in methods if one in LABGRID_METHODS), None)
    elif place.probe:
        chosen = "swd"
    elif place.drive:
        chosen = next((one for one in methods if one in ("uf2", "copy")), None)
    else:
        chosen = next((one for one in methods if one != "qemu"), None)
    if chosen not in methods:
        raise UsageError(
            f"{board.name} is not flashed by {chosen or 'what was given'}",
            wanted="one of " + ", ".join(methods) if methods else "a board that can be flashed",
        )
    return str(chosen)


def flasher_for(wanted: Wanted, place: Place) -> Flasher:
    """The flasher, with what it works on found. Its `port` is set. Raises `UsageError` where that
    is none or several; nothing was touched then."""
    board = wanted.board
    method = choose_method(board, place)
    port = place.port or (f"{labgrid.PREFIX}{place.labgrid}" if place.labgrid else None)
    if method == "qemu":
        return QemuFlasher(board, wanted.elf)
    if method == "uart":
        return UartFlasher(board, port or port_of(board))
    made: Flasher
    if place.labgrid:
        made = ToolFlasher(board, method, wanted.hex, labgrid_tool(place.labgrid, method))
    elif method == "swd":
        made = SwdFlasher(board, place.probe or probe_of(board), wanted.hex)
    elif method in TOOLS:
        made = ToolFlasher(board, method, wanted.hex)
    else:
        drive = place.drive or drive_of(board, method)
        made = DriveFlasher(board, method, drive, wanted.hex)
    made.port = port or port_of(board)
    return made


def steps_text(flasher: Flasher, payload: Payload) -> str:
    """What would be done, for --dry-run."""
    limits = flasher.limits(payload.size_bytes)
    lines = [f"by {flasher.name}: {flasher.describe()}"]
    lines += [f"{address:#010x}  {len(data):>9,} bytes" for address, data in payload.parts]
    for step in STEPS:
        note = "; no read-back here" if step == "verify" and not flasher.reads_back else ""
        lines.append(f"{step:<8}  within {limits[step]:.0f} s, and once more{note}")
    lines.append(f"identify  on {flasher.port or 'the emulator'}")
    return "\n".join(lines)


@contextmanager
def reserved(place: Place, tell: Teller) -> Iterator[Place]:
    """The place, with its port and ours as long as this lasts, where it is one of labgrid's; any
    other as it is. Raises `ToolError`."""
    if place.labgrid is None:
        yield place
        return
    with labgrid.held(place.labgrid, tell.say) as port:
        yield replace(place, port=port)


@contextmanager
def flashed(wanted: Wanted, place: Place, tell: Teller, log_path: Path) -> Iterator[Flasher]:
    """Flashes and identifies; the flasher, whose `port` answers as the image, while it lasts."""
    payload = read_payload(wanted.hex, wanted.board)
    with flasher_for(wanted, place) as flasher:
        what = f"Flashing {wanted.board.name} by {flasher.name}: {flasher.describe()}"
        tell.say(what)
        usb = usb_name(flasher.port) if flasher.port and "://" not in flasher.port else None
        with ExitStack() as stack:
            steps: dict[str, Step] = {}

            def show(step: str, done: int, of: int) -> None:
                if step not in steps:
                    steps[step] = stack.enter_context(tell.task(step, of))
                steps[step](done, of)

            flash(flasher, payload, show, tell.say)
        identify(wanted, flasher, log_path, usb)
        tell.say(f"flashed {payload.size_bytes:,} bytes; build {wanted.build_id} runs")
        yield flasher


def identify(wanted: Wanted, flasher: Flasher, log_path: Path, usb: UsbName | None = None) -> None:
    """Asks the running image who it is. `usb`: what its port was before; where it comes back under
    another name, the flasher's `port` is that one from then on. Raises `FlashError`: silent, or
    another."""
    assert flasher.port is not None
    end = time.monotonic() + _ANSWER_S
    while True:
        try:
            with Link(flasher.port, baud=wanted.board.baud, log_path=log_path) as link:
                device = Device(link)
                device.wait_ready(max(1.0, end - time.monotonic()))
                _compare(wanted, device)
                return
        except FlashError:
            # behind a drive nobody says when the new image starts: the old one may still answer
            if flasher.reads_back or time.monotonic() >= end:
                raise
            time.sleep(0.2)
        except LinkError as error:
            if time.monotonic() >= end:
                raise FlashError(
                    f"the image was written, but does not answer: {error.found}",
                    wanted=f"build {wanted.build_id}",
                    advice=error.advice,
                    node=error.node,
                ) from error
            time.sleep(0.2)  # a port that went with the reset
            flasher.port = (port_named(usb) if usb else None) or flasher.port


def _compare(wanted: Wanted, device: Device) -> None:
    found = device.identity
    if found.board != wanted.board.name:
        raise FlashError(
            f"a {found.board} answers",
            wanted=wanted.board.name,
            advice="Is this the right port? The image was written to another board than answers",
            node=device.link.url,
        )
    try:
        device.expect(build_id=wanted.build_id, model_sha256=wanted.model_sha256)
    except CheckError as error:
        raise FlashError(
            f"the image was written, but another runs: {error.found}",
            wanted=error.wanted,
            advice="Is this the right port, and did the board restart?",
            node=error.node,
        ) from error
