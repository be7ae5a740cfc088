"""What must stay behind what in a run of instructions, for the list schedulers.

What enters: which registers each instruction reads and writes, and how long a result takes. What
leaves: of each instruction those that stand behind it, and the cycles between them at least.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

Lines = tuple[tuple[str, ...], ...]  # mnemonic and operands each; several stay together
Run = list[tuple[Lines, str]]  # with their comments
After = list[dict[int, int]]


class Uses(Protocol):
    """An instruction's registers. Words of memory and flags count as such."""

    @property
    def reads(self) -> Collection[str]: ...

    @property
    def writes(self) -> Collection[str]: ...


def dependences(run: Sequence[Uses], wait: Callable[[int, int, str], int], overwrite: int) -> After:
    """wait: cycles from the start of an instruction (its number is the second argument) that writes
    a register to that of one that reads it (the first). overwrite: cycles from a reader to the next
    writer."""
    after: After = [{} for _ in run]
    writer: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    for number, one in enumerate(run):
        for register in one.reads:
            if register in writer:
                depends(after, number, writer[register], wait(number, writer[register], register))
            readers.setdefault(register, []).append(number)
        for register in one.writes:
            for reader in readers.get(register, ()):
                depends(after, number, reader, overwrite)
            if register in writer:
                depends(after, number, writer[register], 1)
            writer[register], readers[register] = number, []
    return after


def depends(after: After, later: int, earlier: int, cycles: int) -> None:
    """Adds one dependence."""
    if earlier != later:
        after[earlier][later] = max(cycles, after[earlier].get(later, 0))


class Ready:
    """Instructions that nothing which is not yet placed stands before."""

    def __init__(self, after: After) -> None:
        self._after = after
        self._waits, self._starts = [0] * len(after), [0] * len(after)
        for later in (one for found in after for one in found):
            self._waits[later] += 1
        self.numbers = [one for one, count in enumerate(self._waits) if count == 0]

    def start_of(self, number: int) -> int:
        """The first cycle in which it can start."""
        return self._starts[number]

    def place(self, number: int, cycle: int) -> None:
        """It starts in that cycle."""
        self.numbers.remove(number)
        for later, cycles in self._after[number].items():
            self._starts[later] = max(self._starts[later], cycle + cycles)
            self._waits[later] -= 1
            self.numbers.extend([later] if self._waits[later] == 0 else [])


def ways(after: After) -> list[int]:
    """Cycles of the longest way from each instruction to the end."""
    way = [0] * len(after)
    for one in reversed(range(len(after))):
        way[one] = max((cycles + way[later] for later, cycles in after[one].items()), default=0)
    return way
