"""The tree's style: ruff (lint and format) everywhere, mypy --strict on the package.

What enters: the repository's files and pyproject.toml. What leaves: nothing but failures, with the
tools' own words. Always holds: a tool that is not installed is a skip that says so.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("compiler", "tests", "setup.py")


def _clean(tool: str, *arguments: str) -> None:
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed (pip install 'mbn-edge[test]')")
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_lint() -> None:
    _clean("ruff", "check", "--no-cache", *FOLDERS)


def test_format() -> None:
    _clean("ruff", "format", "--no-cache", "--check", *FOLDERS)


def test_types(tmp_path: Path) -> None:
    _clean("mypy", "--strict", "--cache-dir", str(tmp_path), "compiler/mbn")
