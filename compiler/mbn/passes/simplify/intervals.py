"""Which values a channel can take: interval arithmetic on the exact integers.

For each tensor it finds the lowest and highest stored value of every channel, over all images and
positions. The bounds are those of the integers that the device computes. Positions whose windows
reach into the padding are treated apart. Requantisation is monotone, so bounds of accumulators
give exact bounds of stored values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mbn.arithmetic import added, multiplied, stored
from mbn.core.constants import (
    NormaliseConstants,
    PlainConstants,
    ProductConstants,
    TableConstants,
    TfliteAverage,
    TfliteProduct,
    TfliteSoftmax,
    WeightedConstants,
)
from mbn.core.network import Layer, Network, Op, Tensor

Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ranges:
    """The lowest and highest stored value of each channel."""

    low: Int64
    high: Int64

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Channels whose value is the same for every image, everywhere."""
        return np.asarray(self.low == self.high)


def ranges_of(network: Network) -> dict[str, Ranges]:
    """The ranges of every tensor, by name. Layers must carry their constants."""
    count = network.input.channels
    found = {network.input.name: Ranges(np.full(count, -128), np.full(count, 127))}
    for layer in network.layers:
        read = [found[name] for name in layer.inputs]
        if layer.op is Op.ADD:
            found[layer.output] = _sum(layer, *read)
        elif layer.op is Op.MOVE:
            found[layer.output] = _moved(network, layer, read)
        elif isinstance(layer.constants, _Between):
            found[layer.output] = _between(layer.constants, read)
        else:
            found[layer.output] = _layer_ranges(network, layer, read[0])
    return found


_Between = TableConstants | ProductConstants | TfliteProduct | PlainConstants


def _between(constants: _Between, read: list[Ranges]) -> Ranges:
    """The range of a layer of which each output channel depends on one channel of what it reads.
    Of a product's values the greatest and least are at the corners: its factors are linear."""
    source = read[0]
    if isinstance(constants, TableConstants):
        codes = np.arange(-128, 128)[None]
        inside = (codes >= source.low[:, None]) & (codes <= source.high[:, None])
        table = constants.table.astype(np.int64)
        return Ranges(
            np.where(inside, table, 127).min(axis=1), np.where(inside, table, -128).max(axis=1)
        )
    if isinstance(constants, PlainConstants):
        return Ranges(
            np.clip(source.low, constants.low, constants.high),
            np.clip(source.high, constants.low, constants.high),
        )
    corners = [
        multiplied(constants, a, b)
        for a, b in product((source.low, source.high), (read[1].low, read[1].high))
    ]
    return Ranges(np.min(corners, axis=0), np.max(corners, axis=0))


def _moved(network: Network, layer: Layer, read: list[Ranges]) -> Ranges:
    """The ranges of all that an output channel takes, and of what fills it."""
    assert layer.moves is not None
    source, out = network.tensor(layer.input), network.tensor(layer.output)
    steps = (out.height // layer.up[0], out.width // layer.up[1])
    last = [
        (count - 1) * stride + kernel - pad
        for count, stride, kernel, pad in zip(
            steps, layer.stride, layer.kernel, layer.pads[:2], strict=True
        )
    ]
    filled = any(layer.pads[:2]) or last[0] > source.height or last[1] > source.width
    taps = layer.moves.taps.reshape(-1, out.channels, 4)
    low, high = np.full(out.channels, 127), np.full(out.channels, -128)
    for number, one in enumerate(read):
        here = taps[..., 0] == number
        low = np.minimum(low, np.where(here, one.low[taps[..., 1] * here], 127).min(axis=0))
        high = np.maximum(high, np.where(here, one.high[taps[..., 1] * here], -128).max(axis=0))
    fills = (taps[..., 0] < 0).any(axis=0) | filled
    return Ranges(
        np.where(fills, np.minimum(low, layer.moves.fill), low),
        np.where(fills, np.maximum(high, layer.moves.fill), high),
    )


def _sum(layer: Layer, first: Ranges, second: Ranges) -> Ranges:
    """The range of an addition. Its factors are positive."""
    assert layer.addition is not None
    return Ranges(
        added(layer.addition, first.low, second.low),
        added(layer.addition, first.high, second.high),
    )


def _layer_ranges(network: Network, layer: Layer, source: Ranges) -> Ranges:
    constants = layer.constants
    tensor = network.tensor(layer.input)
    if isinstance(constants, TfliteSoftmax | NormaliseConstants):
        return Ranges(np.full(tensor.channels, -128), np.full(tensor.channels, 127))
    assert isinstance(constants, WeightedConstants | TfliteAverage)
    low, high, padded = _tap_sums(layer, tensor, source)
    bias = np.zeros(1, np.int64)
    if isinstance(constants, WeightedConstants):
        bias = constants.bias.astype(np.int64)
    lows, highs = [], []
    for rows, columns in product(
        _tap_classes(tensor.height, layer, 0, network.tensor(layer.output).height),
        _tap_classes(tensor.width, layer, 1, network.tensor(layer.output).width),
    ):
        inside = np.zeros(low.shape[1:], np.bool_)
        inside[np.ix_(sorted(rows), sorted(columns))] = True
        lows.append(bias + np.where(inside, low, padded).sum(axis=(1, 2)))
        highs.append(bias + np.where(inside, high, padded).sum(axis=(1, 2)))
    return Ranges(
        np.min([stored(constants, value) for value in lows], axis=0),
        np.max([stored(constants, value) for value in highs], axis=0),
    )


def _tap_sums(layer: Layer, tensor: Tensor, source: Ranges) -> tuple[Int64, Int64, Int64]:
    """The lowest and highest sum over input channels for each output channel and tap, and the sum
    where the tap lies in the padding: three arrays N x kh x kw."""
    constants = layer.constants
    if layer.op is Op.POOL:
        shape = (tensor.channels, *layer.kernel)
        low = np.broadcast_to(source.low[:, None, None], shape)
        high = np.broadcast_to(source.high[:, None, None], shape)
        return low, high, np.zeros(shape, np.int64)
    assert isinstance(constants, WeightedConstants)
    weights = constants.weights.astype(np.int64)
    if layer.op is Op.DEPTHWISE or layer.groups > 1:
        groups = tensor.channels if layer.op is Op.DEPTHWISE else layer.groups
        each = len(weights) // groups
        lowest, highest = (
            np.repeat(ends.reshape(groups, -1), each, axis=0)[:, None, None, :]
            for ends in (source.low, source.high)
        )
    else:
        pixels = weights.shape[3] // tensor.channels  # more than one only for a dense layer
        lowest, highest = np.tile(source.low, pixels), np.tile(source.high, pixels)
    at_low, at_high = weights * lowest, weights * highest
    return (
        np.minimum(at_low, at_high).sum(axis=3),
        np.maximum(at_low, at_high).sum(axis=3),
        (weights * tensor.zero_point).sum(axis=3),
    )


def _tap_classes(size: int, layer: Layer, axis: int, outputs: int) -> set[frozenset[int]]:
    """The sets of taps that lie in the map, over all output positions of one axis."""
    if layer.op is Op.DENSE:
        return {frozenset((0,))}
    kernel, stride, pad = layer.kernel[axis], layer.stride[axis], layer.pads[axis]
    return {
        frozenset(tap for tap in range(kernel) if 0 <= at * stride - pad + tap < size)
        for at in range(outputs)
    }
