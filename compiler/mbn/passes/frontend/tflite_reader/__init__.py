"""From a .tflite file to the QDQ ONNX graph that the rest of the frontend takes.

What enters: a path. What leaves: a ModelProto. Always holds: the schema is imported when a file is
read, not before: it has many modules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mbn.core.files import open_regular

SUFFIX = ".tflite"
IDENTIFIER = b"TFL3"


def is_tflite(path: Path) -> bool:
    """Whether a file is TensorFlow Lite's, by what it begins with or what it is called."""
    if path.suffix.lower() == SUFFIX:
        return True
    with open_regular(path) as file:
        return file.read(8)[4:] == IDENTIFIER


def read(path: Path) -> Any:
    """The onnx.ModelProto of the file. Raises ModelError if it is cut or damaged,
    UnsupportedError for what is not of 8 bits."""
    from mbn.passes.frontend.tflite_reader import reader  # noqa: PLC0415

    return reader.read(path)


def tensor_numbers(path: Path) -> dict[str, int]:
    """Of the codes in the graph that `read` makes, by name, the number of the tensor in the
    file. Raises as `read`."""
    from mbn.passes.frontend.tflite_reader import reader  # noqa: PLC0415

    return reader.tensor_numbers(path)
