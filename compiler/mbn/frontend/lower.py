"""ONNX in, `ir.Network` out.

What enters: a QDQ int8 ONNX file. What leaves: a network of integer layers grouped in stages.
Always holds: every operator between the image and the logits is an integer layer; a softmax and
dequantisation after the logits stay on the host and are named in `host_ops`; whatever else is
left in float is refused with its node's name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn import ir
from mbn.errors import UnsupportedError
from mbn.frontend import onnx_file, relax_module
from mbn.frontend.integer_pass import FIELDS, find_integer_stages
from mbn.frontend.stages import group_stages
from mbn.frontend.tflite_form import in_tflite

HOST_OPERATORS = {"relax.nn.softmax": "softmax"}
MAX_MAP_SIDE = 4096


def lower(
    path: Path,
    name: str,
    *,
    fused: bool = True,
    rounding: ir.Rounding = ir.Rounding.SINGLE,
) -> ir.Network:
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
    module = find_integer_stages(relax_module.import_graph(graph))
    reader = _Reader(module["main"], graph)
    network = reader.read(name)
    if rounding is ir.Rounding.TFLITE:
        network = in_tflite(network, reader.softmax_result)
    return group_stages(network, fused=fused)


@dataclass(frozen=True)
class _Value:
    """Where a Relax variable is in the network: a tensor, and how its axes lie in Relax."""

    tensor: str
    form: str  # nchw, nhwc, flat


class _Reader:
    """Walks the rewritten `main`, once, in order."""

    def __init__(self, function: Any, graph: onnx_file.OnnxGraph) -> None:
        self.function = function
        self.nodes = list(graph.layer_nodes)
        self.graph = graph
        self.values: dict[Any, _Value] = {}
        self.tensors: list[ir.Tensor] = []
        self.layers: list[ir.Layer] = []
        self.host_ops: list[str] = []
        self.host_vars: list[Any] = []
        self.softmax_result: tuple[float, int] | None = None  # scale and zero point, if quantised
        self.pending_input: tuple[Any, str] | None = None

    def read(self, name: str) -> ir.Network:
        param = self.function.params[0]
        self._read_param(param)
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

    def _read_param(self, param: Any) -> None:
        if relax_module.dtype_of(param) == "int8":
            self.pending_input = (param, "unknown")
        else:
            self.pending_input = (param, "float")

    def _read_binding(self, binding: Any) -> None:
        call, var = binding.value, binding.var
        name = _packed_name(call)
        if name:
            self._read_layer(call, var, name)
            return
        operator = relax_module.op_name(call)
        source = call.args[0] if hasattr(call, "args") and len(call.args) else None
        if operator == "relax.permute_dims" and self._is_pending(source):
            self._permute_input(call, var)
        elif operator == "relax.quantize" and self._is_pending(source):
            self._quantize_input(call, var)
        elif operator in ("relax.reshape", "relax.flatten", "relax.squeeze") and (
            source in self.values
        ):
            self._reshape(call, var, source)
        elif source in self.values or self._is_host(source):
            self._host(call, var, source, operator)
        elif operator == "" and call in self.values:
            self.values[var] = self.values[call]
        elif operator == "" and self._is_host(call):
            self.host_vars.append(var)
        else:
            raise self._refusal(call, operator)

    # -- the input -------------------------------------------------------------------------

    def _is_pending(self, expr: Any) -> bool:
        return (
            self.pending_input is not None
            and expr is not None
            and (expr.same_as(self.pending_input[0]))
        )

    def _permute_input(self, call: Any, var: Any) -> None:
        axes = relax_module.ints(call.attrs.axes)
        if axes != (0, 3, 1, 2):
            raise UnsupportedError(
                f"the input is transposed by {axes}", wanted="(0, 3, 1, 2), that is NHWC to NCHW"
            )
        self.pending_input = (var, "int8" if relax_module.dtype_of(var) == "int8" else "float")

    def _quantize_input(self, call: Any, var: Any) -> None:
        scale = relax_module.constant(call.args[1])
        zero = relax_module.constant(call.args[2])
        if scale is None or zero is None or relax_module.dtype_of(var) != "int8":
            raise self._refusal(call, "relax.quantize")
        self._add_input(var, float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0]))

    def _add_input(self, var: Any, scale: float, zero_point: int) -> None:
        _, channels, height, width = relax_module.shape_of(var)
        tensor = ir.Tensor(
            self.graph.input_name, height, width, channels, _scale(scale, "input"), zero_point
        )
        self.tensors.append(tensor)
        self.values[var] = _Value(tensor.name, "nchw")
        self.pending_input = None

    # -- layers ----------------------------------------------------------------------------

    def _read_layer(self, call: Any, var: Any, name: str) -> None:
        data = call.args[1]
        values: list[NDArray[Any]] = []
        for argument in call.args[2 : 2 + len(FIELDS)]:
            value = relax_module.constant(argument)
            assert value is not None
            values.append(value)
        fields = dict(zip(FIELDS, values, strict=True))
        node = self._next_node(name)
        quant = fields["quant"]
        if self._is_pending(data):
            self._add_input(data, float(quant[0]), int(quant[1]))
        if data not in self.values:
            raise UnsupportedError("its input is not an integer tensor", node=f"node {node}")
        source = self.values[data]
        tensor = next(t for t in self.tensors if t.name == source.tensor)
        if (tensor.scale, tensor.zero_point) != (float(quant[0]), int(quant[1])):
            raise UnsupportedError(
                "its input is dequantised with another scale than it was quantised with",
                node=f"node {node}",
                wanted="one scale and zero point a tensor",
            )
        if source.tensor != self.tensors[-1].name:
            raise UnsupportedError(
                "its input is not the layer before it",
                node=f"node {node}",
                wanted="a chain of layers (residual additions are not supported yet)",
            )
        shape = relax_module.shape_of(var)
        height, width = shape[2:] if len(shape) == 4 else (1, 1)
        out = ir.Tensor(
            f"{node}:out",
            height,
            width,
            shape[1],
            _scale(float(quant[2]), node),
            int(quant[3]),
        )
        self.layers.append(_layer(node, name, fields, tensor, out, source.form))
        self.tensors.append(out)
        self.values[var] = _Value(out.name, "nchw" if len(shape) == 4 else "flat")

    def _next_node(self, name: str) -> str:
        kinds = {
            "mbn.conv": ("Conv",),
            "mbn.dense": ("Gemm", "MatMul"),
            "mbn.pool": ("AveragePool", "GlobalAveragePool", "ReduceMean"),
        }[name]
        while self.nodes:
            operator, node = self.nodes.pop(0)
            if operator in kinds:
                return _short(node, {layer.name for layer in self.layers})
        return f"{name.removeprefix('mbn.')}_{len(self.layers)}"

    def _reshape(self, call: Any, var: Any, source: Any) -> None:
        value = self.values[source]
        shape = relax_module.shape_of(var)
        tensor = next(t for t in self.tensors if t.name == value.tensor)
        if math.prod(shape) != tensor.size_bytes or shape[0] != 1 or len(shape) not in (2, 4):
            raise self._refusal(call, "relax.reshape")
        if len(shape) == 2:
            self.values[var] = _Value(value.tensor, "flat")
        elif value.form == "nchw" and shape == (1, *_chw(tensor)):
            self.values[var] = value
        else:
            raise self._refusal(call, "relax.reshape")

    # -- after the logits --------------------------------------------------------------------

    def _is_host(self, expr: Any) -> bool:
        return expr is not None and any(var.same_as(expr) for var in self.host_vars)

    def _host(self, call: Any, var: Any, source: Any, operator: str) -> None:
        last = self.values.get(source)
        if last is not None and self.tensors and last.tensor != self.tensors[-1].name:
            raise self._refusal(call, operator)
        if not self.layers or operator not in (
            "relax.dequantize",
            "relax.quantize",
            "relax.reshape",
            *HOST_OPERATORS,
        ):
            raise self._refusal(call, operator)
        if operator in HOST_OPERATORS:
            self.host_ops.append(HOST_OPERATORS[operator])
        elif operator == "relax.quantize" and self.host_ops[-1:] == ["softmax"]:
            self.softmax_result = self._quantised_softmax(call, var)
        self.host_vars.append(var)

    def _quantised_softmax(self, call: Any, var: Any) -> tuple[float, int]:
        scale, zero = (relax_module.constant(call.args[index]) for index in (1, 2))
        if scale is None or zero is None or relax_module.dtype_of(var) != "int8":
            raise self._refusal(call, "relax.quantize")
        return float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0])

    def _refusal(self, call: Any, operator: str) -> UnsupportedError:
        what = operator.removeprefix("relax.") or type(call).__name__
        node = self.nodes[0][1] if self.nodes else self.graph.model.graph.output[0].name
        return UnsupportedError(
            f"{what} stays in float or is not of a form that has integer kernels",
            node=f"near node {node}",
            wanted="int8 QDQ around convolutions (groups 1 or depthwise, dilation 1), average "
            "pools without padding, and dense layers, with weights of zero point 0",
        )


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


def _layer(  # one argument a fact that the layer needs
    node: str,
    packed: str,
    fields: dict[str, NDArray[Any]],
    source: ir.Tensor,
    out: ir.Tensor,
    form: str,
) -> ir.Layer:
    window = [int(v) for v in fields["window"]]
    low, high = (float(v) for v in fields["clamp"])
    clamp = (None if low == -np.inf else low, None if high == np.inf else high)
    common = {
        "name": node,
        "input": source.name,
        "output": out.name,
        "kernel": (window[0], window[1]),
        "stride": (window[2], window[3]),
        "pads": (window[4], window[5], window[6], window[7]),
        "clamp": clamp,
    }
    if packed == "mbn.pool":
        return ir.Layer(op=ir.Op.POOL, **common)  # type: ignore[arg-type]
    weights, op = fields["weights"], ir.Op.CONV
    if packed == "mbn.dense":
        op = ir.Op.DENSE
        if form == "flat" and (source.height, source.width) != (1, 1):
            # ONNX flattens channel, height, width; a map's canonical order has channels last
            chw = weights.reshape(-1, *_chw(source))
            weights = chw.transpose(0, 2, 3, 1)
        weights = weights.reshape(weights.shape[0], 1, 1, -1)
    elif weights.shape[3] == 1 and source.channels > 1:
        op = ir.Op.DEPTHWISE
    _check_window(node, common["kernel"], common["pads"], fields["weights"], source)  # type: ignore[arg-type]
    return ir.Layer(
        op=op,
        weights=np.ascontiguousarray(weights).astype(np.int8),
        weight_scales=fields["scales"].astype(np.float32),
        bias=fields["bias"].astype(np.int32),
        **common,  # type: ignore[arg-type]
    )


def _check_window(
    node: str,
    kernel: tuple[int, int],
    pads: tuple[int, int, int, int],
    weights: NDArray[Any],
    source: ir.Tensor,
) -> None:
    if any(pad < 0 or pad >= k for pad, k in zip(pads, (*kernel, *kernel), strict=True) if k > 1):
        raise UnsupportedError(
            f"padding {pads} with kernel {kernel}",
            node=f"node {node}",
            wanted="padding from 0 to kernel - 1",
        )
    if max(kernel) > 7:
        raise UnsupportedError(f"kernel {kernel}", node=f"node {node}", wanted="at most 7 x 7")
    if max(source.height, source.width) > MAX_MAP_SIDE:
        raise UnsupportedError(
            f"a map of {source.height} x {source.width}",
            node=f"node {node}",
            wanted=f"at most {MAX_MAP_SIDE} a side",
        )
    if not weights.size:
        raise UnsupportedError("no weights", node=f"node {node}", wanted="at least one channel")
