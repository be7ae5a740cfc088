"""Element-wise operators and products of rounding `tflite`, in NumPy.

Each is TensorFlow Lite's reference kernel applied to all 256 codes (tensorflow/lite/kernels:
quantize.cc, activations.cc, mul.cc; internal/reference: hard_swish.h, leaky_relu.h, prelu.h), with
their names. Shares nothing with the compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.expression import Kind
from mbn.core.network import Layer, Tensor
from mbn.exact.tflite import (
    QuantizeMultiplier,
    RoundingDivideByPOT,
    SaturatingRoundingDoublingHighMul,
    bounds,
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
            curve = np.tanh(real) if expression.kind is Kind.TANH else unit / (unit + np.exp(-real))
            rescaled = (curve * (unit / out_scale)).astype(np.float64)
            made = np.sign(rescaled) * np.floor(np.abs(rescaled) + 0.5)
        case _:
            raise ValueError(f"layer {layer.name}: no kernel of TensorFlow Lite")
    return np.asarray(np.clip(np.atleast_2d(made) + out.zero_point, -128, 127), np.int8)


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
