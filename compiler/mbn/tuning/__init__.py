"""What was measured of stages' variants, and which of them to take."""

from mbn.tuning.choose import options
from mbn.tuning.records import Point, Records, Tuned, bundled, read, write
from mbn.tuning.signature import signature

__all__ = [
    "Point",
    "Records",
    "Tuned",
    "bundled",
    "options",
    "read",
    "signature",
    "write",
]
