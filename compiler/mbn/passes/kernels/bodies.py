"""The C functions of runtime/kernels/ that kernels call, with their parameters in C's order.

A kernel calls a body by keyword: `b.call(bodies.DSP_ROW_SUM, sum=..., row=..., width=...)`.
tests/test_bodies.py holds this table to the prototypes in the headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mbn.core.constants import WeightedConstants, rounding_code


@dataclass(frozen=True)
class Body:
    """A C function. parameters: the names in its prototype, in order."""

    name: str
    parameters: tuple[str, ...]

    def in_order(self, given: Mapping[str, Any]) -> list[Any]:
        """The arguments as C takes them."""
        unknown = [name for name in given if name not in self.parameters]
        missing = [name for name in self.parameters if name not in given]
        assert not unknown, f"{self.name} has no parameter {', '.join(unknown)}"
        assert not missing, f"{self.name} is called without {', '.join(missing)}"
        return [given[name] for name in self.parameters]


def _body(name: str, parameters: str) -> Body:
    return Body(name, tuple(parameters.split()))


_END = "shift low high"  # see `ends`

# scalar/kernels.h: values
REQUANTISE = _body("mbn_requantise", "accumulator doubled")
REQUANTISE_SHIFT = _body("mbn_requantise_shift", "accumulator doubled offset shift")
REQUANTISE_TFLITE = _body("mbn_requantise_tflite", "accumulator multiplier offset exponent")
REQUANTISE_TFLITE_ANY = _body(
    "mbn_requantise_tflite_any", "accumulator multiplier zero_point exponent"
)
AVERAGE = _body("mbn_average", "sum count")

# scalar/: rows
ADD = _body("mbn_scalar_add", "a b out count table r low high")
ADD_TFLITE = _body("mbn_scalar_add_tflite", "a b out count table")
SCALAR_BLOCK = _body(
    "mbn_scalar_block", f"x w bias m z e out taps step across pixels channels plane {_END}"
)
SCALAR_DEPTHWISE = _body(
    "mbn_scalar_depthwise",
    f"row0 row1 row2 w bias m z e out stride step pixels left right zero lifted {_END}",
)
SCALAR_COUPLES = _body(
    "mbn_scalar_couples",
    f"tile stream out channels rows width row_bytes plane_bytes taps {_END}",
)
SCALAR_WINDOWS = _body(
    "mbn_scalar_windows",
    "source to channels between beside across stride pixels left right zero lifted",
)
SCALAR_COPY = _body("mbn_scalar_copy", "source to count")
SCALAR_GREATEST = _body("mbn_scalar_greatest", "row count step least")
SOFTMAX = _body("mbn_softmax", "logits out count multiplier left least")
SOFTMAX_APART = _body("mbn_softmax_apart", "logits out count step apart multiplier left least")
NORMALISE = _body("mbn_normalise", "codes out count zero_point")

# dsp/
_FACTOR = "first second doubled offset shift low high"
DSP_ADD = _body("mbn_dsp_add", "a b out count table r low high")
DSP_GATE = _body("mbn_dsp_gate", f"a gate out count {_FACTOR}")
DSP_PRODUCT = _body("mbn_dsp_product", f"a b out count {_FACTOR}")
DSP_TABLE = _body("mbn_dsp_table", "row out count table")
DSP_WIDEN = _body("mbn_dsp_widen", "row tile count")
DSP_VECTOR = _body(
    "mbn_dsp_vector", f"tile stream out plane_bytes pairs step channels words raw {_END}"
)
DSP_PATCH = _body("mbn_dsp_patch", "source tile behind run spill before after zero_point")
DSP_PLANE = _body(
    "mbn_dsp_plane",
    "row0 row1 row2 row3 row4 words out first width taps stride edge zero_point " + _END,
)
DSP_WINDOW = _body(
    "mbn_dsp_window", "row tile column count high plane_bytes width stride edge zero_point alone"
)
DSP_WINDOWS = _body(
    "mbn_dsp_windows", "row0 row1 row2 tile edge count stride left right group zero_point"
)
DSP_ANY_PATCH = _body("mbn_dsp_any_patch", "row0 row1 row2 tile")
DSP_INTERLEAVE = _body("mbn_dsp_interleave", "low high tile both")
DSP_ROW_SUM = _body("mbn_dsp_row_sum", "sum row width")
DSP_DEPTHWISE3X3 = _body(
    "mbn_dsp_depthwise3x3",
    "row0 row1 row2 words tile phase group_halves width outputs stride padding_left zero_point "
    + _END,
)
DSP_DEPTHWISE_BAND = _body(
    "mbn_dsp_depthwise_band",
    "rows words tile lines row_pixels channels pairs channel_words plane_bytes width outputs "
    f"stride padding_left zero_point {_END}",
)
_POINTWISE = "tile stream out plane_bytes"
DSP_BAND = _body(
    "mbn_dsp_band",
    "tile stream out couples channels rows width row_pixels row_bytes plane_bytes pairs raw "
    + _END,
)

# mve/
MVE_ADD = _body("mbn_mve_add", "a b out count table r low high")
MVE_COPY = _body("mbn_mve_copy", "to source count")
MVE_PACK = _body("mbn_mve_pack", "to row plane_bytes channels width left right step zero_point")
MVE_DEPTHWISE_BAND = _body(
    "mbn_mve_depthwise_band",
    "row_pointers words tile rows lines below outputs stride channels plane_bytes left width "
    f"zero_point depth {_END}",
)
MVE_BAND = _body(
    "mbn_mve_band", f"tile stream out channels rows width row_bytes plane_bytes depth {_END}"
)

ALL = tuple(value for value in globals().values() if isinstance(value, Body))


def ends(derived: WeightedConstants) -> dict[str, int]:
    """Arguments that say how a sum becomes int8: shift (or the code of another rounding), clamp."""
    return {"shift": rounding_code(derived), "low": derived.low, "high": derived.high}


def numbered(prefix: str, addresses: list[Any]) -> dict[str, Any]:
    """Arguments row0, row1, ... of the addresses, for the prefix "row"."""
    return {f"{prefix}{index}": address for index, address in enumerate(addresses)}
