"""Convolutions and matrix products, matched backwards from their quantize."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.found import (
    TO_CHANNELS_LAST,
    Data,
    Found,
    channels_first,
    data_of,
    fields_of,
)
from mbn.passes.frontend.matcher import (
    MOVES,
    Affine,
    Matcher,
    Move,
    NoMatch,
    bias_codes,
    weight_codes,
)
from mbn.passes.frontend.supported import LARGEST_KERNEL

MOST_MOVES = 16  # that are followed back to a map's height and width


def match_conv(matcher: Matcher, call: Any, bias: Any, norm: Affine | None) -> Found:
    attrs = call.attrs
    if str(attrs.data_layout) != "NCHW" or str(attrs.kernel_layout) != "OIHW":
        raise NoMatch("a layout other than NCHW")
    data = data_of(matcher, call.args[0])
    weights, scales = weight_codes(matcher, call.args[1], 0)
    weights = dilated(weights, rx.ints(attrs.dilation))
    groups, channels = int(attrs.groups), data.shape[1]
    if len(data.shape) != 4 or channels % groups or len(weights) % groups:
        raise NoMatch(f"{groups} groups of {channels} channels, where equal ones are wanted")
    if norm is not None:
        weights, scales = normed(weights, scales, norm)
    pads = rx.ints(attrs.padding)
    pads = pads * 2 if len(pads) == 2 else pads * 4 if len(pads) == 1 else pads
    fields = fields_of(
        window=np.array([*weights.shape[2:], *rx.ints(attrs.strides), *pads], np.int64),
        weights=np.ascontiguousarray(weights.transpose(0, 2, 3, 1)),
        scales=scales,
        bias=bias_codes(matcher, bias, data.scale, scales, norm),
        numbers=np.array([groups], np.int64),
    )
    return Found("mbn.conv", (data,), fields, rx.shape_of(call))


def dilated(weights: NDArray[np.int8], dilation: tuple[int, ...]) -> NDArray[np.int8]:
    """N x C x kh x kw with zeros between the taps: the same sums, since what is not there adds
    nothing."""
    if all(step == 1 for step in dilation):
        return weights
    sizes = [(taps - 1) * step + 1 for taps, step in zip(weights.shape[2:], dilation, strict=True)]
    if max(sizes) > LARGEST_KERNEL:
        raise NoMatch(
            f"dilation {dilation} makes a window of {sizes[0]} x {sizes[1]}, where at most "
            f"{LARGEST_KERNEL} x {LARGEST_KERNEL} is wanted"
        )
    spread = np.zeros((*weights.shape[:2], *sizes), np.int8)
    spread[:, :, :: dilation[0], :: dilation[1]] = weights
    return spread


def normed(
    weights: NDArray[np.int8], scales: NDArray[np.float32], norm: Affine
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights and scales with a batch normalisation's gain: its size joins the scale, its sign the
    codes, and a gain of 0 makes codes of 0."""
    if norm.gain.size != len(weights):
        raise NoMatch("its batch normalisation has another number of channels")
    if not (np.all(np.isfinite(norm.gain)) and np.all(np.isfinite(norm.shift))):
        raise NoMatch("its batch normalisation is not finite")
    sign = np.sign(norm.gain).astype(np.int16).reshape(-1, *(1,) * (weights.ndim - 1))
    codes = np.clip(weights * sign, -128, 127).astype(np.int8)
    sizes = np.where(norm.gain == 0, 1.0, np.abs(norm.gain))
    made = (scales.astype(np.float64) * sizes).astype(np.float32)
    if not np.all(np.isfinite(made) & (made > 0)):
        raise NoMatch("its batch normalisation's gain is too large or too small")
    return codes, made


def match_dense(matcher: Matcher, call: Any, bias: Any) -> Found:
    """A product of a vector; of each position of a map, it is a pointwise convolution."""
    data, made = data_of(matcher, call.args[0]), rx.shape_of(call)
    if len(data.shape) > 4 or math.prod(data.shape[:1]) != 1:
        raise NoMatch(f"a matrix product of shape {data.shape}, where 1 x values is wanted")
    weights, scales = weight_codes(matcher, call.args[1], 1)
    if weights.ndim != 2:
        raise NoMatch(f"weights of {weights.ndim} dimensions, where 2 are wanted")
    codes = bias_codes(matcher, bias, data.scale, scales)
    if len(data.shape) > 2 and math.prod(data.shape[:-1]) > 1:
        return _by_position(matcher, data, (weights, scales, codes), made)
    moves: tuple[Move, ...] = ()
    if len(data.shape) != 2:
        data = replace(data, moves=(*data.moves, Move((1, data.shape[-1]))))
        moves = (Move(made),)
    fields = fields_of(weights=np.ascontiguousarray(weights), scales=scales, bias=codes)
    return Found("mbn.dense", (data,), fields, (1, made[-1]), moves)


def _by_position(
    matcher: Matcher,
    data: Data,
    constants: tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32]],
    made: tuple[int, ...],
) -> Found:
    """A product of each position of 1 x positions x C, or 1 x H x W x C."""
    weights, scales, codes = constants
    height, width = _sizes(matcher, data)
    whole = (1, height, width, data.shape[-1])
    if data.shape != whole:
        data = replace(data, shape=whole, moves=(*data.moves, Move(whole)))
    fields = fields_of(
        weights=np.ascontiguousarray(weights)[:, None, None, :],
        scales=scales,
        bias=codes,
        numbers=np.array([1], np.int64),
    )
    last = (1, height, width, made[-1])
    moves = [Move(last, TO_CHANNELS_LAST)]
    if made != last:
        moves.append(Move(made))
    shape = (1, made[-1], height, width)
    return Found(
        "mbn.conv", (channels_first(data),), fields, shape, tuple(moves), channels_last=True
    )


def _sizes(matcher: Matcher, data: Data) -> tuple[int, int]:
    """Height and width of the map whose positions are multiplied; 1 x positions if not known."""
    *before, channels = data.shape
    if len(before) == 3:
        return before[1], before[2]
    expr, positions = data.expr, math.prod(before)
    for _ in range(MOST_MOVES):
        call = matcher.follow(expr)
        shape = rx.shape_of(expr)
        if len(shape) == 4 and math.prod(shape) == positions * channels:
            if shape[1] == channels:
                return shape[2], shape[3]
            if shape[3] == channels:
                return shape[1], shape[2]
        if rx.op_name(call) not in (*MOVES, "relax.dequantize"):
            break
        expr = call.args[0]
    return 1, positions
