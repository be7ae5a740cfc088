"""Talks to a running image on a board or an emulator.

All bytes go through pyserial. An emulator that was started here is also ended here.
"""

from mbn.harness.device.check import CheckResult, check
from mbn.harness.device.open import open_device
from mbn.harness.device.session import Device

__all__ = ["CheckResult", "Device", "check", "open_device"]
