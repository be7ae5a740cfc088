"""The Relax pass that finds integer operators in a QDQ graph.

What enters: a Relax module as `from_onnx` makes it: quantize / dequantize around float conv2d,
matmul, avg_pool2d, mean. What leaves: the same module in which each dequantize .. operator ..
[bias] .. [clamp] .. quantize is one call of the packed function `mbn.conv`, `mbn.dense` or
`mbn.pool` on int8 values, and the float operators that nobody reads are gone.
Always holds: an operator is matched backwards from its quantize, so ReLU, Clip, minimum and
maximum, a bias that is shared, reshaped, missing or float, and constants behind a transpose all
meet the same few lines; what is left unmatched stays, and the reader refuses it by name.

The packed calls carry only constants: see `Fields` for their order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.frontend import relax_module as rx

# Arguments of every packed call after the int8 input, all Relax constants.
FIELDS = (
    "quant",  # float64[4]: s_in, zp_in, s_out, zp_out (float32 values, exactly)
    "clamp",  # float64[2]: lowest and highest real value, infinite for none
    "window",  # int64[8]: kernel h, w, stride h, w, pads top, left, bottom, right
    "weights",  # int8 N x kh x kw x C (conv), N x K (dense); empty for a pool
    "scales",  # float32[N]
    "bias",  # int32[N], at scale s_in * s_w
)
GENERATED = re.compile(r"(minimum|maximum)\d*$")
RESHAPES = ("relax.reshape", "relax.squeeze", "relax.flatten")


@dataclass(frozen=True)
class Quantised:
    """An integer constant or value and the parameters that give it meaning."""

    value: Any  # NDArray for constants, Relax Var otherwise
    scale: NDArray[np.float32]
    zero_point: NDArray[Any]
    axis: int


@dataclass(frozen=True)
class Found:
    """One operator, matched backwards from its quantize."""

    name: str
    data: Any
    fields: dict[str, NDArray[Any]]
    reshape: tuple[int, ...] | None = None  # what `data` is reshaped to before


class NoMatch(Exception):
    """The expression is not of the wanted form; the binding stays as it is."""


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
        return self.bound.get(expr, expr)

    def args(self, expr: Any, *names: str) -> Any:
        """The call behind `expr` if it is one of `names`, else NoMatch."""
        call = self.follow(expr)
        if rx.op_name(call) not in names:
            raise NoMatch
        return call

    def dequantised(self, expr: Any) -> Quantised:
        """What a dequantize reads, seen through transposes of constants."""
        call = self.follow(expr)
        name = rx.op_name(call)
        if name == "relax.permute_dims":
            inner = self.dequantised(call.args[0])
            if not isinstance(inner.value, np.ndarray):
                raise NoMatch
            rank = inner.value.ndim
            axes = (
                rx.ints(call.attrs.axes)
                if call.attrs.axes is not None
                else tuple(reversed(range(rank)))
            )
            return Quantised(
                inner.value.transpose(axes),
                inner.scale,
                inner.zero_point,
                axes.index(inner.axis % rank),
            )
        if name != "relax.dequantize":
            raise NoMatch
        scale, zero = (rx.constant(self.follow(arg)) for arg in call.args[1:3])
        if scale is None or zero is None:
            raise NoMatch
        value = self.follow_value(call.args[0])
        return Quantised(value, scale.astype(np.float32), zero, int(call.attrs.axis))

    def follow_value(self, expr: Any) -> Any:
        """A NumPy array where the expression is a constant, else the variable itself."""
        found = rx.constant(self.follow(expr))
        return expr if found is None else found


def unwrap_clamp(matcher: Matcher, expr: Any) -> tuple[Any, float, float]:
    """Peels relu, clip, minimum and maximum; returns what is below and the clamp's bounds."""
    low, high = -np.inf, np.inf
    while True:
        call = matcher.follow(expr)
        name = rx.op_name(call)
        if name == "relax.nn.relu":
            low = max(low, 0.0)
        elif name == "relax.nn.relu6":
            low, high = max(low, 0.0), min(high, 6.0)
        elif name == "relax.clip":
            bounds = [_number(arg) for arg in call.args[1:3]]
            low, high = max(low, bounds[0]), min(high, bounds[1])
        elif (limit := _limit(matcher, call)) is not None:
            expr, value, is_upper = limit
            low, high = (low, min(high, value)) if is_upper else (max(low, value), high)
            continue
        else:
            return expr, low, high
        expr = call.args[0]


def _limit(matcher: Matcher, call: Any) -> tuple[Any, float, bool] | None:
    """(below, bound, whether it is the upper one) of a minimum or maximum with a constant.

    TVM imports ONNX's Clip as calls of generated functions `maximum` and `minimum`, and its bounds
    as where(isnan(bound), infinity, bound).
    """
    name, operands = rx.op_name(call), ()
    if name in ("relax.minimum", "relax.maximum"):
        operands = call.args
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


def _number(expr: Any) -> float:
    value = rx.constant(expr)
    if value is not None:
        return float(value.reshape(-1)[0])
    value = getattr(expr, "value", expr)  # a PrimValue around a FloatImm, or the immediate itself
    return float(getattr(value, "value", value))


def unwrap_bias(matcher: Matcher, expr: Any) -> tuple[Any, Any]:
    """Splits `x + bias`; the bias is returned as the expression below its reshape, or None."""
    call = matcher.follow(expr)
    if rx.op_name(call) != "relax.add":
        return expr, None
    for data, other in ((call.args[0], call.args[1]), (call.args[1], call.args[0])):
        bias = other
        inner = matcher.follow(bias)
        while rx.op_name(inner) in ("relax.reshape", "relax.expand_dims"):
            bias = inner.args[0]
            inner = matcher.follow(bias)
        if rx.constant(inner) is not None:
            return data, bias
        try:
            if isinstance(matcher.dequantised(bias).value, np.ndarray):
                return data, bias
        except NoMatch:
            continue
    raise NoMatch


def bias_codes(
    matcher: Matcher, bias: Any, in_scale: np.float32, scales: NDArray[np.float32]
) -> NDArray[np.int32]:
    """The bias as int32 at scale s_in * s_w[n], whatever it was stored as.

    A bias stored at that scale (to float32's rounding) keeps its integers. One stored otherwise,
    float or at a scale that it shares with another layer, is rounded half to even.
    """
    channels = scales.size
    if bias is None:
        return np.zeros(channels, np.int32)
    wanted = np.float64(in_scale) * scales.astype(np.float64)
    literal = rx.constant(matcher.follow(bias))
    if literal is not None:
        real = np.broadcast_to(literal.astype(np.float64).reshape(-1), (channels,))
    else:
        stored = matcher.dequantised(bias)
        codes = np.broadcast_to(np.asarray(stored.value).reshape(-1), (channels,))
        scale = np.broadcast_to(stored.scale.astype(np.float64).reshape(-1), (channels,))
        zero = np.broadcast_to(np.asarray(stored.zero_point).reshape(-1), (channels,))
        if np.all(zero == 0) and np.all(np.abs(scale - wanted) <= 1e-6 * wanted):
            return codes.astype(np.int32)
        real = (codes.astype(np.float64) - zero) * scale
    rounded = np.rint(real / wanted)
    if np.any(np.abs(rounded) >= 2**31):
        raise NoMatch
    return rounded.astype(np.int32)


def weight_codes(
    matcher: Matcher, expr: Any, out_axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 weights with their output channel first, and one scale an output channel."""
    stored = matcher.dequantised(expr)
    value = stored.value
    if not isinstance(value, np.ndarray) or value.dtype != np.int8:
        raise NoMatch
    if np.any(np.asarray(stored.zero_point) != 0):
        raise NoMatch
    channels = value.shape[out_axis]
    if stored.scale.size not in (1, channels):
        raise NoMatch
    if stored.scale.size == channels and channels > 1 and stored.axis % value.ndim != out_axis:
        raise NoMatch
    scales = np.broadcast_to(stored.scale.reshape(-1), (channels,)).astype(np.float32)
    return np.moveaxis(value, out_axis, 0), scales


def match_quantize(matcher: Matcher, call: Any) -> Found:
    """The operator that ends in this quantize, or NoMatch."""
    out_scale, out_zero = (rx.constant(matcher.follow(arg)) for arg in call.args[1:3])
    if out_scale is None or out_zero is None or out_scale.size != 1:
        raise NoMatch
    if rx.dtype_of(call) != "int8":
        raise NoMatch
    below, low, high = unwrap_clamp(matcher, call.args[0])
    inner, bias = below, None
    if rx.op_name(matcher.follow(below)) == "relax.add":
        inner, bias = unwrap_bias(matcher, below)
    operator = matcher.follow(inner)
    name = rx.op_name(operator)
    if name == "relax.nn.conv2d":
        found = _conv(matcher, operator, bias)
    elif name == "relax.matmul":
        found = _dense(matcher, operator, bias)
    elif bias is None and name in (
        "relax.nn.avg_pool2d",
        "relax.nn.adaptive_avg_pool2d",
        "relax.mean",
    ):
        found = _pool(matcher, operator)
    else:
        raise NoMatch
    quant = [*found.fields["quant"], float(out_scale.reshape(-1)[0]), int(out_zero.reshape(-1)[0])]
    fields = {
        **found.fields,
        "quant": np.array(quant, np.float64),
        "clamp": np.array([low, high], np.float64),
    }
    return Found(found.name, found.data, {key: fields[key] for key in FIELDS}, found.reshape)


def _activation(matcher: Matcher, expr: Any) -> tuple[Any, list[float], np.float32]:
    data = matcher.dequantised(expr)
    if isinstance(data.value, np.ndarray) or data.scale.size != 1:
        raise NoMatch
    if rx.dtype_of(data.value) != "int8":
        raise NoMatch
    scale = np.float32(data.scale.reshape(-1)[0])
    return data.value, [float(scale), int(np.asarray(data.zero_point).reshape(-1)[0])], scale


def _conv(matcher: Matcher, call: Any, bias: Any) -> Found:
    attrs = call.attrs
    if str(attrs.data_layout) != "NCHW" or str(attrs.kernel_layout) != "OIHW":
        raise NoMatch
    if any(step != 1 for step in rx.ints(attrs.dilation)):
        raise NoMatch
    data, quant, scale = _activation(matcher, call.args[0])
    weights, scales = weight_codes(matcher, call.args[1], 0)
    groups, channels = int(attrs.groups), rx.shape_of(data)[1]
    if groups not in (1, channels) or (groups > 1 and weights.shape[1] != 1):
        raise NoMatch
    pads = rx.ints(attrs.padding)
    pads = pads * 2 if len(pads) == 2 else pads * 4 if len(pads) == 1 else pads
    window = [*weights.shape[2:], *rx.ints(attrs.strides), *pads]
    fields = {
        "quant": np.array(quant),
        "window": np.array(window, np.int64),
        "weights": np.ascontiguousarray(weights.transpose(0, 2, 3, 1)),
        "scales": scales,
        "bias": bias_codes(matcher, bias, scale, scales),
    }
    return Found("mbn.conv", data, fields)


def _dense(matcher: Matcher, call: Any, bias: Any) -> Found:
    expr, shape = call.args[0], None
    inner = matcher.follow(expr)
    if rx.op_name(inner) in RESHAPES:  # flattened between its dequantize and the matmul
        expr, shape = inner.args[0], rx.shape_of(inner)
    data, quant, scale = _activation(matcher, expr)
    if len(shape or rx.shape_of(data)) != 2:
        raise NoMatch
    weights, scales = weight_codes(matcher, call.args[1], 1)
    fields = {
        "quant": np.array(quant),
        "window": np.array([1, 1, 1, 1, 0, 0, 0, 0], np.int64),
        "weights": np.ascontiguousarray(weights),
        "scales": scales,
        "bias": bias_codes(matcher, bias, scale, scales),
    }
    return Found("mbn.dense", data, fields, shape)


def _pool(matcher: Matcher, call: Any) -> Found:
    data, quant, _ = _activation(matcher, call.args[0])
    _, _, height, width = rx.shape_of(data)
    name = rx.op_name(call)
    if name == "relax.nn.avg_pool2d":
        attrs = call.attrs
        pads = rx.ints(attrs.padding)
        if any(pads) or bool(attrs.ceil_mode) or str(attrs.layout) != "NCHW":
            raise NoMatch
        window = [*rx.ints(attrs.pool_size), *rx.ints(attrs.strides), 0, 0, 0, 0]
    else:
        if name == "relax.mean" and sorted(a % 4 for a in rx.ints(call.attrs.axis)) != [2, 3]:
            raise NoMatch
        if name != "relax.mean" and rx.shape_of(call)[2:] != (1, 1):
            raise NoMatch
        window = [height, width, 1, 1, 0, 0, 0, 0]
    fields = {
        "quant": np.array(quant),
        "window": np.array(window, np.int64),
        "weights": np.zeros(0, np.int8),
        "scales": np.zeros(0, np.float32),
        "bias": np.zeros(0, np.int32),
    }
    return Found("mbn.pool", data, fields)


def _integer_reshape(matcher: Matcher, call: Any) -> Any:
    """reshape(x) where the binding is quantize(reshape(dequantize(x))) with equal parameters."""
    inner = matcher.follow(call.args[0])
    if rx.op_name(inner) not in RESHAPES:
        raise NoMatch
    source = matcher.dequantised(inner.args[0])
    params = [rx.constant(matcher.follow(arg)) for arg in call.args[1:3]]
    if params[0] is None or params[1] is None or isinstance(source.value, np.ndarray):
        raise NoMatch
    same = np.array_equal(params[0].reshape(-1), source.scale.reshape(-1)) and np.array_equal(
        params[1].reshape(-1), np.asarray(source.zero_point).reshape(-1)
    )
    if not same:
        raise NoMatch
    return source.value


def find_integer_stages(module: Any) -> Any:
    """Runs the pass on `main`; see the head of this file."""
    import tvm  # noqa: PLC0415
    from tvm import relax  # noqa: PLC0415

    @tvm.transform.module_pass(opt_level=0, name="FindIntegerStages")  # type: ignore[untyped-decorator]
    def run(mod: Any, _context: Any) -> Any:
        function = mod["main"]
        matcher = Matcher(function)
        builder = relax.BlockBuilder()
        renamed: dict[Any, Any] = {}

        def emit(binding: Any) -> Any:
            call = binding.value
            if rx.op_name(call) == "relax.quantize":
                try:
                    found = match_quantize(matcher, call)
                    constants = [relax.const(found.fields[key]) for key in FIELDS]
                    data = renamed.get(found.data, found.data)
                    if found.reshape is not None:
                        data = builder.emit(relax.op.reshape(data, found.reshape))
                    return builder.emit(
                        relax.op.call_pure_packed(found.name, data, *constants, ty_args=call.ty)
                    )
                except NoMatch:
                    pass
                try:
                    source = _integer_reshape(matcher, call)
                    return builder.emit(
                        relax.op.reshape(renamed.get(source, source), rx.shape_of(call))
                    )
                except NoMatch:
                    pass
            return builder.emit(_renamed(binding.value, renamed))

        with builder.function("main", list(function.params)):
            with builder.dataflow():
                for block in function.body.blocks:
                    for binding in block.bindings:
                        renamed[binding.var] = emit(binding)
                body = function.body.body
                result = builder.emit_output(renamed.get(body, body))
            builder.emit_func_output(result)
        return relax.transform.DeadCodeElimination(["main"])(builder.get())

    return run(module)


def _renamed(expr: Any, renamed: dict[Any, Any]) -> Any:
    from tvm import relax  # noqa: PLC0415

    if isinstance(expr, relax.Call):
        args = [renamed.get(arg, arg) for arg in expr.args]
        return relax.Call(expr.op, args, expr.attrs, expr.ty_args)
    return renamed.get(expr, expr)
