"""The integers of rounding `tflite`, derived by the compiler.

Biases, Q31 multipliers, exponents and clamp are exactly those of TensorFlow Lite's reference
kernels (tensorflow/lite/kernels: kernel_util.cc, internal/quantization_util.cc). It is proved that
no image can make an accumulator leave int32, before or after TensorFlow Lite's left shift. Where
kernels use the short form of the rounding, nothing in it overflows either.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import (
    Int8,
    IntegerConstants,
    PlainConstants,
    TfliteAddition,
    TfliteAverage,
    TfliteConstants,
    TfliteProduct,
    TfliteSoftmax,
)
from mbn.core.errors import OverflowRisk, UnsupportedError
from mbn.core.network import Layer, Op, Tensor

Int64 = NDArray[np.int64]

INT32_MAX = 2**31 - 1
SOFTMAX_SCALE, SOFTMAX_ZERO_POINT = 1 / 256, -128
SOFTMAX_CLASSES_MAX = 4095
_SOFTMAX_INTEGER_BITS = 5  # of the differences that the exponential takes


def derive(layer: Layer, source: Tensor, out: Tensor) -> IntegerConstants:
    """All of a layer's integers. Raises OverflowRisk as in rounding `single`, and UnsupportedError
    if TensorFlow Lite has no kernel for the layer."""
    if layer.op is Op.SOFTMAX:
        return _softmax(layer, source, out)
    if layer.op is Op.POOL:
        return _mean(layer, source, out) if layer.is_mean else _average(layer, source, out)
    if layer.weights is None:
        return PlainConstants(*_clamp(layer, out))
    assert layer.weight_scales is not None and layer.bias is not None
    multiplier, exponent = quantise_multiplier(_factors(layer, source, out))
    total = layer.weights.reshape(len(layer.weights), -1).astype(np.int64).sum(axis=1)
    start = layer.bias.astype(np.int64) - source.zero_point * total
    _prove(layer, layer.weights, start, exponent)
    low, high = _clamp(layer, out)
    return settled(
        TfliteConstants(
            weights=layer.weights,
            bias=start.astype(np.int32),
            multiplier=multiplier.astype(np.int32),
            offset=np.zeros(len(start), np.int32),
            short=False,
            low=low,
            high=high,
            exponent=exponent.astype(np.int32),
            zero_point=out.zero_point,
        )
    )


def _factors(layer: Layer, source: Tensor, out: Tensor) -> NDArray[np.float64]:
    assert layer.weight_scales is not None
    scales = layer.weight_scales
    if layer.op is Op.DENSE and (scales == scales[0]).all():
        # a fully connected layer with one scale multiplies the two in float32
        product = (np.float32(source.scale) * scales).astype(np.float64)
    else:
        product = np.float64(source.scale) * scales.astype(np.float64)
    return np.asarray(product / np.float64(out.scale))


def quantise_multiplier(real: NDArray[np.float64]) -> tuple[Int64, Int64]:
    """(Q31 multiplier, exponent), positive to the left: QuantizeMultiplier."""
    fraction, exponent = np.frexp(real)
    multiplier = np.floor(np.ldexp(fraction, 31) + 0.5).astype(np.int64)
    exponent = exponent.astype(np.int64) + (multiplier == 2**31)
    multiplier = np.where(multiplier == 2**31, 2**30, multiplier)
    gone = exponent < -31
    return np.where(gone, 0, multiplier), np.where(gone, 0, exponent)


def _prove(layer: Layer, weights: Int8, start: Int64, exponent: Int64) -> None:
    left = np.maximum(exponent, 0)
    worst = _worst(weights, start) * np.exp2(left)
    channel = int(np.argmax(worst))
    if worst[channel] > INT32_MAX:
        raise OverflowRisk(
            f"the accumulator of output channel {channel} can reach {worst[channel]:.3g}",
            node=f"node {layer.name}",
            wanted="at most 2^31 - 1 for every possible input",
            advice="quantise with a larger weight scale or check the bias",
        )


def _worst(weights: Int8, start: Int64) -> Int64:
    magnitude = np.abs(weights.reshape(len(weights), -1).astype(np.int64)).sum(axis=1)
    return np.asarray(magnitude * 128 + np.abs(start))


def _highest(constants: TfliteConstants) -> Int64:
    """A bound on each channel's magnitude after its multiplier, before the right shift."""
    left = np.maximum(constants.exponent.astype(np.int64), 0)
    bound = _worst(constants.weights, constants.bias.astype(np.int64)) << left
    return np.asarray((bound * constants.multiplier.astype(np.int64) + 2**30) >> 31)


def halves_fit(constants: TfliteConstants) -> bool:
    """Whether no channel's sum overflows when the half of its right shift is added, so that the
    high multiply can round both."""
    right = np.maximum(-constants.exponent.astype(np.int64), 0)
    half = np.where(right >= 1, 1 << np.maximum(right - 1, 0), 0)
    return bool((_highest(constants) + half < INT32_MAX).all())


def settled(constants: TfliteConstants) -> TfliteConstants:
    """The constants with the kernels' form chosen and its offsets filled in. Called again after
    channels were removed.

    A channel whose product always rounds to 0 gets zeros for weights and bias. Its value, the zero
    point, stays the same, and no exponent is too large for the short form. So every multiplier is
    at least 2^30, which the DSP kernels rely on.
    """
    multiplier, right = constants.multiplier.astype(np.int64), -constants.exponent.astype(np.int64)
    high = _highest(constants)
    half = 1 << np.maximum(right - 1, 0)
    silent = (high < half) & (right >= 1) | (high == 0)
    multiplier, right = np.where(silent, 2**30, multiplier), np.where(silent, 1, right)
    high, half = np.where(silent, 0, high), np.where(silent, 1, half)
    offset = half + constants.zero_point * (1 << np.maximum(right, 0))
    short = bool(((right >= 1) & (high + np.abs(offset) < INT32_MAX)).all())
    plain = np.full(len(right), constants.zero_point)
    weights = constants.weights.copy()
    weights[silent] = 0
    return replace(
        constants,
        weights=weights,
        bias=np.where(silent, 0, constants.bias).astype(np.int32),
        multiplier=multiplier.astype(np.int32),
        exponent=(-right).astype(np.int32),
        offset=(offset if short else plain).astype(np.int32),
        short=short,
    )


def _clamp(layer: Layer, out: Tensor) -> tuple[int, int]:
    return clamp_codes(layer.clamp, out)


def clamp_codes(clamp: tuple[float | None, float | None], out: Tensor) -> tuple[int, int]:
    """Rounded half away from zero, after a division in float32."""

    def code(real: float | None, limit: int) -> int:
        if real is None:
            return limit
        steps = float(np.float32(real) / np.float32(out.scale))
        steps = math.copysign(math.floor(min(abs(steps), 2.0**20) + 0.5), steps)
        return min(127, max(-128, out.zero_point + int(steps)))

    return code(clamp[0], -128), code(clamp[1], 127)


def _average(layer: Layer, source: Tensor, out: Tensor) -> TfliteAverage:
    if (source.scale, source.zero_point) != (out.scale, out.zero_point):
        raise UnsupportedError(
            f"an average pool from scale {source.scale!r}, zero point {source.zero_point} to "
            f"scale {out.scale!r}, zero point {out.zero_point}",
            node=f"node {layer.name}",
            wanted="equal ones in rounding tflite: TensorFlow Lite's kernel does not rescale",
            advice="quantise it so, or compile with --rounding single",
        )
    low, high = _clamp(layer, out)
    return TfliteAverage(layer.kernel[0] * layer.kernel[1], low, high)


def _mean(layer: Layer, source: Tensor, out: Tensor) -> TfliteConstants:
    """MEAN: the sum less its zero points, times a multiplier that the number of values divides
    (reference/integer_ops/mean.h). It rescales."""
    count = layer.kernel[0] * layer.kernel[1]
    factor = np.array([np.float64(source.scale) / np.float64(out.scale)])
    multiplier, exponent = (int(one[0]) for one in quantise_multiplier(factor))
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    multiplier, exponent = (multiplier << shift) // count, exponent - shift
    # the largest sum, after the left shift and the high product
    most = (255 * count << max(exponent, 0)) * multiplier + 2**30 >> 31
    if 255 * count << max(exponent, 0) > INT32_MAX or most < 1 << max(-exponent - 1, 0):
        raise UnsupportedError(
            f"a mean of {count} values from scale {source.scale!r} to scale {out.scale!r}",
            node=f"node {layer.name}",
            wanted="scales that are less far apart, in rounding tflite",
            advice="quantise it so, or compile with --rounding single",
        )
    low, high = _clamp(layer, out)
    return settled(
        TfliteConstants(
            weights=np.ones((1, *layer.kernel, 1), np.int8),
            bias=np.array([-source.zero_point * count], np.int32),
            multiplier=np.array([multiplier], np.int32),
            offset=np.zeros(1, np.int32),
            short=False,
            low=low,
            high=high,
            exponent=np.array([exponent], np.int32),
            zero_point=out.zero_point,
        )
    )


def _softmax(layer: Layer, source: Tensor, out: Tensor) -> TfliteSoftmax:
    """Its integers (PreprocessSoftmaxScaling, CalculateInputRadius; beta is 1)."""
    if (out.scale, out.zero_point) != (SOFTMAX_SCALE, SOFTMAX_ZERO_POINT):
        raise UnsupportedError(
            f"a softmax with scale {out.scale!r} and zero point {out.zero_point}",
            node=f"node {layer.name}",
            wanted="scale 1/256 and zero point -128 in rounding tflite",
            advice="quantise it so, or compile with --rounding single",
        )
    if source.channels > SOFTMAX_CLASSES_MAX:
        raise UnsupportedError(
            f"a softmax over {source.channels} classes",
            node=f"node {layer.name}",
            wanted=f"at most {SOFTMAX_CLASSES_MAX} in rounding tflite, or its sum overflows",
            advice="compile with --rounding single",
        )
    real = min(np.float64(source.scale) * 2.0 ** (31 - _SOFTMAX_INTEGER_BITS), 2.0**31 - 1)
    multiplier, exponent = quantise_multiplier(np.array([real]))
    left = int(exponent[0])
    if left < 0:
        raise UnsupportedError(
            f"logits of scale {source.scale!r}", node=f"node {layer.name}", wanted="at least 2^-26"
        )
    radius = (2.0**_SOFTMAX_INTEGER_BITS - 1) * 2.0 ** (31 - _SOFTMAX_INTEGER_BITS) / 2.0**left
    return TfliteSoftmax(int(multiplier[0]), left, -math.floor(radius))


ADD_LEFT_SHIFT = 20


def derive_addition(layer: Layer, sources: tuple[Tensor, Tensor], out: Tensor) -> TfliteAddition:
    """An addition's integers (kernels/add.cc: its Prepare); UnsupportedError where TensorFlow Lite
    would stop."""
    twice = 2 * max(np.float64(source.scale) for source in sources)
    factors = [np.float64(source.scale) / twice for source in sources]
    factors.append(twice / (np.float64(1 << ADD_LEFT_SHIFT) * np.float64(out.scale)))
    multiplier, exponent = quantise_multiplier(np.array(factors))
    if factors[-1] >= 1:
        raise UnsupportedError(
            f"an addition's inputs have 2^{ADD_LEFT_SHIFT - 1} times its output's scale",
            node=f"node {layer.name}",
            wanted="less",
            advice="quantise with a larger output scale",
        )
    low, high = _clamp(layer, out)
    first, second = sources
    return TfliteAddition(
        zero_points=(first.zero_point, second.zero_point, out.zero_point),
        multipliers=(int(multiplier[0]), int(multiplier[1]), int(multiplier[2])),
        shifts=(-int(exponent[0]), -int(exponent[1]), -int(exponent[2])),
        low=low,
        high=high,
    )


def added(constants: TfliteAddition, first: Int64, second: Int64) -> Int64:
    """What the device stores for the sum of two stored values."""
    return _summed(constants, first, second, 1)


def subtracted(constants: TfliteAddition, first: Int64, second: Int64) -> Int64:
    """What TensorFlow Lite's SUB stores for their difference."""
    return _summed(constants, first, second, -1)


def _summed(constants: TfliteAddition, first: Int64, second: Int64, sign: int) -> Int64:
    parts = [
        scaled((value - zero) << ADD_LEFT_SHIFT, constants.multipliers[k], constants.shifts[k])
        for value, zero, k in zip((first, second), constants.zero_points, range(2), strict=False)
    ]
    total = parts[0] + sign * parts[1]
    value = scaled(np.asarray(total), constants.multipliers[2], constants.shifts[2])
    return np.asarray(np.clip(value + constants.zero_points[2], constants.low, constants.high))


def scaled(value: Int64, multiplier: Any, right: Any) -> Int64:
    """The high product, then the rounding shift."""
    high = (value * multiplier + 2**30) >> 31
    mask = (1 << right) - 1
    return np.asarray((high >> right) + ((high & mask) > (mask >> 1) + (high < 0)))


def stored(constants: TfliteConstants | TfliteAverage, accumulator: Int64) -> Int64:
    """What the device stores for accumulators (last axis: channels; a pool: sums)."""
    if isinstance(constants, TfliteAverage):
        count = constants.count
        half = np.where(accumulator > 0, count // 2, -(count // 2))
        nearest = np.sign(accumulator) * (np.abs(accumulator + half) // count)
        return np.asarray(np.clip(nearest, constants.low, constants.high))
    exponent = constants.exponent.astype(np.int64)
    left, right = np.maximum(exponent, 0), np.maximum(-exponent, 0)
    value = scaled(accumulator << left, constants.multiplier.astype(np.int64), right)
    value = value + constants.zero_point
    return np.asarray(np.clip(value, constants.low, constants.high))


def derive_product(layer: Layer, sources: tuple[Tensor, Tensor], out: Tensor) -> TfliteProduct:
    """A product's integers (kernels/mul.cc: its Prepare, in float32)."""
    scales = [np.float32(one.scale) for one in (*sources, out)]
    multiplier, exponent = quantise_multiplier(np.array([float(scales[0] * scales[1] / scales[2])]))
    if exponent[0] > LARGEST_PRODUCT_SHIFT:
        raise UnsupportedError(
            f"a product whose factor is 2^{int(exponent[0])}",
            node=f"node {layer.name}",
            wanted=f"at most 2^{LARGEST_PRODUCT_SHIFT}",
            advice="quantise with a larger output scale",
        )
    low, high = _clamp(layer, out)
    first, second = (one.zero_point for one in sources)
    return TfliteProduct(
        first, second, int(multiplier[0]), int(exponent[0]), out.zero_point, low, high
    )


LARGEST_PRODUCT_SHIFT = 14  # a product has 17 bits


def multiplied(constants: TfliteProduct, first: Int64, second: Int64) -> Int64:
    """What the device stores for the product of two stored values."""
    product = (first - constants.first) * (second - constants.second)
    left, right = max(constants.exponent, 0), max(-constants.exponent, 0)
    value = scaled(product << left, constants.multiplier, right) + constants.zero_point
    return np.asarray(np.clip(value, constants.low, constants.high))
