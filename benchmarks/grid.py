"""The arena of every size of the paper's family, next to simple streaming estimates.

What enters: boards, input modes, which sizes to run. What leaves: a Markdown table: estimated and
planned bytes, and for the sizes that are run in emulation what the device reports of its arena and
its painted stack. Always holds: every plan was replayed by the checker; every size that runs was
compared bit for bit; a size that misses its bound, or differs, makes the exit code 1.

    ./dev python benchmarks/grid.py
    ./dev python benchmarks/grid.py --run 1.0-224 0.25-96 --boards qemu qemu-m55
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path

from mbn import arithmetic
from mbn.cli.run import guarded
from mbn.core.boards import find_board
from mbn.core.executing import HELP, executor
from mbn.core.network import Network
from mbn.core.options import InputMode, Options
from mbn.core.schedule import StageNeeds
from mbn.core.telling import SILENT
from mbn.jobs import compile as compile_job
from mbn.jobs.lower import lowering
from mbn.jobs.lower.fit import ALPHAS, RESOLUTIONS
from mbn.jobs.lower.sources import Request, find_network
from mbn.passes.frontend import lower

# A prefix in rings of three rows, one whole map, then maps laid over each other (bytes, stream).
ESTIMATES = {
    1.0: (226_866, 183_058, 143_346, 107_730, 72_626),
    0.75: (170_658, 137_730, 107_874, 81_090, 54_690),
    0.5: (114_450, 92_402, 72_402, 54_450, 36_754),
    0.25: (58_242, 47_074, 36_930, 27_810, 18_818),
}
SLACK = {"scalar": 1.08, "dsp": 1.08, "mve": 1.25}  # the layouts' alignment


@dataclass(frozen=True)
class Size:
    """One size of the family, and what its least arena should not exceed."""

    alpha: float
    resolution: int

    @property
    def name(self) -> str:
        return f"{self.alpha:g}-{self.resolution}"

    def estimate(self, mode: InputMode) -> float:
        stream = ESTIMATES[self.alpha][RESOLUTIONS.index(self.resolution)]
        image = 3 * self.resolution**2
        if mode is InputMode.STREAM:
            return stream
        return max(stream + 0.6 * image, image + 0.4 * stream)

    def request(self) -> Request:
        return Request(
            alpha=self.alpha,
            resolution=self.resolution,
            classes=1000,
            weights="random:1",
            onnx=None,
            calibrate=None,
            images=None,
            input_range=None,
            samples=1,
        )

    def network(self, folder: Path) -> Network:
        """Lowered, with every channel that it has."""
        found = find_network(self.request(), folder, SILENT)
        return arithmetic.derive_all(lower(found.path, found.name))


SIZES = tuple(Size(alpha, resolution) for alpha in ALPHAS for resolution in RESOLUTIONS)


def bound(size: Size, kernel_set: str, mode: InputMode, needs: tuple[StageNeeds, ...]) -> int:
    """The estimate with the layout's slack; streaming adds a row of the widest streamed tile."""
    tile = max(stage.scratch_bytes // stage.band_rows for stage in needs)
    streamed = tile if mode is InputMode.STREAM else 0
    return int(size.estimate(mode) * SLACK[kernel_set]) + streamed


def measured(size: Size, board: str, mode: InputMode, budget: int | None) -> tuple[bool, str]:
    """Builds and runs a size in emulation: whether it was exact, and its columns of the table."""
    job = compile_job.Job(
        request=size.request(),
        board=find_board(board),
        options=Options(mode, simplify=False, ram_budget=budget),
        output=Path("out") / "benchmarks" / f"grid-{board}-{size.name}-{mode}",
    )
    quiet = SILENT
    report = compile_job.check_image(compile_job.compile_image(job, quiet), quiet)
    check, memory = report.check, report.memory
    assert check is not None
    exact = check.exact_samples == check.samples
    stack = "-" if memory.stack_bytes_painted is None else f"{memory.stack_bytes_painted:,}"
    cycles = "-" if check.modelled_cycles is None else f"{check.modelled_cycles:,}"
    said = "all bits" if exact else "DIFFERENT"
    return exact, f"{memory.arena_bytes:,} | {stack} | {cycles} | {said} on {board}"


def run(arguments: argparse.Namespace) -> int:
    """Prints the table as its lines come."""
    print(
        "| size | input | kernels | estimated | least plan | over | on the device | stack "
        "| cycles | bits |\n|---|---|---|--:|--:|--:|--:|--:|--:|---|"
    )
    good = True
    for well, text in rows_of(arguments):
        good &= well
        print(text, flush=True)
    return 0 if good else 1


def rows_of(arguments: argparse.Namespace) -> Iterator[tuple[bool, str]]:
    """Whether all is well with a line, and the line: in order here, size by size as they come from
    a scheduler's workers."""
    asked = (arguments.boards, arguments.modes, arguments.compile, arguments.run)
    if arguments.scheduler is None:
        for size in SIZES:
            yield from rows(size, *asked)
        return
    with executor(arguments.scheduler) as pool:
        waiting = [pool.submit(all_rows, size, *asked) for size in SIZES]
        for future in as_completed(waiting):
            yield from future.result()


def all_rows(
    size: Size, boards: Sequence[str], modes: Sequence[str], compiles: bool, runs: Sequence[str]
) -> list[tuple[bool, str]]:
    """A size's rows on a worker."""
    return list(rows(size, boards, modes, compiles, runs))


def rows(
    size: Size, boards: Sequence[str], modes: Sequence[str], compiles: bool, runs: Sequence[str]
) -> Iterator[tuple[bool, str]]:
    """Plans one size for each board and mode, and compiles or runs it."""
    network = size.network(Path("out") / "benchmarks" / "onnx")
    for name in boards:
        kernels = find_board(name).core.kernels
        for mode in (InputMode(mode) for mode in modes):
            target = lowering.Target(kernels)
            options = Options(mode, simplify=False, ram_budget=0)
            made = lowering.planned(network, target, options)
            planned_bytes = made.plan.arena_bytes
            within = planned_bytes <= bound(size, kernels.name, mode, made.needs)
            exact, columns = True, "- | - | - | -"
            if compiles:
                lowering.generate(network, target, options)
            if size.name in runs:
                exact, columns = measured(size, name, mode, 0)
            estimate = size.estimate(mode)
            yield (
                within and exact,
                f"| {size.name} | {mode} | {kernels} | {estimate:,.0f} "
                f"| {planned_bytes:,} | {100 * (planned_bytes / estimate - 1):+.1f} % "
                f"| {columns} |" + ("" if within else " **over its bound**"),
            )


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boards", nargs="+", default=["qemu"], help="default: qemu")
    parser.add_argument("--modes", nargs="+", default=[mode.value for mode in InputMode])
    parser.add_argument("--compile", action="store_true", help="lower every size to C through TVM")
    parser.add_argument("--scheduler", metavar="ADDRESS", help=HELP)
    parser.add_argument("--run", nargs="*", default=[], metavar="SIZE", help="as 0.25-96")
    arguments = parser.parse_args()
    return guarded("grid", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
