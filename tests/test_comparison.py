"""The picture that compares compilers: it is what the data say, and the data are what is measured.

What enters: benchmarks/comparison.py, its data, the record. What leaves: failures. Always holds:
nothing is built or run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import comparison
import record

SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_is_what_the_data_say() -> None:
    data = comparison.load()
    picture = comparison.PICTURE.read_text(encoding="utf-8")
    assert picture == comparison.svg(data), "python benchmarks/comparison.py draws it"
    root = ElementTree.fromstring(picture)
    drawn = [bar for one in comparison.panels(data) for bar in one.bars]
    words = [text.text or "" for text in root.iter(f"{SVG}text")]
    for bar in drawn:
        assert bar.who in words
        assert bar.value is None or bar.note in data["sources"]
    width = float(root.attrib["viewBox"].split()[2])
    bars = [r for r in root.iter(f"{SVG}rect") if r.get("class") != "sheet"]
    assert len(bars) >= sum(bar.value is not None for bar in drawn)
    assert all(float(r.attrib["x"]) + float(r.attrib["width"]) < width for r in bars)


def test_our_figures_are_those_of_the_record() -> None:
    held = json.loads(record.RECORD.read_text(encoding="utf-8"))["networks"]["a"]
    assert record.NETWORKS["a"] == comparison.NETWORKS[comparison.COMPUTED]
    ours = comparison.load()["ours"][comparison.COMPUTED]
    for core, board in comparison.BOARDS.items():
        if board in held:
            for mine, its in (("cycles", "modelled_cycles"), ("flash", "flash_bytes")):
                apart = abs(ours[core][mine] / held[board][its] - 1)
                assert apart < 0.02, f"{core}: python benchmarks/comparison.py --measure FILE"


def test_what_has_no_source_is_a_dash() -> None:
    data = comparison.load()
    rows = {
        line.split("|")[1].strip(): line for line in comparison.markdown(data).splitlines()[2:7]
    }
    assert rows["TinyEngine"].count("| - ") == 4  # M33, M55, RAM, flash
    for core in comparison.BOARDS:
        assert f"{data['ours']['mbn'][core]['cycles'] / 1e6:.3g} (a)" in rows["mbn"]
