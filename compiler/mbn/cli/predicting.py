"""What mbn-compile prints of predicted cycles and times.

What enters: a generated network or a limit, a board. What leaves: tables for people. Always holds:
nothing runs; every figure is called predicted, with the model's measured error, and every time
says for which memory it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

import mbn
from mbn.cli.arguments import plain
from mbn.core.errors import PlanError
from mbn.core.target import Board
from mbn.report import StageFacts
from mbn.report.sheet import Sheet
from mbn.report.table import prediction_table

if TYPE_CHECKING:
    from mbn.passes.predict import Prediction

OPTIONAL = {"MACs": 3, "cycles*": 2, "zero wait": 1}
TITLES = ("alpha", "resolution", "MACs", "flash, about", "arena", "cycles*", "zero wait")


def show(
    name: str,
    stages: Sequence[StageFacts],
    prediction: Prediction | None,
    board: Board,
    optimise: str,
    console: Console,
    fast_stages: Sequence[int] = (),
) -> None:
    """Predicted cycles by stage, and milliseconds; a line where there is no prediction.
    fast_stages: those whose weights lie in fast memory."""
    if prediction is None:
        if not board.native:
            console.print(f"No cycles are predicted for this core or rounding; {COUNT}")
        return
    console.print(
        prediction_table(
            f"{name} on {board.name} ({board.core.name}), predicted",
            stages[: len(prediction.stages)],  # what a detector takes is not predicted
            [stage.cycles for stage in prediction.stages],
            [stage.floor for stage in prediction.stages],
            prediction.total,
        )
    )
    measured = sum(stage.measured for stage in prediction.stages)
    if measured:
        console.print(
            f"*For zero-wait memory: {measured} of {len(prediction.stages)} stages as mbn-tune "
            "measured them, the others predicted. floor: its multiplies alone."
        )
    if measured < len(prediction.stages):
        console.print(
            "*Predicted for zero-wait memory by a model fitted on emulation, not run: on networks "
            f"that were not used\n for the fit the whole was {prediction.mean_error_percent:.1f} % "
            f"off on average, {prediction.error_percent:.1f} % at most. floor: its multiplies "
            "alone."
        )
    if prediction.unknown:
        console.print(
            f"{prediction.unknown} stages of unfitted kinds are not in the whole; {COUNT}"
        )
    if optimise != "speed" and measured < len(prediction.stages):
        console.print(f"The model was fitted for --optimise speed; {COUNT}")
    slow = [stage.macs for number, stage in enumerate(stages) if number not in fast_stages]
    times = prediction.times(sum(slow), board)
    if times:
        console.print(f"time   {times}, at {board.clock_hz / 1e6:g} MHz")


COUNT = "--check counts them in emulation."


def suggest(
    board: Board,
    mode: str,
    classes: int,
    max_ms: float | None,
    console: Console,
    *,
    as_json: bool = False,
) -> int:
    """Lists the family's sizes that fit memory and time; returns exit code 3 where none does."""
    with console.status("planning the family's 20 sizes"):
        sizes = mbn.suggest(board, classes=classes, input_mode=mode)
    within = [one for one in sizes if max_ms is None or one.times.lower_ms <= max_ms]
    limit = "" if max_ms is None else f" and within {max_ms:g} ms"
    if as_json:
        print(json.dumps(plain(within), indent=2))
    if not within:
        fastest = min((one.times.lower_ms for one in sizes), default=None)
        known = "" if fastest is None else f"; the fastest that fits takes {fastest:.1f} ms"
        console.print(f"No size of the family fits {board.name}{limit}{known}")
        return PlanError.exit_code
    waits = within[0].times.wait_states
    table = Sheet(f"Fit {board.name} ({board.core.name}, {board.clock_hz / 1e6:g} MHz){limit}")
    for title in (*TITLES, *((f"{waits} wait states, from", "to") if waits else ())):
        table.column(title, optional=OPTIONAL.get(title, 0))
    for one in within:
        cells = [f"{one.alpha:g}", str(one.resolution), f"{one.macs:,}"]
        cells += [f"{one.demand.flash_bytes:,}"]
        cells += [f"{one.demand.arena_bytes:,}", f"{one.cycles:,}"]
        cells += [f"{one.times.zero_wait_ms:.1f} ms"]
        if waits:
            cells += [f"{one.times.lower_ms:.1f} ms", f"{one.times.upper_ms:.1f} ms"]
        table.add_row(*cells)
    console.print(table)
    console.print("*Predicted for zero-wait memory, all channels computed; nothing was run.")
    if waits:
        console.print(
            "Wait states: from, with all code in the cache or prefetched in time; to, with neither."
            + ("" if max_ms is None else " --max-ms is held against the first.")
        )
    return 0
