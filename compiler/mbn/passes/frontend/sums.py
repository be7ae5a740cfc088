"""Sums over height, width or both as means: a mean, times the number of its values.

What enters: a checked ModelProto whose constants are folded, changed in place. What leaves: the
same function. Where the sum is quantised the mean is so too, with a step that is as much smaller,
so that its codes are the sum's. Sums over other axes stay, and are refused by name.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from mbn.passes.frontend.opset import opset_of
from mbn.passes.frontend.shapes import inferred

AXES_ARE_AN_INPUT = 18  # of ReduceMean, from this opset on


def write_sums_as_means(model: Any) -> None:
    """Changes the model in place; see the head of this file."""
    sums = [node for node in model.graph.node if node.op_type == "ReduceSum"]
    if not sums:
        return
    known = inferred(model)
    if known is None:
        return
    sizes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*known.graph.input, *known.graph.value_info)
    }
    stored = {one.name: one for one in model.graph.initializer}
    for node in sums:
        size, axes = sizes.get(node.input[0], []), _axes(node, stored)
        if len(size) == 4 and axes and all(-4 <= axis < 4 and size[axis] > 0 for axis in axes):
            _replace(model, node, axes, math.prod(size[axis] for axis in axes), stored)


def _axes(node: Any, stored: dict[str, Any]) -> list[int]:
    """Empty where they are not known."""
    if len(node.input) > 1 and node.input[1] in stored:
        return [int(one) for one in numpy_helper.to_array(stored[node.input[1]]).reshape(-1)]
    return next((list(one.ints) for one in node.attribute if one.name == "axes"), [])


def _replace(model: Any, node: Any, axes: list[int], count: int, stored: dict[str, Any]) -> None:
    graph, label = model.graph, node.name or node.output[0]
    keep = next((one.i for one in node.attribute if one.name == "keepdims"), 1)

    def constant(what: str, value: Any) -> str:
        name = f"{label}_{what}"
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    inputs = [node.input[0]]
    given: dict[str, Any] = {"keepdims": keep}
    if opset_of(model) >= AXES_ARE_AN_INPUT:
        inputs.append(constant("axes", np.array(axes, np.int64)))
    else:
        given["axes"] = axes
    made = [helper.make_node("ReduceMean", inputs, [f"{label}_mean"], label, **given)]
    readers = [one for one in graph.node if node.output[0] in one.input]
    if len(readers) == 1 and readers[0].op_type == "QuantizeLinear":
        scale = stored.get(readers[0].input[1])
        if scale is None:
            return
        parameters = [constant("scale", numpy_helper.to_array(scale) / np.float32(count))]
        parameters += readers[0].input[2:]
        for kind, what in (("QuantizeLinear", "codes"), ("DequantizeLinear", "real")):
            name = f"{label}_{what}"
            made.append(helper.make_node(kind, [made[-1].output[0], *parameters], [name], name))
    times = [made[-1].output[0], constant("count", np.float32(count))]
    made.append(helper.make_node("Mul", times, list(node.output), f"{label}_times"))
    at = list(graph.node).index(node)
    graph.node.remove(node)
    for number, one in enumerate(made):
        graph.node.insert(at + number, one)
