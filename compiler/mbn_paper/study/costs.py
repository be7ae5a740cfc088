"""What a network of the study takes on a board: it runs in emulation, every output bit compared.

What enters: a network's int8 file, or a network whose weights are drawn. What leaves: `Costs`.
Always holds: no figure without a run whose every bit was the reference's. Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mbn.core.boards import find_board
from mbn.core.errors import BoardError, CheckError, PlanError
from mbn.core.telling import SILENT
from mbn.jobs.compile import Job, check_image, compile_image
from mbn.jobs.lower import sources
from mbn.report.record import Report
from mbn.train.random_weights import random_qdq
from mbn_paper.study.designs import Variant

CHECKED_IMAGES = 4
DRAWN_SEED = 1
HOST = "host"


@dataclass(frozen=True)
class Costs:
    """Bytes of the arena and modelled cycles on the board that was asked for. Where the network
    does not fit that one (`why_not`), its C ran on the host, and both are None."""

    board: str
    arena_bytes: int | None
    cycles: int | None
    why_not: str = ""

    def __str__(self) -> str:
        return f"arena {self.arena_bytes:,} bytes, {self.cycles:,} cycles"


def drawn(variant: Variant, classes: int, stem_stride: int, path: Path) -> Path:
    """Writes the network with drawn weights as an int8 file, as the quantiser would."""
    model = random_qdq(
        variant.alpha,
        variant.resolution,
        classes,
        seed=DRAWN_SEED,
        form=variant.form,
        stem_stride=stem_stride,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def costs(int8: Path, board: str) -> Costs:
    """Compiles an int8 file for an emulated board, into a folder beside the file, checks every
    output bit of CHECKED_IMAGES drawn pictures there, and counts. Raises MbnError where a bit
    differs."""
    try:
        report = _checked(int8, board)
    except (PlanError, BoardError) as error:
        _checked(int8, HOST)
        return Costs(HOST, None, None, str(error).splitlines()[0].rstrip(":"))
    assert report.check is not None
    return Costs(board, report.memory.arena_bytes, report.check.modelled_cycles)


def _checked(int8: Path, board: str) -> Report:
    request = sources.Request(onnx=int8, samples=CHECKED_IMAGES)
    job = Job(request, find_board(board), output=int8.parent / board)
    report = check_image(compile_image(job, SILENT), SILENT)
    check = report.check
    assert check is not None
    if check.exact_samples != check.samples:
        raise CheckError(
            f"{check.exact_samples} of {check.samples} samples are exact",
            node=str(int8),
            wanted="every bit equal to the reference",
            advice="Please report it with this file",
        )
    return report
