"""The maps that a reader has met, in whatever order their values stand.

A variable of the graph is a whole map in one of a few forms (`Value`), or values of maps in any
order (`Moved`). Moved values become a layer only where a layer reads them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.errors import UnsupportedError
from mbn.core.network import Layer, Tensor
from mbn.passes.frontend import onnx_file, relax_module
from mbn.passes.frontend.ends import QuantisedEnd
from mbn.passes.frontend.layers import FORMS, Value, chw, move_layer, short
from mbn.passes.frontend.matcher import Move, NoMatch, move_of
from mbn.passes.frontend.movement import (
    MOST_VALUES,
    Moved,
    applied,
    constant_ids,
    enlarged,
    is_aligned,
    joined,
    map_of,
    plain_ids,
)

TO_CHANNELS_FIRST = (0, 3, 1, 2)


class Values:
    """Variables and what they are; the layers and tensors made so far."""

    def __init__(self, graph: onnx_file.OnnxGraph) -> None:
        self.graph = graph
        self.values: dict[Any, Value | Moved] = {}
        self.tensors: list[Tensor] = []
        self.layers: list[Layer] = []
        self.ends: dict[str, QuantisedEnd] = {}
        self.tuples: dict[Any, list[Any]] = {}
        self.constants: dict[Any, NDArray[Any]] = {}  # of int8 codes
        self.parts: dict[Any, list[Moved]] = {}  # of a split
        self.made: dict[int, Value] = {}  # by what was moved (kept alive): the layer's result
        self.kept: list[Moved] = []

    def reordered(self, value: Value | Moved, call: Any) -> Value | Moved:
        """A map after a reshape or a transpose: in another form where that is one, else moved."""
        move = move_of(call)
        if isinstance(value, Moved) and len(move.shape) == 2 and value.ids.ndim == 4:
            value = self.gathered(value, None)  # a flattened map
        if isinstance(value, Value):
            moved = self._moved(value, move)
            if moved.form in FORMS or value.form not in FORMS:
                return moved
            value = self.as_moved(value, relax_module.shape_of(call.args[0]))
        ids = applied(call, value.ids)
        assert not isinstance(ids, list)
        return self._settled(replace(value, ids=ids))

    def as_moved(self, value: Value | Moved, shape: tuple[int, ...]) -> Moved:
        """A map as numbers of its values, in the shape that Relax has."""
        if isinstance(value, Moved):
            return value
        ids = plain_ids(value.tensor)
        ordered = ids if value.form in ("nhwc", "flat_hwc") else ids.transpose(2, 0, 1)
        return Moved((value.tensor,), ordered.reshape(shape))

    def move(self, call: Any, var: Any) -> None:
        """A slice, split, concatenation or nearest resize of maps."""
        fields = [call.args[0]]
        if relax_module.op_name(call) == "relax.concat":
            fields = list(self.tuples.get(call.args[0], getattr(call.args[0], "fields", [])))
            parts = [self._part(one) for one in fields]
            sources, ids = joined(self._aligned(parts))
            if len({(one.scale, one.zero_point) for one in sources}) != 1:
                raise NoMatch
            axis = int(call.attrs.axis)
            self.values[var] = self._settled(Moved(sources, np.concatenate(ids, axis)))
            return
        value = self._part(fields[0])
        found = applied(call, value.ids)
        if isinstance(found, list):
            self.parts[var] = [replace(value, ids=one) for one in found]
        else:
            self.values[var] = self._settled(replace(value, ids=found))

    def _part(self, expr: Any) -> Moved:
        """What a mover reads: a map, moved values, the image, or constant codes."""
        literal = relax_module.constant(expr)
        if literal is not None:
            return Moved((), constant_ids(literal))
        if expr in self.constants:
            return Moved((), constant_ids(self.constants[expr]))
        if expr not in self.values:
            raise NoMatch
        return self.as_moved(self.values[expr], relax_module.shape_of(expr))

    def _aligned(self, parts: list[Moved]) -> list[Moved]:
        """Of several sources each part must have the rows of the result: others are gathered."""
        if len({source for one in parts for source in one.sources}) < 2:
            return parts
        found = []
        for one in parts:
            if one.sources and not is_aligned(one):
                value = self.gathered(one, None)
                one = self.as_moved(value, one.ids.shape)  # noqa: PLW2901
            found.append(one)
        return found

    def _settled(self, value: Moved) -> Value | Moved:
        """A whole map again, where that is what was moved."""
        if len(value.sources) == 1:
            form = self._whole_form(value) if value.ids.ndim == 4 else None
            return value if form is None else Value(value.first, form)
        used = np.unique(np.where(value.ids >= 0, value.ids // MOST_VALUES, -1))
        if len(used[used >= 0]) < len(value.sources):
            kept = [value.sources[number] for number in used[used >= 0]]
            numbers = np.zeros(len(value.sources), np.int64)
            numbers[used[used >= 0]] = np.arange(len(kept))
            of = numbers[np.maximum(value.ids, 0) // MOST_VALUES] * MOST_VALUES
            ids = np.where(value.ids >= 0, of + value.ids % MOST_VALUES, value.ids)
            return replace(value, sources=tuple(kept), ids=ids)
        return value

    def is_item(self, call: Any) -> bool:
        return hasattr(call, "tuple_value") and call.tuple_value in self.parts

    def ended(self, call: Any, var: Any) -> None:
        """Moved values and the QuantizeLinear behind them."""
        source = call.args[1]
        at = int(relax_module.constant(call.args[2])[0])  # type: ignore[index]
        value = self.values[source]
        if isinstance(value, Moved) and at >= 0:
            value = replace(value, end=self.graph.ends[at], end_ids=value.ids)
        self.values[var] = value

    def gathered(self, value: Value | Moved, reader: str | None) -> Value:
        """A map in memory; moved values become a layer first."""
        if isinstance(value, Value):
            return value
        key = id(value)
        if key in self.made:
            return self.made[key]
        taken = {layer.name for layer in self.layers}
        name = value.end.node if value.end is not None else f"move_{len(self.layers)}"
        node = short(name, taken)
        made, last = self._made(node, value)
        plain = None if made is not None else self._whole(value)
        if plain is not None:
            return plain
        if made is None:
            raise UnsupportedError(
                f"values of {', '.join(one.name for one in value.sources)} are moved to "
                f"{value.ids.shape} in an order that has no kernel",
                node=f"near node {reader or node}",
                wanted="slices, concatenations, shuffles of channels, resizes to whole multiples, "
                "NCHW to NHWC and back",
            )
        out = self._added(made)
        if value.end is not None:
            self.ends[node] = replace(value.end, channels_last=_codes_lie_last(value, last))
        form = ("nhwc" if last else "nchw") if value.ids.ndim == 4 else "flat"
        self.kept.append(value)
        self.made[key] = Value(out, form)
        return self.made[key]

    def _whole(self, value: Moved) -> Value | None:
        """A whole map that is only seen in another shape, good for a result alone."""
        if not self.tensors or self._whole_form(value) is None:
            return None
        return Value(value.first, str(value.ids.shape))

    def _whole_form(self, value: Moved) -> str | None:
        """The form of a whole map whose values these are, in its order; None for anything else."""
        if len(value.sources) != 1 or value.ids.size != value.first.size_bytes:
            return None
        for form in ("nchw", "nhwc"):
            whole = self.as_moved(Value(value.first, form), value.ids.shape)
            if np.array_equal(whole.ids, value.ids):
                return form
        return None

    def _made(self, node: str, value: Moved) -> tuple[tuple[Layer, Tensor] | None, bool]:
        """The layer that makes moved values, and whether channels come last in them."""
        for last in (False, True):
            made = move_layer(node, value, channels_last=last)
            if made is not None:
                return made, last
        for ids, last, kept in enlarged(value.ids):
            whole = move_layer(f"{node}_whole", replace(value, ids=ids), channels_last=last)
            if whole is not None:
                out = self._added(whole)
                form = "nhwc" if last else "nchw"
                cut = self.as_moved(Value(out, form), ids.shape).ids[kept]
                return move_layer(node, Moved((out,), cut), channels_last=last), last
        return None, False

    def _added(self, made: tuple[Layer, Tensor]) -> Tensor:
        layer, out = made
        self.layers.append(layer)
        self.tensors.append(out)
        return out

    def _moved(self, value: Value, move: Move) -> Value:
        """A map after a reshape or a transpose: the same bytes in another form."""
        tensor, shape = value.tensor, move.shape
        planes, hwc = chw(tensor), tensor.shape
        if math.prod(shape) != tensor.size_bytes:
            raise NoMatch
        if value.form not in FORMS:
            return Value(tensor, str(shape))
        if value.is_vector and max(shape) == tensor.size_bytes:
            return Value(tensor, "nchw" if len(shape) == 4 else "flat")
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
                ("nchw", (1, *planes)): "nchw",
                ("flat", (1, *planes)): "nchw",
                ("nhwc", (1, *hwc)): "nhwc",
                ("flat_hwc", (1, *hwc)): "nhwc",
            }
            form = kept.get((value.form, shape))
        # any other is good for a result alone
        return Value(tensor, form or str(shape))

    def _moved_refusal(self, tensor: Tensor, shape: str) -> UnsupportedError:
        return UnsupportedError(
            f"a map of {tensor.shape} (height, width, channels) is reshaped or transposed to "
            f"{shape}",
            node=f"near node {self.layers[-1].name if self.layers else tensor.name}",
            wanted="a flattened map, or NCHW to NHWC and back",
        )


def _codes_lie_last(value: Moved, last: bool) -> bool:
    """Whether the codes at a moved value's QuantizeLinear lie height, width, channel: a transpose
    may stand between it and the layer that is made, which is so where `last`."""
    made = map_of(value.ids, channels_last=last)
    if value.end_ids is not None and made is not None:
        for order in (last, not last):
            codes = map_of(value.end_ids, channels_last=order)
            if codes is not None and np.array_equal(codes, made):
                return order
    return last
