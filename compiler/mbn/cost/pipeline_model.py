"""Cycles of the Cortex-M7 and M55 by LLVM's scheduling models.

What enters: blocks of instructions. What leaves: cycles of one pass of each, in a steady loop of
itself, as llvm-mca simulates it. Always holds: memory has no wait states and caches never miss;
predicates (IT, VPT) cost nothing; the branch at the end is an instruction that does nothing here,
`REFILL` more when it is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from mbn.cost import llvm
from mbn.cost.disassembly import Instruction
from mbn.errors import ToolError

REFILL = 1
_ITERATIONS = 20
_BLOCKS_A_RUN = 200
_SILENT = frozenset(("bkpt", "udf", "svc"))

Block = tuple[Instruction, ...]


def block_cycles(target: llvm.Target, blocks: Sequence[Block]) -> Mapping[Block, float]:
    """Cycles of one pass of each block. Raises `ToolError`: llvm-mca is missing or fails."""
    found: dict[Block, float] = {}
    for at in range(0, len(blocks), _BLOCKS_A_RUN):
        part = blocks[at : at + _BLOCKS_A_RUN]
        found.update(zip(part, _analyse(target, part), strict=True))
    return found


def _analyse(target: llvm.Target, blocks: Sequence[Block]) -> Iterator[float]:
    text = "".join(_region(index, block) for index, block in enumerate(blocks))
    said = llvm.analysed(target, text, _ITERATIONS)
    try:
        regions = json.loads(said)["CodeRegions"]
        cycles = {
            region["Name"]: region["SummaryView"]["TotalCycles"] / _ITERATIONS
            for region in regions
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"llvm-mca's answer can't be read: {error!r}") from error
    for index, block in enumerate(blocks):
        yield cycles.get(str(index), float(len(block)))


def _region(index: int, block: Block) -> str:
    """The nop stands for the branch, and keeps a block of only a branch from being empty."""
    lines = [
        instruction.text
        for instruction in block
        if not (
            instruction.is_branch or instruction.is_predicate or instruction.name in _SILENT
        )
    ]
    body = "\n".join([*lines, "nop"])
    return f"@ LLVM-MCA-BEGIN {index}\n{body}\n@ LLVM-MCA-END {index}\n"
