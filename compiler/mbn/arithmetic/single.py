"""The integers of rounding `single`, derived from a layer's weights and scales.

They are folded int32 biases, doubled multipliers, offsets, the shift and the clamp. From the
weights it is proved that no image can make an accumulator leave int32. A channel where one might
is refused by name. The exact reference derives the same values separately, on purpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import (
    AdditionConstants,
    IntegerConstants,
    NormaliseConstants,
    PlainConstants,
    ProductConstants,
    SingleConstants,
)
from mbn.core.errors import OverflowRisk
from mbn.core.network import Layer, Op, Tensor

DEAD_BITS = 20  # below 2**-20 a channel's weights are re-expressed at that factor
MULTIPLIER_BITS = 30
INT32_MAX = 2**31 - 1


def derive(layer: Layer, source: Tensor, out: Tensor) -> IntegerConstants:
    """Integers in rounding `single`. Raises OverflowRisk if an accumulator could leave int32."""
    if layer.op is Op.NORMALISE:
        return NormaliseConstants()
    if layer.op in (Op.MAX_POOL, Op.MOVE, Op.RESIZE):
        return PlainConstants(*_clamp_codes(layer, out))
    if layer.weights is None:
        count = layer.kernel[0] * layer.kernel[1]
        real = np.array([source.scale / (out.scale * count)], np.float64)
        weights = np.zeros((0, 0, 0, 0), np.int8)
        total, magnitude = np.array([count], np.int64), np.array([count], np.int64)
        bias = np.zeros(1, np.int64)
    else:
        assert layer.weight_scales is not None and layer.bias is not None
        scales = layer.weight_scales.astype(np.float64)
        real = np.float64(source.scale) * scales / np.float64(out.scale)
        weights, bias, real = _revive(layer.weights, layer.bias.astype(np.int64), real)
        flat = weights.reshape(len(weights), -1).astype(np.int64)
        total, magnitude = flat.sum(axis=1), np.abs(flat).sum(axis=1)
    shift = _shift(real)
    multiplier = np.rint(np.ldexp(real, 31 - shift)).astype(np.int64)
    start = bias - source.zero_point * total
    offset = np.rint(np.ldexp(np.float64(out.zero_point), shift) / real)
    _prove(layer, start, magnitude, offset, shift)
    added = offset.astype(np.int64)
    low, high = _clamp_codes(layer, out)
    return SingleConstants(
        weights=weights,
        bias=(start + added if shift == 0 else start).astype(np.int32),
        doubled=(2 * multiplier).astype(np.int32),
        offset=(np.zeros_like(added) if shift == 0 else added).astype(np.int32),
        shift=shift,
        low=low,
        high=high,
    )


def derive_product(layer: Layer, sources: tuple[Tensor, Tensor], out: Tensor) -> ProductConstants:
    """A product's integers. Raises OverflowRisk where (P << s) + Z could leave int32."""
    first, second = (np.float64(one.scale) for one in sources)
    real = np.array([first * second / np.float64(out.scale)])
    zeros = (sources[0].zero_point, sources[1].zero_point)
    low, high = _clamp_codes(layer, out)
    if real[0] < 2.0**-DEAD_BITS:  # every product rounds to 0
        still = min(high, max(low, out.zero_point))
        return ProductConstants(*zeros, 0, 0, 0, still, still)
    shift = _shift(real)
    multiplier = int(np.rint(np.ldexp(real[0], 31 - shift)))
    offset = int(np.rint(np.ldexp(np.float64(out.zero_point), shift) / real[0]))
    worst = (255 * 255 << shift) + abs(offset)
    if worst > INT32_MAX:
        raise OverflowRisk(
            f"a product can reach {worst:.3g}",
            node=f"node {layer.name}",
            wanted="at most 2^31 - 1 for every possible input",
            advice="quantise with a larger output scale",
        )
    return ProductConstants(*zeros, 2 * multiplier, offset, shift, low, high)


def derive_addition(layer: Layer, sources: tuple[Tensor, Tensor], out: Tensor) -> AdditionConstants:
    """An addition's integers. Raises OverflowRisk if a factor is too large to be expressed."""
    factors = [float(np.float64(source.scale) / np.float64(out.scale)) for source in sources]
    shift = MULTIPLIER_BITS
    while shift > 0 and max(np.rint(np.ldexp(factors, shift))) >= 2**MULTIPLIER_BITS:
        shift -= 1
    if shift == 0:
        raise OverflowRisk(
            f"its inputs' scales are {max(factors):.3g} times its output's",
            node=f"node {layer.name}",
            wanted=f"less than 2^{MULTIPLIER_BITS - 1} times",
            advice="quantise with a larger output scale",
        )
    first, second = (int(np.rint(np.ldexp(factor, shift))) for factor in factors)
    zeros = sources[0].zero_point * first + sources[1].zero_point * second
    low, high = _clamp_codes(layer, out)
    return AdditionConstants(
        first=first,
        second=second,
        offset=(out.zero_point << shift) - zeros + (1 << (shift - 1)),
        shift=shift,
        low=low,
        high=high,
    )


def _revive(
    weights: NDArray[np.int8], bias: NDArray[np.int64], real: NDArray[np.float64]
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.float64]]:
    """Re-expresses channels whose factor is so small that their weights can't matter singly."""
    limit = 2.0**-DEAD_BITS
    scale = np.where(real < limit, np.ldexp(real, DEAD_BITS), 1.0)
    shape = (-1,) + (1,) * (weights.ndim - 1)
    revived = np.rint(weights * scale.reshape(shape)).astype(np.int8)
    return revived, np.rint(bias * scale).astype(np.int64), np.maximum(real, limit)


def _shift(real: NDArray[np.float64]) -> int:
    shift = 0
    while np.rint(np.ldexp(real, 31 - shift)).max() >= 2**MULTIPLIER_BITS:
        shift += 1
    return shift


def _prove(
    layer: Layer,
    start: NDArray[np.int64],
    magnitude: NDArray[np.int64],
    offset: NDArray[Any],
    shift: int,
) -> None:
    worst = ((magnitude * 128 + np.abs(start)).astype(np.float64)) * 2.0**shift + np.abs(offset)
    channel = int(np.argmax(worst))
    if worst[channel] > INT32_MAX:
        raise OverflowRisk(
            f"the accumulator of output channel {channel} can reach {worst[channel]:.3g}",
            node=f"node {layer.name}",
            wanted="at most 2^31 - 1 for every possible input",
            advice="quantise with a larger weight scale or check the bias",
        )


def _clamp_codes(layer: Layer, out: Tensor) -> tuple[int, int]:
    return _clamp_code(layer.clamp[0], out, -128), _clamp_code(layer.clamp[1], out, 127)


def _clamp_code(real: float | None, out: Tensor, limit: int) -> int:
    if real is None:
        return limit
    code = out.zero_point + int(np.rint(np.float64(real) / np.float64(out.scale)))
    return min(127, max(-128, code))


def stored(constants: SingleConstants, accumulator: NDArray[np.int64]) -> NDArray[np.int64]:
    """What the device stores for accumulators (last axis: channels, or one value for a pool)."""
    scaled = (accumulator << constants.shift) + constants.offset
    rounded = (scaled * constants.doubled.astype(np.int64) + 2**31) >> 32
    return np.asarray(np.clip(rounded, constants.low, constants.high))


def added(
    constants: AdditionConstants, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """What the device stores for the sum of two stored values."""
    total = first * constants.first + second * constants.second + constants.offset
    return np.asarray(np.clip(total >> constants.shift, constants.low, constants.high))


def multiplied(
    constants: ProductConstants, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """What the device stores for the product of two stored values."""
    product = (first - constants.first) * (second - constants.second)
    total = ((product << constants.shift) + constants.offset) * constants.doubled
    return np.asarray(np.clip((total + 2**31) >> 32, constants.low, constants.high))
