"""Opens a serial port, and says why it can't be opened.

A port is a device, `socket://` or `rfc2217://`. A device is opened exclusively, and writes to it
have a time limit. Every failure is a `LinkError` that says what to do.
"""

from __future__ import annotations

import errno
import re
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial  # type: ignore[import-untyped]
from serial.tools import list_ports  # type: ignore[import-untyped]

from mbn.core.errors import LinkError

POLL_S = 0.1  # of a read
# What pyserial raises when the other side is gone; TypeError where it was closed while it read
GONE = (serial.SerialException, OSError, TypeError, termios.error)
WRITE_S = 10.0  # an image's part at a slow rate
# socket:// and rfc2217:// with a host, if any, and a port, if any
_ADDRESS = re.compile(r"(socket|rfc2217)://(\[[^\]/?#]*\]|[^:/?#]*)(?::(\d*))?(?=[/?#]|$)", re.I)
RULES = "boards/60-mbn.rules"


@dataclass(frozen=True)
class UsbName:
    """What stays the same of a USB port that goes and comes back under another name: vendor,
    product, serial number, and which of the device's ports it is."""

    vendor: int
    product: int
    serial: str
    interface: str


def usb_name(device: str) -> UsbName | None:
    """That of a port of this computer; None where it has no serial number, or is no USB port."""
    path = Path(device).resolve()
    found = (one for one in list_ports.comports() if Path(one.device).resolve() == path)
    return next(map(_usb_name, found), None)


def port_named(name: UsbName) -> str | None:
    """The port that now bears this name; None while it is away."""
    found = (one.device for one in list_ports.comports() if _usb_name(one) == name)
    return next(found, None)


def _usb_name(one: Any) -> UsbName | None:
    if one.vid is None or not one.serial_number:
        return None
    place = (one.location or "").partition(":")[2]  # bus-port:configuration.interface
    return UsbName(one.vid, one.pid, one.serial_number, place)


def open_port(url: str, baud: int, *, parity: str = serial.PARITY_NONE) -> Any:
    """Opens a port with pyserial. Raises `LinkError`: missing, busy, not allowed."""
    try:
        device = {} if "://" in url else {"exclusive": True, "write_timeout": WRITE_S}
        return serial.serial_for_url(url, baudrate=baud, parity=parity, timeout=POLL_S, **device)
    except (*GONE, ValueError, re.error, AttributeError) as error:
        # pyserial parses hwgrep's pattern and a missing port of socket:// no further than this
        raise _not_opened(url, error) from error


def _not_opened(url: str, error: Exception) -> LinkError:
    address = _ADDRESS.match(url)
    if address and not address[3]:
        return LinkError(
            "no port in the address", wanted=f"{address[1].lower()}://HOST:PORT", node=url
        )
    number = getattr(error, "errno", None)
    text = str(error)
    if isinstance(error, termios.error):
        return LinkError(
            f"the port refuses {error.args[-1]}",
            wanted="the baud rate and parity that the board speaks",
            advice="Take another adapter",
            node=url,
        )
    if number == errno.ENOENT:
        return LinkError(
            "the port does not exist",
            wanted="a serial port",
            advice="mbn-boards lists those that do",
            node=url,
        )
    if number == errno.EACCES:
        return LinkError(
            "the port may not be opened by this user",
            advice=f"cp {RULES} /etc/udev/rules.d/ as root, udevadm control --reload, and plug "
            "the board in again; or, on Debian: adduser $USER dialout, then log in again",
            node=url,
        )
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text:
        return LinkError(
            "the port is busy: another program holds it",
            advice="Close that program (fuser shows its id) and try again",
            node=url,
        )
    return LinkError(f"the port can't be opened: {text}", node=url)
