"""Small .tflite files, one for each operator that is read or each form of it.

What enters: a case's name. What leaves: the file's bytes. Always holds: equal names give equal
bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tflite_drawn import Drawn

RELU, RELU_N1, RELU6 = 1, 2, 3
SAME, VALID = 0, 1
MAP = (1, 7, 6, 4)


def _conv(d: Drawn, **fields: Any) -> int:
    x, w = d.input(MAP), d.weights((5, 3, 3, 4))
    options = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, **fields}
    rows, columns = _size(7, 6, 3, options)
    out = d.tensor((1, rows, columns, 5), scale=0.2, zero=-5)
    d.operator("CONV_2D", [x, w, d.bias(x, w)], out, "Conv2DOptions", **options)
    return out


def _size(rows: int, columns: int, taps: int, options: dict[str, Any]) -> tuple[int, int]:
    made = []
    for length, way in ((rows, "H"), (columns, "W")):
        reach = (taps - 1) * options.get(f"dilation{way}Factor", 1) + 1
        stride = options[f"stride{way}"]
        made.append(
            -(-length // stride) if options["padding"] == SAME else (length - reach) // stride + 1
        )
    return made[0], made[1]


def _depthwise(d: Drawn, multiplier: int, padding: int) -> int:
    x, w = d.input(MAP), d.weights((1, 3, 3, 4 * multiplier), axis=3)
    fields = {"strideH": 2, "strideW": 2, "padding": padding, "depthMultiplier": multiplier}
    fields |= {"dilationHFactor": 1, "dilationWFactor": 1, "fusedActivationFunction": RELU6}
    rows, columns = _size(7, 6, 3, fields)
    out = d.tensor((1, rows, columns, 4 * multiplier), scale=0.04, zero=-128)
    d.operator("DEPTHWISE_CONV_2D", [x, w, d.bias(x, w)], out, "DepthwiseConv2DOptions", **fields)
    return out


def _transposed(d: Drawn, padding: int, biased: bool) -> int:
    x, w = d.input(MAP), d.weights((5, 3, 3, 4))
    rows, columns = (14, 12) if padding == SAME else (15, 13)
    size = d.ints([1, rows, columns, 5])
    out = d.tensor((1, rows, columns, 5), scale=0.2, zero=4)
    inputs = [size, w, x, *([d.bias(x, w)] if biased else [])]
    fields = {"strideH": 2, "strideW": 2, "padding": padding}
    d.operator("TRANSPOSE_CONV", inputs, out, "TransposeConvOptions", **fields)
    return out


def _dense(d: Drawn, shape: tuple[int, ...], biased: bool, keep: bool) -> int:
    x, w = d.input(shape), d.weights((6, shape[-1]), axis=None)
    made = (*shape[:-1], 6) if keep else (int(np.prod(shape[:-1])), 6)
    out = d.tensor(made, scale=0.1, zero=7)
    fields = {"keepNumDims": keep, "fusedActivationFunction": RELU}
    bias = d.bias(x, w) if biased else -1
    if biased:
        count = d.rng.integers(-2000, 2000, 6)
        bias = d.tensor((6,), "INT32", d.graph.tensors[bias].quantization.scale, 0, count)
    d.operator("FULLY_CONNECTED", [x, w, bias], out, "FullyConnectedOptions", **fields)
    return out


def _pool(d: Drawn, name: str, padding: int) -> int:
    x = d.input(MAP)
    fields = {"filterHeight": 3, "filterWidth": 2, "strideH": 2, "strideW": 1, "padding": padding}
    rows, columns = (4, 6) if padding == SAME else (3, 5)
    out = d.tensor((1, rows, columns, 4), zero=3)
    fields["fusedActivationFunction"] = RELU_N1
    d.operator(name, [x], out, "Pool2DOptions", **fields)
    return out


def mean(d: Drawn, axes: list[int], keep: bool) -> int:
    x = d.input(MAP)
    shape = [1 if at in axes else size for at, size in enumerate(MAP) if keep or at not in axes]
    out = d.tensor(shape, scale=0.04, zero=-3)
    d.operator("MEAN", [x, d.ints(axes)], out, "ReducerOptions", keepDims=keep)
    return out


def _two(d: Drawn, name: str, second: tuple[int, ...], *, stored: bool) -> int:
    x = d.input(MAP)
    if stored:
        y = d.tensor(second, "INT8", 0.03, 5, d.rng.integers(-128, 128, second))
    else:
        y = d.tensor(second, scale=0.02, zero=9)
        window = {"filterHeight": 7, "filterWidth": 6, "strideH": 1, "strideW": 1}
        first = d.tensor((1, 1, 1, 4), zero=3) if second != MAP else x
        if second != MAP:
            d.operator("AVERAGE_POOL_2D", [x], first, "Pool2DOptions", padding=VALID, **window)
        d.operator("QUANTIZE", [first], y, "QuantizeOptions")
    out = d.tensor(MAP, scale=0.07, zero=2)
    options = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[name]
    d.operator(name, [x, y], out, options, fusedActivationFunction=RELU)
    return out


def _one(d: Drawn, name: str, scale: float, zero: int, options: str | None = None, **f: Any) -> int:
    x = d.input(MAP)
    out = d.tensor(MAP, scale=scale, zero=zero)
    d.operator(name, [x], out, options, **f)
    return out


def _prelu(d: Drawn) -> int:
    x = d.input(MAP)
    slope = d.tensor((1, 1, 4), "INT8", 0.01, 1, d.rng.integers(-100, 100, (1, 1, 4)))
    out = d.tensor(MAP, zero=-20)
    d.operator("PRELU", [x, slope], out)
    return out


def _softmax(d: Drawn, name: str, shape: tuple[int, ...]) -> int:
    x = d.input(shape)
    if name == "SOFTMAX":
        out = d.tensor(shape, scale=1 / 256, zero=-128)
        d.operator(name, [x], out, "SoftmaxOptions", beta=1.0)
    else:
        out = d.tensor(shape, scale=16 / 256, zero=127)
        d.operator(name, [x], out, "LogSoftmaxOptions")
    return out


def _concat(d: Drawn, axis: int) -> int:
    x = d.input(MAP)
    y = d.tensor(MAP, zero=3)
    d.operator("RELU", [x], y)
    shape = list(MAP)
    shape[axis] *= 2
    out = d.tensor(shape, zero=3)
    d.operator("CONCATENATION", [x, y], out, "ConcatenationOptions", axis=axis)
    return out


def _split(d: Drawn, name: str) -> list[int]:
    x = d.input(MAP)
    sizes = [2, 2] if name == "SPLIT" else [1, 3]
    outs = [d.tensor((*MAP[:3], size), zero=3) for size in sizes]
    if name == "SPLIT":
        d.operator(name, [d.ints(3), x], outs, "SplitOptions", numSplits=2)
    else:
        d.operator(name, [x, d.ints(sizes), d.ints(3)], outs, "SplitVOptions", numSplits=2)
    return outs


def _pad(d: Drawn) -> int:
    x = d.input(MAP)
    out = d.tensor((1, 10, 9, 5), zero=3)
    d.operator("PAD", [x, d.ints([[0, 0], [1, 2], [0, 3], [1, 0]])], out, "PadOptions")
    return out


def _slice(d: Drawn) -> int:
    x = d.input(MAP)
    out = d.tensor((1, 3, 5, 2), zero=3)
    d.operator("SLICE", [x, d.ints([0, 2, 1, 1]), d.ints([1, 3, -1, 2])], out, "SliceOptions")
    return out


def _strided(d: Drawn, shrink: int) -> int:
    x = d.input(MAP)
    shape = (1, 3, 3, 4) if not shrink else (1, 3, 4)
    out = d.tensor(shape, zero=3)
    begins, ends, steps = [0, 1, -1, 0], [0, 7, -7, 4], [1, 2, -2, 1]
    if shrink:
        begins, ends, steps = [0, 1, -1, 0], [0, 7, 0, 4], [1, 2, 1, 1]
    given = [d.ints(one) for one in (begins, ends, steps)]
    masks = {"beginMask": 1, "endMask": 1, "shrinkAxisMask": shrink}
    d.operator("STRIDED_SLICE", [x, *given], out, "StridedSliceOptions", **masks)
    return out


def _resize(d: Drawn, name: str, size: tuple[int, int], **fields: Any) -> int:
    x = d.input(MAP)
    out = d.tensor((1, *size, 4), zero=3)
    options = "ResizeBilinearOptions" if "BILINEAR" in name else "ResizeNearestNeighborOptions"
    d.operator(name, [x, d.ints(size)], out, options, **fields)
    return out


def _shaped(d: Drawn) -> int:
    """A map that is flattened, and one that loses and gains an axis, as one-dimensional nets do."""
    x = d.input((1, 1, 8, 4))
    y = d.tensor((1, 8, 4), zero=3)
    d.operator("SQUEEZE", [x], y, "SqueezeOptions", squeezeDims=[1])
    z = d.tensor((1, 1, 8, 4), zero=3)
    d.operator("EXPAND_DIMS", [y, d.ints(1)], z, "ExpandDimsOptions")
    w = d.weights((5, 1, 3, 4))
    out = d.tensor((1, 1, 8, 5), scale=0.2)
    fields = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    d.operator("CONV_2D", [z, w, d.bias(z, w)], out, "Conv2DOptions", padding=SAME, **fields)
    flat = d.tensor((1, 40), scale=0.2)
    d.operator("RESHAPE", [out, d.ints([1, 40])], flat, "ReshapeOptions", newShape=[1, 40])
    return flat


def _transpose(d: Drawn) -> int:
    x = d.input(MAP)
    out = d.tensor((1, 4, 7, 6), zero=3)
    d.operator("TRANSPOSE", [x, d.ints([0, 3, 1, 2])], out, "TransposeOptions")
    return out


def _arg_max(d: Drawn, axis: int) -> int:
    x = d.input(MAP)
    shape = [size for at, size in enumerate(MAP) if at != axis]
    out = d.tensor(shape, "INT32", None)
    fields = {"outputType": 2}
    d.operator("ARG_MAX", [x, d.ints(axis)], out, "ArgMaxOptions", **fields)
    return out


def _ends(d: Drawn) -> int:
    """uint8 in, a real result."""
    x = d.input(MAP, "UINT8", zero=131)
    y = d.tensor(MAP, zero=3)
    d.operator("QUANTIZE", [x], y, "QuantizeOptions")
    out = d.tensor(MAP, "FLOAT32", None)
    d.operator("DEQUANTIZE", [y], out, "DequantizeOptions")
    return out


CASES: dict[str, Callable[[Drawn], int | list[int]]] = {
    "conv same": lambda d: _conv(d, padding=SAME, fusedActivationFunction=RELU6),
    "conv stride": lambda d: _conv(d, padding=SAME, strideH=2, strideW=2),
    "conv valid": lambda d: _conv(d, padding=VALID, fusedActivationFunction=RELU),
    "conv dilated": lambda d: _conv(d, padding=SAME, dilationHFactor=2, dilationWFactor=2),
    "depthwise": lambda d: _depthwise(d, 1, SAME),
    "depthwise by 2": lambda d: _depthwise(d, 2, VALID),
    "transposed same": lambda d: _transposed(d, SAME, biased=True),
    "transposed valid": lambda d: _transposed(d, VALID, biased=False),
    "dense": lambda d: _dense(d, (1, 24), biased=True, keep=False),
    "dense without bias": lambda d: _dense(d, (1, 24), biased=False, keep=False),
    "dense keeps": lambda d: _dense(d, (1, 3, 2, 8), biased=True, keep=True),
    "average same": lambda d: _pool(d, "AVERAGE_POOL_2D", SAME),
    "average valid": lambda d: _pool(d, "AVERAGE_POOL_2D", VALID),
    "largest same": lambda d: _pool(d, "MAX_POOL_2D", SAME),
    "largest valid": lambda d: _pool(d, "MAX_POOL_2D", VALID),
    "mean": lambda d: mean(d, [1, 2], keep=False),
    "mean kept": lambda d: mean(d, [1, 2], keep=True),
    "mean of rows": lambda d: mean(d, [1], keep=False),
    "mean of channels": lambda d: mean(d, [3], keep=True),
    "add": lambda d: _two(d, "ADD", MAP, stored=False),
    "add by channel": lambda d: _two(d, "ADD", (1, 1, 1, 4), stored=False),
    "add a constant": lambda d: _two(d, "ADD", (4,), stored=True),
    "sub": lambda d: _two(d, "SUB", MAP, stored=False),
    "mul": lambda d: _two(d, "MUL", MAP, stored=False),
    "mul by channel": lambda d: _two(d, "MUL", (1, 1, 1, 4), stored=False),
    "relu": lambda d: _one(d, "RELU", 0.05, 3),
    "relu6": lambda d: _one(d, "RELU6", 6 / 255, -128),
    "relu n1": lambda d: _one(d, "RELU_N1_TO_1", 0.02, 0),
    "relu 0 to 1": lambda d: _one(d, "RELU_0_TO_1", 1 / 255, -128),
    "leaky": lambda d: _one(d, "LEAKY_RELU", 0.05, -20, "LeakyReluOptions", alpha=0.1),
    "logistic": lambda d: _one(d, "LOGISTIC", 1 / 256, -128),
    "tanh": lambda d: _one(d, "TANH", 1 / 128, 0),
    "hard swish": lambda d: _one(d, "HARD_SWISH", 0.05, -100, "HardSwishOptions"),
    "requantised": lambda d: _one(d, "QUANTIZE", 0.07, -9, "QuantizeOptions"),
    "prelu": _prelu,
    "softmax": lambda d: _softmax(d, "SOFTMAX", (1, 12)),
    "softmax of a map": lambda d: _softmax(d, "SOFTMAX", MAP),
    "log softmax": lambda d: _softmax(d, "LOG_SOFTMAX", (1, 12)),
    "concat channels": lambda d: _concat(d, 3),
    "concat rows": lambda d: _concat(d, 1),
    "split": lambda d: _split(d, "SPLIT"),
    "split by sizes": lambda d: _split(d, "SPLIT_V"),
    "pad": _pad,
    "slice": _slice,
    "strided": lambda d: _strided(d, 0),
    "strided, shrunk": lambda d: _strided(d, 4),
    "nearest": lambda d: _resize(d, "RESIZE_NEAREST_NEIGHBOR", (14, 12)),
    "nearest centres": lambda d: _resize(
        d, "RESIZE_NEAREST_NEIGHBOR", (14, 12), halfPixelCenters=True
    ),
    "nearest corners": lambda d: _resize(d, "RESIZE_NEAREST_NEIGHBOR", (10, 9), alignCorners=True),
    "nearest odd": lambda d: _resize(d, "RESIZE_NEAREST_NEIGHBOR", (9, 4), halfPixelCenters=True),
    "bilinear": lambda d: _resize(d, "RESIZE_BILINEAR", (14, 12)),
    "bilinear centres": lambda d: _resize(d, "RESIZE_BILINEAR", (14, 12), halfPixelCenters=True),
    "bilinear corners": lambda d: _resize(d, "RESIZE_BILINEAR", (13, 11), alignCorners=True),
    "shapes": _shaped,
    "transpose": _transpose,
    "largest's place": lambda d: _arg_max(d, 3),
    "largest's place, by row": lambda d: _arg_max(d, 1),
    "ends": _ends,
}
# In codes: the reference kernels of these round in few bits, or a case rounds twice
MOST_APART = dict.fromkeys(
    ("mul by channel", "softmax", "softmax of a map", "log softmax", "tanh", "logistic"), 2
)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "drawn.tflite"
    path.write_bytes(content)
    return path


def drawn(name: str) -> bytes:
    d = Drawn(sum(map(ord, name)))
    made = CASES[name](d)
    return d.bytes(*([made] if isinstance(made, int) else made))
