"""What a size of the paper's family takes on every board, by planning alone.

What enters: alpha, resolution, classes, boards. What leaves: bytes of flash and RAM, predicted
cycles and milliseconds, board by board. Always holds: nothing is lowered, built or run; boards of
one core and the same room for an arena share a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mbn import fit, ir
from mbn.lowering import bundled_tuning, planned
from mbn.predict import Times, family_network, milliseconds, predict
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


def costs(alpha: float, resolution: int, classes: int, boards: Sequence[Board]) -> list[Cost]:
    """In the boards' order, image rows streamed in. Raises `UsageError` for a size that is none."""
    network = family_network(alpha, resolution, classes)
    plans: dict[object, tuple[tuple[ir.BandOption, ...], ir.Plan]] = {}
    found = []
    for board in boards:
        kernels, memories = board.core.kernels, board.arena_memories()
        key = (board.core.name, memories)
        if key not in plans:
            options, _, plan = planned(
                network,
                kernels,
                ir.InputMode.STREAM,
                memories=memories,
                tuned=bundled_tuning(board.core),
            )
            plans[key] = options, plan
        options, plan = plans[key]
        estimate = fit.family_demand(alpha, resolution, classes, kernels, ir.InputMode.STREAM)
        demand = replace(estimate, arena_bytes=plan.arena_bytes)
        guess = predict(board.core, network, options)
        times = None
        if guess is not None:
            instructions = guess.total * guess.instructions_per_cycle
            times = milliseconds(guess.total, network.macs, instructions, board)
        found.append(
            Cost(
                board,
                demand.weights_bytes + fit.CODE_BYTES,
                plan.arena_bytes + FIRMWARE_BYTES + board.stack_bytes,
                fit.fits(demand, board),
                None if guess is None else guess.total,
                times,
            )
        )
    return found
