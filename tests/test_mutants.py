"""A fixed share of the damaged ONNX files: benchmarks/fuzz_onnx.py runs all 2,000.

What enters: seeds. What leaves: nothing but failures. Always holds: a mutant is refused by an
MbnError or compiled and exact; the judge itself is tested with verdicts that must fail.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import mutants
import shares

COUNT = int(os.environ.get("MBN_MUTANTS", "0"))


@pytest.mark.parametrize("count", [COUNT] if COUNT else shares.some((30, 100), 30))
def test_mutants_are_refused_or_exact(count: int) -> None:
    with mutants.Pool() as pool:
        verdicts = [pool.verdict(seed) for seed in range(count)]
    bad = [f"seed {one.seed} ({one.what}): {one.outcome}\n{one.detail}" for one in verdicts]
    assert all(one.good for one in verdicts), "\n".join(
        text for text, one in zip(bad, verdicts, strict=True) if not one.good
    )
    exact = sum(one.outcome == "exact" for one in verdicts)
    assert count * 0.08 < exact < count * 0.7  # both ways are tried


def test_equal_seeds_give_equal_mutants() -> None:
    assert [mutants.mutant(seed) for seed in range(20)] == [
        mutants.mutant(seed) for seed in range(20)
    ]


@pytest.mark.parametrize("name", [name for name in mutants.WEIGHTS if "bundled" not in name])
def test_undamaged_files_are_exact(name: str, tmp_path: Path) -> None:
    assert mutants.Judge(tmp_path).judge(0, mutants.bases()[name])[0] == "exact"


def test_crash_and_hang_are_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is stopped, then killed, under the pool's hands."""
    with mutants.Pool() as pool:
        assert pool.verdict(0).good
        os.kill(pool.process_id, signal.SIGSTOP)
        with monkeypatch.context() as patched:
            patched.setattr(mutants, "TIME_LIMIT_S", 0.5)
            assert pool.verdict(1).outcome == "HUNG"
        assert pool.verdict(0).good
        os.kill(pool.process_id, signal.SIGKILL)
        assert pool.verdict(2).outcome == "CRASHED"
        assert pool.verdict(0).good
