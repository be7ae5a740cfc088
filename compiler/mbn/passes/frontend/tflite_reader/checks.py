"""Refuses, by name, networks whose maps or weights are not of 8 bits.

What enters: a `FlatGraph`. What leaves: nothing, or one UnsupportedError that lists every kind of
obstacle with the operators that have it.
"""

from __future__ import annotations

from mbn.core.errors import UnsupportedError
from mbn.passes.frontend.tflite_reader.flat import ABSENT, FlatGraph, FlatOperator, FlatTensor

# Operators that may have real values: at the ends of a network, for the host
AT_THE_ENDS = frozenset(
    ("QUANTIZE", "DEQUANTIZE", "SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "TANH", "ARG_MAX", "RESHAPE")
)
FLOAT = "float maps"
HYBRID = "float maps with 8-bit weights (dynamic range quantisation)"


def check_kinds(graph: FlatGraph) -> None:
    """Raises UnsupportedError for float, hybrid, int16 and int4 networks."""
    found: dict[str, dict[str, list[str]]] = {}
    for operator in graph.operators:
        reason = _reason(graph, operator)
        if reason is not None:
            name = graph.tensors[operator.outputs[0]].name if operator.outputs else "no name"
            found.setdefault(reason, {}).setdefault(operator.name, []).append(name)
    if not found:
        return
    raise UnsupportedError(
        "; ".join(f"{reason} ({_listed(names)})" for reason, names in found.items()),
        wanted="maps and weights of int8 or uint8",
        advice="Convert with full-integer quantisation: a representative dataset, and "
        "supported_ops TFLITE_BUILTINS_INT8; or give the float network as ONNX, with --calibrate",
    )


def _listed(names: dict[str, list[str]]) -> str:
    return ", ".join(f"{name} x{len(of)}, first at {of[0]}" for name, of in names.items())


def _reason(graph: FlatGraph, operator: FlatOperator) -> str | None:
    tensors = [graph.tensors[number] for number in operator.inputs if number != ABSENT]
    maps = [one for one in tensors if one.data is None]
    maps += [graph.tensors[number] for number in operator.outputs]
    stored = [one for one in tensors if one.data is not None]
    for kind in ("INT4", "FLOAT16", "BFLOAT16"):
        if any(one.kind == kind for one in tensors):
            return f"{kind} weights"
    if any(one.kind == "INT16" for one in maps):
        return "int16 maps"
    if any(one.kind == "FLOAT32" for one in maps) and not _at_an_end(operator, maps):
        return HYBRID if any(_is_weight(one) for one in stored) else FLOAT
    return None


def _at_an_end(operator: FlatOperator, maps: list[FlatTensor]) -> bool:
    return operator.name in AT_THE_ENDS and bool(maps)


def _is_weight(tensor: FlatTensor) -> bool:
    return tensor.kind in ("INT8", "UINT8") and len(tensor.shape) > 1
