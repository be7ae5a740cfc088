"""Operators besides plain convolutions, and how each is spelled: against ONNX Runtime.

What enters: graphs of qdq.py. What leaves: nothing but failures. Always holds: as test_frontend.py;
what can't be lowered is refused by an MbnError that names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lowered
import mbn
import networks
import qdq
from mbn.core.boards import find_board
from mbn.core.errors import UnsupportedError
from mbn.core.network import Network, Op
from mbn.core.options import InputMode
from mbn.exact import Reference
from mbn.harness.device import open_device
from mbn.image.build import build_image
from mbn.jobs import agreement
from mbn.passes.frontend import lower
from mbn.passes.quantise.static import quantise
from test_frontend import agree
from test_plumbing import Graph


def start(channels: int = 4, height: int = 6, width: int = 5) -> qdq.Graph:
    """A convolution, quantised; what is tested follows."""
    graph = qdq.Graph((1, 3, height, width))
    graph.channels = 3
    graph.dequantise("image", 0.02, 1)
    graph.convolve(channels, 3, pads=(1, 1, 1, 1), name="first")
    graph.quantise(0.05, -7)
    return graph


@pytest.mark.parametrize("axis", [1, 3])
def test_a_quantised_softmax_is_moved_by_the_host(axis: int, tmp_path: Path) -> None:
    """What only moves the host's result is the host's too."""
    graph = start(3)
    if axis == 1:
        graph.then("Softmax", axis=1)
        graph.quantise(1 / 256, -128)
        graph.then("Transpose", perm=[0, 2, 3, 1])
    else:
        graph.then("Transpose", perm=[0, 2, 3, 1])
        graph.then("Softmax", axis=3)
    graph.quantise(1 / 256, -128)
    network = agree(graph, tmp_path)
    assert network.host_ops == ("softmax",)
    assert [layer.name for layer in network.layers] == ["first"]


def transposed(graph: qdq.Graph, to: int, kernel: int, groups: int = 1, **given: Any) -> None:
    """ConvTranspose with drawn weights and biases, as `up`."""
    per_group = to // groups
    depthwise = groups == graph.channels > 1 and per_group == 1
    codes, scales = graph.draw(per_group, graph.channels, kernel, kernel)
    axis, codes = 1, codes.swapaxes(0, 1)
    if depthwise:
        axis, scales = 0, np.resize(scales, to) * np.linspace(0.5, 1.5, to)
    data = graph.value
    stored = graph.weights("up.w", codes, scales, axis)
    bias = graph.constant("up.b", graph.rng.uniform(-1, 1, to).astype(np.float32))
    graph.channels = to
    graph.node(
        "ConvTranspose", data, stored, bias, name="up", kernel_shape=[kernel, kernel], group=groups,
        **given,
    )  # fmt: skip


TRANSPOSED = {
    "kernel 2, stride 2": (2, {"strides": [2, 2]}),
    "kernel 3, stride 1": (3, {"pads": [1, 1, 1, 1]}),
    "kernel 3, stride 2": (3, {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}),
    "kernel 4, stride 2": (4, {"strides": [2, 2], "pads": [1] * 4}),
    "kernel 5, stride 2, uneven": (5, {"strides": [2, 2], "pads": [2, 1, 1, 2]}),
    "odd sizes": (3, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "no padding": (3, {"strides": [2, 1]}),
    "more padding than taps": (2, {"strides": [1, 1], "pads": [1, 1, 1, 1]}),
    "one tap": (1, {"strides": [2, 2], "output_padding": [1, 0]}),
    "stride 3": (3, {"strides": [3, 3], "pads": [0, 1, 0, 1]}),
    "dilated": (3, {"strides": [2, 2], "dilations": [2, 2], "pads": [1, 1, 1, 1]}),
    "output_shape": (3, {"strides": [2, 2], "output_shape": [12, 10]}),
    "output_shape, odd": (4, {"strides": [2, 2], "output_shape": [11, 9]}),
    "SAME_UPPER": (3, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "SAME_LOWER": (3, {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    "VALID": (3, {"strides": [2, 2], "auto_pad": "VALID"}),
}


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("form", TRANSPOSED)
def test_transposed_convolutions(form: str, groups: int, tmp_path: Path) -> None:
    graph = start()
    kernel, given = TRANSPOSED[form]
    transposed(graph, 6 if groups < 4 else 4, kernel, groups, **given)
    graph.then("Relu")
    graph.quantise(0.03, -128)
    network = agree(graph, tmp_path)
    assert network.layers[-1].name == "up"
    assert {layer.op for layer in network.layers} <= {Op.CONV, Op.DEPTHWISE, Op.MOVE}


def exact_on_host(network: Network, folder: Path, kernels: str = "scalar") -> None:
    """The generated C gives the reference's bits, on the host."""
    drawn = networks.images(network, 1)[:3]
    for simplify in (False, True):
        generated = lowered.generate(network, kernels, InputMode.STREAM, simplify=simplify)
        generated.files.write(folder / "c")
        image = build_image(folder / "c", find_board("host"), "check", folder)
        with open_device(find_board("host"), image, log_path=folder / "log") as device:
            for one, wanted in zip(drawn, Reference(network).run(drawn), strict=True):
                assert np.array_equal(device.run(one).output.reshape(-1), wanted)


@pytest.mark.parametrize(
    ("form", "groups", "kernels"),
    [
        ("kernel 4, stride 2", 1, "scalar"),
        ("kernel 4, stride 2", 4, "dsp"),
        ("odd sizes", 1, "mve"),
        ("output_shape, odd", 2, "scalar"),
    ],
)
def test_transposed_convolutions_in_c(form: str, groups: int, kernels: str, tmp_path: Path) -> None:
    graph = start()
    kernel, given = TRANSPOSED[form]
    transposed(graph, 6 if groups < 4 else 4, kernel, groups, **given)
    graph.quantise(0.03, 3)
    graph.convolve(3, 1, name="after")
    graph.quantise(0.04, 0)
    exact_on_host(agree(graph, tmp_path), tmp_path, kernels)


def test_a_float_transposed_convolution_is_quantised(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    constants = [
        numpy_helper.from_array(rng.normal(0, 0.3, size).astype(np.float32), name)
        for name, size in (("w", (4, 3, 3, 3)), ("u", (4, 5, 4, 4)), ("b", (5,)))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "first", strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node(
            "ConvTranspose", ["r", "u", "b"], ["y"], "up", strides=[2, 2], pads=[1] * 4
        ),
    ]
    image, result = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 8, 8])
        for name, channels in (("x", 3), ("y", 5))
    )
    graph = helper.make_graph(nodes, "g", [image], [result], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "float.onnx")
    samples = [rng.uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32) for _ in range(4)]
    quantise(tmp_path / "float.onnx", samples, tmp_path / "g.onnx")
    network = lower(tmp_path / "g.onnx", "g")
    found = agreement.compare(tmp_path / "g.onnx", networks.images(network, 2))
    assert found.layers_hold
    assert [layer.name for layer in network.layers] == ["first", "up_phases", "up"]


def test_a_shape_that_tvm_gets_wrong_is_refused(tmp_path: Path) -> None:
    """TVM overlooks `output_shape`; where it can't be written as padding the node is named."""
    graph = start()
    transposed(graph, 6, 3, strides=[2, 2], output_shape=[15, 12])
    graph.quantise(0.03, 3)
    with pytest.raises(UnsupportedError, match=r"node up: ConvTranspose makes \[1, 6, 15, 12\]"):
        lower(graph.save(tmp_path / "g.onnx"), "g")


def pooled(**given: Any) -> qdq.Graph:
    graph = start()
    graph.then("AveragePool", kernel_shape=[3, 3], name="pool", **given)
    graph.quantise(0.03, 2)
    return graph


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({"pads": [1, 1, 1, 1]}, (6, 5)),
        ({"pads": [1, 0, 1, 2], "strides": [2, 2]}, (3, 3)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (3, 3)),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 1]}, (3, 5)),
        ({"ceil_mode": 1, "strides": [3, 2]}, (2, 2)),
    ],
)
def test_average_pools_whose_padding_counts(
    given: Any, size: tuple[int, int], tmp_path: Path
) -> None:
    network = agree(pooled(count_include_pad=1, **given), tmp_path)
    assert network.layers[-1].op is Op.POOL
    assert network.output.shape == (*size, 4)
    exact_on_host(network, tmp_path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pads": [1, 1, 1, 1]}, "padding does not count"),
        ({"auto_pad": "SAME_UPPER"}, "padding does not count"),
        ({"ceil_mode": 1, "strides": [2, 2]}, "windows beyond the map"),
    ],
)
def test_average_pools_that_differ_at_the_edges_are_refused(
    given: Any, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match=f"node pool: .*{words}"):
        lower(pooled(**given).save(tmp_path / "g.onnx"), "g")


@pytest.mark.parametrize("kernels", ["scalar", "dsp", "mve"])
@pytest.mark.parametrize("first", [True, False])
def test_a_map_and_one_pixel_are_added(first: bool, kernels: str, tmp_path: Path) -> None:
    graph = start()
    whole = graph.value
    graph.then("GlobalAveragePool", name="mean")
    graph.quantise(0.07, 3)
    pixel, graph.value = graph.value, whole
    pair = (pixel, whole) if first else (whole, pixel)
    graph.node("Add", *pair, name="sum")
    graph.quantise(0.09, -4)
    network = agree(graph, tmp_path)
    assert network.layers[-1].op is Op.ADD
    assert network.output.shape == (6, 5, 4)
    exact_on_host(network, tmp_path, kernels)


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("over", ["height", "width", "both"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_means_over_any_image_axes(layout: str, over: str, keep: int, tmp_path: Path) -> None:
    graph = start()
    if layout == "nhwc":
        graph.then("Transpose", perm=[0, 2, 3, 1])
    first = layout.index("h")  # of the axes
    axes = {"height": [first], "width": [first + 1], "both": [first, first + 1]}[over]
    graph.then("ReduceMean", axes=axes, keepdims=keep, name="mean")
    graph.quantise(0.03, 2)
    network = agree(graph, tmp_path)
    assert [layer.name for layer in network.layers] == ["first", "mean"]
    wanted = {"height": (1, 5, 4), "width": (6, 1, 4), "both": (1, 1, 4)}
    assert network.output.shape == wanted[over]


@pytest.mark.parametrize("axes", [[2], [-1], [2, 3]])
def test_sums_over_image_axes(axes: list[int], tmp_path: Path) -> None:
    graph = start()
    count = np.prod([(6, 5)[axis % 4 - 2] for axis in axes])
    over = graph.constant("axes", np.array(axes, np.int64))
    graph.node("ReduceSum", graph.value, over, name="sum", keepdims=1)
    graph.quantise(float(0.03 * count), 2)
    path = graph.save(tmp_path / "g.onnx")
    network = lower(path, "g")
    drawn = networks.images(network, 2)
    made = [values for _, values in Reference(network).layers(drawn)]
    source, found = network.tensor(network.layers[0].output), network.output
    real = (made[0].astype(np.int64) - source.zero_point) * np.float64(source.scale)
    wanted = real.sum(axis=tuple(axis - 1 if axis > 0 else 2 for axis in axes), keepdims=True)
    codes = np.clip(wanted / found.scale + found.zero_point, -128, 127)
    assert np.abs(made[-1] - codes).max() <= 0.51
    assert agreement.compare(path, drawn).layers_hold
    exact_on_host(network, tmp_path)


def test_a_float_sum_is_quantised_and_one_over_channels_refused(tmp_path: Path) -> None:
    for axes, is_taken in (([2, 3], True), ([1], False)):
        g = Graph((1, 3, 12, 12))
        value = g.op("Relu", g.conv("input", 8, 3, 3))
        value = g.op("ReduceSum", value, g.const(np.array(axes, np.int64)), keepdims=1)
        found = mbn.inspect(g.save(g.head(value, 8 if is_taken else 1), tmp_path / "g.onnx"))
        assert (found.network is not None) == is_taken
        if not is_taken:
            assert "over axes [1]" in str(found.refused[0])
            assert found.closest == ("means over height, width or both; a maximum over both",)


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("shape", ["1 x H x W x C", "1 x HW x C", "1 x C x HW turned", "1 x W x C"])
def test_a_product_of_each_position(shape: str, goes_on: bool, tmp_path: Path) -> None:
    graph = start()
    sizes = (6, 5)
    if shape == "1 x W x C":
        graph.then("ReduceMean", axes=[2], keepdims=0, name="mean")
        graph.quantise(0.05, 1)
        graph.then("Transpose", perm=[0, 2, 1])
        sizes = (1, 5)
    elif shape == "1 x C x HW turned":
        graph.then("Reshape", graph.constant("flat", np.array([1, 4, 30])))
        graph.then("Transpose", perm=[0, 2, 1])
    else:
        graph.then("Transpose", perm=[0, 2, 3, 1])
        if shape == "1 x HW x C":
            graph.then("Reshape", graph.constant("flat", np.array([1, 30, 4])))
    data = graph.value
    codes, scales = graph.draw(7, 4)
    graph.node("MatMul", data, graph.weights("w", codes.T, scales, axis=1), name="product")
    graph.then("Add", graph.constant("b", np.linspace(-1, 1, 7).astype(np.float32)))
    graph.quantise(0.05, 3)
    if goes_on:
        graph.then("Reshape", graph.constant("map", np.array([1, *sizes, 7])))
        graph.then("Transpose", perm=[0, 3, 1, 2])
        graph.channels = 7
        graph.convolve(3, 1, name="next")
        graph.quantise(0.05, 1)
    network = agree(graph, tmp_path)
    product = next(layer for layer in network.layers if layer.name == "product")
    assert product.op is Op.CONV
    assert network.tensor(product.output).shape == (*sizes, 7)
    assert Op.MOVE not in [layer.op for layer in network.layers]


def test_a_product_of_one_position_is_dense(tmp_path: Path) -> None:
    graph = start()
    graph.then("GlobalAveragePool", name="pool")
    graph.quantise(0.05, 1)
    graph.then("Transpose", perm=[0, 2, 3, 1])
    data = graph.value
    codes, scales = graph.draw(7, 4)
    graph.node("MatMul", data, graph.weights("w", codes.T, scales, axis=1), name="product")
    graph.quantise(0.05, 3)
    assert agree(graph, tmp_path).layers[-1].op is Op.DENSE


@pytest.mark.parametrize("shape", [(6,), (6, 1), (1, 1, 6, 1)])
def test_a_constant_along_another_axis_is_no_bias(shape: tuple[int, ...], tmp_path: Path) -> None:
    """As many columns as channels: only its axis tells a bias from a constant by column."""
    graph = start(6, 6, 6)
    graph.convolve(6, 1, bias="none", name="by_column")
    graph.then("Add", graph.constant("k", np.ones(shape, np.float32)))
    graph.quantise(0.05, 0)
    with pytest.raises(UnsupportedError, match=r"node by_column: a constant of shape"):
        lower(graph.save(tmp_path / "g.onnx"), "g")


@pytest.mark.parametrize("pool", ["ReduceMean", "GlobalAveragePool", "MaxPool"])
def test_a_pool_over_a_batch_that_the_graph_made_is_refused(pool: str, tmp_path: Path) -> None:
    graph = start()
    source = graph.value
    graph.node("Concat", source, source, name="two", axis=0)
    graph.quantise(0.05, -7)
    given = {"ReduceMean": {"axes": [2, 3]}, "MaxPool": {"kernel_shape": [2, 2]}}.get(pool, {})
    graph.then(pool, name="pool", **given)
    graph.quantise(0.05, -7)
    with pytest.raises(UnsupportedError, match=r"batch of 2|in an order that has no kernel"):
        lower(graph.save(tmp_path / "g.onnx"), "g")
