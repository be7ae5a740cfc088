"""The object cache gives the object that the compiler would, and only where the text is the same.

What enters: a source in two folders. What leaves: nothing but failures.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import object_cache

SOURCE = '#include "size.h"\nconst char *name(void) { return __FILE__; }\nint size = SIZE;\n'


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    if not object_cache.set_up(folder):
        pytest.skip("no gcc for this system")
    return folder


def _folder(at: Path, size: int = 3) -> Path:
    at.mkdir()
    (at / "it.c").write_text(SOURCE, encoding="utf-8")
    (at / "size.h").write_text(f"#define SIZE {size}\n", encoding="utf-8")
    return at


def _compile(compiler: str | Path, folder: Path, *more: str) -> bytes:
    """The object, as CMake has it made."""
    output = folder / "it.o"
    output.unlink(missing_ok=True)
    words = ["-g", "-gno-record-gcc-switches", "-Wall", "-Werror", f"-ffile-prefix-map={folder}=x"]
    words += ["-MD", "-MT", "it.o", "-MF", "it.d", "-o", "it.o", "-c", str(folder / "it.c")]
    subprocess.run([str(compiler), *more, *words], cwd=folder, check=True, capture_output=True)
    assert "size.h" in (folder / "it.d").read_text(encoding="utf-8")
    return output.read_bytes()


def _kept(cache: Path) -> int:
    return len(list((cache / "objects").iterdir()))


def test_same_text_is_compiled_once(cache: Path, tmp_path: Path) -> None:
    """In whatever folder, and whatever is defined that the text does not use."""
    real = (cache / "gcc.real").readlink()
    one, two = _folder(tmp_path / "one"), _folder(tmp_path / "another")
    made = _compile(real, one)
    assert _compile(cache / "gcc", one, "-DID=1") == made
    assert _kept(cache) == 1
    assert _compile(cache / "gcc", two, "-DID=2") == made == _compile(real, two)
    assert _kept(cache) == 1


@pytest.mark.parametrize("change", ["header", "definition", "option"])
def test_another_object_is_compiled(cache: Path, tmp_path: Path, change: str) -> None:
    real = (cache / "gcc.real").readlink()
    one = _folder(tmp_path / "one")
    made = _compile(cache / "gcc", one)
    two = _folder(tmp_path / "two", 4 if change == "header" else 3)
    words = {"definition": ["-Dname=other"], "option": ["-O2"]}.get(change, [])
    other = _compile(cache / "gcc", two, *words)
    assert other == _compile(real, two, *words)
    assert other != made
    assert _kept(cache) == 2


def test_errors_are_the_compilers(cache: Path, tmp_path: Path) -> None:
    source = tmp_path / "it.c"
    source.write_text("int it(void) { int unused; return 0; }\n", encoding="utf-8")
    words = ["-Wall", "-Werror", "-c", str(source), "-o", str(tmp_path / "it.o")]
    for _ in range(2):
        done = subprocess.run(
            [str(cache / "gcc"), *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "unused variable" in done.stderr
    assert _kept(cache) == 0


def test_other_work_is_the_compilers(cache: Path) -> None:
    gcc = shutil.which("gcc")
    assert gcc
    said = [
        subprocess.run([it, "-dumpversion"], capture_output=True, check=True).stdout
        for it in (str(cache / "gcc"), gcc)
    ]
    assert said[0] == said[1]
