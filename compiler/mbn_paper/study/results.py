"""What the study measured and logged: one JSON object a line.

What enters: a JSON-lines file. What leaves: `Result`s, one a training, or `Epoch`s, in the file's
order. Always holds: a line is
written in one piece when its training is over, so an interruption loses none; what can't be read is
refused with its line. Nothing here needs torch or TVM.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from mbn.core.errors import ModelError
from mbn.core.files import read_text

_DATA = Path(__file__).parents[1] / "data"
BUNDLED = _DATA / "study.jsonl"
BUNDLED_LOG = _DATA / "study_log.jsonl"
RESULTS, LOG = "results.jsonl", "log.jsonl"  # in a study's folder


Line = TypeVar("Line", "Result", "Epoch")


@dataclass(frozen=True)
class Result:
    """One training. `macs` and `params` as the paper counts them (no biases); percentages are
    top-1 on the same `images` test images, int8 by the exact integer reference. `arena_bytes`
    (activations, image rows streamed in) and `cycles` (modelled, Cortex-M4) are of the network's
    first seed, checked bit for bit in emulation; None where none was run. `seconds` are of one CPU
    thread."""

    study: str
    network: str  # a mbn.core.family.Form
    alpha: float
    resolution: int
    stem_stride: int
    seed: int
    epochs: int
    macs: int
    params: int
    float_percent: float
    int8_percent: float
    images: int
    arena_bytes: int | None
    cycles: int | None
    seconds: int
    command: str

    @property
    def variant(self) -> tuple[str, str, float, int]:
        """What all seeds of a network share."""
        return self.study, self.network, self.alpha, self.resolution


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training: its mean loss, and CPU seconds of the training's process so far."""

    study: str
    network: str
    alpha: float
    resolution: int
    seed: int
    epoch: int  # from 1
    loss: float
    seconds: float


def read(path: Path = BUNDLED) -> tuple[Result, ...]:
    """The results in a file, the bundled ones by default; none if there is no file. Raises
    ModelError for a line that is not a result."""
    return _read(path, Result)


def read_log(path: Path = BUNDLED_LOG) -> tuple[Epoch, ...]:
    """The epochs in a study's log, as `read`."""
    return _read(path, Epoch)


def _read(path: Path, kind: type[Line]) -> tuple[Line, ...]:
    if not path.exists():
        return ()
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            found.append(kind(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"line {number} is no {kind.__name__.lower()} of a study ({error})",
                node=str(path),
                wanted=f"a JSON object with {', '.join(field.name for field in fields(kind))}",
                advice="Remove the line; what is missing is trained again",
            ) from error
    return tuple(found)


def append(path: Path, line_of: Result | Epoch) -> None:
    """Adds a line in one write, so that trainings that run side by side don't mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(line_of)) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def with_costs(path: Path, costs: Mapping[tuple[str, str, float, int], tuple[int, int]]) -> None:
    """Writes arena bytes and cycles into the results of the variants named, in one step."""
    lines = []
    for one in read(path):
        arena, cycles = costs.get(one.variant, (one.arena_bytes, one.cycles))
        lines.append(json.dumps(asdict(replace(one, arena_bytes=arena, cycles=cycles))) + "\n")
    part = path.with_suffix(".part")
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(path)
