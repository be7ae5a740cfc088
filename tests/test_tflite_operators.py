"""Rounding `tflite`, operator by operator: the bits of LiteRT's reference kernels.

What enters: .tflite files of one operator or a few, with drawn scales. What leaves: nothing but
failures. Always holds: the reference is held to LiteRT in every bit; the compiler's tables to the
reference's; the generated C to the reference, on the host under sanitizers and in QEMU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mbn
import shares
from mbn import arithmetic
from mbn.core.boards import find_board
from mbn.core.constants import TableConstants
from mbn.core.network import Network, Op
from mbn.core.options import InputMode, Rounding
from mbn.core.target import Board
from mbn.exact import Reference
from mbn.exact.tflite_tables import table
from mbn.passes.frontend import lower
from test_kernels import compare
from test_network import SHARED, need
from tflite_drawn import Drawn, litert

Int8 = NDArray[np.int8]
ALL_CODES = np.arange(-128, 128).astype(np.int8)
MAP = (1, 6, 8, 4)
NONE, RELU, RELU_N1, RELU6 = 0, 1, 2, 3
SAME, VALID = 0, 1
PLAIN = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}


def lowered(content: bytes, folder: Path) -> Network:
    path = folder / "drawn.tflite"
    path.write_bytes(content)
    return lower(path, "drawn", rounding=Rounding.TFLITE)


def agree(content: bytes, network: Network, images: Int8, shape: Sequence[int]) -> None:
    """The reference's results are LiteRT's, all of them, in every bit."""
    found = Reference(network).run(images)
    for image, mine in zip(images, found, strict=True):
        theirs = [one.reshape(-1) for one in litert(content, image.reshape(shape))]
        assert mine.tobytes() == np.concatenate(theirs).astype(np.int8).tobytes()


# -- tables: every code, many scales -------------------------------------------------------------


def _scale(rng: np.random.Generator, least: float, most: float) -> float:
    return float(np.float32(np.exp2(rng.uniform(least, most))))


def _table(d: Drawn, name: str, source: int, ratio: tuple[float, float], channels: int) -> int:
    """One element-wise operator on a map with all codes."""
    rng = d.rng
    shape, tensors = (1, 16, 16, channels), d.graph.tensors
    near = float(tensors[source].quantization.scale[0]) * _scale(rng, *ratio)
    scale, zero = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(
        name, (near, int(rng.integers(-128, 128)))
    )
    out, inputs, fields = d.tensor(shape, scale=scale, zero=zero), [source], {}
    options = {"LEAKY_RELU": "LeakyReluOptions", "HARD_SWISH": "HardSwishOptions"}.get(name)
    if name == "LEAKY_RELU":
        fields = {"alpha": float(np.float32(rng.choice([0.01, 0.1, 0.3, 0.9, 1.0, 1.7, -0.2])))}
    if name == "PRELU":
        codes = rng.integers(-127, 128, (1, 1, channels))
        slope_scale, slope_zero = _scale(rng, -9, -6), int(rng.integers(-1, 2))
        inputs.append(d.tensor(codes.shape, "INT8", slope_scale, slope_zero, codes))
    if name in WITH_CONSTANT:
        size = int(rng.choice([1, channels]))
        codes, zero = rng.integers(-128, 128, size), int(rng.integers(-128, 128))
        other = d.tensor(codes.shape, "INT8", _scale(rng, -9, 0), zero, codes)
        inputs = [source, other] if rng.random() < 0.6 else [other, source]
        options = WITH_CONSTANT[name]
        fields = {"fusedActivationFunction": int(rng.choice([NONE, NONE, RELU, RELU_N1, RELU6]))}
    d.operator(name, inputs, out, options, **fields)
    return out


# Scales of results by those of inputs, as exponents of 2
RATIOS = {
    "QUANTIZE": (-10, 10),
    "LEAKY_RELU": (-8, 8),
    "PRELU": (-8, 8),
    "HARD_SWISH": (-6.9, 6),
    "LOGISTIC": (0, 0),
    "TANH": (0, 0),
    "RELU": (-8, 8),
    "RELU6": (-8, 8),
    "RELU_N1_TO_1": (-8, 8),
    "RELU_0_TO_1": (-8, 8),
    "ADD": (-6, 8),
    "SUB": (-6, 8),
    "MUL": (-6, 8),
}
WITH_CONSTANT = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("name", RATIOS)
def test_tables(name: str, seed: int, tmp_path: Path) -> None:
    d = Drawn(1000 * seed + len(name))
    channels = 5 if name == "PRELU" or name in WITH_CONSTANT else 1
    shape = (1, 16, 16, channels)
    scale, zero = _scale(d.rng, -9, 2), int(d.rng.integers(-128, 128))
    source = d.input(shape, scale=scale, zero=zero)
    content = d.bytes(_table(d, name, source, RATIOS[name], channels))
    network = lowered(content, tmp_path)
    (layer,) = network.layers
    image = np.repeat(ALL_CODES.reshape(shape[:3])[..., None], channels, axis=3)
    agree(content, network, image, shape)
    mine = arithmetic.derive_in(network, layer)
    assert isinstance(mine, TableConstants)
    theirs = table(layer, network.input, network.output)
    assert mine.table.tobytes() == theirs.tobytes()


# -- between convolutions ------------------------------------------------------------------------


def _conv(d: Drawn, source: int, channels: int, scale: float = 0.1, zero: int = -7) -> int:
    """A pointwise convolution: what computes before and behind an operator that moves."""
    batch, height, width, depth = d.graph.tensors[source].shape
    w = d.weights((channels, 1, 1, depth))
    out = d.tensor((batch, height, width, channels), scale=scale, zero=zero)
    d.operator("CONV_2D", [source, w, d.bias(source, w)], out, "Conv2DOptions", **PLAIN)
    return out


def _like(d: Drawn, source: int, shape: Sequence[int]) -> int:
    """A tensor with the scale of another."""
    kept = d.graph.tensors[source].quantization
    return d.tensor(shape, scale=kept.scale, zero=int(kept.zeroPoint[0]))


def _product(d: Drawn, x: int, *, gate: bool, first: bool = False) -> int:
    y = _conv(d, x, 4, 0.03, 11)
    if gate:
        reduced = _like(d, y, (1, 1, 1, 4))
        d.operator("MEAN", [y, d.ints([1, 2])], reduced, "ReducerOptions", keepDims=True)
        y = d.tensor((1, 1, 1, 4), scale=1 / 256, zero=-128)
        d.operator("LOGISTIC", [reduced], y)
    out = d.tensor(MAP, scale=_scale(d.rng, -9, -3), zero=int(d.rng.integers(-128, 128)))
    activation = int(d.rng.choice([NONE, RELU, RELU6]))
    pair = [y, x] if first else [x, y]
    d.operator("MUL", pair, out, "MulOptions", fusedActivationFunction=activation)
    return out


def _largest(d: Drawn, x: int, padding: int, activation: int) -> int:
    fields = {"filterHeight": 3, "filterWidth": 2, "strideH": 2, "strideW": 1}
    rows, columns = (3, 8) if padding == SAME else (2, 7)
    out = _like(d, x, (1, rows, columns, 4))
    fields |= {"padding": padding, "fusedActivationFunction": activation}
    d.operator("MAX_POOL_2D", [x], out, "Pool2DOptions", **fields)
    return out


def _concatenated(d: Drawn, x: int, count: int) -> int:
    parts = [x, *(_conv(d, x, 3 + at) for at in range(count - 1))]
    parts = [*parts[1:], parts[0]]  # the order matters
    width = sum(int(d.graph.tensors[one].shape[3]) for one in parts)
    out = _like(d, x, (*MAP[:3], width))
    d.operator("CONCATENATION", parts, out, "ConcatenationOptions", axis=3)
    return out


def _padded(d: Drawn, x: int, value: int | None) -> int:
    out = _like(d, x, (1, 9, 11, 4))
    sizes = d.ints([[0, 0], [1, 2], [0, 3], [0, 0]])
    if value is None:
        d.operator("PAD", [x, sizes], out, "PadOptions")
    else:
        kept = d.graph.tensors[x].quantization
        fill = d.tensor((1,), "INT8", kept.scale, int(kept.zeroPoint[0]), [value])
        d.operator("PADV2", [x, sizes, fill], out, "PadV2Options")
    return out


def _resized(d: Drawn, x: int, name: str, factor: tuple[int, int], **fields: Any) -> int:
    size = (MAP[1] * factor[0], MAP[2] * factor[1])
    out = _like(d, x, (1, *size, 4))
    kind = "ResizeBilinearOptions" if "BILINEAR" in name else "ResizeNearestNeighborOptions"
    d.operator(name, [x, d.ints(size)], out, kind, **fields)
    return out


def _split(d: Drawn, x: int) -> int:
    halves = [_like(d, x, (*MAP[:3], 2)) for _ in range(2)]
    d.operator("SPLIT", [d.ints(3), x], halves, "SplitOptions", numSplits=2)
    out = d.tensor((*MAP[:3], 2), scale=0.15, zero=3)
    d.operator("ADD", halves[::-1], out, "AddOptions")
    return out


def _strided(d: Drawn, x: int) -> int:
    out = _like(d, x, (1, 3, 5, 4))
    given = [d.ints(one) for one in ([0, 1, 2, 0], [1, 6, 7, 4], [1, 2, 1, 1])]
    d.operator("STRIDED_SLICE", [x, *given], out, "StridedSliceOptions")
    return out


def _multiplied(d: Drawn, x: int, multiplier: int) -> int:
    w = d.weights((1, 3, 3, 4 * multiplier), axis=3)
    out = d.tensor((1, 3, 4, 4 * multiplier), scale=0.04, zero=-128)
    fields = PLAIN | {"strideH": 2, "strideW": 2, "depthMultiplier": multiplier, "padding": SAME}
    options = "DepthwiseConv2DOptions"
    inputs = [x, w, d.bias(x, w)]
    d.operator("DEPTHWISE_CONV_2D", inputs, out, options, fusedActivationFunction=RELU6, **fields)
    return out


def _softmax(d: Drawn, x: int, classes: int) -> int:
    logits = _conv(d, x, classes, _scale(d.rng, -5, -1), int(d.rng.integers(-40, 40)))
    out = d.tensor((*MAP[:3], classes), scale=1 / 256, zero=-128)
    d.operator("SOFTMAX", [logits], out, "SoftmaxOptions", beta=1.0)
    return out


BILINEAR, NEAREST = "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"
CASES: dict[str, Callable[[Drawn, int], int]] = {
    "product": lambda d, x: _product(d, x, gate=False),
    "gate": lambda d, x: _product(d, x, gate=True),
    "gate first": lambda d, x: _product(d, x, gate=True, first=True),
    "max pool same": lambda d, x: _largest(d, x, SAME, NONE),
    "max pool valid": lambda d, x: _largest(d, x, VALID, RELU),
    "max pool relu n1": lambda d, x: _largest(d, x, SAME, RELU_N1),
    "concatenation": lambda d, x: _concatenated(d, x, 2),
    "concatenation of 3": lambda d, x: _concatenated(d, x, 3),
    "pad": lambda d, x: _padded(d, x, None),
    "pad with a value": lambda d, x: _padded(d, x, 77),
    "nearest": lambda d, x: _resized(d, x, NEAREST, (2, 2)),
    "nearest centres": lambda d, x: _resized(d, x, NEAREST, (2, 2), halfPixelCenters=True),
    "bilinear": lambda d, x: _resized(d, x, BILINEAR, (2, 2)),
    "bilinear by 4 and 1": lambda d, x: _resized(d, x, BILINEAR, (4, 1)),
    "bilinear centres": lambda d, x: _resized(d, x, BILINEAR, (2, 2), halfPixelCenters=True),
    "bilinear centres, 8": lambda d, x: _resized(d, x, BILINEAR, (2, 8), halfPixelCenters=True),
    "split": _split,
    "strided slice": _strided,
    "depthwise by 2": lambda d, x: _multiplied(d, x, 2),
    "depthwise by 3": lambda d, x: _multiplied(d, x, 3),
    "softmax of a map": lambda d, x: _softmax(d, x, 5),
}
ENDS = ("softmax of a map",)  # nothing may follow these


def drawn(name: str, seed: int) -> bytes:
    """The operator between two convolutions."""
    d = Drawn(100 * seed + sum(map(ord, name)))
    source = d.input(MAP, zero=int(d.rng.integers(-20, 20)))
    made = CASES[name](d, _conv(d, source, 4))
    return d.bytes(made if name in ENDS else _conv(d, made, 3, 0.4, 9))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CASES)
def test_operators_between_convolutions(name: str, seed: int, tmp_path: Path) -> None:
    content = drawn(name, seed)
    network = lowered(content, tmp_path)
    rng = np.random.default_rng(seed)
    agree(content, network, rng.integers(-128, 128, (6, *MAP[1:])).astype(np.int8), MAP)


REAL = {
    "vww_96_int8": "vww_96_int8",
    **{name: f"mlperf/{name}" for name in ("kws_ref_model", "ad01_int8", "pretrainedResnet_quant")},
    **{
        f"{name}_int8": f"keras/{name}_int8"
        for name in ("mbv1_gray", "mbv1_gray_u8", "mbv2", "mbv3s_min", "fomo", "ei_cnn", "dscnn")
    },
}


@pytest.mark.parametrize("name", shares.some(REAL, "fomo_int8", "kws_ref_model", "ei_cnn_int8"))
def test_real_networks_layer_by_layer(name: str) -> None:
    path = SHARED / "models" / f"{REAL[name]}.tflite"
    need(path)
    found = mbn.compare(path, samples=3, against="litert").agreement
    assert found.holds, found.judgement
    assert all(one.exact == one.values > 0 for one in found.layers)


@pytest.mark.parametrize("name", CASES)
def test_their_code_on_the_host(name: str, tmp_path: Path) -> None:
    network = lowered(drawn(name, 1), tmp_path)
    compare(network, "scalar", InputMode.WHOLE, find_board("host"))


def _everything() -> bytes:
    """One network with a stage of nearly every kind."""
    d = Drawn(12)
    x = _conv(d, d.input(MAP), 4)
    x = _product(d, x, gate=True)
    x = _concatenated(d, _conv(d, x, 4), 2)
    x = _padded(d, _resized(d, _conv(d, x, 4), BILINEAR, (1, 1)), 5)
    wide = d.tensor((1, 9, 11, 4), scale=0.09, zero=-30)
    d.operator("HARD_SWISH", [x], wide, "HardSwishOptions")
    up = _like(d, wide, (1, 18, 22, 4))
    options = {"halfPixelCenters": True}
    d.operator(BILINEAR, [wide, d.ints([18, 22])], up, "ResizeBilinearOptions", **options)
    out = d.tensor((1, 18, 22, 4), scale=1 / 256, zero=-128)
    d.operator("SOFTMAX", [up], out, "SoftmaxOptions", beta=1.0)
    return d.bytes(out)


def test_all_of_them_on_the_board(board: Board, transport: str | None, tmp_path: Path) -> None:
    if transport is not None:
        pytest.skip("needs an image of its own on the board")
    content = _everything()
    network = lowered(content, tmp_path)
    kinds = {layer.op for layer in network.layers}
    assert kinds >= {Op.PRODUCT, Op.MOVE, Op.TABLE, Op.RESIZE, Op.SOFTMAX}
    rng = np.random.default_rng(4)
    agree(content, network, rng.integers(-128, 128, (3, *MAP[1:])).astype(np.int8), MAP)
    compare(network, board.core.kernels, InputMode.STREAM, board)
