"""Reading .tflite files: the ONNX graph that is made of them means the same.

What enters: drawn files of one operator or a few; damaged ones; real ones where the shared folder
has them. What leaves: nothing but failures, and skips that say what is missing. Always holds: the
other side is LiteRT with its reference kernels, on one side, and ONNX Runtime without
optimisations, on the other; of a pair of files (.tflite and .onnx by tf2onnx) the integers are the
same.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import mbn
import qdq
from mbn import arithmetic
from mbn.cli import check as check_command
from mbn.cli import compile as compile_command
from mbn.cli import inspect as inspect_command
from mbn.core.errors import MbnError, ModelError, ToolError, UnsupportedError, UsageError
from mbn.core.network import Network
from mbn.core.options import Rounding
from mbn.jobs import agreement
from mbn.passes.frontend import lower, onnx_file, tflite_reader
from mbn.passes.frontend.supported import unsupported_operators
from test_network import SHARED
from tflite_cases import CASES, MAP, MOST_APART, drawn, mean, written
from tflite_drawn import Drawn, litert

MODELS = SHARED / "models"


@pytest.mark.smoke
@pytest.mark.parametrize("name", CASES)
def test_onnx_runtime_and_litert_agree(name: str, tmp_path: Path) -> None:
    content = drawn(name)
    model = tflite_reader.read(written(tmp_path, content))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options)
    fed = session.get_inputs()[0]
    kind = np.uint8 if fed.type == "tensor(uint8)" else np.int8
    limits = np.iinfo(kind)
    rng = np.random.default_rng(2)
    for _ in range(5):
        values = rng.integers(limits.min, limits.max + 1, fed.shape).astype(kind)
        found = session.run(None, {fed.name: values})
        for got, wanted in zip(found, litert(content, values), strict=True):
            assert got.shape == wanted.shape and got.dtype == wanted.dtype
            apart = np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max()
            assert apart <= MOST_APART.get(name, 1)


def test_operators_of_one_dimensional_networks_leave_no_trace(tmp_path: Path) -> None:
    """SQUEEZE and EXPAND_DIMS around a convolution cancel each other."""
    model = tflite_reader.read(written(tmp_path, drawn("shapes")))
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Reshape") == 1
    assert kinds.count("Transpose") <= 2


# -- refusals -----------------------------------------------------------------------------------


def _refusal(folder: Path, d: Drawn, *outputs: int) -> str:
    path = written(folder, d.bytes(*outputs))
    with pytest.raises(UnsupportedError) as caught:
        onnx_file.prepare(onnx_file.load(path))
    return str(caught.value)


def _network_of(kind: str, weights: str) -> tuple[Drawn, int]:
    """A dense layer with maps of one kind and weights of another."""
    d = Drawn()
    scale = None if kind == "FLOAT32" else 0.05
    x = d.input((1, 8), kind, scale, 0)
    data = np.zeros((4, 4) if weights == "INT4" else (4, 8))
    w = d.tensor((4, 8), weights, None if weights == "FLOAT32" else 0.01, 0, data)
    out = d.tensor((1, 4), kind, scale)
    d.operator("FULLY_CONNECTED", [x, w, -1], out, "FullyConnectedOptions")
    return d, out


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("kind", "weights", "said"),
    [
        ("FLOAT32", "FLOAT32", "float maps (FULLY_CONNECTED x1, first at t2)"),
        ("FLOAT32", "INT8", "float maps with 8-bit weights"),
        ("INT16", "INT8", "int16 maps"),
        ("INT8", "INT4", "INT4 weights"),
    ],
)
def test_other_widths_are_refused(kind: str, weights: str, said: str, tmp_path: Path) -> None:
    d, out = _network_of(kind, weights)
    refusal = _refusal(tmp_path, d, out)
    assert said in refusal
    assert "full-integer" in refusal


def test_operators_that_onnx_lacks_are_grouped(tmp_path: Path) -> None:
    d = Drawn()
    x = d.input((1, 8))
    first, second, third = (d.tensor((1, 8), zero=3) for _ in range(3))
    d.operator("CUSTOM", [x], first, custom="Frobnicate")
    d.operator("L2_NORMALIZATION", [first], second, "L2NormOptions")
    d.operator("L2_NORMALIZATION", [second], third, "L2NormOptions")
    model = onnx_file.load(written(tmp_path, d.bytes(third)))
    said = [str(one) for one in unsupported_operators(model)]
    assert len(said) == 2
    assert "operator custom operator Frobnicate of tflite" in said[0]
    assert "node t2: operator L2_NORMALIZATION of tflite is not supported (2 nodes" in said[1]


def test_several_inputs_are_refused(tmp_path: Path) -> None:
    d = Drawn()
    x, y, out = d.input(MAP), d.input(MAP), d.tensor(MAP)
    d.operator("ADD", [x, y], out, "AddOptions")
    assert "the graph has 2 inputs" in _refusal(tmp_path, d, out)


def test_several_subgraphs_are_refused(tmp_path: Path) -> None:
    d = Drawn()
    out = mean(d, [1, 2], True)
    d.model.subgraphs = [d.graph, d.graph]
    assert "2 subgraphs" in _refusal(tmp_path, d, out)


def test_state_is_refused(tmp_path: Path) -> None:
    d = Drawn()
    out = mean(d, [1, 2], True)
    d.graph.tensors[0].isVariable = True
    assert "state in tensor" in _refusal(tmp_path, d, out)


# -- damage -------------------------------------------------------------------------------------


@pytest.mark.smoke
def test_a_cut_or_wrong_file_is_refused(tmp_path: Path) -> None:
    content = drawn("conv same")
    for part in (content[:4], content[: len(content) // 2], content[:-40], b"", b"no flatbuffer"):
        with pytest.raises(ModelError):
            onnx_file.load(written(tmp_path, part))


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["depthwise", "dense keeps", "strided", "shapes"])
def test_damaged_files_give_errors_of_ours(name: str, tmp_path: Path) -> None:
    """Bytes are changed at drawn places; 0 and 255 make sizes and offsets that are far off."""
    content = drawn(name)
    rng = np.random.default_rng(5)
    read = 0
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[place] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
        try:
            onnx_file.load(written(tmp_path, bytes(damaged)))
            read += 1
        except MbnError:
            pass
    assert 0 < read < 150


def test_a_constant_that_is_named_often_takes_no_memory(tmp_path: Path) -> None:
    """Many tensors in one buffer: the sum is bounded, not each alone."""
    d = Drawn()
    x = d.input((1, 2**11))
    weights = d.weights((2**12, 2**11), axis=None)
    out = x
    for _ in range(40):
        again = d.tensor((2**12, 2**11), scale=0.01)
        d.graph.tensors[again].buffer = d.graph.tensors[weights].buffer
        out = d.tensor((1, 2**12))
        d.operator("FULLY_CONNECTED", [x, again, -1], out, "FullyConnectedOptions")
    with pytest.raises(UnsupportedError, match="too large in all"):
        onnx_file.load(written(tmp_path, d.bytes(out)))


# -- real files ---------------------------------------------------------------------------------


def _integers(network: Network) -> list[Any]:
    """Everything in a network but names, in an order that does not depend on that of the file."""

    def described(name: str) -> tuple[Any, ...]:
        tensor = network.tensor(name)
        return (*tensor.shape, np.float32(tensor.scale).item(), tensor.zero_point)

    def content(values: Any) -> Any:
        return None if values is None else values.tobytes()

    return sorted(
        repr(
            (
                layer.op,
                layer.kernel,
                layer.stride,
                layer.pads,
                layer.clamp,
                [described(name) for name in (*layer.inputs, layer.output)],
                content(layer.weights),
                content(layer.weight_scales),
                content(layer.bias),
            )
        )
        for layer in network.layers
    )


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize(
    "name",
    [
        "vww_96_int8",
        "mlperf/kws_ref_model",
        "mlperf/pretrainedResnet_quant",
        "keras/dscnn_int8",
        "keras/mbv1_gray_int8",
        "keras/mbv2_int8",
        "keras/mbv3s_min_int8",
    ],
)
def test_integers_are_those_of_tf2onnx(name: str, rounding: Rounding) -> None:
    found = []
    for suffix in (".tflite", ".onnx"):
        path = MODELS / f"{name}{suffix}"
        if not path.exists():
            pytest.skip(f"{path.name} is not at hand (MBN_SHARED names another folder)")
        found.append(lower(path, path.stem, rounding=rounding))
    mine, theirs = found
    assert _integers(mine) == _integers(theirs)
    assert mine.host_ops == theirs.host_ops


def test_uint8_at_both_ends_is_taken() -> None:
    path = MODELS / "keras" / "mbv1_gray_u8_int8.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not at hand (MBN_SHARED names another folder)")
    network = lower(path, path.stem, rounding=Rounding.TFLITE)
    assert network.input.shape == (96, 96, 1)
    assert str(network.layers[-1].op) == "softmax"
    found = mbn.compare(path, samples=3, against="litert").agreement
    assert found.holds, found.judgement


# -- against LiteRT -----------------------------------------------------------------------------


def _residual(folder: Path) -> Path:
    """Two convolutions of one map, added in the other order than they stand in the file."""
    d = Drawn()
    x = d.input((1, 6, 6, 4))
    fields = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    made = []
    for name, scale in (("first", 0.2), ("second", 0.3)):
        w = d.weights((4, 3, 3, 4))
        made.append(d.tensor((1, 6, 6, 4), scale=scale, name=name))
        d.operator("CONV_2D", [x, w, d.bias(x, w)], made[-1], "Conv2DOptions", **fields)
    out = d.tensor((1, 6, 6, 4), scale=0.4, name="sum")
    d.operator("ADD", made[::-1], out, "AddOptions")
    return written(folder, d.bytes(out))


@pytest.mark.smoke
def test_layers_keep_their_names_whatever_the_order(tmp_path: Path) -> None:
    network = lower(_residual(tmp_path), "residual")
    scales = {layer.name: network.tensor(layer.output).scale for layer in network.layers}
    assert scales == pytest.approx({"first": 0.2, "second": 0.3, "sum": 0.4})


@pytest.mark.smoke
def test_every_bit_of_every_layer_is_litert_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _residual(tmp_path)
    arguments = ["--against", "litert", "--model", str(path), "--samples", "4"]
    assert check_command.main(arguments) == 0
    said = capsys.readouterr().out
    assert "against LiteRT" in said
    assert "all bits of the results are equal on 4; no layer differs" in said.replace("\n", " ")
    found = mbn.compare(path, samples=2, against="litert").agreement
    assert all(one.exact == one.values > 0 for one in found.layers)


def test_a_layer_with_other_bits_is_named() -> None:
    layer = SimpleNamespace(name="conv1")
    one = agreement.LayerAgreement(layer, 0.5, 10, 9, 1)  # type: ignore[arg-type]
    found = agreement.Agreement((one,), 3, 3, 2, every_bit=True)
    assert not found.holds
    assert found.judgement == "all bits of the results are equal on 2; layers that differ: conv1"


def test_what_the_rounding_lacks_is_refused_by_name(tmp_path: Path) -> None:
    d = Drawn()
    x = d.input(MAP, scale=0.5)
    out = d.tensor(MAP, scale=0.5 / 130)  # TensorFlow Lite's kernel has no integers for it
    d.operator("HARD_SWISH", [x], out, "HardSwishOptions")
    path = written(tmp_path, d.bytes(out))
    with pytest.raises(UnsupportedError, match=r"node t1.*times as large"):
        mbn.compare(path, samples=1, against="litert")


def test_litert_runs_no_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(qdq.residual().model().SerializeToString())
    with pytest.raises(UsageError, match=r"not a \.tflite file"):
        mbn.compare(path, samples=1, against="litert")


def test_without_litert_it_says_how_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ToolError, match=r"not installed.*litert"):
        mbn.compare(_residual(tmp_path), samples=1, against="litert")


# -- commands -----------------------------------------------------------------------------------


def test_commands_take_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = _residual(tmp_path)
    assert inspect_command.main([str(path)]) == 0
    assert "first" in capsys.readouterr().out
    for option in ("--model", "--onnx"):
        arguments = ["--board", "qemu", option, str(path), "--plan-only", "--rounding", "tflite"]
        assert compile_command.main(arguments) == 0
    path.write_bytes(path.read_bytes()[:200])
    assert compile_command.main(["--board", "qemu", "--model", str(path)]) == 2
    assert "not a valid TensorFlow Lite file" in capsys.readouterr().err


# -- MEAN, which rounds in its own way ------------------------------------------------------------


def _averaged(folder: Path, size: tuple[int, int], scale: float, *, keep: bool) -> Path:
    d = Drawn()
    x = d.input((1, *size, 8), scale=0.05, zero=-7)
    out = d.tensor((1, 1, 1, 8) if keep else (1, 8), scale=scale, zero=11)
    d.operator("MEAN", [x, d.ints([1, 2])], out, "ReducerOptions", keepDims=keep)
    return written(folder, d.bytes(out))


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("size", "scale"), [((3, 3), 0.05), ((4, 4), 0.05), ((6, 7), 0.031), ((2, 5), 0.2), ((1, 3), 1)]
)
def test_a_mean_has_litert_s_bits(size: tuple[int, int], scale: float, tmp_path: Path) -> None:
    path = _averaged(tmp_path, size, scale, keep=size[0] % 2 == 0)
    network = lower(path, "mean", rounding=Rounding.TFLITE)
    assert network.layers[0].is_mean
    rng = np.random.default_rng(3)
    images = rng.integers(-128, 128, (200, *size, 8)).astype(np.int8)
    found = agreement.compare(path, images, against="litert", layer_images=200)
    assert found.same_outputs == 200 and found.holds


@pytest.mark.parametrize("rounding", [one.value for one in Rounding])
def test_a_mean_of_the_image_is_exact_on_the_device(rounding: str, tmp_path: Path) -> None:
    """The DSP's kernel sums planes, which an image does not have."""
    path = _averaged(tmp_path, (6, 7), 0.031, keep=True)
    for board in ("host", "qemu"):
        made = mbn.compile(path, board=board, rounding=rounding, output=tmp_path / board)
        check = made.check().check
        assert check is not None and check.exact_samples == check.samples > 0


def test_a_mean_of_a_map_is_exact_on_the_device(tmp_path: Path) -> None:
    d = Drawn()
    x, w = d.input((1, 6, 7, 4)), d.weights((8, 3, 3, 4))
    fields = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    made = d.tensor((1, 6, 7, 8), scale=0.2, zero=-5)
    d.operator("CONV_2D", [x, w, d.bias(x, w)], made, "Conv2DOptions", **fields)
    out = d.tensor((1, 8), scale=0.07, zero=11)
    d.operator("MEAN", [made, d.ints([1, 2])], out, "ReducerOptions")
    path = written(tmp_path, d.bytes(out))
    compiled = mbn.compile(path, board="qemu", rounding="tflite", output=tmp_path / "out")
    check = compiled.check().check
    assert check is not None and check.exact_samples == check.samples > 0


@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_a_mean_of_scales_far_apart_is_refused(scale: float, tmp_path: Path) -> None:
    path = _averaged(tmp_path, (6, 7), scale, keep=True)
    with pytest.raises(UnsupportedError, match="a mean of 42 values"):
        arithmetic.derive_all(lower(path, "mean", rounding=Rounding.TFLITE))


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky", "hard swish"])
def test_an_operator_alone_is_called_as_its_result(name: str, tmp_path: Path) -> None:
    network = lower(written(tmp_path, drawn(name)), "alone")
    assert [layer.name for layer in network.layers] == ["t1"]


@pytest.mark.parametrize("name", ["concat channels", "mul by channel", "largest same"])
def test_results_that_lie_in_the_file_s_order_are_compared_in_it(name: str, tmp_path: Path) -> None:
    found = mbn.compare(written(tmp_path, drawn(name)), samples=3).agreement
    assert found.layers_hold, found.judgement
