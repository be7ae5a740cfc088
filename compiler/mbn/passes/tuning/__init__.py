"""What was measured of stages' variants, and which of them to take."""

from mbn.passes.tuning.choose import options
from mbn.passes.tuning.records import Point, Records, Tuned, bundled, read, write
from mbn.passes.tuning.signature import signature

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
