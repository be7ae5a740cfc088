"""The table of C bodies in passes/kernels/bodies.py agrees with the headers of runtime/kernels/."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mbn.passes.kernels import bodies
from mbn.passes.kernels.bodies import Body

HEADERS = Path(__file__).parents[1] / "runtime" / "kernels"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
DEFINITION = re.compile(r"\b(mbn_\w+)\(([^(){};]*)\)\s*\{")
FAULTS = (
    ({"sum": 1, "row": 2, "wide": 3}, "mbn_dsp_row_sum has no parameter wide"),
    ({"sum": 1, "row": 2}, "mbn_dsp_row_sum is called without width"),
)


def prototypes() -> dict[str, list[tuple[str, ...]]]:
    """Parameter names of every function that a header defines; each definition of a name."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for header in sorted(HEADERS.rglob("*.h")):
        text = COMMENT.sub("", header.read_text(encoding="utf-8"))
        for name, parameters in DEFINITION.findall(text):
            names = (re.findall(r"\w+", one)[-1] for one in parameters.split(","))
            found.setdefault(name, []).append(tuple(names))
    return found


@pytest.mark.parametrize("body", bodies.ALL, ids=lambda body: body.name)
def test_parameters_are_those_of_c(body: Body) -> None:
    """Names and order, in each definition: portable, and for a core."""
    definitions = prototypes().get(body.name, [])
    assert definitions, f"no header defines {body.name}"
    assert set(definitions) == {body.parameters}


@pytest.mark.parametrize(("given", "message"), FAULTS, ids=("unknown", "missing"))
def test_a_wrong_call_names_the_parameter(given: dict[str, int], message: str) -> None:
    """What is unknown or missing is a fault of ours, named."""
    with pytest.raises(AssertionError, match=message):
        bodies.DSP_ROW_SUM.in_order(given)


def test_arguments_come_in_the_order_of_c() -> None:
    """However a call names them."""
    assert bodies.DSP_ROW_SUM.in_order({"width": 3, "row": 2, "sum": 1}) == [1, 2, 3]
