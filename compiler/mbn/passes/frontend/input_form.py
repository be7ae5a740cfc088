"""Gives a graph's input four dimensions, and the sizes that its file leaves open.

What enters: a checked ModelProto, changed in place. What leaves: the same function of the same
numbers in the same order, under an input of four dimensions: batch 1, and a map in either order of
its axes. [1, 640] becomes [1, 640, 1, 1], that is one pixel of 640 channels; [1, 49, 10] becomes
[1, 1, 49, 10], a map of one channel, unless the graph itself makes another map of it first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from mbn.core.errors import UsageError
from mbn.passes.frontend.input_layout import passes

_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
MOST_VALUES = 2**22  # of an input: what onnx_file refuses anyway


def input_value(model: Any) -> Any | None:
    """The only input of a graph; None where there are several."""
    stored = {one.name for one in model.graph.initializer}
    found = [value for value in model.graph.input if value.name not in stored]
    return found[0] if len(found) == 1 else None


def input_sizes(model: Any) -> tuple[int | str, ...]:
    """The input's dimensions as the file has them: a name, or "?", where it leaves one open."""
    value = input_value(model)
    if value is None:
        return ()
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in value.type.tensor_type.shape.dim
    )


def fix_input(model: Any, sizes: Sequence[int]) -> None:
    """Writes `sizes`, batch first, into the open dimensions of the input, in place. UsageError
    where the file says otherwise."""
    value = input_value(model)
    if value is None:
        return
    known = input_sizes(model)
    shape = value.type.tensor_type.shape
    fits = not known or (
        len(known) == len(sizes)
        and all(
            isinstance(there, str) or there in (size, 0)
            for there, size in zip(known, sizes, strict=True)
        )
    )
    if not fits:
        raise UsageError(
            f"--input-shape {','.join(map(str, sizes))} for the input {value.name}, which the "
            f"file gives the shape {','.join(map(str, known))}",
            wanted="the file's own numbers, and others only where it leaves a dimension open",
        )
    del shape.dim[:]
    for size in sizes:
        shape.dim.add().dim_value = size
    del model.graph.value_info[:]  # sizes that were open follow anew


def make_map(model: Any) -> None:
    """Gives an input of one to three dimensions four, in place; see the head of this file. An
    input that can't be read so stays as it is, and is refused later."""
    value = input_value(model)
    if value is None or not value.type.tensor_type.HasField("shape"):
        return
    sizes = [size if isinstance(size, int) else 0 for size in input_sizes(model)]
    if not 1 <= len(sizes) <= 3:
        return
    if len(sizes) > 1 and sizes[0] <= 0:
        sizes[0] = 1
    if min(sizes) <= 0 or math.prod(sizes) > MOST_VALUES:
        return
    chain, shapes = _chain(model.graph, value.name, sizes)
    at = next((i for i, one in enumerate(shapes) if len(one) == 4 and one[0] == 1), None)
    if at is not None:
        _drop(model.graph, [node for node in chain[: at + 1] if node.op_type in _RESHAPES])
        _set(value, shapes[at])
    else:
        shape = _four(sizes)
        if shape is None:
            return
        _insert(model.graph, value.name, chain, shapes, sizes)
        _set(value, shape)
    del model.graph.value_info[:]


def _four(sizes: Sequence[int]) -> list[int] | None:
    """A vector's shape is one pixel, two dimensions are rows and columns; None: not known which
    is the batch."""
    if len(sizes) == 1:
        return [1, sizes[0], 1, 1]
    if sizes[0] != 1:
        return None
    return [1, sizes[1], 1, 1] if len(sizes) == 2 else [1, 1, sizes[1], sizes[2]]


def _set(value: Any, shape: Sequence[int]) -> None:
    dims = value.type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        value.type.tensor_type.shape.dim.add().dim_value = size


def _chain(graph: Any, name: str, sizes: Sequence[int]) -> tuple[list[Any], list[tuple[int, ...]]]:
    """The nodes behind the input that only move values or treat all alike, as long as each is the
    only reader, and the shape that each gives."""
    stored = {one.name: one for one in graph.initializer}
    results = {one.name for one in graph.output}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for one in dict.fromkeys(node.input):
            readers.setdefault(one, []).append(node)
    chain: list[Any] = []
    shapes: list[tuple[int, ...]] = []
    shape: tuple[int, ...] | None = tuple(sizes)
    while shape is not None and len(readers.get(name, ())) == 1 and name not in results:
        node = readers[name][0]
        if node.op_type in _RESHAPES:
            shape = _reshaped(node, shape, stored)
        elif not passes(node, stored):
            break
        if shape is not None:
            chain.append(node)
            shapes.append(shape)
            name = node.output[0]
    return chain, shapes


def _reshaped(node: Any, shape: tuple[int, ...], stored: dict[str, Any]) -> tuple[int, ...] | None:
    """What a node makes of a shape; None where that is not known from constants."""
    if any(name and name not in stored for name in node.input[1:]):
        return None
    given = [numpy_helper.to_array(stored[name]).reshape(-1).tolist() for name in node.input[1:]]
    axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
    listed = next((list(one.ints) for one in node.attribute if one.name == "axes"), None)
    values = np.zeros(shape, np.int8)
    axes = given[0] if given else listed
    try:
        if node.op_type == "Reshape":
            wanted = [shape[i] if size == 0 else size for i, size in enumerate(given[0])]
            return values.reshape(wanted).shape
        if node.op_type == "Flatten":
            axis += len(shape) if axis < 0 else 0
            return (math.prod(shape[:axis]), math.prod(shape[axis:]))
        if node.op_type == "Squeeze":
            return values.squeeze(None if axes is None else tuple(axes)).shape
        return np.expand_dims(values, tuple(axes or ())).shape
    except (ValueError, IndexError, TypeError):
        return None  # ONNX's checker does not look: shape inference will say it


def _drop(graph: Any, nodes: Sequence[Any]) -> None:
    """Takes nodes out of a chain; what read their results reads what they read."""
    for gone in nodes:
        for node in graph.node:
            for at, name in enumerate(node.input):
                if name == gone.output[0]:
                    node.input[at] = gone.input[0]
        graph.node.remove(gone)


def _insert(
    graph: Any,
    name: str,
    chain: Sequence[Any],
    shapes: Sequence[tuple[int, ...]],
    sizes: Sequence[int],
) -> None:
    """A Reshape back to the input's own shape, behind the nodes that treat all values alike, so
    that what is quantised is the input itself; at once to what the graph reshapes it to."""
    results = {one.name for one in graph.output}
    plain = next((i for i, one in enumerate(chain) if one.op_type in _RESHAPES), len(chain))
    run = list(takewhile(lambda one: one.op_type in _RESHAPES, chain[plain:]))
    if run and run[-1].output[0] not in results:
        sizes = shapes[plain + len(run) - 1]
        _drop(graph, run)
    name = chain[plain - 1].output[0] if plain else name
    made, shape = f"{name}:own_shape", f"{name}:own_sizes"
    for node in graph.node:
        for at, one in enumerate(node.input):
            if one == name:
                node.input[at] = made
    reshape = helper.make_node("Reshape", [name, shape], [made], name=f"{name}:reshape")
    graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), shape))
    at = next((i + 1 for i, node in enumerate(graph.node) if name in node.output), 0)
    graph.node.insert(at, reshape)
