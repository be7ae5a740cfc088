"""Where every map lies in the arena over time, as a value for tables and pictures.

What enters: a network, its kernels, how it is planned. What leaves: a `MemoryMap`.
"""

from __future__ import annotations

from mbn.core.kernel_set import KernelSet
from mbn.core.network import Network
from mbn.jobs.lower import lowering
from mbn.passes.plan.lifetimes import Piece, lifetimes, live_bytes
from mbn.report.memory_map import MemoryMap, Rectangle


def map_of(network: Network, kernels: KernelSet, made: lowering.Planned) -> MemoryMap:
    """The same of a plan for which nothing was lowered."""
    plan = made.plan
    pieces, bands = lifetimes(plan, made.needs, made.shapes)

    def name(piece: Piece) -> str:
        if piece.kind == "scratch":
            return f"scratch {piece.index}"
        return "image" if piece.index == 0 else f"{piece.index - 1} {stages[piece.index - 1].kind}"

    stages = network.stages
    return MemoryMap(
        f"{network.name}: arena of {plan.arena_bytes:,} bytes, {plan.mode} input, "
        f"{kernels} kernels",
        tuple(
            Rectangle(
                name(piece),
                piece.kind,
                piece.first,
                piece.last,
                piece.offset_bytes,
                piece.size_bytes,
            )
            for piece in pieces
        ),
        bands,
        plan.arena_bytes,
        tuple(live_bytes(pieces, bands)),
    )
