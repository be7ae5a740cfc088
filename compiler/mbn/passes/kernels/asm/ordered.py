"""Puts a straight run of instructions in the order that a core with two issue slots likes.

What enters: instructions in the order of their meaning. What leaves: the same ones in another
order, with the same results. Always holds: an instruction stays behind those that write what it
reads, and behind those that read or write what it writes; products that are added up keep their
order, because their unit is the one that is always busy.

List scheduling: cycle by cycle, of the instructions that can start, those with the longest way to
the end, or those written first; of these orders and the written one, the quickest as a loop's body.
Latencies and units are those of LLVM's model of the Cortex-M7 (ARMScheduleM7.td), which the
modelled cycles come from too: two instructions start in a cycle, of each unit one. A packed or
saturating one is the first of the two. Results are written in order, so what takes longer stands
second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mbn.passes.kernels.asm.dependences import After, Ready, Run, dependences, depends, ways

_SLOTS = 2
# mnemonic: units of which there is one each, and cycles until the result can be read
_MODEL = {
    **{f"smla{kind}": ({"multiply"}, 2) for kind in ("d", "bb", "bt", "tb", "tt")},
    "smmulr": ({"multiply"}, 2),
    "smmlar": ({"multiply"}, 2),
    "sxtb16": ({"packed"}, 1),
    "ssat": ({"packed", "shift"}, 2),
    **{store: ({"store"}, 2) for store in ("str", "strb", "strh")},
    "vmov": (set[str](), 3),
    **{shift: ({"shift"}, 1) for shift in ("lsl", "lsr", "asr")},
}
_OTHER = (set[str](), 1)
_TURNS = 3  # of the loop that is tried
# when an instruction reads an operand, in cycles after its start
LATE, USUAL, EARLY = 1, 0, -1


_NAME = re.compile(r"[a-z_]\w*")
_SHIFTS = ("lsl", "lsr", "asr", "ror")


@dataclass(frozen=True)
class Instruction:
    """lines: mnemonic and operands; some that stay together count as one. The registers that are
    written, and those that are read, each with its time: an addend and what is stored are read
    LATE, an address and what is shifted EARLY. shifted: whether an operand is."""

    lines: tuple[tuple[str, ...], ...]
    reads: Mapping[str, int]
    writes: frozenset[str]
    shifted: bool
    note: str = ""

    @property
    def mnemonic(self) -> str:
        return self.lines[0][0]

    @property
    def cycles(self) -> int:
        """Until the result is written."""
        return _MODEL.get(self.mnemonic, _OTHER)[1]

    @property
    def units(self) -> set[str]:
        own = _MODEL.get(self.mnemonic, _OTHER)[0]
        return own | {"shift"} if self.shifted else own

    @property
    def leads(self) -> bool:
        """Whether it can't be the second of a cycle."""
        return "packed" in self.units

    def wait(self, source: Instruction, register: str) -> int:
        """Cycles from the start of `source`, which writes a register, to that of this one."""
        return source.cycles - self.reads[register]


def instruction(
    lines: Sequence[tuple[str, ...]], names: Mapping[str, str], note: str = ""
) -> Instruction:
    """An instruction by its text. names: registers by their names; words of the stack and the
    flags count as registers too."""
    reads: dict[str, int] = {}
    writes: set[str] = set()
    shifted = False
    for mnemonic, *operands in lines:
        store, compares = mnemonic.startswith("str"), mnemonic in ("cmp", "cmn")
        if mnemonic.startswith("it"):
            continue
        for place, operand in enumerate(operands):
            at = [names[word] for word in _NAME.findall(operand) if word in names]
            behind = operands[place + 1] if place + 1 < len(operands) else ""
            if operand.startswith("[sp"):
                at = [operand]
            when = USUAL
            if operand.startswith("["):
                when = EARLY
            elif behind.startswith(_SHIFTS) and mnemonic != "sxtb16":
                when, shifted = EARLY, True
            elif (store and place == 0) or (mnemonic.startswith("sm") and place == 3):
                when = LATE
            written = place == (1 if store else 0) and not compares
            if written and (not store or operand.startswith("[sp")):
                writes |= set(at)
            else:
                reads |= {one: min(when, reads.get(one, when)) for one in at}
        if compares or mnemonic == "subs":
            writes.add("flags")
    if len(lines) > 1:
        reads |= dict.fromkeys(writes - {"flags"}, USUAL)  # conditional: the old value may stay
    return Instruction(tuple(lines), reads, frozenset(writes), shifted, note)


def order(run: Run, names: Mapping[str, str]) -> Run:
    """Instructions with their comments, in their new order. names: registers by their names."""
    made = [instruction(lines, names, note) for lines, note in run]
    return [(one.lines, one.note) for one in ordered(made)]


def ordered(run: Sequence[Instruction]) -> list[Instruction]:
    """The run in its new order."""
    after = _dependences(run)
    orders = [
        list(range(len(run))),
        _listed(run, after, ways(after)),
        _listed(run, after, [0] * len(run)),
    ]
    return min(([run[n] for n in one] for one in orders), key=cycles_of)


def cycles_of(run: Sequence[Instruction]) -> int:
    """Cycles of the run as the body of a loop, some turns of it."""
    cycle, slots, units, done = 0, 0, set[str](), 0
    written: dict[str, tuple[int, Instruction]] = {}
    for one in [*run] * _TURNS:
        found = [(register, *written[register]) for register in one.reads if register in written]
        start = max((at + one.wait(source, name) for name, at, source in found), default=0)
        start = max(start, done - one.cycles)
        if start > cycle or slots == _SLOTS or one.units & units or (slots and one.leads):
            cycle, slots, units = max(start, cycle + 1), 0, set()
        slots += 1
        units |= one.units
        done = max(done, cycle + one.cycles)
        written |= dict.fromkeys(one.writes, (cycle, one))
    return cycle + 1


def _listed(run: Sequence[Instruction], after: After, priority: Sequence[int]) -> list[int]:
    """A list schedule: of the instructions that can start those of the highest priority, and of
    equal ones the first."""
    ready = Ready(after)
    found: list[int] = []
    cycle = done = 0

    def take(allowed: Sequence[int], units: set[str]) -> int | None:
        can = [n for n in allowed if max(ready.start_of(n), done - run[n].cycles) <= cycle]
        can = [n for n in can if not run[n].units & units]
        one = max(can, key=lambda n: (priority[n], -n), default=None)
        if one is not None:
            ready.place(one, cycle)
        return one

    while ready.numbers:
        before = list(ready.numbers)
        first = take(before, set())
        if first is not None:
            # one that stood ready before may go in front of it, and one that follows it may not
            can = [
                n
                for n in ready.numbers
                if _follows(run[first], run[n]) or (n in before and _follows(run[n], run[first]))
            ]
            second = take(can, run[first].units)
            both = [first] if second is None else [first, second]
            if second is not None and not _follows(run[first], run[second]):
                both = [second, first]
            found += both
            done = max(done, *(cycle + run[n].cycles for n in both))
        cycle += 1
    return found


def _follows(first: Instruction, second: Instruction) -> bool:
    """Whether the second can start in the cycle of the first, as far as their kinds go."""
    return not second.leads and second.cycles >= first.cycles


def _dependences(run: Sequence[Instruction]) -> After:
    def wait(later: int, earlier: int, register: str) -> int:
        return run[later].wait(run[earlier], register)

    after = dependences(run, wait, overwrite=0)
    products = [number for number, one in enumerate(run) if one.mnemonic.startswith("smla")]
    for earlier, later in pairwise(products):
        depends(after, later, earlier, 1)
    return after
