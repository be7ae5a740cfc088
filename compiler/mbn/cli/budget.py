"""--fail-over: budgets that a build must keep, for CI.

What enters: text such as flash=300k,ram=24k,ms=60; then what was compiled. What leaves: a line for
each that is exceeded. Always holds: milliseconds are measured where a board was, else modelled,
else predicted, and the line says which.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from mbn.core.errors import PlanError, UsageError
from mbn.report import Report

if TYPE_CHECKING:
    import mbn

_PART = re.compile(r"(flash|ram)=(\d+(?:\.\d+)?)([kKmM]?)|ms=(\d+(?:\.\d+)?)")
_TIMES = {"": 1, "k": 1024, "m": 1024 * 1024}
Budgets = Mapping[str, float]


def budgets(text: str) -> Budgets:
    """--fail-over's value: bytes of flash and RAM, milliseconds."""
    found: dict[str, float] = {}
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise argparse.ArgumentTypeError(f"{part!r}; wanted: flash=300k,ram=24k,ms=60")
        if match[4] is not None:
            found["ms"] = float(match[4])
        else:
            found[match[1]] = float(match[2]) * _TIMES[match[3].lower()]
    return found


def add_budgets(made: argparse._ActionsContainer) -> None:
    """--fail-over."""
    made.add_argument(
        "--fail-over",
        type=budgets,
        metavar="flash=300k,ram=24k,ms=60",
        help="exit code 3 if it takes more, for CI; k and M are of 1,024",
    )


def exceeded(compiled: mbn.Compiled, report: Report, wanted: Budgets) -> list[str]:
    """A line for each budget that is not kept. UsageError for a time that nothing tells."""
    lines = []
    for what, found in (
        ("flash", report.memory.flash_bytes),
        ("ram", report.memory.static_ram_bytes),
    ):
        if what in wanted and found > wanted[what]:
            name = what if what == "flash" else "RAM"
            lines.append(f"over budget: {name} {found:,} of {wanted[what]:,.0f} bytes")
    if "ms" in wanted:
        time_ms, how = _time(compiled, report)
        if time_ms > wanted["ms"]:
            lines.append(f"over budget: {time_ms:.1f} of {wanted['ms']:g} ms, {how}")
    return lines


def judge(compiled: mbn.Compiled, report: Report, wanted: Budgets | None, console: Console) -> int:
    """Prints what is over budget; the exit code."""
    lines = exceeded(compiled, report, wanted or {})
    for line in lines:
        console.print(line, style="bold red")
    if wanted and not lines:
        console.print("within budget", style="bold green")
    return PlanError.exit_code if lines else 0


def _time(compiled: mbn.Compiled, report: Report) -> tuple[float, str]:
    check, clock_hz = report.check, compiled.board.clock_hz
    if not clock_hz:
        raise UsageError(f"--fail-over ms for {compiled.board.name}", wanted="a board with a clock")
    if check is not None and check.measured_cycles is not None:
        return check.measured_cycles / clock_hz * 1e3, "measured"
    if check is not None and check.modelled_cycles is not None:
        return check.modelled_cycles / clock_hz * 1e3, "modelled for zero-wait memory"
    if compiled.prediction is None:
        raise UsageError(
            "--fail-over ms where nothing tells the time", wanted="--check, which counts cycles"
        )
    return compiled.prediction.total / clock_hz * 1e3, "predicted for zero-wait memory"
