"""Plans of the paper's sizes, kept so that they are made once.

What enters: a size, boards, an input mode, what to optimise for. What leaves: `suggest_job.Cost`s,
and a file. Always holds: the file holds for one state of the compiler and its boards alone (a
digest of their sources is in it); any other, or a damaged one, is planned anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mbn
from mbn.core.options import InputMode, Optimise
from mbn.core.target import Board, data_root
from mbn.jobs import suggest as suggest_job
from mbn.jobs.lower import fit
from mbn.jobs.suggest import Cost
from mbn.passes.predict import Prediction, StagePrediction


class Plans:
    """Made on demand; `path` None: kept in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.digest = "" if path is None else digest()
        self.known: dict[str, Any] = {} if path is None else _read(path, self.digest)
        self.fresh = False

    def costs(
        self,
        size: tuple[float, int, int],
        boards: Sequence[Board],
        mode: InputMode = InputMode.STREAM,
        optimise: Optimise = Optimise.SPEED,
    ) -> list[Cost]:
        """As `suggest_job.costs`; size: alpha, resolution, classes."""
        keys = {board.name: f"{size} {board.name} {mode} {optimise}" for board in boards}
        missing = [board for board in boards if keys[board.name] not in self.known]
        if missing:
            self.fresh = True
            for cost in suggest_job.costs(*size, missing, mode, optimise):
                self.known[keys[cost.board.name]] = _packed(cost)
        return [_cost(board, optimise, self.known[keys[board.name]]) for board in boards]

    def save(self) -> None:
        """Writes what is new, all at once."""
        if self.path is None or not self.fresh:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partly = self.path.with_name(self.path.name + ".new")
        text = json.dumps({"digest": self.digest, "plans": self.known}, sort_keys=True)
        partly.write_text(text + "\n", encoding="utf-8")
        partly.replace(self.path)
        self.fresh = False


def digest() -> str:
    """Of all that a plan may depend on: the compiler's sources and data, and the boards' files."""
    found = hashlib.sha256()
    package = Path(mbn.__file__).parent if mbn.__file__ else data_root() / "compiler" / "mbn"
    files = [
        path
        for kind in ("*.py", "passes/predict/*.json", "passes/tuning/*.jsonl")
        for path in package.rglob(kind)
    ]
    files += (data_root() / "boards").glob("*/board.toml")
    for path in sorted(files):
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _read(path: Path, wanted: str) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        plans: dict[str, Any] = data["plans"]
        for one in plans.values():
            _unpacked(one)
        return plans if data["digest"] == wanted else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _packed(cost: Cost) -> dict[str, Any]:
    guess = cost.prediction
    return {
        "macs": cost.macs,
        "demand": asdict(cost.demand),
        "prediction": None if guess is None else asdict(guess),
    }


def _unpacked(data: dict[str, Any]) -> tuple[int, fit.Demand, Prediction | None]:
    guess = data["prediction"]
    if guess is not None:
        stages = tuple(StagePrediction(**stage) for stage in guess["stages"])
        guess = Prediction(**{**guess, "stages": stages})
    return data["macs"], fit.Demand(**data["demand"]), guess


def _cost(board: Board, optimise: Optimise, data: dict[str, Any]) -> Cost:
    macs, demand, guess = _unpacked(data)
    return Cost(board, optimise, macs, demand, guess)
