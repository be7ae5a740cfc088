"""The integers that the arithmetic derives from a layer's weights and scales.

arithmetic/ makes them and kernels read them. They are never stored in network.npz: the compiler
and the reference each derive their own multipliers, folded biases and dead channels, and so check
each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]


UNIT_SCALE = 1 / 128  # of a normalised vector, whose zero point is 0


@dataclass(frozen=True, eq=False)
class SingleConstants:
    """A layer in rounding `single`:

    out = clamp((((acc << shift) + offset) * doubled + 2**31) >> 32, low, high)

    with acc = bias + sum(weights * x). Where shift is 0 the offset is already in the bias and
    `offset` is zero. A pool has no weights and single values.
    """

    weights: Int8  # as in Layer
    bias: Int32
    doubled: Int32  # 2 * m, modulo 2**32
    offset: Int32
    shift: int  # 0 or more
    low: int
    high: int

    @property
    def multiplier(self) -> Int32:
        """m."""
        return np.asarray(self.doubled.view(np.uint32) >> 1).astype(np.int32)

    def of_channels(self, out: NDArray[np.bool_], weights: Int8, bias: Int32) -> SingleConstants:
        """The constants of some output channels, with the given weights and biases."""
        doubled, offset = self.doubled[out], self.offset[out]
        return replace(self, weights=weights, bias=bias, doubled=doubled, offset=offset)

    @property
    def words(self) -> tuple[Int32, ...]:
        """The words that follow the multipliers in a kernel's tables, one value for each
        channel."""
        return (self.offset,) if self.shift else ()


@dataclass(frozen=True, eq=False)
class TfliteConstants:
    """A layer in rounding `tflite`. `multiplier` is Q31; `exponent` is TensorFlow Lite's shift,
    positive to the left. `short`: every channel divides by a power of two of at least 2 and
    nothing overflows, so that `offset` has the rounding's half and the zero point."""

    weights: Int8
    bias: Int32
    multiplier: Int32
    offset: Int32
    exponent: Int32
    short: bool
    low: int
    high: int
    zero_point: int  # of the output

    @property
    def doubled(self) -> Int32:
        """2 m, modulo 2**32."""
        return np.asarray((2 * self.multiplier.astype(np.int64)).astype(np.uint32).view(np.int32))

    def of_channels(self, out: NDArray[np.bool_], weights: Int8, bias: Int32) -> TfliteConstants:
        """The constants of some output channels, with the given weights and biases."""
        return replace(
            self,
            weights=weights,
            bias=bias,
            multiplier=self.multiplier[out],
            offset=self.offset[out],
            exponent=self.exponent[out],
        )

    @property
    def words(self) -> tuple[Int32, ...]:
        """The words that follow the multipliers in a kernel's tables, one value for each
        channel."""
        right, left = np.maximum(-self.exponent, 0), np.maximum(self.exponent, 0)
        return (self.offset, (right + 256 * left).astype(np.int32))


@dataclass(frozen=True)
class TfliteAverage:
    """A pool in rounding `tflite`: a sum divided by `count`, half away from zero."""

    count: int
    low: int
    high: int


@dataclass(frozen=True)
class TfliteSoftmax:
    """A softmax in rounding `tflite`; `least`: the smallest difference that counts."""

    multiplier: int
    exponent: int
    least: int
    low: int = -128
    high: int = 127


@dataclass(frozen=True)
class NormaliseConstants:
    """A vector divided by its length, in rounding `single`: nothing depends on the layer."""

    low: int = -127
    high: int = 127


@dataclass(frozen=True, eq=False)
class TableConstants:
    """What is stored for each code -128 .. 127: int8 1 x 256, or C x 256."""

    table: Int8
    low: int = -128
    high: int = 127


@dataclass(frozen=True)
class ProductConstants:
    """A product of two maps in rounding `single`, with P = (a - first) * (b - second):

    out = clamp((((P << shift) + offset) * doubled + 2**31) >> 32, low, high)
    """

    first: int  # zero points
    second: int
    doubled: int
    offset: int
    shift: int
    low: int
    high: int


@dataclass(frozen=True)
class TfliteProduct:
    """A product in rounding `tflite`: Q31 multiplier and exponent, positive to the left."""

    first: int  # zero points
    second: int
    multiplier: int
    exponent: int
    zero_point: int
    low: int
    high: int


@dataclass(frozen=True)
class PlainConstants:
    """Of a layer that keeps the codes of what it reads: only the clamp."""

    low: int = -128
    high: int = 127


WeightedConstants = SingleConstants | TfliteConstants
IntegerConstants = (
    WeightedConstants
    | TfliteAverage
    | TfliteSoftmax
    | NormaliseConstants
    | TableConstants
    | ProductConstants
    | TfliteProduct
    | PlainConstants
)


_ROUNDING_CODES: tuple[type, ...] = (
    TfliteAverage,
    TfliteSoftmax,
    NormaliseConstants,
    TableConstants,
    ProductConstants,
    TfliteProduct,
    PlainConstants,
)


# of TensorFlow Lite's rounding: by multipliers below one half, and by any
TFLITE_CODE, TFLITE_ANY_CODE = -1, -2


def rounding_code(constants: IntegerConstants) -> int:
    """How a rounding form is encoded for C (the `shift` of runtime/kernels): the left shift of
    `single`, or a negative number for the other forms."""
    if isinstance(constants, SingleConstants):
        return constants.shift
    if isinstance(constants, TfliteConstants):
        return TFLITE_CODE if constants.short else TFLITE_ANY_CODE
    return -3 - _ROUNDING_CODES.index(type(constants))


@dataclass(frozen=True)
class AdditionConstants:
    """An addition's derived integers (see arithmetic.py):

    out = clamp((a * first + b * second + offset) >> shift, low, high)

    in 64-bit integers, with the rounding's half in the offset.
    """

    first: int
    second: int
    offset: int
    shift: int
    low: int
    high: int


@dataclass(frozen=True)
class TfliteAddition:
    """An addition's integers in rounding `tflite`: each of first, second and result has a zero
    point, a Q31 multiplier and a right shift, in this order in each triple."""

    zero_points: tuple[int, int, int]
    multipliers: tuple[int, int, int]
    shifts: tuple[int, int, int]
    low: int
    high: int
