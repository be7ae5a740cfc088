"""Networks with several results: maps of any layer, each kept to the end.

What enters: a graph with four outputs, one of which later layers read too, in another order than
its layers. What leaves: nothing but failures. Always holds: every byte of every result is compared,
on the host under sanitizers and on the emulated M4.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lowered
import networks
import qdq
from mbn.cli import compile as compile_command
from mbn.cli import inspect as inspect_command
from mbn.core import network_file
from mbn.core.boards import find_board
from mbn.core.errors import PlanError, UnsupportedError
from mbn.core.network import Network, StageKind
from mbn.core.options import InputMode
from mbn.core.telling import SILENT
from mbn.exact import Reference
from mbn.image.export.library import exported
from mbn.jobs import export as export_job
from mbn.jobs.lower import lowering
from mbn.passes.frontend import lower
from mbn.passes.plan import check_plan
from mbn.report import load_report
from test_frontend import agree
from test_kernels import compare

SHAPES = [(3, 3, 11), (1, 1, 7), (6, 6, 10), (6, 6, 9)]  # of the outputs


def four_headed(*, last: str = "none") -> qdq.Graph:
    """A trunk whose 6x6 map is an output and has three readers; a transposed and reshaped map, a
    vector (`last`: what the host does with it), and a map as it is."""
    g = qdq.Graph((1, 4, 12, 12))
    g.channels = 4
    g.dequantise("image", 0.0078125, -1)
    g.convolve(8, 3, stride=2, pads=(1, 1, 1, 1), name="stem")
    g.then("Relu")
    g.quantise(0.03, -128)
    g.convolve(8, 3, pads=(1, 1, 1, 1), depthwise=True, name="dw1")
    g.then("Relu")
    g.quantise(0.03, -128)
    g.convolve(9, 1, name="trunk")
    g.quantise(0.04, 3)
    trunk, scale = g.value, g.scale
    g.convolve(9, 3, stride=2, pads=(1, 1, 1, 1), depthwise=True, name="dw2")
    g.then("Relu")
    deeper, deeper_scale = g.quantise(0.03, -128), g.scale
    g.value, g.channels, g.scale = trunk, 9, scale
    g.convolve(10, 1, name="near")
    g.quantise(0.05, -7)
    g.then("Transpose", perm=[0, 2, 3, 1])
    shape = g.constant("near.shape", np.array([1, -1, 5], np.int64))
    near = g.then("Reshape", shape)
    g.value, g.channels, g.scale = deeper, 9, deeper_scale
    g.convolve(11, 1, name="far")
    far = g.quantise(0.05, 0)
    g.then("GlobalAveragePool", name="pool")
    g.quantise(0.02, -4)
    g.then("Flatten", axis=1)
    codes, scales = g.draw(7, 11)
    value = g.value
    weights = g.weights("vector.w", codes, scales)
    vector = g.node("Gemm", value, weights, name="vector", transB=1)
    vector = g.quantise(0.04, 1)
    if last != "none":
        vector = g.then(last)
    g.outputs = [far, vector, near, trunk]
    return g


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return lower(four_headed().save(tmp_path_factory.mktemp("results") / "g.onnx"), "g")


def test_results_in_the_graphs_order(network: Network, tmp_path: Path) -> None:
    assert [out.name for out in network.outputs] == [
        "far:out",
        "vector:out",
        "near:out",
        "trunk:out",
    ]
    assert [out.shape for out in network.outputs] == SHAPES
    assert network.output.name == "far:out"
    # both fused, though other layers stand between the second depthwise and its reader
    kinds = {stage.name: stage.kind for stage in network.stages}
    assert kinds["far"] == kinds["trunk"] == StageKind.BLOCK
    image = networks.images(network, 2)
    result = Reference(network).run(image)
    assert result.shape == (len(image), sum(int(np.prod(shape)) for shape in SHAPES))
    maps = {layer.output: out for layer, out in Reference(network).layers(image)}
    parts = [maps[out.name].reshape(len(image), -1) for out in network.outputs]
    assert np.array_equal(result, np.concatenate(parts, axis=1))
    network_file.save(network, tmp_path / "network.npz")
    assert network_file.load(tmp_path / "network.npz").results == network.results


def test_layers_agree_with_onnx_runtime(tmp_path: Path) -> None:
    agree(four_headed(), tmp_path)


@pytest.mark.parametrize(
    ("place", "mode", "budget"),
    [
        ("host", InputMode.STREAM, None),
        ("host", InputMode.WHOLE, 0),
        ("qemu", InputMode.WHOLE, 0),
    ],
)
def test_every_bit(network: Network, place: str, mode: InputMode, budget: int | None) -> None:
    kernels = "scalar" if place == "host" else "dsp"
    compare(network, kernels, mode, find_board(place), simplify=True, ram_budget=budget)


def test_constant_channels_of_results_stay(network: Network) -> None:
    layers = list(network.layers)
    at = next(index for index, layer in enumerate(layers) if layer.name == "near")
    weights = layers[at].weights
    assert weights is not None
    silent = np.where(np.arange(10)[:, None, None, None] < 4, np.int8(0), weights)
    layers[at] = replace(layers[at], weights=silent)
    changed = replace(network, layers=tuple(layers))
    computed, _ = lowering.computed_of(changed, simplify=True)
    assert [out.shape for out in computed.outputs] == SHAPES
    compare(changed, "scalar", InputMode.STREAM, find_board("host"), simplify=True)


def test_plan_that_overwrites_a_result_is_refused(network: Network) -> None:
    made = lowered.generate(network, "scalar", InputMode.STREAM)
    results = [need.output for need in made.needs if need.is_result]
    assert len(results) == 4
    check_plan(made.plan, made.needs, made.shapes)
    places = list(made.plan.places)
    places[results[1]] = replace(places[results[1]], offset_bytes=places[results[2]].offset_bytes)
    with pytest.raises(PlanError, match="overwritten before"):
        check_plan(replace(made.plan, places=tuple(places)), made.needs, made.shapes)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = four_headed(last="Softmax").save(tmp_path / "four.onnx")
    arguments = ["--board", "qemu", "--onnx", str(path), "--output", str(tmp_path / "out")]
    assert compile_command.main([*arguments, "--check", "--samples", "3"]) == 0
    assert "3 of 3 samples exact" in capsys.readouterr().out
    results = load_report(tmp_path / "out").network.results
    assert [one.name for one in results] == ["far:out", "vector:out", "near:out", "trunk:out"]
    header = (tmp_path / "out" / "c" / "network.h").read_text()
    assert "#define MBN_MODEL_RESULTS 4u" in header
    assert "#define MBN_MODEL_RESULT_2_CHANNELS 10u" in header
    assert "softmax of vector:out" in header
    assert inspect_command.main([str(path)]) == 0
    assert "near:out" in capsys.readouterr().out
    assert compile_command.main([*arguments, "--app", "mlperf"]) == 2
    assert "4 results" in capsys.readouterr().err


def test_exported_example_of_a_map(tmp_path: Path) -> None:
    """The first result is a map of planes: the example copies it."""
    path = four_headed().save(tmp_path / "four.onnx")
    arguments = ["--board", "host", "--onnx", str(path), "--output", str(tmp_path / "lib")]
    job = compile_command.job_of(compile_command.parser().parse_args(arguments), find_board("host"))
    made = export_job.library(job, SILENT, "four")
    folder = tmp_path / "four"
    for name, text in exported(made, "cmake").items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    sources = [*(folder / "src").rglob("*.c"), folder / "examples" / "classify.c"]
    command = ["gcc", "-std=c11", "-O1", "-fsanitize=address,undefined", "-Wall", "-Wextra"]
    command += ["-Werror", "-I", str(folder / "src"), "-o", str(tmp_path / "run")]
    subprocess.run([*command, *map(str, sources)], check=True)
    assert subprocess.run([str(tmp_path / "run")], check=False, capture_output=True).returncode == 0


def test_outputs_that_are_one_are_refused(tmp_path: Path) -> None:
    graph = four_headed()
    graph.value = graph.outputs[1]
    graph.outputs.append(graph.then("Softmax"))
    with pytest.raises(UnsupportedError, match="two of the graph's outputs are one result"):
        lower(graph.save(tmp_path / "g.onnx"), "g")
    graph = four_headed()
    graph.outputs.append(graph.nodes[0].output[0])  # the image, dequantised
    with pytest.raises(UnsupportedError):
        lower(graph.save(tmp_path / "g.onnx"), "g")
