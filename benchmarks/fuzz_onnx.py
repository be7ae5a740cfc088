"""Damages ONNX files and shows what becomes of them.

What enters: how many mutants, and the first one's seed. What leaves: a table of verdicts, and each
failure as it comes. Always holds: every mutant is refused by an MbnError or compiles to C that is
exact; anything else (another exception, a crash, a hang, a gigabyte of memory, a wrong bit) is
shown with its seed and makes the exit code 1.

    ./dev python benchmarks/fuzz_onnx.py                       # 2,000
    ./dev python benchmarks/fuzz_onnx.py --count 1 --first 137 # one again
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from mutants import Pool, Verdict


def main() -> int:
    """Runs the mutants; returns the exit code."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--count", type=int, default=2000)
    made.add_argument("--first", type=int, default=0, help="seed of the first")
    made.add_argument("--workers", type=int, default=2)
    arguments = made.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.count)
    pools: SimpleQueue[Pool] = SimpleQueue()
    for _ in range(arguments.workers):
        pools.put(Pool())

    def one(seed: int) -> Verdict:
        pool = pools.get()
        try:
            return pool.verdict(seed)
        finally:
            pools.put(pool)

    begun, counts = time.monotonic(), Counter[str]()
    with ThreadPoolExecutor(arguments.workers) as threads:
        for verdict in threads.map(one, seeds):
            counts[verdict.outcome] += 1
            if not verdict.good or arguments.count == 1:
                print(f"seed {verdict.seed} ({verdict.what}): {verdict.outcome}\n{verdict.detail}")
                sys.stdout.flush()
    for _ in range(arguments.workers):
        pools.get().__exit__()
    total = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    print(f"{arguments.count} mutants in {time.monotonic() - begun:.0f} s: {total}")
    return 0 if set(counts) <= {"refused", "exact"} else 1


if __name__ == "__main__":
    raise SystemExit(main())
