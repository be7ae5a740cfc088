"""Element-wise operators, products and resizes of rounding `tflite`, in NumPy.

Each is TensorFlow Lite's reference kernel applied to all 256 codes (tensorflow/lite/kernels:
quantize.cc, activations.cc, mul.cc; internal/reference: hard_swish.h, leaky_relu.h, prelu.h,
resize_bilinear.h), with their names. Shares nothing with the compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.expression import Expression, Kind
from mbn.core.network import Layer, Sampling, Tensor
from mbn.exact.tflite import (
    QuantizeMultiplier,
    RoundingDivideByPOT,
    SaturatingRoundingDoublingHighMul,
    bounds,
    quantized,
)

Int8 = NDArray[np.int8]
Int64 = NDArray[np.int64]


def table(layer: Layer, source: Tensor, out: Tensor) -> Int8:
    """What each code -128 .. 127 becomes: 1 x 256, or C x 256."""
    expression = layer.expression
    assert expression is not None
    value = np.arange(-128, 128, dtype=np.int64) - source.zero_point
    step, out_scale = np.float32(source.scale), np.float32(out.scale)
    match expression.kind:
        case Kind.QUANTIZE:
            made: Any = MultiplyByQuantizedMultiplier(value, source.scale / out.scale)
        case Kind.HARD_SWISH:
            made = HardSwish(value, step, out_scale)
        case Kind.LEAKY_RELU:
            alpha = np.float32(expression.constants[0][0])
            positive = MultiplyByQuantizedMultiplier(value, float(step / out_scale))
            negative = MultiplyByQuantizedMultiplier(value, float(step * alpha / out_scale))
            made = np.where(value >= 0, positive, negative)
        case Kind.PRELU:
            slopes, alpha_scale = expression.constants
            codes = np.rint(slopes / np.float64(alpha_scale[0])).astype(np.int64)
            factor = float(step * np.float32(alpha_scale[0]) / out_scale)
            negative = MultiplyByQuantizedMultiplier(value * codes[:, None], factor)
            positive = MultiplyByQuantizedMultiplier(value, float(step / out_scale))
            made = np.where(value >= 0, positive, negative)
        case Kind.LOGISTIC | Kind.TANH:
            real = step * value.astype(np.float32)
            unit = np.float32(1)
            with np.errstate(over="ignore"):
                falling = np.exp(-real)
            curve = np.tanh(real) if expression.kind is Kind.TANH else unit / (unit + falling)
            rescaled = (curve * (unit / out_scale)).astype(np.float64)
            made = np.sign(rescaled) * np.floor(np.abs(rescaled) + 0.5)
        case Kind.RELU:
            made = MultiplyByQuantizedMultiplier(value, float(step / out_scale))
            low, high = (code - out.zero_point for code in activation(expression, out))
            made = np.clip(made, low, high)
        case Kind.ADD | Kind.SUB | Kind.MUL:
            made = with_constant(expression, value, float(source.scale), float(out.scale))
            low, high = (code - out.zero_point for code in activation(expression, out))
            made = np.clip(made, low, high)
        case _:
            raise ValueError(f"layer {layer.name}: no kernel of TensorFlow Lite")
    return np.asarray(np.clip(np.atleast_2d(made) + out.zero_point, -128, 127), np.int8)


def activation(expression: Expression, out: Tensor) -> tuple[int, int]:
    """The clamp of an expression, as codes."""
    lowest, highest = expression.clamp
    low = -128 if lowest is None else max(-128, quantized(lowest, out))
    high = 127 if highest is None else min(127, quantized(highest, out))
    return min(low, 127), max(high, -128)


def with_constant(expression: Expression, value: Int64, scale: float, out_scale: float) -> Int64:
    """reference_ops::Mul, Add (left shift 20) and Sub, of a map and a constant: C x 256."""
    constant_scale = float(expression.constants[-1][0])
    constant = np.rint(expression.constants[0] / np.float64(constant_scale)).astype(np.int64)
    pairs = [(value[None, :], scale), (constant[:, None], constant_scale)]
    if expression.steps[0].operands[0] != 0:
        pairs.reverse()
    (input1, scale1), (input2, scale2) = pairs
    if expression.kind is Kind.MUL:
        real = float(np.float32(scale1) * np.float32(scale2) / np.float32(out_scale))
        return MultiplyByQuantizedMultiplier(input1 * input2, real)
    twice_max_input_scale = 2 * max(scale1, scale2)
    scaled1, scaled2 = (
        MultiplyByQuantizedMultiplier(one * (1 << 20), own / twice_max_input_scale)
        for one, own in pairs
    )
    raw = scaled1 - scaled2 if expression.kind is Kind.SUB else scaled1 + scaled2
    return MultiplyByQuantizedMultiplier(raw, twice_max_input_scale / ((1 << 20) * out_scale))


def MultiplyByQuantizedMultiplier(x: Int64, real: float) -> Int64:
    multiplier, shift = QuantizeMultiplier(real)
    high = SaturatingRoundingDoublingHighMul(x << max(shift, 0), np.asarray(multiplier, np.int64))
    return RoundingDivideByPOT(high, np.int64(max(-shift, 0)))


def HardSwish(input_value: Int64, input_scale: np.float32, output_scale: np.float32) -> Int64:
    hires_input_scale = np.float32(1.0 / 128.0) * input_scale
    reluish_scale = np.float32(3.0 / 32768.0)
    output, output_exponent = QuantizeMultiplier(float(hires_input_scale / output_scale))
    reluish, reluish_exponent = QuantizeMultiplier(float(hires_input_scale / reluish_scale))
    hires = input_value * (1 << 7)
    on_preshift_output_scale = HighMul16(hires, DownScaleInt32ToInt16Multiplier(output))
    reluish_value = hires
    if reluish_exponent > 0:
        reluish_value = SaturatingLeftShift(reluish_value, reluish_exponent - 1)
    reluish_value = HighMul16(reluish_value, DownScaleInt32ToInt16Multiplier(reluish))
    if reluish_exponent > 0:
        reluish_value = SaturatingLeftShift(reluish_value, 1)
    if reluish_exponent < 0:
        reluish_value = RoundingDivideByPOT(reluish_value, np.int64(-reluish_exponent))
    reluish_value = (reluish_value + (1 << 15)) >> 1
    doubled = reluish_value * on_preshift_output_scale
    preshift_output_value = np.where(doubled < 0, -(-doubled >> 15), doubled >> 15)
    preshift_output_value = np.clip(preshift_output_value, -(2**15), 2**15 - 1)
    return RoundingDivideByPOT(preshift_output_value, np.int64(-output_exponent))


def DownScaleInt32ToInt16Multiplier(multiplier: int) -> int:
    return 2**15 - 1 if multiplier >= 2**31 - 1 - 2**15 else (multiplier + 2**15) >> 16


def SaturatingLeftShift(value: Int64, amount: int) -> Int64:
    return np.asarray(np.clip(value * (1 << amount), -(2**15), 2**15 - 1))


def HighMul16(a: Int64, b: int) -> Int64:
    """SaturatingRoundingDoublingHighMul of int16."""
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    return np.where(nudged < 0, -(-nudged >> 15), nudged >> 15)


def product(layer: Layer, sources: Sequence[Tensor], out: Tensor, a: Int8, b: Int8) -> Int8:
    """reference_integer_ops::Mul."""
    scales = [np.float32(one.scale) for one in (*sources, out)]
    multiplied = (a.astype(np.int64) - sources[0].zero_point) * (
        b.astype(np.int64) - sources[1].zero_point
    )
    value = MultiplyByQuantizedMultiplier(multiplied, float(scales[0] * scales[1] / scales[2]))
    return np.asarray(np.clip(value + out.zero_point, *bounds(layer, out)), np.int8)


def resized(layer: Layer, x: Int8, limits: tuple[int, int]) -> Int8:
    """reference_ops::ResizeBilinearInteger: places in units of 1 / 1024, weights of 2^20 in all,
    half away from zero."""
    place_y, y0, y1 = interpolation(layer.factor[0], x.shape[1], layer.sampling)
    place_x, x0, x1 = interpolation(layer.factor[1], x.shape[2], layer.sampling)
    unit, values = 1 << 10, x.astype(np.int64)
    down, across = (place_y - unit * y0)[:, None, None], (place_x - unit * x0)[:, None]
    output_20 = values[:, y0][:, :, x0] * (unit - down) * (unit - across)
    output_20 += values[:, y1][:, :, x0] * down * (unit - across)
    output_20 += values[:, y0][:, :, x1] * (unit - down) * across
    output_20 += values[:, y1][:, :, x1] * down * across
    size = (np.abs(output_20) + (1 << 19)) >> 20
    return np.asarray(np.clip(np.sign(output_20) * size, *limits), np.int8)


def interpolation(factor: int, size: int, sampling: Sampling) -> tuple[Int64, Int64, Int64]:
    """ComputeInterpolationValues: the place of each value of the result, the two that it is
    between."""
    scale_10 = ((1 << 10) * size + size * factor // 2) // (size * factor)
    place = np.arange(size * factor, dtype=np.int64) * scale_10
    if sampling is Sampling.HALF_PIXEL:
        place += scale_10 // 2 - (1 << 9)
    towards_zero = np.sign(place) * (np.abs(place) // (1 << 10))
    upper = np.sign(place + 1023) * (np.abs(place + 1023) // (1 << 10))
    return place, np.maximum(towards_zero, 0), np.minimum(upper, size - 1)
