"""The operators that a quantised value may be made by, matched backwards from its quantize.

Each becomes a `Found`: the packed function, the maps that it reads, and constants by field.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.passes.frontend import elementwise
from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.matcher import (
    Affine,
    Matcher,
    Move,
    NoMatch,
    bias_codes,
    limit_of,
    move_of,
    scalar_parameters,
    unwrap_bias,
    unwrap_clamp,
    unwrap_norm,
    weight_codes,
)
from mbn.passes.frontend.movement import is_mover, is_split, leaves
from mbn.passes.frontend.onnx_file import LARGEST_KERNEL

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
    "end",  # int64[1]: which of the graph's QuantizeLinear nodes it ends in, -1 if not known
)
POOLS = ("relax.nn.avg_pool2d", "relax.nn.adaptive_avg_pool2d", "relax.mean")
MAX_POOLS = ("relax.nn.max_pool2d", "relax.max")
PAIRS = {"relax.add": "mbn.add", "relax.multiply": "mbn.product"}
KEPT = ("mbn.max_pool", "mbn.resize")
SAMPLINGS = {"half_pixel": 0, "pytorch_half_pixel": 0, "asymmetric": 1}
EXACT = 1e-4  # of a step
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


@dataclass(frozen=True, eq=False)
class Found:
    """One operator, matched backwards from its quantize."""

    name: str
    data: tuple[Data, ...]
    fields: dict[str, NDArray[Any]]
    shape: tuple[int, ...]  # of its result, before `moves`
    moves: tuple[Move, ...] = ()


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


def match_quantize(matcher: Matcher, call: Any) -> Found:
    """The operator that ends in this quantize, or NoMatch."""
    out_scale, out_zero = (matcher.constant(arg) for arg in call.args[1:3])
    if out_scale is None or out_zero is None:
        raise NoMatch("its scale or zero point is not a constant")
    scale, zero = scalar_parameters(out_scale, out_zero, rx.dtype_of(call))
    above, low, high = unwrap_clamp(matcher, call.args[0])
    below, moves = matcher.unwrap_moves(above)
    below, inner_low, inner_high = unwrap_clamp(matcher, below)
    bounds = max(low, min(high, inner_low)), min(high, max(low, inner_high))
    try:
        found = _operator(matcher, below)
    except _Elementwise:
        below, moves = matcher.unwrap_moves(call.args[0])
        found, bounds = _island(matcher, below), (-np.inf, np.inf)
    data = found.data
    if found.name in KEPT:  # the codes of what it reads are kept: a table stands before
        wanted = (scale, zero)
        data = tuple(
            one if (one.scale, one.zero_point) == wanted else replace(one, rescaled=wanted)
            for one in data
        )
    read = [one.rescaled or (one.scale, one.zero_point) for one in data]
    numbers = [float(value) for one in read for value in one]
    fields = {
        **found.fields,
        "quant": np.array([*numbers, float(scale), zero], np.float64),
        "clamp": np.array(bounds, np.float64),
    }
    return Found(found.name, data, fields, found.shape, (*found.moves, *moves))


class _Elementwise(NoMatch):
    """No layer ends here; a tree of element-wise operators may."""


def _operator(matcher: Matcher, expr: Any) -> Found:
    """What computes a real value from dequantised maps."""
    expr, norm = unwrap_norm(matcher, expr)
    inner, bias = unwrap_bias(matcher, expr)
    name = matcher.name(inner)
    operator = matcher.follow(inner)
    if name == "relax.nn.conv2d":
        return _conv(matcher, operator, bias, norm)
    if name == "relax.matmul" and norm is None:
        return _dense(matcher, operator, bias)
    if bias is None and norm is None:
        if name in POOLS:
            return _pool(matcher, operator)
        if name in MAX_POOLS:
            return _max_pool(matcher, operator)
        if name in PAIRS and _both_are_maps(matcher, operator):
            return _pair(matcher, operator, PAIRS[name])
        if name == "relax.image.resize2d":
            return _resize(matcher, operator)
    if norm is not None or name in elementwise.OPERATORS or limit_of(matcher, operator):
        raise _Elementwise(_left(name))
    if name == "relax.dequantize" or is_split(matcher, inner) or is_mover(operator):
        raise _Elementwise(_left(name))
    raise _Elementwise(_left(name)) if bias is not None else NoMatch(_left(name))


def _left(name: str) -> str:
    what = name.removeprefix("relax.").removeprefix("nn.") or "an expression"
    return f"{what} stays in float or is not of a form that has integer kernels"


def _both_are_maps(matcher: Matcher, call: Any) -> bool:
    """Whether both operands are dequantised maps, perhaps moved."""

    def is_map(leaf: Any) -> bool:
        try:
            return not isinstance(matcher.dequantised(leaf).value, np.ndarray)
        except NoMatch:
            return False

    return all(any(map(is_map, leaves(matcher, one))) for one in call.args[:2])


def _island(matcher: Matcher, expr: Any) -> Found:
    """A tree of element-wise operators: a table."""
    found = elementwise.match_island(matcher, expr)
    data = _data(matcher, found.leaf)
    numbers, values = elementwise.packed(found.expression)
    fields = fields_of(numbers=np.array([found.axis, *numbers], np.int64), values=values)
    return Found("mbn.table", (data,), fields, data.shape)


def _data(matcher: Matcher, expr: Any) -> Data:
    """A dequantised map, or several with one scale that are moved together."""
    parameters = set()
    constants: list[Any] = []
    for leaf in leaves(matcher, expr):
        try:
            found = matcher.dequantised(leaf)
        except NoMatch as error:
            if matcher.constant(leaf) is not None:
                constants.append(leaf)
                continue
            raise NoMatch(str(error) or "its input stays in float") from None
        if isinstance(found.value, np.ndarray):
            constants.append(leaf)
            continue
        kind = rx.dtype_of(found.value)
        parameters.add(scalar_parameters(found.scale, np.asarray(found.zero_point), kind))
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


def _conv(matcher: Matcher, call: Any, bias: Any, norm: Affine | None) -> Found:
    attrs = call.attrs
    if str(attrs.data_layout) != "NCHW" or str(attrs.kernel_layout) != "OIHW":
        raise NoMatch("a layout other than NCHW")
    data = _data(matcher, call.args[0])
    weights, scales = weight_codes(matcher, call.args[1], 0)
    weights = _dilated(weights, rx.ints(attrs.dilation))
    groups, channels = int(attrs.groups), data.shape[1]
    if len(data.shape) != 4 or channels % groups or len(weights) % groups:
        raise NoMatch(f"{groups} groups of {channels} channels, where equal ones are wanted")
    if norm is not None:
        weights, scales = _normed(weights, scales, norm)
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


def _dilated(weights: NDArray[np.int8], dilation: tuple[int, ...]) -> NDArray[np.int8]:
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


def _normed(
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


def _dense(matcher: Matcher, call: Any, bias: Any) -> Found:
    data = _data(matcher, call.args[0])
    if len(data.shape) != 2:
        raise NoMatch(f"a matrix product of {len(data.shape)} dimensions, where 2 are wanted")
    weights, scales = weight_codes(matcher, call.args[1], 1)
    if weights.ndim != 2:
        raise NoMatch(f"weights of {weights.ndim} dimensions, where 2 are wanted")
    fields = fields_of(
        weights=np.ascontiguousarray(weights),
        scales=scales,
        bias=bias_codes(matcher, bias, data.scale, scales),
    )
    return Found("mbn.dense", (data,), fields, rx.shape_of(call))


def _pool(matcher: Matcher, call: Any) -> Found:
    data = _data(matcher, call.args[0])
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


def _max_pool(matcher: Matcher, call: Any) -> Found:
    data = _data(matcher, call.args[0])
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


def _pair(matcher: Matcher, call: Any, packed: str) -> Found:
    """An addition or a product of two maps; a product's second may be one pixel."""
    first, second = (_data(matcher, argument) for argument in call.args)
    if packed == "mbn.product" and first.shape != second.shape:
        if first.shape[2:] == (1, 1):
            first, second = second, first
        if len(first.shape) == 4 and second.shape == (1, first.shape[1], 1, 1):
            return Found(packed, (first, second), fields_of(), first.shape)
    if first.shape != second.shape:
        what = "an addition" if packed == "mbn.add" else "a product"
        raise NoMatch(f"{what} of maps of {first.shape} and {second.shape}")
    return Found(packed, (first, second), fields_of(), rx.shape_of(call))


def _resize(matcher: Matcher, call: Any) -> Found:
    """A bilinear resize to a multiple of the size."""
    attrs, data, made = call.attrs, _data(matcher, call.args[0]), rx.shape_of(call)
    mode = str(attrs.coordinate_transformation_mode)
    if str(attrs.method) != "linear" or mode not in SAMPLINGS:
        raise NoMatch(
            f"a resize by {attrs.method}, {mode}, where nearest, or linear by half_pixel or "
            "asymmetric is wanted"
        )
    factors = [size // was for size, was in zip(made[2:], data.shape[2:], strict=True)]
    exact = [size * factor for size, factor in zip(data.shape[2:], factors, strict=True)]
    if exact != list(made[2:]) or not set(factors) <= {1, 2, 4, 8}:
        raise NoMatch(
            f"a bilinear resize from {data.shape[2:]} to {made[2:]}, where 2, 4 or 8 times the "
            "size is wanted"
        )
    numbers = np.array([*factors, SAMPLINGS[mode]], np.int64)
    return Found("mbn.resize", (data,), fields_of(numbers=numbers), made)
