"""Reads files that others made.

What enters: a path, the most bytes that are wanted. What leaves: the bytes. Always holds: only a
regular file is opened (a FIFO or a device would never end), and no more is read than was said.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mbn.errors import FileError

MOST_BYTES = 1 << 30


def read_regular(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The whole file. Raises OSError as `open` does, `FileError` for no regular file or one that is
    too large."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0))
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise FileError("is no regular file", wanted="a file", node=str(path))
        if found.st_size > most_bytes:
            raise FileError(
                f"has {found.st_size:,} bytes", wanted=f"at most {most_bytes:,}", node=str(path)
            )
        return file.read(most_bytes)


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """The whole file as UTF-8. Raises as `read_regular` does, `FileError` for what is no text."""
    try:
        return read_regular(path, most_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"is no text (byte {error.start})", wanted="UTF-8", node=str(path)
        ) from error
