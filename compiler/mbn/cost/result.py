"""What was counted and modelled.

What enters: figures. What leaves: frozen values. Always holds: stages and driver add up to the
total; cycles are None where there is no model.
"""

from __future__ import annotations

from dataclasses import dataclass

LABEL = "modelled, zero-wait memory"


@dataclass(frozen=True)
class Cost:
    """Of one inference or a part of it. `modelled_cycles`: None where they are unknown."""

    instructions: int
    modelled_cycles: int | None

    def __add__(self, other: Cost) -> Cost:
        known = self.modelled_cycles is not None and other.modelled_cycles is not None
        cycles = (self.modelled_cycles or 0) + (other.modelled_cycles or 0)
        return Cost(self.instructions + other.instructions, cycles if known else None)


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
