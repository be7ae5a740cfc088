"""Gives every convolution its padding as numbers.

A Pad with zeros before a convolution becomes part of the convolution, where that can have so much.
QuantizeLinear and DequantizeLinear may stand between them, since zero has an exact code. SAME_UPPER
and SAME_LOWER become numbers where the size is known. The padding of an average pool that counts
becomes a Pad. Any other Pad with a constant becomes a Concat of its input and constants.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from mbn.passes.frontend.shapes import inferred

LARGEST_JOINED = 4096
LARGEST = 64  # far more than any kernel's padding


def make_padding_explicit(model: Any) -> None:
    """Changes the model in place; see the head of this file."""
    _fold_pads(model)
    _fix_automatic(model)
    _pad_before_pools(model)
    _join_constants(model)


def _fix_automatic(model: Any) -> None:
    automatic = [node for node in model.graph.node if _automatic(node)]
    if not automatic:
        return
    known = inferred(model)
    if known is None:
        return
    shapes = _shapes(known)
    for node in automatic:
        size = shapes.get(node.input[0], ())
        if len(size) != 4 or min(size[2:]) <= 0:
            continue
        if node.op_type == "AveragePool":
            _fix(node, size[2:], ())
        elif node.input[1] in shapes:
            fix = _fix if node.op_type == "Conv" else _fix_transposed
            fix(node, size[2:], shapes[node.input[1]][2:])


def _pad_before_pools(model: Any) -> None:
    """The padding of an average pool that counts (count_include_pad 1) becomes a Pad with zeros."""
    for node in [one for one in model.graph.node if one.op_type == "AveragePool"]:
        pads = _attribute(node, "pads", [])
        counts = _attribute(node, "count_include_pad", 0) == 1
        explicit = _attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
        if not (counts and explicit and len(pads) == 4 and any(pads)):
            continue
        label = node.name or node.output[0]
        amounts = np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(amounts, f"{label}_pads"))
        names = [node.input[0], f"{label}_pads"]
        pad = helper.make_node("Pad", names, [f"{label}_padded"], f"{label}_pad")
        model.graph.node.insert(list(model.graph.node).index(node), pad)
        node.input[0] = pad.output[0]
        _set(node, "pads", [0, 0, 0, 0])


def _attribute(node: Any, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default


def _fix_transposed(node: Any, size: tuple[int, ...], weight: tuple[int, ...]) -> None:
    """A transposed convolution's `output_shape`, or SAME, as `pads`, by ONNX's formula. What does
    not fit stays as it is, and is refused by its shape."""
    wanted = _attribute(node, "output_shape", [])[-2:]
    kernel = _attribute(node, "kernel_shape", weight)
    strides = _attribute(node, "strides", [1, 1])
    dilations = _attribute(node, "dilations", [1, 1])
    extra = _attribute(node, "output_padding", [0, 0])
    if not len(kernel) == len(strides) == len(dilations) == len(extra) == 2:
        return
    upper = _attribute(node, "auto_pad", b"NOTSET") == b"SAME_UPPER"
    before, after = [], []
    for at in (0, 1):
        made = wanted[at] if len(wanted) == 2 else size[at] * strides[at]
        whole = strides[at] * (size[at] - 1) + extra[at] + (kernel[at] - 1) * dilations[at] + 1
        if whole < made:
            return
        small, large = (whole - made) // 2, whole - made - (whole - made) // 2
        before.append(small if upper else large)
        after.append(large if upper else small)
    for attribute in [one for one in node.attribute if one.name == "output_shape"]:
        node.attribute.remove(attribute)
    _set(node, "auto_pad", "NOTSET")
    _set(node, "pads", [*before, *after])


def _set(node: Any, name: str, value: Any) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def _automatic(node: Any) -> bool:
    if node.op_type == "ConvTranspose" and _attribute(node, "output_shape", None):
        return True
    same = _attribute(node, "auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    return same and node.op_type in ("Conv", "ConvTranspose", "AveragePool")


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    found = {constant.name: tuple(constant.dims) for constant in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info):
        dims = value.type.tensor_type.shape.dim
        found[value.name] = tuple(dim.dim_value for dim in dims)
    return found


def _fix(node: Any, size: tuple[int, ...], weight: tuple[int, ...]) -> None:
    """SAME: as many outputs as ceil(size / stride); an odd one goes below (LOWER: above)."""
    upper = _attribute(node, "auto_pad", b"") == b"SAME_UPPER"
    kernel = _attribute(node, "kernel_shape", weight)
    strides = _attribute(node, "strides", [1, 1])
    if len(kernel) != 2 or len(strides) != 2 or min(strides) < 1:
        return
    before, after = [], []
    for length, taps, stride in zip(size, kernel, strides, strict=True):
        total = max(0, (-(-length // stride) - 1) * stride + taps - length)
        small, large = total // 2, total - total // 2
        before.append(small if upper else large)
        after.append(large if upper else small)
    _set(node, "auto_pad", "NOTSET")
    _set(node, "pads", [*before, *after])


def _fold_pads(model: Any) -> None:
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and len(node.attribute) == 1 and len(node.output) == 1:
            constants[node.output[0]] = node.attribute[0].t
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    by_input = {node.input[0]: node for node in graph.node if len(node.input)}
    for pad in [node for node in graph.node if node.op_type == "Pad"]:
        amounts = _amounts(pad, constants)
        conv = by_input.get(pad.output[0])
        value = pad.output[0]
        while conv is not None and conv.op_type in ("QuantizeLinear", "DequantizeLinear"):
            if readers[value] != 1:
                break
            value = conv.output[0]
            conv = by_input.get(value)
        if amounts is None or conv is None or conv.op_type != "Conv" or readers[value] != 1:
            continue
        if _attribute(conv, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            continue
        pads = _attribute(conv, "pads", [0, 0, 0, 0])
        if len(pads) != 4:
            continue
        together = [a + b for a, b in zip(pads, amounts, strict=True)]
        if not _fits(conv, together):
            continue  # it is moved instead: no kernel has windows of padding alone
        _set(conv, "auto_pad", "NOTSET")
        _set(conv, "pads", together)
        by_input[pad.output[0]].input[0] = pad.input[0]
        graph.node.remove(pad)
        del graph.value_info[:]  # the sizes behind it are others now


def _fits(conv: Any, pads: list[int]) -> bool:
    """Whether every window has a value that is not padding; so too where its size is not said."""
    kernel = _attribute(conv, "kernel_shape", [])
    steps = _attribute(conv, "dilations", [1, 1])
    if len(kernel) != 2 or len(steps) != 2:
        return True
    reach = [(taps - 1) * step for taps, step in zip(kernel, steps, strict=True)]
    return all(pad <= reach[at % 2] for at, pad in enumerate(pads))


def _join_constants(model: Any) -> None:
    """Each Pad with a constant as Concats, one an axis."""
    pads = [node for node in model.graph.node if node.op_type == "Pad"]
    if not pads:
        return
    known = inferred(model)
    if known is None:
        return
    shapes, constants = _shapes(known), {one.name: one for one in model.graph.initializer}
    kinds = {
        value.name: value.type.tensor_type.elem_type
        for value in (*known.graph.input, *known.graph.value_info)
    }
    for pad in pads:
        amounts = _all_amounts(pad, constants, len(shapes.get(pad.input[0], ())))
        if amounts is not None and pad.input[0] in kinds:
            kind = helper.tensor_dtype_to_np_dtype(kinds[pad.input[0]])
            _join(model.graph, pad, amounts, shapes[pad.input[0]], kind)


def _all_amounts(
    pad: Any, constants: dict[str, Any], rank: int
) -> tuple[list[int], list[int], float] | None:
    """Before and behind, for each axis, and the value; None where one of them is not known."""
    if _attribute(pad, "mode", b"constant") != b"constant" or rank == 0:
        return None
    given = [name for name in pad.input[1:] if name]
    if not all(name in constants for name in given) or len(pad.input) < 2:
        return None
    known = [
        numpy_helper.to_array(constants[name]).reshape(-1) if name else np.zeros(0)
        for name in (*pad.input[1:], "", "")
    ]
    axes = [int(axis) % rank for axis in known[2]] or list(range(rank))
    before, behind = [0] * rank, [0] * rank
    for at, axis in enumerate(axes):
        before[axis], behind[axis] = int(known[0][at]), int(known[0][len(axes) + at])
    if min(*before, *behind, 0) < 0 or max(*before, *behind, 0) > LARGEST_JOINED:
        return None
    return before, behind, float(known[1][0]) if known[1].size else 0.0


def _join(
    graph: Any,
    pad: Any,
    amounts: tuple[list[int], list[int], float],
    shape: tuple[int, ...],
    kind: Any,
) -> None:
    before, behind, value = amounts
    sizes, current = list(shape), pad.input[0]
    made = []
    axes = [axis for axis in range(len(sizes)) if before[axis] or behind[axis]]
    for axis in axes:
        parts = [current]
        for at, count in ((0, before[axis]), (len(parts) + 1, behind[axis])):
            if count == 0:
                continue
            name = f"{pad.output[0]}_pad{axis}_{'behind' if at else 'before'}"
            filled = np.full([*sizes[:axis], count, *sizes[axis + 1 :]], value, kind)
            graph.initializer.append(numpy_helper.from_array(filled, name))
            parts.insert(at, name)
        sizes[axis] += before[axis] + behind[axis]
        current = pad.output[0] if axis == axes[-1] else f"{pad.output[0]}_pad{axis}"
        name = pad.name if axis == axes[-1] else f"{pad.name}_{axis}"
        made.append(helper.make_node("Concat", parts, [current], name=name, axis=axis))
    if not made:
        made = [helper.make_node("Identity", [current], [pad.output[0]], name=pad.name)]
    at = list(graph.node).index(pad)
    graph.node.remove(pad)
    for number, node in enumerate(made):
        graph.node.insert(at + number, node)


def _amounts(pad: Any, constants: dict[str, Any]) -> list[int] | None:
    """Rows and columns of zeros: top, left, bottom, right; None for anything else."""
    if _attribute(pad, "mode", b"constant") != b"constant" or len(pad.input) < 2:
        return None
    if len(pad.input) > 3 and pad.input[3]:
        return None
    try:
        if len(pad.input) > 2 and pad.input[2]:
            value = numpy_helper.to_array(constants[pad.input[2]])
            if np.any(value != 0):
                return None
        amounts = [int(v) for v in numpy_helper.to_array(constants[pad.input[1]]).reshape(-1)]
    except (KeyError, ValueError, TypeError):
        return None
    if len(amounts) != 8 or any(amounts[at] for at in (0, 1, 4, 5)):
        return None
    window = [amounts[at] for at in (2, 3, 6, 7)]
    return window if all(0 <= v <= LARGEST for v in window) else None
