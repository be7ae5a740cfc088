"""Damaged fields of .tflite files: options, types, shapes, quantisation, wiring.

What enters: a file's bytes and a generator. What leaves: what was done, and a flatbuffer that is
whole all the same: only what it says is wrong. Always holds: equal generators give equal files.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Rng = np.random.Generator
NUMBERS = (0, 1, -1, 2, 3, 5, 7, 100, 255, 4096, 65536, 2**31 - 1, -(2**31))
REALS = (0.0, -1.0, float("nan"), float("inf"), 1e-38, 1e38, 2.0, 1e-9, 1000.0)


def _pick(items: Sequence[Any], rng: Rng) -> Any:
    return items[int(rng.integers(len(items)))] if len(items) else None


def _options(graph: Any, model: Any, rng: Rng) -> None:
    """A field of an operator's options becomes another number, or all of them are lost."""
    operator = _pick([one for one in graph.operators if one.builtinOptions is not None], rng)
    if operator is None:
        return
    if rng.random() < 0.1:
        operator.builtinOptions, operator.builtinOptionsType = None, 0
        return
    options = operator.builtinOptions
    name = _pick(sorted(vars(options)), rng)
    was = None if name is None else getattr(options, name)
    if isinstance(was, float):
        setattr(options, name, float(_pick(REALS, rng)))
    elif isinstance(was, bool):
        setattr(options, name, not was)
    elif isinstance(was, int):
        small = rng.random() < 0.5
        setattr(options, name, int(rng.integers(0, 7)) if small else int(_pick(NUMBERS, rng)))


def _kind(graph: Any, model: Any, rng: Rng) -> None:
    """A tensor's type becomes another."""
    _pick(graph.tensors, rng).type = int(rng.integers(0, 20))


def _shape(graph: Any, model: Any, rng: Rng) -> None:
    """A size becomes another, is lost or is added."""
    tensor = _pick(graph.tensors, rng)
    shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    way, at = rng.random(), int(rng.integers(len(shape) + 1))
    if way < 0.2 or not shape:
        shape.insert(at, int(_pick((1, 2, 0, -1), rng)))
    elif way < 0.4:
        del shape[at % len(shape)]
    elif way < 0.7:
        shape[at % len(shape)] += int(_pick((-1, 1), rng))
    else:
        shape[at % len(shape)] = int(_pick(NUMBERS, rng))
    tensor.shape = shape


def _quantisation(graph: Any, model: Any, rng: Rng) -> None:
    """A scale, a zero point or the axis becomes another; there are more of them, or none."""
    tensor = _pick([one for one in graph.tensors if one.quantization is not None], rng)
    if tensor is None:
        return
    found, way = tensor.quantization, int(rng.integers(6))
    scales = np.array([] if found.scale is None else found.scale, np.float32)
    zeros = np.array([] if found.zeroPoint is None else found.zeroPoint, np.int64)
    if way == 0 and scales.size:
        scales[int(rng.integers(scales.size))] = _pick(REALS, rng)
        found.scale = scales
    elif way == 1 and zeros.size:
        zeros[int(rng.integers(zeros.size))] = int(_pick((*NUMBERS, 127, -128, 128), rng))
        found.zeroPoint = zeros
    elif way == 2:
        found.quantizedDimension = int(_pick(NUMBERS, rng))
    elif way == 3:
        tensor.quantization = None
    elif way == 4:
        found.scale = np.resize(scales, int(rng.integers(0, 9))).astype(np.float32)
    else:
        found.zeroPoint = np.resize(zeros, int(rng.integers(0, 9))).astype(np.int64)


def _wiring(graph: Any, model: Any, rng: Rng) -> None:
    """An operator, or the graph itself, reads or makes another tensor, or one less."""
    operator = _pick(graph.operators, rng)
    owner = _pick((operator, operator, operator, graph, graph), rng)
    name = _pick(("inputs", "inputs", "outputs"), rng)
    numbers = [int(one) for one in getattr(owner, name)]
    if not numbers:
        return
    at, way = int(rng.integers(len(numbers))), rng.random()
    if way < 0.2:
        del numbers[at]
    elif way < 0.3:
        numbers.insert(at, numbers[at])
    elif way < 0.8:
        numbers[at] = int(rng.integers(len(graph.tensors)))
    else:
        numbers[at] = int(_pick(NUMBERS, rng))
    setattr(owner, name, numbers)


def _operator(graph: Any, model: Any, rng: Rng) -> None:
    """An operator becomes another, has another number of its kind, or is lost."""
    way = rng.random()
    if way < 0.3:
        graph.operators.pop(int(rng.integers(len(graph.operators))))
    elif way < 0.5:
        _pick(graph.operators, rng).opcodeIndex = int(_pick((0, 1, 2, 99, 2**31), rng))
    else:
        code = _pick(model.operatorCodes, rng)
        code.builtinCode = code.deprecatedBuiltinCode = int(rng.integers(0, 127))


def _buffer(graph: Any, model: Any, rng: Rng) -> None:
    """A constant's bytes are others, fewer or more, or those of another."""
    stored = [one for one in graph.tensors if one.buffer]
    tensor = _pick(stored or graph.tensors, rng)
    way, buffer = int(rng.integers(4)), model.buffers[tensor.buffer]
    data = np.array([] if buffer.data is None else buffer.data, np.uint8)
    if way == 0:
        tensor.buffer = int(_pick((0, 1, 2, 3, 99), rng))
    elif way == 1:
        buffer.data = data[: int(rng.integers(data.size + 1))]
    elif way == 2:
        buffer.data = np.concatenate([data, data[:4], np.zeros(3, np.uint8)])
    else:
        buffer.data = rng.integers(0, 256, data.size).astype(np.uint8)


def _whole(graph: Any, model: Any, rng: Rng) -> None:
    """The file's own lists: graphs and version."""
    way = int(rng.integers(4))
    if way == 0:
        model.subgraphs = []
    elif way == 1:
        model.subgraphs = [graph, graph]
    elif way == 2:
        model.version = int(_pick((0, 1, 2, 4, 99), rng))
    else:
        tensor, other = _pick(graph.tensors, rng), _pick(graph.tensors, rng)
        tensor.name = other.name


MUTATIONS: dict[str, tuple[int, Callable[[Any, Any, Rng], None]]] = {
    "options": (5, _options),
    "type": (2, _kind),
    "shape": (4, _shape),
    "quantisation": (5, _quantisation),
    "wiring": (3, _wiring),
    "operator": (2, _operator),
    "buffer": (2, _buffer),
    "whole": (1, _whole),
}


def damaged(data: bytes, rng: Rng) -> tuple[str, bytes]:
    """What was done, and the file."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    kinds = list(MUTATIONS)
    shares = np.array([MUTATIONS[kind][0] for kind in kinds], float)
    done = []
    for _ in range(1 + int(rng.random() < 0.3)):
        kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
        if not model.subgraphs or not model.subgraphs[0].operators:
            break
        MUTATIONS[kind][1](model.subgraphs[0], model, rng)
        done.append(kind)
    builder = flatbuffers.Builder(1024)
    try:
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    except (TypeError, ValueError, struct.error, OverflowError):
        return f"{', '.join(done)} (no)", data  # a flatbuffer holds no such number
    return ", ".join(done), bytes(builder.Output())
