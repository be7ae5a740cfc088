"""The typed boundary around Relax: importing a graph, and a few questions about it.

An imported graph is an IRModule whose `main` is in A-normal form. The rest of the frontend reaches
TVM's untyped interface only through these functions and the pass. An exception of TVM's importer
becomes a ModelError.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.shape_inference
from numpy.typing import NDArray

from mbn.core.errors import ModelError, UnsupportedError
from mbn.passes.frontend.onnx_file import OnnxGraph
from mbn.passes.frontend.supported import node_label
from mbn.passes.tvm_alone import import_tvm


def import_graph(graph: OnnxGraph) -> Any:
    """The Relax module of the graph, float operators between quantize and dequantize."""
    try:
        module, made = _import(graph, graph.model)
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise ModelError(
            f"TVM can't import the graph ({lines[-1] if lines else type(error).__name__})",
            node=_first_refused(graph),
            wanted="a graph of convolutions, pools, dense layers and their quantisation",
        ) from error
    _check_shapes(graph.model, made)
    return module


def _import(graph: OnnxGraph, model: Any) -> tuple[Any, dict[str, Any]]:
    """The module, and the expression of each value of the graph: what `from_onnx` does, which keeps
    the second to itself."""
    import_tvm()
    from tvm.relax.frontend.onnx import onnx_frontend  # noqa: PLC0415  (TVM takes seconds)

    sizes = {graph.input_name: list(graph.input_shape)}
    importer = onnx_frontend.ONNXGraphImporter(sizes, "float32")
    opsets = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
    # TVM prints and warns of what it then raises
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importer.from_onnx(model.graph, opsets[0] if opsets else 1)
    return module, dict(importer._nodes)


def _check_shapes(model: Any, made: Mapping[str, Any]) -> None:
    """Refuses a node of which TVM makes another shape than ONNX: it has overlooked an attribute."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    del plain.graph.value_info[:]  # what the file says of them may be wrong
    for output in plain.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(plain).graph
    wanted = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.output)
        if value.type.tensor_type.HasField("shape")
    }
    for node in model.graph.node:
        for name in node.output:
            found = _static_shape(made.get(name))
            sizes = wanted.get(name)
            if found is None or not sizes or 0 in sizes or found == sizes:
                continue
            raise UnsupportedError(
                f"{node.op_type} makes {sizes} by ONNX's rules, {found} by TVM's",
                node=f"node {node_label(node)}",
                wanted="one shape",
                advice="Write its sizes or its padding in another way",
            )


def _static_shape(expr: Any) -> list[int] | None:
    try:
        return [int(size) for size in expr.ty.shape]
    except (AttributeError, TypeError):  # a tuple, a shape, or nothing
        return None


def _first_refused(graph: OnnxGraph) -> str | None:
    """The first node that can't be imported, by bisection: TVM does not say which it was."""
    nodes = graph.model.graph.node
    good, bad = 0, len(nodes)
    while bad - good > 1:
        middle = (good + bad) // 2
        part = type(graph.model)()
        part.CopyFrom(graph.model)
        del part.graph.node[middle:], part.graph.output[:], part.graph.value_info[:]
        part.graph.output.add().name = nodes[middle - 1].output[0]
        try:
            _import(graph, part)
        except Exception:  # any kind: it is the same refusal
            bad = middle
        else:
            good = middle
    # if the first node fails already, a constant may be the cause, which has no node
    return None if bad <= 1 else f"node {node_label(nodes[bad - 1])}"


def op_name(expr: Any) -> str:
    """`relax.nn.conv2d` for a call of that operator, '' for anything else."""
    from tvm import relax  # noqa: PLC0415
    from tvm.ir import Op  # noqa: PLC0415

    if isinstance(expr, relax.Call) and isinstance(expr.op, Op):
        return str(expr.op.name)
    return ""


def is_tuple(expr: Any) -> bool:
    """Whether an expression is a tuple as it stands, as a concatenation reads it."""
    from tvm import relax  # noqa: PLC0415

    return isinstance(expr, relax.Tuple)


def shape_of(expr: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in expr.ty.shape)


def dtype_of(expr: Any) -> str:
    return str(expr.ty.dtype)


def constant(expr: Any) -> NDArray[Any] | None:
    """The value of a Relax constant, or None for anything else."""
    from tvm.ir import GenericConst  # noqa: PLC0415

    if isinstance(expr, GenericConst):
        return np.asarray(expr.value.numpy())
    return None


def ints(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def numbers(expr: Any) -> list[int]:
    """The integers of a Relax tuple or list of prim values."""
    fields = getattr(expr, "fields", expr)
    return [int(getattr(one, "value", one)) for one in fields]
