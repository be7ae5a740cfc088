"""Writes images into boards: one interface, several methods.

A board is erased, written, read back where possible, and reset. Every step has a time limit and is
tried at most twice. Neither TVM nor a model is needed.
"""

from mbn.harness.flash.interface import Deadline, Flasher, Part
from mbn.harness.flash.payload import Payload, read_payload
from mbn.harness.flash.steps import STEPS, flash

__all__ = ["STEPS", "Deadline", "Flasher", "Part", "Payload", "flash", "read_payload"]
