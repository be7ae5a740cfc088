"""Draws small .tflite files, operator by operator, and runs them by LiteRT's reference kernels.

What enters: shapes, scales, options. What leaves: a file's bytes; what LiteRT makes of inputs.
Always holds: the schema is the one of `ai-edge-litert`, not the one that the compiler reads with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

Array = NDArray[Any]
OPTIONS = schema.BuiltinOptions
DTYPES = {"INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32, "FLOAT32": np.float32}
DTYPES |= {"INT16": np.int16, "INT64": np.int64}


class Drawn:
    """A model under construction: one subgraph; tensors are numbers."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: Sequence[int],
        kind: str = "INT8",
        scale: Any = 0.05,
        zero: Any = 0,
        data: Any = None,
        axis: int = 0,
        name: str | None = None,
    ) -> int:
        made = schema.TensorT()
        made.shape, made.type = list(shape), getattr(schema.TensorType, kind)
        made.buffer = 0
        made.name = name or f"t{len(self.graph.tensors)}"
        if data is not None:
            buffer = schema.BufferT()
            stored = np.asarray(data).astype(DTYPES.get(kind, np.int8))
            buffer.data = np.frombuffer(stored.tobytes(), np.uint8)
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale is not None:
            quantisation = schema.QuantizationParametersT()
            quantisation.scale = np.atleast_1d(np.asarray(scale, np.float32))
            quantisation.zeroPoint = np.broadcast_to(zero, quantisation.scale.shape).astype(
                np.int64
            )
            quantisation.quantizedDimension = axis
            made.quantization = quantisation
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def input(
        self, shape: Sequence[int], kind: str = "INT8", scale: Any = 0.05, zero: int = 3
    ) -> int:
        made = self.tensor(shape, kind, scale, zero, name=f"input{len(self.graph.inputs)}")
        self.graph.inputs.append(made)
        return made

    def ints(self, values: Any) -> int:
        """A constant of int32, without a scale."""
        array = np.asarray(values, np.int32)
        return self.tensor(array.shape, "INT32", None, data=array)

    def weights(self, shape: Sequence[int], axis: int | None = 0) -> int:
        """Constant int8 codes, one scale a channel of `axis` (None: one in all)."""
        count = 1 if axis is None else shape[axis]
        scale = self.rng.uniform(0.002, 0.01, count)
        data = self.rng.integers(-127, 128, shape)
        return self.tensor(shape, "INT8", scale, 0, data, axis or 0)

    def bias(self, source: int, weights: int) -> int:
        stored = self.graph.tensors[weights].quantization.scale
        scale = self.graph.tensors[source].quantization.scale * stored
        shape = self.graph.tensors[weights].shape
        along = self.graph.tensors[weights].quantization.quantizedDimension
        data = self.rng.integers(-2000, 2000, shape[along])
        return self.tensor(data.shape, "INT32", scale, 0, data)

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: int | Sequence[int],
        options: str | None = None,
        custom: str | None = None,
        **fields: Any,
    ) -> None:
        """An operator; `options`: the schema's table, with `fields` in it."""
        known = schema.OperatorCodeT()
        known.builtinCode = getattr(schema.BuiltinOperator, name)
        known.deprecatedBuiltinCode = min(known.builtinCode, 127)
        known.version = 1
        known.customCode = custom
        made = schema.OperatorT()
        made.opcodeIndex = len(self.model.operatorCodes)
        self.model.operatorCodes.append(known)
        made.inputs = list(inputs)
        made.outputs = [outputs] if isinstance(outputs, int) else list(outputs)
        if options is not None:
            made.builtinOptionsType = getattr(OPTIONS, options)
            made.builtinOptions = getattr(schema, f"{options}T")()
            for field, value in fields.items():
                assert hasattr(made.builtinOptions, field), field
                setattr(made.builtinOptions, field, value)
        self.graph.operators.append(made)

    def bytes(self, *outputs: int) -> bytes:
        self.graph.outputs = list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def litert(content: bytes, values: Array) -> list[Array]:
    """What LiteRT's reference kernels make of an input: all outputs."""
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
