"""Work on a Dask scheduler: a worker that is killed in the middle loses and doubles nothing.

What enters: a local cluster of two workers. What leaves: nothing but failures. Always holds: each
piece of work gives one result.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path

import pytest

import qdq
from mbn.cli import tune as tune_command
from mbn.core.errors import UsageError
from mbn.core.executing import executor
from mbn_paper.cli import main as paper_command
from mbn_paper.device import runs as device_runs
from mbn_paper.study import results

distributed = pytest.importorskip("distributed", reason="needs the extra `cluster`")


@pytest.fixture
def cluster() -> Iterator[distributed.LocalCluster]:
    """Two workers, each a process with one thread, on loopback."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as made:
        yield made


def piece(number: int) -> tuple[int, int]:
    time.sleep(0.2)
    return number, os.getpid()


def test_a_killed_worker_loses_and_doubles_nothing(cluster: distributed.LocalCluster) -> None:
    taken: list[tuple[int, int]] = []
    with executor(cluster.scheduler_address) as pool:
        for future in as_completed([pool.submit(piece, number) for number in range(16)]):
            taken.append(future.result())
            if len(taken) == 3:
                os.kill(taken[0][1], signal.SIGKILL)
    assert sorted(number for number, _ in taken) == list(range(16))
    assert len({pid for _, pid in taken}) >= 2


def test_what_is_no_scheduler(cluster: distributed.LocalCluster) -> None:
    with pytest.raises(UsageError, match="no scheduler answers"), executor("nonsense://x"):
        pass
    cluster.scale(0)
    while cluster.scheduler_info["workers"]:
        time.sleep(0.05)
    with (
        pytest.raises(UsageError, match="has no worker"),
        executor(cluster.scheduler_address),
    ):
        pass


@pytest.mark.full
def test_sizes_run_on_two_workers(cluster: distributed.LocalCluster, tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    asked = ["device", "0.25-96", "0.25-128", "--run", "--on", "qemu", "--runs", str(file)]
    assert paper_command.main([*asked, "--scheduler", cluster.scheduler_address]) == 0
    lines = file.read_text(encoding="utf-8").splitlines()
    keys = {(0.25, 96, "qemu"), (0.25, 128, "qemu")}
    assert len(lines) == 2 and set(device_runs.read(file).known) == keys


@pytest.mark.full
def test_a_study_is_trained_on_two_workers(
    cluster: distributed.LocalCluster, tmp_path: Path
) -> None:
    """Each training once, with the results of this machine's own processes."""
    pytest.importorskip("torch", reason="needs the extra `train`")
    pytest.importorskip("sklearn", reason="needs the extra `train`")
    asked = ["study", "--data", "digits", "--quick", "--only", "separable_0.1_20", "--seeds", "2"]
    found = []
    for name, more in (
        ("here", ["--jobs", "2"]),
        ("there", ["--scheduler", cluster.scheduler_address]),
    ):
        assert paper_command.main([*asked, *more, "--output", str(tmp_path / name)]) == 0
        lines = results.read(tmp_path / name / "results.jsonl")
        found.append({replace(one, seconds=0) for one in lines})
        assert sorted(one.seed for one in lines) == [1, 2]
    assert found[0] == found[1]


@pytest.mark.full
def test_a_network_is_tuned_on_two_workers(
    cluster: distributed.LocalCluster, tmp_path: Path
) -> None:
    """The records are those of one process."""
    qdq.residual().save(tmp_path / "small.onnx")
    asked = ["--board", "qemu", "--model", str(tmp_path / "small.onnx"), "--quiet"]
    alone, many = tmp_path / "alone.jsonl", tmp_path / "many.jsonl"
    assert tune_command.main([*asked, "--records", str(alone)]) == 0
    many_asked = [*asked, "--records", str(many), "--scheduler", cluster.scheduler_address]
    assert tune_command.main(many_asked) == 0
    assert sorted(alone.read_text().splitlines()) == sorted(many.read_text().splitlines())


@pytest.mark.full
@pytest.mark.full
def test_the_grid_is_planned_on_two_workers(
    cluster: distributed.LocalCluster, tmp_path: Path
) -> None:
    """The lines of one process, in any order."""
    script = Path(__file__).parents[1] / "benchmarks" / "grid.py"
    command = [sys.executable, str(script), "--modes", "stream"]
    tables = []
    for more in ([], ["--scheduler", cluster.scheduler_address]):
        done = subprocess.run(
            [*command, *more], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        tables.append(sorted(done.stdout.splitlines()))
    assert tables[0] == tables[1] and len(tables[0]) == 22
