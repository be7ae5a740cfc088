"""A running image and what it answers.

What enters: an image, a board, perhaps a port. What leaves: a `Device`, and what a check of it
found. Always holds: everything goes through pyserial; an emulator started here ends here.
"""

from mbn.harness.device.check import CheckResult, check
from mbn.harness.device.open import open_device
from mbn.harness.device.session import Device

__all__ = ["CheckResult", "Device", "check", "open_device"]
