"""Follows a Relax function backwards, through bindings, reshapes and transposes.

It returns parts of expressions as NumPy arrays and numbers, and changes nothing. An expression of
another form raises NoMatch, with a reason that a user understands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.passes.frontend import relax_module as rx

GENERATED = re.compile(r"(minimum|maximum)\d*$")
# The layers with a bias, and the axis of their channels
BY_CHANNEL = {"relax.nn.conv2d": 1, "relax.nn.conv2d_transpose": 1, "relax.matmul": -1}
RESHAPES = (
    "relax.reshape",
    "relax.squeeze",
    "relax.flatten",
    "relax.expand_dims",
)
MOVES = (*RESHAPES, "relax.permute_dims")


class NoMatch(Exception):
    """The expression is not of the wanted form. The message says why, if that is known."""


@dataclass(frozen=True)
class Quantised:
    """An integer constant or value and the parameters that give it meaning."""

    value: Any  # NDArray for constants, Relax Var otherwise
    scale: NDArray[np.float32]
    zero_point: NDArray[Any]
    axis: int


@dataclass(frozen=True)
class Move:
    """A reshape to `shape`, a transposition by `axes`, or what `shape` leaves from row and column
    `cut` on."""

    shape: tuple[int, ...]
    axes: tuple[int, ...] | None = None
    cut: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Affine:
    """y = gain * x + shift, with one gain and shift for each channel (axis 1)."""

    gain: NDArray[np.float64]
    shift: NDArray[np.float64]


class Matcher:
    """Follows variables back to what they are bound to, within one function."""

    def __init__(self, function: Any) -> None:
        self.bound = {
            binding.var: binding.value
            for block in function.body.blocks
            for binding in block.bindings
        }

    def follow(self, expr: Any) -> Any:
        """What a variable is bound to; anything else as it is."""
        seen = 0
        while expr in self.bound and seen < 1000:
            expr = self.bound[expr]
            seen += 1
        return expr

    def name(self, expr: Any) -> str:
        """The operator that makes the expression."""
        return rx.op_name(self.follow(expr))

    def constant(self, expr: Any) -> NDArray[Any] | None:
        return rx.constant(self.follow(expr))

    def reals(self, expr: Any) -> NDArray[np.float64]:
        """A flat constant in real units, stored as float or quantised."""
        literal = self.constant(expr)
        if literal is not None:
            return np.asarray(literal, np.float64).reshape(-1)
        stored = self.dequantised(expr)
        if not isinstance(stored.value, np.ndarray):
            raise NoMatch("a bias or a statistic is not a constant")
        codes = stored.value.reshape(-1).astype(np.float64)
        zero = stored.zero_point.reshape(-1).astype(np.float64)
        scale = stored.scale.reshape(-1).astype(np.float64)
        if not {zero.size, scale.size} <= {1, codes.size}:
            raise NoMatch(
                f"{scale.size} scales and {zero.size} zero points for {codes.size} values"
            )
        return np.asarray((codes - zero) * scale)

    def dequantised(self, expr: Any) -> Quantised:
        """What a dequantize reads, seen through transposes of constants."""
        call = self.follow(expr)
        name = rx.op_name(call)
        if name == "relax.permute_dims":
            inner = self.dequantised(call.args[0])
            if not isinstance(inner.value, np.ndarray):
                raise NoMatch
            rank = inner.value.ndim
            axes = move_of(call).axes
            assert axes is not None
            return replace(
                inner, value=inner.value.transpose(axes), axis=axes.index(inner.axis % rank)
            )
        if name != "relax.dequantize":
            raise NoMatch
        scale, zero = (self.constant(arg) for arg in call.args[1:3])
        if scale is None or zero is None:
            raise NoMatch("its scale or zero point is not a constant")
        found = self.constant(call.args[0])
        value = call.args[0] if found is None else found
        return Quantised(value, scale.astype(np.float32), zero, int(call.attrs.axis))

    def parameters(self, expr: Any) -> tuple[np.float32, int] | None:
        """Scale and zero point of a dequantised map, as int8; None for a constant. NoMatch for
        anything else."""
        found = self.dequantised(expr)
        if isinstance(found.value, np.ndarray):
            return None
        kind = rx.dtype_of(found.value)
        return scalar_parameters(found.scale, np.asarray(found.zero_point), kind)

    def same(self, one: Any, other: Any) -> bool:
        """Whether both dequantise one map, with the same parameters."""
        try:
            a, b = self.dequantised(one), self.dequantised(other)
        except NoMatch:
            return False
        if isinstance(a.value, np.ndarray) or isinstance(b.value, np.ndarray):
            return False
        return (
            a.value.same_as(b.value)
            and np.array_equal(a.scale, b.scale)
            and np.array_equal(a.zero_point, b.zero_point)
        )

    def unwrap_moves(self, expr: Any) -> tuple[Any, tuple[Move, ...]]:
        """What lies below reshapes and transposes, and the list of these, in the order in which
        data passes them."""
        moves: list[Move] = []
        while self.name(expr) in MOVES:
            call = self.follow(expr)
            moves.insert(0, move_of(call))
            expr = call.args[0]
        return expr, tuple(moves)


def move_of(call: Any) -> Move:
    if rx.op_name(call) == "relax.permute_dims":
        rank = len(rx.shape_of(call.args[0]))
        axes = range(rank)[::-1] if call.attrs.axes is None else rx.ints(call.attrs.axes)
        return Move(rx.shape_of(call), tuple(axis % rank for axis in axes))
    return Move(rx.shape_of(call))


def unwrap_clamp(matcher: Matcher, expr: Any) -> tuple[Any, float, float]:
    """Removes relu, clip, minimum and maximum. Returns what is below, and the bounds of the
    clamp."""
    low, high = -np.inf, np.inf
    while True:
        call = matcher.follow(expr)
        name = rx.op_name(call)
        if name == "relax.nn.relu":
            bounds = (0.0, np.inf)
        elif name == "relax.nn.relu6":
            bounds = (0.0, 6.0)
        elif name == "relax.clip":
            bounds = (number(call.args[1]), number(call.args[2]))
        elif (limit := limit_of(matcher, call)) is not None:
            expr, value, is_upper = limit
            bounds = (-np.inf, value) if is_upper else (value, np.inf)
            # operators nearer the result have the last word
            low, high = max(low, min(high, bounds[0])), min(high, max(low, bounds[1]))
            continue
        else:
            return expr, low, high
        low, high = max(low, min(high, bounds[0])), min(high, max(low, bounds[1]))
        expr = call.args[0]


def limit_of(matcher: Matcher, call: Any) -> tuple[Any, float, bool] | None:
    """(below, bound, whether it is the upper one) of a minimum or maximum with a constant.

    TVM imports ONNX's Clip as calls of generated functions `maximum` and `minimum`, and its bounds
    as where(isnan(bound), infinity, bound).
    """
    name, operands = rx.op_name(call), ()
    if name in ("relax.minimum", "relax.maximum"):
        operands = tuple(call.args)
    elif name == "relax.call_tir":
        function = GENERATED.match(call.args[0].name_hint)
        if function is not None:
            name, operands = function[1], call.args[1].fields
    if len(operands) != 2:
        return None
    bound = matcher.follow(operands[1])
    if rx.op_name(bound) == "relax.where":
        bound = matcher.follow(bound.args[2])
    value = rx.constant(bound)
    if value is None or value.size != 1 or np.isnan(value).any():
        return None
    return operands[0], float(value.reshape(-1)[0]), "min" in name


def number(expr: Any) -> float:
    """The value of a constant, a prim value or an immediate."""
    value = rx.constant(expr)
    if value is not None:
        return float(value.reshape(-1)[0])
    value = getattr(expr, "value", expr)  # a PrimValue around a FloatImm, or the immediate itself
    return float(getattr(value, "value", value))


def unwrap_norm(matcher: Matcher, expr: Any) -> tuple[Any, Affine | None]:
    """What lies below a batch normalisation, and what that does, from its statistics."""
    from tvm import relax  # noqa: PLC0415

    item = matcher.follow(expr)
    if not isinstance(item, relax.TupleGetItem) or int(item.index) != 0:
        return expr, None
    call = matcher.follow(item.tuple_value)
    if rx.op_name(call) != "relax.nn.batch_norm":
        return expr, None
    if int(call.attrs.axis) != 1:
        raise NoMatch("a batch normalisation over another axis than the channels'")
    gamma, beta, mean, variance = (matcher.reals(argument) for argument in call.args[1:5])
    if np.any(variance + float(call.attrs.epsilon) <= 0):
        raise NoMatch("a variance is not positive")
    gain = gamma / np.sqrt(variance + float(call.attrs.epsilon))
    return call.args[0], Affine(gain, beta - mean * gain)


def unwrap_bias(matcher: Matcher, expr: Any) -> tuple[Any, Any]:
    """Splits `x + bias`; the bias is returned as the expression below its reshape, or None."""
    call = matcher.follow(expr)
    if rx.op_name(call) != "relax.add":
        return expr, None
    for data, other in ((call.args[0], call.args[1]), (call.args[1], call.args[0])):
        bias, _ = matcher.unwrap_moves(other)
        if matcher.constant(bias) is None:
            try:
                if not isinstance(matcher.dequantised(bias).value, np.ndarray):
                    continue
            except NoMatch:
                continue
        if matcher.name(data) in BY_CHANNEL:
            _check_axis(rx.shape_of(other), rx.shape_of(call), BY_CHANNEL[matcher.name(data)])
        return data, bias
    return expr, None


def _check_axis(bias: tuple[int, ...], shape: tuple[int, ...], axis: int) -> None:
    """Refuses a constant that goes along another axis than the channels'."""
    along = (1,) * (len(shape) - len(bias)) + bias
    wide = [at for at, size in enumerate(along) if size > 1]
    if wide not in ([], [axis % len(shape)]):
        raise NoMatch(f"a constant of shape {bias} is added, where one value a channel is wanted")


def bias_reals(matcher: Matcher, bias: Any, channels: int) -> NDArray[np.float64]:
    """The bias in real units, one a channel."""
    real = matcher.reals(bias)
    if real.size not in (1, channels) or not np.all(np.isfinite(real)):
        raise NoMatch(f"its bias is not finite, or not one value for each of {channels} channels")
    return np.broadcast_to(real, (channels,))


def bias_codes(
    matcher: Matcher,
    bias: Any,
    in_scale: np.float32,
    scales: NDArray[np.float32],
    norm: Affine | None = None,
) -> NDArray[np.int32]:
    """The bias as int32 at scale s_in * s_w[n], whatever it was stored as.

    A bias stored at that scale (to float32's rounding) keeps its integers. One stored otherwise,
    float, at a scale that it shares with another layer, or followed by a batch normalisation (whose
    gain is in `scales` already), is rounded half to even.
    """
    channels = scales.size
    wanted = np.float64(in_scale) * scales.astype(np.float64)
    if bias is not None and norm is None and matcher.constant(bias) is None:
        stored = matcher.dequantised(bias)
        codes = np.asarray(stored.value).reshape(-1)
        scale = stored.scale.astype(np.float64).reshape(-1)
        fits = codes.size in (1, channels) and scale.size in (1, channels)
        if (
            fits
            and not np.any(np.asarray(stored.zero_point))
            and np.all(np.abs(scale - wanted) <= 1e-6 * wanted)
        ):
            return np.broadcast_to(codes, (channels,)).astype(np.int32)
    real = np.zeros(channels) if bias is None else bias_reals(matcher, bias, channels)
    if norm is not None:
        real = real * norm.gain + norm.shift
    rounded = np.rint(real / wanted)
    if not np.all(np.abs(rounded) < 2**31):
        raise NoMatch("its bias does not fit 32 bits at the scale of its products")
    return rounded.astype(np.int32)


def _without_zero_point(
    value: NDArray[Any], zero: NDArray[np.int64], axis: int
) -> NDArray[np.int8]:
    """Codes w - z at zero point 0, if they are of 8 bits."""
    along = [1] * value.ndim
    if zero.size > 1:
        along[axis % value.ndim] = -1
    moved = value.astype(np.int64) - zero.reshape(along if zero.size > 1 else [1] * value.ndim)
    if moved.min() < -128 or moved.max() > 127:
        raise NoMatch(
            f"its weights less their zero point reach {moved.min()} to {moved.max()}, which is "
            "more than 8 bits"
        )
    return np.asarray(moved.astype(np.int8))


def weight_codes(
    matcher: Matcher, expr: Any, out_axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 weights with their output channel first, and one scale an output channel."""
    try:
        stored = matcher.dequantised(expr)
    except NoMatch as error:
        raise NoMatch(str(error) or "its weights are not quantised") from None
    value, zero = stored.value, np.asarray(stored.zero_point).astype(np.int64)
    if not isinstance(value, np.ndarray) or value.dtype not in (np.int8, np.uint8):
        raise NoMatch("its weights are not constants of 8 bits")
    if value.dtype == np.uint8:  # the same numbers, 128 lower
        value, zero = (value.astype(np.int16) - 128).astype(np.int8), zero - 128
    if np.any(zero != 0):
        value = _without_zero_point(value, zero, stored.axis)
    channels = value.shape[out_axis]
    if stored.scale.size not in (1, channels):
        raise NoMatch(f"its weights have {stored.scale.size} scales for {channels} channels")
    if stored.scale.size == channels and channels > 1 and stored.axis % value.ndim != out_axis:
        raise NoMatch("its weights' scales do not go with the output channels")
    if not np.all(np.isfinite(stored.scale) & (stored.scale > 0)):
        raise NoMatch("a scale of its weights is not finite and above 0")
    scales = np.broadcast_to(stored.scale.reshape(-1), (channels,)).astype(np.float32)
    return np.moveaxis(value, out_axis, 0), scales


def scalar_parameters(scale: NDArray[Any], zero: NDArray[Any], kind: str) -> tuple[np.float32, int]:
    """One scale and zero point for int8 codes, however they were stored. NoMatch says what is
    wrong."""
    if kind not in ("int8", "uint8"):
        raise NoMatch(f"its values are {kind}, not int8 or uint8")
    if scale.size != 1 or zero.size != 1:
        raise NoMatch("a map has more than one scale")
    value = np.float32(scale.reshape(-1)[0])
    if not (np.isfinite(value) and value > 0):
        raise NoMatch(f"scale {value}, where one that is finite and above 0 is wanted")
    point = int(zero.reshape(-1)[0]) - (128 if kind == "uint8" else 0)
    if not -128 <= point <= 127:
        raise NoMatch(f"zero point {point}, outside of int8")
    return value, point
