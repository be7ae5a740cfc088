"""Operators at the end of a graph that stay on the host, like its softmax.

What enters: an ONNX model. What leaves: the same without them, and their names by the output's
place. Only what nothing else reads is taken: whatever is computed from it would be lost. A
quantisation between or behind them is left out too, since the host works on real values.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import onnx
from onnx import TensorProto

from mbn.passes.frontend.unit_length import prune

# Softmax and sigmoid are not here: they may stand on maps, and pass through Relax
HOST_ENDS = {
    "LogSoftmax": "log_softmax",
    "Tanh": "tanh",
    "HardSigmoid": "hard_sigmoid",
    "ArgMax": "argmax",
}
_PASSED = ("Identity", "Cast")
_QUANTISERS = ("QuantizeLinear", "DequantizeLinear")


def without_host_ends(model: Any) -> tuple[Any, dict[int, tuple[str, ...]]]:
    """The model whose outputs are what the host's operators read, and those operators, in order."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    readers.update(output.name for output in model.graph.output)
    found: dict[int, tuple[str, ...]] = {}
    sources: dict[int, str] = {}
    for at, output in enumerate(model.graph.output):
        taken: list[str] = []
        source = name = output.name
        while readers[name] == 1 and (node := made_by.get(name)) is not None:
            if node.domain not in ("", "ai.onnx"):
                break
            if node.op_type in HOST_ENDS:
                taken.insert(0, HOST_ENDS[node.op_type])
                source = node.input[0]
            elif node.op_type not in (*_PASSED, *_QUANTISERS):
                break
            name = node.input[0]
        if taken:
            found[at], sources[at] = tuple(taken), source
    if not found:
        return model, found
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    for at, source in sources.items():
        cut.graph.output[at].Clear()
        cut.graph.output[at].name = source
        cut.graph.output[at].type.tensor_type.elem_type = TensorProto.FLOAT
    prune(cut.graph)
    return cut, found
