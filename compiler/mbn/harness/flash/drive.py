"""Flashes by copying a file to a drive: UF2 bootloaders, and probes that show a drive.

If two drives fit, an error says so; none is guessed. The copy runs in a process of its own, which
is killed at its time limit. A drive can't be read back, so the image is verified by its identity
after it starts.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from mbn.core.errors import BoardError, FlashError
from mbn.core.process import Child
from mbn.core.target import Board
from mbn.core.uf2 import family_id, to_uf2
from mbn.harness.flash.interface import Deadline, Flasher, Part, Tick

INFO = "INFO_UF2.TXT"
DETAILS = ("DETAILS.TXT", "MBED.HTM")  # DAPLink's and ST-LINK's
FAILED = "FAIL.TXT"
_BYTES_PER_S = 20_000.0
_MARGIN_S = 15.0
_VERDICT_S = 2.0  # in which a probe says that it failed
_MOUNTS = Path("/proc/self/mounts")
_BOARD_ID = re.compile(r"^Board-ID:\s*(\S+)", re.MULTILINE)
# a process of its own, because a drive that vanishes may block a write for ever
_COPY = """
import os, sys
try:
    data = open(sys.argv[1], "rb").read()
    target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    while data:
        data = data[os.write(target, data[:65536]):]
    try:
        os.fsync(target)
    except OSError as error:
        # a boot loader restarts with the last block, before it answers
        if not os.path.exists(os.path.dirname(sys.argv[2])): sys.exit(0)
        if error.errno != 22: raise  # a file that knows no fsync
    os.close(target)
except OSError as error:
    sys.stderr.write(error.strerror or str(error))
    sys.exit(1)
"""


def mounted() -> tuple[Path, ...]:
    """The folders where file systems are mounted, as the kernel lists them."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    kinds = {"vfat", "msdos", "fuseblk", "exfat"}
    found = (line.split() for line in lines)
    return tuple(Path(_plain(row[1])) for row in found if len(row) > 2 and row[2] in kinds)


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def drives(board: Board, method: str, folders: Iterable[Path]) -> tuple[Path, ...]:
    """Those of the folders that are this board's drive for the method."""
    return tuple(folder for folder in folders if _is_drive(board, method, folder))


def _is_drive(board: Board, method: str, folder: Path) -> bool:
    wanted = board.flash.drive
    if wanted is None:
        return False
    try:
        if method == "uf2":
            text = (folder / INFO).read_text(encoding="ascii", errors="replace")
            found = _BOARD_ID.search(text)
            return found is not None and found[1] == wanted
        return folder.name == wanted and any((folder / name).is_file() for name in DETAILS)
    except OSError:
        return False


class DriveFlasher(Flasher):
    """Copies a UF2 file (`uf2`) or a binary (`copy`) to a drive."""

    reads_back = False

    def __init__(self, board: Board, method: str, drive: Path, file: Path) -> None:
        if method == "uf2" and board.flash.uf2_family is None:
            raise BoardError(
                f"{board.name} takes no UF2 file",
                wanted="uf2_family in the [flash] table of its board.toml",
            )
        self.name = method
        self._board = board
        self._drive = drive
        self._file = file  # the hex file; a UF2 is made beside it

    def describe(self) -> str:
        return f"the drive {self._drive}"

    def limits(self, size_bytes: int) -> dict[str, float]:
        moved = _MARGIN_S + 3 * size_bytes / _BYTES_PER_S  # a hex file has three bytes for one
        return {
            "connect": _MARGIN_S,
            "erase": _MARGIN_S,
            "write": moved,
            "verify": _MARGIN_S,
            "reset": _MARGIN_S,
        }

    def connect(self, deadline: Deadline) -> None:
        if not self._drive.is_dir():
            raise FlashError(
                "the drive is not there",
                advice="Hold BOOTSEL while plugging the board in, and wait until the drive is "
                "mounted"
                if self.name == "uf2"
                else "Plug the board in, and wait until its drive is mounted",
            )

    def erase(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        """The bootloader or probe erases what it writes; only an old verdict is removed here."""
        try:
            (self._drive / FAILED).unlink(missing_ok=True)
        except OSError:
            return  # a drive that can't be written says so at the next step

    def write(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        file = self._file
        if self.name == "uf2":
            file = file.with_suffix(".uf2")
            file.write_bytes(to_uf2(parts, family_id(self._board.flash.uf2_family or "")))
        target = self._drive / f"mbn{file.suffix}"
        with Child([sys.executable, "-c", _COPY, str(file), str(target)]) as child:
            status = child.wait(deadline.left())
            words = child.errors().strip()
        if status is None:
            raise deadline.passed("the copy was ended")
        if status == 0:
            return
        if "No space" in words:
            raise FlashError(
                "the drive is full",
                advice="Delete what is on it, or take a smaller network",
                final=True,
            )
        raise FlashError(f"the file was not copied: {words or status}")

    def verify(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        """Waits for the drive's verdict. A UF2 bootloader restarts and its drive vanishes; a probe
        leaves FAIL.TXT if it failed."""
        end = time.monotonic() + _VERDICT_S
        while True:
            try:
                verdict = (self._drive / FAILED).read_text(encoding="ascii", errors="replace")
            except OSError:
                verdict = ""
            if verdict:
                raise FlashError(f"the probe says: {' '.join(verdict.split())}")
            if not self._drive.is_dir() or not any(self._drive.iterdir()):
                return
            if self.name == "copy" and time.monotonic() > end:
                return
            if deadline.left() == 0.0:
                raise deadline.passed("the boot loader did not take the file")
            time.sleep(0.05)

    def reset(self, deadline: Deadline) -> None:
        """Nothing to do: the bootloader or probe starts the image."""
