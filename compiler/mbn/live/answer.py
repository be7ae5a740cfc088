"""What the page is told: the network and the device, and the answer to one picture.

What enters: values of a job. What leaves: JSON. Always holds: what is unknown is null, never 0;
names of classes are a stranger's text, which the page shows as text.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Facts:
    """What does not depend on the picture."""

    network: str
    board: str  # in words: a board on a port, or emulated
    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    draws: bool  # whether the page offers to draw: the network knows digits
    macs: int
    clock_hz: int | None

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Class:
    """One class. `share`: of one, by the softmax of all outputs."""

    name: str
    code: int
    share: float


@dataclass(frozen=True)
class Stage:
    """One stage; cycles and milliseconds are None where nothing counts or models them."""

    kind: str
    input: str
    output: str
    macs: int
    cycles: int | None
    ms: float | None


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a picture. `classes`: most likely first. `difference`: None where every bit is
    the reference's, else where the first one differs. `counted`: how cycles are known, in words.
    `seen`: uint8 height x width x channel, what the network was given."""

    classes: tuple[Class, ...]
    stages: tuple[Stage, ...]
    cycles: int | None
    ms: float | None
    counted: str
    measured: bool
    difference: str | None
    values: int  # that were compared
    seconds: float  # from the picture to the answer, on this computer
    seen: UInt8

    def json(self) -> dict[str, Any]:
        height, width, channels = self.seen.shape
        pixels = base64.b64encode(np.ascontiguousarray(self.seen).tobytes()).decode("ascii")
        return {
            "classes": [asdict(one) for one in self.classes],
            "stages": [asdict(one) for one in self.stages],
            "cycles": self.cycles,
            "ms": self.ms,
            "counted": self.counted,
            "measured": self.measured,
            "exact": self.difference is None,
            "difference": self.difference,
            "values": self.values,
            "seconds": self.seconds,
            "seen": {"height": height, "width": width, "channels": channels, "pixels": pixels},
        }


class Thinker(Protocol):
    """What the server asks."""

    @property
    def facts(self) -> Facts: ...

    def answer(self, picture: bytes) -> Answer:
        """Of the bytes of a picture file, which may be anything. Raises UsageError for what is no
        picture, other MbnErrors for a device that is gone or answers wrongly. One at a time."""
