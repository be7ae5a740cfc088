"""The Relax pass that finds integer operators in a QDQ graph.

The input is a Relax module as `from_onnx` makes it: quantize and dequantize around float conv2d,
matmul, avg_pool2d, mean and add. The pass replaces each dequantize .. operator .. [bias] .. [batch
norm] .. [clamp] .. quantize by one call of the packed function `mbn.conv`, `mbn.dense`, `mbn.pool`
or `mbn.add` on int8 values. Float operators whose results are no longer used are removed.

An operator is matched backwards from its quantize. So the same code handles ReLU, Clip, minimum
and maximum, a bias that is shared, reshaped, missing or float, and reshapes and transposes in
float. uint8 codes are converted to int8 by subtracting 128. What doesn't match stays in the graph
with a `Problem` that gives the reason, and the reader refuses it by name.

The packed calls carry only constants: see `FIELDS` for their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.matcher import (
    Affine,
    Matcher,
    Move,
    NoMatch,
    bias_codes,
    scalar_parameters,
    unwrap_bias,
    unwrap_clamp,
    unwrap_norm,
    weight_codes,
)
from mbn.passes.frontend.onnx_file import LARGEST_KERNEL

# Arguments of every packed call after the int8 inputs, all Relax constants.
FIELDS = (
    "quant",  # float64[2 a tensor]: scale, zero point of the inputs, then of the output
    "clamp",  # float64[2]: lowest and highest real value, infinite for none
    "window",  # int64[8]: kernel h, w, stride h, w, pads top, left, bottom, right
    "weights",  # int8 N x kh x kw x C (conv), N x K (dense); empty for a pool or an addition
    "scales",  # float32[N]
    "bias",  # int32[N], at scale s_in * s_w
    "end",  # int64[1]: which of the graph's QuantizeLinear nodes it ends in, -1 if not known
)
POOLS = ("relax.nn.avg_pool2d", "relax.nn.adaptive_avg_pool2d", "relax.mean")
NO_WINDOW = np.array([1, 1, 1, 1, 0, 0, 0, 0], np.int64)


@dataclass(frozen=True, eq=False)
class Data:
    """An int8 map that an operator reads: the variable, what moves it first, its parameters."""

    value: Any
    moves: tuple[Move, ...]
    shape: tuple[int, ...]  # after the moves
    scale: np.float32
    zero_point: int


@dataclass(frozen=True, eq=False)
class Found:
    """One operator, matched backwards from its quantize."""

    name: str
    data: tuple[Data, ...]
    fields: dict[str, NDArray[Any]]
    shape: tuple[int, ...]  # of its result, before `moves`
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True)
class Problem:
    """A quantize that no integer operator ends in."""

    end: int  # as in FIELDS
    reason: str


def _fields(**known: NDArray[Any]) -> dict[str, NDArray[Any]]:
    bare: dict[str, NDArray[Any]] = {
        "window": NO_WINDOW,
        "weights": np.zeros(0, np.int8),
        "scales": np.zeros(0, np.float32),
        "bias": np.zeros(0, np.int32),
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
    low, high = max(low, min(high, inner_low)), min(high, max(low, inner_high))
    found = _operator(matcher, below)
    numbers = [float(v) for one in found.data for v in (one.scale, one.zero_point)]
    fields = {
        **found.fields,
        "quant": np.array([*numbers, float(scale), zero], np.float64),
        "clamp": np.array([low, high], np.float64),
    }
    return Found(found.name, found.data, fields, found.shape, moves)


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
    if bias is None and norm is None and name in POOLS:
        return _pool(matcher, operator)
    if bias is None and norm is None and name == "relax.add":
        return _addition(matcher, operator)
    if bias is None and name in ("relax.dequantize", *_MOVED):
        return _alone(matcher, inner, norm)
    what = name.removeprefix("relax.").removeprefix("nn.") or "an expression"
    raise NoMatch(f"{what} stays in float or is not of a form that has integer kernels")


_MOVED = ("relax.reshape", "relax.permute_dims", "relax.squeeze", "relax.flatten")


def _data(matcher: Matcher, expr: Any) -> Data:
    below, moves = matcher.unwrap_moves(expr)
    try:
        found = matcher.dequantised(below)
    except NoMatch as error:
        raise NoMatch(str(error) or "its input stays in float") from None
    if isinstance(found.value, np.ndarray):
        raise NoMatch("its input is a constant")
    kind = rx.dtype_of(found.value)
    scale, zero = scalar_parameters(found.scale, np.asarray(found.zero_point), kind)
    shape = moves[-1].shape if moves else rx.shape_of(found.value)
    return Data(found.value, moves, shape, scale, zero)


def _conv(matcher: Matcher, call: Any, bias: Any, norm: Affine | None) -> Found:
    attrs = call.attrs
    if str(attrs.data_layout) != "NCHW" or str(attrs.kernel_layout) != "OIHW":
        raise NoMatch("a layout other than NCHW")
    data = _data(matcher, call.args[0])
    weights, scales = weight_codes(matcher, call.args[1], 0)
    weights = _dilated(weights, rx.ints(attrs.dilation))
    groups, channels = int(attrs.groups), data.shape[1]
    if groups not in (1, channels) or (groups > 1 and weights.shape[1] != 1):
        raise NoMatch(f"{groups} groups of {channels} channels, where 1 or depthwise is wanted")
    if norm is not None:
        weights, scales = _normed(weights, scales, norm)
    pads = rx.ints(attrs.padding)
    pads = pads * 2 if len(pads) == 2 else pads * 4 if len(pads) == 1 else pads
    fields = _fields(
        window=np.array([*weights.shape[2:], *rx.ints(attrs.strides), *pads], np.int64),
        weights=np.ascontiguousarray(weights.transpose(0, 2, 3, 1)),
        scales=scales,
        bias=bias_codes(matcher, bias, data.scale, scales, norm),
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
    fields = _fields(
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
        return _mean(call, data)
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
    return Found("mbn.pool", (data,), _fields(window=np.array(window, np.int64)), rx.shape_of(call))


def _mean(call: Any, data: Data) -> Found:
    """A mean over both image axes, of a map in either layout."""
    axes = sorted(axis % 4 for axis in rx.ints(call.attrs.axis or ()))
    moves = data.moves
    if moves and moves[-1].axes == (0, 2, 3, 1) and axes == [1, 2]:  # NHWC: undo the transpose
        n, height, width, channels = data.shape
        shape = (n, channels, height, width)
        data = Data(data.value, moves[:-1], shape, data.scale, data.zero_point)
        if bool(call.attrs.keepdims) and channels > 1:
            raise NoMatch("a mean that keeps its axes in NHWC")
    elif axes != [2, 3]:
        raise NoMatch(f"a mean over axes {axes}, where height and width are wanted")
    window = np.array([*data.shape[2:], 1, 1, 0, 0, 0, 0], np.int64)
    return Found("mbn.pool", (data,), _fields(window=window), rx.shape_of(call))


def _addition(matcher: Matcher, call: Any) -> Found:
    first, second = (_data(matcher, argument) for argument in call.args)
    if first.shape != second.shape:
        raise NoMatch(f"an addition of maps of {first.shape} and {second.shape}")
    return Found("mbn.add", (first, second), _fields(), rx.shape_of(call))


def _alone(matcher: Matcher, expr: Any, norm: Affine | None) -> Found:
    """A clamp, a batch normalisation or another scale between two quantisations: a depthwise
    convolution of one tap. Its weight's code is 1 where nothing is added, else +-127, so that the
    bias, in units of it, is fine."""
    data = _data(matcher, expr)
    if len(data.shape) not in (2, 4):
        raise NoMatch(f"a map of {len(data.shape)} dimensions, where 4 are wanted")
    channels = data.shape[1]
    codes, scales = np.ones((channels, 1, 1, 1), np.int8), np.ones(channels, np.float32)
    if norm is not None:
        codes, scales = codes * np.int8(127), scales / np.float32(127)
        codes, scales = _normed(codes, scales, norm)
    fields = _fields(
        weights=codes, scales=scales, bias=bias_codes(matcher, None, data.scale, scales, norm)
    )
    return Found("mbn.conv", (data,), fields, data.shape)


def _integer_moves(matcher: Matcher, call: Any) -> tuple[Any, tuple[Move, ...]]:
    """(x, moves) where the binding is quantize(moves(dequantize(x))) with equal parameters."""
    below, moves = matcher.unwrap_moves(call.args[0])
    source = matcher.dequantised(below)
    params = [matcher.constant(arg) for arg in call.args[1:3]]
    if params[0] is None or params[1] is None or isinstance(source.value, np.ndarray):
        raise NoMatch
    same = np.array_equal(params[0].reshape(-1), source.scale.reshape(-1)) and np.array_equal(
        params[1].reshape(-1), np.asarray(source.zero_point).reshape(-1)
    )
    if not same or rx.dtype_of(source.value) != rx.dtype_of(call):
        raise NoMatch
    return source.value, moves


class _Rewriter:
    """Emits the new function binding by binding."""

    def __init__(self, module: Any, count: int) -> None:
        from tvm import relax  # noqa: PLC0415

        self.relax = relax
        self.function = module["main"]
        self.matcher = Matcher(self.function)
        self.builder = relax.BlockBuilder()
        self.renamed: dict[Any, Any] = {}
        found = sum(rx.op_name(value) == "relax.quantize" for value in self.matcher.bound.values())
        self.known = found == count
        self.seen = 0
        self.problems: list[Problem] = []

    def run(self) -> Any:
        function, builder = self.function, self.builder
        with builder.function("main", list(function.params)):
            with builder.dataflow():
                for block in function.body.blocks:
                    for binding in block.bindings:
                        self.renamed[binding.var] = self._emit(binding)
                body = function.body.body
                result = builder.emit_output(self.renamed.get(body, body))
            builder.emit_func_output(result)
        return self.relax.transform.DeadCodeElimination(["main"])(builder.get())

    def _emit(self, binding: Any) -> Any:
        call = binding.value
        if rx.op_name(call) == "relax.quantize":
            end = self.seen if self.known else -1
            self.seen += 1
            try:
                value, moves = _integer_moves(self.matcher, call)
                return self._moved(self.renamed.get(value, value), moves)
            except NoMatch:
                pass
            try:
                return self._packed(match_quantize(self.matcher, call), end)
            except NoMatch as error:
                below, _ = self.matcher.unwrap_moves(call.args[0])
                if below not in list(self.function.params):  # else it is the image's own
                    self.problems.append(Problem(end, str(error)))
        return self.builder.emit(_renamed(binding.value, self.renamed))

    def _packed(self, found: Found, end: int) -> Any:
        fields = {**found.fields, "end": np.array([end], np.int64)}
        constants = [self.relax.const(fields[key]) for key in FIELDS]
        data = [
            self._moved(self.renamed.get(one.value, one.value), one.moves) for one in found.data
        ]
        made = self.builder.emit(
            self.relax.op.call_pure_packed(
                found.name,
                *data,
                *constants,
                ty_args=self.relax.TensorType(list(found.shape), "int8"),
            )
        )
        return self._moved(made, found.moves)

    def _moved(self, value: Any, moves: tuple[Move, ...]) -> Any:
        op = self.relax.op
        for move in moves:
            if move.axes is not None:
                value = self.builder.emit(op.permute_dims(value, list(move.axes)))
            else:
                value = self.builder.emit(op.reshape(value, move.shape))
        return value


def find_integer_stages(module: Any, count: int) -> tuple[Any, list[Problem]]:
    """Runs the pass on `main`; see the head of this file. `count`: the graph's QuantizeLinear
    nodes."""
    import tvm  # noqa: PLC0415

    problems: list[Problem] = []

    @tvm.transform.module_pass(opt_level=0, name="FindIntegerStages")  # type: ignore[untyped-decorator]
    def run(mod: Any, _context: Any) -> Any:
        rewriter = _Rewriter(mod, count)
        result = rewriter.run()
        problems.extend(rewriter.problems)
        return result

    return run(module), problems


def _renamed(expr: Any, renamed: dict[Any, Any]) -> Any:
    from tvm import relax  # noqa: PLC0415

    if isinstance(expr, relax.Call):
        args = [renamed.get(arg, arg) for arg in expr.args]
        return relax.Call(expr.op, args, expr.attrs, expr.ty_args)
    if isinstance(expr, relax.Tuple):
        return relax.Tuple([renamed.get(field, field) for field in expr.fields])
    if isinstance(expr, relax.TupleGetItem):
        value = renamed.get(expr.tuple_value, expr.tuple_value)
        return relax.TupleGetItem(value, expr.index)
    return renamed.get(expr, expr)
