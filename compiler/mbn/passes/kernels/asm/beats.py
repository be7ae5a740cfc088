"""Puts a straight run of instructions in the order that a core with Helium likes.

What enters: instructions in the order of their meaning. What leaves: the same ones in another
order, with the same results. Always holds: an instruction stays behind those that write what it
reads, and behind those that read or write what it writes; stores stay in their order, and loads
behind stores to a buffer.

One instruction starts in a cycle. A vector one keeps its unit for two cycles, in which others may
start: so products, loads and the rest go in turns. List scheduling: cycle by cycle, of the
instructions that can start, the one with the longest way to the end, or the one written first; of
these orders and the written one, the quickest. Latencies and units are those of LLVM's model of the
Cortex-M55 (ARMScheduleM55.td), which the modelled cycles come from too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mbn.passes.kernels.asm.dependences import After, Lines, Ready, Run, dependences, ways

_NAME = re.compile(r"[a-z_]\w*")
_RESULTS, _BUFFER = "results", "buffer"  # stand for memory that is written


@dataclass(frozen=True)
class _Kind:
    """unit: "" for a scalar instruction that has none to itself; busy: cycles of it; latency: until
    the result can be read; changes: whether the first operand is read too."""

    unit: str = ""
    busy: int = 2
    latency: int = 1
    changes: bool = False


_KINDS = {
    "vmladav": _Kind("multiply", latency=2),
    "vmladava": _Kind("multiply", latency=2, changes=True),
    "vqrdmulh": _Kind("multiply", latency=2),
    "vmul": _Kind("multiply", latency=2),
    "vrmulh": _Kind("multiply", latency=2),
    **{name: _Kind("memory") for name in ("vldrw", "vldrb", "vstrb", "str", "strd")},
    **{f"vst4{number}": _Kind("memory") for number in range(4)},
    "vqmovnb": _Kind("vector", latency=3, changes=True),
    "vmov": _Kind("vector", changes=True),
    "vshl": _Kind("vector", latency=2, changes=True),
    **{name: _Kind("vector") for name in ("vadd", "vsub", "vshr", "vand", "vdup")},
    **{name: _Kind("vector") for name in ("vmin", "vmax")},
    "movt": _Kind(changes=True),
    "ldr": _Kind("scalar", busy=1, latency=2),
    "ldrd": _Kind("scalar", busy=1, latency=2),
}
_SCALAR = _Kind()


@dataclass(frozen=True)
class _Instruction:
    lines: Lines
    note: str
    kind: _Kind
    reads: frozenset[str]
    writes: frozenset[str]


def ordered(run: Run, names: Mapping[str, str]) -> Run:
    """The run, instructions with their comments, in its new order. names: registers by name."""
    made = [_instruction(lines, names, note) for lines, note in run]
    after = _dependences(made)
    orders = [list(range(len(made))), _listed(made, after, ways(after))]
    orders.append(_listed(made, after, [0] * len(made)))
    best = min(orders, key=lambda order: _cycles(made, after, order))
    return [run[number] for number in best]


def cycles_of(run: Run, names: Mapping[str, str]) -> int:
    """Cycles of a run as it stands."""
    made = [_instruction(lines, names, note) for lines, note in run]
    return _cycles(made, _dependences(made), range(len(made)))


def _instruction(lines: Lines, names: Mapping[str, str], note: str) -> _Instruction:
    """By its text. Several lines are a predicate and what it is for."""
    reads: set[str] = set()
    writes: set[str] = set()
    kind = _SCALAR
    for mnemonic, *operands in lines:
        stem = mnemonic.split(".")[0]
        if stem.startswith("vps"):
            continue
        stem = stem if stem in _KINDS or len(lines) == 1 else stem.removesuffix("t")
        kind = _KINDS.get(stem, _SCALAR)
        stores = stem.startswith(("vst", "str"))
        results = 0 if stores else 2 if stem == "ldrd" else 1
        for place, operand in enumerate(operands):
            at = {names[word] for word in _NAME.findall(operand) if word in names}
            if place < results:
                writes |= at
            else:
                reads |= at
            moves = operand.endswith("!") or place + 1 < len(operands)
            if operand.startswith("[") and moves:
                writes |= at
        if kind.changes:
            reads |= writes
        if stores:  # results are read by nobody here; what else is stored comes back
            memory = _RESULTS if stem == "vstrb" else _BUFFER
            writes.add(memory)
            reads.add(memory)
        elif kind.unit == "memory":
            reads.add(_BUFFER)
    if len(lines) > 2:
        kind = replace(kind, busy=kind.busy * (len(lines) - 1))
    return _Instruction(lines, note, kind, frozenset(reads), frozenset(writes))


def _dependences(run: Sequence[_Instruction]) -> After:
    return dependences(run, lambda _, earlier, __: run[earlier].kind.latency, overwrite=1)


def _listed(run: Sequence[_Instruction], after: After, priority: Sequence[int]) -> list[int]:
    """A list schedule: of the instructions that can start, that of the highest priority, and of
    equal ones the first."""
    ready, free = Ready(after), dict[str, int]()
    found: list[int] = []
    cycle = 0
    while ready.numbers:
        can = [n for n in ready.numbers if ready.start_of(n) <= cycle]
        can = [n for n in can if free.get(run[n].kind.unit, 0) <= cycle]
        one = max(can, key=lambda n: (priority[n], -n), default=None)
        if one is not None:
            found.append(one)
            if run[one].kind.unit:
                free[run[one].kind.unit] = cycle + run[one].kind.busy
            ready.place(one, cycle)
        cycle += 1
    return found


def _cycles(run: Sequence[_Instruction], after: After, order: Sequence[int]) -> int:
    """Cycles of the run in this order."""
    starts, free = [0] * len(run), dict[str, int]()
    cycle = 0
    for number in order:
        kind = run[number].kind
        cycle = max(cycle, starts[number], free.get(kind.unit, 0))
        if kind.unit:
            free[kind.unit] = cycle + kind.busy
        for later, cycles in after[number].items():
            starts[later] = max(starts[later], cycle + cycles)
        cycle += 1
    return cycle
