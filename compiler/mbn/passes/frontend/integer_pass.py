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

from mbn.core.expression import Expression
from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.elementwise import packed
from mbn.passes.frontend.found import FIELDS, Found, fields_of
from mbn.passes.frontend.matcher import MOVES, Matcher, Move, NoMatch, scalar_parameters
from mbn.passes.frontend.movement import leaves, rebuilt
from mbn.passes.frontend.operators import match_quantize


@dataclass(frozen=True)
class Problem:
    """A quantize that no integer operator ends in."""

    end: int  # as in FIELDS
    reason: str


class _Rewriter:
    """Emits the new function binding by binding."""

    def __init__(self, module: Any, count: int, *, host_sigmoid: bool) -> None:
        from tvm import relax  # noqa: PLC0415

        self.host_sigmoid = host_sigmoid

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
            if self.host_sigmoid and self._is_last_sigmoid(binding):
                return self.builder.emit(_renamed(call, self.renamed))
            try:
                return self._only_moved(call, end)
            except NoMatch:
                pass
            try:
                return self._packed(match_quantize(self.matcher, call), end)
            except NoMatch as error:
                below, _ = self.matcher.unwrap_moves(call.args[0])
                if below not in list(self.function.params):  # else it is the image's own
                    self.problems.append(Problem(end, str(error)))
        return self.builder.emit(_renamed(binding.value, self.renamed))

    def _is_last_sigmoid(self, binding: Any) -> bool:
        """A quantised sigmoid behind which nothing is computed."""
        below, _ = self.matcher.unwrap_moves(binding.value.args[0])
        return self.matcher.name(below) == "relax.sigmoid" and self._is_last(binding.var)

    def _is_last(self, var: Any) -> bool:
        readers = [
            (reader, rx.op_name(value))
            for reader, value in self.matcher.bound.items()
            if any(var.same_as(argument) for argument in getattr(value, "args", []))
        ]
        return all(
            name in ("relax.dequantize", *MOVES) and self._is_last(reader)
            for reader, name in readers
        )

    def _only_moved(self, call: Any, end: int) -> Any:
        """A quantize of maps that are only moved: the same on their codes. Where one has another
        scale than the result, a table stands before."""
        params = [self.matcher.constant(arg) for arg in call.args[1:3]]
        if params[0] is None or params[1] is None:
            raise NoMatch
        wanted = scalar_parameters(params[0], params[1], rx.dtype_of(call))
        below = list(leaves(self.matcher, call.args[0]))
        maps = [one for one in below if self.matcher.constant(one) is None]
        given = [self.matcher.parameters(one) for one in maps]
        if all(one is None for one in given):
            raise NoMatch
        if len(below) == 1 and given[0] != wanted:  # a table alone, perhaps moved
            raise NoMatch
        moved = self._on_codes(call.args[0], wanted)
        if moved in self.renamed.values():
            return moved
        return self._ended(moved, end)

    def _ended(self, moved: Any, end: int) -> Any:
        """Marks moved codes as what a QuantizeLinear gives."""
        mark = [self.relax.const(np.array([end], np.int64))]
        kind = self.relax.TensorType(list(rx.shape_of(moved)), "int8")
        return self.builder.emit(
            self.relax.op.call_pure_packed("mbn.moved", moved, *mark, ty_args=kind)
        )

    def _on_codes(self, expr: Any, wanted: tuple[np.float32, int]) -> Any:
        """An expression that moves dequantised maps, on codes of the wanted parameters."""

        def leaf(below: Any) -> Any:
            literal = self.matcher.constant(below)
            if literal is None:
                found = self.matcher.dequantised(below)
                if not isinstance(found.value, np.ndarray):
                    value = self.renamed.get(found.value, found.value)
                    own = self.matcher.parameters(below)
                    assert own is not None
                    return value if own == wanted else self._rescaled(value, own, wanted)
                literal = self.matcher.reals(below).reshape(rx.shape_of(below))
            steps = np.rint(np.asarray(literal, np.float64) / np.float64(wanted[0])) + wanted[1]
            codes = np.clip(steps, -128, 127).astype(np.int8)
            return self.builder.emit(self.relax.const(codes))

        return rebuilt(self.matcher, self.builder.emit, expr, leaf)

    def _rescaled(self, value: Any, own: tuple[np.float32, int], wanted: tuple[Any, int]) -> Any:
        """A change of scale: a table."""
        numbers, values = packed(Expression())
        fields = fields_of(numbers=np.array([0, *numbers], np.int64), values=values)
        fields["quant"] = np.array([float(own[0]), own[1], float(wanted[0]), wanted[1]])
        fields["clamp"] = np.array([-np.inf, np.inf])
        return self._call("mbn.table", [value], fields, rx.shape_of(value))

    def _packed(self, found: Found, end: int) -> Any:
        data = []
        for one in found.data:
            own = (one.scale, one.zero_point)
            value = self._on_codes(one.expr, own)
            if one.rescaled is not None:
                value = self._rescaled(value, own, one.rescaled)
            data.append(self._moved(value, one.moves))
        made = self._call(
            found.name,
            data,
            found.fields,
            found.shape,
            (end, found.moved_first, found.channels_last),
        )
        moved = self._moved(made, found.moves)
        return self._ended(moved, end) if found.moved_first else moved

    def _call(
        self,
        name: str,
        data: list[Any],
        known: dict[str, NDArray[Any]],
        shape: tuple[int, ...],
        end: tuple[int, bool, bool] = (-1, False, False),
    ) -> Any:
        fields = {**known, "end": np.array(end, np.int64)}
        constants = [self.relax.const(fields[key]) for key in FIELDS]
        kind = self.relax.TensorType(list(shape), "int8")
        call = self.relax.op.call_pure_packed(name, *data, *constants, ty_args=kind)
        return self.builder.emit(call)

    def _moved(self, value: Any, moves: tuple[Move, ...]) -> Any:
        op = self.relax.op
        for move in moves:
            if move.axes is not None:
                value = self.builder.emit(op.permute_dims(value, list(move.axes)))
            elif move.cut is not None:
                ends = [at + size for at, size in zip(move.cut, move.shape[2:], strict=True)]
                value = self.builder.emit(op.strided_slice(value, [2, 3], list(move.cut), ends))
            else:
                value = self.builder.emit(op.reshape(value, move.shape))
        return value


def find_integer_stages(
    module: Any, count: int, *, host_sigmoid: bool = True
) -> tuple[Any, list[Problem]]:
    """Runs the pass on `main`; see the head of this file. `count`: the graph's QuantizeLinear
    nodes. `host_sigmoid`: one at the end is left to the host, else it is a table."""
    import tvm  # noqa: PLC0415

    problems: list[Problem] = []

    @tvm.transform.module_pass(opt_level=0, name="FindIntegerStages")  # type: ignore[untyped-decorator]
    def run(mod: Any, _context: Any) -> Any:
        rewriter = _Rewriter(mod, count, host_sigmoid=host_sigmoid)
        result = rewriter.run()
        problems.extend(rewriter.problems)
        return result

    return run(module), problems


def _renamed(expr: Any, renamed: dict[Any, Any]) -> Any:
    from tvm import relax  # noqa: PLC0415

    if isinstance(expr, relax.Call):
        args = [
            _renamed(arg, renamed) if rx.is_tuple(arg) else renamed.get(arg, arg)
            for arg in expr.args
        ]
        return relax.Call(expr.op, args, expr.attrs, expr.ty_args)
    if isinstance(expr, relax.Tuple):
        return relax.Tuple([renamed.get(field, field) for field in expr.fields])
    if isinstance(expr, relax.TupleGetItem):
        value = renamed.get(expr.tuple_value, expr.tuple_value)
        return relax.TupleGetItem(value, expr.index)
    return renamed.get(expr, expr)
