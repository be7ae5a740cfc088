"""The ONNX operators that are taken, and the nodes of a graph that are not.

TAKEN is what `mbn-inspect --operators` prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from mbn.core.errors import UnsupportedError
from mbn.core.expression import ONNX_ELEMENTWISE
from mbn.passes.frontend.constants import FOLDED
from mbn.passes.frontend.host_ends import HOST_ENDS, without_host_ends
from mbn.passes.frontend.unit_length import without_divisions

# Operators that end a walk back from a QuantizeLinear; an Add of two maps does so too.
LAYER_OPERATORS = (
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "AveragePool",
    "GlobalAveragePool",
    "ReduceMean",
    "MaxPool",
    "GlobalMaxPool",
)
# Operators that move values: of two maps or more they compute nothing, and end a walk all the same
MOVERS = ("Concat", "Slice", "Split", "Pad", "Resize", "DepthToSpace", "SpaceToDepth", "Gather")
SUPPORTED_OPERATORS = frozenset(
    (
        *LAYER_OPERATORS,
        *MOVERS,
        *ONNX_ELEMENTWISE,
        "QuantizeLinear",
        "DequantizeLinear",
        "BatchNormalization",
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
# Operators allowed between a sigmoid and an output, for the host to compute it
AFTER_ALL = frozenset(
    ("QuantizeLinear", "DequantizeLinear", "Transpose", "Reshape", "Flatten", "Identity")
)
_TABLES = [name for name in ONNX_ELEMENTWISE if name not in ("Relu", "Clip")]
# By what they become: operators, and what of them is taken
TAKEN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "layers": (
        ("Conv", "any groups, windows to 16 x 16 (dilation counts), 8-bit weights"),
        ("ConvTranspose", "stride 1 to 8; as a convolution whose channels are then moved"),
        ("Gemm, MatMul", "of a vector, a flattened map, or each position of a map"),
        (
            "AveragePool, GlobalAveragePool, ReduceMean",
            "padding that counts; height, width or both",
        ),
        ("ReduceSum", "over height, width or both: a mean times the number of values"),
        ("MaxPool, GlobalMaxPool", "any window and stride"),
        ("Add, Mul", "of two maps of one shape, or one value a channel of the second"),
        ("BatchNormalization", "behind a layer; Mul, Div, Add, Sub by constants behind a Conv"),
        ("Relu, Clip", "behind a layer"),
        ("Resize, linear", "2, 4 or 8 times the size; half_pixel or asymmetric"),
        (
            "QuantizeLinear, DequantizeLinear",
            "int8 or uint8, one scale a map; of com.microsoft too",
        ),
        ("QLinearConv, QGemm ...", "ONNX Runtime's QOperator format is read as QDQ"),
    ),
    "tables": (
        (", ".join(_TABLES), "one map and constants between two quantisations, combined at will"),
    ),
    "moved, not computed": (
        ("Concat, Slice, Split, DepthToSpace, SpaceToDepth", "as they are"),
        ("Pad", "by a constant"),
        ("Resize, nearest", "to whole multiples"),
        ("Reshape, Flatten, Squeeze, Unsqueeze, Transpose", "NCHW and NHWC, shuffles of channels"),
    ),
    "at the end, left to the host": (
        (f"Softmax, Sigmoid, {', '.join(HOST_ENDS)}", "on the host"),
        ("Div", "by the vector's length"),
    ),
    "of constants": (
        (", ".join(sorted(FOLDED - SUPPORTED_OPERATORS)), "folded by ONNX's own evaluator"),
    ),
}
LARGEST_KERNEL = 16
MOST_NAMED = 4  # of what is refused besides


def operators_text(width: int = 96) -> str:
    """TAKEN as text of that many columns."""
    lines = []
    for title, rows in TAKEN.items():
        lines.append(title)
        for names, words in rows:
            if len(names) <= 22:
                lines.append(f"  {names:<23}{words}")
            else:
                given = f"{names}: {words}"
                lines += wrap(given, width, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(lines)


def node_label(node: Any) -> str:
    return str(node.name or (node.output[0] if node.output else node.op_type))


def unsupported_operators(model: Any) -> list[UnsupportedError]:
    """One error for each operator that no integer stage can come from, with the nodes that have
    it."""
    model, _ = without_divisions(model)
    model, _ = without_host_ends(model)
    at_the_end = _sigmoids_at_the_end(model)
    nodes: dict[str, list[Any]] = {}
    for node in model.graph.node:
        plain = node.domain in ("", "ai.onnx")
        if plain and (node.op_type in SUPPORTED_OPERATORS or node.output[0] in at_the_end):
            continue
        name = node.op_type if plain else f"{node.op_type} of {node.domain}"
        nodes.setdefault(name, []).append(node)
    return [
        UnsupportedError(
            f"operator {name} is not supported"
            + (f" ({len(found)} nodes; this is the first)" if len(found) > 1 else ""),
            node=f"node {node_label(found[0])}",
            wanted="an operator that mbn-inspect --operators lists",
            advice="Remove it from the graph, or keep it on the host",
        )
        for name, found in nodes.items()
    ]


def with_others(found: Sequence[UnsupportedError]) -> UnsupportedError:
    """The first of several refusals, which names what else is refused."""
    first, *others = found
    if not others:
        return first
    named = [f"{one.node}: {one.found}" for one in others[:MOST_NAMED]]
    named += [f"{len(others) - MOST_NAMED} more"] if len(others) > MOST_NAMED else []
    made = UnsupportedError(
        first.found,
        node=first.node,
        wanted=first.wanted,
        advice=f"{first.advice or 'mbn-inspect tells all'}. Besides: {'; '.join(named)}",
    )
    made.others = tuple(others)
    return made


def window_obstacle(node: Any) -> UnsupportedError | None:
    """A window that no kernel of ours has; dilation widens it."""
    if node.op_type != "Conv":
        return None
    given = {one.name: list(one.ints) for one in node.attribute if one.ints}
    kernel = given.get("kernel_shape", [1])
    dilation = given.get("dilations", [1] * len(kernel))
    window = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilation, strict=False)]
    if max(window, default=1) <= LARGEST_KERNEL:
        return None
    return UnsupportedError(
        f"a window of {' x '.join(map(str, window))}",
        node=f"node {node_label(node)}",
        wanted=f"at most {LARGEST_KERNEL} x {LARGEST_KERNEL}",
    )


def _sigmoids_at_the_end(model: Any) -> set[str]:
    """The results of sigmoids behind which nothing is computed."""
    computed: set[str] = set()  # values that some operator computes with
    found: set[str] = set()
    for node in reversed(model.graph.node):
        if node.op_type not in AFTER_ALL or computed.intersection(node.output):
            computed.update(node.input)
        if node.op_type == "Sigmoid" and not computed.intersection(node.output):
            found.update(node.output)
    return found
