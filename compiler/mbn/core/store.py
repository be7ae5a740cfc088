"""A folder of things made before, found again by the hash of all that they were made of.

What enters: a key (a SHA-256 in hex) and bytes. What leaves: the bytes, or nothing. Always holds:
the folder belongs to this user and to nobody else (mode 0700, its owner is looked at), or it is not
used; an entry is written beside its place and renamed into it, so that two commands at once see a
whole one or none; its hash is verified when it is read; the oldest go when all are too large.
Whatever the disk does, the worst is that nothing is found.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 512 * 1024 * 1024
ENDING = ".mbn"
_DIGEST = 32


@dataclass(frozen=True)
class Store:
    """Entries in a folder; see `opened`."""

    folder: Path
    most_bytes: int = MOST_BYTES

    def get(self, key: str) -> bytes | None:
        """What was put under the key; None where there is nothing, or where it is damaged."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # it was used: the oldest go first
        return data[_DIGEST:]

    def put(self, key: str, data: bytes) -> None:
        """Keeps bytes under the key, and lets the oldest entries go."""
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
                file.write(hashlib.sha256(data).digest() + data)
            Path(file.name).replace(self._path(key))
            self._trim()
        except OSError:  # a full disk, a folder that was removed
            with suppress(OSError, UnboundLocalError):
                Path(file.name).unlink()

    def _path(self, key: str) -> Path:
        if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
            raise ValueError(key)
        return self.folder / f"{key}{ENDING}"

    def _trim(self) -> None:
        kept = 0
        entries = [(path.stat(), path) for path in self.folder.glob(f"*{ENDING}")]
        for facts, path in sorted(entries, key=lambda one: -one[0].st_mtime_ns):
            kept += facts.st_size
            if kept > self.most_bytes:
                path.unlink(missing_ok=True)


def opened(folder: Path) -> Store | None:
    """The store in a folder, which is made; None where it can't be, or belongs to another."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.lstat()
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return None
    private = facts.st_uid == os.geteuid() and not stat.S_IMODE(facts.st_mode) & 0o077
    return Store(folder) if private and stat.S_ISDIR(facts.st_mode) else None
