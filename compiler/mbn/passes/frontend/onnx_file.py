"""Reads an ONNX file and says early, by name, what can't be compiled.

The result is a checked ModelProto with batch 1 and static shapes, and the names of the nodes that
become layers. The integer pass knows every operator in it. All exceptions of ONNX and protobuf
become MbnErrors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, numpy_helper, shape_inference

from mbn.core.errors import MbnError, ModelError, UnsupportedError
from mbn.core.files import open_regular
from mbn.passes.frontend import tflite_reader
from mbn.passes.frontend.affine import join_affine
from mbn.passes.frontend.constants import fold_constants
from mbn.passes.frontend.ends import QuantisedEnd, Walk
from mbn.passes.frontend.host_ends import without_host_ends
from mbn.passes.frontend.input_form import fix_input, input_sizes, make_map
from mbn.passes.frontend.input_layout import is_channels_last, put_transpose_first
from mbn.passes.frontend.opset import in_newer_opset
from mbn.passes.frontend.padding import make_padding_explicit
from mbn.passes.frontend.qoperator import write_as_qdq
from mbn.passes.frontend.reading_order import put_in_reading_order
from mbn.passes.frontend.sums import write_sums_as_means
from mbn.passes.frontend.supported import (
    LAYER_OPERATORS,
    node_label,
    unsupported_operators,
    window_obstacle,
    with_others,
)
from mbn.passes.frontend.unit_length import UnitLength, without_divisions

MOST_ONNX_BYTES = 1 << 31  # protobuf's limit for a message
QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
MAX_MAP_BYTES = 2**22  # as int8: more than a microcontroller's RAM
MAX_WEIGHTS = 2**25


@dataclass(frozen=True)
class OnnxGraph:
    """A graph ready for Relax: one input, one output or more, static shapes."""

    model: Any  # onnx.ModelProto
    input_name: str
    input_shape: tuple[int, ...]
    ends: tuple[QuantisedEnd, ...]  # one for each QuantizeLinear, in order
    last_layer: str  # the name of the last node that computes
    divided: Mapping[int, UnitLength]  # outputs that go on to be divided by their length
    host_ends: Mapping[int, tuple[str, ...]]  # outputs with which the host goes on

    @property
    def channels_last(self) -> bool:
        """Whether the input lies height, width, channel."""
        return is_channels_last(self.model)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of the input, however it lies."""
        _, first, second, third = self.input_shape
        return (first, second, third) if self.channels_last else (second, third, first)


def load(path: Path, input_shape: tuple[int, ...] | None = None) -> Any:
    """The ModelProto at `path`, its input of four dimensions. `input_shape`: sizes for those that
    the file leaves open, in the file's order. Raises ModelError if it is missing, truncated or not
    an ONNX file, UsageError if the file's own sizes are others."""
    if not path.exists() or path.is_dir():
        raise ModelError(
            f"no file {path}",
            wanted="an ONNX or a .tflite file",
            advice="check the path after --model",
        )
    try:
        model = stored(path)
        onnx.checker.check_model(model)
        _check_constants(model)
        name_quantisers_plainly(model)
        if input_shape is not None:
            fix_input(model, input_shape)
        fold_constants(model)
        write_as_qdq(model)
        model = in_newer_opset(model)
        fold_constants(model)
        make_map(model)
        put_transpose_first(model)
        write_sums_as_means(model)
        join_affine(model)
        make_padding_explicit(model)
        _drop_unread(model)
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


def stored(path: Path) -> Any:
    """The ModelProto as an ONNX file has it, or as a .tflite file says it. Raises what ONNX does
    besides MbnErrors."""
    if tflite_reader.is_tflite(path):
        return tflite_reader.read(path)
    open_regular(path, MOST_ONNX_BYTES).close()
    return onnx.load(str(path))  # by its name: weights may lie in files beside it


def own_sizes(path: Path) -> tuple[int | str, ...]:
    """The input's dimensions in a file that `load` took, as they stand there."""
    return input_sizes(stored(path))


def name_quantisers_plainly(model: Any) -> None:
    """Quantisers of the domain com.microsoft (ONNX Runtime's UseQDQContribOps) mean the same as
    ONNX's own: they are given its domain, in place."""
    for node in model.graph.node:
        if node.domain == "com.microsoft" and node.op_type in QUANTISERS:
            node.domain = ""


def _drop_unread(model: Any) -> None:
    """Removes constants that nothing reads any more: ONNX Runtime warns of each."""
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    read |= {value.name for value in (*graph.input, *graph.output)}
    if any(one.type == onnx.AttributeProto.GRAPH for node in graph.node for one in node.attribute):
        return  # what is inside may read them
    kept = [one for one in graph.initializer if one.name in read]
    if len(kept) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(kept)


def _check_constants(model: Any) -> None:
    """Refuses a constant whose bytes don't fit its type or shape: ONNX's checker lets it pass."""
    for constant in model.graph.initializer:
        try:
            numpy_helper.to_array(constant)
        except Exception as error:  # NumPy's and onnx's have no common base
            raise ModelError(
                f"the values of constant {constant.name} don't fit its type and shape ({error})",
                wanted="a whole file that onnx.checker accepts",
                advice="export or copy it again",
            ) from error


def _check_sizes(model: Any) -> None:
    """Refuses shapes too large for any microcontroller, before anything is allocated for them."""
    for constant in model.graph.initializer:
        count = math.prod(max(0, size) for size in constant.dims)
        if any(size < 0 for size in constant.dims) or count > MAX_WEIGHTS:
            raise UnsupportedError(
                f"constant {constant.name} has shape {list(constant.dims)}",
                wanted=f"at most {MAX_WEIGHTS:,} elements",
            )
    stored = {constant.name for constant in model.graph.initializer}
    stored |= {  # weights behind their DequantizeLinear are no maps
        node.output[0]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in stored
    }
    # the dynamo exporter names weights there, which a quantiser replaces
    made = {name for node in model.graph.node for name in node.output}
    inner = [value for value in model.graph.value_info if value.name in made]
    for value in (*model.graph.input, *inner, *model.graph.output):
        if value.name in stored:
            continue
        sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if any(size < 0 for size in sizes) or math.prod(sizes) > MAX_MAP_BYTES:
            raise UnsupportedError(
                f"map {value.name} has shape {sizes}",
                wanted=f"at most {MAX_MAP_BYTES:,} values",
            )


def _check_quantisers(model: Any) -> None:
    """Refuses what ONNX's checker accepts and ONNX Runtime does not: two nodes with one name,
    scales with more than one dimension, an axis outside the tensor."""
    names: set[str] = set()
    ranks = {constant.name: len(constant.dims) for constant in model.graph.initializer}
    kinds = {constant.name: constant.data_type for constant in model.graph.initializer}
    for node in model.graph.node:
        if node.name and node.name in names:
            raise UnsupportedError(
                "two nodes have this name", node=f"node {node.name}", wanted="a name for each"
            )
        names.add(node.name)
        if node.op_type not in QUANTISERS:
            continue
        _check_bits(node, kinds)
        for name in node.input[1:]:
            if ranks.get(name, 0) > 1:
                raise UnsupportedError(
                    f"{name} has {ranks[name]} dimensions",
                    node=f"node {node_label(node)}",
                    wanted="one scale and zero point, or one a channel",
                )
        per_channel = ranks.get(node.input[1], 0) == 1
        rank = ranks.get(node.input[0], 4)  # of a map: 4 at most
        axis = next((one.i for one in node.attribute if one.name == "axis"), None)
        if per_channel and axis is not None and not -rank <= axis < rank:
            raise UnsupportedError(
                f"axis {axis} of {rank} dimensions",
                node=f"node {node_label(node)}",
                wanted=f"{-rank} to {rank - 1}",
            )


def _check_bits(node: Any, kinds: Mapping[str, int]) -> None:
    """Refuses codes of other widths: those of the constant that is dequantised, or else those that
    the zero point's type says."""
    stored = node.op_type == "DequantizeLinear" and node.input[0] in kinds
    says = node.input[0] if stored else node.input[2] if len(node.input) > 2 else ""
    taken = (TensorProto.INT8, TensorProto.UINT8, *((TensorProto.INT32,) if stored else ()))
    kind = kinds.get(says, TensorProto.UINT8)
    if kind not in taken:
        word = "weights of type" if stored else "activations of type"
        raise UnsupportedError(
            f"{word} {TensorProto.DataType.Name(kind)}",
            node=f"node {node_label(node)}",
            wanted="INT8 or UINT8",
            advice="Quantise to 8 bits, or give the float network and --calibrate",
        )


def is_quantised(model: Any) -> bool:
    """Whether maps are quantised (QDQ); weights alone behind DequantizeLinear do not count."""
    stored = {constant.name for constant in model.graph.initializer}
    return any(
        node.op_type in QUANTISERS and node.input[0] not in stored for node in model.graph.node
    )


def dequantise_weights(model: Any) -> bool:
    """Of a network whose maps are float: its 8-bit weights as float ones, in place. Whether there
    were such ("weight-only", TensorFlow Lite's dynamic range)."""
    if is_quantised(model):
        return False
    return fold_constants(model, weights_too=True) > 0


def prepare(model: Any) -> OnnxGraph:
    """Checks operators and shapes; fixes a dynamic batch to 1.

    Raises UnsupportedError that names the operator and its node, or the dimension at fault.
    """
    model, divided = without_divisions(model)
    model, host_ends = without_host_ends(model)
    refused = unsupported_operators(model)
    if refused:
        raise with_others(refused)
    _check_quantisers(model)
    image = _only_input(model)
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    put_in_reading_order(fixed.graph)
    shape = _fix_shape(fixed, image)
    try:
        fixed = shape_inference.infer_shapes(fixed)
    except Exception as error:
        raise ModelError(
            f"shapes can't be inferred ({str(error).strip().splitlines()[0]})",
            wanted="a graph whose shapes fit together",
        ) from error
    _check_sizes(fixed)
    walk = Walk(fixed)
    ends = tuple(walk.end(node) for node in fixed.graph.node if node.op_type == "QuantizeLinear")
    named = [node_label(n) for n in fixed.graph.node if n.op_type in LAYER_OPERATORS]
    last = named[-1] if named else "none"
    return OnnxGraph(fixed, image, shape, ends, last, divided, host_ends)


def obstacles(model: Any) -> tuple[list[UnsupportedError], list[UnsupportedError]]:
    """What can be seen in the file to stand in the way. First what hides all that comes after it:
    input, quantisers, operators; then windows that no kernel has."""
    found: list[UnsupportedError] = []
    for check in (_check_quantisers, _check_input):
        try:
            check(model)
        except UnsupportedError as error:
            found.append(error)
    found += unsupported_operators(model)
    windows = [one for one in map(window_obstacle, model.graph.node) if one is not None]
    return found, windows


def _check_input(model: Any) -> None:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    _fix_shape(copied, _only_input(model))


def _only_input(model: Any) -> str:
    """The input's name. UnsupportedError for a graph with several, or without a result."""
    weights = {initialiser.name for initialiser in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or not model.graph.output:
        raise UnsupportedError(
            f"the graph has {len(inputs)} inputs and {len(model.graph.output)} outputs",
            wanted="one image in, one result or more out",
        )
    return str(inputs[0])


def _fix_shape(model: Any, name: str) -> tuple[int, ...]:
    value = next(value for value in model.graph.input if value.name == name)
    dims = value.type.tensor_type.shape.dim
    if len(dims) != 4:
        raise UnsupportedError(
            f"input {name} has the shape {list(input_sizes(model))}",
            wanted="batch 1, then height, width, channels in either order, or one or two sizes",
            advice="--input-shape says sizes that the file leaves open",
        )
    if not (dims[0].HasField("dim_value") and dims[0].dim_value > 0):
        dims[0].dim_value = 1
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else 0 for dim in dims)
    if any(size <= 0 for size in shape[1:]):
        raise UnsupportedError(
            f"input {name} has the dynamic shape "
            + str([dim.dim_param or dim.dim_value for dim in dims]),
            wanted="fixed height, width and channels (a dynamic batch is taken as 1)",
            advice="Give them all, in the file's order: --input-shape "
            + ",".join(str(dim.dim_value or "N") for dim in dims),
        )
    if shape[0] != 1:
        raise UnsupportedError(f"input {name} has batch {shape[0]}", wanted="batch 1")
    for info in (*model.graph.value_info, *model.graph.output):
        info_dims = info.type.tensor_type.shape.dim
        if info_dims and not info_dims[0].HasField("dim_value"):
            info_dims[0].dim_value = 1
    kind = value.type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8):
        found = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else kind
        raise UnsupportedError(f"input {name} has type {found}", wanted="FLOAT, INT8 or UINT8")
    return shape
