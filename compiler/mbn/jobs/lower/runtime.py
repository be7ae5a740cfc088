"""Opens ONNX Runtime, on the CPU, so that it gives tensors inside a graph too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx
import onnxruntime as ort  # type: ignore[import-untyped]

from mbn.core.errors import ModelError


def session_of(
    model: onnx.ModelProto, outputs: Iterable[str], path: Path, *, optimised: bool
) -> ort.InferenceSession:
    """A session that gives `outputs`, each once (none: the graph's own). `optimised`: with ONNX
    Runtime's own rewriting of the graph; without, each node is computed as it stands. `path` is
    named in the ModelError where ONNX Runtime can't load the graph."""
    wanted = list(dict.fromkeys(outputs))
    if wanted:
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    options = ort.SessionOptions()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime raises nearly anything here
        raise ModelError(
            f"ONNX Runtime can't load the graph ({str(error).strip().splitlines()[0]})",
            node=str(path),
        ) from error
