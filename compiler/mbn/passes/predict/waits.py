"""Bounds for the time that wait states add to an inference.

It turns zero-wait cycles into milliseconds at zero wait and, if a memory has wait states, a lower
and an upper bound. Nothing is measured here; each figure says which it is. The rules, for a memory
of W wait states whose reads deliver a line of L bytes (`wait_states`, `line_bytes` in board.toml;
each new line costs W cycles):

lower: all code comes from the cache, or is prefetched in time; every weight is read again for each
    group of four output pixels (the kernels' way), in sequence: W cycles for each line of them.
upper: no cache, no prefetch: every line of executed code waits too, instructions of 4 bytes.

Code in fast RAM (`hot`) has no wait states, nor have the weights there. Those of data RAM (the
arena) are not included, nor what fetching code from it over the system bus costs on M3 and M4.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbn.core.target import Board, Memory

INSTRUCTION_BYTES = 4
PIXELS = 4  # outputs for which a weight is read once


@dataclass(frozen=True)
class Times:
    """Milliseconds of one inference. `wait_states` of the slowest memory for code or weights."""

    zero_wait_ms: float
    lower_ms: float
    upper_ms: float
    wait_states: int

    def __str__(self) -> str:
        zero = f"{self.zero_wait_ms:.1f} ms at zero wait"
        if not self.wait_states:
            return zero
        return (
            f"{zero}; with {self.wait_states} wait states {self.lower_ms:.1f} ms (code from "
            f"cache or prefetch) to {self.upper_ms:.1f} ms (neither)"
        )


def milliseconds(cycles: int, macs: int, instructions: float, board: Board) -> Times | None:
    """None where the board has no clock (the host)."""
    if not board.clock_hz:
        return None
    weights = board.memories_for("weights")[:1]
    code = (*board.memories_for("hot"), *board.memories_for("code"))[:1]
    lower = cycles + sum(_waits(memory, macs / PIXELS) for memory in weights)
    upper = lower + sum(_waits(memory, instructions * INSTRUCTION_BYTES) for memory in code)
    per_ms = board.clock_hz / 1000
    slowest = max((memory.wait_states for memory in (*weights, *code)), default=0)
    return Times(cycles / per_ms, lower / per_ms, upper / per_ms, slowest)


def _waits(memory: Memory, read_bytes: float) -> float:
    return memory.wait_states * read_bytes / memory.line_bytes
