"""Says how the image lies in a graph's input, in one form.

What enters: a checked ModelProto whose constants are folded, changed in place. What leaves: the
same function; where the input lies height, width, channel, the Transpose to channels first is the
first node, whatever stood before it: quantisers that go by the tensor, whose codes a transposition
does not change, or, of one channel, a Reshape that does the same (as tf2onnx writes it).
"""

from __future__ import annotations

from typing import Any

from onnx import helper, numpy_helper

TO_CHANNELS_FIRST = [0, 3, 1, 2]
_PASSED = ("QuantizeLinear", "DequantizeLinear", "Cast", "Identity")


def put_transpose_first(model: Any) -> None:
    """Changes the model in place; see the head of this file."""
    graph = model.graph
    stored = {one.name: one for one in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    if len(inputs) != 1:
        return
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(node)
    value, chain = inputs[0].name, []
    while len(readers.get(value, ())) == 1 and passes(readers[value][0], stored):
        chain.append(readers[value][0])
        value = chain[-1].output[0]
    turning = readers.get(value, ())
    if len(turning) != 1 or not _turns(turning[0], inputs[0], stored):
        return
    if any(one.name in (value, turning[0].output[0]) for one in graph.output):
        return
    _hoist(graph, inputs[0].name, chain, turning[0])


def is_channels_last(model: Any) -> bool:
    """Whether the input lies height, width, channel: a Transpose is the first that reads it."""
    stored = {one.name for one in model.graph.initializer}
    names = {value.name for value in model.graph.input} - stored
    first = [node for node in model.graph.node if names.intersection(node.input)]
    return bool(first) and all(permutation(node) == TO_CHANNELS_FIRST for node in first)


def passes(node: Any, stored: dict[str, Any]) -> bool:
    """A node that treats every value alike, wherever it lies."""
    if node.op_type not in _PASSED or len(node.output) != 1:
        return False
    sizes = [numpy_helper.to_array(stored[name]).size for name in node.input[1:] if name in stored]
    return all(name in stored for name in node.input[1:] if name) and all(s == 1 for s in sizes)


def _turns(node: Any, image: Any, stored: dict[str, Any]) -> bool:
    """Whether a node puts channels first: a Transpose, or of one channel a Reshape."""
    if node.op_type == "Transpose":
        return permutation(node) == TO_CHANNELS_FIRST
    sizes = [dim.dim_value for dim in image.type.tensor_type.shape.dim]
    if node.op_type != "Reshape" or len(sizes) != 4 or sizes[3] != 1 or node.input[1] not in stored:
        return False
    wanted = numpy_helper.to_array(stored[node.input[1]]).reshape(-1).tolist()
    return len(wanted) == 4 and wanted[0] in (-1, 0, 1) and wanted[1:] == [1, *sizes[1:3]]


def permutation(node: Any) -> list[int]:
    if node.op_type != "Transpose":
        return []
    return list(next((one.ints for one in node.attribute if one.name == "perm"), []))


def _hoist(graph: Any, image: str, chain: list[Any], turning: Any) -> None:
    """The transposition first, then the chain, whose last result takes the transposed name."""
    if not chain and turning.op_type == "Transpose":
        return
    first = helper.make_node(
        "Transpose",
        [image],
        [f"{image}:channels_first" if chain else turning.output[0]],
        name=turning.name,
        perm=TO_CHANNELS_FIRST,
    )
    last = turning.output[0]
    graph.node.remove(turning)
    if chain:
        chain[0].input[0] = first.output[0]
        old = chain[-1].output[0]
        chain[-1].output[0] = last
        assert all(old not in node.input for node in graph.node)
    del graph.value_info[:]  # the sizes between are others now
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([first, *nodes])
