"""The frontend: graphs in the spellings of several exporters, against ONNX Runtime; refusals.

What enters: graphs of qdq.py. What leaves: nothing but failures. Always holds: layer by layer, on
the very maps that ONNX Runtime computes with optimisations off, the integer reference differs by
at most 1 where M <= 2; what can't be lowered is refused by an MbnError that names it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

import networks
import qdq
from mbn.arithmetic.single import derive
from mbn.core import network_file
from mbn.core.errors import ModelError, OverflowRisk, UnsupportedError
from mbn.core.network import Network, Op
from mbn.jobs import agreement
from mbn.passes.frontend import lower
from mbn.passes.frontend.stages import group_stages


def agree(graph: qdq.Graph, folder: Path) -> Network:
    """Lowers the graph and compares every layer with ONNX Runtime; returns the network."""
    path = graph.save(folder / "g.onnx")
    network = lower(path, "g")
    found = agreement.compare(path, networks.images(network, 2))
    for one in found.layers:
        assert one.factor <= agreement.LARGEST_FACTOR
        assert one.largest <= 1, f"{one.layer.name} differs by {one.largest}"
    return network


@pytest.mark.parametrize("activation", ["relu", "relu6", "clip_low", "clip_both", "none"])
def test_activations(activation: str, tmp_path: Path) -> None:
    network = agree(qdq.mobile(activation=activation), tmp_path)
    wanted = {
        "relu": (0, None),
        "relu6": (0, 6),
        "clip_low": (0, None),
        "clip_both": (-1.5, 1.25),
        "none": (None, None),
    }
    assert network.layers[0].clamp == wanted[activation]


@pytest.mark.parametrize("pool", ["average", "global", "mean"])
def test_pools(pool: str, tmp_path: Path) -> None:
    network = agree(qdq.mobile(pool=pool), tmp_path)
    found = network.layers[5]
    assert (found.op, found.kernel) == (Op.POOL, (3, 3))


@pytest.mark.parametrize("head", ["gemm", "gemm_plain", "matmul", "conv"])
def test_heads(head: str, tmp_path: Path) -> None:
    network = agree(qdq.mobile(head=head, softmax=head != "conv"), tmp_path)
    assert network.output.shape == (1, 1, 5)
    assert network.layers[-1].name == "logits"


@pytest.mark.parametrize("flatten", ["float", "int8"])
@pytest.mark.parametrize("whole", [False, True])
def test_flattened_map_keeps_its_order(flatten: str, whole: bool, tmp_path: Path) -> None:
    """ONNX flattens channel, height, width; the device height, width, channel."""
    network = agree(qdq.mobile(head="matmul", whole=whole, flatten=flatten), tmp_path)
    if not whole:
        return
    assert network.stage_input(network.stages[-1]).shape == (3, 3, 11)


def test_planar_input(tmp_path: Path) -> None:
    assert agree(qdq.mobile(layout="nchw"), tmp_path).input.shape == (12, 12, 3)


def test_what_the_network_says(tmp_path: Path) -> None:
    network = agree(qdq.mobile(), tmp_path)
    stem, dw1, pw1, dw2, pw2 = network.layers[:5]
    assert network.host_ops == ("softmax",)
    assert (network.input.scale, network.input.zero_point) == (0.0078125, -1)
    assert [layer.name for layer in network.layers] == [
        "stem", "dw1", "pw1", "dw2", "pw2", "pool", "logits",
    ]  # fmt: skip
    assert stem.pads == (0, 0, 1, 1)
    assert (dw1.op, pw1.op) == (Op.DEPTHWISE, Op.CONV)
    assert dw1.weights is not None and dw1.weights.shape == (8, 3, 3, 1)
    assert dw2.bias is not None and not dw2.bias.any()
    assert pw2.bias is not None and pw2.bias.any()
    for layer in (dw1, pw1):  # one stored bias, at each layer's own scale
        assert layer.bias is not None and layer.weight_scales is not None
        real = layer.bias * layer.weight_scales * network.tensor(layer.input).scale
        unit = layer.weight_scales.max() * network.tensor(layer.input).scale
        assert np.abs(real * 100 - np.rint(real * 100)).max() < 100 * unit


def test_stages_are_grouped(tmp_path: Path) -> None:
    path = qdq.mobile().save(tmp_path / "g.onnx")
    fused, unfused = lower(path, "g"), lower(path, "g", fused=False)
    assert [str(stage.kind) for stage in fused.stages] == [
        "conv", "block", "block", "pool", "dense",
    ]  # fmt: skip
    assert [stage.layers for stage in fused.stages] == [(0,), (1, 2), (3, 4), (5,), (6,)]
    assert [str(stage.kind) for stage in unfused.stages] == [
        "conv", "depthwise", "pointwise", "depthwise", "pointwise", "pool", "dense",
    ]  # fmt: skip
    assert group_stages(unfused).stages == fused.stages


def test_a_name_of_many_ops_is_cut(tmp_path: Path) -> None:
    graph = qdq.mobile()
    for node in graph.nodes:
        if node.name == "stem":
            node.name = "model/relu;model/norm;model/conv"
    assert lower(graph.save(tmp_path / "g.onnx"), "g").layers[0].name == "model/relu"


def test_unsigned_codes_are_the_same_network(tmp_path: Path) -> None:
    """uint8 with zero points 128 higher: equal in every integer."""
    made = []
    for offset, kind, image in ((0, np.int8, TensorProto.INT8), (128, np.uint8, TensorProto.UINT8)):
        graph = qdq.Graph((1, 4, 8, 8), image)
        graph.channels = 4
        graph.dequantise("image", 0.02, 3 + offset, kind)
        graph.convolve(4, 3, name="first")
        graph.quantise(0.05, -128 + offset, kind)
        graph.convolve(6, 3, name="second")
        graph.then("Relu")
        graph.quantise(0.05, -7 + offset, kind)
        folder = tmp_path / kind.__name__
        folder.mkdir()
        made.append(network_file.to_bytes(agree(graph, folder)))
    assert made[0] == made[1]


@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
def test_residual_addition(activation: str, tmp_path: Path) -> None:
    graph = _small(pads=(1, 1, 1, 1))
    first = graph.value
    graph.convolve(4, 3, pads=(1, 1, 1, 1), name="branch")
    graph.quantise(0.07, 5)
    graph.node("Add", graph.value, first, name="residual")
    if activation != "none":
        graph.clamp(0.0, 6.0 if activation == "relu6" else None)
    graph.quantise(0.09, -20)
    inner = graph.value
    graph.convolve(4, 1, name="after")
    graph.quantise(0.05, 0)
    graph.node("Add", inner, graph.value, name="again")
    graph.quantise(0.1, 3)
    network = agree(graph, tmp_path)
    added = network.layers[2]
    assert (added.op, added.name) == (Op.ADD, "residual")
    assert {added.input, *added.others} == {"branch:out", "odd_one:out"}
    assert [stage.kind for stage in network.stages] == ["conv", "conv", "add", "pointwise", "add"]


NEWEST = onnx.defs.onnx_opset_version()


@pytest.mark.parametrize("opset", sorted({11, 12, 13, 15, 18, 19, 21, 23, 24, 25, NEWEST}))
def test_opsets(opset: int, tmp_path: Path) -> None:
    """Up to the newest that ONNX knows; compared with ONNX Runtime where it knows it too."""
    graph = qdq.residual(opset=opset)
    path = graph.save(tmp_path / "g.onnx")
    network = lower(path, "g")
    assert [str(stage.kind) for stage in network.stages].count("add") == 2
    try:
        agree(graph, tmp_path)
    except ModelError as error:
        assert opset > NEWEST - 3, error  # ONNX Runtime follows later


@pytest.mark.parametrize("axes", ["attribute", "input"])
@pytest.mark.parametrize("keep", [0, 1])
def test_means(axes: str, keep: int, tmp_path: Path) -> None:
    graph = qdq.Graph((1, 4, 8, 8), opset=17 if axes == "attribute" else 18)
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    graph.convolve(6, 3, name="c")
    graph.quantise(0.05, 0)
    if axes == "attribute":
        graph.then("ReduceMean", axes=[2, 3], keepdims=keep, name="mean")
    else:
        where = graph.constant("axes", np.array([-2, -1], np.int64))
        graph.then("ReduceMean", where, keepdims=keep, name="mean")
    graph.quantise(0.02, 4)
    network = agree(graph, tmp_path)
    assert (network.layers[1].op, network.output.shape) == (Op.POOL, (1, 1, 6))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", range(1, 8))
def test_channels_and_kernels(channels: int, kernel: int, tmp_path: Path) -> None:
    """Stride 1 and 2, symmetric and TensorFlow's padding, depthwise with a multiplier."""
    graph = qdq.Graph((1, channels, 15, 14))
    graph.channels = channels
    graph.dequantise("image", 0.02, 0)
    pads = (kernel // 2,) * 4
    graph.convolve(4, kernel, stride=1 + kernel % 2, pads=pads, name="first")
    graph.quantise(0.05, -20)
    lopsided = (0, 0, min(1, kernel - 1), min(1, kernel - 1))
    graph.convolve(0, kernel, pads=lopsided, depthwise=True, multiplier=2, name="second")
    graph.quantise(0.05, 5)
    network = agree(graph, tmp_path)
    assert network.output.channels == 8
    assert network.layers[1].op is Op.DEPTHWISE
    assert network.layers[0].pads == pads
    assert network.layers[1].pads == lopsided


def test_auto_pad(tmp_path: Path) -> None:
    graph = qdq.Graph((1, 4, 9, 8))
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    graph.convolve(4, 3, stride=2, name="same")
    del graph.nodes[-1].attribute[:]
    graph.nodes[-1].attribute.extend(
        onnx.helper.make_attribute(key, value)
        for key, value in (("auto_pad", "SAME_UPPER"), ("strides", [2, 2]))
    )
    graph.quantise(0.05, -20)
    assert agree(graph, tmp_path).layers[0].pads == (1, 0, 1, 1)


@pytest.mark.parametrize("quantised", [False, True])
def test_pad_before_a_convolution(quantised: bool, tmp_path: Path) -> None:
    """As Keras's ZeroPadding2D leaves it, with or without a quantisation of its own."""
    graph = _small()
    amounts = graph.constant("amounts", np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64))
    graph.then("Pad", amounts, name="zeros")
    if quantised:
        graph.quantise(graph.scale, 0)
    graph.convolve(5, 3, stride=2, name="padded")
    graph.quantise(0.05, -20)
    network = agree(graph, tmp_path)
    assert [layer.name for layer in network.layers] == ["odd_one", "padded"]
    assert network.layers[1].pads == (0, 0, 1, 1)


@pytest.mark.parametrize("code", [25, None])
def test_pad_with_another_value(code: int | None, tmp_path: Path) -> None:
    """A layer that moves values, if the value has a code."""
    graph = _small()
    value = 1.03 * graph.scale if code is None else code * graph.scale
    amounts = graph.constant("amounts", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    graph.then("Pad", amounts, graph.constant("one", np.array(value, np.float32)), name="ones")
    graph.convolve(5, 3, name="padded")
    graph.quantise(0.05, -20)
    if code is None:
        _refused(graph, tmp_path, "padded", "no code of scale")
    else:
        network = lower(graph.save(tmp_path / "g.onnx"), "g")
        assert [layer.op for layer in network.layers] == [Op.CONV, Op.MOVE, Op.CONV]
        assert network.layers[1].moves is not None
        assert (
            network.layers[1].moves.fill
            == code + network.tensor(network.layers[1].input).zero_point
        )


def test_a_clamp_alone_is_a_stage(tmp_path: Path) -> None:
    """Relu between two quantisations, and another scale without one."""
    graph = _small()
    graph.then("Relu", name="alone")
    graph.quantise(0.03, -128)
    graph.quantise(0.06, 4)
    network = agree(graph, tmp_path)
    assert [layer.name for layer in network.layers][1] == "alone"
    assert [layer.op for layer in network.layers[1:]] == [Op.TABLE, Op.TABLE]


@pytest.mark.parametrize("quantised", [False, True])
def test_batch_norm_in_the_graph(quantised: bool, tmp_path: Path) -> None:
    """Behind its convolution, or between two quantisations; with gains of either sign and 0."""
    graph = _small(bias="float")
    rng = np.random.default_rng(4)
    if not quantised:
        del graph.nodes[-2:]
        graph.value = graph.nodes[-1].output[0]
    gain = np.array([0.7, -1.2, 0.0, 0.01], np.float32)
    names = [
        graph.constant(n, v)
        for n, v in (
            ("gain", gain),
            ("shift", rng.uniform(-1, 1, 4).astype(np.float32)),
            ("mean", rng.uniform(-1, 1, 4).astype(np.float32)),
            ("var", rng.uniform(0.5, 2, 4).astype(np.float32)),
        )
    ]
    graph.then("BatchNormalization", *names, name="norm")
    graph.then("Relu")
    graph.quantise(0.02, -128)
    network = agree(graph, tmp_path)
    assert len(network.layers) == (2 if quantised else 1)


def test_transposes_inside(tmp_path: Path) -> None:
    """A map that is turned to NHWC and flattened there, as Keras does it."""
    graph = _small(pads=(1, 1, 1, 1), stride=2)
    graph.then("Transpose", perm=[0, 2, 3, 1])
    graph.then("Reshape", graph.constant("flat", np.array([1, 64], np.int64)))
    codes, scales = graph.draw(3, 64)
    data = graph.value
    weight = graph.weights("w", codes.T, scales, axis=1)
    graph.node("MatMul", data, weight, name="product")
    graph.quantise(0.05, 4)
    network = agree(graph, tmp_path)
    assert network.layers[-1].op is Op.DENSE


# -- refusals ------------------------------------------------------------------------------------


def _small(**options: object) -> qdq.Graph:
    """One convolution, from which a test makes something unsupported."""
    graph = qdq.Graph((1, 8, 8, 4))
    graph.then("Transpose", perm=[0, 3, 1, 2])
    graph.channels = 4
    graph.dequantise(graph.value, 0.02, 0)
    graph.convolve(4, 3, name="odd_one", **options)  # type: ignore[arg-type]
    graph.quantise(0.05, 0)
    return graph


def _refused(graph: qdq.Graph, folder: Path, *words: str) -> None:
    with pytest.raises(UnsupportedError) as error:
        lower(graph.save(folder / "g.onnx"), "g")
    for word in words:
        assert word in str(error.value)


def test_small_is_supported(tmp_path: Path) -> None:
    assert len(lower(_small().save(tmp_path / "g.onnx"), "g").layers) == 1


@pytest.mark.parametrize("operator", ["Cos", "Sin", "GlobalLpPool"])
def test_unsupported_operator_is_named(operator: str, tmp_path: Path) -> None:
    graph = _small()
    graph.then(operator, name="strange_node")
    _refused(graph, tmp_path, operator, "strange_node")


def test_dynamic_size_is_refused(tmp_path: Path) -> None:
    graph = qdq.Graph((1, "height", 8, 4))
    graph.then("Transpose", perm=[0, 3, 1, 2])
    graph.channels = 4
    graph.dequantise(graph.value, 0.02, 0)
    graph.convolve(4, 3, name="c")
    graph.quantise(0.05, 0)
    _refused(graph, tmp_path, "dynamic shape", "height")


def test_dilation_is_a_window_with_zeros(tmp_path: Path) -> None:
    """ONNX Runtime computes the same; a window that is too large is refused."""
    path = _small(dilations=[2, 2]).save(tmp_path / "dilated.onnx")
    network = lower(path, "dilated")
    (layer,) = (one for one in network.layers if one.name == "odd_one")
    assert layer.kernel == (5, 5) and layer.weights is not None
    taps = layer.weights.any(axis=(0, 3))
    assert taps[::2, ::2].all() and taps.sum() == 9
    images = np.random.default_rng(1).integers(-128, 128, (20, *network.input.shape))
    assert agreement.compare(path, images.astype(np.int8)).holds
    graph = qdq.Graph((1, 4, 40, 40))
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    graph.convolve(4, 3, name="odd_one", dilations=[9, 9])
    graph.quantise(0.05, 0)
    _refused(graph, tmp_path, "odd_one", "makes a window of 19 x 19")


def test_groups(tmp_path: Path) -> None:
    graph = qdq.Graph((1, 4, 8, 8))
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    data = graph.value
    codes, scales = graph.draw(6, 2, 3, 3)
    graph.node("Conv", data, graph.weights("w", codes, scales), name="grouped", group=2)
    graph.quantise(0.05, 0)
    assert agree(graph, tmp_path).layers[0].groups == 2


def test_int16_is_refused(tmp_path: Path) -> None:
    graph = qdq.Graph((1, 4, 8, 8))
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    graph.convolve(4, 3, name="first")
    graph.quantise(0.05, 0, np.int32)
    graph.convolve(4, 3, name="second")
    graph.quantise(0.05, 0)
    path = tmp_path / "g.onnx"
    path.write_bytes(graph.model().SerializeToString())
    with pytest.raises((ModelError, UnsupportedError)):
        lower(path, "g")


def test_weights_with_a_zero_point_are_rewritten_or_refused(tmp_path: Path) -> None:
    """w - z where that is of 8 bits."""
    plain = lower(_small().save(tmp_path / "plain.onnx"), "plain")
    for point, fits in ((1, False), (-5, True)):
        graph = _small()
        for constant in graph.constants:
            if constant.name == "odd_one.w.zero":
                constant.raw_data = np.full(4, point, np.int8).tobytes()
            if constant.name == "odd_one.w.codes":
                codes = np.clip(numpy_helper.to_array(constant), -120, 120)
                shifted = codes + np.int8(point) if fits else np.full_like(codes, -128)
                constant.raw_data = shifted.astype(np.int8).tobytes()
        if fits:
            made = lower(graph.save(tmp_path / "moved.onnx"), "moved")
            at = next(n for n, one in enumerate(plain.layers) if one.name == "odd_one")
            wanted = plain.layers[at].weights
            assert wanted is not None
            assert np.array_equal(made.layers[at].weights, np.clip(wanted, -120, 120))  # type: ignore[arg-type]
        else:
            _refused(graph, tmp_path, "odd_one", "more than 8 bits")


def test_float_layer_is_refused(tmp_path: Path) -> None:
    """No QuantizeLinear after the convolution."""
    graph = qdq.Graph((1, 4, 8, 8))
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    graph.convolve(4, 3, name="left_float")
    graph.then("Relu")
    graph.convolve(4, 3, name="other")
    graph.quantise(0.05, 0)
    _refused(graph, tmp_path, "left_float")


def test_padded_pool_is_refused(tmp_path: Path) -> None:
    graph = _small()
    graph.then("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], name="padded_pool")
    graph.quantise(0.05, 0)
    _refused(graph, tmp_path, "padded_pool")


def test_large_kernel_is_refused(tmp_path: Path) -> None:
    graph = qdq.Graph((1, 4, 20, 20))
    graph.channels = 4
    graph.dequantise("image", 0.02, 0)
    graph.convolve(4, 17, name="large")
    graph.quantise(0.05, 0)
    _refused(graph, tmp_path, "large", "16 x 16")


def test_float_network_is_told_from_a_quantised_one(tmp_path: Path) -> None:
    graph = qdq.Graph((1, 4, 8, 8), TensorProto.FLOAT)
    graph.then("Relu")
    _refused(graph, tmp_path, "float", "--calibrate")


def test_overflow_is_refused_with_its_channel(tmp_path: Path) -> None:
    network = lower(_small().save(tmp_path / "g.onnx"), "g")
    layer = network.layers[0]
    bias = np.zeros(4, np.int32)
    bias[2] = 2**31 - 1000
    with pytest.raises(OverflowRisk, match=r"odd_one: .*output channel 2"):
        derive(replace(layer, bias=bias), network.input, network.output)


@pytest.mark.parametrize("size", [0, 100])
def test_truncated_file_is_no_network(size: int, tmp_path: Path) -> None:
    path = _small().save(tmp_path / "g.onnx")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError):
        lower(path, "g")


@pytest.mark.parametrize("fault", ["names", "scales", "axis"])
def test_what_onnx_runtime_refuses_is_refused(fault: str, tmp_path: Path) -> None:
    model = qdq.mobile().model()
    weights = next(node for node in model.graph.node if node.name == "stem.w.dq")
    if fault == "names":
        weights.name, said = "stem", "node stem: two nodes have this name"
    elif fault == "scales":
        for constant in model.graph.initializer:
            if constant.name in weights.input[1:]:
                constant.dims.append(1)
        said = "stem.w.dq: .*scale has 2 dimensions"
    else:
        next(one for one in weights.attribute if one.name == "axis").i = 2**62
        said = f"stem.w.dq: axis {2**62} of 4 dimensions"
    path = tmp_path / "g.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedError, match=said):
        lower(path, "g")
