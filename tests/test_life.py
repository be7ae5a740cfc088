"""Thirty seconds of a device's life under faults, as benchmarks/life.py has an hour of it.

What enters: the hand-made network in QEMU, a seed. What leaves: nothing but failures. Always holds:
a fault in weights, code, guards, the runtime's state or the stack's lowest words is told; the
device comes back after each reset.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tiny
from conftest import Builder
from mbn.core.boards import find_board

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import life
from faults import Where, without

SECONDS = 30


def test_a_seeded_life(build: Builder, transport: str | None, tmp_path: Path) -> None:
    if transport is not None:
        pytest.skip("faults are injected into an emulator")
    defines = {"MBN_CHECK_EVERY": f"{life.EVERY}u", "MBN_WATCHDOG_MS": f"{life.WATCHDOG_MS}u"}
    image = build(find_board("qemu"), **defines)
    samples = tiny.images(life.SAMPLES)
    found = life.live(
        image,
        samples,
        tiny.outputs(samples),
        seed=5,
        log=tmp_path / "serial.log",
        done=lambda now: now.seconds >= SECONDS,
    )
    assert life.failures(found) == []
    assert found.resets and found.half_frames and found.inferences > 20
    told = {where: row.told.total() for where, row in found.rows.items()}
    assert told[Where.WEIGHTS] and told[Where.CODE] and told[Where.GUARDS]
    assert "| weights |" in life.table(found)


def test_a_missed_fault_fails() -> None:
    """What makes the command's exit code 1."""
    now = life.Life()
    now.rows[Where.MAPS] = life.Row(faults=2, silent=1, gone=1)
    now.rows[Where.STATE] = life.Row(faults=1, gone=1)
    assert life.failures(now) == []
    now.rows[Where.STATE].silent = 1
    now.rows[Where.WEIGHTS] = life.Row(faults=1, gone=1)
    now.wrong = 3
    assert life.failures(now) == [
        "1 in runtime's state not told",
        "1 in weights not told",
        "3 results wrong without a fault",
    ]


def test_spans_without_others() -> None:
    assert without([(0, 10), (20, 10)], [(2, 3), (8, 14)]) == [(0, 2), (5, 3), (22, 8)]
