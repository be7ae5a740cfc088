"""The tree's style: ruff (lint and format) everywhere, mypy --strict on the package.

What enters: the repository's files and pyproject.toml. What leaves: nothing but failures, with the
tools' own words. Always holds: a tool that is not installed is a skip that says so.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("compiler", "tests", "benchmarks", "setup.py")
C_FOLDERS = ("runtime", "firmware", "boards", "compiler")


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


def test_text_files_are_utf8_in_every_locale() -> None:
    """write_text, read_text and open without an encoding take the locale's."""
    found = []
    for path in [p for f in ("compiler", "benchmarks") for p in sorted((ROOT / f).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or any(k.arg == "encoding" for k in node.keywords):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            modes = [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
            binary = any("b" in mode for mode in modes if isinstance(mode, str))
            elsewhere = ast.unparse(node).startswith(("os.open", "Image.open", "files.read_text"))
            text = name in ("write_text", "read_text") or (name == "open" and not binary)
            if text and not elsewhere:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert not found, "\n".join(found)


def test_c_lines() -> None:
    """No tab and no blank at a line's end in C."""
    files = [path for folder in C_FOLDERS for path in sorted((ROOT / folder).rglob("*.[ch]"))]
    assert len(files) > 40
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "\t" in line or line != line.rstrip()
    ]
    assert not wrong
