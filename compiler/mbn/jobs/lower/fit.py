"""Whether a network fits a board, before anything is built.

What enters: generated tables and plan, a board. What leaves: nothing, or a PlanError with needed
and available bytes of each memory and the largest size of the family that would fit. Always
holds: the family's sizes are estimated from their shapes alone (no TVM), with the same planner.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbn.core.errors import PlanError
from mbn.core.family import Kind, LayerShape, shape
from mbn.core.kernel_set import KernelSet
from mbn.core.options import InputMode
from mbn.core.schedule import RowShape, StageNeeds
from mbn.core.target import Board, Memory
from mbn.passes.plan import make_plan

ALPHAS = (1.0, 0.75, 0.5, 0.25)
RESOLUTIONS = (224, 192, 160, 128, 96)
# What else an image holds, measured on the check firmware (code 30 to 60 KB by shapes), and the
# part of it that is not the stages'.
CODE_BYTES = 64 * 1024
FIRMWARE_CODE_BYTES = 10 * 1024
STATE_BYTES = 2 * 1024


@dataclass(frozen=True)
class Demand:
    """Bytes that a network needs of each use of memory."""

    weights_bytes: int
    arena_bytes: int
    code_bytes: int = CODE_BYTES

    @property
    def flash_bytes(self) -> int:
        return self.weights_bytes + self.code_bytes


def refuse_if_too_large(
    demand: Demand, board: Board, kernels: KernelSet, mode: InputMode, classes: int | None
) -> None:
    """Raises PlanError if the network can't fit the board's memories. `classes`: None where the
    network is no classifier, so that no size of the family could take its place."""
    if not board.memories or fits(demand, board):
        return
    rows = [f"{'what':<22} {'needed':>12} {'available':>12}  in"]
    for what, needed, memories in _wants(demand, board):
        available = sum(memory.size_bytes for memory in memories)
        names = ", ".join(memory.name for memory in memories)
        rows.append(f"{what:<22} {needed:>12,} {available:>12,}  {names}")
    if classes is None:
        advice = "Fewer channels, a smaller input, or a board with more memory"
    elif best := largest_that_fits(board, kernels, mode, classes):
        advice = (
            f"The largest of the family that fits is --alpha {best[0]:g} --resolution {best[1]}"
        )
    else:
        advice = "No size of the family fits this board"
    raise PlanError(
        f"the network does not fit {board.name}:\n  " + "\n  ".join(rows),
        advice=advice,
    )


def fits(demand: Demand, board: Board) -> bool:
    """Whether the demand, with code, state and stack, is within the board's memories."""
    return not lacks(demand, board)


def lacks(demand: Demand, board: Board) -> tuple[str, ...]:
    """Of what the board has too little: "flash", "RAM"."""
    names = ("flash", "RAM")
    return tuple(
        name
        for name, (_, needed, memories) in zip(names, _wants(demand, board), strict=True)
        if memories and needed > sum(memory.size_bytes for memory in memories)
    )


def _wants(demand: Demand, board: Board) -> list[tuple[str, int, tuple[Memory, ...]]]:
    """What is wanted, how many bytes, and in which memories together."""
    flash = dict.fromkeys((*board.memories_for("code"), *board.memories_for("weights")))
    data = board.memories_for("data")
    ram = demand.arena_bytes + STATE_BYTES + board.stack_bytes
    larger = max(data, key=lambda memory: memory.size_bytes, default=None)
    one = () if larger is None else (larger,)
    near = data[:1]
    together = tuple(dict.fromkeys((*near, *board.memories_for("arena")[:1])))
    most = max(one, together, key=lambda memories: sum(m.size_bytes for m in memories))
    return [
        ("weights, code (about)", demand.flash_bytes, tuple(flash)),
        ("arena, state and stack", ram, most),
    ]


@dataclass(frozen=True)
class Fit:
    """What a network needs on a board and what the board has, in bytes; None: any amount."""

    board: Board
    flash_bytes: int
    flash_of: int | None
    ram_bytes: int
    ram_of: int | None
    fits: bool


def judged(demand: Demand, board: Board) -> Fit:
    """A demand held against a board's memories."""
    (_, flash, in_flash), (_, ram, in_ram) = _wants(demand, board)
    sizes = [sum(m.size_bytes for m in memories) or None for memories in (in_flash, in_ram)]
    return Fit(board, flash, sizes[0], ram, sizes[1], fits(demand, board))


def largest_that_fits(
    board: Board, kernels: KernelSet, mode: InputMode, classes: int
) -> tuple[float, int] | None:
    """(alpha, resolution) with the most multiply-accumulates among those that fit."""
    sizes = [(alpha, resolution) for alpha in ALPHAS for resolution in RESOLUTIONS]
    sizes.sort(key=lambda size: -shape(size[0], size[1], classes).macs)
    for alpha, resolution in sizes:
        if fits(family_demand(alpha, resolution, classes, kernels, mode), board):
            return alpha, resolution
    return None


def family_demand(
    alpha: float, resolution: int, classes: int, kernels: KernelSet, mode: InputMode
) -> Demand:
    """Estimated bytes of a MobileNet of the paper's family."""
    layers = shape(alpha, resolution, classes).layers
    shapes = [RowShape(resolution, _up(3 * resolution, 4), 0)]
    needs: list[StageNeeds] = []
    last = layers[-2]

    def add(rows: int, row_bytes: int, window: int, stride: int, pad: int, scratch: int) -> None:
        index = len(needs)
        needs.append(StageNeeds(index, index + 1, window, stride, pad, 1, scratch, scratch > 0))
        shapes.append(RowShape(rows, row_bytes, 0))

    for number, layer in enumerate(layers[:-1]):
        if layer.kind is Kind.POINTWISE:
            depthwise = layers[number - 1]
            row_bytes = layer.channels_out * _plane(layer.size_out)
            scratch = kernels.estimate.tile(layer.size_out, layer.channels_in)
            add(layer.size_out, row_bytes, 3, depthwise.stride, 1, scratch)
        elif layer.kind is not Kind.DEPTHWISE:
            row_bytes = layer.channels_out * _plane(layer.size_out)
            add(layer.size_out, row_bytes, 3, layer.stride, 1, 256)
    add(1, last.channels_out, last.size_out, 1, 0, 0)
    add(1, _up(classes, 4), 1, 1, 0, 8 * last.channels_out)
    plan = make_plan(needs, shapes, mode)
    weights = sum(_table_bytes(layer, kernels) for layer in layers)
    return Demand(weights, plan.arena_bytes)


def _up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def _plane(width: int) -> int:
    return 1 if width == 1 else _up(width, 4)


def _table_bytes(layer: LayerShape, kernels: KernelSet) -> int:
    if layer.kind is Kind.DEPTHWISE:
        return kernels.estimate.depthwise(layer.channels_out)
    return kernels.estimate.products(layer.channels_out, layer.fan_in)
