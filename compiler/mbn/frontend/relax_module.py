"""The typed boundary around Relax: importing a graph, and the few questions asked of it.

What enters: an OnnxGraph. What leaves: an IRModule whose `main` is in A-normal form.
Always holds: nothing else in the frontend touches TVM's untyped surface except through these
functions and the pass; what TVM raises on import is a ModelError.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.errors import ModelError
from mbn.frontend.onnx_file import OnnxGraph


def import_graph(graph: OnnxGraph) -> Any:
    """The Relax module of the graph, float operators between quantize and dequantize."""
    from tvm.relax.frontend.onnx import from_onnx  # noqa: PLC0415  (TVM takes seconds to import)

    try:
        return from_onnx(
            graph.model,
            shape_dict={graph.input_name: list(graph.input_shape)},
            keep_params_in_input=False,
        )
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise ModelError(
            f"TVM can't import the graph ({lines[-1] if lines else type(error).__name__})",
            wanted="a graph of convolutions, pools, dense layers and their quantisation",
        ) from error


def op_name(expr: Any) -> str:
    """`relax.nn.conv2d` for a call of that operator, '' for anything else."""
    from tvm import relax  # noqa: PLC0415
    from tvm.ir import Op  # noqa: PLC0415

    if isinstance(expr, relax.Call) and isinstance(expr.op, Op):
        return str(expr.op.name)
    return ""


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
