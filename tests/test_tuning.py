"""Records of the tuner: what is read of them, what is chosen by them, that they are of today.

What enters: drawn records, damaged ones, the bundled ones; networks in emulation. What leaves:
failures. Always holds: a bad line is named and never used; every candidate gives the same bits; a
part of the bundled records is measured again, so that a change of the kernels can't outdate them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import mbn
import networks
from mbn.cli import compile as compile_command
from mbn.cli import tune as tune_command
from mbn.core.boards import find_board
from mbn.core.errors import BoardError
from mbn.core.kernel_set import VERSIONS
from mbn.core.options import InputMode
from mbn.core.schedule import BandOption, Sharing, Variant
from mbn.core.telling import SILENT
from mbn.harness.device.session import Device
from mbn.jobs import tune as tune_job
from mbn.jobs.lower import lowering
from mbn.jobs.lower.fit import ALPHAS, RESOLUTIONS
from mbn.passes import tuning
from mbn.passes.kernels import candidates
from mbn.passes.predict import family_network
from mbn.passes.tuning import Point, Records, options, signature
from networks import conv, depthwise
from test_kernels import compare

PLAIN, FEW = Variant(), Variant(Sharing.REST)
SHARED = Variant(Sharing.ALL)
KEY = ("cortex-m4f", VERSIONS["dsp"], "block of some shape")


def some_records() -> Records:
    known = Records()
    for rows, variant, cycles, tables, code in (
        (1, PLAIN, 1000, 100, 50),
        (1, FEW, 900, 200, 50),
        (2, SHARED, 1200, 100, 10),
    ):
        known.add(KEY, Point(rows, variant, cycles, tables, code), "emulation")
    known.add(("cortex-m7", VERSIONS["m7"], "conv"), Point(1, PLAIN, 5, 6, 7), "emulation")
    return known


def test_records_come_back(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    tuning.write(some_records(), path)
    again = tuning.read(path, VERSIONS)
    assert (again.points, again.by, again.ignored) == (
        some_records().points,
        some_records().by,
        [],
    )
    tuning.write(again, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace("1000", "1001"),
        lambda line: line[:-9],
        lambda _: "no json at all",
        lambda line: line.replace("cortex-m4f", "cortex-m4g"),
        lambda line: "[" + line + "]",
    ],
)
def test_damaged_line_is_named_and_ignored(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "some.jsonl"
    tuning.write(some_records(), path)
    lines = path.read_text().splitlines()
    assert "1000" in lines[0]
    assert callable(damage)
    path.write_text("\n".join([damage(lines[0]), *lines[1:]]) + "\n")
    known = tuning.read(path, VERSIONS)
    assert list(known.points) == [("cortex-m7", VERSIONS["m7"], "conv")]
    assert known.ignored == [f"{path}: damaged, so ignored: line 1"]


def test_other_kernels_records_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    tuning.write(some_records(), path)
    known = tuning.read(path, VERSIONS | {"dsp": "dsp 99"})
    assert list(known.points) == [("cortex-m7", VERSIONS["m7"], "conv")]
    (reason,) = known.ignored
    assert f"({VERSIONS['dsp']};" in reason
    assert "dsp 99" in reason


def test_emulated_and_measured_cycles_are_not_mixed() -> None:
    known = some_records()
    known.add(KEY, Point(1, PLAIN, 3000, 100, 50), "nucleo")
    assert list(known.points[KEY].values()) == [Point(1, PLAIN, 3000, 100, 50)]


def option(rows: int, variant: Variant, cycles: int = 7) -> BandOption:
    return BandOption(rows, 10 * rows, False, cycles, variant)


def test_choices_follow_cycles_and_bytes() -> None:
    every = [option(1, PLAIN), option(1, FEW), option(2, PLAIN)]
    points = {
        (1, PLAIN): Point(1, PLAIN, 10_000, 100, 0),
        (1, FEW): Point(1, FEW, 9_000, 300, 0),  # saves 5 cycles a byte
        (2, PLAIN): Point(2, PLAIN, 8_000, 350, 0),
        (4, PLAIN): Point(4, PLAIN, 1, 1, 1),  # not offered, so never taken
    }

    def chosen(optimise: str, copies: int = 1) -> list[tuple[int, Sharing, int]]:
        found = options(every, points, optimise, lambda _: PLAIN, copies)
        assert all(one.measured for one in found)
        assert all(one.cost > one.cycles for one in found)  # the plan weighs flash too
        return [(one.rows, one.variant.shared, one.cycles) for one in found]

    assert chosen("speed") == [(1, Sharing.REST, 9000), (2, Sharing.NONE, 8000)]
    assert chosen("balanced") == [
        (1, Sharing.NONE, 10_000)
    ]  # the taller one is not worth its flash
    assert chosen("size") == [(1, Sharing.NONE, 10_000)]


def test_unmeasured_heights_are_estimated() -> None:
    """One height without a point: estimates and measurements don't compare."""
    every = [option(1, PLAIN, 70), option(1, FEW, 60), option(2, PLAIN, 50)]
    points = {(1, PLAIN): Point(1, PLAIN, 10_000, 100, 0)}
    found = options(every, points, "speed", lambda rows: FEW if rows == 1 else SHARED)
    assert found == (option(1, FEW, 60),)
    assert options(every, points, "speed", lambda _: SHARED) == (option(1, PLAIN, 70),)


@pytest.mark.parametrize("name", ["qemu", "qemu-m7"])
def test_every_candidate_gives_the_same_bits(name: str) -> None:
    board = find_board(name)
    specs = [conv(6, 3, 2), depthwise(), conv(8), depthwise(2), conv(11), depthwise(), conv(16)]
    network = networks.make_network((13, 24, 3), specs, seed=11)
    computed, _ = lowering.computed_of(network, simplify=False)
    kernels = board.core.kernels
    every = [candidates(computed, stage, kernels) for stage in computed.stages]
    runs = max(len(of_stage) for of_stage in every)
    assert runs > 2
    for run in range(runs):
        forced = [of_stage[run % len(of_stage)] for of_stage in every]
        compare(network, kernels, InputMode.STREAM, board, forced=forced)


def prepared(name: str, *arguments: str) -> tune_job.Tuning:
    parsed = tune_command.parser().parse_args(["--board", name, *arguments])
    job = tune_command.job_of(parsed, find_board(name))
    return tune_job.prepare(job, Path("out") / "tune" / name, SILENT)


SMALL = [
    "--alpha",
    "0.25",
    "--resolution",
    "32",
    "--classes",
    "2",
    "--weights",
    "random:1",
    "--keep-constant",
]


def test_tuning_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run measures the rest; the third nothing; the compiler takes the records."""
    monkeypatch.chdir(tmp_path)
    made = prepared("qemu", *SMALL)
    (tmp_path / "t.jsonl").unlink(missing_ok=True)
    whole = len(tune_job.rounds(made, Records()))
    real = tune_job.measured
    runs: list[int] = []

    def interrupted(*of: object) -> object:
        runs.append(1)
        if len(runs) == 3:
            raise KeyboardInterrupt
        return real(*of)  # type: ignore[arg-type]

    monkeypatch.setattr(tune_job, "measured", interrupted)
    command = ["--board", "qemu", "--records", "t.jsonl", *SMALL]
    assert tune_command.main(command) == 130
    assert "t.jsonl has what was measured" in capsys.readouterr().err
    assert len(tune_job.rounds(made, tuning.read(Path("t.jsonl"), VERSIONS))) == whole - 2
    assert tune_command.main(command) == 0
    assert f"{whole - 2} runs" in capsys.readouterr().out
    kept = Path("t.jsonl").read_bytes()
    assert tune_command.main(command) == 0
    assert "0 runs; wrote" in capsys.readouterr().out
    assert Path("t.jsonl").read_bytes() == kept
    lines = kept.decode().splitlines()
    Path("t.jsonl").write_text("\n".join([lines[0], lines[1][3:], *lines[2:]]) + "\n")
    compile_it = ["--board", "qemu", "--plan-only", "--records", "t.jsonl", *SMALL]
    assert compile_command.main(compile_it) == 0
    said = capsys.readouterr().out
    assert "warning: t.jsonl: damaged, so ignored: line 2" in said
    assert "as mbn-tune measured them" in said.replace("\n", " ")


def test_bad_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "none.jsonl")
    assert compile_command.main(["--board", "qemu", "--records", missing]) == 2
    assert "mbn-tune --board" in capsys.readouterr().err
    assert tune_command.main(["--board", "host", *SMALL]) == 2
    assert "no cycles can be counted" in capsys.readouterr().err
    assert tune_command.main(["--board", "qemu", "--family", "--alpha", "0.5"]) == 2
    assert "one way to name networks" in capsys.readouterr().err
    with pytest.raises(BoardError):
        tune_job.counter_of(find_board("nucleo_h743zi"))


def test_attached_board_is_flashed_and_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The emulator stands for the board: it has no counter, so numbers are put in its mouth."""
    monkeypatch.chdir(tmp_path)
    command = ["--board", "stm32", "--method", "qemu", "--records", "t.jsonl", *SMALL]
    assert tune_command.main(command) == 2
    assert "counts no cycles" in capsys.readouterr().err
    assert not Path("t.jsonl").exists()
    stages = len(prepared("stm32", *SMALL).stages)
    every = tune_job.rounds
    monkeypatch.setattr(tune_job, "rounds", lambda made, known: every(made, known)[:2])
    monkeypatch.setattr(Device, "cycles", lambda _: tuple(range(1, stages + 1)))
    assert tune_command.main(command) == 0
    assert "Measured on stm32f405" in capsys.readouterr().out
    known = tuning.read(Path("t.jsonl"), VERSIONS)
    assert set(known.by.values()) == {"stm32f405"}
    assert {key[0] for key in known.points} == {"cortex-m4f"}


@pytest.mark.parametrize("name", ["qemu", "qemu-m7", "qemu-m55"])
def test_bundled_records_cover_the_family(name: str) -> None:
    core = find_board(name).core
    known = tuning.bundled(VERSIONS)
    assert not known.ignored
    tuned = known.of(core.name, core.kernels.version)
    for alpha in ALPHAS:
        for resolution in RESOLUTIONS:
            network = family_network(alpha, resolution, 1000)
            for stage in network.stages:
                points = tuned.get(signature(network, stage, core.kernels), {})
                missing = [
                    one for one in candidates(network, stage, core.kernels) if one.way not in points
                ]
                assert not missing, signature(network, stage, core.kernels)


@pytest.mark.parametrize(("name", "percent"), [("qemu", 1), ("qemu-m7", 3), ("qemu-m55", 3)])
def test_bundled_records_are_of_these_kernels(name: str, percent: float, tmp_path: Path) -> None:
    """One run of the smallest size; other addresses may cost a little. Where this fails, count up
    the set's version (mbn/core/kernel_set.py) and run mbn-tune --family for its cores."""
    parsed = tune_command.parser().parse_args(["--board", name])
    job = tune_command.job_of(parsed, find_board(name))
    job = replace(job, options=replace(job.options, simplify=False))
    made = tune_job.tuning_of(job, next(mbn.family()))
    known = tuning.bundled(VERSIONS)
    ways = [stage.candidates[-1] for stage in made.stages]
    for stage, point in tune_job.measured(made, ways, tmp_path, tune_job.Emulated()):
        then = known.points[made.key(stage)][point.way]
        most = 600 + then.cycles * percent / 100
        assert abs(point.cycles - then.cycles) < most, stage.signature
        assert point.tables_bytes == then.tables_bytes


def test_a_line_is_small_and_plain(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    tuning.write(some_records(), path)
    first = json.loads(path.read_text().splitlines()[0])
    assert first["points"] == [
        [1, 0, 1000, 100, 50],
        [1, 1, 900, 200, 50],
        [2, 3, 1200, 100, 10],
    ]
    assert replace(Point(1, FEW, 1, 2, 3), rows=2).way == (2, FEW)
