"""What lies between convolutions, in NumPy: tables, products, max pools, moves, resizes.

Written straight from the arithmetic's definition, as integer.py, and shares as little with the
compiler. Maps are int8 N x height x width x channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.expression import Element, Expression
from mbn.core.network import Layer, Sampling, Tensor

Int8 = NDArray[np.int8]
Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

SILENT = 2.0**-20  # a product's factor below which its result is the zero point


def table(layer: Layer, source: Tensor, out: Tensor) -> Int8:
    """T[c][q + 128] in rounding `single`."""
    assert layer.expression is not None
    count = layer.expression.channels
    x = np.array([source.scale * (q - source.zero_point) for q in range(-128, 128)], np.float64)
    rows = []
    for channel in range(count):
        real = _evaluated(layer.expression, x, channel)
        if np.isnan(real).any():
            raise ValueError(f"layer {layer.name} is not a number somewhere")
        rows.append(np.clip(np.rint(real / out.scale) + out.zero_point, -128, 127))
    return np.array(rows).astype(np.int8)


def _evaluated(expression: Expression, x: Float64, channel: int) -> Float64:
    """The expression of all x in one channel."""
    known: list[Any] = [x]
    for constant in expression.constants:
        known.append(np.float64(constant[channel if constant.size > 1 else 0]))
    with np.errstate(all="ignore"):
        for step in expression.steps:
            known.append(_applied(step.element, *(known[at] for at in step.operands)))
    return np.broadcast_to(np.asarray(known[-1] if expression.steps else x, np.float64), x.shape)


def _applied(element: Element, a: Any, b: Any = None) -> Any:  # noqa: PLR0911, PLR0912
    match element:
        case Element.ADD:
            return a + b
        case Element.SUB:
            return a - b
        case Element.MUL:
            return a * b
        case Element.DIV:
            return a / b
        case Element.POW:
            return a**b
        case Element.MIN:
            return np.minimum(a, b)
        case Element.MAX:
            return np.maximum(a, b)
        case Element.NEG:
            return -a
        case Element.ABS:
            return np.abs(a)
        case Element.SQRT:
            return np.sqrt(a)
        case Element.EXP:
            return np.exp(a)
        case Element.LOG:
            return np.log(a)
        case Element.ERF:
            return np.array([math.erf(one) for one in np.ravel(a)])
        case Element.TANH:
            return np.tanh(a)
        case Element.SIGMOID:
            return 1 / (1 + np.exp(-a))
        case Element.PRELU:
            return np.where(a < 0, a * b, a)


def looked_up(x: Int8, codes: Int8) -> Int8:
    """`codes`: 1 x 256 or C x 256."""
    channels = np.arange(x.shape[3]) if len(codes) > 1 else 0
    found: Int8 = codes[channels, x.astype(np.int64) + 128]
    return found


def product(layer: Layer, sources: Sequence[Tensor], out: Tensor, a: Int8, b: Int8) -> Int8:
    """Rounding `single`; b may be N x 1 x 1 x C."""
    low, high = bounds(layer, out)
    factor = np.float64(sources[0].scale) * np.float64(sources[1].scale) / np.float64(out.scale)
    first = a.astype(np.int64) - sources[0].zero_point
    exact = first * (b.astype(np.int64) - sources[1].zero_point)
    if factor < SILENT:
        return np.full(exact.shape, np.clip(out.zero_point, low, high), np.int8)
    shift = 0
    while np.rint(factor * 2.0 ** (31 - shift)) >= 2**30:
        shift += 1
    multiplier = int(np.rint(factor * 2.0 ** (31 - shift)))
    offset = int(np.rint(out.zero_point * 2.0**shift / factor))
    rounded = (2 * ((exact << shift) + offset) * multiplier + 2**31) >> 32
    return np.asarray(np.clip(rounded, low, high), np.int8)


def bounds(layer: Layer, out: Tensor) -> tuple[int, int]:
    """A clamp in rounding `single`, as codes."""
    ends = []
    for real, limit in zip(layer.clamp, (-128, 127), strict=True):
        code = limit
        if real is not None:
            code = int(out.zero_point + np.rint(np.float64(real) / np.float64(out.scale)))
        ends.append(max(-128, min(127, code)))
    return ends[0], ends[1]


def max_pool(layer: Layer, x: Int8, limits: tuple[int, int]) -> Int8:
    """The greatest value of each window; what lies in the padding never wins."""
    top, left, bottom, right = layer.pads
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=-128)
    views = np.lib.stride_tricks.sliding_window_view(padded, layer.kernel, axis=(1, 2))
    views = views[:, :: layer.stride[0], :: layer.stride[1]]
    return np.asarray(np.clip(views.max(axis=(4, 5)), *limits), np.int8)


def moved(layer: Layer, out: Tensor, maps: Sequence[Int8]) -> Int8:
    """Each value from where the taps say."""
    assert layer.moves is not None
    taps, (up_rows, up_columns) = layer.moves.taps, layer.moves.up
    result = np.full((len(maps[0]), *out.shape), layer.moves.fill, np.int8)
    for y in range(out.height):
        for x in range(out.width):
            of_pixel = taps[y % up_rows, x % up_columns]
            row = y // up_rows * layer.stride[0] - layer.pads[0] + of_pixel[:, 2]
            column = x // up_columns * layer.stride[1] - layer.pads[1] + of_pixel[:, 3]
            for number, one in enumerate(maps):
                # of other maps than the first, row y itself
                rows = row if number == 0 else np.full_like(row, y)
                there = (of_pixel[:, 0] == number) & (rows >= 0) & (rows < one.shape[1])
                there &= (column >= 0) & (column < one.shape[2])
                at = np.flatnonzero(there)
                values = one[:, rows[at], column[at], of_pixel[at, 1]]
                result[:, y, x, at] = values
    return result


def resized(layer: Layer, x: Int8, limits: tuple[int, int]) -> Int8:
    """Bilinear: (sum of weight * q + half) >> r, the edges repeated."""
    total, shift = x.astype(np.int64), 0
    for axis, factor in ((1, layer.factor[0]), (2, layer.factor[1])):
        if factor == 1:
            continue
        total, bits = _stretched(total, axis, factor, layer.sampling)
        shift += bits
    half = 1 << (shift - 1) if shift else 0
    return np.asarray(np.clip((total + half) >> shift, *limits), np.int8)


def _stretched(values: Int64, axis: int, factor: int, sampling: Sampling) -> tuple[Int64, int]:
    """One axis, `factor` times as long, all values times 2^bits."""
    size = values.shape[axis]
    steps = factor if sampling is Sampling.ASYMMETRIC else 2 * factor
    at = np.arange(size * factor)
    # the place in the input, in units of 1 / steps
    place = at if sampling is Sampling.ASYMMETRIC else 2 * at + 1 - factor
    below, weight = place // steps, place % steps
    shape = [1] * values.ndim
    shape[axis] = -1
    first = np.take(values, np.clip(below, 0, size - 1), axis)
    second = np.take(values, np.clip(below + 1, 0, size - 1), axis)
    weights = weight.reshape(shape)
    return first * (steps - weights) + second * weights, int(math.log2(steps))
