"""The shapes of a graph that may not fit together yet."""

from __future__ import annotations

from typing import Any

from onnx import shape_inference


def inferred(model: Any) -> Any | None:
    """The model with the shapes that ONNX infers. None where they don't fit: the graph is refused
    later, by name."""
    try:
        return shape_inference.infer_shapes(model)
    except Exception:
        return None
