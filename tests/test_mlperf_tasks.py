"""MLPerf Tiny's four tasks by its protocol: what each wants to be sent, and how it answers.

What enters: drawn networks of the four tasks' shapes, in both roundings, and MLPerf Tiny's own
where the shared folder has them; runs on the host under sanitizers and on the emulated board. What
leaves: nothing but failures. Always holds: results are compared with the reference's, all decimals;
the autoencoder's with a mean that is computed here once more.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import networks
import shares
from mbn.cli import compile as compile_command
from mbn.cli import mlperf as mlperf_command
from mbn.core.boards import find_board
from mbn.core.network import Network, Op
from mbn.core.options import Rounding
from mbn.core.target import Board
from mbn.exact import Reference
from mbn.jobs import mlperf
from mbn.jobs.mlperf import Kind
from mbn.passes.frontend.stages import group_stages
from networks import Spec, conv, depthwise
from test_mlperf import App, build_app
from test_network import SHARED, need
from tflite_form import in_tflite

POOL = Spec(Op.POOL, (99, 99), zero_point=-128, scale=0.05)


def dense(results: int) -> Spec:
    return Spec(Op.DENSE, channels=results, zero_point=4)


TASKS = {
    "vww01": (
        (96, 96, 3),
        [conv(4, 3, 2, "tensorflow"), depthwise(2, "tensorflow"), conv(6), POOL, dense(2)],
    ),
    "ic01": (
        (32, 32, 3),
        [
            conv(4, 3, 2, "tensorflow"),
            conv(4, 3),
            Spec(Op.ADD, channels=1, weights="none"),
            POOL,
            dense(10),
        ],
    ),
    "kws01": ((49, 10, 1), [conv(5, 4, 2, "tensorflow"), depthwise(), conv(6), POOL, dense(12)]),
    "ad01": ((1, 1, 640), [Spec(Op.DENSE, channels=8, zero_point=-128), dense(640)]),
}
KINDS = {"vww01": Kind.PIXELS, "ic01": Kind.PIXELS, "kws01": Kind.CODES, "ad01": Kind.NUMBERS}
SIZES = {"vww01": 27648, "ic01": 3072, "kws01": 490, "ad01": 2560}  # bytes through db
FILES = {
    "vww01": "vww_96_int8.tflite",
    "ic01": "mlperf/pretrainedResnet_quant.tflite",
    "kws01": "mlperf/kws_ref_model.tflite",
    "ad01": "mlperf/ad01_int8.tflite",
}


def drawn(task: str, rounding: Rounding) -> Network:
    """A small network of the task's shapes, with its softmax."""
    shape, specs = TASKS[task]
    network = networks.make_network(shape, specs, seed=6, zero_point=9, name="drawn")
    reconstructs = KINDS[task] is Kind.NUMBERS
    if rounding is Rounding.TFLITE:
        network = in_tflite(network)
        if reconstructs:  # there is none behind its last layer
            kept = network.layers[:-1], network.tensors[:-1]
            network = group_stages(replace(network, layers=kept[0], tensors=kept[1], stages=()))
        return network
    return network if reconstructs else replace(network, host_ops=("softmax",))


@pytest.fixture(scope="module", params=["host", "board"])
def place(request: pytest.FixtureRequest, board: Board, transport: str | None) -> Board:
    if request.param == "board" and transport is not None:
        pytest.skip("needs an image of its own on the board")
    return board if request.param == "board" else find_board(request.param)


@pytest.fixture(scope="module", params=list(TASKS))
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("rounding", list(Rounding))
def test_sessions_of_every_task(
    place: Board, task: str, rounding: Rounding, tmp_path: Path
) -> None:
    network = drawn(task, rounding)
    assert mlperf.kind_of(network) is KINDS[task]
    app = build_app(network, place, tmp_path)
    with app.runner() as runner:
        assert runner.ask("profile")[1] == f"m-model-[{task}]"
        found = mlperf.accuracy(runner, app.folder, None)
        assert found == mlperf.Accuracy(7, 7, None, None)
        speed = mlperf.performance(runner, app.folder, runs=2, warmup=1)
        assert speed.mismatch is None
        results = [line for line in runner.transcript if "m-results" in line]
        size = SIZES[task]
        assert f"> db load {size}%" in runner.transcript
        assert runner.ask(f"db load {size + 1}") == [
            f"Supplied buffer size {size + 1} exceeds maximum of {size}"
        ]
    assert len(set(results)) > 1
    wanted = 1 if KINDS[task] is Kind.NUMBERS else network.output.channels
    assert all(line.count(",") == wanted - 1 for line in results)


@pytest.fixture(scope="module")
def autoencoder(place: Board, tmp_path_factory: pytest.TempPathFactory) -> App:
    return build_app(drawn("ad01", Rounding.SINGLE), place, tmp_path_factory.mktemp(place.name))


def _as_the_protocol_says(network: Network, numbers: NDArray[np.float32]) -> float:
    """The mean squared error, in float64 and value by value."""
    source, out = network.input, network.output
    steps = [float(np.float32(one) / np.float32(source.scale)) for one in numbers]
    away = [int(step + 0.5) if step >= 0 else -int(-step + 0.5) for step in steps]
    codes = np.clip(np.array(away) + source.zero_point, -128, 127).astype(np.int8)
    output = Reference(network).run(codes.reshape(1, 1, 1, -1))[0].reshape(-1)
    real = (output.astype(np.float64) - out.zero_point) * np.float64(np.float32(out.scale))
    return float(np.mean((real - numbers.astype(np.float64)) ** 2))


def test_numbers_between_the_codes(autoencoder: App) -> None:
    """They are quantised for the network, and the error is that to the numbers themselves."""
    network, rng = autoencoder.network, np.random.default_rng(8)
    scale = np.float32(network.input.scale)
    drawn_numbers = [
        rng.normal(0, 40, 640).astype(np.float32) * scale,
        (rng.integers(-300, 300, 640).astype(np.float32) + np.float32(0.5)) * scale,
        rng.normal(0, 1e6, 640).astype(np.float32),
        np.zeros(640, np.float32),
    ]
    with autoencoder.runner() as runner:
        for numbers in drawn_numbers:
            payload = numbers.astype("<f4").tobytes()
            runner.load(payload)
            before = runner.ask("db print")
            found = runner.infer(2, 1)
            assert runner.ask("db print") == before
            assert [found.text] == mlperf.wanted_results(network, [payload])
            wanted = _as_the_protocol_says(network, numbers)
            assert found.results[0] == pytest.approx(wanted, rel=1e-5, abs=0.0006)


def test_numbers_that_are_none(autoencoder: App) -> None:
    """Infinite, no number, too large to square: an answer all the same, and the next is right."""
    with autoencoder.runner() as runner:
        for value, wanted in (
            (np.inf, "9000000000000000.000"),
            (-np.inf, "9000000000000000.000"),
            (3e38, "9000000000000000.000"),
            (np.nan, "nan"),
        ):
            numbers = np.zeros(640, "<f4")
            numbers[3] = value
            runner.load(numbers.tobytes())
            assert runner.infer(1, 0).text == wanted
        assert mlperf.accuracy(runner, autoencoder.folder, 2).exact == 2


def test_codes_are_sent_as_they_are_and_decimals_cut() -> None:
    network = drawn("kws01", Rounding.TFLITE)
    samples = networks.images(network)
    assert mlperf.payloads(network, samples)[0] == samples[0].tobytes()
    output = np.array([-127, 126, *([-128] * 10)], np.int8)  # 1 / 256 is 0.0039, 254 / 256 0.9921
    assert mlperf.expected_results(network, output).startswith("0.003,0.992,0.000,")
    image = drawn("ic01", Rounding.TFLITE)
    assert mlperf.expected_results(image, output[:10]).startswith("0.004,0.992,0.000,")


def test_what_other_networks_are_sent() -> None:
    """Kinds come of shapes, whatever the sizes."""
    for shape, results, wanted in (
        ((20, 30, 3), 4, Kind.PIXELS),
        ((28, 28, 1), 10, Kind.PIXELS),
        ((20, 30, 1), 4, Kind.CODES),
        ((1, 1, 30), 4, Kind.CODES),
        ((1, 1, 30), 30, Kind.NUMBERS),
    ):
        network = networks.make_network(shape, [dense(results)], name="other")
        assert mlperf.kind_of(network) is wanted, shape


@pytest.mark.parametrize("name", list(FILES))
@pytest.mark.parametrize("rounding", shares.some(list(Rounding), Rounding.TFLITE))
def test_mlperf_tinys_own_by_the_commands(
    board: Board, transport: str | None, name: str, rounding: Rounding, tmp_path: Path
) -> None:
    """What a user types, with a transcript of the session."""
    model = SHARED / "models" / FILES[name]
    need(model)
    if transport is not None:
        pytest.skip("needs an image of its own on the board")
    common = ["--board", board.asked, "--output", str(tmp_path)]
    compiled = ["--model", str(model), "--rounding", rounding.value, "--app", "mlperf"]
    transcript, printed = tmp_path / "session.txt", io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert compile_command.main([*common, *compiled, "--samples", "3"]) == 0
        session = ["--samples", "3", "--runs", "2", "--warmup", "1"]
        assert mlperf_command.main([*common, *session, "--transcript", str(transcript)]) == 0
    assert "3 of 3 results exact" in printed.getvalue()
    lines = transcript.read_text(encoding="utf-8").splitlines()
    assert f"< m-model-[{name}]" in lines
    assert f"> db load {SIZES[name]}%" in lines
