"""Quantises a float last layer behind int8 ones.

What enters: a QDQ model, its input's form, calibration samples. What leaves: a model in which each
layer has a scale. The samples go through the integers' own input codes, in ONNX Runtime; a range
is from the least to the largest value seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mbn.core.network import Tensor
from mbn.core.telling import Teller
from mbn.jobs.lower.inputs import InputForm, fed_to
from mbn.jobs.lower.runtime import session_of
from mbn.passes.frontend.float_ends import FloatEnd
from mbn.passes.quantise.last_layer import Range, with_scales

Int8 = NDArray[np.int8]
_ANY: Range = (-1.0, 1.0)


def with_any_scales(model: Any, ends: Sequence[FloatEnd]) -> Any:
    """A model whose stages are the right ones and whose last scales mean nothing yet."""
    return with_scales(model, _layers(ends), {one.result: _ANY for one in ends})


def with_seen_scales(
    model: Any,
    ends: Sequence[FloatEnd],
    codes: Int8,
    form: InputForm,
    source: Tensor,
    path: Path,
    tell: Teller,
) -> Any:
    """The model with scales for what the layers give on `codes` (N x height x width x channel);
    `path` is the file's, for errors."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    session = session_of(copied, [one.result for one in ends], path, optimised=False)
    seen: dict[str, Range] = {}
    with tell.task("calibrating the last layer", len(codes)) as step:
        for number, image in enumerate(codes, 1):
            fed = fed_to(session, image[None], source, form)
            results = session.run(None, {session.get_inputs()[0].name: fed})
            for one, values in zip(session.get_outputs(), results, strict=True):
                low, high = seen.get(one.name, (0.0, 0.0))
                seen[one.name] = min(low, float(values.min())), max(high, float(values.max()))
            step(number, None)
    return with_scales(model, _layers(ends), seen)


def _layers(ends: Sequence[FloatEnd]) -> dict[str, str]:
    return {one.result: one.layer for one in ends}
