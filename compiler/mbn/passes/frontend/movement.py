"""Operators that move values and compute nothing, on both sides of the integer pass.

In the pass: a float expression that only moves dequantised maps is written again on their codes.
In the reader: where each value comes from, as arrays of numbers that are moved as the operators
say (`Moved`); and the taps of a layer that does the same (`taps_of`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.network import Moves, Tensor
from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.matcher import MOVES, Matcher, NoMatch, move_of

Ids = NDArray[np.int64]

MOVERS = (*MOVES, "relax.concat", "relax.strided_slice", "relax.split", "relax.image.resize2d")
NEAREST = "nearest_neighbor"
MOST_VALUES = 2**22
ANY = -1024  # an id: whatever is there


def is_mover(call: Any) -> bool:
    """Whether a call only moves values."""
    name = rx.op_name(call)
    return name in MOVERS and (name != "relax.image.resize2d" or str(call.attrs.method) == NEAREST)


def is_split(matcher: Matcher, expr: Any) -> bool:
    """Whether an expression is a part of a split."""
    item = matcher.follow(expr)
    whole = getattr(item, "tuple_value", None)
    return whole is not None and rx.op_name(matcher.follow(whole)) == "relax.split"


def leaves(matcher: Matcher, expr: Any) -> Iterator[Any]:
    """The expressions that are moved: what lies below all movers."""
    call = matcher.follow(expr)
    if is_split(matcher, expr):
        yield from leaves(matcher, matcher.follow(call.tuple_value).args[0])
        return
    if not is_mover(call):
        yield expr
        return
    for one in sources_of(matcher, call):
        yield from leaves(matcher, one)


def sources_of(matcher: Matcher, call: Any) -> list[Any]:
    """What a mover moves."""
    if rx.op_name(call) == "relax.concat":
        return list(matcher.follow(call.args[0]).fields)
    return [call.args[0]]


def rebuilt(
    matcher: Matcher, emit: Callable[[Any], Any], expr: Any, leaf: Callable[[Any], Any]
) -> Any:
    """The same movers over other leaves; `leaf` makes the new one from the old."""
    from tvm import relax  # noqa: PLC0415

    call = matcher.follow(expr)
    if is_split(matcher, expr):
        split = matcher.follow(call.tuple_value)
        inner = rebuilt(matcher, emit, split.args[0], leaf)
        parts = emit(relax.Call(split.op, [inner, *split.args[1:]], split.attrs))
        return emit(relax.TupleGetItem(parts, call.index))
    if not is_mover(call):
        return leaf(expr)
    name = rx.op_name(call)
    if name in MOVES:
        inner = rebuilt(matcher, emit, call.args[0], leaf)
        move = move_of(call)
        if move.axes is not None:
            return emit(relax.op.permute_dims(inner, list(move.axes)))
        return emit(relax.op.reshape(inner, move.shape))
    if name == "relax.concat":
        inners = [rebuilt(matcher, emit, one, leaf) for one in sources_of(matcher, call)]
        return emit(relax.op.concat(inners, axis=int(call.attrs.axis)))
    inner = rebuilt(matcher, emit, call.args[0], leaf)
    return emit(relax.Call(call.op, [inner, *call.args[1:]], call.attrs))


# -- where values come from --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Moved:
    """Values of maps in some order. ids, in the shape that Relax has: number of the source *
    MOST_VALUES + index of the value in its canonical order; below 0: the constant -1 - code - 128.
    All sources have one scale and zero point."""

    sources: tuple[Tensor, ...]
    ids: Ids
    end: Any = None  # of the QuantizeLinear behind it, if it has one
    end_ids: Ids | None = None  # the ids there, before what moved them since

    @property
    def first(self) -> Tensor:
        return self.sources[0]


def constant_ids(codes: NDArray[Any]) -> Ids:
    """The ids of constant codes, int8."""
    return -1 - (codes.astype(np.int64) + 128)


def joined(parts: Sequence[Moved]) -> tuple[tuple[Tensor, ...], list[Ids]]:
    """The sources of several, each once, and their ids counted by these."""
    sources = tuple(dict.fromkeys(source for one in parts for source in one.sources))
    found = []
    for one in parts:
        numbers = np.array([sources.index(source) for source in one.sources] or [0])
        ids = one.ids
        number = np.where(ids >= 0, ids // MOST_VALUES, 0)
        found.append(np.where(ids >= 0, numbers[number] * MOST_VALUES + ids % MOST_VALUES, ids))
    return sources, found


def applied(call: Any, ids: Ids) -> Ids | list[Ids]:
    """A mover with one input, on an array; a list for a split."""
    name = rx.op_name(call)
    if name in MOVES:
        move = move_of(call)
        return ids.reshape(move.shape) if move.axes is None else ids.transpose(move.axes)
    if name == "relax.strided_slice":
        return _sliced(call, ids)
    if name == "relax.split":
        axis = int(call.attrs.axis)
        where = call.attrs.indices_or_sections
        try:
            parts: Any = [int(one) for one in where]
        except TypeError:
            parts = int(where)
        return list(np.split(ids, parts, axis))
    return _nearest(call, ids)


def _sliced(call: Any, ids: Ids) -> Ids:
    axes, begins, ends = (rx.numbers(argument) for argument in call.args[1:4])
    strides = rx.numbers(call.args[4]) if len(call.args) > 4 else [1] * len(axes)
    index = [slice(None)] * ids.ndim
    for axis, begin, end, stride in zip(axes, begins, ends, strides, strict=True):
        behind = end if stride > 0 or end >= -ids.shape[axis] else None
        index[axis] = slice(begin, behind, stride)
    return ids[tuple(index)]


def _nearest(call: Any, ids: Ids) -> Ids:
    """ONNX's Resize, mode nearest, by its formulas."""
    attrs = call.attrs
    sizes = rx.shape_of(call)[2:]
    for axis, (size, was) in enumerate(zip(sizes, ids.shape[2:], strict=True), 2):
        at, ratio = np.arange(size), size / was
        mode, rounding = str(attrs.coordinate_transformation_mode), str(attrs.rounding_method)
        match mode:
            case "asymmetric":
                place = at / ratio
            case "half_pixel":
                place = (at + 0.5) / ratio - 0.5
            case "pytorch_half_pixel":
                place = (at + 0.5) / ratio - 0.5 if size > 1 else at * 0.0
            case "align_corners":
                place = at * (was - 1) / max(1, size - 1)
            case _:
                raise NoMatch(f"a nearest resize by {mode}")
        nearest = _ROUNDINGS[rounding](place)
        ids = np.take(ids, np.clip(nearest, 0, was - 1).astype(np.int64), axis)
    return ids


_ROUNDINGS: Mapping[str, Callable[[Any], Any]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
    "": np.floor,
}


# -- the layer that does it ----------------------------------------------------------------------

LARGEST_UP = 8
LARGEST_STEP = 8


@dataclass(frozen=True, eq=False)
class Gathered:
    """What a MOVE layer needs; shape: height, width, channels."""

    moves: Moves
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    shape: tuple[int, int, int]


def map_of(ids: Ids, *, channels_last: bool) -> Ids | None:
    """The ids as height x width x channel; None where they have no such form."""
    if ids.ndim == 4 and ids.shape[0] == 1:
        return np.asarray(ids[0] if channels_last else ids[0].transpose(1, 2, 0))
    if ids.ndim == 2 and ids.shape[0] == 1:
        return ids.reshape(1, 1, -1)
    return None


def taps_of(sources: Sequence[Tensor], ids: Ids) -> Gathered | None:
    """The taps that give a map (height x width x channel of ids); None where none do."""
    constants = np.unique(ids[(ids < 0) & (ids != ANY)])
    if len(constants) > 1:
        return None
    fill = int(-1 - constants[0] - 128) if len(constants) else 0
    maps = _Places.of(sources, ids)
    height, width = ids.shape[:2]
    several = len(sources) > 1
    rows = _axis(maps, 0, height, [one.height for one in sources], several=several)
    columns = _axis(maps, 1, width, [one.width for one in sources], several=several)
    if rows is None or columns is None:
        return None
    return _gathered(maps, rows, columns, fill, ids.shape, sources)


@dataclass(frozen=True, eq=False)
class _Places:
    """Where each value comes from: arrays height x width x channel; number -1: a constant, or,
    where `free`, anything."""

    free: NDArray[np.bool_]
    number: Ids
    channel: Ids
    place: tuple[Ids, Ids]  # row, column

    @classmethod
    def of(cls, sources: Sequence[Tensor], ids: Ids) -> _Places:
        number = np.where(ids >= 0, ids // MOST_VALUES, -1)
        widths = np.array([one.width for one in sources])[np.maximum(number, 0)]
        channels = np.array([one.channels for one in sources])[np.maximum(number, 0)]
        flat = np.where(ids >= 0, ids % MOST_VALUES, 0)
        pixel = flat // channels
        return cls(ids == ANY, number, flat % channels, (pixel // widths, pixel % widths))


Axis = tuple[int, int]  # output places of one step, input places of one step


def _axis(
    maps: _Places, axis: int, size: int, sizes: Sequence[int], *, several: bool
) -> list[Axis] | None:
    """The steps along one axis under which all places are affine, the simplest first."""
    found = []
    for up in range(1, LARGEST_UP + 1):
        if size % up:
            continue
        for step in range(1, LARGEST_STEP + 1):
            if several and (up, step) != (1, 1):
                continue
            if _is_affine(maps, axis, size, up, step):
                found.append((up, step))
                break
    return found or None


def _is_affine(maps: _Places, axis: int, size: int, up: int, step: int) -> bool:
    """Whether the place less its step's is one number along the axis, for each phase, channel and
    place on the other axis."""
    along = np.arange(size) // up * step
    offset = maps.place[axis] - (along[:, None, None] if axis == 0 else along[None, :, None])
    low = np.where(maps.number >= 0, offset, np.iinfo(np.int64).max)
    high = np.where(maps.number >= 0, offset, np.iinfo(np.int64).min)
    if axis == 1:
        low, high = low.transpose(1, 0, 2), high.transpose(1, 0, 2)
    shape = (size // up, up, *low.shape[1:])
    least, most = low.reshape(shape).min(axis=0), high.reshape(shape).max(axis=0)
    return bool(((least == most) | (least > most)).all())


def _gathered(
    maps: _Places,
    rows: list[Axis],
    columns: list[Axis],
    fill: int,
    shape: Sequence[int],
    sources: Sequence[Tensor],
) -> Gathered | None:
    for up_y, step_y in rows:
        for up_x, step_x in columns:
            found = _with_steps(maps, (up_y, up_x), (step_y, step_x), fill, shape, sources)
            if found is not None:
                return found
    return None


def _with_steps(
    maps: _Places,
    up: tuple[int, int],
    step: tuple[int, int],
    fill: int,
    shape: Sequence[int],
    sources: Sequence[Tensor],
) -> Gathered | None:
    height, width, channels = shape
    split = (height // up[0], up[0], width // up[1], up[1], channels)

    def phases(values: NDArray[Any]) -> NDArray[Any]:
        """(places on both axes) x up h x up w x channel."""
        parts = values.reshape(split).transpose(0, 2, 1, 3, 4)
        return parts.reshape(-1, up[0], up[1], channels)

    there = phases(maps.number) >= 0
    y = np.arange(height)[:, None, None] // up[0] * step[0]
    x = np.arange(width)[None, :, None] // up[1] * step[1]
    offsets = (
        maps.number,
        maps.channel,
        np.broadcast_to(maps.place[0] - y, shape),
        np.broadcast_to(maps.place[1] - x, shape),
    )
    taps = np.full((*up, channels, 4), -1, np.int64)
    some = np.asarray(there.any(axis=0))
    for at, values in enumerate(offsets):
        of_phase = phases(values)
        low = np.where(there, of_phase, np.iinfo(np.int64).max).min(axis=0)
        high = np.where(there, of_phase, np.iinfo(np.int64).min).max(axis=0)
        if not (low == high)[some].all():
            return None
        taps[..., at][some] = low[some]
    if len(sources) > 1 and (taps[..., 2][some] != 0).any():
        return None  # rows of several maps come together: no map can be shifted
    known = there, phases(maps.free)
    return _framed(taps, some, known, step, fill, (height, width, channels), sources)


def _framed(
    taps: Ids,
    some: NDArray[np.bool_],
    known: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    step: tuple[int, int],
    fill: int,
    shape: tuple[int, int, int],
    sources: Sequence[Tensor],
) -> Gathered | None:
    """Offsets as rows and columns of a window with padding. What lies outside of the map must be
    just the constants."""
    there, free = known
    up = (taps.shape[0], taps.shape[1])
    steps = (shape[0] // up[0], shape[1] // up[1])
    at = np.stack(np.meshgrid(np.arange(steps[0]), np.arange(steps[1]), indexing="ij"), -1)
    at = at.reshape(-1, 2)
    sizes = np.array([(one.height, one.width) for one in sources])[np.maximum(taps[..., 0], 0)]
    inside = np.broadcast_to(some, there.shape).copy()
    for axis in (0, 1):
        place = at[:, axis, None, None, None] * step[axis] + taps[..., 2 + axis]
        inside &= (place >= 0) & (place < sizes[..., axis])
    if not ((inside == there) | free).all():
        return None
    pads, kernel, behind = [], [], []
    for axis in (0, 1):
        offsets = taps[..., 2 + axis][some]
        before = max(0, -int(offsets.min(initial=0)))
        taps[..., 2 + axis][some] += before
        kernel.append(int(offsets.max(initial=0)) + before + 1)
        pads.append(before)
        last = (steps[axis] - 1) * step[axis] + kernel[axis] - before
        behind.append(max(0, last - (sources[0].height, sources[0].width)[axis]))
    taps[~some] = (-1, 0, 0, 0)
    return Gathered(
        Moves(np.ascontiguousarray(taps.astype(np.int32)), fill),
        (kernel[0], kernel[1]),
        step,
        (pads[0], pads[1], behind[0], behind[1]),
        shape,
    )


def enlarged(ids: Ids) -> Iterator[tuple[Ids, bool, tuple[slice, ...]]]:
    """A map whose size is no multiple of the step in which it can be made, with more rows and
    columns behind; whether it is channels last; and what to keep of it."""
    if ids.ndim != 4:
        return
    for up in range(2, LARGEST_UP + 1):
        for last in (False, True):
            axes = (1, 2) if last else (2, 3)
            more = [(0, -size % up if axis in axes else 0) for axis, size in enumerate(ids.shape)]
            if any(behind for _, behind in more):
                kept = tuple(slice(0, size) for size in ids.shape)
                yield np.pad(ids, more, constant_values=ANY), last, kept


def is_aligned(one: Moved) -> bool:
    """Whether its rows can be read together with those of other maps: row y from row y."""
    for last in (False, True):
        ids = map_of(one.ids, channels_last=last)
        found = None if ids is None else taps_of(one.sources, ids)
        if found is not None:
            return found.moves.up == (1, 1) and found.stride == (1, 1) and found.kernel[0] == 1
    return False


def plain_ids(tensor: Tensor, number: int = 0) -> Ids:
    """Ids of a whole map: height x width x channel."""
    return np.arange(math.prod(tensor.shape)).reshape(tensor.shape) + number * MOST_VALUES


def ended(value: Moved, end: Any) -> Moved:
    """The same, known by the QuantizeLinear behind it."""
    return replace(value, end=end)
