"""What an identical compilation made is taken again, and nothing else is.

What enters: a small network, compiled with a cache in a folder of the test's own. What leaves:
nothing but failures. Always holds: with the cache and without it the files are the same.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mbn
import qdq
from mbn.core.store import Store, opened
from mbn.jobs import compile as compile_job
from mbn.jobs.lower import remembered

KEYS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, as outside of CI."""
    monkeypatch.delenv("CI")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mbn"


def model(folder: Path) -> Path:
    return qdq.residual().save(folder / "small.onnx")


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "build-" not in path.as_posix()
    }


def compiled(path: Path, output: Path, **more: object) -> mbn.Compiled:
    return mbn.compile(path, board="host", output=output, samples=1, **more)  # type: ignore[arg-type]


def test_the_second_time_nothing_is_compiled(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model(tmp_path)
    first = compiled(path, tmp_path / "one")
    assert len(list(home.iterdir())) == 2  # and its accuracy
    with monkeypatch.context() as patched:
        patched.delattr(compile_job, "_compiled")
        second = compiled(path, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert second.report == first.report and second.prediction == first.prediction
    assert second.network.name == "small" and second.plan == first.plan  # lowered when asked for
    check = second.check().check  # never remembered
    assert check is not None and check.exact_samples == 1


def test_what_differs_is_compiled_anew(home: Path, tmp_path: Path) -> None:
    path = model(tmp_path)
    compiled(path, tmp_path / "out")
    compiled(path, tmp_path / "out", optimise="size")
    assert len(list(home.iterdir())) == 3
    qdq.residual(unsigned=True).save(path)
    compiled(path, tmp_path / "out")
    assert len(list(home.iterdir())) == 5
    compiled(path, tmp_path / "out", cache=False, input_mode="whole")
    assert len(list(home.iterdir())) == 5


def test_damaged_or_foreign_archives_are_nothing(home: Path, tmp_path: Path) -> None:
    path = model(tmp_path)
    compiled(path, tmp_path / "out")
    entry = max(home.iterdir(), key=lambda one: one.stat().st_size)
    data = entry.read_bytes()
    entry.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    store = remembered.store()
    assert store is not None
    assert remembered.find(store, entry.stem) is None and not entry.exists()
    bad = remembered.Kept({}, {"folder/../../escaped": b"x"}).packed()
    for content in (b"no archive", bad):
        store.put(KEYS[0], content)
        assert store.get(KEYS[0]) == content
        assert remembered.find(store, KEYS[0]) is None


def test_another_board_takes_the_known_accuracy(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"alpha": 0.25, "data": "digits", "samples": 1}
    first = mbn.compile(board="qemu", output=tmp_path / "one", **asked)  # type: ignore[arg-type]
    monkeypatch.delattr(compile_job, "_accuracy")
    second = mbn.compile(board="stm32", output=tmp_path / "two", **asked)  # type: ignore[arg-type]
    assert second.report.accuracy == first.report.accuracy is not None


def test_ci_and_a_home_without_room_compile(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model(tmp_path)
    monkeypatch.setenv("CI", "1")
    compiled(path, tmp_path / "out")
    assert not home.exists()
    monkeypatch.delenv("CI")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    compiled(path, tmp_path / "out")


def test_the_store_is_private(tmp_path: Path) -> None:
    made = opened(tmp_path / "store")
    assert made is not None and (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    (tmp_path / "store").chmod(0o755)
    assert opened(tmp_path / "store") is None
    (tmp_path / "link").symlink_to(tmp_path / "store")
    assert opened(tmp_path / "link") is None
    with pytest.raises(ValueError, match=r"\.\."):
        made.get("../" + KEYS[0])


def test_the_oldest_go_and_two_at_once_do_no_harm(tmp_path: Path) -> None:
    made = Store(tmp_path, most_bytes=100)
    for number, key in enumerate(KEYS[:3]):
        made.put(key, bytes([number]) * 10)  # 42 with its hash
        os.utime(tmp_path / f"{key}.mbn", ns=(number, number))
    assert made.get(KEYS[0]) is None and made.get(KEYS[2]) == b"\x02" * 10
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda one: made.put(KEYS[3], b"same"), range(20)))
    assert made.get(KEYS[3]) == b"same"
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".mbn"]


def test_a_hit_imports_no_tvm(home: Path, tmp_path: Path) -> None:
    path = model(tmp_path)
    asked = ["--board", "host", "--model", str(path), "--output", str(tmp_path / "out"), "--quiet"]
    code = (
        "import sys; from mbn.cli.compile import main; code = main(sys.argv[1:])\n"
        "print(code, *(name in sys.modules for name in ('tvm', 'torch')))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code, *asked], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert said == ["0 True False\n", "0 False False\n"]
