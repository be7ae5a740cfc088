"""What was counted and modelled, as frozen values.

Stages and driver add up to the total. Cycles are None where there is no model.
"""

from __future__ import annotations

from dataclasses import dataclass

LABEL = "modelled, zero-wait memory"


@dataclass(frozen=True)
class Cost:
    """The cost of one inference or a part of it. `modelled_cycles`: None if unknown.
    `unaligned_cycles`: what unaligned loads and stores cost besides, one cycle for each bus access
    beyond the first; None if not counted."""

    instructions: int
    modelled_cycles: int | None
    unaligned_cycles: int | None = None

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.instructions + other.instructions,
            _sum(self.modelled_cycles, other.modelled_cycles),
            _sum(self.unaligned_cycles, other.unaligned_cycles),
        )


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second


@dataclass(frozen=True)
class CostResult:
    """One inference, by stage.

    `driver` is the network's own loop (rows, rings, copies), `harness` what the bench app adds
    (its input, its marks), which is no part of an inference nor of `total`. `model` says how
    cycles were made; `notes` are lines for a person.
    """

    stages: tuple[Cost, ...]
    driver: Cost
    harness: Cost
    model: str
    notes: tuple[str, ...]

    @property
    def total(self) -> Cost:
        """Stages and driver."""
        return sum(self.stages, self.driver)
