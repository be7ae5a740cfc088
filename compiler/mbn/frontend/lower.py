"""ONNX in, `ir.Network` out.

What enters: a QDQ int8 ONNX file. What leaves: a network of integer layers grouped in stages.
Always holds: every operator between the image and the logits is an integer layer; a softmax and
dequantisation after the logits stay on the host and are named in `host_ops`; whatever else is
left in float is refused with its node's name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn import ir
from mbn.errors import UnsupportedError
from mbn.frontend import onnx_file, relax_module
from mbn.frontend.integer_pass import FIELDS, Problem, find_integer_stages
from mbn.frontend.matcher import MOVES, Move, NoMatch, move_of, scalar_parameters
from mbn.frontend.stages import group_stages
from mbn.frontend.tflite_form import in_tflite

HOST_OPERATORS = {"relax.nn.softmax": "softmax"}
TO_CHANNELS_FIRST = (0, 3, 1, 2)
LARGEST_KERNEL = 7
LARGEST_POOL = 255  # rows of a window are counted in 8 bits
MAX_MAP_SIDE = 4096
MAX_CHANNELS = 65535


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network, and where its maps are in the graph that it comes from."""

    network: ir.Network
    ends: dict[str, onnx_file.QuantisedEnd]  # by layer name, where known
    channels_last: bool  # of the graph's input


def lower(
    path: Path,
    name: str,
    *,
    fused: bool = True,
    rounding: ir.Rounding = ir.Rounding.SINGLE,
) -> ir.Network:
    """The network alone; see `lower_graph`."""
    return lower_graph(path, name, fused=fused, rounding=rounding).network


def lower_graph(
    path: Path,
    name: str,
    *,
    fused: bool = True,
    rounding: ir.Rounding = ir.Rounding.SINGLE,
) -> Lowered:
    """Compiles an ONNX file's graph to integer layers.

    `fused` groups each depthwise layer with the pointwise that follows it into one block stage.
    Raises ModelError or UnsupportedError with the node's name.
    """
    graph = onnx_file.prepare(onnx_file.load(path))
    if not onnx_file.is_quantised(graph.model):
        raise UnsupportedError(
            f"{path.name} is a float network",
            wanted="QDQ int8",
            advice="give calibration images with --calibrate DIR",
        )
    module, problems = find_integer_stages(relax_module.import_graph(graph), len(graph.ends))
    reader = Reader(module["main"], graph, problems)
    network = reader.read(name)
    if rounding is ir.Rounding.TFLITE:
        network = in_tflite(network, reader.softmax_result)
    network = group_stages(network, fused=fused)
    return Lowered(network, reader.ends, reader.channels_last)


def all_refusals(path: Path) -> list[UnsupportedError]:
    """Everything in a QDQ graph that would be refused for its operator or its form, not the first
    alone; empty where `lower` would raise something else, or nothing."""
    graph = onnx_file.prepare(onnx_file.load(path))
    _, problems = find_integer_stages(relax_module.import_graph(graph), len(graph.ends))
    return refusals(graph, problems)


@dataclass(frozen=True)
class _Value:
    """Where a Relax variable is in the network: a tensor, and how its axes lie in Relax."""

    tensor: ir.Tensor
    form: str  # nchw, nhwc; flat (channel, height, width) or flat_hwc

    @property
    def is_vector(self) -> bool:
        """One pixel: all forms are the same."""
        return (self.tensor.height, self.tensor.width) == (1, 1)


@dataclass
class _Input:
    """The image before the first layer says how it lies."""

    var: Any
    is_float: bool
    quant: tuple[float, int] | None = None
    channels_last: Any = None  # the variable that was transposed to channels first


class Reader:
    """Walks the rewritten `main`, once, in order."""

    def __init__(
        self, function: Any, graph: onnx_file.OnnxGraph, problems: Sequence[Problem] = ()
    ) -> None:
        self.function = function
        self.graph = graph
        self.problems = problems
        self.values: dict[Any, _Value] = {}
        self.tensors: list[ir.Tensor] = []
        self.layers: list[ir.Layer] = []
        self.host_ops: list[str] = []
        self.host_vars: list[Any] = []
        self.softmax_result: tuple[float, int] | None = None  # scale and zero point, if quantised
        self.image: _Input | None = None
        self.channels_last = False
        self.ends: dict[str, onnx_file.QuantisedEnd] = {}

    def read(self, name: str) -> ir.Network:
        param = self.function.params[0]
        kind = relax_module.dtype_of(param)
        self.image = _Input(param, is_float=kind not in ("int8", "uint8"))
        for block in self.function.body.blocks:
            for binding in block.bindings:
                self._read_binding(binding)
        if not self.layers:
            raise UnsupportedError(
                "no integer layer found",
                wanted="DequantizeLinear, Conv and QuantizeLinear around each layer",
                advice="quantise the network in QDQ form",
            )
        return ir.Network(
            name,
            tuple(self.tensors),
            tuple(self.layers),
            (),
            host_ops=tuple(self.host_ops),
        )

    def _read_binding(self, binding: Any) -> None:
        call, var = binding.value, binding.var
        name = _packed_name(call)
        if name:
            self._read_layer(call, var, name)
            return
        operator = relax_module.op_name(call)
        source = call.args[0] if hasattr(call, "args") and len(call.args) else None
        if source in self.values and operator in MOVES:
            move = move_of(call)
            value = self.values[source]
            self.values[var] = self._moved(value, move)
        elif operator == "relax.permute_dims" and self._is_image(source):
            self._permute_image(call, var)
        elif operator == "relax.quantize" and self._is_image(source):
            self._quantize_image(call, var)
        elif source in self.values or self._is_host(source):
            self._host(call, var, source, operator)
        elif operator == "" and call in self.values:
            self.values[var] = self.values[call]
        elif operator == "" and self._is_host(call):
            self.host_vars.append(var)
        else:
            raise self._refusal(operator)

    # -- the input -------------------------------------------------------------------------

    def _is_image(self, expr: Any) -> bool:
        return self.image is not None and expr is not None and expr.same_as(self.image.var)

    def _permute_image(self, call: Any, var: Any) -> None:
        assert self.image is not None
        axes = move_of(call).axes
        if axes != TO_CHANNELS_FIRST or self.image.channels_last is not None:
            raise UnsupportedError(
                f"the input is transposed by {axes}", wanted="(0, 3, 1, 2), that is NHWC to NCHW"
            )
        self.image.channels_last, self.image.var = self.image.var, var

    def _quantize_image(self, call: Any, var: Any) -> None:
        assert self.image is not None
        scale, zero = (relax_module.constant(call.args[index]) for index in (1, 2))
        if scale is None or zero is None:
            raise self._refusal("relax.quantize")
        try:
            value, point = scalar_parameters(scale, zero, relax_module.dtype_of(var))
        except NoMatch as error:
            raise UnsupportedError(str(error), node="the input") from error
        self.image.quant, self.image.is_float = (float(value), point), False
        self.image.var = var

    def _add_image(self, quant: tuple[float, int]) -> None:
        assert self.image is not None
        image, self.image = self.image, None
        _, channels, height, width = relax_module.shape_of(image.var)
        scale, zero_point = image.quant or quant
        tensor = ir.Tensor(
            self.graph.input_name, height, width, channels, _scale(scale, "input"), zero_point
        )
        self.tensors.append(tensor)
        self.values[image.var] = _Value(tensor, "nchw")
        if image.channels_last is not None:
            self.channels_last = True
            self.values[image.channels_last] = _Value(tensor, "nhwc")

    # -- layers ----------------------------------------------------------------------------

    def _read_layer(self, call: Any, var: Any, packed: str) -> None:
        fields, data = _arguments(call)
        at = int(fields["end"][0])
        end = self.graph.ends[at] if at >= 0 else None
        node = _short(
            end.node if end is not None else f"{packed[4:]}_{len(self.layers)}",
            {layer.name for layer in self.layers},
        )
        if end is not None:
            self.ends[node] = end
        sources = [
            self._source(one, fields["quant"][2 * at : 2 * at + 2], node)
            for at, one in enumerate(data)
        ]
        shape = relax_module.shape_of(var)
        height, width = shape[2:] if len(shape) == 4 else (1, 1)
        scale, zero = fields["quant"][2 * len(data) :]
        out = ir.Tensor(
            f"{node}:out", height, width, shape[1], _scale(float(scale), node), int(zero)
        )
        layer = _layer(node, packed, fields, sources, out)
        self.layers.append(layer)
        self.tensors.append(out)
        self.values[var] = _Value(out, "nchw" if len(shape) == 4 else "flat")

    def _source(self, data: Any, quant: NDArray[Any], node: str) -> _Value:
        wanted = (float(quant[0]), int(quant[1]))
        if self._is_image(data):
            assert self.image is not None
            if self.image.is_float or len(relax_module.shape_of(data)) != 4:
                raise UnsupportedError("its input is not an integer tensor", node=f"node {node}")
            self._add_image(wanted)
        if data not in self.values:
            raise UnsupportedError("its input is not an integer tensor", node=f"node {node}")
        value = self.values[data]
        if (value.tensor.scale, value.tensor.zero_point) != wanted:
            raise UnsupportedError(
                "its input is dequantised with another scale than it was quantised with",
                node=f"node {node}",
                wanted="one scale and zero point a tensor",
            )
        return value

    def _moved(self, value: _Value, move: Move) -> _Value:
        """What a reshape or a transposition makes of a map: the same bytes in another form."""
        tensor, shape = value.tensor, move.shape
        chw, hwc = _chw(tensor), tensor.shape
        if math.prod(shape) != tensor.size_bytes:
            raise self._refusal("relax.reshape")
        if value.is_vector:
            return _Value(tensor, "nchw" if len(shape) == 4 else "flat")
        if move.axes is not None:
            turned: dict[tuple[str, tuple[int, ...]], str] = {
                ("nchw", (0, 2, 3, 1)): "nhwc",
                ("nhwc", TO_CHANNELS_FIRST): "nchw",
            }
            form = turned.get((value.form, move.axes))
            form = value.form if move.axes == tuple(range(len(shape))) else form
        elif len(shape) == 2 and shape[0] == 1:
            form = "flat_hwc" if value.form in ("nhwc", "flat_hwc") else "flat"
        else:
            kept: dict[tuple[str, tuple[int, ...]], str] = {
                ("nchw", (1, *chw)): "nchw",
                ("flat", (1, *chw)): "nchw",
                ("nhwc", (1, *hwc)): "nhwc",
                ("flat_hwc", (1, *hwc)): "nhwc",
            }
            form = kept.get((value.form, shape))
        if form is None:
            raise UnsupportedError(
                f"a map of {tensor.shape} (height, width, channels) is reshaped or transposed to "
                f"{shape}",
                node=f"near node {self.layers[-1].name if self.layers else tensor.name}",
                wanted="a flattened map, or NCHW to NHWC and back",
            )
        return _Value(tensor, form)

    # -- after the logits --------------------------------------------------------------------

    def _is_host(self, expr: Any) -> bool:
        return expr is not None and any(var.same_as(expr) for var in self.host_vars)

    def _host(self, call: Any, var: Any, source: Any, operator: str) -> None:
        last = self.values.get(source)
        if not self.layers or (last is not None and last.tensor != self.tensors[-1]):
            raise self._refusal(operator)
        if operator not in ("relax.dequantize", "relax.quantize", *MOVES, *HOST_OPERATORS):
            raise self._refusal(operator)
        if operator in HOST_OPERATORS:
            self.host_ops.append(HOST_OPERATORS[operator])
        elif operator == "relax.quantize" and self.host_ops[-1:] == ["softmax"]:
            self.softmax_result = self._quantised_softmax(call, var)
        elif operator == "relax.quantize":
            raise self._refusal(operator)
        self.host_vars.append(var)

    def _quantised_softmax(self, call: Any, var: Any) -> tuple[float, int]:
        scale, zero = (relax_module.constant(call.args[index]) for index in (1, 2))
        if scale is None or zero is None:
            raise self._refusal("relax.quantize")
        try:
            value, point = scalar_parameters(scale, zero, relax_module.dtype_of(var))
        except NoMatch as error:
            raise UnsupportedError(str(error), node="the softmax") from error
        return float(value), point

    def _refusal(self, operator: str) -> UnsupportedError:
        found = refusals(self.graph, self.problems)
        if found:
            return found[0]
        what = operator.removeprefix("relax.") or "an expression"
        return _unsupported(self.graph.last_layer, f"{what} stays in float", near=True)


def refusals(graph: onnx_file.OnnxGraph, problems: Sequence[Problem]) -> list[UnsupportedError]:
    """One error for each quantised value that no integer layer makes."""
    found = []
    for problem in problems:
        if problem.reason.startswith("softmax"):
            continue  # stays on the host
        end = graph.ends[problem.end] if problem.end >= 0 else None
        before = end.left_float if end is not None else None
        if before is not None:
            found.append(
                _unsupported(before, "no QuantizeLinear comes after it: it stays in float")
            )
        else:
            found.append(_unsupported(end.node if end else graph.last_layer, problem.reason))
    return found


def _unsupported(node: str, reason: str, *, near: bool = False) -> UnsupportedError:
    return UnsupportedError(
        reason or "it stays in float or is not of a form that has integer kernels",
        node=f"{'near ' if near else ''}node {node}",
        wanted="QDQ in int8 or uint8 around convolutions (groups 1 or depthwise, dilation 1), "
        "average pools without padding, additions and dense layers, with weights of zero point 0",
    )


def _arguments(call: Any) -> tuple[dict[str, NDArray[Any]], list[Any]]:
    """A packed call's constants by field, and its int8 inputs."""
    arguments = list(call.args)[1:]
    values: list[NDArray[Any]] = []
    for argument in arguments[-len(FIELDS) :]:
        value = relax_module.constant(argument)
        assert value is not None
        values.append(value)
    return dict(zip(FIELDS, values, strict=True)), arguments[: -len(FIELDS)]


def _packed_name(call: Any) -> str:
    from tvm import relax  # noqa: PLC0415

    if relax_module.op_name(call) == "relax.call_pure_packed" and isinstance(
        call.args[0], relax.ExternFunc
    ):
        return str(call.args[0].global_symbol)
    return ""


def _chw(tensor: ir.Tensor) -> tuple[int, int, int]:
    return (tensor.channels, tensor.height, tensor.width)


def _scale(value: float, node: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise UnsupportedError(f"scale {value}", node=f"node {node}", wanted="finite and above 0")
    return value


def _short(node: str, taken: set[str]) -> str:
    """A tf2onnx node lists every op that was folded into it, `;` between: the first is enough."""
    name = node.split(";", maxsplit=1)[0]
    if name not in taken:
        return name
    return next(f"{name}_{i}" for i in range(2, 10_000) if f"{name}_{i}" not in taken)


def _layer(
    node: str,
    packed: str,
    fields: dict[str, NDArray[Any]],
    sources: Sequence[_Value],
    out: ir.Tensor,
) -> ir.Layer:
    window = [int(v) for v in fields["window"]]
    low, high = (float(v) for v in fields["clamp"])
    source, tensor = sources[0], sources[0].tensor
    bare = ir.Layer(
        name=node,
        op=ir.Op.ADD if packed == "mbn.add" else ir.Op.POOL,
        input=tensor.name,
        output=out.name,
        kernel=(window[0], window[1]),
        stride=(window[2], window[3]),
        pads=(window[4], window[5], window[6], window[7]),
        clamp=(None if low == -np.inf else low, None if high == np.inf else high),
    )
    _check_window(bare, tensor, out, LARGEST_POOL if packed == "mbn.pool" else LARGEST_KERNEL)
    _check_form(node, packed, sources)
    if packed == "mbn.add":
        return replace(bare, second=sources[1].tensor.name)
    if packed == "mbn.pool":
        return bare
    weights, op = fields["weights"], ir.Op.CONV
    if packed == "mbn.dense":
        op = ir.Op.DENSE
        if tensor.height > LARGEST_POOL:
            raise UnsupportedError(
                f"a product over a map of {tensor.height} rows",
                node=f"node {node}",
                wanted=f"at most {LARGEST_POOL}",
            )
        if weights.shape[1] != tensor.size_bytes:
            raise UnsupportedError(
                f"{weights.shape[1]} weights an output for a map of {tensor.shape}",
                node=f"node {node}",
                wanted=f"{tensor.size_bytes}",
            )
        if source.form == "flat" and not source.is_vector:
            # ONNX flattens channel, height, width; a map's canonical order has channels last
            weights = weights.reshape(-1, *_chw(tensor)).transpose(0, 2, 3, 1)
        weights = weights.reshape(weights.shape[0], 1, 1, -1)
    elif weights.shape[3] == 1 and tensor.channels > 1:
        op = ir.Op.DEPTHWISE
    if not weights.size:
        raise UnsupportedError("no weights", node=f"node {node}", wanted="at least one channel")
    return replace(
        bare,
        op=op,
        weights=np.ascontiguousarray(weights).astype(np.int8),
        weight_scales=fields["scales"].astype(np.float32),
        bias=fields["bias"].astype(np.int32),
    )


def _check_form(node: str, packed: str, sources: Sequence[_Value]) -> None:
    """Whether the maps lie as the operator takes them."""
    forms = {source.form for source in sources if not source.is_vector}
    wanted = {"mbn.dense": {"flat", "flat_hwc"}, "mbn.add": None}.get(packed, {"nchw"})
    if len(forms) > 1 or (wanted is not None and not forms <= wanted):
        raise UnsupportedError(
            f"its input lies as {' and '.join(sorted(forms))}",
            node=f"node {node}",
            wanted="channels first" if wanted == {"nchw"} else "one order, flattened for a product",
        )


def _check_window(layer: ir.Layer, source: ir.Tensor, out: ir.Tensor, limit: int) -> None:
    kernel, pads = layer.kernel, layer.pads
    facts = (
        (
            any(p < 0 or p >= k for p, k in zip(pads, (*kernel, *kernel), strict=True) if k > 1)
            or any(p != 0 for p, k in zip(pads, (*kernel, *kernel), strict=True) if k == 1),
            f"padding {pads} with kernel {kernel}",
            "padding from 0 to kernel - 1",
        ),
        (max(kernel) > limit or min(kernel) < 1, f"kernel {kernel}", f"at most {limit} x {limit}"),
        (
            max(layer.stride) > LARGEST_POOL or min(layer.stride) < 1,
            f"stride {layer.stride}",
            f"1 to {LARGEST_POOL}",
        ),
        (
            max(source.height, source.width) > MAX_MAP_SIDE or min(out.shape) < 1,
            f"a map of {source.height} x {source.width} that becomes {out.height} x {out.width}",
            f"1 to {MAX_MAP_SIDE} a side",
        ),
        (
            max(source.channels, out.channels) > MAX_CHANNELS,
            f"{max(source.channels, out.channels)} channels",
            f"at most {MAX_CHANNELS}",
        ),
    )
    for wrong, found, wanted in facts:
        if wrong:
            raise UnsupportedError(found, node=f"node {layer.name}", wanted=wanted)
