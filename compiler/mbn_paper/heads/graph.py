"""The ONNX graph of a head's network, float.

What enters: a trained module. What leaves: an onnx.ModelProto, opset 17, weights inside and norms
folded. Always holds: nodes bear the layers' names; a multi-label head ends in a Sigmoid, an
embedding in its division by its length; SSD's maps are outputs of their own, channels last, classes
then boxes of each map, named as their convolutions.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from mbn.jobs.lower import detecting
from mbn.train.graph import INPUT, checked_model, conv_attributes, float_graph
from mbn.train.graph import LOGITS as VECTOR
from mbn.train.mobilenet import ConvNormClamp, MobileNet, folded, folded_layer
from mbn_paper.heads.networks import Ssd
from mbn_paper.heads.spec import Head

SHORTEST = 1e-12  # a vector's length, torch's own bound


def head_graph(head: Head, network: MobileNet | Ssd) -> onnx.ModelProto:
    """The float graph of a head."""
    metadata = {"mbn.head": head.name, "mbn.input": "(x - 128) / 128, RGB"}
    if isinstance(network, Ssd):
        metadata[detecting.METADATA] = json.dumps(detecting.described(network.detector))
        return ssd_graph(network, head.network, head.resolution, metadata)
    weights = [(_array(weight), _array(bias)) for weight, bias in folded(network)]
    made = float_graph(network.shape, weights, head.network, metadata)
    if head.name == "attributes":
        _append(made, [helper.make_node("Sigmoid", [VECTOR], ["probabilities"], name="sigmoid")])
    if head.name == "embedding":
        normalise_output(made)
    onnx.checker.check_model(made, full_check=True)
    return made


def normalise_output(model: onnx.ModelProto) -> None:
    """Appends the division of the one output (1 x N) by its Euclidean length."""
    source = model.graph.output[0].name
    shortest = numpy_helper.from_array(np.array(SHORTEST, np.float32), "shortest")
    model.graph.initializer.append(shortest)
    nodes = [
        helper.make_node("ReduceL2", [source], ["length"], name="length", axes=[1], keepdims=1),
        helper.make_node("Clip", ["length", "shortest"], ["at_least"], name="length_at_least"),
        helper.make_node("Div", [source, "at_least"], ["unit"], name="normalise"),
    ]
    _append(model, nodes)


def _append(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Nodes behind the one output, the last one's result in its place."""
    model.graph.node.extend(nodes)
    model.graph.output[0].name = nodes[-1].output[0]


def _array(value: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return value.detach().numpy().astype(np.float32)


def ssd_graph(
    network: Ssd, name: str, resolution: int, metadata: dict[str, str]
) -> onnx.ModelProto:
    """SSD: 2 outputs a map, float32 1 x side x side x (boxes a cell * classes, or * 4)."""
    nodes: list[onnx.NodeProto] = []
    constants = [
        numpy_helper.from_array(np.array(bound, np.float32), f"relu6_{which}")
        for which, bound in (("min", 0), ("max", 6))
    ]
    outputs: list[onnx.ValueInfoProto] = []

    def conv(layer: str, source: str, to: str, weights: tuple[Tensor, Tensor], **how: Any) -> None:
        for what, value in zip(("weight", "bias"), weights, strict=True):
            constants.append(numpy_helper.from_array(_array(value), f"{layer}.{what}"))
        inputs = [source, f"{layer}.weight", f"{layer}.bias"]
        nodes.append(helper.make_node("Conv", inputs, [to], name=layer, **how))

    value = INPUT
    for layer, module in (*network.body.named_children(), *network.extras.named_children()):
        assert isinstance(module, ConvNormClamp)
        attributes = conv_attributes(network.layers[layer])
        conv(layer, value, f"{layer}.sums", folded_layer(module), **attributes)
        clamp = [f"{layer}.sums", "relu6_min", "relu6_max"]
        value = f"{layer}.out"
        nodes.append(helper.make_node("Clip", clamp, [value], name=f"{layer}_relu6"))
        if layer not in network.taps:
            continue
        side = network.layers[layer].size_out
        for what in ("classes", "boxes"):
            predictor, own = network.predictors[f"{layer}_{what}"], f"{layer}_{what}"
            assert isinstance(predictor, nn.Conv2d)
            assert predictor.bias is not None
            conv(own, value, f"{own}.planes", (predictor.weight, predictor.bias))
            nodes.append(
                helper.make_node(
                    "Transpose", [f"{own}.planes"], [own], name=f"{own}_last", perm=[0, 2, 3, 1]
                )
            )
            shape = [1, side, side, predictor.out_channels]
            outputs.append(helper.make_tensor_value_info(own, TensorProto.FLOAT, shape))
    return checked_model((3, resolution, resolution), outputs, nodes, constants, name, metadata)
