"""A running device: identity, exact outputs, checksums, traces, marks, faults, no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import tiny
from conftest import Builder
from mbn.core.boards import find_board
from mbn.core.errors import CheckError, LinkError, MbnError, UsageError
from mbn.core.target import Board, Image
from mbn.harness.device import Device, check, open_device
from mbn.harness.device.protocol import Watch

EVERY = ["host", "qemu", "qemu-m0", "qemu-m3", "qemu-m7", "qemu-m33", "qemu-m55", "stm32f405"]


@pytest.fixture
def only_here(transport: str | None) -> None:
    """For tests that need an image of their own."""
    if transport is not None:
        pytest.skip("needs an image of its own on the board")


def test_identity(device: Device, board: Board, app: Image) -> None:
    found = device.identity
    assert (found.board, found.core) == (board.name, board.core.name)
    assert found.build_id == app.build_id
    assert found.input_shape == (4, 4, 2)
    assert found.output_shape == (1, 1, 5)
    assert found.network == "tiny"
    assert [stage.name for stage in device.stages] == ["conv", "dense"]
    device.expect(model_sha256=found.model_sha256, build_id=app.build_id)


def test_other_model_or_build_is_refused(device: Device) -> None:
    with pytest.raises(CheckError, match="model hash 7469e6e7"):
        device.expect(model_sha256="0" * 64)
    with pytest.raises(CheckError, match="Flash the image again"):
        device.expect(build_id="0" * 16)


def test_outputs_are_exact(device: Device) -> None:
    images = tiny.images(50)
    found = check(device, images, tiny.outputs(images), tiny.stage_maps)
    assert found.exact
    assert found.exact_samples == 50
    assert found.top1_agreement == 1.0
    assert found.mismatch is None
    assert found.memory.arena_guards_ok
    assert (found.stage_cycles is None) == (found.measured_cycles is None)


@pytest.mark.usefixtures("only_here")
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("mode", ["stream", "whole"])
def test_every_board_agrees(build: Builder, name: str, mode: str, tmp_path: Path) -> None:
    board = find_board(name)
    image = build(board, **({"TINY_WHOLE": "1"} if mode == "whole" else {}))
    images = tiny.images(10, seed=1)
    with open_device(board, image, log_path=tmp_path / "serial.log") as device:
        assert device.identity.input_mode == mode
        assert check(device, images, tiny.outputs(images)).exact


def test_checksums_are_of_canonical_maps(device: Device) -> None:
    image = tiny.images(1)[0]
    device.run(image, Watch.CHECKSUMS)
    assert device.checksums() == tuple(zlib.crc32(m.tobytes()) for m in tiny.stage_maps(image))


def test_trace_gives_the_whole_map(device: Device) -> None:
    image = tiny.images(1)[0]
    for stage, wanted in enumerate(tiny.stage_maps(image)):
        np.testing.assert_array_equal(device.trace(image, stage), wanted)


def test_unwatched_and_unstarted_are_refused(device: Device) -> None:
    with pytest.raises(LinkError, match="call out of order"):
        device._output()
    device.run(tiny.images(1)[0])
    with pytest.raises(LinkError, match="nothing was recorded"):
        device.checksums()
    with pytest.raises(UsageError, match=r"wanted: int8 \(4, 4, 2\)"):
        device.run(np.zeros((4, 4, 3), np.int8))


def test_memory_marks(device: Device, board: Board) -> None:
    device.run(tiny.images(1)[0])
    marks = device.memory()
    assert marks.arena_bytes == 144
    assert marks.arena_guards_ok
    if board.native:
        assert marks.stack_used_bytes is None
    else:
        assert marks.stack_guard_ok
        assert marks.stack_used_bytes is not None
        assert 64 < marks.stack_used_bytes < board.stack_bytes


def test_cycles_are_unknown_rather_than_zero(device: Device, transport: str | None) -> None:
    run = device.run(tiny.images(1)[0], Watch.CYCLES)
    if transport is None:  # no emulator has a counter
        assert run.cycles is None
        assert device.cycles() is None
    else:
        assert run.cycles is None or run.cycles > 0


def test_reset_starts_anew(device: Device) -> None:
    device.run(tiny.images(1)[0])
    device.reset()
    with pytest.raises(LinkError, match="call out of order"):
        device._output()


@pytest.mark.usefixtures("only_here")
def test_mismatch_names_stage_and_element(build: Builder, board: Board, tmp_path: Path) -> None:
    image = build(board, TINY_WRONG="1")
    images = np.zeros((3, 4, 4, 2), np.int8)
    with open_device(board, image, log_path=tmp_path / "serial.log") as device:
        found = check(device, images, tiny.outputs(images), tiny.stage_maps)
    assert not found.exact
    wanted = int(tiny.stage_maps(images[0])[0][1, 1, 2])
    assert found.mismatch == (
        "sample 0: stage 0 (conv) differs first at y 1, x 1, channel 2: "
        f"got {wanted + 1}, wanted {wanted}; 2 of 48 elements differ"
    )


@pytest.mark.usefixtures("only_here")
@pytest.mark.parametrize("name", EVERY)
def test_fault_is_reported(build: Builder, name: str, tmp_path: Path) -> None:
    board = find_board(name)
    image = build(board, TINY_FAULT="1")
    message = "runtime error: signed integer" if board.native else r"Fault at pc 0x\w+ .*cfsr="
    log = tmp_path / "serial.log"
    with (
        pytest.raises(LinkError, match=message),
        open_device(board, image, log_path=log) as device,
    ):
        device.run(tiny.images(1)[0])


@pytest.mark.usefixtures("only_here")
@pytest.mark.parametrize("name", EVERY[1:])
def test_stack_overflow_is_reported(build: Builder, name: str, tmp_path: Path) -> None:
    """The stack lies lowest in its memory: where nothing answers below, or the core has a stack
    limit, it faults, and the report has a stack of its own. MPS2 has memory there: the guard."""
    board = find_board(name)
    log = tmp_path / "serial.log"
    images = tiny.images(1)
    with (
        pytest.raises(MbnError, match=r"stopped with a \w+Fault|stack ran over its 4096 bytes"),
        open_device(board, build(board, TINY_DEEP="1"), log_path=log) as device,
    ):
        check(device, images, tiny.outputs(images))


def _alive(pid: int) -> bool:
    """Runs, and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _ends(pid: int) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if not _alive(pid):
            return True
        time.sleep(0.02)
    return False


_HOLDER = """
import signal, sys, time
from pathlib import Path
from mbn.harness.device.emulated import native, qemu
from mbn.core.boards import find_board
# a shell starts what runs in its background with SIGINT ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
board = find_board(sys.argv[1])
elf = Path(sys.argv[2])
with (native(elf) if board.native else qemu(board, elf)) as (port, child):
    print(child.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.usefixtures("only_here")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_orphan_is_left(app: Image, board: Board, number: signal.Signals) -> None:
    command = [sys.executable, "-c", _HOLDER, board.name, str(app.elf)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ
    ) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        assert _alive(pid)
        holder.send_signal(number)
        holder.wait(10)
    assert _ends(pid)
