"""What a size of the paper's family takes on every board, by planning alone.

What enters: alpha, resolution, classes, boards. What leaves: bytes of flash and RAM, predicted
cycles and milliseconds, board by board (`costs`) or size by size (`suggest`). Always holds: nothing
is lowered, built or run; boards of one core and the same room for an arena share a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mbn.core.errors import BoardError
from mbn.core.network import Network
from mbn.core.options import InputMode, Optimise, Options
from mbn.core.schedule import BandOption
from mbn.core.target import FIRMWARE_BYTES, Board, Core
from mbn.jobs.lower import fit
from mbn.jobs.lower.lowering import Target, bundled_tuning, planned
from mbn.passes.predict import Prediction, Times, family_network, predict
from mbn.passes.tuning import signature


@dataclass(frozen=True)
class Cost:
    """A size on a board, built as `optimise` says. `demand`: its arena is planned; its flash is
    known from the tuner's records, or estimated where those lack a stage. `prediction` and what
    follows from it are None where no model was fitted."""

    board: Board
    optimise: Optimise
    macs: int
    demand: fit.Demand
    prediction: Prediction | None

    @property
    def flash_bytes(self) -> int:
        return self.demand.flash_bytes

    @property
    def ram_bytes(self) -> int:
        """The arena, the check firmware's own data and the stack."""
        return self.demand.arena_bytes + FIRMWARE_BYTES + self.board.stack_bytes

    @property
    def fits(self) -> bool:
        return fit.fits(self.demand, self.board)

    @property
    def cycles(self) -> int | None:
        return None if self.prediction is None else self.prediction.total

    @property
    def times(self) -> Times | None:
        return None if self.prediction is None else self.prediction.times(self.macs, self.board)


@dataclass(frozen=True)
class Suggestion:
    """A size of the family that fits a board, with what it needs and takes."""

    alpha: float
    resolution: int
    macs: int
    demand: fit.Demand
    cycles: int
    times: Times


def costs(
    alpha: float,
    resolution: int,
    classes: int,
    boards: Sequence[Board],
    mode: InputMode = InputMode.STREAM,
    optimise: Optimise = Optimise.SPEED,
) -> list[Cost]:
    """In the boards' order. Raises `UsageError` for a size outside the family."""
    network, size = family_network(alpha, resolution, classes), (alpha, resolution, classes)
    plans: dict[object, tuple[tuple[BandOption, ...], fit.Demand]] = {}
    found = []
    for board in boards:
        key = (board.core.name, board.arena_memories())
        if key not in plans:
            plans[key] = _planned(network, size, board, mode, optimise)
        options, demand = plans[key]
        guess = predict(board.core, network, options)
        found.append(Cost(board, optimise, network.macs, demand, guess))
    return found


def largest(
    resolution: int, classes: int, boards: Sequence[Board], mode: InputMode = InputMode.STREAM
) -> list[float | None]:
    """The family's largest alpha at that resolution that fits each board's memory; None where none
    does."""
    found: list[float | None] = [None] * len(boards)
    for alpha in sorted(fit.ALPHAS, reverse=True):
        open_ = [index for index, one in enumerate(found) if one is None]
        for index, cost in zip(
            open_, costs(alpha, resolution, classes, [boards[i] for i in open_], mode), strict=True
        ):
            found[index] = alpha if cost.fits else None
    return found


def suggest(board: Board, mode: InputMode, classes: int) -> list[Suggestion]:
    """The family's sizes that fit the board's memory, most multiply-accumulates first. The arena is
    planned; for flash see `Cost`. Raises BoardError where there is no clock or no fitted model."""
    found = []
    for alpha in fit.ALPHAS:
        for resolution in fit.RESOLUTIONS:
            (cost,) = costs(alpha, resolution, classes, [board], mode)
            if cost.cycles is None or cost.times is None:
                raise BoardError(
                    f"times on {board.name} can't be predicted",
                    wanted="a board with a clock, and a core and kernels that were fitted",
                    advice="./dev python benchmarks/predict.py --fit fits",
                )
            if cost.fits:
                found.append(
                    Suggestion(alpha, resolution, cost.macs, cost.demand, cost.cycles, cost.times)
                )
    return sorted(found, key=lambda one: -one.macs)


def _planned(
    network: Network,
    size: tuple[float, int, int],
    board: Board,
    mode: InputMode,
    optimise: Optimise,
) -> tuple[tuple[BandOption, ...], fit.Demand]:
    """How the stages of a size are built for the board, by the bundled records, and what it
    takes."""
    kernels = board.core.kernels
    target = Target.of(board, bundled_tuning(board.core))
    made = planned(network, target, Options(mode, optimise))
    options, plan = made.options, made.plan
    recorded = _recorded(network, board.core, options)
    if recorded is None:
        demand = fit.family_demand(*size, kernels, mode)
        return options, replace(demand, arena_bytes=plan.arena_bytes)
    tables, code = recorded
    return options, fit.Demand(tables, plan.arena_bytes, code + fit.FIRMWARE_CODE_BYTES)


def _recorded(
    network: Network, core: Core, options: Sequence[BandOption]
) -> tuple[int, int] | None:
    """Bytes of tables and of the stages' code by the bundled records; equal stages share their
    code. None where the records lack a stage."""
    tuned = bundled_tuning(core)
    tables, code = 0, {}
    for stage, option in zip(network.stages, options, strict=True):
        own = signature(network, stage, core.kernels)
        point = tuned.get(own, {}).get(option.way)
        if point is None:
            return None
        tables += point.tables_bytes
        code[own, option.way] = point.code_bytes
    return tables, sum(code.values())
