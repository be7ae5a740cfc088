"""Chooses the height of each stage's bands: taller bands are faster and take more memory.

The search starts with the options of least scratch and tries faster ones, the stages with the
largest savings first. It takes an option only if the planner still finds room. The arena stays
within the budget; without a budget, within `slack` times the least arena found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mbn.core.errors import PlanError
from mbn.core.options import InputMode
from mbn.core.plan import Plan
from mbn.core.schedule import BandOption, RowShape, StageNeeds
from mbn.passes.plan.lifetimes import lifetimes, live_bytes
from mbn.passes.plan.planner import ALIGN, Known, make_plan, plan_within
from mbn.passes.plan.replay import replay

Needs = tuple[StageNeeds, ...]


def plan_bands(
    stages: Sequence[StageNeeds],
    options: Sequence[Sequence[BandOption]],
    shapes: Sequence[RowShape],
    mode: InputMode,
    *,
    budget_bytes: int | None = None,
    slack: float = 1.0,
    memories: tuple[int, ...] = (),
    known: Known | None = None,
) -> tuple[Needs, Plan]:
    """The fastest plan within the budget, or within `slack` times the least arena.

    options: one or more for each stage. memories: the sizes of the one or two memories for the
    arena; the second is used only if the first is too small. If an arena fits in neither, it is
    planned all the same, and the caller refuses it. A budget of 0 asks for the least arena. Raises
    PlanError if the budget is below the least. known: see `plan_within`.
    """
    chosen = tuple(
        _with(stage, min(of_stage, key=lambda option: (option.scratch_bytes, option.rows)))
        for stage, of_stage in zip(stages, options, strict=True)
    )
    known = {} if known is None else known
    plan = make_plan(chosen, shapes, mode, known=known)
    if budget_bytes and budget_bytes < plan.arena_bytes:
        # a taller band may need less: if it writes over its input, no second map is needed
        chosen, plan = _taller(chosen, options, shapes, mode, plan.arena_bytes, known)
        if budget_bytes < plan.arena_bytes:
            raise _below_least(budget_bytes, plan, chosen, shapes)
    if len(memories) == 2 and plan.arena_bytes > memories[0]:
        near, both = memories[0] // ALIGN * ALIGN, sum(memories)
        split = plan_within(chosen, shapes, mode, both, near, known)
        if split is not None:
            plan = make_plan(chosen, shapes, mode, at_most=both, near_bytes=near, known=known)
            if budget_bytes and budget_bytes < plan.arena_bytes:
                raise _below_least(budget_bytes, plan, chosen, shapes)
            return chosen, plan
    limit = budget_bytes or int(plan.arena_bytes * (1 if budget_bytes == 0 else slack))
    if memories and plan.arena_bytes <= memories[0]:
        limit = min(limit, memories[0])
    return _taller(chosen, options, shapes, mode, limit, known)


def _taller(
    chosen: Needs,
    options: Sequence[Sequence[BandOption]],
    shapes: Sequence[RowShape],
    mode: InputMode,
    limit: int,
    known: Known,
) -> tuple[Needs, Plan]:
    """Takes the faster options that fit within the limit, one after the other."""
    for index, option in _upgrades(chosen, options):
        if option.serves(chosen[index]):
            continue
        taller = (*chosen[:index], _with(chosen[index], option), *chosen[index + 1 :])
        if plan_within(taller, shapes, mode, limit, known=known) is not None:
            chosen = taller
    return chosen, make_plan(chosen, shapes, mode, at_most=limit, known=known)


def _with(stage: StageNeeds, option: BandOption) -> StageNeeds:
    return replace(
        stage,
        band_rows=option.rows,
        scratch_bytes=option.scratch_bytes,
        reads_before_writing=option.reads_before_writing,
    )


def _upgrades(
    chosen: Needs, options: Sequence[Sequence[BandOption]]
) -> list[tuple[int, BandOption]]:
    """Options that are faster than the chosen ones. Stages with the largest savings come first;
    within a stage, slower options come first, so the last one that fits stays."""
    saved: list[tuple[float, int, list[BandOption]]] = []
    for index, (stage, of_stage) in enumerate(zip(chosen, options, strict=True)):
        now = next(option for option in of_stage if option.serves(stage))
        faster = [option for option in of_stage if option.cost < now.cost]
        faster.sort(key=lambda option: (-option.cost, option.rows))
        if faster:
            saved.append((now.cost - faster[-1].cost, index, faster))
    saved.sort(key=lambda entry: (-entry[0], entry[1]))
    return [(index, option) for _, index, faster in saved for option in faster]


def _below_least(
    budget_bytes: int, plan: Plan, stages: Needs, shapes: Sequence[RowShape]
) -> PlanError:
    """An error that gives the least arena, and what is in use at its peak."""
    pieces, count = lifetimes(plan, stages, shapes)
    live = live_bytes(pieces, count)
    peak = live.index(max(live))
    bands = list(replay(stages, shapes, plan.segments, plan.mode))
    there = sorted(
        (piece for piece in pieces if piece.first <= peak <= piece.last),
        key=lambda piece: -piece.size_bytes,
    )
    parts = ", ".join(f"{piece.kind} {piece.index}: {piece.size_bytes:,}" for piece in there[:4])
    return PlanError(
        f"no plan within {budget_bytes:,} bytes: the least arena is {plan.arena_bytes:,} bytes, "
        f"set by stage {max(0, bands[peak].stage)} ({parts} bytes)",
        wanted=f"--ram-budget {plan.arena_bytes} or more",
        advice="A smaller --alpha or --resolution needs less",
    )
