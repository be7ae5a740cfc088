"""The integers that kernels need, in the rounding of their network.

Only this module chooses between single.py and tflite.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbn.arithmetic import single, tables, tflite
from mbn.core.constants import (
    AdditionConstants,
    Int8,
    IntegerConstants,
    ProductConstants,
    SingleConstants,
    TfliteAddition,
    TfliteAverage,
    TfliteConstants,
    TfliteProduct,
    WeightedConstants,
)
from mbn.core.network import Layer, Network, Op, Tensor
from mbn.core.options import Rounding

_Pair = tuple[Tensor, Tensor]


class _Derive(NamedTuple):
    """What derives a rounding's integers."""

    layer: Callable[[Layer, Tensor, Tensor], IntegerConstants]
    addition: Callable[[Layer, _Pair, Tensor], AdditionConstants | TfliteAddition]
    product: Callable[[Layer, _Pair, Tensor], ProductConstants | TfliteProduct]


_DERIVE: Mapping[Rounding, _Derive] = {
    Rounding.SINGLE: _Derive(single.derive, single.derive_addition, single.derive_product),
    Rounding.TFLITE: _Derive(tflite.derive, tflite.derive_addition, tflite.derive_product),
}


def derive_all(network: Network) -> Network:
    """The network with `constants` in every layer. Raises OverflowRisk as `derive` does."""
    return replace(network, layers=tuple(_derived(network, layer) for layer in network.layers))


def _derived(network: Network, layer: Layer) -> Layer:
    if layer.op is Op.ADD:
        return replace(layer, addition=derive_addition_in(network, layer))
    return replace(layer, constants=derive_in(network, layer))


def derive_addition_in(network: Network, layer: Layer) -> AdditionConstants | TfliteAddition:
    """An addition's integers in its network's rounding."""
    first, second = (network.tensor(name) for name in layer.inputs)
    return _DERIVE[network.rounding].addition(layer, (first, second), network.tensor(layer.output))


def derive_in(network: Network, layer: Layer) -> IntegerConstants:
    """A layer's integers in its network's rounding."""
    source, out = network.tensor(layer.input), network.tensor(layer.output)
    if layer.op is Op.TABLE:
        return tables.derive(layer, source, out, network.rounding)
    if layer.op is Op.PRODUCT:
        sources = (source, network.tensor(layer.others[0]))
        return _DERIVE[network.rounding].product(layer, sources, out)
    return _DERIVE[network.rounding].layer(layer, source, out)


def resettled(constants: WeightedConstants) -> WeightedConstants:
    """The constants after some of a layer's channels were removed; a shorter form may now serve."""
    return tflite.settled(constants) if isinstance(constants, TfliteConstants) else constants


def stored(
    constants: WeightedConstants | TfliteAverage, accumulator: NDArray[np.int64]
) -> NDArray[np.int64]:
    """What the device stores for accumulators (last axis: channels, or one value for a pool)."""
    if isinstance(constants, SingleConstants):
        return single.stored(constants, accumulator)
    return tflite.stored(constants, accumulator)


def added(
    constants: AdditionConstants | TfliteAddition,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> NDArray[np.int64]:
    """What the device stores for the sum of two stored values."""
    if isinstance(constants, TfliteAddition):
        return tflite.added(constants, first, second)
    return single.added(constants, first, second)


def multiplied(
    constants: ProductConstants | TfliteProduct,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> NDArray[np.int64]:
    """What the device stores for the product of two stored values."""
    if isinstance(constants, TfliteProduct):
        return tflite.multiplied(constants, first, second)
    return single.multiplied(constants, first, second)


def pixel_codes(network: Network) -> Int8:
    """What each pixel 0 .. 255 is stored as: channels x 256, rounded half to even."""
    source = network.input
    pixels = np.arange(256)
    if not network.mean:
        return np.tile((pixels - 128).astype(np.int8), (source.channels, 1))
    mean, std = (np.array(values, np.float64)[:, None] for values in (network.mean, network.std))
    codes = np.rint((pixels / 255 - mean) / std / np.float64(source.scale)) + source.zero_point
    return np.asarray(np.clip(codes, -128, 127), np.int8)
