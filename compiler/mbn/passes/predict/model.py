"""Predicted cycles by stage, and each stage's floor.

The coefficients come from coefficients.json, which `benchmarks/predict.py --fit` writes. A
`Prediction` is None for a core that was not fitted, or was fitted with other kernels. Cycles are
those that emulation would model for zero-wait memory. The file states the error, measured on
networks that were not used for the fit. A kind of stage that was not fitted has no prediction.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from mbn.core.network import Network
from mbn.core.schedule import BandOption
from mbn.core.target import Board, Core
from mbn.passes.predict.features import Features, driver_features, stage_features
from mbn.passes.predict.waits import Times, milliseconds

FILE_NAME = "coefficients.json"
DRIVER = "driver"


@dataclass(frozen=True)
class StagePrediction:
    """Predicted cycles of a stage, None if its kind was not fitted. `floor`: no kernel can be
    faster. `measured`: the tuner measured it, in emulation or on a board; otherwise the model
    predicts it."""

    cycles: int | None
    floor: int
    measured: bool = False


@dataclass(frozen=True)
class Prediction:
    """The cycles of one inference. `total` is the driver and all stages with a prediction;
    `unknown` lists the others. `error_percent` is the largest error for a whole network that was
    not used for the fit."""

    stages: tuple[StagePrediction, ...]
    total: int
    unknown: int
    mean_error_percent: float
    error_percent: float
    instructions_per_cycle: float

    def times(self, macs: int, board: Board) -> Times | None:
        """Milliseconds on the board; None if the board has no clock. macs: those whose weights lie
        in flash."""
        instructions = self.total * self.instructions_per_cycle
        return milliseconds(self.total, macs, instructions, board)


def prediction_of(data: Mapping[str, Any] | None) -> Prediction | None:
    """What `dataclasses.asdict` made of a prediction."""
    if data is None:
        return None
    stages = tuple(StagePrediction(**one) for one in data["stages"])
    return Prediction(**{**data, "stages": stages})


@cache
def load() -> Mapping[str, Any]:
    """Reads coefficients.json, by core."""
    text = resources.files("mbn.passes.predict").joinpath(FILE_NAME).read_text(encoding="utf-8")
    cores: dict[str, Any] = json.loads(text)["cores"]
    return cores


def predict(
    core: Core,
    network: Network,
    options: Sequence[BandOption],
    fitted: Mapping[str, Any] | None = None,
) -> Prediction | None:
    """Predicts one inference, with image rows streamed. `network` is what is computed (with or
    without constant channels). `options` says how its stages are built; measured ones use their
    measurement. `fitted`: other coefficients than the bundled ones."""
    found = (load() if fitted is None else fitted).get(core.name)
    if found is None or found["kernels"] != core.kernels.name or core.limits is None:
        return None
    known: dict[str, dict[str, float]] = found["coefficients"]
    stages = []
    for stage, option in zip(network.stages, options, strict=True):
        counts = stage_features(network, stage, option.rows, core.kernels)
        fit = _cycles(known, str(stage.kind), counts)
        cycles = option.cycles if option.measured else fit
        floor = math.ceil(network.stage_macs(stage) / core.limits.macs_per_cycle)
        stages.append(StagePrediction(cycles, floor, option.measured))
    bands = [option.rows for option in options]
    driver = _cycles(known, DRIVER, driver_features(network, bands)) or 0
    return Prediction(
        tuple(stages),
        driver + sum(stage.cycles or 0 for stage in stages),
        sum(stage.cycles is None for stage in stages),
        found["held_out"]["mean_percent"],
        found["held_out"]["largest_percent"],
        found["instructions_per_cycle"],
    )


def _cycles(known: Mapping[str, Mapping[str, float]], kind: str, counts: Features) -> int | None:
    if kind not in known:
        return None
    return round(sum(known[kind].get(name, 0.0) * count for name, count in counts.items()))
