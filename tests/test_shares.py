"""Which tests run with --full, --share and neither, and what Ctrl-C leaves behind.

What enters: a project of a few tests, run with this suite's conftest.py. What leaves: nothing but
failures. Always holds: nothing here depends on which tests of the suite are marked.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import shares

TESTS = Path(__file__).parent
LIMIT_S = 120
SAMPLE = """
import pytest

def test_quick():
    pass

@pytest.mark.full
@pytest.mark.parametrize("number", range(40))
def test_slow(number):
    pass
"""
SLEEPER = """
import pathlib, subprocess

def test_sleeps():
    child = subprocess.Popen(["sleep", "600"])
    pathlib.Path(f"{child.pid}.started").touch()
    assert child.wait() == 0

def test_after():
    pass
"""


pytest_plugins = ["pytester"]
PLUGINS = [
    word
    for name in ("conftest", "no:cacheprovider", "no:hypothesispytest", "no:anyio")
    for word in ("-p", name)
]


def _run(pytester: pytest.Pytester, *arguments: str, status: int = 0) -> str:
    pytester.makefile(".ini", pytest="[pytest]\n")
    pytester.makepyfile(test_sample=SAMPLE)
    done = pytester.runpytest_inprocess(*PLUGINS, "-rA", *arguments)
    printed = f"{done.stdout}\n{done.stderr}"
    assert done.ret == status, printed
    return printed


def _passed(printed: str) -> set[str]:
    return set(re.findall(r"^PASSED test_sample\.py::(\S+)", printed, re.MULTILINE))


def test_each_test_is_in_one_share() -> None:
    names = [f"tests/test_it.py::test_it[{number}]" for number in range(800)]
    parts = [shares.Share(part, 8) for part in range(1, 9)]
    assert all(sum(part.holds(name) for part in parts) == 1 for name in names)
    sizes = [sum(part.holds(name) for name in names) for part in parts]
    assert min(sizes) > 60, sizes
    assert all(shares.Share(1, 1).holds(name) for name in names)
    assert not any(shares.parse("0").holds(name) for name in names)
    # the same on every machine, and in every run
    held = [number for number in range(60) if parts[2].holds(names[number])]
    assert held == [18, 35, 37, 40, 44, 52, 56, 59]


@pytest.mark.parametrize("wrong", ["0/8", "9/8", "1", "a/b", "1/0", "-1/8", "1/8/8", ""])
def test_share_wants_two_numbers(wrong: str) -> None:
    with pytest.raises(pytest.UsageError, match="wanted K/N"):
        shares.parse(wrong)


def test_commit_chooses_the_share(tmp_path: Path) -> None:
    """Two commits; and the first share where there is none."""
    assert shares.of_commit(tmp_path) == shares.Share(1, 8)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    found = set()
    for number in range(12):
        words = ["commit", "-q", "--allow-empty", "--no-gpg-sign", "-m", str(number)]
        subprocess.run([*git, *words], check=True)
        found.add(shares.of_commit(tmp_path))
        assert shares.of_commit(tmp_path) in found
    assert len(found) > 1
    assert all(share.parts == 8 and 1 <= share.part <= 8 for share in found)


def test_shares_together_are_all(pytester: pytest.Pytester) -> None:
    every = {"test_quick", *(f"test_slow[{number}]" for number in range(40))}
    printed = _run(pytester, "--full")
    assert "all of the full tests" in printed
    assert _passed(printed) == every
    parts = []
    for part in (1, 2):
        printed = _run(pytester, "--share", f"{part}/2")
        assert f"share {part}/2 of the full tests (repeat with --share {part}/2" in printed
        parts.append(_passed(printed) - {"test_quick"})
    assert sum(map(len, parts)) == 40
    assert set().union(*parts) == every - {"test_quick"}
    assert all(parts)


def test_no_share_and_the_share_of_the_commit(pytester: pytest.Pytester) -> None:
    printed = _run(pytester, "--share", "0")
    assert "none of the full tests" in printed
    assert _passed(printed) == {"test_quick"}
    printed = _run(pytester)
    assert "share 1/8 of the full tests (repeat with --share 1/8" in printed  # no commit here
    assert _passed(printed) == {
        "test_quick",
        *(
            f"test_slow[{number}]"
            for number in range(40)
            if shares.Share(1, 8).holds(f"test_sample.py::test_slow[{number}]")
        ),
    }


def test_a_test_named_by_itself_runs(pytester: pytest.Pytester) -> None:
    printed = _run(pytester, "--share", "0", "test_sample.py::test_slow[7]")
    assert _passed(printed) == {"test_slow[7]"}


def test_options_that_exclude_each_other(pytester: pytest.Pytester) -> None:
    assert "exclude each other" in _run(pytester, "--full", "--share", "1/8", status=4)


def test_help_names_the_options(pytester: pytest.Pytester) -> None:
    printed = _run(pytester, "--help")
    assert "--share=K/N" in printed
    assert "--full" in printed


@pytest.mark.parametrize("whom", ["group", "first"])
def test_interrupt_ends_everything(tmp_path: Path, whom: str) -> None:
    """Ctrl-C, and a signal to the first process alone: no failed test, no process left."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(SLEEPER, encoding="utf-8")
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "pytest", *PLUGINS, "-n", "2", "--dist", "loadfile"],
            cwd=tmp_path,
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
            # a run in the background of a shell ignores the signal, and so would its children
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        ) as running,
    ):
        try:
            _until(lambda: len(list(tmp_path.glob("*.started"))) == 2, log)
            children = [int(path.stem) for path in tmp_path.glob("*.started")]
            (os.killpg if whom == "group" else os.kill)(running.pid, signal.SIGINT)
            assert running.wait(LIMIT_S) == pytest.ExitCode.INTERRUPTED
        finally:
            running.kill()
    printed = log.read_text(encoding="utf-8")
    assert "KeyboardInterrupt" in printed
    assert not re.search("failed|FAILED|Error|crashed", printed), printed
    assert len(printed.splitlines()) < 30, printed
    _until(lambda: not any(_alive(child) for child in children), log)


def _until(holds: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, log.read_text(encoding="utf-8")
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    """Whether it runs; one that has ended may be listed until its parent looks."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
