"""Removes channels that are constant or unused, without changing a bit of the others.

The result is a smaller network and, for each stage, which channels of its full output are kept and
what the others hold. The products of a removed constant are added to its readers' biases. The
network's results keep all their channels. A constant that a padded window reads is kept unless it
equals the zero point: at the border its products would differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mbn.arithmetic import resettled
from mbn.core.constants import TableConstants, WeightedConstants
from mbn.core.expression import Expression
from mbn.core.network import UNREAD, Layer, Moves, Network, Op, StageChannels, Tensor
from mbn.passes.simplify.intervals import Ranges, ranges_of

Kept = NDArray[np.bool_]
# Each output channel reads the channel of its own number
ONE_TO_ONE = (Op.POOL, Op.ADD, Op.TABLE, Op.PRODUCT, Op.MAX_POOL, Op.RESIZE)


@dataclass(frozen=True, eq=False)
class Simplified:
    """The smaller network, and `channels` for each of its stages."""

    network: Network
    channels: tuple[StageChannels, ...]


def remove_constants(network: Network) -> Simplified:
    """Removes constant and unused channels. Layers must have their constants."""
    ranges = ranges_of(network)
    kept = _live(network, ranges)
    layers = tuple(_smaller(layer, ranges, kept) for layer in network.layers)
    tensors = tuple(
        replace(tensor, channels=int(kept[tensor.name].sum())) for tensor in network.tensors
    )
    smaller = replace(network, tensors=tensors, layers=layers)
    channels = tuple(
        StageChannels(
            np.flatnonzero(kept[name]),
            np.where(ranges[name].constant, ranges[name].low, UNREAD).astype(np.int16),
        )
        for name in (network.layers[stage.layers[-1]].output for stage in network.stages)
    )
    return Simplified(smaller, channels)


def _live(network: Network, ranges: dict[str, Ranges]) -> dict[str, Kept]:
    """Channels that must be computed: those that the result needs, and their siblings."""
    kept = {tensor.name: np.zeros(tensor.channels, np.bool_) for tensor in network.tensors}
    kept[network.input.name][:] = True  # the caller brings whole pixels
    for output in network.outputs:
        kept[output.name][:] = True
    while True:  # what one reader adds, another one's siblings may need: only ever more
        before = sum(int(channels.sum()) for channels in kept.values())
        for layer in reversed(network.layers):
            for name in layer.inputs:
                tensor = network.tensor(name)
                read = _read(layer, tensor, kept[layer.output])
                kept[name] |= read & ~_foldable(layer, tensor, ranges[name])
                if not kept[name].any():
                    kept[name][0] = True  # a map has at least one channel
        for layer in network.layers:
            for name in layer.inputs:
                kept[layer.output] |= _with_siblings(layer, kept[name], kept[layer.output])
        if sum(int(channels.sum()) for channels in kept.values()) == before:
            return kept


def _read(layer: Layer, tensor: Tensor, out: Kept) -> Kept:
    """Input channels that some kept output channel depends on."""
    if layer.op in ONE_TO_ONE:
        return out.copy()
    if layer.moves is not None:
        read = np.zeros(tensor.channels, np.bool_)
        taps = layer.moves.taps[:, :, out].reshape(-1, 4)
        for number, name in enumerate(layer.inputs):
            if name == tensor.name:
                read[taps[taps[:, 0] == number, 1]] = True
        return read
    constants = layer.constants
    if layer.op in (Op.SOFTMAX, Op.NORMALISE) or layer.groups > 1:
        return np.ones(tensor.channels, np.bool_)
    if layer.op is Op.DEPTHWISE:
        return np.asarray(out.reshape(tensor.channels, -1).any(axis=1))
    assert isinstance(constants, WeightedConstants)
    reads = (constants.weights[out] != 0).any(axis=(0, 1, 2))
    return np.asarray(reads.reshape(-1, tensor.channels).any(axis=0))


def _foldable(layer: Layer, tensor: Tensor, source: Ranges) -> Kept:
    """Constant input channels whose products are the same at every position."""
    if layer.weights is None or layer.op is Op.DEPTHWISE or layer.groups > 1:
        return np.zeros(tensor.channels, np.bool_)  # read one to one: they stay with their output
    if any(layer.pads) and layer.op is not Op.DENSE:
        return np.asarray(source.constant & (source.low == tensor.zero_point))
    return np.asarray(source.constant)


def _with_siblings(layer: Layer, needed: Kept, out: Kept) -> Kept:
    """Output channels that come with the kept inputs of a one-to-one layer."""
    if layer.op is Op.DEPTHWISE:
        return np.repeat(needed, len(out) // len(needed))
    if layer.groups > 1:  # all groups have one size
        return np.ones(len(out), np.bool_)
    return needed if layer.op in ONE_TO_ONE else out


def _smaller(layer: Layer, ranges: dict[str, Ranges], kept: dict[str, Kept]) -> Layer:
    if layer.moves is not None:
        return replace(layer, moves=_fewer_moves(layer, layer.moves, kept))
    if layer.expression is not None:
        return _fewer_tables(layer, layer.expression, kept[layer.output])
    if layer.weights is None or layer.groups > 1:
        return layer
    constants = layer.constants
    assert isinstance(constants, WeightedConstants)
    inputs, out = kept[layer.input], kept[layer.output]
    weights, bias = constants.weights[out], constants.bias[out].astype(np.int64)
    if layer.op is not Op.DEPTHWISE:
        source = ranges[layer.input]
        pixels = weights.shape[3] // len(inputs)
        removed = np.tile(~inputs & source.constant, pixels)
        values = np.tile(source.low, pixels)[removed]
        bias = bias + (weights[..., removed].astype(np.int64) * values).sum(axis=(1, 2, 3))
        weights = weights[..., np.tile(inputs, pixels)]
    smaller = resettled(
        constants.of_channels(out, np.ascontiguousarray(weights), bias.astype(np.int32))
    )
    scales = layer.weight_scales
    return replace(
        layer,
        weights=smaller.weights,
        weight_scales=None if scales is None else scales[out],
        bias=None if layer.bias is None else layer.bias[out],
        constants=smaller,
    )


def _fewer_moves(layer: Layer, moves: Moves, kept: dict[str, Kept]) -> Moves:
    """The taps of the kept output channels, with channels counted among the kept ones."""
    taps = moves.taps[:, :, kept[layer.output]].copy()
    for number, name in enumerate(layer.inputs):
        here = taps[..., 0] == number
        taps[..., 1][here] = (np.cumsum(kept[name]) - 1)[taps[..., 1][here]]
    return Moves(taps, moves.fill)


def _fewer_tables(layer: Layer, expression: Expression, out: Kept) -> Layer:
    constants = layer.constants
    assert isinstance(constants, TableConstants)
    if expression.channels == 1 or len(constants.table) == 1:
        return layer
    fewer = tuple(one[out] if one.size > 1 else one for one in expression.constants)
    return replace(
        layer,
        expression=replace(expression, constants=fewer),
        constants=replace(constants, table=np.ascontiguousarray(constants.table[out])),
    )
