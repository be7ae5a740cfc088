"""Boards of several memories: an arena in two of them, weights by stage, hot code.

What enters: the bundled network, and the emulated M4 board with its memories cut up. What leaves:
nothing but failures. Always holds: every image runs and equals the reference in all bits, and what
the test is about really lies where it should.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mbn.core.boards import find_board
from mbn.core.elf import sections
from mbn.core.errors import PlanError
from mbn.core.options import InputMode, Options
from mbn.core.target import Board, Memory
from mbn.core.telling import SILENT
from mbn.jobs import compile as compile_job
from mbn.jobs.lower.sources import Request

FLASH = Memory("flash", 0x00000000, 0x400000, ("code", "weights"))
RAM = Memory("ram", 0x20000000, 0x100000, ("data", "stack"))


def job(board: Board, folder: Path, mode: InputMode = InputMode.STREAM) -> compile_job.Job:
    request = Request(
        alpha=0.25,
        resolution=96,
        classes=2,
        weights="random:3",
        onnx=None,
        calibrate=None,
        images=None,
        input_range=None,
        samples=2,
    )
    return compile_job.Job(request=request, board=board, options=Options(mode), output=folder)


def cut(*memories: Memory) -> Board:
    return replace(find_board("qemu"), name="cut", memories=memories)


def exact(one: compile_job.Job) -> compile_job.Compiled:
    """Compiles, checks on the emulator and returns what was made."""
    quiet = SILENT
    compiled = compile_job.compile_image(one, quiet)
    check = compile_job.check_image(compiled, quiet).check
    assert check is not None and check.exact_samples == check.samples == 2
    return compiled


@pytest.mark.parametrize("mode", tuple(InputMode))
def test_an_arena_in_two_memories(tmp_path: Path, mode: InputMode) -> None:
    whole = mode is InputMode.WHOLE
    near = replace(RAM, size_bytes=0x2800 + (28_000 if whole else 12_000))
    far = Memory("ccm", 0x20200000, 0x10000, ("arena",))
    compiled = exact(job(cut(FLASH, near, far), tmp_path, mode))
    plan = compiled.generated.plan
    assert 0 < plan.near_bytes < plan.arena_bytes
    assert compiled.image.memory_bytes["ccm"] >= plan.arena_bytes - plan.near_bytes
    used = {place.offset_bytes >= plan.near_bytes for place in plan.places}
    assert used == {True, False}  # maps or rings in each


def test_weights_of_late_stages_move_on(tmp_path: Path) -> None:
    small = replace(FLASH, size_bytes=150_000)
    psram = Memory("psram", 0x21000000, 0x1000000, ("weights",))
    compiled = exact(job(cut(small, psram, RAM), tmp_path))
    assert compiled.image.memory_bytes["psram"] > 0
    assert compiled.image.memory_bytes["flash"] > 50_000  # what is read often stayed
    names = [section.name for section in sections(compiled.image.elf)]
    assert ".weights" in names and ".weights_psram" in names


def test_hot_code_runs_from_its_memory(tmp_path: Path) -> None:
    itcm = Memory("itcm", 0x20300000, 0x10000, ("hot",))
    compiled = exact(job(cut(FLASH, RAM, itcm), tmp_path))
    assert compiled.image.memory_bytes["itcm"] > 10_000


def test_hot_code_that_does_not_fit_stays(tmp_path: Path) -> None:
    itcm = Memory("itcm", 0x20300000, 0x400, ("hot",))
    compiled = compile_job.compile_image(job(cut(FLASH, RAM, itcm), tmp_path), SILENT)
    assert compiled.image.memory_bytes["itcm"] == 0


def test_too_small_is_refused_with_a_table(tmp_path: Path) -> None:
    small = cut(replace(FLASH, size_bytes=0x8000), replace(RAM, size_bytes=0x2000))
    with pytest.raises(PlanError, match=r"needed +available") as refused:
        compile_job.compile_image(job(small, tmp_path), SILENT)
    assert "flash" in str(refused.value) and "ram" in str(refused.value)


def test_a_memory_that_the_emulator_lacks(tmp_path: Path) -> None:
    """The generic image of the core, which has them all, runs in its place."""
    near = replace(RAM, size_bytes=0x2800 + 12_000)
    far = Memory("ccm", 0x10000000, 0x10000, ("arena",), emulated=False)
    compiled = compile_job.compile_image(job(cut(FLASH, near, far), tmp_path), SILENT)
    assert compiled.image.memory_bytes["ccm"] > 0
    found = compile_job.check_image(compiled, SILENT).check
    assert found is not None and found.exact_samples == found.samples
    assert "as a generic image" in found.where
