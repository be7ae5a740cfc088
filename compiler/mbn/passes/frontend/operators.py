"""The operators that a quantised value may be made by, matched backwards from its quantize.

Each becomes a `Found`: the packed function, the maps that it reads, and constants by field.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mbn.passes.frontend import elementwise
from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.convolutions import match_conv, match_dense
from mbn.passes.frontend.found import Found, data_of, fields_of
from mbn.passes.frontend.matcher import (
    Matcher,
    NoMatch,
    limit_of,
    scalar_parameters,
    unwrap_bias,
    unwrap_clamp,
    unwrap_norm,
)
from mbn.passes.frontend.movement import is_mover, is_split, leaves
from mbn.passes.frontend.pools import match_max_pool, match_pool
from mbn.passes.frontend.transposed import match_conv_transposed

CONVOLUTIONS = {
    "relax.nn.conv2d": match_conv,
    "relax.nn.conv2d_transpose": match_conv_transposed,
}
POOLS = ("relax.nn.avg_pool2d", "relax.nn.adaptive_avg_pool2d", "relax.mean")
MAX_POOLS = ("relax.nn.max_pool2d", "relax.max")
PAIRS = {"relax.add": "mbn.add", "relax.multiply": "mbn.product"}
KEPT = ("mbn.max_pool", "mbn.resize")
SAMPLINGS = {"half_pixel": 0, "pytorch_half_pixel": 0, "asymmetric": 1}


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
    return replace(found, data=data, fields=fields, moves=(*found.moves, *moves))


class _Elementwise(NoMatch):
    """No layer ends here; a tree of element-wise operators may."""


def _operator(matcher: Matcher, expr: Any) -> Found:
    """What computes a real value from dequantised maps."""
    expr, norm = unwrap_norm(matcher, expr)
    inner, bias = unwrap_bias(matcher, expr)
    name = matcher.name(inner)
    operator = matcher.follow(inner)
    if name in CONVOLUTIONS:
        return CONVOLUTIONS[name](matcher, operator, bias, norm)
    if name == "relax.matmul" and norm is None:
        return match_dense(matcher, operator, bias)
    if bias is None and norm is None:
        if name in POOLS:
            return match_pool(matcher, operator)
        if name in MAX_POOLS:
            return match_max_pool(matcher, operator)
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
    data = data_of(matcher, found.leaf)
    numbers, values = elementwise.packed(found.expression)
    fields = fields_of(numbers=np.array([found.axis, *numbers], np.int64), values=values)
    return Found("mbn.table", (data,), fields, data.shape)


def _pair(matcher: Matcher, call: Any, packed: str) -> Found:
    """An addition or a product of two maps; the second may be one pixel."""
    first, second = (data_of(matcher, argument) for argument in call.args)
    if first.shape != second.shape:
        if first.shape[2:] == (1, 1):
            first, second = second, first
        if len(first.shape) == 4 and second.shape == (1, first.shape[1], 1, 1):
            return Found(packed, (first, second), fields_of(), first.shape)
        what = "an addition of" if packed == "mbn.add" else "a product of"
        raise NoMatch(f"{what} maps of {first.shape} and {second.shape}")
    return Found(packed, (first, second), fields_of(), rx.shape_of(call))


def _resize(matcher: Matcher, call: Any) -> Found:
    """A bilinear resize to a multiple of the size."""
    attrs, data, made = call.attrs, data_of(matcher, call.args[0]), rx.shape_of(call)
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
