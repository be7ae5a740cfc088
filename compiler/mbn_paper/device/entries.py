"""The paper's models on microcontrollers: what each core spends on them, what each board can hold.

What enters: sizes, boards, runs in emulation. What leaves: a `CoreRow` for each size and core, a
`BoardRow` for each size and board. Always holds: memory is planned for 1000 classes with all
channels computed; instructions and cycles are those of a run where there is one, and predicted
otherwise; a board that can't hold the fastest build is asked again with the smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mbn.core.boards import boards
from mbn.core.family import Shape, shape
from mbn.core.options import InputMode, Optimise
from mbn.core.target import Board
from mbn.jobs.lower import fit
from mbn.jobs.suggest import Cost
from mbn.passes.predict import Times
from mbn_paper.device.plans import Plans
from mbn_paper.device.runs import CLASSES, Key, Run

EMULATED = "emulated"  # what such a board says of how it was tested: it has a made-up clock
OPTIMISE = (Optimise.SPEED, Optimise.SIZE)


@dataclass(frozen=True)
class Size:
    """A model of the paper: width multiplier, rows and columns of its image."""

    alpha: float
    resolution: int

    @property
    def name(self) -> str:
        return f"{self.alpha:g}-{self.resolution}"

    @property
    def key(self) -> tuple[float, int, int]:
        """With the paper's classes."""
        return self.alpha, self.resolution, CLASSES

    @property
    def shape(self) -> Shape:
        return shape(self.alpha, self.resolution, CLASSES)

    @property
    def params(self) -> int:
        return self.shape.params


SIZES = tuple(Size(alpha, resolution) for alpha in fit.ALPHAS for resolution in fit.RESOLUTIONS)


@dataclass(frozen=True)
class CoreRow:
    """A size on a core, memory of any size: plans of both input modes, and the run of its emulated
    board with rows streamed in, if there was one."""

    size: Size
    stream: Cost
    whole: Cost
    run: Run | None

    @property
    def flash_bytes(self) -> int:
        """Of the check firmware: linked, or by the records."""
        return self.stream.flash_bytes if self.run is None else self.run.report.memory.flash_bytes

    @property
    def cycles(self) -> int | None:
        """Modelled, from counted instructions; predicted where nothing ran."""
        counted = None if self.run is None else self._check_figure("modelled_cycles")
        return self.stream.cycles if counted is None else counted

    @property
    def instructions(self) -> int | None:
        """Counted; predicted, at the core's mean of instructions a cycle, where nothing ran."""
        counted = None if self.run is None else self._check_figure("instructions")
        guess = self.stream.prediction
        if counted is not None or guess is None:
            return counted
        return round(guess.total * guess.instructions_per_cycle)

    @property
    def off_percent(self) -> float | None:
        """How far the prediction for what ran is above the cycles of the run."""
        if self.run is None:
            return None
        counted, planned = self._check_figure("modelled_cycles"), self.run.predicted_cycles
        return None if counted is None or planned is None else 100 * (planned / counted - 1)

    @property
    def how(self) -> str:
        """What stands behind the row."""
        if self.run is None:
            return "planned"
        check = self.run.report.check
        assert check is not None
        same = "exact" if self.run.exact else "DIFFERS"
        return f"{check.exact_samples}/{check.samples} {same}"

    def _check_figure(self, name: str) -> int | None:
        assert self.run is not None and self.run.report.check is not None
        found: int | None = getattr(self.run.report.check, name)
        return found


@dataclass(frozen=True)
class BoardRow:
    """A size on a board. `cost`: of the build that fits; where none does, None, and `lacks` says of
    what there is too little."""

    size: Size
    board: Board
    cost: Cost | None
    lacks: tuple[str, ...]

    @property
    def times(self) -> Times | None:
        return None if self.cost is None else self.cost.times

    @property
    def millijoules(self) -> tuple[float, float] | None:
        """Energy of an inference at the board's published current, from zero wait to the upper
        bound with wait states; None where there is no such figure or no time."""
        current, times = self.board.current, self.times
        if current is None or times is None:
            return None
        return current.millijoules(times.zero_wait_ms), current.millijoules(times.upper_ms)

    @property
    def room(self) -> tuple[int, int]:
        """Bytes of the board's flash and RAM: all memories that may hold weights, and data."""
        return tuple(  # type: ignore[return-value]
            sum(one.size_bytes for one in self.board.memories if set(one.holds) & uses)
            for uses in ({"code", "weights"}, {"data", "arena"})
        )


@dataclass(frozen=True)
class Device:
    """All rows, in the order of the sizes and of the boards."""

    cores: tuple[CoreRow, ...]
    boards: tuple[BoardRow, ...]


def smallest(found: Device, size: Size) -> BoardRow | None:
    """Of the boards that hold a size, that with the least flash, then the least RAM."""
    rows = [row for row in found.boards if row.size == size and row.cost is not None]
    return min(rows, key=lambda row: (row.room, row.board.name), default=None)


def real_boards() -> list[Board]:
    """All but this computer and those that are only emulated, whose clocks are made up."""
    return [b for b in boards().values() if b.memories and b.tested != EMULATED]


def device(
    sizes: Sequence[Size],
    cores: Sequence[Board],
    on: Sequence[Board],
    runs: Mapping[Key, Run],
    progress: Callable[[int, int], None] | None = None,
    plans: Plans | None = None,
) -> Device:
    """Plans every size on the cores of `cores` (emulated boards, whose runs are taken) and on
    the boards `on`. progress: sizes done, of how many; plans: those made before, if any."""
    plans = plans or Plans()
    core_rows: list[CoreRow] = []
    board_rows: list[BoardRow] = []
    for number, size in enumerate(sizes):
        if progress:
            progress(number, len(sizes))
        stream, whole = (plans.costs(size.key, cores, mode) for mode in InputMode)
        for board, *costs in zip(cores, stream, whole, strict=True):
            run = runs.get((size.alpha, size.resolution, board.name))
            core_rows.append(CoreRow(size, costs[0], costs[1], run))
        board_rows += _on_boards(size, on, plans)
        plans.save()
    if progress:
        progress(len(sizes), len(sizes))
    return Device(tuple(core_rows), tuple(board_rows))


def _on_boards(size: Size, boards: Sequence[Board], plans: Plans) -> list[BoardRow]:
    """A row a board: the fastest build, or the smallest where only that fits."""
    found: dict[str, BoardRow] = {}
    # no build is smaller than the weights themselves: no plan is needed to refuse those
    least = fit.Demand(size.params, 0, fit.FIRMWARE_CODE_BYTES)
    for board in boards:
        found[board.name] = BoardRow(size, board, None, fit.lacks(least, board))
    for optimise in OPTIMISE:
        open_ = [b for b in boards if found[b.name].cost is None and not fit.lacks(least, b)]
        for cost in plans.costs(size.key, open_, optimise=optimise):
            name = cost.board.name
            lacks = fit.lacks(cost.demand, cost.board)
            found[name] = BoardRow(size, cost.board, None if lacks else cost, lacks)
    return [found[board.name] for board in boards]
