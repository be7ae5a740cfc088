"""Measures one inference's cost by stage, from the bench app's ELF file.

Instructions are exact. Cycles are modelled, or None with a note that says why.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mbn.core.elf import symbols
from mbn.core.errors import ToolError
from mbn.core.target import Board, Core
from mbn.harness.cost import llvm, m_profile, pipeline_model
from mbn.harness.cost.count import TIMEOUT_S, Execution, Progress, count, count_unaligned
from mbn.harness.cost.disassembly import Instruction, disassemble
from mbn.harness.cost.result import LABEL, Cost, CostResult

_NEVER_FALLS_THROUGH = frozenset(("b", "bl", "bx", "blx", "bxns", "blxns", "tbb", "tbh"))
_NO_REFILL = frozenset(("le", "letp"))  # the low-overhead loop remembers where it begins
_HARNESS = -1


@dataclass(frozen=True)
class _Model:
    """How a core's cycles are made: by its manual's table, or (None) by llvm-mca. `bus_bytes`: of
    its data bus (M7: AXI and TCM, DDI 0489, 1.3; M55: 101051, A2); 0: unaligned accesses fault."""

    target: llvm.Target
    table: m_profile.Table | None
    bus_bytes: int


_MODELS: Mapping[str, _Model] = {
    "cortex-m0plus": _Model(
        llvm.Target("thumbv6m-none-eabi", "cortex-m0plus"), m_profile.M0PLUS, 0
    ),
    "cortex-m3": _Model(llvm.Target("thumbv7m-none-eabi", "cortex-m3"), m_profile.M3, 4),
    "cortex-m4f": _Model(llvm.Target("thumbv7em-none-eabihf", "cortex-m4"), m_profile.M4, 4),
    "cortex-m7": _Model(llvm.Target("thumbv7em-none-eabihf", "cortex-m7"), None, 8),
    "cortex-m33": _Model(llvm.Target("thumbv8m.main-none-eabihf", "cortex-m33"), m_profile.M33, 4),
    "cortex-m55": _Model(llvm.Target("thumbv8.1m.main-none-eabihf", "cortex-m55"), None, 8),
}


def measure(
    board: Board,
    elf: Path,
    stages: int,
    folder: Path,
    *,
    unaligned: bool = False,
    timeout_s: float = TIMEOUT_S,
    progress: Progress | None = None,
) -> CostResult:
    """Counts one inference of the bench app's image under QEMU and models its cycles.

    `stages` is the network's number of stages; files (plugin, counts) go to `folder`; `progress`
    is told of runs done; `unaligned`: unaligned accesses are counted too, in runs of their own,
    which take several times as long. Without LLVM, cycles are None. Raises `BoardError` (no
    emulator stands for the board) and `ToolError` (QEMU or gcc is missing, a run fails or takes
    over `timeout_s`).
    """
    executions = count(board, elf, stages, folder, timeout_s=timeout_s, progress=progress)
    instructions: Counter[int | None] = Counter()
    for execution in executions:
        instructions[_share(execution)] += execution.instructions
    notes: list[str] = []
    extra = _unaligned(board, elf, stages, folder, timeout_s) if unaligned else None
    cycles, source = _modelled(board.core, executions, notes)

    def cost(share: int | None) -> Cost:
        known = None if cycles is None else round(cycles[share])
        slower = None if extra is None or share == _HARNESS else extra[share]
        return Cost(instructions[share], known, slower)

    return CostResult(
        stages=tuple(cost(index) for index in range(stages)),
        driver=cost(None),
        harness=cost(_HARNESS),
        model=f"{LABEL}: {source}" if cycles is not None else "no model",
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class FunctionCost:
    """What a function's own code costs in one inference, without the functions that it calls.
    calls: how often it was entered. modelled_cycles: of all calls; 0.0 where there is no model."""

    name: str
    calls: int
    instructions: int
    modelled_cycles: float


def functions(board: Board, elf: Path, stages: int, folder: Path) -> list[FunctionCost]:
    """The bench app's functions that belong to an inference, the dearest first. Parameters and
    errors as of `measure`."""
    executions = [one for one in count(board, elf, stages, folder) if not one.harness]
    model = _MODELS.get(board.core.name)
    costs = _cycles(model, executions, []) if model else [(one, 0.0) for one in executions]
    named = sorted((s.address, s.name) for s in symbols(elf) if s.is_function)
    starts = [address for address, _ in named]
    found: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for one, cycles in costs:
        address, name = named[bisect_right(starts, one.address) - 1]
        own = found[name]
        own[0] += one.runs if one.address == address else 0
        own[1] += one.instructions
        own[2] += cycles
    made = [FunctionCost(name, int(n), int(i), c) for name, (n, i, c) in found.items()]
    return sorted(made, key=lambda one: (-one.modelled_cycles, -one.instructions))


def _unaligned(
    board: Board, elf: Path, stages: int, folder: Path, timeout_s: float
) -> Mapping[int | None, int] | None:
    """Cycles of unaligned accesses by share; the harness makes none, so what is outside the stages
    is the driver's."""
    model = _MODELS.get(board.core.name)
    if model is None or not model.bus_bytes:
        return None
    outside, *by_stage = count_unaligned(
        board, elf, stages, folder, model.bus_bytes, timeout_s=timeout_s
    )
    return {None: outside, **dict(enumerate(by_stage))}


def _share(execution: Execution) -> int | None:
    return _HARNESS if execution.harness else execution.stage


def _modelled(
    core: Core, executions: Sequence[Execution], notes: list[str]
) -> tuple[Mapping[int | None, float] | None, str]:
    """Cycles by share, and where they come from; None with a note if they are unknown."""
    model = _MODELS.get(core.name)
    if model is None:
        notes.append(f"modelled cycles are unknown: there is no model of the {core.name}")
        return None, ""
    try:
        total: dict[int | None, float] = defaultdict(float)
        for execution, cycles in _cycles(model, executions, notes):
            total[_share(execution)] += cycles
        return total, _source(model)
    except ToolError as error:
        notes.append(f"modelled cycles are unknown: {error}")
        return None, ""


def _source(model: _Model) -> str:
    if model.table is not None:
        return model.table.source
    return f"{llvm.program('llvm-mca')}'s scheduling model of the {model.target.cpu}"


def _cycles(
    model: _Model, executions: Sequence[Execution], notes: list[str]
) -> list[tuple[Execution, float]]:
    """Blocks and the cycles of all their runs."""
    opcodes = {opcode for execution in executions for opcode in execution.opcodes}
    known = disassemble(model.target, opcodes)
    if model.table is None:
        executions = joined(executions, known)
    blocks = {
        execution.opcodes: tuple(known[code] for code in execution.opcodes if code in known)
        for execution in executions
    }
    passes = _passes(model, blocks.values(), notes)
    refill = pipeline_model.REFILL if model.table is None else model.table.refill
    if len(known) < len(opcodes):
        notes.append(
            f"{len(opcodes) - len(known)} of {len(opcodes)} opcodes are not known to LLVM and "
            "count as one cycle"
        )
    found = []
    for execution in executions:
        block = blocks[execution.opcodes]
        unknown = len(execution.opcodes) - len(block)  # one cycle each
        one_pass = passes[block] + unknown
        taken = refill * branches_taken(execution, block)
        found.append((execution, one_pass * execution.runs + taken))
    return found


def joined(executions: Sequence[Execution], known: Mapping[bytes, Instruction]) -> list[Execution]:
    """Blocks that always run one behind the other as one. QEMU ends a block at each page of 1 KB,
    and a piece of a loop can't be modelled as a loop."""
    found: list[Execution] = []
    for one in sorted(executions, key=lambda e: (str(_share(e)), e.address)):
        last = found[-1] if found else None
        if (
            last is not None
            and _share(last) == _share(one)
            and last.runs == one.runs
            and last.address + sum(map(len, last.opcodes)) == one.address
            and not (last.opcodes[-1] in known and known[last.opcodes[-1]].is_branch)
        ):
            whole = (*last.opcodes, *one.opcodes)
            found[-1] = replace(last, opcodes=whole, fell_through=one.fell_through)
        else:
            found.append(one)
    return found


def _passes(
    model: _Model, blocks: Iterable[tuple[Instruction, ...]], notes: list[str]
) -> Mapping[tuple[Instruction, ...], float]:
    """Cycles of one pass of each block; a block that occurs twice is modelled once."""
    different = list(dict.fromkeys(blocks))
    if model.table is None:
        return pipeline_model.block_cycles(model.target, different, notes)
    return {block: float(m_profile.block_cycles(model.table, block)) for block in different}


def branches_taken(execution: Execution, block: Sequence[Instruction]) -> int:
    """How often the branch at the end of a block was taken."""
    if not block or not block[-1].is_branch or block[-1].name in _NO_REFILL:
        return 0
    if block[-1].name in _NEVER_FALLS_THROUGH:
        return execution.runs
    return execution.runs - execution.fell_through
