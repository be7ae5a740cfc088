"""The paper's whole grid of sizes: planned, compiled, and a spread of it run.

What enters: benchmarks/grid.py. What leaves: nothing but failures. Always holds: each least arena
is within its bound; the smallest size runs, all bits equal; in full, in both input modes, the
largest too, and C is generated for every size.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def grid(folder: Path, *arguments: str) -> list[str]:
    """The table's lines."""
    command = [sys.executable, str(ROOT / "benchmarks" / "grid.py"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[2:]


def test_all_sizes_are_planned_within_their_bounds(tmp_path: Path) -> None:
    lines = grid(tmp_path, "--boards", "qemu", "qemu-m55", "--modes", "stream", "--run", "0.25-96")
    assert len(lines) == 2 * 20
    assert sum("all bits on qemu" in line for line in lines) == 2
    assert sum("all bits on qemu-m55" in line for line in lines) == 1


@pytest.mark.full
def test_all_sizes_compile_within_their_bounds(tmp_path: Path) -> None:
    lines = grid(tmp_path, "--compile", "--run", "1-224", "0.25-96")
    assert len(lines) == 2 * 20
    assert sum("all bits on qemu" in line for line in lines) == 4


@pytest.mark.full
def test_helium_layout_keeps_its_bounds(tmp_path: Path) -> None:
    lines = grid(tmp_path, "--boards", "qemu-m55", "--modes", "stream", "--run", "0.25-128")
    assert len(lines) == 20
    assert sum("all bits on qemu-m55" in line for line in lines) == 1
