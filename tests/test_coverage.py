"""Small public networks, as benchmarks/coverage.py takes them: exact on the emulated M4.

What enters: the smallest networks of its list, exported by torch here. What leaves: failures, and
skips where the library that has a network is not installed. Always holds: each runs in a process
of its own, from the export to the last bit.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import shares

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import coverage

SMALLEST = (
    ("torchvision/shufflenet_v2_x0_5", "torchscript"),
    ("torchvision/mobilenet_v3_small", "dynamo"),
    ("timm/lcnet_050", "torchscript"),
    ("timm/tf_mobilenetv3_small_minimal_100", "dynamo"),
)


@pytest.mark.parametrize("asked", shares.some(SMALLEST), ids="-".join)
def test_a_public_network_is_exact(asked: tuple[str, str]) -> None:
    name, exporter = asked
    library = name.partition("/")[0]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed (pip install {library})")
    found = coverage.isolated(name, exporter, "qemu")
    assert found["outcome"] == "exact", found
    assert found["agrees"] and found["largest"] <= 1


def test_the_page_says_what_the_data_say() -> None:
    folder = Path(__file__).parents[1] / "docs"
    assert coverage.page(coverage.known()) == (folder / "coverage.md").read_text(encoding="utf-8")
