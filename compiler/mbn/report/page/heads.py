"""What the page begins with: each network, whether it is right, and what it takes.

What enters: folders with a report.json. What leaves: a card each. Always holds: a check counts only
for the very image that it was of; one of another build is told as such.
"""

from __future__ import annotations

from collections.abc import Sequence

from mbn.core.boards import boards
from mbn.core.target import core_title
from mbn.report import Check, Report
from mbn.report.page.compiled import Compiled, cycles_of
from mbn.report.page.content import Network

MOST = 6  # cards; where there are more, the table of all comes first


def heads(found: Sequence[Compiled]) -> tuple[Network, ...]:
    """A card for each network; none where there are too many."""
    if len(found) > MOST:
        return ()
    alone = len(found) == 1  # then the page is called as it
    return tuple(
        _head(f"network-{index}", one.report, "On" if alone else f"{one.report.network.name} on")
        for index, one in enumerate(found, 1)
    )


def _head(link: str, report: Report, on: str) -> Network:
    state, verdict = _verdict(report.check)
    return Network(
        f"{on} {report.board}, {core_title(report.core)}",
        link,
        state,
        verdict,
        note(report),
        tuple(_facts(report)),
    )


def _verdict(check: Check | None) -> tuple[str, str]:
    if check is None:
        return "open", "Not checked"
    count = f"{check.exact_samples} of {check.samples}"
    if check.is_exact:
        return "good", f"Every output bit is right: {count} samples"
    return "bad", f"Bits differ: {count} samples are exact"


def note(report: Report) -> str:
    """What was checked, and where; of a check of another build that it was one."""
    check, earlier = report.check, report.earlier_check
    if check is not None:
        build = f", build {check.build_id}" if check.build_id else ""
        differs = f" {check.mismatch}." if check.mismatch else ""
        return f"Checked on: {check.where}{build}.{differs}"
    if earlier is None:
        return "mbn-compile --check, or mbn-check, runs it and compares every output bit."
    count = f"{earlier.exact_samples} of {earlier.samples}"
    return (
        f"The last check, {count} samples exact on {earlier.where}, belonged to another build"
        f" ({earlier.build_id or 'not named'}). This one, {report.build_id}, has other code, and"
        " nothing of it was compared."
    )


def _facts(report: Report) -> list[tuple[str, str]]:
    memory, accuracy = report.memory, report.accuracy
    made = []
    cycles = cycles_of(report)
    if cycles is not None and report.check is not None:
        how = "modelled" if report.check.measured_cycles is None else "by its counter"
        made.append((f"cycles, {how}", f"{cycles:,}"))
        board = boards().get(report.board)
        if board is not None and board.clock_hz:
            wait = " at zero wait" if how == "modelled" else ""
            clock = f"{board.clock_hz / 1e6:g} MHz"
            made.append((f"{clock}{wait}", f"{cycles / board.clock_hz * 1e3:,.1f} ms"))
    made += [
        ("flash, bytes", f"{memory.flash_bytes:,}"),
        ("RAM with stack, bytes", f"{memory.static_ram_bytes + memory.stack_bytes_planned:,}"),
        ("of it the arena", f"{memory.arena_bytes:,}"),
        ("multiply-accumulates", f"{report.network.macs_computed:,}"),
    ]
    if accuracy is not None:
        made.append((f"top-1 on {accuracy.samples:,}", f"{accuracy.int8_percent:.2f} %"))
    return made
