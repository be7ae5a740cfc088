"""Writes files to a folder that users may change too.

A list in the folder has the files that were written, with their hashes. Only a listed file that is
unchanged is replaced or removed. A listed file that was changed is kept under another name. Other
files are not touched, and nothing is written through a symbolic link.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mbn.core.errors import UsageError

_HEAD = "mbn wrote these files: SHA-256, path"
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_MOST_BYTES = 1 << 20  # of a list
ASIDE = ".yours"  # behind the name of a file that was changed and is replaced


def listed(folder: Path, mark: str) -> dict[str, str] | None:
    """The hash by path of what was written to `folder`; None if there is no list. Raises
    `UsageError` for a list that mbn can't have written."""
    path = folder / mark
    if path.is_symlink() or not path.is_file():
        return None
    if path.stat().st_size > _MOST_BYTES:
        raise _unreadable(path)
    head, *lines = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    found = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None or not _inside(match[2]):
            raise _unreadable(path)
        found[match[2]] = match[1]
    if head != _HEAD:
        raise _unreadable(path)
    return found


def refuse_other(folder: Path, mark: str, what: str) -> None:
    """Raises `UsageError` for a folder that is not empty and was not written as `what`."""
    there = os.path.lexists(folder)
    if there and (not folder.is_dir() or any(folder.iterdir())) and listed(folder, mark) is None:
        raise UsageError(
            f"exists and holds no {what}", advice="Name a new folder", node=str(folder)
        )


def write(folder: Path, mark: str, files: Mapping[str, bytes]) -> list[Path]:
    """Writes `files`, and removes what an earlier call wrote and this one does not. Changed files
    are kept under new names, which are returned."""
    old = listed(folder, mark) or {}
    for path in (*files, *old):
        _refuse_links(folder, path)
    kept = []
    for path in sorted({*files, *old}):
        target = folder / path
        if not os.path.lexists(target):
            continue
        now = _sha256(target.read_bytes()) if target.is_file() else ""
        if path in files and now == _sha256(files[path]):
            continue
        if now != old.get(path):
            kept.append(_aside(target))
        elif path not in files:
            target.unlink()
            _remove_empty(target.parent, folder)
    lines = [_HEAD, *(f"{_sha256(data)}  {path}" for path, data in sorted(files.items()))]
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in {**files, mark: ("\n".join(lines) + "\n").encode()}.items():
        _replace(folder / path, data)
    return kept


def _replace(target: Path, data: bytes) -> None:
    """Replaces a file in one step: after an interruption it is the old file or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # a temporary file is for its owner alone
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _aside(target: Path) -> Path:
    """Renames what lies there to the first free name."""
    count = 0
    while os.path.lexists(to := target.with_name(f"{target.name}{ASIDE}{count or ''}")):
        count += 1
    target.rename(to)
    return to


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _refuse_links(folder: Path, path: str) -> None:
    """A link in place of one of our folders leads out of the export; in place of a file it is one
    that was changed, and is renamed."""
    for parent in list(PurePosixPath(path).parents)[:-1]:
        if (folder / parent).is_symlink():
            raise UsageError(
                "is a symbolic link where a folder is to be written",
                advice="Move it away, or name a new folder",
                node=str(folder / parent),
            )


def _inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and str(pure) == path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _unreadable(path: Path) -> UsageError:
    return UsageError(
        "does not say which files are its own, with their hashes",
        advice="Name a new folder: an older mbn, or another program, wrote this one",
        node=str(path),
    )
