"""Cycles of the Cortex-M3, M4, M33 and M0+ by the timing tables of their manuals.

Cycles are those of one pass through a block, with the branch at its end not taken; a taken one
costs `refill` more. Memory has no wait states, addresses are aligned, and a divide takes 7 cycles
(the manuals say 2 to 12).

Sources: Cortex-M4 Technical Reference Manual (DDI 0439) 3.3.1 and 3.3.2 for integers, 7.2.3 for
the FPU; Cortex-M3 (DDI 0337) 3.3.1, the worst case of its long multiplies; Cortex-M0+ (DDI 0484)
3.3, with the single-cycle multiplier. Arm publishes no table for the M33; the M4's is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mbn.harness.cost.disassembly import Instruction

_DIVIDE = 7
_MULTIPLE = re.compile(r"v?(ldm|stm)(ia|db)?|v?push|v?pop")
# [rn] or [rn, #offset], without write-back
_PLAIN_ADDRESS = re.compile(r"\[\w+(, #-?\w+)?\]")


@dataclass(frozen=True)
class Table:
    """A core's table: cycles by name where they are not 1; memory goes by rules of its own."""

    source: str
    refill: int  # of the pipeline, after a branch that is taken
    pipelined_memory: bool  # a single load or store takes 1 cycle behind another
    cycles: Mapping[str, int] = field(default_factory=dict)


_M4 = {
    "sdiv": _DIVIDE,
    "udiv": _DIVIDE,
    **dict.fromkeys(("vmla", "vmls", "vfma", "vfms", "vnmla", "vnmls", "vfnma", "vfnms"), 3),
    "vdiv": 14,
    "vsqrt": 14,
}
_M3 = {"mla": 2, "mls": 2, "smull": 5, "umull": 5, "smlal": 7, "umlal": 7}
_M0PLUS = {"bl": 2, **dict.fromkeys(("mrs", "msr", "dmb", "dsb", "isb"), 3)}

M4 = Table("timing table of the Cortex-M4 (DDI 0439)", 2, True, _M4)
M33 = Table("timing table of the Cortex-M4 (DDI 0439); the M33 has none", 2, True, _M4)
M3 = Table("timing table of the Cortex-M3 (DDI 0337), long multiplies at worst", 2, True, _M4 | _M3)
M0PLUS = Table("timing table of the Cortex-M0+ (DDI 0484), fast multiplier", 1, False, _M0PLUS)


def block_cycles(table: Table, instructions: Sequence[Instruction]) -> int:
    """Cycles of one pass. Nothing before the first instruction overlaps with it."""
    total = 0
    previous: Instruction | None = None
    for instruction in instructions:
        total += _one(table, instruction, previous)
        previous = instruction
    return total


def _one(table: Table, now: Instruction, previous: Instruction | None) -> int:
    cycles = table.cycles.get(now.name, 1)
    if _MULTIPLE.fullmatch(now.name):
        cycles = _multiple(now)
    elif now.name in ("ldrd", "strd"):
        cycles = 3
    elif _is_single_load(now):
        cycles = _load(table, now, previous)
    elif _is_single_store(now):
        cycles = _store(table, now, previous)
    elif now.name == "vmov" and len(now.operands) == 3:
        cycles = 2
    elif now.operands[:1] == ("pc",) and not now.is_branch:
        cycles = 1 + table.refill
    return cycles


def _multiple(now: Instruction) -> int:
    """1 + N; a pop of pc refills the pipeline too (on the M0+: 3 + N)."""
    words = now.registers * (2 if re.search(r"\{d\d", now.text) else 1)
    to_pc = re.search(r"\bpc\b", now.text) is not None
    return 1 + words + (2 if to_pc else 0)


def _is_single_load(instruction: Instruction) -> bool:
    return instruction.name.startswith(("ldr", "vldr")) and instruction.name != "ldrd"


def _is_single_store(instruction: Instruction) -> bool:
    return instruction.name.startswith(("str", "vstr")) and instruction.name != "strd"


def _follows_memory(table: Table, previous: Instruction | None) -> bool:
    return (
        table.pipelined_memory
        and previous is not None
        and (_is_single_load(previous) or _is_single_store(previous))
    )


def _load(table: Table, now: Instruction, previous: Instruction | None) -> int:
    """2; 1 behind another single load or store, unless that one loads this one's address."""
    cycles = 2
    if _follows_memory(table, previous) and not _address_waits(now, previous):
        cycles = 1
    if now.operands[0] == "pc":
        cycles += table.refill
    if now.operands[0].startswith("d"):
        cycles += 1
    return cycles


def _address_waits(now: Instruction, previous: Instruction | None) -> bool:
    if previous is None or not _is_single_load(previous):
        return False
    address = now.text.partition("[")[2]
    return re.search(rf"\b{previous.operands[0]}\b", address) is not None


def _store(table: Table, now: Instruction, previous: Instruction | None) -> int:
    """1 from the write buffer; 2 with a register offset or write-back behind no other."""
    if not table.pipelined_memory:
        return 2
    cycles = 1
    if not _follows_memory(table, previous) and not _PLAIN_ADDRESS.search(now.text):
        cycles = 2
    if now.operands[0].startswith("d"):
        cycles += 1
    return cycles
