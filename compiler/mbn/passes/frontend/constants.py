"""Folds constant subgraphs, as exporters write them around shapes, pads and zero points.

What enters: a checked ModelProto, changed in place. What leaves: the same graph, in which a node
whose inputs are all constants is an initializer of the same name. Values are those of ONNX's own
evaluator. A Shape of a map whose size is known (the batch taken as 1) counts as constant; the
DequantizeLinear of weights does not, since it is what says how they are quantised. All other nodes
stay as they are, with their names.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

MOST_VALUES = 2**25  # of a constant; a folded one may not be larger than one that was stored
ELEMENT_WISE = frozenset(
    "Add Sub Mul Div Pow Min Max Neg Abs Sqrt Exp Log Reciprocal Floor Ceil Round Sign Cast "  # noqa: SIM905
    "Equal Greater GreaterOrEqual Less LessOrEqual And Or Not Where Mod Clip".split()
)
REARRANGING = frozenset(
    "Concat Gather Slice Reshape Flatten Squeeze Unsqueeze Transpose Identity "  # noqa: SIM905
    "ReduceProd ReduceSum ReduceMax ReduceMin QuantizeLinear".split()
)
GROWING = frozenset(("ConstantOfShape", "Expand", "Tile", "Range"))
FOLDED = ELEMENT_WISE | REARRANGING | GROWING

Array = NDArray[Any]


def fold_constants(model: Any, *, weights_too: bool = False) -> int:
    """Changes the model in place; see the head of this file. Returns how many nodes were folded.
    `weights_too`: the DequantizeLinear of constants as well."""
    known = _stored(model)
    operators = FOLDED | ({"DequantizeLinear"} if weights_too else set())
    shapes: dict[str, tuple[int, ...]] | None = None
    total = 0
    while True:
        folded = _fold_once(model, known, shapes or {}, operators)
        total += folded
        waits = any(node.op_type in ("Shape", "Size") for node in model.graph.node)
        if not waits or (shapes is not None and not folded):
            return total
        shapes = _shapes(model)


def _stored(model: Any) -> dict[str, Any]:
    """Constants by name, as they are stored; turned into arrays when they are needed."""
    known: dict[str, Any] = {one.name: one for one in model.graph.initializer}
    for node in model.graph.node:
        value = _constant_node(node)
        if value is not None:
            known[node.output[0]] = value
    return known


def _constant_node(node: Any) -> Any:
    """What a Constant node holds; None for others."""
    if node.op_type != "Constant" or len(node.attribute) != 1 or len(node.output) != 1:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        return attribute.t
    if attribute.name in ("value_int", "value_float", "value_ints", "value_floats"):
        kind = np.int64 if "int" in attribute.name else np.float32
        return numpy_helper.from_array(np.array(helper.get_attribute_value(attribute), kind))
    return None


def _fold_once(
    model: Any,
    known: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    operators: frozenset[str],
) -> int:
    """One walk over the nodes, in their order; how many were folded."""
    kept, folded = [], 0
    results = {value.name for value in model.graph.output}
    for node in model.graph.node:
        made = (
            None
            if results.intersection(node.output)
            else _value(model, node, known, shapes, operators)
        )
        if made is None:
            kept.append(node)
            continue
        tensor = numpy_helper.from_array(made, node.output[0])
        model.graph.initializer.append(tensor)
        known[node.output[0]] = tensor
        folded += 1
    if folded:
        del model.graph.node[:]
        model.graph.node.extend(kept)
    return folded


def _value(
    model: Any,
    node: Any,
    known: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    operators: frozenset[str],
) -> Array | None:
    """What a node gives, where that is known; None where it is not."""
    if node.domain not in ("", "ai.onnx") or len(node.output) != 1:
        return None
    if node.op_type in ("Shape", "Size"):
        stored = known.get(node.input[0])
        shape = shapes.get(node.input[0]) if stored is None else tuple(stored.dims)
        return None if shape is None else _sized(node, shape)
    if node.op_type not in operators or any(name and name not in known for name in node.input):
        return None
    inputs: dict[str, Array] = {
        str(name): numpy_helper.to_array(known[name]) for name in node.input if name
    }
    if _most_values(node, [inputs[name] for name in node.input if name]) > MOST_VALUES:
        return None
    graph = helper.make_graph(
        [node],
        "constant",
        [],
        [onnx.ValueInfoProto(name=node.output[0])],
        [numpy_helper.from_array(value, name) for name, value in inputs.items()],
    )
    opsets = list(model.opset_import)
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        opsets = [helper.make_opsetid("", 21)]  # the evaluator lacks the older ones, which agree
    alone = helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version)
    try:
        found: Any = ReferenceEvaluator(alone).run(None, {})
    except Exception:  # what can't be evaluated stays, for the checks that follow to name
        return None
    return np.asarray(found[0])


def _sized(node: Any, shape: tuple[int, ...]) -> Array:
    if node.op_type == "Size":
        return np.array(math.prod(shape), np.int64)
    ends = {one.name: one.i for one in node.attribute}
    return np.array(shape[ends.get("start", 0) : ends.get("end", len(shape))], np.int64)


def _most_values(node: Any, inputs: list[Array]) -> float:
    """At most so many values come out: hostile files ask for more than there is memory."""
    if node.op_type in GROWING:
        asked = [one.astype(np.float64).reshape(-1) for one in inputs]
        if node.op_type == "Range":
            start, limit, step = (float(one[0]) for one in asked)
            return abs((limit - start) / step) if step else math.inf
        factor = float(np.prod(np.maximum(np.abs(asked[-1]), 1)))
        return factor * (1 if node.op_type == "ConstantOfShape" else max(1, inputs[0].size))
    if node.op_type in ELEMENT_WISE:
        ranks = max((one.ndim for one in inputs), default=0)
        padded = [(1,) * (ranks - one.ndim) + one.shape for one in inputs]
        return float(math.prod(max(sizes) for sizes in zip(*padded, strict=True)))
    if node.op_type == "Gather":
        return float(max(1, inputs[0].size) * max(1, inputs[1].size))
    return float(sum(one.size for one in inputs))


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Sizes of maps that are fully known once an open batch is taken as 1."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    stored = {one.name for one in fixed.graph.initializer}
    for value in fixed.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in stored and len(dims) and not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
    del fixed.graph.value_info[:]
    try:
        fixed = shape_inference.infer_shapes(fixed, data_prop=True)
    except Exception:  # a graph whose shapes don't fit is refused later, by name
        return {}
    found = {}
    for value in (*fixed.graph.input, *fixed.graph.value_info):
        kind = value.type.tensor_type
        sizes = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in kind.shape.dim]
        if kind.HasField("shape") and all(size > 0 for size in sizes):
            found[value.name] = tuple(sizes)
    return found
