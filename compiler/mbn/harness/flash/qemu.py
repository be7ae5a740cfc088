"""QEMU as one more flasher.

The machine's core is held until the image has been read back from memory; then it runs, with its
serial line on a port. The process ends with the flasher.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from mbn.core.errors import FlashError, ToolError
from mbn.core.process import Child
from mbn.core.target import Board
from mbn.harness.flash.interface import Deadline, Flasher, Part, Tick, differs
from mbn.harness.host.emulator import NO_ESCAPE, Monitor, monitor, qemu_command

_STEP_S = 30.0


class QemuFlasher(Flasher):
    """Starts the machine with the image in its memory."""

    name = "qemu"

    def __init__(self, board: Board, elf: Path) -> None:
        self._board = board
        self._elf = elf
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._monitor: Monitor | None = None
        self.child: Child | None = None

    def describe(self) -> str:
        machine = self._board.emulator.machine if self._board.emulator else "?"
        return f"QEMU's {machine}, not a real board"

    def limits(self, size_bytes: int) -> dict[str, float]:
        return dict.fromkeys(("connect", "erase", "write", "verify", "reset"), _STEP_S)

    def connect(self, deadline: Deadline) -> None:
        qemu_command(self._board, self._elf)  # raises where there is no QEMU or no machine
        if not self._elf.is_file():
            raise FlashError("there is no such image", node=str(self._elf), final=True)

    def erase(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        """The machine's memory is new at every start; the old machine is ended."""
        self.close()

    def write(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        self.close()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        line = "socket,id=line,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on,mux=on"
        control = self._folder / "qmp"
        command = qemu_command(
            self._board,
            self._elf,
            *("-chardev", line, "-serial", "chardev:line", "-echr", NO_ESCAPE),
            *("-qmp", f"unix:{control},server=on,wait=off", "-S"),
        )
        self.child = self._stack.enter_context(Child(command))
        self._monitor = self._stack.enter_context(monitor(control, self.child))
        deadline.check()

    def verify(self, parts: list[Part], tick: Tick, deadline: Deadline) -> None:
        assert self._folder is not None
        target = self._folder / "memory"
        for count, (address, data) in enumerate(parts):
            deadline.check()
            self._ask("pmemsave", val=address, size=len(data), filename=str(target))
            error = differs(address, target.read_bytes(), data)
            if error is not None:
                raise error
            tick(count + 1, len(parts))

    def reset(self, deadline: Deadline) -> None:
        names = [str(one["filename"]) for one in self._ask("query-chardev")]
        numbers = [n.split("tcp:127.0.0.1:")[1] for n in names if "tcp:127.0.0.1:" in n]
        if not numbers:
            raise FlashError(f"QEMU has no serial line among {', '.join(names)}")
        self.port = f"socket://127.0.0.1:{numbers[0].split(',')[0].split(' ')[0]}"
        self._ask("cont")

    def close(self) -> None:
        self._stack.close()
        self._stack = ExitStack()
        self._monitor = self.child = self._folder = None

    def _ask(self, command: str, **arguments: object) -> list[dict[str, object]]:
        if self._monitor is None:
            raise FlashError("the machine is not running")
        try:
            answer: list[dict[str, object]] = self._monitor.ask(command, **arguments)
        except ToolError as error:
            raise FlashError(f"the machine vanished: {error.found}", final=True) from error
        return answer
