"""How the comparison with ONNX Runtime is judged."""

from __future__ import annotations

import pytest

from mbn.jobs.agreement import Agreement, at_most


@pytest.mark.parametrize(
    ("same", "images", "chance", "holds"),
    [
        (24, 24, 1.0, True),
        (23, 24, 0.1133, True),  # one of a few images shows nothing
        (22, 24, 0.0064, False),
        (98, 100, 0.0898, True),
        (97, 100, 0.0141, False),
        (991, 1000, 0.0676, True),
        (990, 1000, 0.0315, False),
        (9950, 10000, 0.5189, True),
        (0, 2000, 0.0, False),
    ],
)
def test_top1_is_judged_by_what_the_images_show(
    same: int, images: int, chance: float, *, holds: bool
) -> None:
    found = Agreement((), images, same)
    assert at_most(same, images, 0.995) == pytest.approx(chance, abs=1e-4)
    assert found.holds is holds


def test_judgement_says_which() -> None:
    assert "top-1 reaches 99.5 %" in Agreement((), 24, 24).judgement
    assert "not shown to be below 99.5 %: with it, 24 images" in Agreement((), 24, 23).judgement
    assert "chance of 11.3 %" in Agreement((), 24, 23).judgement
    assert "below 99.5 %: with it, 100 images" in Agreement((), 100, 97).judgement
    assert "chance of 1.4 %, wanted: at least 5 %" in Agreement((), 100, 97).judgement
