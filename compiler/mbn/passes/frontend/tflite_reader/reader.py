"""Reads a .tflite file as the QDQ ONNX graph that the rest of the frontend takes.

What enters: a path. What leaves: a ModelProto with the file's names, weights and integers. Always
holds: TensorFlow is not needed; whatever a damaged file makes flatbuffers raise becomes a
ModelError; an operator that ONNX does not have is a node of the domain `tflite`, which later checks
refuse by its name, together with all others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mbn.core.errors import MbnError, ModelError
from mbn.core.files import read_regular
from mbn.passes.frontend.tflite_reader import IDENTIFIER, flat
from mbn.passes.frontend.tflite_reader.checks import check_kinds
from mbn.passes.frontend.tflite_reader.graph import Builder
from mbn.passes.frontend.tflite_reader.operators import emit
from mbn.passes.frontend.tflite_reader.values import codes_name

MOST_BYTES = 1 << 28  # flash is smaller


def read(path: Path) -> Any:
    """The onnx.ModelProto of the file. Raises ModelError if it is cut or damaged,
    UnsupportedError for what is not of 8 bits."""
    try:
        graph = _parsed(path)
        check_kinds(graph)
        builder = Builder(graph)
        for operator in graph.operators:
            emit(builder, operator)
        return builder.model(path.stem)
    except MbnError:
        raise
    except Exception as error:  # flatbuffers and NumPy raise many kinds
        raise _damaged(path, error) from error


def tensor_numbers(path: Path) -> dict[str, int]:
    """Of the codes in the graph that `read` makes, by name, the number of the tensor in the
    file."""
    try:
        graph = _parsed(path)
    except MbnError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error
    numbers = {tensor.name: number for number, tensor in enumerate(graph.tensors)}
    numbers |= {f"{name}_made": number for name, number in numbers.items()}
    return numbers | {codes_name(graph, number): number for number in range(len(graph.tensors))}


def _parsed(path: Path) -> flat.FlatGraph:
    content = read_regular(path, MOST_BYTES)
    if content[4:8] != IDENTIFIER:
        raise ModelError(
            f"{path.name} is not a TensorFlow Lite file",
            wanted=f"a flatbuffer with the identifier {IDENTIFIER.decode()}",
            advice="convert or copy it again",
        )
    return flat.parse(content)


def _damaged(path: Path, error: Exception) -> ModelError:
    lines = str(error).strip().splitlines()
    return ModelError(
        f"{path.name} is not a valid TensorFlow Lite file "
        f"({lines[0] if lines else type(error).__name__})",
        wanted="a whole file",
        advice="convert or copy it again",
    )
