"""Averages and maxima over windows, matched backwards from their quantize."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.found import (
    TO_CHANNELS_LAST,
    Data,
    Found,
    channels_first,
    data_of,
    fields_of,
    is_channels_last,
)
from mbn.passes.frontend.matcher import Matcher, Move, NoMatch


def match_pool(matcher: Matcher, call: Any) -> Found:
    data = data_of(matcher, call.args[0])
    name, made = rx.op_name(call), rx.shape_of(call)
    if len(data.shape) != 4:
        raise NoMatch(f"an average over {len(data.shape)} dimensions, where 4 are wanted")
    _check_batch(data)
    if name == "relax.mean":
        return _mean(matcher, call, data)
    sizes = data.shape[2:]
    window = [*sizes, 1, 1, 0, 0, 0, 0]
    if name == "relax.nn.avg_pool2d":
        attrs = call.attrs
        if any(rx.ints(attrs.padding)):
            raise NoMatch(
                "an average pool whose padding does not count (count_include_pad 0): what it "
                "divides by differs at the edges"
            )
        kernel, strides = rx.ints(attrs.pool_size), rx.ints(attrs.strides)
        last = [(size - 1) * step for size, step in zip(made[2:], strides, strict=True)]
        inside = all(at + k <= size for at, k, size in zip(last, kernel, sizes, strict=True))
        if not inside or str(attrs.layout) != "NCHW" or set(rx.ints(attrs.dilation)) != {1}:
            raise NoMatch("an average pool with windows beyond the map (ceil_mode), or dilated")
        window = [*kernel, *strides, 0, 0, 0, 0]
    elif made[2:] != (1, 1):
        raise NoMatch("an adaptive pool to more than one pixel")
    return Found("mbn.pool", (data,), fields_of(window=np.array(window, np.int64)), made)


def _check_batch(data: Data) -> None:
    """A concatenation or a reshape may have made one."""
    if data.shape[0] != 1:
        raise NoMatch(f"a pool over a batch of {data.shape[0]} maps, where one is wanted")


def _mean(matcher: Matcher, call: Any, data: Data) -> Found:
    """A mean over height, width or both, of a map in either layout."""
    axes = {axis % 4 for axis in rx.ints(call.attrs.axis or ())}
    last = is_channels_last(matcher, data) or axes == {1, 2}
    places = {1: 2, 2: 3, 3: 1} if last else {}
    over = sorted(places.get(axis, axis) for axis in axes)
    if not over or not set(over) <= {2, 3}:
        raise NoMatch(f"a mean over axes {sorted(axes)}, where height or width or both are wanted")
    data = channels_first(data) if last else data
    sizes = [data.shape[axis] if axis in over else 1 for axis in (2, 3)]
    shape = (1, data.shape[1], data.shape[2] // sizes[0], data.shape[3] // sizes[1])
    made, moves = rx.shape_of(call), []
    if last and max(shape[2:]) > 1:
        shape_last = (1, *shape[2:], shape[1])
        moves.append(Move(shape_last, TO_CHANNELS_LAST))
    if made != (moves[-1].shape if moves else shape):
        moves.append(Move(made))
    window = np.array([*sizes, 1, 1, 0, 0, 0, 0], np.int64)
    return Found(
        "mbn.pool", (data,), fields_of(window=window), shape, tuple(moves), channels_last=last
    )


def match_max_pool(matcher: Matcher, call: Any) -> Found:
    data = data_of(matcher, call.args[0])
    if len(data.shape) != 4:
        raise NoMatch(f"a max pool over {len(data.shape)} dimensions, where 4 are wanted")
    _check_batch(data)
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
