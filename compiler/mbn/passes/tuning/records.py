"""The tuner's records: a file with a line for each stage signature on a core.

A line is a JSON object that ends in the CRC-32 of the rest of it. A line that is damaged, or was
measured with other kernels, is ignored and reported. A record can only choose among a stage's
candidates, so a bad file can cost speed and nothing else.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from mbn.core.errors import FileError, UsageError
from mbn.core.files import read_text
from mbn.core.schedule import Sharing, Variant, Way

FILE_NAME = "records.jsonl"


@dataclass(frozen=True)
class Point:
    """One way to build a stage, with its cost: cycles of one inference, and bytes of flash.
    `code_bytes` counts the stage's own code, without bodies that other stages share."""

    rows: int
    variant: Variant
    cycles: int
    tables_bytes: int
    code_bytes: int

    @property
    def way(self) -> Way:
        """The band height and variant."""
        return self.rows, self.variant


Key = tuple[str, str, str]  # core, kernel set's version, signature


@dataclass
class Records:
    """Points by core, kernels and signature. `ignored` lists what was skipped in the files, and
    why."""

    points: dict[Key, dict[Way, Point]] = field(default_factory=dict)
    by: dict[Key, str] = field(default_factory=dict)  # where it was measured
    ignored: list[str] = field(default_factory=list)

    def add(self, key: Key, point: Point, by: str) -> None:
        """Adds a point. It replaces a point of the same way."""
        if self.by.get(key, by) != by:
            self.points[key] = {}  # a board's cycles and an emulator's don't compare
        self.by[key] = by
        self.points.setdefault(key, {})[point.way] = point

    def take(self, other: Records) -> None:
        """Adds another's records. If both have a stage, the other's are kept."""
        for key, points in other.points.items():
            for point in points.values():
                self.add(key, point, other.by[key])
        self.ignored += other.ignored

    def of(self, core: str, kernels: str) -> Tuned:
        """The points of a core, measured with its kernels as they are now."""
        return {
            stage: points
            for (of_core, of_kernels, stage), points in self.points.items()
            if (of_core, of_kernels) == (core, kernels)
        }


Tuned = Mapping[str, Mapping[Way, Point]]  # points by signature, of one core


def bundled(versions: Mapping[str, str]) -> Records:
    """The records that come with the compiler. versions: see `read`."""
    file = resources.files("mbn.passes.tuning").joinpath(FILE_NAME)
    return _parse(file.read_text(encoding="utf-8"), FILE_NAME, versions)


def read(path: Path, versions: Mapping[str, str]) -> Records:
    """Reads a file's records. Only those for the kernel sets in `versions` ("dsp": "dsp 1") are
    kept. Raises UsageError if the file is missing or is not text."""
    try:
        return _parse(read_text(path), str(path), versions)
    except (OSError, FileError) as error:
        raise UsageError(
            f"the tuning records {path} can't be read: {error}",
            wanted="a file that mbn-tune wrote",
            advice="mbn-tune --board BOARD ... --records FILE makes one",
        ) from error


def write(records: Records, path: Path) -> None:
    """Replaces the file in one step, lines in order: after an interruption it is the old file or
    the new one."""
    lines = [_line(key, records) for key in sorted(records.points)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_name(path.name + ".new")
    partly.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    partly.replace(path)


def _line(key: Key, records: Records) -> str:
    core, kernels, stage = key
    points = sorted(records.points[key].values(), key=lambda one: (one.rows, _code(one.variant)))
    found = {
        "core": core,
        "kernels": kernels,
        "stage": stage,
        "by": records.by[key],
        "points": [
            [one.rows, _code(one.variant), one.cycles, one.tables_bytes, one.code_bytes]
            for one in points
        ],
    }
    text = json.dumps(found, separators=(",", ":"))
    return f'{text[:-1]},"crc":"{zlib.crc32(text.encode()):08x}"}}'


def _code(variant: Variant) -> int:
    return int(variant.shared)


def _parse(text: str, name: str, versions: Mapping[str, str]) -> Records:
    found, damaged, others = Records(), [], set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = _checked(line)
            points = [_point(values) for values in record["points"]]
            key = (record["core"], record["kernels"], record["stage"])
            by = record["by"]
            if not all(isinstance(one, str) for one in (*key, by)):
                raise TypeError("a name that is not text")
        except (ValueError, KeyError, TypeError, RecursionError):
            damaged.append(number)
            continue
        if key[1] not in versions.values():
            others.add(key[1])
            continue
        for point in points:
            found.add(key, point, by)
    if damaged:
        found.ignored.append(f"{name}: damaged, so ignored: {_lines(damaged)}")
    if others:
        found.ignored.append(
            f"{name}: ignored what was measured with other kernels ({', '.join(sorted(others))}; "
            f"these are {', '.join(sorted(set(versions.values())))})"
        )
    return found


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _checked(line: str) -> dict[str, Any]:
    """The line's object. Raises ValueError if the line was damaged."""
    body, found, crc = line.rpartition(',"crc":"')
    if not found or crc != f'{zlib.crc32((body + "}").encode()):08x}"}}':
        raise ValueError("the line's CRC is wrong")
    record = json.loads(body + "}")
    if not isinstance(record, dict):
        raise ValueError("not an object")
    return record


def _point(values: Iterable[Any]) -> Point:
    rows, shared, cycles, tables, code = (int(value) for value in values)
    return Point(rows, Variant(Sharing(shared)), cycles, tables, code)
