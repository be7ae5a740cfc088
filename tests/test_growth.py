"""Cost over the family's sizes: the plot is an SVG that says what it shows.

What enters: benchmarks/growth.py. What leaves: failures. Always holds: nothing is built or run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import growth

from mbn.core.boards import find_board
from mbn.jobs.lower.fit import ALPHAS, RESOLUTIONS


def test_large_networks_cost_less_a_multiply() -> None:
    board = find_board("qemu")
    small, large = growth.predicted(0.25, 96, board), growth.predicted(1.0, 128, board)
    assert 0.5 < large.body < small.body < small.whole < 3


def test_plot_has_every_point_inside_its_panel() -> None:
    points = [growth.Point(a, r, 1, 1 + 1 / (a * r), 2) for a in ALPHAS for r in RESOLUTIONS]
    root = ElementTree.fromstring(growth.svg({"qemu": (points, points[:2]), "other": (points, [])}))
    space = "{http://www.w3.org/2000/svg}"
    lines = root.findall(f"{space}polyline")
    assert len(lines) == 2 * len(ALPHAS)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    words = [text.text for text in root.iter(f"{space}text")]
    assert "Cortex-M4F: the 13 blocks" in words and "cycles a multiply-accumulate" in words
    assert words.count("rows of the image") == 2
    for line in lines:
        places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        assert len(places) == len(RESOLUTIONS)
        assert all(0 < x < width and 0 < y < height for x, y in places)
    crosses = [path for path in root.findall(f"{space}path") if "l8 8" in path.attrib["d"]]
    assert len(crosses) == 2


def test_unknown_size_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["growth.py", "--count", "3-7"])
    assert growth.main() == 2
    assert "no such size: 3-7" in capsys.readouterr().err
