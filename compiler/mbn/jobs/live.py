"""A device that answers pictures while one watches.

What enters: a folder that mbn-compile wrote, a board, a port or its emulator; the bytes of picture
files. What leaves: `Answer`s: classes, cycles by stage, whether every bit is the reference's.
Always holds: a picture is decoded only after its size and pixels were found to be within limits;
it is cut and scaled as pictures are for calibration; the device is asked by the check's own code.
A device that is gone is closed, and opened again for the next picture.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbn.core import network_file
from mbn.core.errors import CheckError, LinkError, ToolError, UnsupportedError
from mbn.core.network import Network
from mbn.core.target import Board
from mbn.exact import Reference
from mbn.harness.device.check import check
from mbn.harness.device.open import open_device, where
from mbn.harness.device.session import Device
from mbn.jobs.check import Running, load_channels, running, stage_maps
from mbn.jobs.lower.inputs import as_codes
from mbn.live.answer import Answer, Class, Facts, Stage
from mbn.report import load_report
from mbn.train.picture_file import read_stranger
from mbn.train.pictures import fitted

Int8 = NDArray[np.int8]

MOST_PIXELS = 40_000_000  # of a picture, before it is decoded
DIGITS = tuple("0123456789")
_MODES = {1: "L", 3: "RGB"}
_SHARE = (1 / 256, -128)  # scale and zero point of a network that ends in its own softmax
MODELLED = "modelled for memory without wait states, not measured"


class Live:
    """Answers pictures, one at a time. `modelled`: cycles by stage, and at the end of the whole,
    for where nothing measures them; None: those of the folder's report."""

    def __init__(
        self,
        folder: Path,
        board: Board,
        *,
        port: str | None = None,
        modelled: Sequence[int | None] | None = None,
        place: Running | None = None,
    ) -> None:
        """`place`: what is run, where it is known. Raises UnsupportedError for a network that does
        not tell pictures apart, CheckError for a folder of another board, and what a missing folder
        raises."""
        self._report = load_report(folder)
        if self._report.board != board.name:
            raise CheckError(
                f"{folder} was compiled for {self._report.board}, not {board.name}",
                advice=f"compile for it: mbn-compile --board {board.asked}",
            )
        self.network = network_file.load(folder / "network.npz")
        _refuse_others(self.network)
        self._folder, self._board, self._port = folder, board, port
        self._place = place or running(folder, board, self._report.build_id, port=port)
        self._reference = Reference(self.network)
        self._channels = load_channels(folder, len(self.network.stages))
        known = self._report.check
        whole = None if known is None else known.modelled_cycles
        stages = [one.modelled_cycles for one in self._report.stages]
        self._modelled = [*stages, whole] if modelled is None else list(modelled)
        self._stack: ExitStack | None = None
        self._device: Device | None = None

    @property
    def facts(self) -> Facts:
        network = self.network
        return Facts(
            network=network.name,
            board=where(self._place.board, self._port),
            classes=self._names,
            height=network.input.height,
            width=network.input.width,
            channels=network.input.channels,
            draws=network.classes == DIGITS,
            macs=self._report.network.macs_computed,
            clock_hz=self._board.clock_hz or None,
        )

    @property
    def _names(self) -> tuple[str, ...]:
        count = self.network.output.channels
        return self.network.classes or tuple(f"class {index}" for index in range(count))

    def answer(self, picture: bytes) -> Answer:
        """Of a picture file's bytes. Raises UsageError for what is no picture or too large a one,
        LinkError, CheckError and ToolError for a device that is gone or is another."""
        begun = time.monotonic()
        source = self.network.input
        image = read_stranger(picture, "the picture", _MODES[source.channels], MOST_PIXELS)
        seen = fitted(image, source.width, source.height).reshape(source.shape)
        codes = as_codes(self.network, seen[None])
        wanted = self._reference.run(codes)
        try:
            found = check(
                self.device(),
                codes,
                wanted,
                lambda one: stage_maps(self._reference, one),
                self._channels,
            )
        except (LinkError, CheckError, ToolError, OSError):
            self.close()
            raise
        measured = found.stage_cycles is not None
        *cycles, whole = self._modelled
        if found.stage_cycles is not None:
            cycles, whole = list(found.stage_cycles), found.measured_cycles
        return Answer(
            classes=self._classes(found.outputs[0].reshape(-1)),
            stages=self._stages(cycles),
            cycles=whole,
            ms=self._ms(whole),
            counted=self._counted(cycles, measured),
            measured=measured,
            difference=found.mismatch,
            values=int(found.outputs.size),
            seconds=time.monotonic() - begun,
            seen=seen,
        )

    def device(self) -> Device:
        """The device, opened where it is not. It must run this very build."""
        if self._device is None:
            with ExitStack() as stack:
                device = stack.enter_context(
                    open_device(
                        self._place.board,
                        None if self._port else self._place.elf,
                        self._port,
                        log_path=self._folder / "live.log",
                    )
                )
                network = self._report.network
                device.expect(model_sha256=network.model_sha256, build_id=self._place.build_id)
                self._stack, self._device = stack.pop_all(), device
        return self._device

    def close(self) -> None:
        """Ends the session, and the emulator with it."""
        stack, self._stack, self._device = self._stack, None, None
        if stack is not None:
            stack.close()

    def _classes(self, codes: Int8) -> tuple[Class, ...]:
        out = self.network.output
        real = (codes.astype(np.float64) - out.zero_point) * out.scale
        if (out.scale, out.zero_point) != _SHARE:
            real = np.exp(real - real.max())
        shares = real / max(float(real.sum()), 1e-9)
        order = np.argsort(-codes.astype(np.int64), kind="stable")
        return tuple(
            Class(self._names[index], int(codes[index]), float(shares[index])) for index in order
        )

    def _stages(self, cycles: Sequence[int | None]) -> tuple[Stage, ...]:
        return tuple(
            Stage(one.kind, one.input, one.output, one.macs, count, self._ms(count))
            for one, count in zip(self._report.stages, cycles, strict=True)
        )

    def _counted(self, cycles: Sequence[int | None], measured: bool) -> str:
        """How cycles are known, in words."""
        if measured:
            return "measured on the board"
        if any(count is not None for count in cycles):
            return MODELLED
        advice = "; mbn-compile --check models them" if self._board.emulator is not None else ""
        return f"not known: nothing counts them here{advice}"

    def _ms(self, cycles: int | None) -> float | None:
        clock = self._board.clock_hz
        return None if cycles is None or not clock else 1000 * cycles / clock


def _refuse_others(network: Network) -> None:
    """Raises UnsupportedError for what is no classifier of pictures."""
    out, source = network.output, network.input
    if network.results or (out.height, out.width) != (1, 1) or out.channels < 2:
        raise UnsupportedError(
            f"{network.name} gives {out.shape_text}, which tells no classes apart",
            wanted="a network that classifies pictures",
        )
    if source.channels not in _MODES or min(source.height, source.width) < 2:
        raise UnsupportedError(
            f"{network.name} takes {source.shape_text}, which is no picture",
            wanted="a network for grey or colour pictures",
        )
