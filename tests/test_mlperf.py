"""MLPerf Tiny's protocol: whole sessions, and whatever a hostile host may send.

What enters: images of firmware/mlperf around small networks, and around MLPerf Tiny's own where the
shared folder has it; runs on the host under sanitizers and on emulated boards, over a pty. What
leaves: nothing but failures. Always holds: answers are compared line by line with the protocol's
table; results with the reference, all decimals; after anything hostile the device answers again.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lowered
import networks
import shares
from mbn.cli import compile as compile_command
from mbn.cli import mlperf as mlperf_command
from mbn.core import network_file
from mbn.core.boards import find_board
from mbn.core.elf import sections
from mbn.core.errors import LinkError
from mbn.core.network import Network
from mbn.core.options import InputMode, Rounding
from mbn.core.target import Board
from mbn.harness.device.emulated import ICOUNT_SHIFT, native
from mbn.harness.device.mlperf import BAUD, BYTES_A_COMMAND, Runner, open_runner
from mbn.image.build import build_image
from mbn.jobs import check as check_job
from mbn.jobs import mlperf
from mbn.jobs.lower import inputs
from test_network import MODEL, need
from tflite_form import in_tflite

BOARDS = ("host", "board", "stm32")
ROUNDINGS = tuple(Rounding)
SHAPE = (9, 10, 3)
BYTES = 270
RANDOM_STRINGS = shares.some([1_000, 10_000], 1_000)


def small(rounding: Rounding) -> Network:
    """A MobileNet in small whose graph ends in a softmax: the device's in `tflite`."""
    network = networks.make_network(SHAPE, networks.mobile(), seed=4, name="a small one")
    if rounding is Rounding.TFLITE:
        return in_tflite(network)
    return replace(network, host_ops=("softmax",))


@dataclass(frozen=True)
class App:
    """A built mlperf image and the folder that mbn-mlperf needs."""

    board: Board
    network: Network
    folder: Path

    @contextmanager
    def runner(self) -> Iterator[Runner]:
        with open_runner(self.board, self.folder / "mlperf.elf", None, BAUD) as runner:
            yield runner


def build_app(network: Network, board: Board, folder: Path) -> App:
    generated = lowered.generate(network, board.core.kernels, InputMode.STREAM, simplify=True)
    generated.files.write(folder / "c")
    build_image(folder / "c", board, "mlperf", folder)
    network_file.save(network, folder / "network.npz")
    check_job.save_samples(folder, networks.images(network), None, "drawn")
    return App(board, network, folder)


@pytest.fixture(scope="module", params=BOARDS)
def place(request: pytest.FixtureRequest, board: Board, transport: str | None) -> Board:
    if request.param == "board" and transport is not None:
        pytest.skip("needs an image of its own on the board")
    return board if request.param == "board" else find_board(request.param)


@pytest.fixture(scope="module")
def app(place: Board, tmp_path_factory: pytest.TempPathFactory) -> App:
    folder = tmp_path_factory.mktemp(place.name)
    return build_app(small(Rounding.SINGLE), place, folder)


# -- whole sessions ------------------------------------------------------------------------------


def test_greeting(app: App) -> None:
    with app.runner() as runner:
        said = [line.removeprefix("< ") for line in runner.transcript]
    assert re.fullmatch(r"m-lap-us-\d+", said[1])
    assert [said[0], *said[2:]] == ["m-timestamp-mode-performance", "m-init-done", "m-ready"]


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_accuracy_session(place: Board, rounding: Rounding, tmp_path: Path) -> None:
    app = build_app(small(rounding), place, tmp_path)
    with app.runner() as runner:
        found = mlperf.accuracy(runner, app.folder, None)
        results = {line for line in runner.transcript if "m-results" in line}
    assert found == mlperf.Accuracy(7, 7, None, None)
    assert len(results) > 1
    for line in results:
        shares = [float(share) for share in line.partition("[")[2].rstrip("]").split(",")]
        assert sum(shares) == pytest.approx(1, abs=0.012)


def test_pixels_go_through_the_networks_own_table(place: Board, tmp_path: Path) -> None:
    """With --mean and --std: what is sent are pixels, and the results are those of these pixels."""
    plain = small(Rounding.SINGLE)
    network = replace(plain, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    app = build_app(network, place, tmp_path)
    pixels = np.random.default_rng(3).integers(0, 256, (4, *SHAPE), np.uint8)
    codes = inputs.as_codes(network, pixels)
    wanted = [mlperf.expected_results(network, one) for one in mlperf.Reference(network).run(codes)]
    as_before = [
        mlperf.expected_results(network, one)
        for one in mlperf.Reference(network).run(inputs.to_int8(pixels))
    ]
    with app.runner() as runner:
        found = []
        for image in pixels:
            runner.load(image.tobytes())
            found.append(runner.infer(2, 1).text)
        assert mlperf.accuracy(runner, app.folder, None).exact == 7
    assert found == wanted != as_before


def test_a_device_that_runs_already(app: App) -> None:
    """As on a port: it said its greeting before anyone listened, or says it now."""
    if not app.board.native:
        pytest.skip("one way to a port is enough")
    elf = app.folder / "mlperf.elf"
    with native(elf) as (port, _), open_runner(app.board, elf, port, BAUD) as runner:
        assert runner.ask("name") == ["m-name-dut-[mbn]"]
        assert mlperf.accuracy(runner, app.folder, 2).exact == 2


def test_both_sessions_see_a_wrong_result(app: App) -> None:
    other = replace(app.network.layers[-1], bias=-app.network.layers[-1].bias)  # type: ignore[operator]
    changed = replace(app.network, layers=(*app.network.layers[:-1], other))
    network_file.save(changed, app.folder / "network.npz")
    try:
        with app.runner() as runner:
            found = mlperf.accuracy(runner, app.folder, 2)
            speed = mlperf.performance(runner, app.folder, runs=1, warmup=0)
    finally:
        network_file.save(app.network, app.folder / "network.npz")
    assert found.exact < 2
    assert found.mismatch is not None and "the device says" in found.mismatch
    assert speed.mismatch is not None and "window 0: the device says" in speed.mismatch


def test_compiling_removes_an_earlier_networks_image(tmp_path: Path) -> None:
    for ending in ("elf", "hex", "bin"):
        (tmp_path / f"mlperf.{ending}").write_bytes(b"of an earlier network")
    common = ["--board", "qemu", "--output", str(tmp_path)]
    network = ["--weights", "random:1", "--alpha", "0.25", "--resolution", "32", "--samples", "2"]
    assert compile_command.main([*common, *network]) == 0
    assert not list(tmp_path.glob("mlperf.*"))
    assert mlperf_command.main(common) == 2


def test_damaged_weights_are_refused(app: App, tmp_path: Path) -> None:
    if app.board.native:
        pytest.skip("the host's image is not sealed")
    elf = app.folder / "mlperf.elf"
    data = bytearray(elf.read_bytes())
    part = next(one for one in sections(elf) if one.name == ".weights")
    data[part.offset + part.size_bytes // 2] ^= 1
    damaged = tmp_path / "damaged.elf"
    damaged.write_bytes(data)
    with open_runner(app.board, damaged, None, BAUD) as runner:
        assert runner.ask("infer 1 0") == [
            "e-[Weights or other constants are damaged: program the image again]"
        ]


def test_performance_session(app: App) -> None:
    with app.runner() as runner:
        found = mlperf.performance(runner, app.folder, runs=40, warmup=3)
    assert len(found.per_second) == mlperf.WINDOWS
    assert found.median > 0
    assert found.mismatch is None
    if not app.board.native:  # a matter of instructions alone
        windows = [found.runs * 1e6 / rate for rate in found.per_second]
        assert max(windows) - min(windows) < 0.002 * max(windows) + 3


def test_the_clock_counts_virtual_time(app: App) -> None:
    """Twice the inferences take twice the time, and an inference some microseconds."""
    if app.board.native:
        pytest.skip("the host's clock is the host's")
    with app.runner() as runner:
        once, twice = (runner.infer(runs, 0).elapsed_us for runs in (50, 100))
    assert twice == pytest.approx(2 * once, rel=0.01)
    assert 50 * app.network.macs * 2**ICOUNT_SHIFT / 1000 / 16 < once < 50 * 100_000


def test_visual_wake_words_by_the_commands(
    board: Board, transport: str | None, tmp_path: Path
) -> None:
    """What a user types, in rounding tflite."""
    need(MODEL)
    if transport is not None:
        pytest.skip("needs an image of its own on the board")
    common = ["--board", board.asked, "--output", str(tmp_path)]
    compiled = ["--onnx", str(MODEL), "--rounding", "tflite", "--app", "mlperf", "--samples", "4"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert compile_command.main([*common, *compiled]) == 0
        session = ["--samples", "4", "--runs", "3", "--warmup", "1"]
        transcript = tmp_path / "session.txt"
        assert mlperf_command.main([*common, *session, "--transcript", str(transcript)]) == 0
    assert "4 of 4 results exact" in printed.getvalue()
    lines = transcript.read_text(encoding="utf-8").splitlines()
    at = lines.index("> db load 27648%")
    assert lines[at + 1 : at + 3] == ["< m-[Expecting 27648 bytes]", "< m-ready"]
    assert len(lines[at + 3]) == len("> db %") + 2 * BYTES_A_COMMAND
    assert "< m-model-[vww01]" in lines
    at = lines.index("> infer 3 1%")
    shape = [re.sub(r"\d+\.?\d*", "N", line) for line in lines[at : at + 9]]
    assert shape == [
        "> infer N N%",
        "< m-warmup-start-N",
        "< m-warmup-done",
        "< m-infer-start-N",
        "< m-lap-us-N",
        "< m-lap-us-N",
        "< m-infer-done",
        "< m-results-[N,N]",
        "< m-ready",
    ]


# -- every command, well-formed and not ----------------------------------------------------------

LONGEST = "db " + 77 * "0"  # 80 characters
ANSWERS: list[tuple[str, list[str]]] = [
    ("name", ["m-name-dut-[mbn]"]),
    (
        "profile",
        ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[a small one]"],
    ),
    ("results", ["m-results-[0.000,0.000,0.000]"]),
    ("db", ["e-[Command 'db' requires a subcommand]"]),
    ("db ", ["e-[Command 'db' requires a subcommand]"]),
    ("db 00", ["e-[Bytes before a 'db load']"]),
    ("db load", ["e-[Command 'db load' requires the # of bytes]"]),
    ("db load 0", ["e-[Command 'db load' must be >0 bytes]"]),
    ("db load -1", ["e-[Command 'db load' must be >0 bytes]"]),
    ("db load many", ["e-[Command 'db load' must be >0 bytes]"]),
    ("db load 271", ["Supplied buffer size 271 exceeds maximum of 270"]),
    ("db load 99999999999", ["Supplied buffer size 2147483647 exceeds maximum of 270"]),
    ("db 00", ["e-[Bytes before a 'db load']"]),
    ("db print", []),
    ("db load 10", ["m-[Expecting 10 bytes]"]),
    ("db 0", ["e-[Insufficent number of hex digits]"]),
    (LONGEST, ["e-[Insufficent number of hex digits]"]),
    (LONGEST + "0", ["e-[Command longer than 80 characters]"]),
    ("db 01aBFfxg02", ["e-[Invalid hex digit 'xg']"]),
    ("db 0405060708090a", ["m-load-done"]),
    ("db 0b", ["e-[Bytes beyond the end of the 'db load']"]),
    ("db print", ["m-buffer-01-ab-ff-04-05-06-07-08", "m-buffer-09-0a"]),
    ("  db   print  now ", ["m-buffer-01-ab-ff-04-05-06-07-08", "m-buffer-09-0a"]),
    ("db load 2 3", ["m-[Expecting 2 bytes]"]),
    ("db 0102030405", ["m-load-done", "e-[Bytes beyond the end of the 'db load']"]),
    ("db print", ["m-buffer-01-02"]),
    ("infer 0", ["e-[Inference iterations must be >0]"]),
    ("infer -3 1", ["e-[Inference iterations must be >0]"]),
    ("infer x", ["e-[Inference iterations must be >0]"]),
    ("infer 1 -1", ["e-[Inference warmup must be >=0]"]),
    ("", ["e-[Unknown command: ]"]),
    ("   ", ["e-[Unknown command: ]"]),
    ("Name", ["e-[Unknown command: Name]"]),
    ("names x", ["e-[Unknown command: names]"]),
    ("m-ready", ["e-[Unknown command: m-ready]"]),
    ("\x1b[2J\t\x00", ["e-[Unknown command: ?[2J??]"]),
    ("na\r\nme", ["m-name-dut-[mbn]"]),
    (81 * "x", ["e-[Command longer than 80 characters]"]),
    (5000 * "x", ["e-[Command longer than 80 characters]"]),
    (80 * "x", [f"e-[Unknown command: {80 * 'x'}]"]),
]


def test_every_answer(app: App) -> None:
    with app.runner() as runner:
        for command, wanted in ANSWERS:
            assert runner.ask(command) == wanted, command
        (lap,) = runner.ask("timestamp")
        assert re.fullmatch(r"m-lap-us-\d+", lap)
        version, blank, *usage = runner.ask("help")
        assert (version, blank) == ("ULPMark for tinyML Firmware V0.0.1", "")
        named = {"name", "profile", "timestamp", "help", "db", "infer", "results"}
        assert {line.split()[0] for line in usage} == named


def test_infer_by_default(app: App) -> None:
    """One run after ten; an image that was never loaded is all zero bytes; it is not changed."""
    image = networks.images(app.network)[0]
    zeros = np.full_like(image, -128)
    with app.runner() as runner:
        lines = runner.ask("infer", 30)
        assert lines[:3] == ["m-warmup-start-10", "m-warmup-done", "m-infer-start-1"]
        assert lines[-1] == f"m-results-[{_wanted(app, zeros)}]"
        runner.load(mlperf.pixels_of(app.network, image).tobytes())
        before = runner.ask("db print")
        for _ in range(2):
            assert runner.infer(2, 0).text == _wanted(app, image)
        assert runner.ask("db print") == before
        assert runner.ask("results") == [f"m-results-[{_wanted(app, image)}]"]
        assert before[0].removeprefix("m-buffer-") == "-".join(
            f"{byte:02x}" for byte in mlperf.pixels_of(app.network, image).tobytes()[:8]
        )
        assert len(before) == -(-BYTES // 8)


def _wanted(app: App, image: NDArray[np.int8]) -> str:
    return mlperf.expected_results(app.network, mlperf.Reference(app.network).run(image[None])[0])


def test_no_command_outlasts_the_runner(app: App) -> None:
    if app.board.native:
        pytest.skip("25 s of the host's own time")
    with app.runner() as runner:
        lines = runner.ask("infer 2147483647 0", 60)
        assert lines[-1] == "e-[Inference stopped: more than 25 s]"
        laps = [int(line.removeprefix("m-lap-us-")) for line in lines if "lap" in line]
        # the limit counts from the command, the timestamps from the first inference
        assert 24.99e6 <= laps[1] - laps[0] < 25.5e6
        assert runner.ask("infer 1 2147483647", 60)[-1] == lines[-1]
        assert runner.ask("name") == ["m-name-dut-[mbn]"]


# -- hostile -------------------------------------------------------------------------------------

PIECES = (
    *(b"%", b"%", b" ", b"\r\n", b"\0", b"db ", b"db load ", b"db print", b"infer ", b"infer 1 0"),
    *(b"name", b"profile", b"timestamp", b"results", b"help", b"0", b"-1", b"270", b"271", b"ff"),
    *(31 * b"a5", 40 * b"00", 90 * b"f", b"4294967297"),  # the last is for virtual time alone
)


def _string(rng: np.random.Generator, pieces: tuple[bytes, ...]) -> bytes:
    """Random bytes, or pieces of commands put together at random."""
    if rng.random() < 0.4:
        return rng.bytes(int(rng.integers(1, 100)))
    return b"".join(pieces[i] for i in rng.integers(0, len(pieces), int(rng.integers(1, 7))))


@pytest.mark.parametrize("count", RANDOM_STRINGS)
def test_random_strings(app: App, count: int) -> None:
    """Every `%` is answered by one `m-ready`, and afterwards the device works as before."""
    rng = np.random.default_rng(7)
    pieces = PIECES[:-1] if app.board.native else PIECES
    with app.runner() as runner:
        runner.transcript.clear()
        ends = 0
        for number in range(0, count, 10):
            chunk = b"".join(_string(rng, pieces) for _ in range(10)) + b"%"
            ends += chunk.count(b"%") + 1
            runner.send_raw(chunk + f"mark{number}%".encode())
            while f"< e-[Unknown command: mark{number}]" not in runner.transcript[-3:]:
                runner.until_ready("the mark", 30)
        assert runner.transcript.count("< m-ready") == ends
        assert all(line.isprintable() for line in runner.transcript)
        found = mlperf.accuracy(runner, app.folder, 2)
    assert found.exact == 2


def test_silence_is_an_error_with_advice(app: App) -> None:
    with app.runner() as runner, pytest.raises(LinkError, match=r"no m-ready within 0\.3 s"):
        runner.send_raw(b"name")  # no end
        runner.until_ready("name", 0.3)
