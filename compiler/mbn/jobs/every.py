"""One network on every board: compiled, run and compared, board after board.

What enters: a job and boards. What leaves: a verdict for each, as it is known. Always holds: what
goes wrong on one board stops no other; every image and report is kept in a folder of its board.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mbn.core.errors import MbnError, PlanError
from mbn.core.target import Board
from mbn.core.telling import SILENT, Teller
from mbn.jobs.compile import Job, check_image, compile_image
from mbn.report import Report


class Outcome(StrEnum):
    """How a board ended."""

    EXACT = "exact"
    DIFFERS = "DIFFERS"
    TOO_LARGE = "does not fit"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Verdict:
    """Of one board. `report`: None where nothing was compiled, or run; `error` then says why."""

    board: Board
    outcome: Outcome
    report: Report | None = None
    error: MbnError | None = None

    def __str__(self) -> str:
        check = None if self.report is None else self.report.check
        if check is None:
            return f"{self.board.name}: {self.outcome}"
        told = f"{check.exact_samples} of {check.samples} exact"
        return f"{self.board.name}: {told}{f', {check.mismatch}' if check.mismatch else ''}"


def check_every(job: Job, chosen: Sequence[Board], tell: Teller) -> Iterator[Verdict]:
    """Compiles and checks for each board; the job's own does not count. A folder that the job
    names gets one for each board."""
    with tell.task("checking", len(chosen)) as step:
        for index, board in enumerate(chosen):
            step(index, doing=f"{board.name}, {index + 1} of {len(chosen)}")
            output = None if job.output is None else job.output / board.name
            verdict = _verdict(replace(job, board=board, output=output))
            tell.say(f"{index + 1:>2} of {len(chosen)}  {verdict}")
            yield verdict


def _verdict(job: Job) -> Verdict:
    try:
        report = check_image(compile_image(job, SILENT), SILENT, unaligned=False)
    except PlanError as error:
        return Verdict(job.board, Outcome.TOO_LARGE, error=error)
    except MbnError as error:
        return Verdict(job.board, Outcome.FAILED, error=error)
    assert report.check is not None
    exact = report.check.exact_samples == report.check.samples
    return Verdict(job.board, Outcome.EXACT if exact else Outcome.DIFFERS, report)
