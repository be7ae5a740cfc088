"""An element-wise expression of one map: what a table is made from.

network.npz stores it; the compiler and the exact reference each evaluate it. Values are numbered:
0 is x, then the constants, then the results of the steps. The last step's result is the
expression's; without steps it is x itself (a change of scale).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mbn.core.constants import Float32


class Element(StrEnum):
    """What a step computes of its operands, in real numbers."""

    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    DIV = "div"
    POW = "pow"
    MIN = "min"
    MAX = "max"
    NEG = "neg"
    ABS = "abs"
    SQRT = "sqrt"
    EXP = "exp"
    LOG = "log"
    ERF = "erf"
    TANH = "tanh"
    SIGMOID = "sigmoid"
    PRELU = "prelu"  # x, or slope * x where x < 0


OPERANDS = {
    **dict.fromkeys((Element.NEG, Element.ABS, Element.SQRT, Element.EXP, Element.LOG), 1),
    **dict.fromkeys((Element.ERF, Element.TANH, Element.SIGMOID), 1),
}  # two where it is not said


# ONNX's element-wise operators that an expression can be made of
ONNX_ELEMENTWISE = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Min",
    "Max",
    "Neg",
    "Abs",
    "Sqrt",
    "Exp",
    "Log",
    "Erf",
    "Tanh",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Relu",
    "Clip",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Gelu",
    "Mish",
    "Softplus",
    "Reciprocal",
)


class Kind(StrEnum):
    """The operator of TensorFlow Lite that an expression is, where it is one: rounding `tflite`
    has other integers for each."""

    OTHER = "other"
    QUANTIZE = "quantize"
    HARD_SWISH = "hard_swish"
    LEAKY_RELU = "leaky_relu"
    PRELU = "prelu"
    LOGISTIC = "logistic"
    TANH = "tanh"
    RELU = "relu"  # and what else only clamps
    # with a constant: constants[0], the scale of its codes last; a clamp may follow
    ADD = "add"
    SUB = "sub"
    MUL = "mul"


@dataclass(frozen=True)
class Step:
    """One operation. operands: numbers of values that come before it."""

    element: Element
    operands: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Expression:
    """Constants have one value or one a channel; they are the float32 of the file."""

    constants: tuple[Float32, ...] = ()
    steps: tuple[Step, ...] = ()
    kind: Kind = Kind.QUANTIZE

    @property
    def channels(self) -> int:
        """1 where all channels share one table."""
        return max((constant.size for constant in self.constants), default=1)

    @property
    def clamp(self) -> tuple[float | None, float | None]:
        """The bounds that its steps MAX and MIN have as constants."""
        low, high = None, None
        for step in self.steps:
            if step.element in (Element.MAX, Element.MIN):
                at = next(at for at in step.operands if 0 < at <= len(self.constants))
                value = float(self.constants[at - 1][0])
                low, high = (value, high) if step.element is Element.MAX else (low, value)
        return low, high

    @property
    def is_sound(self) -> bool:
        """Whether each step reads only what comes before it, as many values as it takes."""
        first = 1 + len(self.constants)
        sizes = {constant.size for constant in self.constants} - {1}
        return len(sizes) <= 1 and all(
            len(step.operands) == OPERANDS.get(step.element, 2)
            and all(0 <= operand < first + at for operand in step.operands)
            for at, step in enumerate(self.steps)
        )
