"""Transposed convolutions as ordinary ones.

A transposed convolution of stride s makes s x s phases: the outputs whose row and column leave the
same rest. Each phase is an ordinary convolution over the input with some of the taps, so all of
them together are one convolution with s * s times the channels, whose result is moved to its
places (depth to space, then cut). Taps that a phase lacks are zeros, which add nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.convolutions import dilated, normed
from mbn.passes.frontend.found import Found, data_of, fields_of
from mbn.passes.frontend.matcher import Affine, Matcher, Move, NoMatch, bias_codes, weight_codes
from mbn.passes.frontend.movement import LARGEST_UP

Weights = tuple[NDArray[np.int8], NDArray[np.float32]]


@dataclass(frozen=True)
class _Axis:
    """How one axis is split into phases. Phase r at step t is output r + t * stride - cut."""

    stride: int
    cut: int  # outputs of the first step that are not wanted
    taps: tuple[tuple[tuple[int, int], ...], ...]  # a phase: (place in the window, stored tap)
    window: int
    before: int  # padding
    behind: int
    steps: int  # that the convolution makes

    @property
    def work(self) -> int:
        return self.window * self.steps


def _axis(size: int, kernel: int, stride: int, pad: int, made: int) -> _Axis:
    """The split with the least work. Output y sums x[i] * w[k] where i * stride + k = y + pad."""
    found = [_split(size, kernel, stride, pad, made, cut) for cut in range(stride)]
    return min(found, key=lambda one: (one.work, one.cut))


def _split(size: int, kernel: int, stride: int, pad: int, made: int, cut: int) -> _Axis:
    phases = []
    for phase in range(stride):
        ahead, first = divmod(phase + pad - cut, stride)
        phases.append([(ahead - at, k) for at, k in enumerate(range(first, kernel, stride))])
    places = [place for taps in phases for place, _ in taps]
    before, last = -min(0, *places), max(0, *places)
    steps = -(-(made + cut) // stride)
    before += max(0, steps - before - size)  # else a window would lie wholly in the padding
    behind = max(0, steps - 1 + last + 1 - size)
    return _Axis(
        stride,
        cut,
        tuple(tuple((place + before, k) for place, k in taps) for taps in phases),
        before + last + 1,
        before,
        behind,
        size + before + behind - (before + last),
    )


def match_conv_transposed(matcher: Matcher, call: Any, bias: Any, norm: Affine | None) -> Found:
    attrs, shape = call.attrs, rx.shape_of(call)
    if str(attrs.data_layout) != "NCHW" or str(attrs.kernel_layout) != "IOHW":
        raise NoMatch("a layout other than NCHW")
    data = data_of(matcher, call.args[0])
    groups, channels = int(attrs.groups), data.shape[1]
    weights, scales = _stored(matcher, call.args[1], groups, channels)
    weights = dilated(weights, rx.ints(attrs.dilation))
    if norm is not None:
        weights, scales = normed(weights, scales, norm)
    codes = bias_codes(matcher, bias, data.scale, scales, norm)
    pads = rx.ints(attrs.padding)
    pads = pads if len(pads) > 1 else pads * 2
    strides = rx.ints(attrs.strides)
    if max(strides) > LARGEST_UP:
        raise NoMatch(f"a transposed convolution of stride {strides}, where {LARGEST_UP} is most")
    rows, columns = (
        _axis(data.shape[2 + at], weights.shape[2 + at], strides[at], pads[at], shape[2 + at])
        for at in (0, 1)
    )
    phases = rows.stride * columns.stride
    window = [rows.window, columns.window, 1, 1]
    window += [rows.before, columns.before, rows.behind, columns.behind]
    made = (1, shape[1] * phases, rows.steps, columns.steps)
    fields = fields_of(
        window=np.array(window, np.int64),
        weights=_phases(weights, rows, columns),
        scales=np.repeat(scales, phases),
        bias=np.repeat(codes, phases),
        numbers=np.array([groups], np.int64),
    )
    moves = _placed(shape, made, rows, columns)
    return Found("mbn.conv", (data,), fields, made, moves, moved_first=bool(moves))


def _stored(matcher: Matcher, expr: Any, groups: int, channels: int) -> Weights:
    """Weights N x C / groups x kh x kw, and their scales, of those stored C x N / groups x ..."""
    if groups == channels > 1:
        weights, scales = weight_codes(matcher, expr, 0)
        if weights.shape[1] == 1:  # depthwise: both axes are the outputs'
            return weights, scales
        if np.any(scales != scales[0]):
            raise NoMatch("its weights' scales do not go with the output channels")
    weights, scales = weight_codes(matcher, expr, 1)
    if channels % groups or weights.shape[1] != channels:
        raise NoMatch(f"{groups} groups of {channels} channels, where equal ones are wanted")
    outputs, _, *taps = weights.shape
    split = weights.reshape(outputs, groups, channels // groups, *taps)
    ordered = split.swapaxes(0, 1).reshape(-1, channels // groups, *taps)
    return np.ascontiguousarray(ordered), np.tile(scales, groups)


def _phases(weights: NDArray[np.int8], rows: _Axis, columns: _Axis) -> NDArray[np.int8]:
    """The convolution's weights, N * phases x kh x kw x C: a channel's phases lie together."""
    outputs, depth = weights.shape[:2]
    size = (outputs, rows.stride, columns.stride, rows.window, columns.window, depth)
    made = np.zeros(size, np.int8)
    for r, along in enumerate(rows.taps):
        for c, across in enumerate(columns.taps):
            for y, ky in along:
                for x, kx in across:
                    made[:, r, c, y, x] = weights[:, :, ky, kx]
    return made.reshape(-1, *size[3:])


def _placed(
    shape: tuple[int, ...], made: tuple[int, ...], rows: _Axis, columns: _Axis
) -> tuple[Move, ...]:
    """What brings the phases to their places."""
    moves = []
    _, _, height, width = made
    whole = (1, shape[1], height * rows.stride, width * columns.stride)
    if rows.stride * columns.stride > 1:
        apart = (1, shape[1], rows.stride, columns.stride, height, width)
        order = (0, 1, 4, 2, 5, 3)
        moves += [Move(apart), Move(tuple(apart[at] for at in order), order), Move(whole)]
    if whole != shape or rows.cut or columns.cut:
        moves.append(Move(shape, cut=(rows.cut, columns.cut)))
    return tuple(moves)
