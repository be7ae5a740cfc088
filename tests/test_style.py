"""The tree's style: ruff (lint and format) everywhere, mypy --strict on the package,
clang-format on C.

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
FOLDERS = ("compiler", "tests", "benchmarks", "docs", "setup.py")
C_FOLDERS = ("runtime", "firmware", "boards", "compiler/mbn")
MARKS = "@PREFIX@"  # in C that is a template, which is C once the marks in it are replaced


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


def _c_files() -> list[Path]:
    files = [path for folder in C_FOLDERS for path in sorted((ROOT / folder).rglob("*.[ch]"))]
    assert len(files) > 40
    return files


def test_c_format() -> None:
    if importlib.util.find_spec("clang_format") is None:
        pytest.skip("clang-format is not installed (pip install 'mbn-edge[test]')")
    clang_format = Path(sys.executable).with_name("clang-format")
    files = [path for path in _c_files() if MARKS not in path.read_text(encoding="utf-8")]
    done = subprocess.run(
        [clang_format, "--dry-run", "--Werror", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_c_lines() -> None:
    """In C no tab, no blank at a line's end, and at most 100 columns: comments and the bodies of
    macros, which clang-format leaves alone, too."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _c_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "\t" in line or line != line.rstrip() or len(line) > 100
    ]
    assert not wrong
