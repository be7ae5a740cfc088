"""A study's trainings, side by side: in processes of this machine, or on a scheduler's workers.

What enters: runs. What leaves: a result each, as they are done. Always holds: a training has one
thread, so results don't depend on how many run beside it; torch is imported in the workers alone.
"""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbn.core.executing import executor
from mbn.train.data import Dataset, load
from mbn.train.pictures import read_split
from mbn_paper.study.results import Result

if TYPE_CHECKING:  # torch
    from mbn_paper.study.run import Run

EVERY = 10  # steps between news
WAIT_S = 0.5

Take = Callable[["Run", Result], None]
News = Callable[[str, int, int, float], None]  # a training's name, steps done, of, loss


def load_data(
    spec: str, resolution: int, folder: Path, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """The data, from what was decoded into `folder` where it is a split."""
    kind, _, path = spec.partition(":")
    if kind == "split" and path:
        return read_split(Path(path), resolution, cache=folder / "pictures", progress=progress)
    return load(spec, resolution)


def perform_all(
    runs: list[Run], folder: Path, jobs: int, scheduler: str | None, take: Take, news: News
) -> None:
    """Performs runs, `jobs` at a time here or on the scheduler's workers, which find data and
    folder under the same names; those tell no news. Raises MbnError."""
    with _pool(jobs, scheduler) as (pool, told):
        pending: dict[Future[Result], Run] = {
            pool.submit(work, one, folder, told): one for one in runs
        }
        while pending:
            done, _ = wait(pending, timeout=WAIT_S, return_when=FIRST_COMPLETED)
            _tell(told, news)
            for future in done:
                take(pending.pop(future), future.result())


@contextmanager
def _pool(jobs: int, scheduler: str | None) -> Iterator[tuple[Executor, Any]]:
    """An executor, and the queue of its news if it has one."""
    if scheduler is not None:
        with executor(scheduler) as pool:
            yield pool, None
        return
    context = multiprocessing.get_context("spawn")  # torch's threads don't survive a fork
    with context.Manager() as manager, ProcessPoolExecutor(jobs, mp_context=context) as pool:
        try:
            yield pool, manager.Queue()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _tell(told: Any, news: News) -> None:
    while told is not None:
        try:
            news(*told.get_nowait())
        except queue.Empty:
            return


def work(one: Run, folder: Path, told: Any) -> Result:
    """One training, in a process of its own."""
    from mbn_paper.study.run import perform  # noqa: PLC0415 - torch

    data = load_data(one.data, one.variant.resolution, folder)

    def progress(step: int, of: int, loss: float) -> None:
        if told is not None and (step % EVERY == 0 or step == of):
            told.put((one.name, step, of, loss))

    return perform(one, data, folder, progress)
