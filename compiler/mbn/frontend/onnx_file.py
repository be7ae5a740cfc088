"""Reads an ONNX file and says early, by name, what can't be compiled.

What enters: a path. What leaves: a checked ModelProto with batch 1, static shapes, and the
names of the nodes whose operators become layers. Always holds: every operator in the returned
graph is one that the integer pass knows; whatever ONNX or protobuf raise is an MbnError.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, shape_inference

from mbn.errors import MbnError, ModelError, UnsupportedError

# Operators whose layers the integer pass builds, in the order in which Relax sees them.
LAYER_OPERATORS = (
    "Conv",
    "Gemm",
    "MatMul",
    "AveragePool",
    "GlobalAveragePool",
    "ReduceMean",
)
SUPPORTED_OPERATORS = frozenset(
    (
        *LAYER_OPERATORS,
        "QuantizeLinear",
        "DequantizeLinear",
        "Relu",
        "Clip",
        "Add",
        "Transpose",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Softmax",
        "Identity",
        "Constant",
    )
)
OLDEST_OPSET = 11


@dataclass(frozen=True)
class OnnxGraph:
    """A graph ready for Relax: one input, one output, static shapes."""

    model: Any  # onnx.ModelProto
    input_name: str
    input_shape: tuple[int, ...]
    layer_nodes: tuple[tuple[str, str], ...]  # (operator, node name) in graph order


def load(path: Path) -> Any:
    """The ModelProto at `path`; ModelError if it is missing, truncated or no ONNX."""
    if not path.is_file():
        raise ModelError(
            f"no file {path}", wanted="an ONNX file", advice="check the path after --onnx"
        )
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except MbnError:
        raise
    except Exception as error:  # protobuf and the checker raise many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path.name} is not a valid ONNX file ({reason})",
            wanted="a whole file that onnx.checker accepts",
            advice="export or copy it again",
        ) from error
    if not model.graph.node:
        raise ModelError(f"{path.name} has no nodes", wanted="a network", advice="export it again")
    return model


def is_quantised(model: Any) -> bool:
    """Whether the graph carries DequantizeLinear nodes, that is, is QDQ already."""
    return any(node.op_type == "DequantizeLinear" for node in model.graph.node)


def node_label(node: Any) -> str:
    return str(node.name or (node.output[0] if node.output else node.op_type))


def prepare(model: Any) -> OnnxGraph:
    """Checks opset, operators and shapes; fixes a dynamic batch to 1.

    Raises UnsupportedError that names the operator and its node, or the dimension at fault.
    """
    _check_opset(model)
    _check_operators(model)
    weights = {initialiser.name for initialiser in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise UnsupportedError(
            f"the graph has {len(inputs)} inputs and {len(model.graph.output)} outputs",
            wanted="one image in, one result out",
        )
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    shape = _fix_shape(fixed, inputs[0].name)
    try:
        fixed = shape_inference.infer_shapes(fixed)
    except Exception as error:
        raise ModelError(
            f"shapes can't be inferred ({str(error).strip().splitlines()[0]})",
            wanted="a graph whose shapes fit together",
        ) from error
    layers = tuple(
        (node.op_type, node_label(node))
        for node in fixed.graph.node
        if node.op_type in LAYER_OPERATORS
    )
    return OnnxGraph(fixed, inputs[0].name, shape, layers)


def _check_opset(model: Any) -> None:
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version < OLDEST_OPSET:
            raise UnsupportedError(
                f"opset {entry.version}",
                wanted=f"opset {OLDEST_OPSET} or later",
                advice="convert it with onnx.version_converter",
            )


def _check_operators(model: Any) -> None:
    for node in model.graph.node:
        if node.op_type not in SUPPORTED_OPERATORS or node.domain not in ("", "ai.onnx"):
            raise UnsupportedError(
                f"operator {node.op_type} is not supported",
                node=f"node {node_label(node)}",
                wanted="one of " + ", ".join(sorted(SUPPORTED_OPERATORS)),
                advice="remove it from the graph, or keep it on the host",
            )


def _fix_shape(model: Any, name: str) -> tuple[int, ...]:
    value = next(value for value in model.graph.input if value.name == name)
    dims = value.type.tensor_type.shape.dim
    if len(dims) != 4:
        raise UnsupportedError(
            f"input {name} has {len(dims)} dimensions",
            wanted="4: batch, and height, width, channels in either order",
        )
    if not (dims[0].HasField("dim_value") and dims[0].dim_value > 0):
        dims[0].dim_value = 1
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else 0 for dim in dims)
    if any(size <= 0 for size in shape[1:]):
        raise UnsupportedError(
            f"input {name} has the dynamic shape "
            + str([dim.dim_param or dim.dim_value for dim in dims]),
            wanted="fixed height, width and channels (a dynamic batch is taken as 1)",
            advice="export with fixed sizes, or run onnxruntime.tools.make_dynamic_shape_fixed",
        )
    if shape[0] != 1:
        raise UnsupportedError(f"input {name} has batch {shape[0]}", wanted="batch 1")
    for info in (*model.graph.value_info, *model.graph.output):
        info_dims = info.type.tensor_type.shape.dim
        if info_dims and not info_dims[0].HasField("dim_value"):
            info_dims[0].dim_value = 1
    kind = value.type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.INT8):
        raise UnsupportedError(
            f"input {name} has type {TensorProto.DataType.Name(kind)}", wanted="FLOAT or INT8"
        )
    return shape
