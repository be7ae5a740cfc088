"""Which nodes ONNX Runtime's quantiser leaves alone, and which it must not overlook.

Between two quantisations a tree of element-wise operators over one map is a table: nothing inside
is quantised, only its ends. What moves or reduces maps is quantised although ONNX Runtime has no
rule of its own for it.
"""

from __future__ import annotations

from typing import Any

from mbn.core.expression import ONNX_ELEMENTWISE

# Of these ONNX Runtime has no rule of its own, and quantises their ends if it is told to
OVERLOOKED = (
    "DepthToSpace",
    "GlobalMaxPool",
    "ReduceMax",
    "ReduceMean",
    "SpaceToDepth",
)
POOLS = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean", "Resize")
MOVES = ("Flatten", "Identity", "Pad", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
CLAMPS = ("Relu", "Clip")  # ONNX Runtime puts them into what is before them


def island_nodes(model: Any) -> list[str]:
    """The names of nodes inside islands that are more than a clamp. Nodes without a name get one,
    in place."""
    constants = {one.name for one in model.graph.initializer} | {""}
    roots: dict[str, str] = {}  # of a value inside an island: the map that enters it
    inside: dict[str, list[Any]] = {}
    for number, node in enumerate(model.graph.node):
        if all(name in constants for name in node.input):
            constants.update(node.output)
            continue
        if node.op_type not in ONNX_ELEMENTWISE:
            continue
        entering = {roots.get(name, name) for name in node.input if name not in constants}
        if len(entering) != 1:
            continue  # a sum or a product of two maps
        node.name = node.name or f"{node.op_type}_{number}"
        root = entering.pop()
        roots[node.output[0]] = root
        inside.setdefault(root, []).append(node)
    return [
        node.name
        for nodes in inside.values()
        if any(node.op_type not in CLAMPS for node in nodes)
        for node in nodes
    ]


def begins_with_pool(model: Any) -> bool:
    """Whether a pool or a resize reads the input, perhaps moved or padded: ONNX Runtime leaves such
    a one in float, unless it is told not to look at what comes before."""
    constants = {one.name for one in model.graph.initializer}
    raw = {value.name for value in model.graph.input} - constants
    for node in model.graph.node:
        if not node.input or node.input[0] not in raw:
            continue
        if node.op_type in POOLS:
            return True
        if node.op_type in MOVES:
            raw.update(node.output)
    return False


def quantised_types(model: Any, usual: list[str]) -> list[str] | None:
    """The operators that are quantised; None where the usual ones are all."""
    found = {node.op_type for node in model.graph.node}.intersection(OVERLOOKED)
    return sorted({*usual, *found}) if found else None
