"""An operator matched backwards from its quantize, and the maps that it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.matcher import Matcher, Move, NoMatch, move_of
from mbn.passes.frontend.movement import leaves

# Arguments of every packed call after the int8 inputs, all Relax constants.
FIELDS = (
    "quant",  # float64[2 a tensor]: scale, zero point of the inputs, then of the output
    "clamp",  # float64[2]: lowest and highest real value, infinite for none
    "window",  # int64[8]: kernel h, w, stride h, w, pads top, left, bottom, right
    "weights",  # int8 N x kh x kw x C (conv), N x K (dense); empty for a pool or an addition
    "scales",  # float32[N]
    "bias",  # int32[N], at scale s_in * s_w
    "numbers",  # int64: of a table its expression and axis; groups; a resize's factors, sampling
    "values",  # float64: the constants of a table's expression
    # int64[3]: the graph's QuantizeLinear that it ends in (-1: not known), 1 if it is moved before
    # that, 1 if its operator's result lies height, width, channel
    "end",
)
EXACT = 1e-4  # of a step
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
NO_WINDOW = np.array([1, 1, 1, 1, 0, 0, 0, 0], np.int64)


@dataclass(frozen=True, eq=False)
class Data:
    """An int8 map that an operator reads: the float expression that moves and dequantises it, and
    its parameters."""

    expr: Any
    shape: tuple[int, ...]
    scale: np.float32
    zero_point: int
    rescaled: tuple[np.float32, int] | None = None  # other parameters, which it is brought to first
    moves: tuple[Move, ...] = ()  # of its codes, to `shape`


@dataclass(frozen=True, eq=False)
class Found:
    """One operator, matched backwards from its quantize."""

    name: str
    data: tuple[Data, ...]
    fields: dict[str, NDArray[Any]]
    shape: tuple[int, ...]  # of its result, before `moves`
    moves: tuple[Move, ...] = ()
    moved_first: bool = False  # a layer of its own moves it before it is what the graph quantises
    channels_last: bool = False  # of the result that the graph's operator gives


def fields_of(**known: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """All fields but those that the rewriting fills in; empty where nothing is known."""
    bare: dict[str, NDArray[Any]] = {
        "window": NO_WINDOW,
        "weights": np.zeros(0, np.int8),
        "scales": np.zeros(0, np.float32),
        "bias": np.zeros(0, np.int32),
        "numbers": np.zeros(0, np.int64),
        "values": np.zeros(0, np.float64),
    }
    return {**bare, **known}


def data_of(matcher: Matcher, expr: Any) -> Data:
    """A dequantised map, or several with one scale that are moved together."""
    parameters = set()
    constants: list[Any] = []
    for leaf in leaves(matcher, expr):
        try:
            found = matcher.parameters(leaf)
        except NoMatch as error:
            if matcher.constant(leaf) is not None:
                constants.append(leaf)
                continue
            raise NoMatch(str(error) or "its input stays in float") from None
        if found is None:
            constants.append(leaf)
            continue
        parameters.add(found)
    if not parameters:
        raise NoMatch("its input is a constant")
    if len(parameters) > 1:
        raise NoMatch("the maps that are joined in it have different scales")
    scale, zero = parameters.pop()
    for one in constants:
        steps = matcher.reals(one) / np.float64(scale) + zero
        if np.abs(steps - np.clip(np.rint(steps), -128, 127)).max(initial=0) > EXACT:
            raise NoMatch(f"a constant beside it is no code of scale {scale}")
    return Data(expr, rx.shape_of(expr), scale, zero)


def is_channels_last(matcher: Matcher, data: Data) -> bool:
    """Whether a map was transposed to height, width, channel, in float or as codes."""
    expr = data.expr
    for _ in range(2):
        call = matcher.follow(expr)
        if rx.op_name(call) == "relax.permute_dims":
            return move_of(call).axes == TO_CHANNELS_LAST
        try:
            expr = matcher.dequantised(expr).value
        except NoMatch:
            return False
        if isinstance(expr, np.ndarray):
            return False
    return False


def channels_first(data: Data) -> Data:
    """A map that lies height, width, channel, its codes transposed."""
    _, height, width, channels = data.shape
    shape = (1, channels, height, width)
    return replace(data, shape=shape, moves=(*data.moves, Move(shape, TO_CHANNELS_FIRST)))
