"""Opens the device of a board: a port, an emulator, or the host's executable.

If a port is given, only that port is used. Otherwise an emulator is started, and the user is told
so. A `Device` is returned once it has answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mbn.core.errors import LinkError, UsageError
from mbn.core.process import Child
from mbn.core.target import QEMU, RP2040PY, Board, Image
from mbn.harness.device.emulated import emulated, native
from mbn.harness.device.link import Link
from mbn.harness.device.session import Device
from mbn.harness.host import labgrid

_READY_S = 10.0
NAMES = {QEMU: "QEMU", RP2040PY: "rp2040py"}


def where(board: Board, port: str | None) -> str:
    """Where this board runs, for the first line printed."""
    if port is not None:
        return f"{board.title} on {port}"
    if board.native:
        return f"{board.title}: no board is involved"
    if board.emulator is not None:
        by = NAMES[board.emulator.kind]
        return f"{board.title}: emulated by {by} ({board.emulator.machine}), not a real board"
    return board.title


@contextmanager
def open_device(
    board: Board,
    image: Image | Path | None,
    port: str | None = None,
    *,
    log_path: Path,
    baud: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Iterator[Device]:
    """The running device of `board`. `image` (or an ELF file) is needed unless `port` is given; of
    an `Image` the build id is expected too. `say` gets one line that tells what runs. Raises
    `LinkError`, `ToolError`, `BoardError`, `CheckError` (another build answers)."""
    elf = image.elf if isinstance(image, Image) else image
    if say is not None:
        say(where(board, port))
    with ExitStack() as stack:
        child: Child | None = None
        if port is None:
            if elf is None:
                raise UsageError("there is neither a port nor an image", advice="Give --port")
            if board.native:
                port, child = stack.enter_context(native(elf))
            else:
                port, child = stack.enter_context(emulated(board, elf))
        port = stack.enter_context(labgrid.reached(port, say))
        link = stack.enter_context(Link(port, baud=baud or board.baud, log_path=log_path))
        link.may_return = child is None
        device = Device(link)
        try:
            device.wait_ready(_READY_S)
            if isinstance(image, Image):
                device.expect(build_id=image.build_id)
            yield device
        except LinkError as error:
            raise _with_last_words(error, child) from error


def _with_last_words(error: LinkError, child: Child | None) -> LinkError:
    """Adds the messages of the emulator or the sanitizers, if there are any."""
    if child is None:
        return error
    status = child.wait_briefly()
    lines = [line for line in child.errors().splitlines() if "waiting for connection" not in line]
    words = " | ".join(line.strip() for line in lines[:6] if line.strip(" ="))
    if status is not None:
        words = f"{words or 'nothing'}, and ended with status {status}"
    if not words:
        return error
    return LinkError(
        f"{error.found}; message of the process: {words}",
        wanted=error.wanted,
        advice=error.advice,
        node=error.node,
    )
