"""The float ONNX graph of a MobileNet.

What enters: a `Shape` and each layer's weights and bias with the batch norm folded in. What
leaves: an onnx.ModelProto, opset 17, weights inside: input float32 1 x C x H x W, result `logits`
float32 1 x classes. Always holds: nodes bear the layers' names (stem, block1_dw, ...), so the
generated C does too; the same weights give the same bytes. The graph is written here rather than
by torch's exporter, whose names and node order change from release to release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mbn.core.family import Kind, LayerShape, Shape

OPSET = 17
IR_VERSION = 8  # the one of opset 17's release
INPUT = "input"
LOGITS = "logits"

Weights = tuple[NDArray[np.float32], NDArray[np.float32]]


def conv_attributes(layer: LayerShape) -> dict[str, Any]:
    """ONNX Conv attributes of a layer."""
    return {
        "kernel_shape": [layer.kernel] * 2,
        "strides": [layer.stride] * 2,
        "pads": [layer.pad] * 4,
        "group": layer.channels_in if layer.kind is Kind.DEPTHWISE else 1,
    }


def float_graph(
    network: Shape, weights: Sequence[Weights], name: str, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """The float network. `weights`: (weights, bias) a layer, shaped as `weights_shape` says."""
    nodes: list[onnx.NodeProto] = []
    constants = [
        numpy_helper.from_array(np.array(0, np.float32), "relu6_min"),
        numpy_helper.from_array(np.array(6, np.float32), "relu6_max"),
    ]
    value = INPUT
    for layer, (weight, bias) in zip(network.layers, weights, strict=True):
        constants.append(numpy_helper.from_array(weight, f"{layer.name}.weight"))
        constants.append(numpy_helper.from_array(bias, f"{layer.name}.bias"))
        inputs = [value, f"{layer.name}.weight", f"{layer.name}.bias"]
        if layer.kind is Kind.CLASSIFIER:
            nodes += pool_nodes(value)
            inputs[0] = "pooled"
            nodes.append(helper.make_node("Gemm", inputs, [LOGITS], name=layer.name, transB=1))
            break
        sums, value = f"{layer.name}.sums", f"{layer.name}.out"
        attributes = conv_attributes(layer)
        nodes.append(helper.make_node("Conv", inputs, [sums], name=layer.name, **attributes))
        clip = helper.make_node(
            "Clip", [sums, "relu6_min", "relu6_max"], [value], name=f"{layer.name}_relu6"
        )
        nodes.append(clip)
    return model(network, nodes, constants, name, metadata)


def pool_nodes(value: str) -> list[onnx.NodeProto]:
    """Global average pool of `value` and the flattening into `pooled`."""
    return [
        helper.make_node("GlobalAveragePool", [value], ["pool.out"], name="pool"),
        helper.make_node("Flatten", ["pool.out"], ["pooled"], name="flatten", axis=1),
    ]


def model(
    network: Shape,
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto],
    name: str,
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    """`checked_model` of a network whose result are logits."""
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [1, network.classes])
    shape_in = (network.channels, network.resolution, network.resolution)
    return checked_model(shape_in, [logits], nodes, constants, name, metadata)


def checked_model(
    shape_in: tuple[int, int, int],
    outputs: Sequence[onnx.ValueInfoProto],
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto],
    name: str,
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    """Nodes and constants as a checked model; metadata becomes `metadata_props`, sorted.
    shape_in: channels, rows, columns."""
    image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, *shape_in])
    made = helper.make_model(
        helper.make_graph(nodes, name, [image], outputs, initializer=constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mbn",
    )
    helper.set_model_props(made, dict(sorted(metadata.items())))
    onnx.checker.check_model(made, full_check=True)
    return made
