"""Who may import whom: the contracts of .importlinter.

What enters: compiler/, and copies of it with a violation planted. What leaves: failures. Always
holds: each kind of contract is seen to fail where it is broken.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Where a line is planted, the line, and the contract that it breaks
VIOLATIONS = {
    "a floor above": (
        "mbn/core/elf.py",
        "import mbn.jobs.compile",
        "A floor imports only what is below it",
    ),
    "another room": (
        "mbn/passes/plan/checker.py",
        "import mbn.passes.emit",
        "A pass imports no other pass",
    ),
    "the arithmetic in the reference": (
        "mbn/exact/integer.py",
        "import mbn.arithmetic",
        "Only passes and jobs derive integers",
    ),
    "another job": (
        "mbn/jobs/inspect.py",
        "import mbn.jobs.flash",
        "A job imports compile, check and lower, and no other job",
    ),
    "a command past the API": (
        "mbn/cli/inspect.py",
        "import mbn.jobs.inspect",
        "The commands use the Python API",
    ),
    "the paper": (
        "mbn/report/table.py",
        "import mbn_paper.study.results",
        "The product does not know the paper's study",
    ),
    "TVM where only a board is needed": (
        "mbn/harness/device/link.py",
        "import tvm",
        "What flashes, checks and reports runs without TVM, torch and ONNX",
    ),
}


def lint(compiler: Path) -> subprocess.CompletedProcess[str]:
    """Holds a source root to the contracts."""
    program = "from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, str(ROOT / ".importlinter"), "--no-cache"],
        cwd=compiler,
        env={**os.environ, "PYTHONPATH": str(compiler), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contract_is_kept() -> None:
    done = lint(ROOT / "compiler")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("kind", VIOLATIONS)
def test_a_violation_is_found(kind: str, tmp_path: Path) -> None:
    file, line, contract = VIOLATIONS[kind]
    copy = tmp_path / "compiler"
    shutil.copytree(
        ROOT / "compiler", copy, ignore=shutil.ignore_patterns("__pycache__", "*.onnx", "*.jsonl")
    )
    with (copy / file).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    done = lint(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    broken = said.split("Broken contracts")[1]
    assert contract in broken
    assert file.removesuffix(".py").replace("/", ".") in broken
