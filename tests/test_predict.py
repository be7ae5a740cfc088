"""Predicted cycles and times: against counts in emulation, and what is said where there are none.

What enters: the fitted coefficients of the repository, the bundled network counted on its board.
What leaves: failures. Always holds: the error on all ten networks that the fit did not use is
benchmarks/predict.py's business; here one of them, the bundled network, must be within 3 %.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from conftest import Compiled
from mbn.cli import compile as compile_command
from mbn.core.boards import find_board
from mbn.core.family import shape
from mbn.core.kernel_set import DSP
from mbn.core.network import StageKind
from mbn.core.options import InputMode
from mbn.core.schedule import BandOption
from mbn.core.target import CORES, Board, Memory
from mbn.core.telling import SILENT
from mbn.jobs import compile as compile_job
from mbn.jobs import suggest as suggest_job
from mbn.passes.predict import family_network, load, milliseconds, predict
from mbn.passes.predict.features import stage_features

MOST_PERCENT = 3.0
REFIT = "the kernels changed: ./dev python benchmarks/predict.py --fit"


def test_bundled_network_is_predicted(bundled: Compiled, board: Board) -> None:
    counted = json.loads((bundled.folder / "report.json").read_text())["check"]["modelled_cycles"]
    if counted is None or board.core.name not in load():
        pytest.skip(f"{board.name} has no modelled cycles or no fit")
    arguments = compile_command.parser().parse_args(
        ["--board", board.asked, "--alpha", "0.25", "--data", "digits"]
    )
    job = compile_command.job_of(arguments, board)
    generated = compile_job.plan_network(job, SILENT).generated
    guess = compile_job.predicted(generated, board)
    assert guess is not None, REFIT
    assert abs(100 * (guess.total / counted - 1)) < MOST_PERCENT, REFIT
    assert guess.unknown == 0


def test_every_fitted_core_states_its_error() -> None:
    for name, fitted in load().items():
        assert name in CORES
        assert fitted["held_out"]["networks"] == 10
        assert 0 < fitted["held_out"]["mean_percent"] <= fitted["held_out"]["largest_percent"]
        for coefficients in fitted["coefficients"].values():
            assert all(value >= 0 for value in coefficients.values())


@pytest.mark.parametrize(("alpha", "resolution"), [(0.25, 96), (1.0, 224), (0.3, 97)])
def test_family_network_is_the_shape(alpha: float, resolution: int) -> None:
    network = family_network(alpha, resolution, 10)
    assert network.macs == shape(alpha, resolution, 10).macs
    assert [stage.kind for stage in network.stages].count(StageKind.BLOCK) == 13
    assert network.output.channels == 10
    for layer in network.layers:
        assert layer.constants is not None


def test_floor_and_unknown_kinds() -> None:
    network, core = family_network(0.25, 96, 2), CORES["cortex-m4f"]
    fitted = {
        core.name: {
            "kernels": core.kernels.name,
            "instructions_per_cycle": 1.0,
            "coefficients": {"block": {"once": 7.0}, "driver": {"calls": 1.0}},
            "held_out": {"mean_percent": 1.0, "largest_percent": 2.0},
        }
    }
    heights = [BandOption(1, 0, False, 0)] * len(network.stages)
    guess = predict(core, network, heights, fitted)
    assert guess is not None
    calls = sum(network.stage_output(stage).height for stage in network.stages)
    assert guess.total == 13 * 7 + calls
    assert guess.unknown == 3  # stem, pool, dense
    halves = [-(-network.stage_macs(stage) // 2) for stage in network.stages]
    assert [stage.floor for stage in guess.stages] == halves
    fitted[core.name]["kernels"] = "others"
    assert predict(core, network, heights, fitted) is None
    assert predict(CORES["cortex-m0plus"], network, heights, fitted) is None


def test_groups_and_couples_are_counted() -> None:
    """6x6 maps: bands of two rows are three groups of four pixels; a row alone is 4 and 2."""
    network = family_network(0.25, 96, 2)
    stage = network.stages[8]
    assert network.stage_output(stage).shape == (6, 6, 128)
    joined = stage_features(network, stage, 2, DSP)
    assert joined["groups of 4: couples"] == 3 * 3 * 64
    assert "groups of 2: couples" not in joined
    alone = stage_features(network, stage, 1, DSP)
    assert alone["groups of 4: couples"] == alone["groups of 2: couples"] == 6 * 64
    assert alone["groups of 2: couples x depth"] == 6 * 64 * 64


def test_wait_states_bound_the_time() -> None:
    board = find_board("stm32f405")
    times = milliseconds(1_680_000, 4_000_000, 1_000_000, board)
    assert times is not None
    assert times.zero_wait_ms == pytest.approx(10)
    assert times.lower_ms == pytest.approx(10 + 5 * 1_000_000 / 16 / 168_000)
    assert times.upper_ms == pytest.approx(times.lower_ms + 5 * 4_000_000 / 16 / 168_000)
    assert "zero wait" in str(times) and "5 wait states" in str(times)
    none = replace(board, memories=(Memory("all", 0, 1, ("code", "weights", "data")),))
    plain = milliseconds(1_680_000, 4_000_000, 1_000_000, none)
    assert plain is not None and plain.lower_ms == plain.upper_ms == plain.zero_wait_ms
    assert str(plain) == "10.0 ms at zero wait"
    hot = milliseconds(1_680_000, 4_000_000, 1_000_000, find_board("stm32h743"))
    assert hot is not None and hot.upper_ms == hot.lower_ms  # its code runs from ITCM
    assert milliseconds(1, 1, 1, find_board("host")) is None


def test_suggestions_fit_memory_and_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    board = find_board("stm32f405")
    real = suggest_job.costs
    known: dict[object, list[suggest_job.Cost]] = {}

    def once(
        alpha: float, resolution: int, classes: int, boards: list[Board], mode: InputMode
    ) -> list[suggest_job.Cost]:
        """What it costs to plan the family is paid once for the three requests."""
        key = (alpha, resolution, classes, *(board.name for board in boards), mode)
        if key not in known:
            known[key] = real(alpha, resolution, classes, boards, mode)
        return known[key]

    monkeypatch.setattr(suggest_job, "costs", once)
    sizes = suggest_job.suggest(board, InputMode.STREAM, 10)
    assert sizes == sorted(sizes, key=lambda one: -one.macs)
    assert {(one.alpha, one.resolution) for one in sizes} >= {(0.25, 96), (0.25, 128)}
    assert all(one.demand.arena_bytes < 128 * 1024 for one in sizes)
    middle = sorted(one.times.lower_ms for one in sizes)[len(sizes) // 2]
    arguments = ["--board", "stm32f405", "--suggest", "--classes", "10"]
    assert compile_command.main([*arguments, "--max-ms", f"{middle}"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.count(" ms  ") >= 2]
    assert len(rows) == sum(one.times.lower_ms <= middle for one in sizes)
    assert compile_command.main([*arguments, "--max-ms", "1"]) == 3
    assert "the fastest that fits takes" in capsys.readouterr().out


def test_bad_requests(capsys: pytest.CaptureFixture[str]) -> None:
    assert compile_command.main(["--board", "qemu", "--max-ms", "9"]) == 2
    assert "--suggest" in capsys.readouterr().err
    assert compile_command.main(["--board", "qemu", "--suggest", "--max-ms", "-1"]) == 2
    assert compile_command.main(["--board", "host", "--suggest"]) == 2
    assert "can't be predicted" in capsys.readouterr().err
