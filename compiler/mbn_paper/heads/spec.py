"""Which heads there are: what each stands for in the paper, and how it is trained at toy scale.

What enters: nothing. What leaves: `HEADS` by name. Always holds: no torch here; a head's training
depends on its `Head` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Head:
    """One head. `outputs`: classes, labels or the length of the vector; `teacher`: the width of the
    network that the student learns from, 0 for none."""

    name: str
    section: str  # of arXiv 1704.04861
    title: str
    task: str  # of our stand-in
    outputs: int
    resolution: int = 64
    alpha: float = 0.25
    teacher: float = 0.0
    steps: int = 1500
    batch: int = 32
    rate: float = 4e-3
    seed: int = 1

    @property
    def network(self) -> str:
        """The name of its files."""
        return f"mobilenet_{self.alpha:g}_{self.resolution}_{self.name}"


_ALL = (
    Head(
        "kinds",
        "4.3",
        "fine-grained classes",
        "which of ten digits in which of twelve hues",
        120,
        steps=4000,
    ),
    Head(
        "places",
        "4.4",
        "geolocation",
        "in which of 64 cells of a drawn world the picture was taken",
        64,
        steps=2000,
    ),
    Head(
        "attributes",
        "4.5",
        "face attributes",
        "ten properties of a digit at once, by distillation",
        10,
        teacher=0.5,
        steps=800,
    ),
    Head(
        "detection",
        "4.6",
        "object detection",
        "one to four digits, each with its box: SSD",
        10,
        resolution=96,
        steps=3000,
    ),
    Head(
        "embedding",
        "4.7",
        "face embeddings",
        "a unit vector, near for the same digit, by distillation",
        32,
        teacher=0.5,
        steps=800,
    ),
)

HEADS: Mapping[str, Head] = {head.name: head for head in _ALL}
