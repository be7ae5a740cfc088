"""What is closest to something refused, and works: one table, by the words of the refusal.

What enters: refusals of the frontend. What leaves: a statement for each kind of obstacle among
them, in the table's order; where no line of the table fits, what works in general. Always holds:
each key stands in the frontend's own words (a test looks), so that no line is left behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mbn.core.errors import UnsupportedError


@dataclass(frozen=True)
class Closest:
    """What works in the place of ONNX operators that are refused, or of whatever is refused in
    the frontend's words `said`."""

    works: str
    operators: tuple[str, ...] = ()
    said: tuple[str, ...] = ()

    def meets(self, refused: UnsupportedError) -> bool:
        """Whether it is about this refusal."""
        return any(f"operator {one} " in refused.found for one in self.operators) or any(
            one in refused.found for one in self.said
        )


CLOSEST = (
    Closest(
        "BatchNormalization right behind a convolution, into which it is folded",
        (
            "LayerNormalization",
            "InstanceNormalization",
            "GroupNormalization",
            "RMSNormalization",
            "LRN",
            "MeanVarianceNormalization",
        ),
    ),
    Closest(
        "channels weighted by squeeze and excite (GlobalAveragePool, Conv, HardSigmoid, Mul)",
        ("Attention", "MultiHeadAttention", "Einsum"),
    ),
    Closest("Conv over time, with windows of N x 1 or 1 x N", ("LSTM", "GRU", "RNN")),
    Closest(
        "a network that ends before it; several results are taken, the host goes on with them",
        ("NonMaxSuppression", "TopK", "NonZero", "RoiAlign"),
    ),
    Closest(
        "AveragePool, MaxPool, GlobalAveragePool and GlobalMaxPool",
        ("LpPool", "GlobalLpPool", "ReduceL1", "ReduceL2"),
    ),
    Closest(
        "the float network with --calibrate DIR, which quantises it once and for all",
        ("DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"),
    ),
    Closest(
        "Resize: nearest to whole multiples; linear to 2, 4 or 8 times, half_pixel or asymmetric",
        ("Upsample", "GridSample", "AffineGrid"),
        ("a nearest resize by", "a resize by", "a bilinear resize from"),
    ),
    Closest(
        "GlobalAveragePool, or an AveragePool with one window for the whole map",
        said=("an adaptive pool to more than one pixel",),
    ),
    Closest("AveragePool without padding, or with count_include_pad 1", said=("an average pool",)),
    Closest(
        "means over height, width or both; a maximum over both",
        ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"),
        ("a mean over axes", "a maximum over axes", "an average over"),
    ),
    Closest("MaxPool without dilation, any window and stride", said=("a dilated max pool",)),
    Closest(
        "windows to 16 x 16, dilation counted; two convolutions in a row see as far as a wide one",
        said=("a window of", "a kernel of"),
    ),
    Closest(
        "Add and Mul of two maps of one shape, or of a map and one value a channel",
        said=("more than one map enters it", "an addition of", "a product of"),
    ),
    Closest(
        "products with constant weights (Conv, Gemm, MatMul)",
        said=("its weights are not quantised", "its weights are not constants"),
    ),
    Closest(
        "constants of one value, or of one value a channel",
        said=("where one value a channel is wanted", "constants along axis", "different axes"),
    ),
    Closest(
        "one vector divided by its length, at the end of the network",
        said=("is divided by its length", "a division by a vector's length"),
    ),
    Closest(
        "8-bit maps and weights: the float network as ONNX with --calibrate DIR, or a .tflite file "
        "of full-integer quantisation",
        said=(
            "activations of type",
            "weights of type",
            "int16 maps",
            "float maps",
            "float network",
            " weights",
            "not int8",
        ),
    ),
    Closest(
        "QuantizeLinear and DequantizeLinear around each layer, as --calibrate DIR puts them into "
        "a float network",
        said=(
            "without a QuantizeLinear between",
            "no QuantizeLinear comes after it",
            "stays in float",
            "a float last layer",
            "no integer layer found",
        ),
    ),
    Closest("one image or one array in, one result or more out", said=(" inputs and ",)),
    Closest(
        "one sample at a time, of a fixed size (--input-shape)",
        said=("has the dynamic shape", "has the shape", "has batch"),
    ),
)
IN_GENERAL = (
    "convolutional networks like those of docs/coverage.md, made of what mbn-inspect --operators "
    "lists"
)


def closest(refused: Sequence[UnsupportedError]) -> tuple[str, ...]:
    """A statement for each kind of obstacle; at least one."""
    found = (
        next((one.works for one in CLOSEST if one.meets(error)), IN_GENERAL) for error in refused
    )
    return tuple(dict.fromkeys(found)) or (IN_GENERAL,)


@contextmanager
def told() -> Iterator[None]:
    """Adds to a refusal what is closest to it and works."""
    try:
        yield
    except UnsupportedError as error:
        raise UnsupportedError(
            error.found,
            node=error.node,
            wanted=error.wanted,
            advice=". ".join(
                [
                    *([error.advice.rstrip(".")] if error.advice else []),
                    "Closest that works: " + "; or ".join(closest((error, *error.others))),
                ]
            ),
        ) from error
