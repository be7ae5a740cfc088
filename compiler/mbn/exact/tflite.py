"""The exact integer reference of rounding `tflite`, in NumPy.

Every bit is that of TensorFlow Lite's reference kernels (tensorflow/lite/kernels/internal:
common.h, reference/softmax.h, reference/integer_ops/pooling.h; gemmlowp's fixedpoint.h). It is
written from those definitions, with their names, so that the two can be compared side by side. It
shares nothing with the compiler. Everything is int64, in which no step overflows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbn.core.network import Layer, Op, Tensor

Int8 = NDArray[np.int8]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """One layer's integers: out = clamp(MultiplyByQuantizedMultiplier(A) + zero_point)."""

    weights: Int64  # N x kh x kw x C
    constant: Int64  # N: bias - zp_in * sum(w), what A starts from
    multiplier: Int64  # N, Q31
    shift: Int64  # N, positive to the left
    zero_point: int
    low: int
    high: int


def derive(layer: Layer, source: Tensor, out: Tensor) -> Arithmetic:
    """The integers of a layer; of a pool or softmax only the clamp means anything."""
    low, high = bounds(layer, out)
    if layer.is_mean:
        return _mean(layer, source, out, low, high)
    if layer.weights is None:
        none = np.zeros(0, np.int64)
        return Arithmetic(np.ones((1, *layer.kernel, 1), np.int64), none, none, none, 0, low, high)
    assert layer.weight_scales is not None and layer.bias is not None
    factors = []
    one_scale = len(set(layer.weight_scales.tolist())) == 1
    for scale in layer.weight_scales:
        if layer.op is Op.DENSE and one_scale:  # GetQuantizedConvolutionMultipler: float * float
            product = float(np.float32(source.scale) * np.float32(scale))
        else:  # PopulateConvolutionQuantizationParams: double * double
            product = float(source.scale) * float(scale)
        factors.append(QuantizeMultiplier(product / float(out.scale)))
    weights = layer.weights.astype(np.int64)
    return Arithmetic(
        weights=weights,
        constant=layer.bias.astype(np.int64) - source.zero_point * weights.sum(axis=(1, 2, 3)),
        multiplier=np.array([multiplier for multiplier, _ in factors], np.int64),
        shift=np.array([shift for _, shift in factors], np.int64),
        zero_point=out.zero_point,
        low=low,
        high=high,
    )


def _mean(layer: Layer, source: Tensor, out: Tensor, low: int, high: int) -> Arithmetic:
    """reference_integer_ops::Mean: "integrates a 1/num_elements_in_axis multiplier"."""
    num_elements_in_axis = layer.kernel[0] * layer.kernel[1]
    output_multiplier, output_shift = QuantizeMultiplier(float(source.scale) / float(out.scale))
    shift = 0
    while 2 ** (shift + 1) <= num_elements_in_axis:  # 63 - CountLeadingZeros
        shift += 1
    shift = min(shift, 32, 31 + output_shift)
    return Arithmetic(
        weights=np.ones((1, *layer.kernel, 1), np.int64),
        constant=np.array([-source.zero_point * num_elements_in_axis], np.int64),
        multiplier=np.array([output_multiplier * 2**shift // num_elements_in_axis], np.int64),
        shift=np.array([output_shift - shift], np.int64),
        zero_point=out.zero_point,
        low=low,
        high=high,
    )


def bounds(layer: Layer, out: Tensor) -> tuple[int, int]:
    """A clamp as codes: CalculateActivationRangeQuantized."""
    low = max(-128, quantized(layer.clamp[0], out)) if layer.clamp[0] is not None else -128
    high = min(127, quantized(layer.clamp[1], out)) if layer.clamp[1] is not None else 127
    return min(low, 127), max(high, -128)


def quantized(real: float, out: Tensor) -> int:
    """A float32 quotient, rounded half away from zero."""
    quotient = float(np.float32(real) / np.float32(out.scale))
    if abs(quotient) > 1000:
        return 1000 if quotient > 0 else -1000
    return out.zero_point + (int(quotient + 0.5) if quotient >= 0 else -int(0.5 - quotient))


def QuantizeMultiplier(real: float) -> tuple[int, int]:
    """A double as a Q31 fraction and a power of two."""
    if real == 0.0:
        return 0, 0
    fraction, shift = np.frexp(real)
    fixed, shift = int(float(fraction) * 2.0**31 + 0.5), int(shift)
    if fixed == 2**31:
        fixed, shift = fixed // 2, shift + 1
    return (0, 0) if shift < -31 else (fixed, shift)


def SaturatingRoundingDoublingHighMul(a: Int64, b: Int64) -> Int64:
    """int32 x int32: twice the high half, rounded to nearest, as gemmlowp does it: a nudge that
    depends on the sign, then a division that truncates."""
    product = a * b
    nudged = product + np.where(product >= 0, 2**30, 1 - 2**30)
    found = np.sign(nudged) * (np.abs(nudged) >> 31)
    return np.asarray(np.minimum(found, 2**31 - 1))


def RoundingDivideByPOT(x: Int64, exponent: Int64 | np.int64) -> Int64:
    """x / 2^exponent, half away from zero."""
    mask = (np.int64(1) << exponent) - 1
    remainder = x & mask
    threshold = (mask >> 1) + (x < 0)
    return np.asarray((x >> exponent) + (remainder > threshold))


def requantise(accumulator: Int64, by: Arithmetic) -> Int8:
    """A (any shape, channels last) to int8."""
    left, right = np.maximum(by.shift, 0), np.maximum(-by.shift, 0)
    high = SaturatingRoundingDoublingHighMul(accumulator << left, by.multiplier)
    value = RoundingDivideByPOT(high, right) + by.zero_point
    return np.clip(value, by.low, by.high).astype(np.int8)


def average(total: Int64, count: int, by: Arithmetic) -> Int8:
    """reference_integer_ops::AveragePool of sums over `count` values."""
    positive = (total + count // 2) // count
    negative = -((-total + count // 2) // count)
    return np.clip(np.where(total > 0, positive, negative), by.low, by.high).astype(np.int8)


@dataclass(frozen=True)
class Addition:
    """One addition's integers; multipliers with their shifts, positive to the left."""

    offsets: tuple[int, int]  # minus the inputs' zero points
    inputs: tuple[tuple[int, int], tuple[int, int]]
    output: tuple[int, int]
    zero_point: int
    low: int
    high: int


def derive_addition(layer: Layer, sources: tuple[Tensor, Tensor], out: Tensor) -> Addition:
    """The integers of an addition (kernels/add.cc, left shift 20)."""
    first, second = sources
    twice_max_input_scale = 2 * max(first.scale, second.scale)
    bounds = derive(layer, first, out)
    return Addition(
        (-first.zero_point, -second.zero_point),
        (
            QuantizeMultiplier(first.scale / twice_max_input_scale),
            QuantizeMultiplier(second.scale / twice_max_input_scale),
        ),
        QuantizeMultiplier(twice_max_input_scale / ((1 << 20) * out.scale)),
        out.zero_point,
        bounds.low,
        bounds.high,
    )


def add(by: Addition, first: Int8, second: Int8) -> Int8:
    """reference_integer_ops::Add."""
    raw_sum: Int64 = np.zeros(first.shape, np.int64)
    for value, offset, (multiplier, shift) in zip(
        (first, second), by.offsets, by.inputs, strict=True
    ):
        shifted = (value.astype(np.int64) + offset) * (1 << 20)
        raw_sum = raw_sum + _smaller_than_one(shifted, multiplier, shift)
    total = _smaller_than_one(raw_sum, *by.output) + by.zero_point
    return np.clip(total, by.low, by.high).astype(np.int8)


def _smaller_than_one(x: Int64, multiplier: int, shift: int) -> Int64:
    """MultiplyByQuantizedMultiplierSmallerThanOneExp."""
    high = SaturatingRoundingDoublingHighMul(x, np.asarray(multiplier, np.int64))
    return RoundingDivideByPOT(high, np.int64(-shift))


# -- softmax: gemmlowp's fixed point ---------------------------------------------------------------


def _rescale(x: Int64, power: int) -> Int64:
    """SaturatingRoundingMultiplyByPOT."""
    if power <= 0:
        return RoundingDivideByPOT(x, np.int64(-power))
    return np.asarray(np.clip(x << power, -(2**31), 2**31 - 1))


def _mul(a: Int64, b: int | Int64) -> Int64:
    return SaturatingRoundingDoublingHighMul(a, np.asarray(b, np.int64))


# of Q5.26: exp(-2^exponent) in Q0.31 (GEMMLOWP_EXP_BARREL_SHIFTER)
_BARREL = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)


def exp_on_negative_values(a: Int64) -> Int64:
    """exp of Q5.26, at most 0, in Q0.31."""
    quarter = 1 << 24
    part = (a & (quarter - 1)) - quarter
    result = _exp_near_zero(_rescale(part, 5))
    remainder = part - a
    for exponent, factor in _BARREL:
        result = np.where(remainder & (1 << (26 + exponent)), _mul(result, factor), result)
    return np.where(a == 0, 2**31 - 1, result)


def _exp_near_zero(a: Int64) -> Int64:
    """exp_on_interval_between_negative_one_quarter_and_0_excl: Taylor about -1/8."""
    constant_term, one_third = 1895147668, 715827883
    x = a + (1 << 28)
    x2 = _mul(x, x)
    x3, x4 = _mul(x2, x), _mul(x2, x2)
    sum_ = _rescale(_mul(_rescale(x4, -2) + x3, one_third) + x2, -1)
    return constant_term + _mul(x + sum_, constant_term)


def one_over_one_plus_x(a: Int64) -> Int64:
    """1 / (1 + a) for a in 0 .. 1, Q0.31: Newton's division, three steps (in Q2.29)."""
    half_denominator = (a + 2**31 - 1 + 1) >> 1  # RoundingHalfSum of a and one; both at least 0
    x = 1515870810 + _mul(half_denominator, -1010580540)  # 48/17, -32/17
    for _ in range(3):
        rest = (1 << 29) - _mul(half_denominator, x)
        x = x + _rescale(_mul(x, rest), 2)
    return _rescale(x, 1)


def softmax(x: Int8, scale: float) -> Int8:
    """reference_ops::Softmax over the last axis: int8 logits of `scale` to int8 of scale 1/256 and
    zero point -128."""
    multiplier, left = QuantizeMultiplier(min(float(scale) * 2.0**26, 2.0**31 - 1.0))
    least = -int((2**5 - 1) * 2.0**26 / 2.0**left)
    difference = x.astype(np.int64) - x.max(axis=-1, keepdims=True)
    counts = difference >= least
    scaled = _mul(np.where(counts, difference, 0) << left, multiplier)
    exponentials = exp_on_negative_values(scaled)
    total = np.where(counts, _rescale(exponentials, -12), 0).sum(axis=-1, keepdims=True)
    leading = 32 - np.ceil(np.log2(total + 1)).astype(np.int64)  # zeros of a 32-bit word
    over_unit = 12 - leading
    reciprocal = one_over_one_plus_x((total << leading) - 2**31)
    value = RoundingDivideByPOT(_mul(reciprocal, exponentials), over_unit + 31 - 8) - 128
    return np.where(counts, np.clip(value, -128, 127), -128).astype(np.int8)
