"""mbn-inspect, and what a network says of its input: mean, standard deviation, codes of pixels.

What enters: hand-made graphs. What leaves: nothing but failures. Always holds: everything that
would be refused is listed, each by its node's name; a device's pixels become the very codes that
the host's do.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import lowered
import mbn
import networks
import qdq
from mbn import arithmetic
from mbn.cli import check as check_command
from mbn.cli import compile as compile_command
from mbn.cli import inspect as inspect_command
from mbn.core import network_file
from mbn.core.boards import find_board
from mbn.core.options import InputMode
from mbn.exact import Reference
from mbn.jobs.inspect import board_demands
from mbn.jobs.lower import inputs, lowering, sources
from mbn.passes.frontend import closest, lower
from mbn.passes.frontend.supported import SUPPORTED_OPERATORS

ROOT = Path(__file__).parents[1]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_stages_and_boards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = qdq.residual().save(tmp_path / "g.onnx")
    assert inspect_command.main([str(path)]) == 0
    printed = capsys.readouterr().out
    network = lower(path, "g")
    assert f"{network.macs:,} multiply-accumulates, {network.params:,} parameters" in printed
    for stage in network.stages:
        assert re.search(rf"{stage.name} +{stage.kind} ", printed)
    assert "5x5x6 + 5x5x6" in printed
    assert re.search(r"stm32f405 .* yes", printed)


def test_float_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "float.onnx"
    onnx.save(qdq.float_network(), str(path))
    assert inspect_command.main([str(path)]) == 0
    printed = capsys.readouterr().out
    assert "float network" in printed
    assert [path] == list(tmp_path.iterdir())  # nothing is written beside it


def test_every_refusal_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = qdq.Graph((1, 4, 40, 40))
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    graph.convolve(4, 3, name="wide", dilations=[9, 9])
    graph.quantise(0.05, 0)
    graph.then("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], name="padded")
    graph.quantise(0.05, 0)
    graph.convolve(4, 3, name="good")
    graph.quantise(0.05, 0)
    assert inspect_command.main([str(graph.save(tmp_path / "g.onnx"))]) == 2
    text = capsys.readouterr().err
    assert "2 things refused" in text
    assert "wide" in text and "padded" in text and "good" not in text
    *_, windows, pools = text.splitlines()
    assert windows.startswith("closest that works: windows to 16 x 16")
    assert pools == "closest that works: AveragePool without padding, or with count_include_pad 1"
    graph.then("Cos", name="first_strange")
    graph.then("Sin", name="second_strange")
    assert inspect_command.main([str(graph.save(tmp_path / "g.onnx"))]) == 2
    text = capsys.readouterr().err
    assert "first_strange" in text and "second_strange" in text
    assert text.count("closest that works: convolutional networks") == 1


def test_compiling_says_what_is_closest(tmp_path: Path) -> None:
    graph = qdq.Graph((1, 4, 8, 8))
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    graph.then("LpPool", kernel_shape=[2, 2], name="length")
    graph.quantise(0.05, 0)
    graph.then("Sin", name="wave")
    path = graph.save(tmp_path / "g.onnx")
    with pytest.raises(
        mbn.MbnError, match=r"Besides: node wave: .* Closest that works: AveragePool"
    ):
        mbn.compile(path, board="qemu", output=tmp_path / "out")


def test_what_is_closest_answers_what_is_said() -> None:
    """No line of the table is left behind by the words that it answers."""
    folder = Path(closest.__file__).parent
    said = "".join(one.read_text() for one in folder.rglob("*.py") if one != Path(closest.__file__))
    for line in closest.CLOSEST:
        assert all(words in said for words in line.said), line
        assert not SUPPORTED_OPERATORS.intersection(line.operators), line


def test_help_and_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        inspect_command.main(["--help"])
    assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out
    assert inspect_command.main([str(tmp_path / "missing.onnx")]) == 2
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    assert inspect_command.main([str(tmp_path / "broken.onnx")]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_check_against_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_command.main(["--against", "onnxruntime"]) == 2
    assert check_command.main([]) == 2
    text = capsys.readouterr().err
    assert "--model FILE" in text and "--board" in text


# -- mean and standard deviation -----------------------------------------------------------------


def test_codes_of_pixels(tmp_path: Path) -> None:
    network = networks.make_network((4, 5, 3), [networks.conv(4, 3)])
    drawn = inputs.random_images(2, (4, 5, 3))
    assert np.array_equal(sources.as_codes(network, drawn), inputs.to_int8(drawn))
    network = replace(network, mean=MEAN, std=STD)
    real = (drawn / 255 - np.array(MEAN)) / np.array(STD)
    wanted = np.clip(np.rint(real / network.input.scale) + network.input.zero_point, -128, 127)
    assert np.array_equal(sources.as_codes(network, drawn), wanted)
    network_file.save(network, tmp_path / "network.npz")
    kept = network_file.load(tmp_path / "network.npz")
    assert (kept.mean, kept.std) == (MEAN, STD)


@pytest.mark.parametrize("options", [["--mean", "0.5"], ["--std", "0", "--mean", "0"]])
def test_normalisation_that_makes_no_sense(options: list[str]) -> None:
    assert compile_command.main(["--board", "host", *options]) == 2


MAIN = """
#include "network.h"
#include <stdio.h>

static mbn_model_state state;

int main(void)
{
    static uint8_t row[MBN_MODEL_INPUT_WIDTH * MBN_MODEL_INPUT_CHANNELS];
    static const float mean[] = MBN_MODEL_INPUT_MEAN, std[] = MBN_MODEL_INPUT_STD;
    if (mbn_model_init(&state) != MBN_OK) {
        return 1;
    }
    while (fread(row, sizeof row, 1, stdin) == 1) {
        if (mbn_push_pixels(&state.base, row) != MBN_OK) {
            return 2;
        }
    }
    if (mbn_push_pixels(&state.base, row) != MBN_ERR_STATE || mbn_finish(&state.base) != MBN_OK) {
        return 3;
    }
    fprintf(stderr, "%.4f %.4f", (double)mean[0], (double)std[0]);
    return fwrite(mbn_output(&state.base), MBN_MODEL_OUTPUT_BYTES, 1, stdout) == 1 ? 0 : 4;
}
"""


@pytest.mark.parametrize("mean", [MEAN, ()])
@pytest.mark.parametrize("mode", list(InputMode))
def test_device_takes_pixels(mean: tuple[float, ...], mode: InputMode, tmp_path: Path) -> None:
    """mbn_push_pixels, and what the generated header says."""
    network = networks.make_network((12, 13, 3), networks.mobile(), scale=0.02)
    network = replace(network, mean=mean, std=STD if mean else ())
    generated = lowered.generate(network, "scalar", mode)
    generated.files.write(tmp_path)
    (tmp_path / "main.c").write_text(MAIN)
    compiler = shutil.which("gcc")
    assert compiler is not None
    runtime = ROOT / "runtime"
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    command += ["-fsanitize=address,undefined", f"-I{runtime}/include", f"-I{runtime}/kernels"]
    files = [tmp_path / name for name in ("main.c", "network.c", "weights.c")]
    program = tmp_path / "program"
    built = [*command, *map(str, files), str(runtime / "src" / "mbn.c"), "-o", str(program)]
    subprocess.run(built, check=True, timeout=120)
    drawn = inputs.random_images(1, network.input.shape)
    ran = subprocess.run(
        [str(program)], input=drawn.tobytes(), capture_output=True, check=True, timeout=120
    )
    expected = Reference(network).run(sources.as_codes(network, drawn))[0]
    assert np.array_equal(np.frombuffer(ran.stdout, np.int8), expected)
    if mean:
        assert ran.stderr.decode() == f"{MEAN[0]:.4f} {STD[0]:.4f}"
        assert np.unique(arithmetic.pixel_codes(network)[0]).size > 100


def test_boards_that_share_a_plan_have_their_own(tmp_path: Path) -> None:
    """What is shared among boards changes no demand."""
    network = lower(qdq.mobile().save(tmp_path / "g.onnx"), "g")
    shared = {board.name: demand for board, demand in board_demands(network, InputMode.STREAM)}
    for name in ("nucleo_f446re", "rp2040_pico", "qemu-m55"):
        board = find_board(name)
        target = lowering.Target.of(board, lowering.bundled_tuning(board.core))
        alone = lowering.generate(network, target)
        assert shared[name].arena_bytes == alone.plan.arena_bytes
        assert shared[name].weights_bytes == alone.files.weights_bytes
