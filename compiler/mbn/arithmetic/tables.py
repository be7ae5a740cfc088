"""Tables: what an element-wise expression makes of each of the 256 codes.

Rounding `single`: the expression in float64, rounded half to even. Rounding `tflite`: what
TensorFlow Lite's reference kernel of the operator gives (tensorflow/lite/kernels: quantize.cc,
activations.cc, internal/reference/hard_swish.h, leaky_relu.h, prelu.h).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.arithmetic.tflite import (
    added,
    clamp_codes,
    derive_addition,
    derive_product,
    multiplied,
    quantise_multiplier,
    scaled,
    subtracted,
)
from mbn.core.constants import Int8, TableConstants
from mbn.core.errors import UnsupportedError
from mbn.core.expression import Element, Expression, Kind
from mbn.core.network import Layer, Tensor
from mbn.core.options import Rounding

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

CODES = np.arange(-128, 128)
_NAMES = tuple(kind.value for kind in Kind if kind is not Kind.OTHER)
_erf = np.vectorize(math.erf, otypes=[np.float64])

_ELEMENTS: Mapping[Element, Callable[..., Any]] = {
    Element.ADD: np.add,
    Element.SUB: np.subtract,
    Element.MUL: np.multiply,
    Element.DIV: np.divide,
    Element.POW: np.power,
    Element.MIN: np.minimum,
    Element.MAX: np.maximum,
    Element.NEG: np.negative,
    Element.ABS: np.abs,
    Element.SQRT: np.sqrt,
    Element.EXP: np.exp,
    Element.LOG: np.log,
    Element.ERF: _erf,
    Element.TANH: np.tanh,
    Element.SIGMOID: lambda x: 1 / (1 + np.exp(-x)),
    Element.PRELU: lambda x, slope: np.where(x < 0, x * slope, x),
}


def evaluate(expression: Expression, x: Float64) -> Float64:
    """The expression of each x: channels x values, channels 1 where all share it."""
    values: list[Float64] = [x[None]]
    values += [one.astype(np.float64)[:, None] for one in expression.constants]
    with np.errstate(all="ignore"):
        for step in expression.steps:
            values.append(_ELEMENTS[step.element](*(values[at] for at in step.operands)))
    if not expression.steps:
        return values[0]
    return np.broadcast_to(values[-1], (expression.channels, len(x)))


def derive(layer: Layer, source: Tensor, out: Tensor, rounding: Rounding) -> TableConstants:
    """A table layer's integers. Raises UnsupportedError where the expression is not a number for
    some code, or is no operator that TensorFlow Lite has a kernel for (`tflite`)."""
    expression = layer.expression
    assert expression is not None
    if rounding is Rounding.TFLITE:
        table = _tflite(layer, expression, source, out)
    else:
        real = evaluate(expression, np.float64(source.scale) * (CODES - source.zero_point))
        if np.isnan(real).any():
            code = int(CODES[np.argmax(np.isnan(real).any(axis=0))])
            raise UnsupportedError(
                f"its value for the input {source.scale * (code - source.zero_point):.6g} is not "
                "a number",
                node=f"node {layer.name}",
                wanted="a value for every code of its input",
            )
        table = _stored(np.rint(real / np.float64(out.scale)) + out.zero_point)
    low, high = int(table.min()), int(table.max())
    return TableConstants(np.ascontiguousarray(table), low, high)


def _stored(values: NDArray[Any]) -> Int8:
    return np.asarray(np.clip(values, -128, 127), np.int8)


def _tflite(layer: Layer, expression: Expression, source: Tensor, out: Tensor) -> Int8:
    if expression.kind is Kind.HARD_SWISH and source.scale >= 128 * out.scale:
        raise UnsupportedError(
            f"a HARD_SWISH of scale {source.scale!r} with a result of scale {out.scale!r}",
            node=f"node {layer.name}",
            wanted="an input's scale less than 128 times as large as the result's, in rounding "
            "tflite: TensorFlow Lite has no kernel of others",
            advice="compile with --rounding single",
        )
    if expression.kind in (Kind.ADD, Kind.SUB, Kind.MUL):
        return _with_constant(layer, source, out)
    kernels: Mapping[Kind, Callable[[Expression, Tensor, Tensor], NDArray[Any]]] = {
        Kind.QUANTIZE: _requantize,
        Kind.HARD_SWISH: _hard_swish,
        Kind.LEAKY_RELU: _leaky_relu,
        Kind.PRELU: _prelu,
        Kind.RELU: _relu,
        Kind.LOGISTIC: _by_float,
        Kind.TANH: _by_float,
    }
    if expression.kind not in kernels:
        raise UnsupportedError(
            "element-wise operators of which TensorFlow Lite has no kernel",
            node=f"node {layer.name}",
            wanted="one of "
            + ", ".join(kind.value for kind in Kind if kind is not Kind.OTHER)
            + ", in rounding tflite",
            advice="compile with --rounding single",
        )
    table = kernels[expression.kind](expression, source, out) + out.zero_point
    return _stored(np.atleast_2d(table))


def _multiplied(values: Int64, real: float) -> Int64:
    """MultiplyByQuantizedMultiplier."""
    multiplier, exponent = (int(one[0]) for one in quantise_multiplier(np.array([real])))
    return scaled(values << max(exponent, 0), multiplier, max(-exponent, 0))


def _requantize(_expression: Expression, source: Tensor, out: Tensor) -> Int64:
    return _multiplied(CODES - source.zero_point, source.scale / out.scale)


def _relu(expression: Expression, source: Tensor, out: Tensor) -> Int64:
    low, high = clamp_codes(expression.clamp, out)
    factor = float(np.float32(source.scale) / np.float32(out.scale))
    found = _multiplied(CODES - source.zero_point, factor) + out.zero_point
    return np.clip(found, low, high) - out.zero_point


def _with_constant(layer: Layer, source: Tensor, out: Tensor) -> Int8:
    """ADD, SUB or MUL of the map and a constant, as of two maps: its codes without their zero
    point, at the scale that the expression has last."""
    expression = layer.expression
    assert expression is not None
    values, scale = expression.constants[0], float(expression.constants[-1][0])
    codes = np.rint(values.astype(np.float64) / scale).astype(np.int64)[:, None]
    constant = Tensor("constant", 1, 1, len(codes), scale, 0)
    one = replace(layer, clamp=expression.clamp)
    first, second = (source, constant), (CODES[None], codes)
    if expression.steps[0].operands[0] != 0:
        first, second = (constant, source), (codes, CODES[None])
    if expression.kind is Kind.MUL:
        return _stored(multiplied(derive_product(one, first, out), *second))
    by = derive_addition(one, first, out)
    if expression.kind is Kind.SUB:
        return _stored(subtracted(by, *second))
    return _stored(added(by, *second))


def _leaky_relu(expression: Expression, source: Tensor, out: Tensor) -> Int64:
    """Its factors are computed in float32."""
    d, scale = CODES - source.zero_point, np.float32(source.scale)
    slope = expression.constants[0][0]
    below = _multiplied(d, float(scale * slope / np.float32(out.scale)))
    return np.where(d >= 0, _multiplied(d, float(scale / np.float32(out.scale))), below)


def _prelu(expression: Expression, source: Tensor, out: Tensor) -> Int64:
    """constants: the slopes, and the scale of their codes."""
    slopes, scale = expression.constants
    d, step = CODES - source.zero_point, np.float32(source.scale)
    codes = np.rint(slopes.astype(np.float64) / np.float64(scale[0])).astype(np.int64)[:, None]
    below = _multiplied(d * codes, float(step * scale[0] / np.float32(out.scale)))
    return np.where(d >= 0, _multiplied(d, float(step / np.float32(out.scale))), below)


def _by_float(expression: Expression, source: Tensor, out: Tensor) -> Float64:
    """A float32 table, rounded half away from zero."""
    x = np.float32(source.scale) * (CODES - source.zero_point).astype(np.float32)
    one = np.float32(1)
    with np.errstate(over="ignore"):  # an exponential that is infinite makes 0
        made = np.tanh(x) if expression.kind is Kind.TANH else one / (one + np.exp(-x))
    steps = (made * (one / np.float32(out.scale))).astype(np.float64)
    return np.asarray(np.copysign(np.floor(np.abs(steps) + 0.5), steps))


def _hard_swish(_expression: Expression, source: Tensor, out: Tensor) -> Int64:
    """In 16 bits, with the names of hard_swish.h."""
    hires_input_scale = np.float32(1 / 128) * np.float32(source.scale)
    output_multiplier, output_exponent = _halved(hires_input_scale / np.float32(out.scale))
    reluish_multiplier, exponent = _halved(hires_input_scale / np.float32(3 / 32768))
    hires = (CODES - source.zero_point) * 128
    preshift = _high_product(hires, output_multiplier)
    reluish = hires
    if exponent > 0:
        reluish = _short(reluish << (exponent - 1))
    reluish = _high_product(reluish, reluish_multiplier)
    if exponent > 0:
        reluish = _short(reluish << 1)
    if exponent < 0:
        reluish = _by_power(reluish, -exponent)
    product = ((reluish + 2**15) >> 1) * preshift
    made = np.sign(product) * (np.abs(product) >> 15)
    return _by_power(_short(made), -output_exponent)


def _halved(real: np.float32) -> tuple[int, int]:
    """A factor as a Q15 multiplier and an exponent."""
    multiplier, exponent = (int(one[0]) for one in quantise_multiplier(np.array([float(real)])))
    return min((multiplier + 2**15) >> 16, 2**15 - 1), exponent


def _short(values: Int64) -> Int64:
    return np.clip(values, -(2**15), 2**15 - 1)


def _high_product(a: Int64, b: int) -> Int64:
    """SaturatingRoundingDoublingHighMul of 16 bits: half away from zero by its nudge."""
    product = a * b
    nudged = product + np.where(product >= 0, 2**14, 1 - 2**14)
    return np.asarray(np.sign(nudged) * (np.abs(nudged) >> 15))


def _by_power(x: Int64, exponent: int) -> Int64:
    """RoundingDivideByPOT."""
    mask = (1 << exponent) - 1
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))
