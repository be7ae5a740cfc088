"""Averages and maxima over windows, matched backwards from their quantize."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.found import Data, Found, data_of, fields_of
from mbn.passes.frontend.matcher import Matcher, Move, NoMatch, move_of


def match_pool(matcher: Matcher, call: Any) -> Found:
    data = data_of(matcher, call.args[0])
    name = rx.op_name(call)
    if len(data.shape) != 4:
        raise NoMatch(f"an average over {len(data.shape)} dimensions, where 4 are wanted")
    if name == "relax.mean":
        return _mean(matcher, call, data)
    _, _, height, width = data.shape
    window = [height, width, 1, 1, 0, 0, 0, 0]
    if name == "relax.nn.avg_pool2d":
        attrs = call.attrs
        pads = rx.ints(attrs.padding)
        if any(pads) or bool(attrs.ceil_mode) or str(attrs.layout) != "NCHW":
            raise NoMatch("an average pool with padding or ceil_mode")
        window = [*rx.ints(attrs.pool_size), *rx.ints(attrs.strides), 0, 0, 0, 0]
    elif rx.shape_of(call)[2:] != (1, 1):
        raise NoMatch("an adaptive pool to more than one pixel")
    return Found(
        "mbn.pool", (data,), fields_of(window=np.array(window, np.int64)), rx.shape_of(call)
    )


def _mean(matcher: Matcher, call: Any, data: Data) -> Found:
    """A mean over image axes, of a map in either layout."""
    axes = sorted(axis % 4 for axis in rx.ints(call.attrs.axis or ()))
    turned = matcher.follow(data.expr)
    if rx.op_name(turned) == "relax.permute_dims" and move_of(turned).axes == (0, 2, 3, 1):
        axes = [axis + 1 for axis in axes]  # NHWC: undo the transpose
        if 4 not in axes:
            data = replace(data, expr=turned.args[0], shape=rx.shape_of(turned.args[0]))
    if not set(axes) <= {2, 3}:
        raise NoMatch(f"a mean over axes {axes}, where height or width or both are wanted")
    sizes = [size if axis in axes else 1 for axis, size in enumerate(data.shape)][2:]
    _, channels, height, width = data.shape
    shape = (1, channels, height // sizes[0], width // sizes[1])
    made = rx.shape_of(call)
    moves = () if made == shape else (Move(made),)
    if moves and max(shape[2:]) > 1:
        raise NoMatch("a mean over one axis of a map that lies height, width, channel")
    window = np.array([*sizes, 1, 1, 0, 0, 0, 0], np.int64)
    return Found("mbn.pool", (data,), fields_of(window=window), shape, moves)


def match_max_pool(matcher: Matcher, call: Any) -> Found:
    data = data_of(matcher, call.args[0])
    if len(data.shape) != 4:
        raise NoMatch(f"a max pool over {len(data.shape)} dimensions, where 4 are wanted")
    if rx.op_name(call) == "relax.max":
        axes = sorted(axis % 4 for axis in rx.ints(call.attrs.axis or ()))
        if axes != [2, 3]:
            raise NoMatch(f"a maximum over axes {axes}, where height and width are wanted")
        channels = data.shape[1]
        window = np.array([*data.shape[2:], 1, 1, 0, 0, 0, 0], np.int64)
        made, shape = rx.shape_of(call), (1, channels, 1, 1)
        moves = () if made == shape else (Move(made),)
        return Found("mbn.max_pool", (data,), fields_of(window=window), shape, moves)
    attrs = call.attrs
    if str(attrs.layout) != "NCHW" or any(step != 1 for step in rx.ints(attrs.dilation)):
        raise NoMatch("a dilated max pool, or one in another layout than NCHW")
    pads = list(rx.ints(attrs.padding))
    pads = pads * 2 if len(pads) == 2 else pads * 4 if len(pads) == 1 else pads
    kernel, strides = rx.ints(attrs.pool_size), rx.ints(attrs.strides)
    made = rx.shape_of(call)
    for axis in (0, 1):  # ceil_mode: more padding behind
        last = (made[2 + axis] - 1) * strides[axis] + kernel[axis] - pads[axis]
        pads[2 + axis] = max(pads[2 + axis], last - data.shape[2 + axis])
    window = np.array([*kernel, *strides, *pads], np.int64)
    return Found("mbn.max_pool", (data,), fields_of(window=window), made)
