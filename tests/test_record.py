"""Cost against the record: nothing rises by more than 0.5 % unless record.json rises with it.

What enters: benchmarks/record.py and its record.json. What leaves: failures that name the figure,
its change and the command that updates the record. Always holds: five of the nine recorded pairs
are built and counted (network `a` on M4, M7 and M55, the others on the M4); the command without
--quick compares all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "record.py"
sys.path.insert(0, str(BENCHMARK.parent))

import record  # noqa: E402


def test_nothing_rises_unseen(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARK), "--quick"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| qemu") == len(record.QUICK)


def test_record_has_every_network_on_every_board() -> None:
    _, figures = record.load(record.RECORD)
    assert set(figures) == set(record.NETWORKS)
    for boards in figures.values():
        assert set(boards) == set(record.BOARDS)
        assert all(set(one) >= set(record.HELD) for one in boards.values())


def test_tolerance() -> None:
    old = {"instructions": 1000, "modelled_cycles": 1, "flash_bytes": 1000, "arena_bytes": 1000}
    assert record.exceeded(old, old | {"instructions": 1005, "modelled_cycles": 9}) == []
    assert record.exceeded(old, old | {"instructions": 1006}) == [
        "instructions 1,000 -> 1,006 (+0.60 %)"
    ]
    assert len(record.exceeded(old, dict.fromkeys(old, 2000))) == 3
    assert record.exceeded(old, dict.fromkeys(old, 1)) == []


def test_rise_says_what_to_do(tmp_path: Path) -> None:
    """A record of less than there is: refused, with the figure and the command."""
    compiler, figures = record.load(record.RECORD)
    figures["a"]["qemu"]["arena_bytes"] -= 1000
    changed = tmp_path / "record.json"
    changed.write_text(json.dumps({"compiler": compiler, "networks": figures}))
    only = "import record, sys; record.QUICK = (('a', 'qemu'),); sys.exit(record.main())"
    done = subprocess.run(
        [sys.executable, "-c", only, "--quick", "--record", str(changed)],
        cwd=BENCHMARK.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a on qemu: arena_bytes" in done.stdout
    assert record.UPDATE in done.stdout
