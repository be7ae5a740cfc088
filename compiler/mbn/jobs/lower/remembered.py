"""What a compilation made, kept so that an identical one need not be made again.

What enters: a request, a board and options; later the files that were written. What leaves: a key,
and the files under it. Always holds: the key is a hash of every input's bytes, of the options, of
our own source, of the compilers and packages, and of the processor: whatever could change a bit of
what is made. Checks are not kept. Files go into one archive of plain bytes and JSON, whose names
are looked at before they are written.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import platform
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import mbn
from mbn.core.store import Store, opened
from mbn.core.target import Board, Image, data_root
from mbn.core.telling import Step, Teller
from mbn.image.build import tools
from mbn.jobs.lower.sources import Request
from mbn.passes.emit import GeneratedNetwork

FACTS = "facts.json"
PACKAGES = ("numpy", "onnx", "onnxruntime", "apache-tvm", "apache-tvm-ffi", "tflite", "pillow")
PROGRAMS = ("cmake", "ninja", "gcc", "arm-none-eabi-gcc", "arm-none-eabi-ld", "arm-none-eabi-as")
DATA = ("runtime", "boards", "firmware", "cmake", "CMakeLists.txt")
LEFT_OUT = ("__pycache__", ".pyc")
BESIDE = b"location"  # in an ONNX file: weights may lie in files beside it
_NOTES = logging.getLogger("mbn")


@dataclass(frozen=True)
class Kept:
    """An archive: facts, and files by their place."""

    facts: dict[str, Any]
    files: Mapping[str, bytes]

    def packed(self) -> bytes:
        """As bytes, for the store."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(FACTS, json.dumps(self.facts))
            for name, data in self.files.items():
                archive.writestr(name, data)
        return made.getvalue()

    @staticmethod
    def unpacked(data: bytes) -> Kept:
        """What `packed` made. ValueError for names that lead out of a folder."""
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if name != FACTS]
            for name in names:
                path = PurePosixPath(name)
                if path.is_absolute() or ".." in path.parts or "\\" in name:
                    raise ValueError(name)
            facts = json.loads(archive.read(FACTS))
            return Kept(facts, {name: archive.read(name) for name in names})


def store() -> Store | None:
    """This user's; None where it can't be used, or CI wants all built anew."""
    if os.environ.get("CI"):
        return None
    import platformdirs  # noqa: PLC0415

    return opened(Path(platformdirs.user_cache_dir("mbn")))


def find(store: Store, key: str) -> Kept | None:
    """What is under the key; None for nothing, and for what is no archive of ours."""
    data = store.get(key)
    try:
        return None if data is None else Kept.unpacked(data)
    except (ValueError, KeyError, zipfile.BadZipFile):
        return None


def key_of(request: Request, records: Sequence[Path] | None, *what: str) -> str | None:
    """The hash of all that something depends on: the request, `what` it is made for, and how; None
    for a network whose inputs are not all known, or can't be read: the compiler will say why."""
    made = hashlib.sha256()
    try:
        _feed(made, "source", *_source())
        _feed(made, "tools", *_tools())
        _feed(made, "what", str(len(what)), *what)
        for one in fields(request):
            value = getattr(request, one.name)
            if isinstance(value, Path):
                _feed(made, one.name, str(value), *_contents(value))
            else:
                _feed(made, one.name, repr(value))
        for path in records or ():
            _feed(made, "records", str(path), *_contents(path))
        _feed(made, "records", repr(records is None))
        if request.onnx is not None and BESIDE in request.onnx.read_bytes():
            return None
    except OSError:
        return None
    return made.hexdigest()


def board_facts(board: Board) -> tuple[str, ...]:
    """All of a board that an image depends on: a user's own is no part of our source."""
    told = {one.name: getattr(board, one.name) for one in fields(board)}
    plain = repr([told[name] for name in told if name not in ("core", "sources", "place", "said")])
    files = [path for one in board.sources for path in (one, *sorted(one.parent.glob("*.h")))]
    hashes = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return (
        board.core.name,
        plain,
        *(f"{path.name} {found}" for path, found in zip(files, hashes, strict=True)),
    )


def _feed(made: Any, *parts: str | bytes) -> None:
    """Each part with its length, so that no two lists of parts give the same bytes."""
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        made.update(len(data).to_bytes(8, "little") + data)


def _contents(path: Path) -> Iterator[str | bytes]:
    """A file's hash, or those of all files in a folder with their names."""
    if not path.is_dir():
        yield hashlib.sha256(path.read_bytes()).digest()
        return
    for one in sorted(path.rglob("*")):
        if one.is_file():
            yield one.relative_to(path).as_posix()
            yield hashlib.sha256(one.read_bytes()).digest()


@cache
def _source() -> tuple[str | bytes, ...]:
    """Our own bytes: an installation may be an editable one."""
    own, root = Path(mbn.__file__).parent, data_root()
    found: list[str | bytes] = [mbn.__version__]
    for place in (own, *(root / name for name in DATA)):
        for one in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if one.is_file() and not any(part in one.as_posix() for part in LEFT_OUT):
                found += [one.relative_to(place.parent).as_posix(), one.read_bytes()]
    return tuple(found)


@cache
def _tools() -> tuple[str, ...]:
    """Python, packages, the compilers on the PATH, the processor."""
    found = [sys.version, sys.platform, platform.machine(), *map(_version, PACKAGES), _processor()]
    for program in PROGRAMS:
        path = shutil.which(program)
        if path is None:
            found.append(f"no {program}")
            continue
        facts = Path(path).resolve().stat()
        found.append(f"{Path(path).resolve()} {facts.st_size} {facts.st_mtime_ns}")
    found += [tools.compiler_version("arm-none-eabi-gcc"), tools.newlib_version()]
    return tuple(found)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _processor() -> str:
    """What it can do decides in which order ONNX Runtime and NumPy add."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def image_facts(image: Image) -> dict[str, Any]:
    """An image's numbers, and which of its files there are."""
    plain = {one.name: getattr(image, one.name) for one in fields(image)}
    del plain["board"]
    files = {end: plain[end].name if plain[end] else None for end in ("elf", "hex", "bin")}
    return {**plain, **files, "memory_bytes": dict(image.memory_bytes)}


def image_of(facts: dict[str, Any], board: Board, folder: Path) -> Image:
    """What `image_facts` said, its files in `folder`."""
    files = {end: folder / facts[end] if facts[end] else None for end in ("elf", "hex", "bin")}
    fast = tuple(facts["fast_stages"])
    return Image(**{**facts, **files, "board": board, "fast_stages": fast})


def write(kept: Kept, folder: Path, work: Path) -> None:
    """Writes the files: of the folder, and beside it. Raises `UsageError` as the compiler does if C
    there was not generated by mbn."""
    texts = {}
    for name, data in kept.files.items():
        place, _, rest = name.partition("/")
        if rest.startswith("c/"):
            texts[rest.removeprefix("c/")] = data.decode()
            continue
        path = (folder if place == "folder" else work) / rest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if path.suffix == ".elf":  # the host's is run
            path.chmod(0o755)
    GeneratedNetwork(texts, 0, ()).write(folder / "c")


class Remembering(Teller):
    """Passes on what is said, and keeps it."""

    def __init__(self, tell: Teller) -> None:
        self.said: list[tuple[str, str | None]] = []
        self._tell = tell

    def say(self, text: str, style: str | None = None) -> None:
        self.said.append((text, style))
        self._tell.say(text, style)

    @contextmanager
    def task(self, what: str, total: int | None = None) -> Iterator[Step]:
        with self._tell.task(what, total) as step:
            yield step


@contextmanager
def notes() -> Iterator[list[str]]:
    """The warnings that are logged meanwhile."""
    found: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler = Kept(logging.WARNING)
    _NOTES.addHandler(handler)
    try:
        yield found
    finally:
        _NOTES.removeHandler(handler)


def again(tell: Teller, said: Sequence[Sequence[str | None]], noted: Sequence[str]) -> None:
    """Says what was said when it was made."""
    for text in noted:
        _NOTES.warning("%s", text)
    for line in said:
        tell.say(str(line[0]), line[1])
