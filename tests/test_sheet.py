"""Tables at several widths: nothing is cut, what is optional goes first, the rest is stacked.

What enters: a table with a long name and large numbers. What leaves: nothing but failures. Always
holds: at any width each cell that is shown is shown whole.
"""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mbn.report.sheet import WIDEST, Sheet

NAME = "/stages/stages.2/blocks/blocks.1/conv_dw"


def table() -> Sheet:
    made = Sheet("two stages")
    made.column("")
    made.column("node", "left")
    made.column("in", optional=1)
    made.column("cycles")
    made.column("share", optional=2)
    made.add_row("0", NAME, "48x48x128", "123,456,789", "97.5 %")
    made.add_row("1", "second", "24x24x256", "1,234", "2.5 %")
    return made


def printed(width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(table())
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 70, 80, 120, WIDEST])
def test_names_and_numbers_are_whole(width: int) -> None:
    text = printed(width)
    assert all(one in text for one in (NAME, "123,456,789", "1,234", "second"))
    assert all(len(line) <= max(width, len(NAME) + 2) for line in text.splitlines())


def test_optional_columns_go_first_and_are_named() -> None:
    wide, medium, narrow = printed(120), printed(72), printed(60)
    assert "97.5 %" in wide and "48x48x128" in wide and "wider" not in wide
    assert "97.5 %" not in medium and "48x48x128" in medium
    assert "a wider terminal, or a pipe, shows: share" in medium
    assert "97.5 %" not in narrow and "48x48x128" not in narrow


def test_what_is_left_is_stacked() -> None:
    assert printed(50).splitlines() == [
        "two stages",
        f"0 {NAME}",
        "  cycles  123,456,789",
        "1 second",
        "  cycles  1,234",
    ]
