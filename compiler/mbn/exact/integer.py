"""The exact integer reference, in NumPy.

It computes every layer's int8 map from network.npz and int8 images. It shares nothing with the
compiler but the values of core/. It derives folded biases, multipliers, shifts and dead channels
again from the definition of the arithmetic (rounding `single` here, `tflite` in tflite.py), so an
error in either program shows as a difference. Sums of products are computed in float64, which is
exact here: every partial sum stays below 2**53.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.network import Layer, Network, Op, Tensor
from mbn.core.options import Rounding
from mbn.exact import between, tflite, tflite_tables

Int8 = NDArray[np.int8]
Int64 = NDArray[np.int64]

DEAD = 2.0**-20


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """One layer's integers: out = clamp((2 * ((A << s) + Z) * m + 2**31) >> 32, lo, hi)."""

    weights: Int64  # N x kh x kw x C, dead channels re-expressed
    constant: Int64  # N: bias - zp_in * sum(w), what A starts from
    multiplier: Int64  # N: m
    offset: Int64  # N: Z
    shift: int  # s
    low: int
    high: int


@dataclass(frozen=True)
class Addition:
    """One addition's integers: out = clamp((a * m_a + b * m_b + C + 2**(r - 1)) >> r, lo, hi)."""

    first: int  # m_a
    second: int  # m_b
    constant: int  # C
    shift: int  # r
    low: int
    high: int


def derive_addition(layer: Layer, sources: tuple[Tensor, Tensor], out: Tensor) -> Addition:
    """The integers of an addition (see the arithmetic's definition: residual add)."""
    ratios = [np.float64(source.scale) / np.float64(out.scale) for source in sources]
    r = 30
    while any(np.rint(ratio * 2.0**r) >= 2**30 for ratio in ratios):
        r -= 1
    first, second = (int(np.rint(ratio * 2.0**r)) for ratio in ratios)
    return Addition(
        first,
        second,
        out.zero_point * 2**r - sources[0].zero_point * first - sources[1].zero_point * second,
        r,
        _bound(layer.clamp[0], out, -128),
        _bound(layer.clamp[1], out, 127),
    )


def derive(layer: Layer, source: Tensor, out: Tensor) -> Arithmetic:
    """The integers of a layer (see the arithmetic's definition: requantise, dead channels)."""
    if layer.op is Op.POOL:
        count = layer.kernel[0] * layer.kernel[1]
        factors = np.array([np.float64(source.scale) / (np.float64(out.scale) * count)])
        weights = np.ones((1, *layer.kernel, 1), np.int64)
        bias = np.zeros(1, np.int64)
    else:
        assert layer.weights is not None
        assert layer.weight_scales is not None
        assert layer.bias is not None
        factors = (
            np.float64(source.scale)
            * layer.weight_scales.astype(np.float64)
            / np.float64(out.scale)
        )
        weights = layer.weights.astype(np.int64)
        bias = layer.bias.astype(np.int64)
        dead = factors < DEAD
        ratio = np.where(dead, factors * 2.0**20, 1.0)
        weights = np.rint(weights * ratio[:, None, None, None]).astype(np.int64)
        bias = np.rint(bias * ratio).astype(np.int64)
        factors = np.where(dead, DEAD, factors)
    shift = 0
    while np.any(np.rint(factors * 2.0 ** (31 - shift)) >= 2**30):
        shift += 1
    return Arithmetic(
        weights=weights,
        constant=bias - source.zero_point * weights.sum(axis=(1, 2, 3)),
        multiplier=np.rint(factors * 2.0 ** (31 - shift)).astype(np.int64),
        offset=np.rint(out.zero_point * 2.0**shift / factors).astype(np.int64),
        shift=shift,
        low=_bound(layer.clamp[0], out, -128),
        high=_bound(layer.clamp[1], out, 127),
    )


def _bound(real: float | None, out: Tensor, limit: int) -> int:
    if real is None:
        return limit
    code = int(out.zero_point + np.rint(np.float64(real) / np.float64(out.scale)))
    return max(-128, min(127, code))


def requantise(accumulator: Int64, arithmetic: Arithmetic) -> Int8:
    """A (any shape, channels last) to int8."""
    scaled = (accumulator << arithmetic.shift) + arithmetic.offset
    rounded = (2 * scaled * arithmetic.multiplier + 2**31) >> 32
    stored: Int8 = np.clip(rounded, arithmetic.low, arithmetic.high).astype(np.int8)
    return stored


class Reference:
    """Runs a network on the host, exactly."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.arithmetic = [self._derive(layer) for layer in network.layers]
        self._last_reader = {
            name: index for index, layer in enumerate(network.layers) for name in layer.inputs
        }

    def _derive(
        self, layer: Layer
    ) -> Arithmetic | Addition | tflite.Arithmetic | tflite.Addition | Int8 | None:
        """What layers of some operators need, once for all images; a table's codes."""
        source, out = self.network.tensor(layer.input), self.network.tensor(layer.output)
        as_tflite = self.network.rounding is Rounding.TFLITE
        if layer.op is Op.ADD:
            sources = (source, self.network.tensor(layer.others[0]))
            return (tflite.derive_addition if as_tflite else derive_addition)(layer, sources, out)
        if layer.op is Op.TABLE:
            return (tflite_tables.table if as_tflite else between.table)(layer, source, out)
        if layer.op in (Op.NORMALISE, Op.PRODUCT, Op.MAX_POOL, Op.MOVE, Op.RESIZE):
            return None
        return (tflite.derive if as_tflite else derive)(layer, source, out)

    def layers(self, images: Int8) -> Iterator[tuple[Layer, Int8]]:
        """Each layer with its output, images first: N x height x width x channel, int8."""
        expected = self.network.input.shape
        if images.dtype != np.int8 or images.shape[1:] != expected:
            raise ValueError(f"images are {images.dtype} {images.shape}, not int8 N x {expected}")
        maps: dict[str, Int8] = {self.network.input.name: images}
        for index, layer in enumerate(self.network.layers):
            maps[layer.output] = result = self.made(layer, maps)
            for name in layer.inputs:
                if self._last_reader[name] == index:
                    maps.pop(name, None)
            yield layer, result

    def made(self, layer: Layer, maps: Mapping[str, Int8]) -> Int8:
        """One layer's output from the maps that it reads, by tensor name."""
        arithmetic = self.arithmetic[self.network.layers.index(layer)]
        read = [maps[name] for name in layer.inputs]
        if arithmetic is None:
            result = self._between(layer, read)
        elif isinstance(arithmetic, Addition):
            result = _add(arithmetic, *read)
        elif isinstance(arithmetic, tflite.Addition):
            result = tflite.add(arithmetic, *read)
        elif isinstance(arithmetic, np.ndarray):
            result = between.looked_up(read[0], arithmetic)
        else:
            result = _run(layer, arithmetic, read[0], self.network.tensor(layer.input))
        assert result.shape[1:] == self.network.tensor(layer.output).shape
        return result

    def _between(self, layer: Layer, maps: Sequence[Int8]) -> Int8:
        """A layer that needs no derived integers, or derives them each time."""
        sources = [self.network.tensor(name) for name in layer.inputs]
        out, as_tflite = self.network.tensor(layer.output), self.network.rounding is Rounding.TFLITE
        if layer.op is Op.NORMALISE:
            return normalise(maps[0], sources[0].zero_point)
        if layer.op is Op.MOVE:
            return between.moved(layer, out, maps)
        if layer.op is Op.PRODUCT:
            multiplied = tflite_tables.product if as_tflite else between.product
            return multiplied(layer, sources, out, *maps)
        limits = tflite.bounds(layer, out) if as_tflite else between.bounds(layer, out)
        if layer.op is Op.MAX_POOL:
            return between.max_pool(layer, maps[0], limits)
        resized = tflite_tables.resized if as_tflite else between.resized
        return resized(layer, maps[0], limits)

    def run(self, images: Int8, batch: int = 16) -> Int8:
        """The network's results one after the other, N x the sum of height * width * channels."""
        names = [tensor.name for tensor in self.network.outputs]
        parts = []
        for start in range(0, len(images), batch):
            some = images[start : start + batch]
            found = {
                layer.output: result.reshape(len(some), -1)
                for layer, result in self.layers(some)
                if layer.output in names
            }
            parts.append(np.concatenate([found[name] for name in names], axis=1))
        if not parts:
            return np.zeros((0, self.network.result_bytes), np.int8)
        return np.concatenate(parts)


def _add(arithmetic: Addition, a: Int8, b: Int8) -> Int8:
    total = a.astype(np.int64) * arithmetic.first + b.astype(np.int64) * arithmetic.second
    rounded = (total + arithmetic.constant + (1 << (arithmetic.shift - 1))) >> arithmetic.shift
    stored: Int8 = np.clip(rounded, arithmetic.low, arithmetic.high).astype(np.int8)
    return stored


def normalise(codes: Int8, zero_point: int) -> Int8:
    """Vectors N x 1 x 1 x C of unit length: with d = q - zero point and S the sum of all d^2, the
    nearest integer to 128 * |d| / sqrt(S), halves up, at most 127, with d's sign; 0 where S is 0.
    It is the largest v with (2v - 1)^2 * S <= (256 d)^2, which is searched for."""
    d = codes.astype(np.int64) - zero_point
    total = (d * d).sum(axis=-1, keepdims=True)
    sizes = np.arange(1, 128).reshape(-1, *(1,) * d.ndim)
    reached = (2 * sizes - 1) ** 2 * total <= (256 * d) ** 2
    found = reached.sum(axis=0) * np.sign(d) * (total > 0)
    stored: Int8 = found.astype(np.int8)
    return stored


def _run(layer: Layer, arithmetic: Arithmetic | tflite.Arithmetic, x: Int8, source: Tensor) -> Int8:
    if layer.op is Op.SOFTMAX:
        return tflite.softmax(x, source.scale)
    if layer.op is Op.DENSE:
        x = x.reshape(len(x), 1, 1, -1)
    windows = _windows(x, layer, source.zero_point)
    if layer.op is Op.POOL:
        total = windows.sum(axis=(3, 4), dtype=np.int64)
        if isinstance(arithmetic, tflite.Arithmetic) and not layer.is_mean:
            return tflite.average(total, layer.kernel[0] * layer.kernel[1], arithmetic)
    elif layer.op is Op.DEPTHWISE:
        total = _depthwise(windows, arithmetic.weights)
    else:
        total = np.concatenate(
            [
                _products(some, weights)
                for some, weights in zip(
                    np.split(windows, layer.groups, axis=5),
                    np.split(arithmetic.weights, layer.groups),
                    strict=True,
                )
            ],
            axis=3,
        )
    total = total + arithmetic.constant
    if isinstance(arithmetic, tflite.Arithmetic):
        return tflite.requantise(total, arithmetic)
    return requantise(total, arithmetic)


def _products(windows: NDArray[Any], weights: Int64) -> Int64:
    """Each window with each output channel's weights."""
    n, height, width = windows.shape[:3]
    columns = windows.reshape(n * height * width, -1).astype(np.float64)
    matrix = weights.reshape(len(weights), -1).astype(np.float64)
    return (columns @ matrix.T).astype(np.int64).reshape(n, height, width, -1)


def _windows(x: Int8, layer: Layer, zero_point: int) -> NDArray[Any]:
    """N x out height x out width x kh x kw x C: what each output position sees."""
    top, left, bottom, right = layer.pads
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=zero_point)
    views = np.lib.stride_tricks.sliding_window_view(padded, layer.kernel, axis=(1, 2))
    views = views[:, :: layer.stride[0], :: layer.stride[1]]
    return views.transpose(0, 1, 2, 4, 5, 3)


def _depthwise(windows: NDArray[Any], weights: Int64) -> Int64:
    """Output channel n reads input channel n // multiplier."""
    multiplier = len(weights) // windows.shape[5]
    total = np.zeros((*windows.shape[:3], len(weights)), np.int64)
    for i in range(windows.shape[3]):
        for j in range(windows.shape[4]):
            tap = np.repeat(windows[:, :, :, i, j, :].astype(np.int64), multiplier, axis=3)
            total += tap * weights[:, i, j, 0]
    return total
