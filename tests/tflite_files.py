"""Writes integer networks as .tflite files, and runs such files by LiteRT's reference kernels.

What enters: an `Network` in rounding `tflite`; images. What leaves: a flatbuffer; every layer's
int8 map as TensorFlow Lite makes it. Always holds: the schema and the kernels are LiteRT's own
(`ai-edge-litert`), so that nothing of the project takes part; padding that TensorFlow Lite has no
name for is a PAD operator before a VALID one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from mbn.core.network import Layer, Network, Op, Tensor

Int8 = NDArray[np.int8]
ACTIVATIONS = {
    (None, None): schema.ActivationFunctionType.NONE,
    (0.0, None): schema.ActivationFunctionType.RELU,
    (0.0, 6.0): schema.ActivationFunctionType.RELU6,
    (-1.0, 1.0): schema.ActivationFunctionType.RELU_N1_TO_1,
}
OPERATORS = schema.BuiltinOperator
TYPES = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32}


class _File:
    """A model under construction: one subgraph."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: str = "int8",
        data: NDArray[Any] | None = None,
        scales: Any = None,
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        made = schema.TensorT()
        made.shape, made.type, made.buffer = list(shape), TYPES[dtype], 0
        made.name = f"tensor{len(self.graph.tensors)}"
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scales is not None:
            quantisation = schema.QuantizationParametersT()
            quantisation.scale = np.atleast_1d(np.asarray(scales, np.float32))
            quantisation.zeroPoint = np.full(len(quantisation.scale), zero_point, np.int64)
            quantisation.quantizedDimension = axis
            made.quantization = quantisation
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def operator(self, code: int, inputs: list[int], output: int, options: Any, kind: int) -> None:
        known = schema.OperatorCodeT()
        known.builtinCode = known.deprecatedBuiltinCode = code
        known.version = 1
        made = schema.OperatorT()
        made.opcodeIndex = len(self.model.operatorCodes)
        self.model.operatorCodes.append(known)
        made.inputs, made.outputs = inputs, [output]
        made.builtinOptions, made.builtinOptionsType = options, kind
        self.graph.operators.append(made)

    def bytes(self, source: int, result: int) -> bytes:
        self.graph.inputs, self.graph.outputs = [source], [result]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def write(network: Network) -> tuple[bytes, list[int]]:
    """The file, and the number of each layer's output tensor in it."""
    file = _File()
    first = network.input
    source = file.tensor((1, *first.shape), scales=first.scale, zero_point=first.zero_point)
    made = {first.name: source}
    for layer in network.layers:
        if layer.others:
            made[layer.output] = _add(file, network, layer, made)
        else:
            made[layer.output] = _layer(file, network, layer, made[layer.input])
    outputs = [made[layer.output] for layer in network.layers]
    return file.bytes(source, outputs[-1]), outputs


def _activation(file: _File, out: Tensor) -> int:
    return file.tensor((1, *out.shape), scales=out.scale, zero_point=out.zero_point)


def _add(file: _File, network: Network, layer: Layer, made: dict[str, int]) -> int:
    result = _activation(file, network.tensor(layer.output))
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[layer.clamp]
    kind = schema.BuiltinOptions.AddOptions
    inputs = [made[name] for name in layer.inputs]
    file.operator(OPERATORS.ADD, inputs, result, options, kind)
    return result


def _layer(file: _File, network: Network, layer: Layer, at: int) -> int:
    source, out = network.tensor(layer.input), network.tensor(layer.output)
    if layer.op is Op.SOFTMAX:
        result = _activation(file, out)
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        kind = schema.BuiltinOptions.SoftmaxOptions
        file.operator(OPERATORS.SOFTMAX, [at], result, options, kind)
        return result
    if layer.is_mean:
        return _mean(file, out, at)
    if layer.op is Op.DENSE:
        return _dense(file, layer, source, out, at)
    if any(layer.pads):
        at = _pad(file, layer, source, at)
    result = _activation(file, out)
    if layer.op is Op.POOL:
        options = schema.Pool2DOptionsT()
        options.filterHeight, options.filterWidth = layer.kernel
        code, kind = OPERATORS.AVERAGE_POOL_2D, schema.BuiltinOptions.Pool2DOptions
        inputs = [at]
    else:
        code, options, kind, inputs = _convolution(file, layer, source, at)
    options.padding = schema.Padding.VALID
    options.strideH, options.strideW = layer.stride
    options.fusedActivationFunction = ACTIVATIONS[layer.clamp]
    file.operator(code, inputs, result, options, kind)
    return result


def _mean(file: _File, out: Tensor, at: int) -> int:
    axes, result = file.tensor((2,), "int32", np.array([1, 2], np.int32)), _activation(file, out)
    options = schema.ReducerOptionsT()
    options.keepDims = True
    kind = schema.BuiltinOptions.ReducerOptions
    file.operator(OPERATORS.MEAN, [at, axes], result, options, kind)
    return result


def _convolution(
    file: _File, layer: Layer, source: Tensor, at: int
) -> tuple[int, Any, int, list[int]]:
    assert layer.weights is not None
    depthwise = layer.op is Op.DEPTHWISE
    weights = layer.weights.transpose(3, 1, 2, 0) if depthwise else layer.weights
    inputs = [at, *_constants(file, layer, source, weights, 3 if depthwise else 0)]
    if not depthwise:
        options = schema.Conv2DOptionsT()
        kind = schema.BuiltinOptions.Conv2DOptions
        options.dilationHFactor = options.dilationWFactor = 1
        return OPERATORS.CONV_2D, options, kind, inputs
    options = schema.DepthwiseConv2DOptionsT()
    options.depthMultiplier = len(layer.weights) // source.channels
    options.dilationHFactor = options.dilationWFactor = 1
    return (
        OPERATORS.DEPTHWISE_CONV_2D,
        options,
        schema.BuiltinOptions.DepthwiseConv2DOptions,
        inputs,
    )


def _constants(file: _File, layer: Layer, source: Tensor, weights: Int8, axis: int) -> list[int]:
    assert layer.weight_scales is not None and layer.bias is not None
    scales = layer.weight_scales
    return [
        file.tensor(weights.shape, data=weights, scales=scales, axis=axis),
        file.tensor(
            layer.bias.shape, "int32", layer.bias, scales=np.float32(source.scale) * scales
        ),
    ]


def _dense(file: _File, layer: Layer, source: Tensor, out: Tensor, at: int) -> int:
    assert layer.weights is not None
    weights = layer.weights.reshape(len(layer.weights), -1)
    result = _activation(file, out)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[layer.clamp]
    options.keepNumDims = False
    kind = schema.BuiltinOptions.FullyConnectedOptions
    scales = layer.weight_scales
    assert scales is not None
    one = (scales == scales[0]).all()
    inputs = _constants(file, layer, source, weights, 0)
    if one:
        for index in inputs:
            quantisation = file.graph.tensors[index].quantization
            quantisation.scale = quantisation.scale[:1]
            quantisation.zeroPoint = quantisation.zeroPoint[:1]
    file.operator(OPERATORS.FULLY_CONNECTED, [at, *inputs], result, options, kind)
    return result


def _pad(file: _File, layer: Layer, source: Tensor, at: int) -> int:
    top, left, bottom, right = layer.pads
    amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
    shape = (1, source.height + top + bottom, source.width + left + right, source.channels)
    result = file.tensor(shape, scales=source.scale, zero_point=source.zero_point)
    table = file.tensor(amounts.shape, "int32", amounts)
    kind = schema.BuiltinOptions.PadOptions
    file.operator(OPERATORS.PAD, [at, table], result, schema.PadOptionsT(), kind)
    return result


def run(content: bytes, outputs: list[int], images: Int8) -> Iterator[list[Int8]]:
    """For each image, the tensors `outputs` by the reference kernels."""
    interpreter = interpreter_of(content)
    source = interpreter.get_input_details()[0]["index"]
    for image in images:
        interpreter.set_tensor(source, image[None])
        interpreter.invoke()
        yield [interpreter.get_tensor(index)[0] for index in outputs]


def is_prepared(network: Network) -> bool:
    """Whether LiteRT prepares it: it aborts the process where what it multiplies an addition's sum
    with (2 max(s_a, s_b) / (2^20 s_out)) is not below one."""
    return all(
        2 * max(network.tensor(name).scale for name in layer.inputs)
        < 2**20 * network.tensor(layer.output).scale
        for layer in network.layers
        if layer.others
    )


def interpreter_of(content: bytes) -> Interpreter:
    """LiteRT's reference kernels on a file, every tensor kept."""
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    return interpreter
