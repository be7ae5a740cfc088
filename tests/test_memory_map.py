"""The arena over time: lifetimes add up, the picture shows every piece, --plan-only builds nothing.

What enters: the bundled network and small plans. What leaves: nothing but failures.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

import lowered
import networks
import shares
from mbn.cli import compile as compile_command
from mbn.core.boards import boards, find_board
from mbn.core.network import Network
from mbn.core.options import InputMode, Options
from mbn.core.telling import SILENT
from mbn.jobs import compile as compile_job
from mbn.jobs import inspect as inspect_job
from mbn.jobs.lower import lowering
from mbn.jobs.lower.lowering import Target
from mbn.jobs.lower.sources import Request
from mbn.jobs.suggest import costs
from mbn.passes.plan.lifetimes import lifetimes, live_bytes
from mbn.passes.predict import family_network
from mbn.report.memory_map import MemoryMap, Rectangle, to_svg, to_text

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("mode", list(InputMode))
def test_lifetimes_fill_the_arena_and_no_more(mode: InputMode) -> None:
    network = networks.make_network((17, 14, 3), networks.mobile(), seed=2)
    made = lowered.generate(network, "dsp", mode)
    pieces, bands = lifetimes(made.plan, made.needs, made.shapes)
    live = live_bytes(pieces, bands)
    assert len(live) == bands
    assert 0 < max(live) <= made.plan.arena_bytes
    tensors = {piece.index for piece in pieces if piece.kind != "scratch"}
    assert tensors == set(range(len(made.shapes)))
    for piece in pieces:
        assert 0 <= piece.first <= piece.last < bands
        assert piece.offset_bytes + piece.size_bytes <= made.plan.arena_bytes


def test_the_picture_shows_every_piece_and_the_peak() -> None:
    pieces = (
        Rectangle("image", "ring", 0, 5, 0, 40),
        Rectangle("0 <conv>", "map", 2, 9, 40, 60),
    )
    memory = MemoryMap("a & b", pieces, 10, 100, (40, 40, 100, 100, 100, 100, 60, 60, 60, 60))
    root = Xml.fromstring(to_svg(memory))
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert [title.split(":")[0] for title in titles] == ["image", "0 <conv>"]
    assert any("peak: 100 bytes" in (text.text or "") for text in root.iter(f"{SVG}text"))
    assert memory.peak == (2, 100)
    text = to_text(memory, columns=10, rows=5).splitlines()
    assert text[0].endswith("|..########|")
    assert text[4].endswith("|======....|")


def test_plan_only_answers_for_all_boards_without_building(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert compile_command.main(["--board", "all", "--alpha", "0.25", "--plan-only"]) == 0
    printed = capsys.readouterr().out
    for name in boards():
        assert name in printed
    assert list(tmp_path.rglob("*.svg"))
    assert not list(tmp_path.rglob("*.elf"))


def test_each_board_has_the_plan_of_its_memories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together as alone: a board with less RAM gets the plan that fits it, not its core's first."""
    network = family_network(1.0, 128, 1000)

    def planned(network: Network, target: Target, options: Options, **_: Any) -> Any:
        plan = lowering.planned(network, target, options).plan
        return SimpleNamespace(plan=plan, files=SimpleNamespace(weights_bytes=0))

    monkeypatch.setattr(lowering, "generate", planned)  # no code is asked for
    rows = inspect_job.board_demands(network, InputMode.STREAM)
    arena = {board.name: demand.arena_bytes for board, demand in rows}
    assert arena["nucleo_f446re"] == 115_840 < arena["nrf52840dk"] == 140_416  # of one core
    assert arena == {
        cost.board.name: cost.demand.arena_bytes
        for cost in costs(1.0, 128, 1000, list(boards().values()))
    }


def test_plan_only_says_no_with_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    size = ["--alpha", "1.0", "--resolution", "224", "--weights", "random:1"]
    assert compile_command.main(["--board", "stm32", *size, "--plan-only"]) == 3
    assert " no " in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", shares.some(["qemu", "qemu-m55", "stm32f405", "rp2040_pico"], "qemu-m55", "stm32f405")
)
def test_flash_is_known_before_it_is_built(name: str, tmp_path: Path) -> None:
    """Never below what is linked, and at most 2 % above."""
    board, quiet = find_board(name), SILENT
    job = compile_job.Job(Request(alpha=0.25, data="digits", samples=1), board, output=tmp_path)
    (planned,) = compile_job.plan_boards(job, [board], quiet)
    (demand,) = compile_job.demands([planned], [board])
    built = compile_job.compile_image(job, quiet).report.memory.flash_bytes
    assert built <= demand.flash_bytes <= 1.02 * built
