"""What the study measured and logged: one JSON object a line.

What enters: a JSON-lines file. What leaves: `Result`s, one a training, or `Epoch`s, in the file's
order. Always holds: a line is
written in one piece when its training is over, so an interruption loses none; what can't be read is
refused with its line. Nothing here needs torch or TVM.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

from mbn.core.errors import ModelError
from mbn.core.files import read_text

_DATA = Path(__file__).parents[1] / "data"
BUNDLED = _DATA / "study.jsonl"
BUNDLED_LOG = _DATA / "study_log.jsonl"
RESULTS, LOG = "results.jsonl", "log.jsonl"  # in a study's folder


Line = TypeVar("Line", "Result", "Epoch")
Key = tuple[str, str, float, int]  # study, form, alpha, resolution


@dataclass(frozen=True)
class Result:
    """One training. `macs` and `params` as the paper counts them (no biases); percentages are
    top-1 on the same `images` test images, int8 by the exact integer reference (None: the float
    network was not at hand). `arena_bytes` (activations, image rows streamed in) and `cycles`
    (modelled, Cortex-M4) are of one run of the network on the board `ran_on`, every output bit
    compared: with trained weights, of whichever seed had them, or `drawn` ones. All None where
    none ran; arena and cycles are None where it ran on the host alone. `seconds`: CPU time of the
    training's process; on a GPU, the clock's; None where it is not known."""

    study: str
    design: str  # a name of mbn_paper.study.designs
    network: str  # a mbn.core.family.Form
    alpha: float
    resolution: int
    stem_stride: int
    classes: int
    seed: int
    epochs: int
    macs: int
    params: int
    float_percent: float
    int8_percent: float | None
    images: int
    arena_bytes: int | None
    cycles: int | None
    ran_on: str | None
    drawn: bool
    seconds: int | None
    machine: str  # what trained it
    command: str  # that trains it anew

    @property
    def variant(self) -> Key:
        """What all seeds of a network share."""
        return self.study, self.network, self.alpha, self.resolution


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training: its mean loss, and CPU seconds of the training's process so far
    (None: not known)."""

    study: str
    network: str
    alpha: float
    resolution: int
    seed: int
    epoch: int  # from 1
    loss: float
    seconds: float | None


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


def change(path: Path, changed: Callable[[Result], Result]) -> None:
    """Writes what `changed` makes of each result, all in one step."""
    part = path.with_suffix(".part")
    lines = [json.dumps(asdict(changed(one))) + "\n" for one in read(path)]
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(path)
