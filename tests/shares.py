"""Which tests run: all but those marked `full`, of which a share runs; which are `smoke`; and
which files are begun first.

What enters: --full or --share K/N (0: none); without either, N is 8 and K follows from the commit,
so that CI runs each of them once in about eight commits. What leaves: the items that run, and a
line for the header that says how to repeat the choice. Always holds: each test marked `full` is in
exactly one of the shares 1/N to N/N, and in the same on every machine.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

SHARES = 8
# A cross-section in under 90 seconds: a file, or the start of a node id.
SMOKE = (
    "test_agreement.py",
    "test_boards.py::test_every_board_builds[qemu-m0]",
    "test_commands.py::test_alpha_that_is_no_width",
    "test_commands.py::test_arguments_that_make_no_sense",
    "test_commands.py::test_help_has_examples[compile]",
    "test_commands.py::test_missing_onnx",
    "test_commands.py::test_own_network_is_checked[more0]",
    "test_commands.py::test_unsupported_operator_is_named_with_its_node",
    "test_cost.py::test_m4_table",
    "test_defence.py::test_damaged_weights_are_refused[qemu]",
    "test_device.py::test_every_board_agrees[stream-host]",
    "test_device.py::test_every_board_agrees[stream-qemu]",
    "test_dsp.py::test_channels_beyond_an_immediate_offset",
    "test_export.py::test_names",
    "test_frontend.py",
    "test_golden.py",
    "test_link.py",
    "test_mve.py::test_every_bit[width 3-qemu-m55]",
    "test_object_cache.py",
    "test_plan.py::test_arena_of_a_quarter_mobilenet",
    "test_plan.py::test_every_chain_has_a_plan",
    "test_quantise.py",
    "test_scalar.py::test_shapes[apart-qemu-m0-single]",
    "test_scalar.py::test_shapes[mixed-qemu-m3-tflite]",
    "test_shares.py::test_shares_together_are_all",
    "test_style.py::test_lint",
    "test_style.py::test_format",
    "test_tflite.py::test_softmax_against_tensorflow_lite",
)
# What takes longest: begun last, it would keep one process busy while the others have ended.
FIRST = (
    "test_kernels.py",
    "test_mve.py",
    "test_dsp.py",
    "test_tflite.py",
    "test_exporters.py",
    "test_network.py",
    "test_grid.py",
    "test_mlperf.py",
    "test_foreign.py",
    "test_study.py",
    "test_commands.py",
    "test_predict.py",
    "test_tuning.py",
    "test_scalar.py",
)


@dataclass(frozen=True)
class Share:
    """The part'th of `parts` shares; part 0: none, parts 1: all."""

    part: int
    parts: int

    def __str__(self) -> str:
        return f"{self.part}/{self.parts}" if self.part else "0"

    def holds(self, node_id: str) -> bool:
        """Whether the test is in this share."""
        digest = hashlib.sha256(node_id.encode()).digest()
        return int.from_bytes(digest) % self.parts + 1 == self.part

    def header(self) -> str:
        """The line that is printed first."""
        if not self.part:
            return "none of the full tests (--full runs all)"
        if self.parts == 1:
            return "all of the full tests"
        return f"share {self} of the full tests (repeat with --share {self}; --full runs all)"


def some(values: Iterable[Any], *always: Any) -> list[ParameterSet]:
    """Parameters of a test, each marked `full` but those that always run."""
    listed = list(values)
    missing = [value for value in always if value not in listed]
    assert not missing, f"{missing} of {listed}"
    return [
        pytest.param(value, marks=() if value in always else pytest.mark.full) for value in listed
    ]


def parse(text: str) -> Share:
    """Reads K/N or 0. Raises `pytest.UsageError`."""
    if text == "0":
        return Share(0, 1)
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if match is None or int(match[1]) > int(match[2]):
        raise pytest.UsageError(f"--share {text}: wanted K/N with 1 <= K <= N, or 0 for none")
    return Share(int(match[1]), int(match[2]))


def of_commit(folder: Path) -> Share:
    """The share that the checked-out commit stands for; the first outside a repository."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git
        said = ""
    commit = int(said, 16) if re.fullmatch(r"[0-9a-f]{40,64}", said) else 0
    return Share(commit % SHARES + 1, SHARES)


def add_options(parser: pytest.Parser) -> None:
    """--full and --share."""
    group = parser.getgroup("which tests run")
    group.addoption(
        "--full",
        action="store_true",
        help="run every test, also those marked full: slow, and seldom the first to fail",
    )
    group.addoption(
        "--share",
        default=None,
        metavar="K/N",
        help="of the tests marked full, run the K-th of N shares; 0: none. Without: one of "
        f"{SHARES}, chosen by the commit and printed in the header",
    )


def chosen(config: pytest.Config) -> Share:
    """What the options say, and else the commit. The answer is kept in the option, which the
    processes of pytest-xdist are given."""
    if config.getoption("--full"):
        if config.getoption("--share") is not None:
            raise pytest.UsageError("--full and --share exclude each other")
        return Share(1, 1)
    if config.getoption("--share") is None:
        config.option.share = str(of_commit(config.rootpath))
    return parse(config.getoption("--share"))


def deselect(config: pytest.Config, share: Share, items: list[pytest.Item]) -> None:
    """Takes out what does not run. A test that the command line names by itself runs."""
    named = [_place(config, word) for word in config.args if "::" in word]
    out = {
        item
        for item in items
        if item.get_closest_marker("full")
        and not share.holds(item.nodeid)
        and not any(
            item.path == path and _name(item).startswith((name + "[", name + "::", name + "\n"))
            for path, name in named
        )
    }
    if out:
        config.hook.pytest_deselected(items=[item for item in items if item in out])
        items[:] = [item for item in items if item not in out]


def order(items: list[pytest.Item]) -> None:
    """The longest files first, and each file's tests together and as they stand."""
    last = len(FIRST)
    items.sort(key=lambda it: FIRST.index(it.path.name) if it.path.name in FIRST else last)


def mark_smoke(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Marks what SMOKE names. Raises `pytest.UsageError` for a name without a test."""
    names = {item: f"{item.path.name}::{_name(item)}" for item in items}
    for name in SMOKE:
        found = [item for item in items if names[item].startswith(_starts(name))]
        for item in found:
            item.add_marker(pytest.mark.smoke)
        file = name.partition("::")[0]
        whole = not config.getoption("lf", False) and not any("::" in word for word in config.args)
        if whole and not found and any(item.path.name == file for item in items):
            raise pytest.UsageError(f"SMOKE in {Path(__file__).name}: no test is called {name}")


def _starts(name: str) -> tuple[str, ...]:
    """A whole file, a test of any parameters, or one with its own."""
    return (name + "[", name + "\n") if "::" in name else (name + "::",)


def _place(config: pytest.Config, word: str) -> tuple[Path, str]:
    """The file and the name in it of FILE::NAME."""
    path, _, name = word.partition("::")
    return (config.invocation_params.dir / path).resolve(), name


def _name(item: pytest.Item) -> str:
    """What follows the file in a node id, and an end."""
    return item.nodeid.partition("::")[2] + "\n"
