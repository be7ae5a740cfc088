"""What every command does with damage, full disks, closed pipes: words and the one table of codes.

What enters: commands, as processes where streams matter. What leaves: nothing but failures. Always
holds: a traceback is a failure.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from mbn.cli import boards, check, compile, flash, inspect, mlperf, train, tune, verify
from mbn.cli.run import console, guarded
from mbn.core import errors
from mbn.core.errors import EXIT_CODES, FlashError, MbnError, PlanError

ROOT = Path(__file__).parents[1]
DAMAGE = [
    OSError(28, "No space left on device"),
    OSError(28, "No space left on device", "x"),
    OSError("no number"),
    PermissionError(13, "Permission denied", "x"),
    Image.DecompressionBombError("200 million pixels"),
    zipfile.BadZipFile("no end"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    UnicodeEncodeError("latin-1", "x", 0, 1, "bad"),
    EOFError(),
    MbnError("this is wrong"),
]


@pytest.mark.parametrize("error", DAMAGE, ids=lambda error: type(error).__name__)
def test_damage_is_words_and_2(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise error

    assert guarded("mbn-x", work) == 2
    said = capsys.readouterr().err
    assert said.startswith("mbn-x: ") and said.count("\n") == 1


def test_the_other_codes(capsys: pytest.CaptureFixture[str]) -> None:
    def raising(error: BaseException) -> int:
        def work() -> int:
            raise error

        return guarded("mbn-x", work)

    assert raising(KeyboardInterrupt()) == 130
    assert raising(PlanError("too large")) == raising(FlashError("no")) == 3
    capsys.readouterr()
    assert raising(BrokenPipeError(32, "Broken pipe")) == 141
    assert capsys.readouterr().err == ""
    with pytest.raises(ZeroDivisionError):  # a bug of ours is shown whole
        raising(ZeroDivisionError())


def test_help_and_documents_have_the_table() -> None:
    for command in (boards, check, compile, flash, inspect, mlperf, train, tune, verify):
        assert errors.exit_codes() in command.parser().format_help(), command.__name__
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    heads = " ".join(re.findall(r"^## (\d.*)$", page, re.MULTILINE))
    assert all(re.search(rf"\b{code}\b", heads) for code in EXIT_CODES if code)


def _mbn_boards(stdout: int, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from mbn.cli.boards import main; sys.exit(main([]))"
    return subprocess.run(
        [sys.executable, "-c", code],
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
        env={**os.environ, **environment},
    )


def test_a_full_output_device_and_a_closed_pipe() -> None:
    with Path("/dev/full").open("wb") as full:
        done = _mbn_boards(full.fileno())
    assert (done.returncode, done.stderr) == (2, "mbn-boards: No space left on device.\n")
    read, write = os.pipe()
    os.close(read)
    done = _mbn_boards(write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_that_knows_few_letters() -> None:
    done = _mbn_boards(subprocess.DEVNULL, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_and_a_read_only_disk(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounts a small tmpfs: needs root")
    options = [("size=40k", "No space left on device"), ("ro", "Read-only file system")]
    for option, words in options:
        mount = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(tmp_path)]
        if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            pytest.skip("may not mount here")
        try:
            code = "import sys; from mbn.cli.compile import main; sys.exit(main(sys.argv[1:]))"
            what = ["--board", "host", "--weights", "random:1", "--output", str(tmp_path / "o")]
            done = subprocess.run(
                [sys.executable, "-c", code, *what],
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr and "Traceback" not in done.stderr


def test_brackets_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Paths and extras may hold them; rich would take them for markup."""
    console(quiet=False).print("wrote  /tmp/[flash]/x[bold]")
    assert capsys.readouterr().out == "wrote  /tmp/[flash]/x[bold]\n"


def test_quiet_ends_with_its_command(caplog: pytest.LogCaptureFixture) -> None:
    """What a quiet command does not print, a later one prints."""

    def noting(*, quiet: bool) -> int:
        console(quiet=quiet)
        logging.getLogger("mbn").warning("something was left out")
        return 0

    assert guarded("mbn-x", lambda: noting(quiet=True)) == 0
    logging.getLogger("mbn").warning("heard again")
    assert "heard again" in caplog.text
