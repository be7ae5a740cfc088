"""Reads files that others made.

Only regular files are opened, since reading a FIFO or a device might never end. No more is read
than the caller allows.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from mbn.core.errors import FileError

MOST_BYTES = 1 << 30


def open_regular(path: Path, most_bytes: int | None = None) -> BinaryIO:
    """Opens a file for reading. Raises OSError as `open` does, and `FileError` if it is not a
    regular file or is too large."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0))
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise FileError("is not a regular file", wanted="a file", node=str(path))
        if most_bytes is not None and found.st_size > most_bytes:
            raise FileError(
                f"has {found.st_size:,} bytes", wanted=f"at most {most_bytes:,}", node=str(path)
            )
    except BaseException:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read_regular(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The whole file. Raises as `open_regular` does."""
    with open_regular(path, most_bytes) as file:
        return file.read(most_bytes)


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """The whole file as UTF-8. Raises as `read_regular` does, and `FileError` if it is not text."""
    try:
        return read_regular(path, most_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"is not text (byte {error.start})", wanted="UTF-8", node=str(path)
        ) from error
