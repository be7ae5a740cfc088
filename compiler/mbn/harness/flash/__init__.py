"""Writing images into boards: one interface, several ways.

What enters: an image's bytes at addresses, a board. What leaves: a board that was erased, written,
read back where that can be done, and reset. Always holds: every step has a hard limit and one
retry; no TVM and no model is needed here.
"""

from mbn.harness.flash.interface import Deadline, Flasher, Part
from mbn.harness.flash.payload import Payload, read_payload
from mbn.harness.flash.steps import STEPS, flash

__all__ = ["STEPS", "Deadline", "Flasher", "Part", "Payload", "flash", "read_payload"]
