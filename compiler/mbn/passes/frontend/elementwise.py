"""Float islands: trees of element-wise operators with one map in, as an `Expression`.

Found in the Relax module, whatever ONNX operator they came from. Every other operand is a
constant, with one value or one a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.arithmetic.tables import evaluate
from mbn.core.constants import Float32
from mbn.core.expression import Element, Expression, Kind, Step
from mbn.passes.frontend import relax_module as rx
from mbn.passes.frontend.matcher import (
    Affine,
    Matcher,
    NoMatch,
    limit_of,
    number,
    unwrap_norm,
)
from mbn.passes.frontend.movement import is_split

_BINARY: Mapping[str, Element] = {
    "relax.add": Element.ADD,
    "relax.subtract": Element.SUB,
    "relax.multiply": Element.MUL,
    "relax.divide": Element.DIV,
    "relax.power": Element.POW,
    "relax.minimum": Element.MIN,
    "relax.maximum": Element.MAX,
}
_UNARY: Mapping[str, Element] = {
    "relax.negative": Element.NEG,
    "relax.abs": Element.ABS,
    "relax.sqrt": Element.SQRT,
    "relax.exp": Element.EXP,
    "relax.log": Element.LOG,
    "relax.erf": Element.ERF,
    "relax.tanh": Element.TANH,
    "relax.sigmoid": Element.SIGMOID,
}
_OTHERS = (
    "relax.clip",
    "relax.nn.relu",
    "relax.nn.relu6",
    "relax.nn.silu",
    "relax.nn.gelu",
    "relax.nn.gelu_tanh",
    "relax.nn.leakyrelu",
    "relax.nn.prelu",
)
OPERATORS = frozenset((*_BINARY, *_UNARY, *_OTHERS))
LAYERS = ("relax.nn.conv2d", "relax.nn.conv2d_transpose", "relax.matmul")


@dataclass
class _Island:
    """Walks back from an expression to the one map that enters it."""

    matcher: Matcher
    leaf: Any = None  # the float expression of the map
    constants: list[tuple[Float32, int]] = field(default_factory=list)  # and the channels' axis
    steps: list[tuple[Element, tuple[tuple[str, int], ...]]] = field(default_factory=list)
    known: dict[Any, tuple[str, int]] = field(default_factory=dict)
    scales: dict[int, float] = field(default_factory=dict)  # of constants that are int8 codes

    def walk(self, expr: Any) -> tuple[str, int]:
        """The value of an expression: ("x", 0), ("constant", n) or ("step", n)."""
        if expr in self.known:
            return self.known[expr]
        found = self.known[expr] = self._value(expr)
        return found

    def _value(self, expr: Any) -> tuple[str, int]:
        matcher = self.matcher
        call = matcher.follow(expr)
        name = rx.op_name(call)
        literal = self._literal(expr)
        if literal is not None:
            made = self.constant(literal)
            scale = self._scale(expr)
            if scale is not None:
                self.scales[made[1]] = scale
            return made
        if name in _BINARY:
            return self._binary(_BINARY[name], call)
        if name in _UNARY:
            return self.step(_UNARY[name], self.walk(call.args[0]))
        if name in _OTHERS:
            return self._composed(name, call)
        return self._other(name, call, expr)

    def _other(self, name: str, call: Any, expr: Any) -> tuple[str, int]:
        """A clamp by a generated function, a batch normalisation, or the map that enters."""
        matcher, bound = self.matcher, limit_of(self.matcher, call)
        if bound is not None:
            below, value, is_upper = bound
            element = Element.MIN if is_upper else Element.MAX
            return self.step(element, self.walk(below), self.real(value))
        if name in LAYERS:
            what = name.removeprefix("relax.").removeprefix("nn.")
            raise NoMatch(
                f"an element-wise operator follows {what} without a QuantizeLinear between"
            )
        below, norm = unwrap_norm(matcher, expr)
        if norm is not None:
            return self._normed(below, norm, len(rx.shape_of(expr)))
        if name.startswith("relax.") or is_split(matcher, expr):
            return self._enter(expr)
        raise NoMatch("an expression stays in float or is not of a form that has integer kernels")

    def _binary(self, element: Element, call: Any) -> tuple[str, int]:
        left, right = (self.walk(argument) for argument in call.args[:2])
        return self.step(element, left, right)

    def _normed(self, below: Any, norm: Affine, rank: int) -> tuple[str, int]:
        """A batch normalisation: a gain and a shift a channel."""
        shape = (-1, *(1,) * (rank - 2))
        gain, shift = (self.constant(one.reshape(shape)) for one in (norm.gain, norm.shift))
        return self.step(Element.ADD, self.step(Element.MUL, self.walk(below), gain), shift)

    def _enter(self, expr: Any) -> tuple[str, int]:
        if self.leaf is None:
            self.leaf = expr
        elif not self.leaf.same_as(expr) and not self.matcher.same(self.leaf, expr):
            raise NoMatch("more than one map enters it")
        return ("x", 0)

    def _literal(self, expr: Any) -> NDArray[Any] | None:
        """A constant, float or quantised."""
        below, _ = self.matcher.unwrap_moves(expr)
        literal = self.matcher.constant(below)
        if literal is None:
            try:
                stored = self.matcher.dequantised(below)
            except NoMatch:
                return None
            if not isinstance(stored.value, np.ndarray):
                return None
            literal = self.matcher.reals(below)
        if literal.size == 1:
            return np.asarray(literal).reshape(())
        return np.asarray(literal).reshape(rx.shape_of(expr))

    def _scale(self, expr: Any) -> float | None:
        """The scale of a constant that is codes."""
        try:
            below, _ = self.matcher.unwrap_moves(expr)
            scales = self.matcher.dequantised(below).scale.reshape(-1)
        except NoMatch:
            return None
        return float(scales[0])

    def constant(self, value: NDArray[Any]) -> tuple[str, int]:
        wide = [axis for axis, size in enumerate(value.shape) if size > 1]
        if len(wide) > 1:
            raise NoMatch(f"a constant of shape {value.shape}, where one value a channel is wanted")
        axis = wide[0] - value.ndim if wide else 0  # counted from the end
        self.constants.append((value.astype(np.float32).reshape(-1), axis))
        return ("constant", len(self.constants) - 1)

    def real(self, value: float) -> tuple[str, int]:
        return self.constant(np.asarray(value, np.float32))

    def step(self, element: Element, *operands: tuple[str, int]) -> tuple[str, int]:
        self.steps.append((element, operands))
        return ("step", len(self.steps) - 1)

    def _composed(self, name: str, call: Any) -> tuple[str, int]:
        x = self.walk(call.args[0])
        match name:
            case "relax.clip":
                return self._clamped(x, number(call.args[1]), number(call.args[2]))
            case "relax.nn.relu" | "relax.nn.relu6":
                return self._clamped(x, 0.0, 6.0 if name.endswith("6") else np.inf)
            case "relax.nn.silu":
                return self.step(Element.MUL, x, self.step(Element.SIGMOID, x))
            case "relax.nn.leakyrelu":
                return self.step(Element.PRELU, x, self.real(float(call.attrs.alpha)))
            case "relax.nn.prelu":
                return self._prelu(x, call)
        return self._gelu(x, tanh=name.endswith("tanh"))

    def _clamped(self, x: tuple[str, int], low: float, high: float) -> tuple[str, int]:
        above = self.step(Element.MAX, x, self.real(low)) if low > -np.inf else x
        return self.step(Element.MIN, above, self.real(high)) if high < np.inf else above

    def _prelu(self, x: tuple[str, int], call: Any) -> tuple[str, int]:
        slopes = self._literal(call.args[1])
        if slopes is None:
            raise NoMatch("its slopes are not constants")
        if slopes.size > 1:
            rank = len(rx.shape_of(call))
            axis = int(call.attrs.axis) % rank
            slopes = slopes.reshape(-1, *(1,) * (rank - 1 - axis))
        slope = self.constant(slopes)
        scale = self._scale(call.args[1])
        if scale is not None:  # rounding `tflite` needs it
            self.real(scale)
        return self.step(Element.PRELU, x, slope)

    def _gelu(self, x: tuple[str, int], *, tanh: bool) -> tuple[str, int]:
        half, one = self.real(0.5), self.real(1)
        if tanh:
            cube = self.step(Element.MUL, self.step(Element.MUL, x, x), x)
            inner = self.step(Element.ADD, x, self.step(Element.MUL, cube, self.real(0.044715)))
            root = self.real(np.sqrt(2 / np.pi))
            bent = self.step(Element.TANH, self.step(Element.MUL, inner, root))
        else:
            bent = self.step(Element.ERF, self.step(Element.MUL, x, self.real(np.sqrt(0.5))))
        gate = self.step(Element.MUL, half, self.step(Element.ADD, one, bent))
        return self.step(Element.MUL, x, gate)


@dataclass(frozen=True, eq=False)
class Found:
    """An island: the float expression of the map that enters, what is computed of it, and the axis
    of the channels, counted from the end (0: one table serves all)."""

    leaf: Any
    expression: Expression
    axis: int


def match_island(matcher: Matcher, expr: Any) -> Found:
    """The island that ends in `expr`; NoMatch with the reason."""
    island = _Island(matcher)
    end = island.walk(expr)
    if island.leaf is None or end[0] == "constant":
        raise NoMatch("no map enters it")
    axes = {axis for _, axis in island.constants} - {0}
    if len(axes) > 1:
        raise NoMatch("its constants go along different axes")
    expression = _numbered(island, Kind.OTHER)
    if not expression.is_sound:
        raise NoMatch("its constants have different numbers of channels")
    kind = _kind(expression, coded=0 in island.scales)
    if kind in _WITH_CONSTANT.values():
        island.real(island.scales[0])
    return Found(island.leaf, _numbered(island, kind), axes.pop() if axes else 0)


def _numbered(island: _Island, kind: Kind) -> Expression:
    base = {"x": 0, "constant": 1, "step": 1 + len(island.constants)}
    steps = tuple(
        Step(element, tuple(base[kind] + at for kind, at in operands))
        for element, operands in island.steps
    )
    return Expression(tuple(one for one, _ in island.constants), steps, kind)


_SAME = 1e-6
_GRID = np.linspace(-12.0, 12.0, 97)
_CURVES: Mapping[Kind, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    Kind.HARD_SWISH: lambda x: x * np.clip(x + 3, 0, 6) / 6,
    Kind.LOGISTIC: lambda x: 1 / (1 + np.exp(-x)),
    Kind.TANH: np.tanh,
}


_WITH_CONSTANT = {Element.ADD: Kind.ADD, Element.SUB: Kind.SUB, Element.MUL: Kind.MUL}
_CLAMPS = ((0.0, None), (0.0, 6.0), (-1.0, 1.0), (0.0, 1.0))  # RELU and its like


def _kind(expression: Expression, *, coded: bool) -> Kind:
    """Which of TensorFlow Lite's operators it is: the same curve, however it is written. `coded`:
    whether its first constant is int8 codes."""
    steps = expression.steps
    if not steps:
        return Kind.QUANTIZE
    if len(steps) == 1 and steps[0].element is Element.PRELU:
        return Kind.LEAKY_RELU if len(expression.constants) == 1 else Kind.PRELU
    values = evaluate(expression, _GRID)
    for kind, curve in _CURVES.items():
        if np.allclose(values, curve(_GRID)[None], rtol=_SAME, atol=_SAME, equal_nan=False):
            return kind
    if _only_clamps(expression, 0) and expression.clamp in _CLAMPS:
        return Kind.RELU
    with_constant = coded and set(steps[0].operands) == {0, 1} and _only_clamps(expression, 1)
    if with_constant and expression.clamp in ((None, None), *_CLAMPS):
        return _WITH_CONSTANT.get(steps[0].element, Kind.OTHER)
    return Kind.OTHER


def _only_clamps(expression: Expression, start: int) -> bool:
    """Whether each step from `start` on bounds the one before it by one value."""
    count = len(expression.constants)
    for at, step in enumerate(expression.steps[start:], start):
        before = count + at if at else 0
        bounds = [one for one in step.operands if one != before]
        if step.element not in (Element.MIN, Element.MAX) or len(bounds) != 1:
            return False
        if not 0 < bounds[0] <= count or expression.constants[bounds[0] - 1].size != 1:
            return False
    return True


_ELEMENTS, _KINDS = tuple(Element), tuple(Kind)


def packed(expression: Expression) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """An expression as constants of a packed call: numbers, and the values of its constants."""
    numbers = [_KINDS.index(expression.kind), len(expression.constants)]
    numbers += [one.size for one in expression.constants]
    for step in expression.steps:
        numbers += [_ELEMENTS.index(step.element), len(step.operands), *step.operands]
    values = np.concatenate([np.zeros(0), *expression.constants])
    return np.array(numbers, np.int64), values.astype(np.float64)


def unpacked(numbers: NDArray[np.int64], values: NDArray[np.float64]) -> Expression:
    """What `packed` wrote."""
    kind, count, *rest = (int(one) for one in numbers)
    constants, at = [], 0
    for size in rest[:count]:
        constants.append(values[at : at + size].astype(np.float32))
        at += size
    steps, rest = [], rest[count:]
    while rest:
        element, operands, *rest = rest
        steps.append(Step(_ELEMENTS[element], tuple(rest[:operands])))
        rest = rest[operands:]
    return Expression(tuple(constants), tuple(steps), _KINDS[kind])
