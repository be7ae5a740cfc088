"""Reads the rewritten Relax function: layers, tensors, results, and what the host keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from mbn.core.errors import UnsupportedError
from mbn.core.network import Network, Tensor
from mbn.passes.frontend import float_ends, onnx_file, relax_module
from mbn.passes.frontend.ends import QuantisedEnd
from mbn.passes.frontend.found import FIELDS
from mbn.passes.frontend.integer_pass import Problem
from mbn.passes.frontend.layers import (
    FORMS,
    Value,
    made_layer,
    real_scale,
    short,
    unit_length_layer,
)
from mbn.passes.frontend.matcher import MOVES, NoMatch, move_of, scalar_parameters
from mbn.passes.frontend.movement import is_mover
from mbn.passes.frontend.supported import with_others
from mbn.passes.frontend.unit_length import UnitLength
from mbn.passes.frontend.values import TO_CHANNELS_FIRST, Values

HOST_OPERATORS = {"relax.nn.softmax": "softmax", "relax.sigmoid": "sigmoid"}


@dataclass(frozen=True)
class _Host:
    """A result, and what the host does with it."""

    tensor: Tensor
    ops: tuple[str, ...] = ()


@dataclass
class _Input:
    """The image before the first layer says how it lies."""

    var: Any
    is_float: bool
    quant: tuple[float, int] | None = None
    channels_last: Any = None  # the variable that was transposed to channels first
    # what was made from it, in order: the variable, from which, the call that moves it (None: it
    # is quantised)
    moved: list[tuple[Any, Any, Any]] = field(default_factory=list)

    def is_moved(self, expr: Any) -> bool:
        return any(var.same_as(expr) for var, _, _ in self.moved)


class Reader(Values):
    """Walks the rewritten `main`, once, in order."""

    def __init__(
        self, function: Any, graph: onnx_file.OnnxGraph, problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(graph)
        self.function = function
        self.problems = problems
        self.host_vars: dict[Any, _Host] = {}
        self.softmax_result: tuple[float, int] | None = None  # scale and zero point, if quantised
        self.image: _Input | None = None
        self.channels_last = False

    def read(self, name: str) -> Network:
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
        results, host_ops = self._results()
        return Network(
            name, tuple(self.tensors), tuple(self.layers), (), host_ops=host_ops, results=results
        )

    def _results(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the results (empty if the last layer's is the only one), and what the host
        does with them."""
        body = self.function.body.body
        found = [
            self._result(one) for one in self.tuples.get(body, getattr(body, "fields", [body]))
        ]
        for at, operators in self.graph.host_ends.items():
            found[at] = replace(found[at], ops=(*found[at].ops, *operators))
        for at, division in self.graph.divided.items():
            found[at] = self._divided(found[at], division)
        names = tuple(one.tensor.name for one in found)
        if len(set(names)) != len(names):
            raise UnsupportedError(
                "two of the graph's outputs are one result",
                wanted="outputs that differ",
                advice="remove one, or what only the host would do with it",
            )
        if names == (self.tensors[-1].name,):
            return (), found[0].ops
        if len(names) == 1:
            return names, found[0].ops
        ops = (f"{op} of {one.tensor.name}" for one in found for op in one.ops)
        return names, tuple(ops)

    def _divided(self, result: _Host, division: UnitLength) -> _Host:
        """A vector divided by its length: a layer if the graph quantises it, else a job for the
        host."""
        if division.codes is None:
            return replace(result, ops=(*result.ops, "division by the length"))
        layer, out = unit_length_layer(division, result.tensor)
        self.layers.append(layer)
        self.tensors.append(out)
        self.ends[layer.name] = QuantisedEnd(layer.name, None, division.codes, False)
        return _Host(out)

    def _result(self, var: Any) -> _Host:
        if var in self.host_vars:
            return self.host_vars[var]
        value = self.values.get(var)
        tensor = None if value is None else self.gathered(value, None).tensor
        if tensor is None or tensor == self.tensors[0]:
            raise UnsupportedError(
                "a result of the graph is not made by a layer",
                wanted="what a layer makes",
            )
        return _Host(tensor)

    def _read_binding(self, binding: Any) -> None:
        call, var = binding.value, binding.var
        name = _packed_name(call)
        if name == "mbn.moved":
            self._read_moved(call, var)
            return
        if name:
            self._read_layer(call, var, name)
            return
        operator = relax_module.op_name(call)
        source = call.args[0] if hasattr(call, "args") and len(call.args) else None
        if operator == "":
            self._read_plain(call, var)
        elif self._read_image(call, var, operator, source):
            return
        elif source in self.values and operator in MOVES:
            try:
                self.values[var] = self.reordered(self.values[source], call)
            except NoMatch as error:
                raise self._refusal(operator) from error
        elif operator == "relax.concat" or (
            is_mover(call) and (source in self.values or self._is_image(source))
        ):
            self._moved_values(call, var, operator)
        elif source in self.values or source in self.host_vars:
            self._host(call, var, source, operator)
        else:
            raise self._refusal(operator)

    def _read_moved(self, call: Any, var: Any) -> None:
        """The end of values that are only moved: of maps, or of what the host makes."""
        source = call.args[1]
        if source in self.values:
            self.ended(call, var)
        elif source in self.host_vars:
            self.host_vars[var] = self.host_vars[source]
        else:
            raise self._refusal("")

    def _read_plain(self, call: Any, var: Any) -> None:
        """A constant, a tuple, an item of one, or another name of a variable."""
        literal = relax_module.constant(call)
        if self.is_item(call):
            self.values[var] = self.parts[call.tuple_value][int(call.index)]
        elif literal is not None:
            self.constants[var] = literal
        elif hasattr(call, "fields"):
            self.tuples[var] = list(call.fields)
        elif call in self.tuples:
            self.tuples[var] = self.tuples[call]
        elif call in self.values:
            self.values[var] = self.values[call]
        elif call in self.host_vars:
            self.host_vars[var] = self.host_vars[call]
        else:
            raise self._refusal("")

    def _read_image(self, call: Any, var: Any, operator: str, source: Any) -> bool:
        """What is done to the image before the first layer; False for anything else."""
        if operator == "relax.permute_dims" and self._is_image(source):
            self._permute_image(call, var)
        elif operator == "relax.quantize" and self._is_image(source, moved=True):
            self._quantize_image(call, var)
        elif operator in MOVES and self._is_image(source, moved=True):
            assert self.image is not None
            self.image.moved.append((var, source, call))
        else:
            return False
        return True

    def _moved_values(self, call: Any, var: Any, operator: str) -> None:
        """Of the image only where its scale is known."""
        if self.image is not None and self.image.quant is not None:
            self._add_image(self.image.quant)
        try:
            self.move(call, var)
        except NoMatch as error:
            raise self._refusal(operator) from error

    # -- the input -------------------------------------------------------------------------

    def _is_image(self, expr: Any, *, moved: bool = False) -> bool:
        """Whether it is the image, or, `moved`, something reshaped from it."""
        if self.image is None or expr is None:
            return False
        return bool(expr.same_as(self.image.var)) or (moved and self.image.is_moved(expr))

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
        found = self._parameters(call, var, "the input")
        if self.image.quant is not None:
            raise self._refusal("relax.quantize")
        self.image.quant, self.image.is_float = found, False
        if self.image.is_moved(call.args[0]):
            self.image.moved.append((var, call.args[0], None))
        else:
            self.image.var = var

    def _add_image(self, quant: tuple[float, int]) -> None:
        assert self.image is not None
        image, self.image = self.image, None
        _, channels, height, width = relax_module.shape_of(image.var)
        scale, zero_point = image.quant or quant
        tensor = Tensor(
            self.graph.input_name, height, width, channels, real_scale(scale, "input"), zero_point
        )
        self.tensors.append(tensor)
        self.values[image.var] = Value(tensor, "nchw")
        if image.channels_last is not None:
            self.channels_last = True
            self.values[image.channels_last] = Value(tensor, "nhwc")
        for var, source, call in image.moved:
            before = self.values[source]
            self.values[var] = before if call is None else self.reordered(before, call)

    # -- layers ----------------------------------------------------------------------------

    def _read_layer(self, call: Any, var: Any, packed: str) -> None:
        fields, data = _arguments(call)
        at, moved_first, last = (int(one) for one in fields["end"])
        end = self.graph.ends[at] if at >= 0 else None
        name = end.node if end is not None else f"{packed[4:]}_{len(self.layers)}"
        taken = {layer.name for layer in self.layers}
        if moved_first:  # the layer that moves it has the node's own name
            node = short(f"{short(name, set())}_phases", taken)
        else:
            node = short(name, taken)
            if end is not None:
                self.ends[node] = replace(end, channels_last=bool(last) != end.channels_last)
        sources = [
            self._source(one, fields["quant"][2 * at : 2 * at + 2], node)
            for at, one in enumerate(data)
        ]
        shape = relax_module.shape_of(var)
        height, width = shape[2:] if len(shape) == 4 else (1, 1)
        scale, zero = fields["quant"][2 * len(data) :]
        out = Tensor(
            f"{node}:out", height, width, shape[1], real_scale(float(scale), node), int(zero)
        )
        layer = made_layer(node, packed, fields, sources, out)
        self.layers.append(layer)
        self.tensors.append(out)
        self.values[var] = Value(out, "nchw" if len(shape) == 4 else "flat")

    def _source(self, data: Any, quant: NDArray[Any], node: str) -> Value:
        wanted = (float(quant[0]), int(quant[1]))
        if self._is_image(data, moved=True):
            assert self.image is not None
            if self.image.is_float or len(relax_module.shape_of(self.image.var)) != 4:
                raise UnsupportedError("its input is not an integer tensor", node=f"node {node}")
            self._add_image(wanted)
        if data not in self.values:
            raise UnsupportedError("its input is not an integer tensor", node=f"node {node}")
        value = self.gathered(self.values[data], node)
        if value.form not in FORMS:
            raise self._moved_refusal(value.tensor, value.form)
        if (value.tensor.scale, value.tensor.zero_point) != wanted:
            raise UnsupportedError(
                "its input is dequantised with another scale than it was quantised with",
                node=f"node {node}",
                wanted="one scale and zero point a tensor",
            )
        return value

    # -- after the results -------------------------------------------------------------------

    def _host(self, call: Any, var: Any, source: Any, operator: str) -> None:
        if not self.layers:
            raise self._refusal(operator)
        before = self.host_vars.get(source)
        if before is None:
            before = _Host(self.gathered(self.values[source], None).tensor)
        if operator not in ("relax.dequantize", "relax.quantize", *MOVES, *HOST_OPERATORS):
            raise self._refusal(operator)
        if operator in HOST_OPERATORS:
            before = replace(before, ops=(*before.ops, HOST_OPERATORS[operator]))
        elif operator == "relax.quantize" and before.ops[-1:] == ("softmax",):
            self.softmax_result = self._parameters(call, var, "the softmax")
        elif operator == "relax.quantize" and before.ops[-1:] != ("sigmoid",):
            raise self._refusal(operator)
        self.host_vars[var] = before

    def _parameters(self, call: Any, var: Any, node: str) -> tuple[float, int]:
        """Scale and zero point of what a quantize makes."""
        scale, zero = (relax_module.constant(call.args[index]) for index in (1, 2))
        if scale is None or zero is None:
            raise self._refusal("relax.quantize")
        try:
            value, point = scalar_parameters(scale, zero, relax_module.dtype_of(var))
        except NoMatch as error:
            raise UnsupportedError(str(error), node=node) from error
        return float(value), point

    def _refusal(self, operator: str) -> UnsupportedError:
        found = refusals(self.graph, self.problems)
        if found:
            return with_others(found)
        ends = float_ends.float_ends(self.graph.model)
        if ends:
            return float_ends.refusal(ends)
        what = operator.removeprefix("relax.") or "an expression"
        return _unsupported(self.graph.last_layer, f"{what} stays in float", near=True)


def refusals(graph: onnx_file.OnnxGraph, problems: Sequence[Problem]) -> list[UnsupportedError]:
    """One error for each reason why no integer layer makes a quantised value, with the nodes that
    have it."""
    nodes: dict[str, list[str]] = {}
    for problem in problems:
        if problem.reason.startswith("softmax"):
            continue  # stays on the host
        end = graph.ends[problem.end] if problem.end >= 0 else None
        before = end.left_float if end is not None else None
        if before is not None:
            nodes.setdefault(UNQUANTISED, []).append(before)
        else:
            nodes.setdefault(problem.reason, []).append(end.node if end else graph.last_layer)
    return [
        _unsupported(named[0], reason, count=len(set(named))) for reason, named in nodes.items()
    ]


UNQUANTISED = "no QuantizeLinear comes after it: it stays in float"


def _unsupported(node: str, reason: str, *, near: bool = False, count: int = 1) -> UnsupportedError:
    found = reason or "it stays in float or is not of a form that has integer kernels"
    return UnsupportedError(
        found + (f" ({count} nodes; this is the first)" if count > 1 else ""),
        node=f"{'near ' if near else ''}node {node}",
        wanted="operators that mbn-inspect --operators lists, each between quantised maps",
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
