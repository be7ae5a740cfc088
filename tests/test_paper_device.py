"""mbn-paper device: the runs that come with the compiler hold, and the plans agree with them.

What enters: mbn_paper.device.entries, its runs, emulation. What leaves: failures. Always holds: one
run is made again here; no figure of the others is taken on trust where planning tells it too.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mbn.core.boards import find_board
from mbn.core.options import InputMode
from mbn.jobs import suggest as suggest_job
from mbn_paper.cli import device as paper_device
from mbn_paper.cli import main as paper_command
from mbn_paper.device import cells as device_cells
from mbn_paper.device import plans as device_plans
from mbn_paper.device import runs as device_runs
from mbn_paper.device.entries import SIZES, Device, Size, device, real_boards
from mbn_paper.device.plans import Plans

CORES = ("qemu", "qemu-m7", "qemu-m55")
SMALL, LARGE = Size(0.25, 96), Size(1.0, 224)


@pytest.fixture(scope="module")
def known() -> device_runs.Runs:
    return device_runs.bundled()


@pytest.fixture(scope="module")
def planned(known: device_runs.Runs) -> Device:
    """Two sizes on three cores and four boards, the runs of one of the sizes known."""
    boards = [find_board(name) for name in ("stm32", "nucleo_f446re", "nucleo_h743zi", "ek_ra8m1")]
    flash, *rest = boards[1].memories
    smaller = replace(flash, size_bytes=500 * 1024)
    boards.append(replace(boards[1], name="smaller", memories=(smaller, *rest)))
    runs = {key: run for key, run in known.known.items() if key[:2] == (0.25, 96)}
    return device([SMALL, LARGE], [find_board(name) for name in CORES], boards, runs)


def test_bundled_runs_are_of_all_sizes_and_exact(known: device_runs.Runs) -> None:
    assert not known.ignored
    assert set(known.known) == {
        (size.alpha, size.resolution, board) for size in SIZES for board in CORES
    }
    for (alpha, resolution, board), run in known.known.items():
        report, check = run.report, run.report.check
        assert run.exact and check is not None and check.samples == device_runs.SAMPLES
        assert run.command == f"mbn-paper device --run {alpha:g}-{resolution} --on {board}"
        assert report.network.macs_computed == Size(alpha, resolution).shape.macs
        for name in ("instructions", "modelled_cycles"):
            stages = sum(getattr(stage, name) for stage in report.stages)
            assert 0.95 * getattr(check, name) < stages <= getattr(check, name)
        # the plan's prediction, made before the run
        assert run.predicted_cycles == pytest.approx(check.modelled_cycles, rel=0.035)


def test_a_run_made_again(known: device_runs.Runs, tmp_path: Path) -> None:
    """Every bit is compared here, and the cost is the bundled one's."""
    said: list[str] = []
    board, path = find_board("qemu-m55"), tmp_path / "runs.jsonl"
    sizes = [(SMALL.alpha, SMALL.resolution)]
    (made,) = device_runs.run(
        sizes, [board], path, tmp_path, lambda done, of, what: said.append(f"{done}/{of} {what}")
    )
    assert said == ["0/1 0.25-96 on qemu-m55", "1/1 "]
    bundled = known.known[made.key]
    assert made.exact and made.report.check is not None and bundled.report.check is not None
    assert made.report.network.model_sha256 == bundled.report.network.model_sha256
    assert made.report.check.instructions == pytest.approx(
        bundled.report.check.instructions, rel=0.005
    ), "the kernels cost otherwise: mbn-paper device --run makes the records anew"
    assert made.report.memory.arena_bytes == bundled.report.memory.arena_bytes
    assert [one.name for one in tmp_path.iterdir()] == ["runs.jsonl"]
    # what the file knows is not run again
    assert device_runs.run(sizes, [board], path, tmp_path, lambda *_: None) == []
    assert device_runs.read(path).known == {made.key: made}


def test_what_a_file_of_runs_may_hold(known: device_runs.Runs, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    first, second, *_ = known.known.values()
    device_runs.write({second.key: second, first.key: replace(first, kernels="dsp 0")}, path)
    text = path.read_text()
    path.write_text("no JSON\n" + text + text[: len(text) // 3])
    found = device_runs.read(path)
    assert found.known == {second.key: second}
    assert "line 1, 4" in found.ignored[0] and "1 runs of other kernels" in found.ignored[1]
    assert device_runs.read(tmp_path / "none.jsonl").known == {}
    damaged = json.loads(text.splitlines()[0])
    del damaged["report"]["memory"]
    path.write_text(json.dumps(damaged) + "\n")
    assert device_runs.read(path).known == {}


def test_rows_of_cores(planned: Device) -> None:
    assert [row.stream.board.name for row in planned.cores] == [*CORES, *CORES]
    for row in planned.cores:
        if row.size == SMALL:
            assert row.run is not None and row.run.report.check is not None
            assert row.cycles == row.run.report.check.modelled_cycles
            assert row.instructions == row.run.report.check.instructions
            assert row.how == "2/2 exact" and row.off_percent is not None
            # planned: the same arena, and flash to a hundredth
            memory = row.run.report.memory
            assert row.stream.demand.arena_bytes == memory.arena_bytes
            assert row.stream.flash_bytes == pytest.approx(memory.flash_bytes, rel=0.015)
        else:
            assert row.run is None and row.how == "planned" and row.off_percent is None
            assert row.cycles == row.stream.cycles
            assert device_cells.core_cells(row)[-2:] == ["-", "planned"]
        # with the image whole in RAM more is needed, unless maps may lie over it
        assert row.whole.ram_bytes > 0.95 * row.stream.ram_bytes


def test_a_run_that_differs_is_said(planned: Device) -> None:
    row = planned.cores[0]
    assert row.run is not None and row.run.report.check is not None
    check = replace(row.run.report.check, exact_samples=1, mismatch="stage 3")
    bad = replace(row.run, report=replace(row.run.report, check=check))
    assert not bad.exact
    assert replace(row, run=bad).how == "1/2 DIFFERS"


def test_rows_of_boards(planned: Device) -> None:
    found = {(row.size.name, row.board.name): row for row in planned.boards}
    small = found["0.25-96", "stm32f405"]
    assert small.cost is not None and small.cost.optimise == "speed" and small.times is not None
    assert small.times.lower_ms > small.times.zero_wait_ms
    # 512 KB of flash hold only the smallest build with 1,000 classes, 500 KB none
    tight = found["0.25-96", "nucleo_f446re"]
    assert tight.cost is not None and tight.cost.optimise == "size"
    assert device_cells.fit_cell(tight).startswith("s ")
    assert 500 * 1024 < tight.cost.flash_bytes <= 512 * 1024
    assert found["0.25-96", "smaller"].lacks == ("flash",)
    for name in ("stm32f405", "nucleo_f446re", "nucleo_h743zi", "ek_ra8m1"):
        large = found["1-224", name]
        assert large.cost is None and large.lacks[0] == "flash"
        assert device_cells.board_cells(large)[3].startswith("no: flash")
    unknown = found["0.25-96", "ek_ra8m1"]  # no model of the M85
    assert unknown.cost is not None and unknown.times is None
    assert device_cells.fit_cell(unknown) == "-"
    assert "qemu" not in {board.name for board in real_boards()}


def test_energy_is_of_a_published_current() -> None:
    """Amperes x volts x seconds; none where no current is known; the smallest board that holds."""
    boards = [find_board(name) for name in ("nrf52840dk", "nucleo_h743zi", "teensy41")]
    found = device([SMALL, Size(1, 96)], [find_board("qemu")], boards, {})
    rows = {(row.size.name, row.board.name): row for row in found.boards}
    small = rows["0.25-96", "nrf52840dk"]
    assert small.times is not None and small.board.current is not None
    low, high = small.millijoules or (0, 0)
    seconds = small.times.zero_wait_ms / 1000
    assert low == pytest.approx(0.0063 * 3 * seconds * 1000)
    assert high / low == pytest.approx(small.times.upper_ms / small.times.zero_wait_ms) and high > 1
    assert "CoreMark at 64 MHz from flash" in small.board.current.source
    assert rows["0.25-96", "nucleo_h743zi"].millijoules is None
    assert device_cells.energy_cell(rows["0.25-96", "nucleo_h743zi"]) == "-"
    holds = device_cells.hold_rows(found)
    assert [row[:3] for row in holds] == [
        ["0.25-96", "3 of 3", "nrf52840dk"],
        ["1-96", "1 of 3", "teensy41"],
    ]
    assert holds[0][3].endswith(" of 1,024")
    assert [row[0] for row in device_cells.current_rows(found)] == ["nrf52840dk", "teensy41"]
    teensy = [device_cells.energy_cell(rows[name, "teensy41"]) for name in ("0.25-96", "1-96")]
    assert device_cells.energy_rows(found) == (
        ["size", "nrf52840dk", "teensy41"],
        [["0.25-96", f"{low:.3g} to {high:.3g}", teensy[0]], ["1-96", "-", teensy[1]]],
    )
    columns, rest = device_cells.largest_rows(found)
    assert columns[2:] == ["alpha 0.25", "alpha 1"]
    assert [row[3] for row in rest][:2] == ["flash", "flash"] and rest[2][3].startswith("96: ")
    (none,) = device_cells.hold_rows(replace(found, boards=(rows["1-96", "nrf52840dk"],)))
    assert none == ["1-96", "0 of 1", "none", "", "", "", ""]


def test_plans_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, boards = tmp_path / "plans.json", [find_board("qemu-m55"), find_board("ek_ra8m1")]
    first = Plans(path)
    made = first.costs(SMALL.key, boards)
    first.save()
    asked: list[object] = []
    monkeypatch.setattr(suggest_job, "costs", lambda *what: asked.append(what) or made)
    assert Plans(path).costs(SMALL.key, boards) == made and not asked
    # another mode is another plan, and so is another state of the compiler, or a damaged file
    Plans(path).costs(SMALL.key, boards, InputMode.WHOLE)
    monkeypatch.setattr(device_plans, "digest", lambda: "another")
    Plans(path).costs(SMALL.key, boards)
    path.write_text(path.read_text().replace('"demand"', '"demant"'))
    monkeypatch.undo()
    assert len(asked) == 2
    assert Plans(path).known == {}


def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = ["--runs", str(tmp_path / "none.jsonl")]
    arguments = ["device", "0.25-96", "--board", "nucleo_h743zi", "--json", *nothing]
    assert paper_command.main(arguments) == 0
    data = json.loads(capsys.readouterr().out)
    assert [row["run"]["exact"] for row in data["cores"]] == [True] * 3
    (row,) = data["boards"]
    assert row["current"] is None and row["millijoules"] is None
    assert row["fits"] and row["times"]["inferences_per_second"] == pytest.approx(
        row["clock_hz"] / row["cycles"]
    )


def test_tables_for_the_terminal(planned: Device, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Console(width=120, highlight=False)  # a pipe has no width
    paper_device.show(planned, [], terminal)
    paper_device.show(planned, [find_board("nucleo_h743zi")], terminal)
    said = capsys.readouterr().out
    assert "nucleo_h743zi: cortex-m7 at 480 MHz" in said
    assert said.count("2/2 exact") == 6 and "no: flash" in said
    assert max(map(len, said.splitlines())) <= 120


def test_bad_requests(capsys: pytest.CaptureFixture[str]) -> None:
    assert paper_command.main(["device", "0.3-96"]) == 2
    assert "no size 0.3-96. wanted: one of the paper's" in capsys.readouterr().err
    assert paper_command.main(["device", "0.25-96", "--run", "--on", "stm32"]) == 2
    assert "wanted: of qemu, qemu-m7, qemu-m55" in capsys.readouterr().err
    assert paper_command.main(["device", "--board", "nothing"]) == 2
