"""What a size of the paper's family takes on every board, by planning alone.

What enters: alpha, resolution, classes, boards. What leaves: bytes of flash and RAM, predicted
cycles and milliseconds, board by board (`costs`) or size by size (`suggest`). Always holds: nothing
is lowered, built or run; boards of one core and the same room for an arena share a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mbn import fit, ir
from mbn.errors import BoardError
from mbn.lowering import bundled_tuning, planned
from mbn.predict import Times, family_network, predict
from mbn.target import FIRMWARE_BYTES, Board


@dataclass(frozen=True)
class Cost:
    """A size on a board. `flash_bytes` is an estimate, `ram_bytes` the planned arena, the check
    firmware's own data and the stack; `cycles` and `times` are None where no model was fitted."""

    board: Board
    flash_bytes: int
    ram_bytes: int
    fits: bool
    cycles: int | None
    times: Times | None


@dataclass(frozen=True)
class Suggestion:
    """A size of the family that fits a board, with what it needs and takes."""

    alpha: float
    resolution: int
    macs: int
    demand: fit.Demand
    cycles: int
    times: Times


def costs(alpha: float, resolution: int, classes: int, boards: Sequence[Board]) -> list[Cost]:
    """In the boards' order, image rows streamed in. Raises `UsageError` for a size that is none."""
    network, size = family_network(alpha, resolution, classes), (alpha, resolution, classes)
    plans: dict[object, tuple[tuple[ir.BandOption, ...], fit.Demand]] = {}
    found = []
    for board in boards:
        key = (board.core.name, board.arena_memories())
        if key not in plans:
            plans[key] = _planned(network, size, board, ir.InputMode.STREAM)
        options, demand = plans[key]
        guess = predict(board.core, network, options)
        found.append(
            Cost(
                board,
                demand.weights_bytes + fit.CODE_BYTES,
                demand.arena_bytes + FIRMWARE_BYTES + board.stack_bytes,
                fit.fits(demand, board),
                None if guess is None else guess.total,
                None if guess is None else guess.times(network.macs, board),
            )
        )
    return found


def suggest(board: Board, mode: ir.InputMode, classes: int) -> list[Suggestion]:
    """The family's sizes that fit the board's memory, most multiply-accumulates first. Bytes of
    flash are estimated, the arena is planned. Raises BoardError where there is no clock or no
    fitted model."""
    found = []
    for alpha in fit.ALPHAS:
        for resolution in fit.RESOLUTIONS:
            size = (alpha, resolution, classes)
            network = family_network(*size)
            options, demand = _planned(network, size, board, mode)
            guess = predict(board.core, network, options)
            times = None if guess is None else guess.times(network.macs, board)
            if guess is None or times is None:
                raise BoardError(
                    f"times on {board.name} can't be predicted",
                    wanted="a board with a clock, and a core and kernels that were fitted",
                    advice="./dev python benchmarks/predict.py --fit fits",
                )
            if fit.fits(demand, board):
                found.append(
                    Suggestion(alpha, resolution, network.macs, demand, guess.total, times)
                )
    return sorted(found, key=lambda one: -one.macs)


def _planned(
    network: ir.Network, size: tuple[float, int, int], board: Board, mode: ir.InputMode
) -> tuple[tuple[ir.BandOption, ...], fit.Demand]:
    """How the stages of a size are built for the board, by the bundled records, and what it takes:
    flash as estimated, the arena as planned."""
    kernels = board.core.kernels
    options, _, plan = planned(
        network,
        kernels,
        mode,
        memories=board.arena_memories(),
        tuned=bundled_tuning(board.core),
    )
    demand = fit.family_demand(*size, kernels, mode)
    return options, replace(demand, arena_bytes=plan.arena_bytes)
