"""Cycles of the Cortex-M7 and M55 by LLVM's scheduling models.

A block's cycles are those of one pass when llvm-mca simulates the block in a loop. Memory has no
wait states, caches never miss, and predicates (IT, VPT) cost nothing. The branch at the end counts
as an instruction without effect; a taken one costs `REFILL` more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from mbn.core.errors import ToolError
from mbn.harness.cost import llvm
from mbn.harness.cost.disassembly import Instruction

REFILL = 1
_ITERATIONS = 20
_BLOCKS_A_RUN = 200
# Not in a model: what ends a program, and the start of a low-overhead loop.
_LEFT_OUT = frozenset(("bkpt", "udf", "svc", "dls"))

Block = tuple[Instruction, ...]


def block_cycles(
    target: llvm.Target, blocks: Sequence[Block], notes: list[str]
) -> Mapping[Block, float]:
    """Cycles of one pass of each block. A line is added to `notes` for what the model lacks. Raises
    `ToolError` if llvm-mca is missing or its answer can't be read."""
    llvm.program("llvm-mca")  # told from a block that it can't read
    found: dict[Block, float] = {}
    lacking = 0
    for at in range(0, len(blocks), _BLOCKS_A_RUN):
        part, left_out = _analyse(target, blocks[at : at + _BLOCKS_A_RUN])
        found.update(part)
        lacking += left_out
    if lacking:
        notes.append(f"llvm-mca has no model of {lacking} instructions: they count as one cycle")
    return found


def _analyse(target: llvm.Target, blocks: Sequence[Block]) -> tuple[dict[Block, float], int]:
    """Cycles, and how many instructions have no model. The block that they are in is found by
    halving; there they count as one cycle each."""
    text = "".join(_region(index, block) for index, block in enumerate(blocks))
    said, lacking = llvm.analysed(target, text, _ITERATIONS)
    if lacking and len(blocks) > 1:
        half = len(blocks) // 2
        first, before = _analyse(target, blocks[:half])
        second, behind = _analyse(target, blocks[half:])
        return first | second, before + behind
    cycles = _read(said)
    return {block: cycles[str(index)] + lacking for index, block in enumerate(blocks)}, lacking


def _read(said: str) -> Mapping[str, float]:
    """Cycles of one pass by the name of the region."""
    try:
        return {
            region["Name"]: region["SummaryView"]["TotalCycles"] / _ITERATIONS
            for region in json.loads(said)["CodeRegions"]
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"llvm-mca's answer can't be read: {error!r}") from error


def _region(index: int, block: Block) -> str:
    """The nop stands for the branch, and keeps a block of only a branch from being empty."""
    lines = [instruction.text for instruction in block if not _is_left_out(instruction)]
    body = "\n".join([*lines, "nop"])
    return f"@ LLVM-MCA-BEGIN {index}\n{body}\n@ LLVM-MCA-END {index}\n"


def _is_left_out(instruction: Instruction) -> bool:
    return instruction.is_branch or instruction.is_predicate or instruction.name in _LEFT_OUT
