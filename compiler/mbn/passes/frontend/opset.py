"""Brings graphs of old opsets to one that the frontend reads.

Opset 11 and later are read as they are. Older ones, and those in which scales by channel can't be
said in QDQ, are converted by ONNX's own converter.
"""

from __future__ import annotations

from typing import Any

import onnx
import onnx.version_converter

from mbn.core.errors import UnsupportedError

OLDEST_OPSET = 11
CONVERTED_OPSET = 13  # the first in which a DequantizeLinear has an axis
OLDEST_CONVERTED = 7  # the converter says that it begins here


def opset_of(model: Any) -> int:
    """Of ONNX's own operators; 1 where the file does not say."""
    versions = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
    return int(versions[0]) if versions else 1


def in_newer_opset(model: Any) -> Any:
    """The model, in a newer opset where that is needed. UnsupportedError where ONNX can't do it."""
    version = opset_of(model)
    if version >= (CONVERTED_OPSET if _has_axes(model) else OLDEST_OPSET):
        return model
    try:
        if version < OLDEST_CONVERTED:
            raise ValueError(f"older than opset {OLDEST_CONVERTED}")
        return onnx.version_converter.convert_version(model, CONVERTED_OPSET)
    except Exception as error:  # the converter raises many kinds
        lines = str(error).strip().splitlines()
        raise UnsupportedError(
            f"opset {version}, and ONNX can't convert it ({lines[0] if lines else 'no reason'})",
            wanted=f"opset {OLDEST_OPSET} or later",
            advice="Export it again in a newer opset",
        ) from error


def _has_axes(model: Any) -> bool:
    return any(
        one.name == "axis"
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        for one in node.attribute
    )
