"""What a network takes, without building it: plans, inspection, sizes of the family, boards.

What enters: a job, an ONNX file, a size. What leaves: bytes, predicted cycles, plans. Nothing is
built or run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mbn.api.telling import Place, Progress, table, teller
from mbn.core.boards import as_board, boards
from mbn.core.errors import MbnError
from mbn.core.network import Network
from mbn.core.options import InputMode, Rounding
from mbn.core.plan import Plan
from mbn.core.target import Board
from mbn.jobs import compile as compile_job
from mbn.jobs import inspect as inspect_job
from mbn.jobs import suggest as suggest_job
from mbn.jobs.check import stage_facts
from mbn.jobs.compile import Job
from mbn.jobs.lower.fit import Demand, Fit, judged
from mbn.jobs.suggest import Cost, Suggestion
from mbn.passes.frontend import supported
from mbn.passes.frontend.normalisation import Normalisation
from mbn.passes.predict import Prediction
from mbn.report import StageFacts
from mbn.report.memory_map import MemoryMap


@dataclass(frozen=True, eq=False)
class Plans:
    """A network planned for some boards. Each has its plan; the code was compiled once a core."""

    boards: tuple[Board, ...]
    planned: tuple[compile_job.Planned, ...]
    demands: tuple[Demand, ...]

    @property
    def name(self) -> str:
        """The network's."""
        return self.planned[0].generated.network.name

    @property
    def stages(self) -> tuple[StageFacts, ...]:
        """The stages that a device computes: shapes, multiply-accumulates."""
        return stage_facts(self.planned[0].generated.computed)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Board by board, where every map lies in the arena."""
        return tuple(one.generated.plan for one in self.planned)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Board by board, where `compile` would write."""
        return tuple(one.folder for one in self.planned)

    @property
    def fits(self) -> tuple[Fit, ...]:
        """Board by board, bytes needed and available."""
        return tuple(map(judged, self.demands, self.boards))

    @property
    def maps(self) -> tuple[MemoryMap, ...]:
        """Board by board, the arena over time."""
        return tuple(map(compile_job.memory_map, self.planned))

    def prediction(self, index: int) -> Prediction | None:
        """Cycles of an inference on one of the boards."""
        return compile_job.predicted(self.planned[index].generated, self.boards[index])


def plan(asked: Job, chosen: Sequence[Board], *, progress: Progress = None) -> Plans:
    """Lowers and plans a job's network for each of some boards, and compiles its code to count the
    bytes; nothing is built or run."""
    tell = teller(progress)
    planned = compile_job.plan_boards(asked, chosen, tell)
    with tell.task("compiling to count bytes of code"):
        demands = compile_job.demands(planned, chosen)
    return Plans(tuple(chosen), tuple(planned), tuple(demands))


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """What an ONNX file holds. `network` is None where something in it is refused: `refused` says
    all of it, with the node, and `closest` what is closest to each kind of it and works.
    `is_float`: it was quantised with drawn images, so that its scales mean nothing."""

    path: Path
    network: Network | None
    refused: tuple[MbnError, ...]
    is_float: bool
    normalisation: Normalisation | None = None  # which the graph does to its input, if it does
    closest: tuple[str, ...] = ()

    def fits(self, input_mode: str = "stream") -> list[Fit]:
        """Bytes needed and available on every board. Raises what was refused."""
        if self.network is None:
            raise self.refused[0]
        rows = inspect_job.board_demands(self.network, InputMode(input_mode))
        return [judged(demand, board) for board, demand in rows]

    def __repr__(self) -> str:
        if self.network is None:
            return f"<mbn.Inspection {self.path.name}: {len(self.refused)} things refused>"
        return (
            f"<mbn.Inspection {self.path.name}: {len(self.network.stages)} stages, "
            f"{self.network.macs:,} MACs, {self.network.params:,} parameters>"
        )

    def _repr_html_(self) -> str:
        if self.network is None:
            said = [
                *map(str, self.refused),
                *(f"closest that works: {one}" for one in self.closest),
            ]
            return table(repr(self)[1:-1], ("refused",), [(one,) for one in said])
        network = self.network
        rows = [
            (
                f"{index} {stage.kind}",
                network.stage_input(stage).shape_text,
                network.stage_output(stage).shape_text,
                f"{network.stage_macs(stage):,}",
            )
            for index, stage in enumerate(network.stages)
        ]
        return table(repr(self)[1:-1], ("stage", "in", "out", "MACs"), rows)


def inspect(
    model: Place,
    *,
    fused: bool = True,
    rounding: str = "single",
    input_shape: Sequence[int] | None = None,
) -> Inspection:
    """Reads an ONNX or a .tflite file as the compiler does. `input_shape`: as in `compile`. What
    is refused is in the result; ModelError for a file that is neither."""
    with tempfile.TemporaryDirectory() as work:
        found = inspect_job.inspect(
            Path(model),
            Path(work),
            fused=fused,
            rounding=Rounding(rounding),
            input_shape=None if input_shape is None else tuple(input_shape),
        )
    return Inspection(
        Path(model),
        found.network,
        found.refused,
        found.is_float,
        found.normalisation,
        found.closest,
    )


def suggest(
    board: str | Board,
    *,
    max_ms: float | None = None,
    classes: int = 2,
    input_mode: str = "stream",
) -> list[Suggestion]:
    """Sizes of the paper's family that fit a board's memory, and `max_ms` at best, with predicted
    cycles; most multiply-accumulates first. Nothing is built. Raises BoardError where times can't
    be predicted."""
    found = suggest_job.suggest(as_board(board), InputMode(input_mode), classes)
    return [one for one in found if max_ms is None or one.times.lower_ms <= max_ms]


def costs(
    alpha: float, resolution: int, classes: int, chosen: Sequence[Board] | None = None
) -> list[Cost]:
    """Flash and RAM in bytes, predicted cycles and milliseconds of a size of the family, board by
    board (None: all that have memories). Nothing is built."""
    known = chosen if chosen is not None else [one for one in boards().values() if one.memories]
    return suggest_job.costs(alpha, resolution, classes, known)


def largest(resolution: int, classes: int, chosen: Sequence[Board]) -> list[float | None]:
    """The family's largest alpha at that resolution that fits each board's memory; None where none
    does. Nothing is built."""
    return suggest_job.largest(resolution, classes, chosen)


def operators_text() -> str:
    """The ONNX operators that a network may be made of, with what they must be like."""
    return supported.operators_text()
