"""What the compiler sees in an ONNX file, before anything is built.

What enters: an ONNX file, float or QDQ. What leaves: its stages with shapes, scales, multiply-
accumulates and parameters; or everything in it that would be refused; and which boards it fits.
Always holds: what is shown is what mbn-compile would compile; a float network is quantised with
drawn images first, so that its scales mean nothing and its stages everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mbn.core.boards import boards
from mbn.core.errors import UnsupportedError
from mbn.core.network import Network
from mbn.core.options import InputMode, Options, Rounding
from mbn.core.target import Board
from mbn.jobs.lower import fit, inputs, lowering
from mbn.passes.frontend import lower_graph, onnx_file
from mbn.passes.frontend.closest import closest
from mbn.passes.frontend.lower import all_refusals
from mbn.passes.frontend.normalisation import Normalisation, take_normalisation
from mbn.passes.quantise.static import quantise

CALIBRATION_IMAGES = 4


@dataclass(frozen=True, eq=False)
class Inspected:
    """A network, or why it is none. `refused` is empty where `network` is not None."""

    network: Network | None
    refused: tuple[UnsupportedError, ...]
    is_float: bool
    normalisation: Normalisation | None = None  # of the input, in the graph

    @property
    def closest(self) -> tuple[str, ...]:
        """What is closest to each kind of thing refused, and works."""
        return closest(self.refused) if self.refused else ()


def inspect(
    path: Path,
    work: Path,
    *,
    fused: bool = True,
    rounding: Rounding = Rounding.SINGLE,
    input_shape: tuple[int, ...] | None = None,
) -> Inspected:
    """Reads `path`; a float network is quantised into the folder `work`. ModelError for a file
    that is no ONNX."""
    model = onnx_file.load(path, input_shape)
    normalisation = take_normalisation(model)
    is_float = not onnx_file.is_quantised(model)
    hiding, windows = onnx_file.obstacles(model)
    if hiding:
        return Inspected(None, (*hiding, *windows), is_float)
    try:
        if is_float:
            onnx_file.dequantise_weights(model)
            path, input_shape = _quantised(path, model, work), None
        found = lower_graph(
            path, path.stem, fused=fused, rounding=rounding, input_shape=input_shape
        )
        return Inspected(found.network, (), is_float, normalisation or found.normalisation)
    except UnsupportedError as error:
        # a refusal that does not come from quantising stands alone
        every = [] if is_float and path.parent != work else all_refusals(path, input_shape)
        return Inspected(None, _once([*windows, *(every or [error])]), is_float)


def _once(found: Sequence[UnsupportedError]) -> tuple[UnsupportedError, ...]:
    """The first refusal of each node."""
    by_node = {one.node or str(one): one for one in reversed(found)}
    return tuple(one for one in found if by_node[one.node or str(one)] is one)


def _quantised(path: Path, model: Any, work: Path) -> Path:
    graph = onnx_file.prepare(model)
    drawn = inputs.random_images(CALIBRATION_IMAGES, graph.image_shape)
    samples = drawn.astype(np.float32) / 127.5 - 1
    if not graph.channels_last:
        samples = samples.transpose(0, 3, 1, 2)
    plain = work / f"{path.stem}_float.onnx"  # as it is compiled: four dimensions, all fixed
    plain.write_bytes(model.SerializeToString())
    quantised = work / f"{path.stem}_int8.onnx"
    quantise(plain, [samples], quantised)
    return quantised


def board_demands(network: Network, mode: InputMode) -> list[tuple[Board, fit.Demand]]:
    """What the network needs on each board, planned for the board's own memories. Boards of a core
    whose memories don't bind share one plan."""
    shared, options = lowering.Shared(), Options(mode)
    free: dict[str, fit.Demand] = {}  # by core: in memories of any size
    rows = []
    for board in boards().values():
        target = lowering.Target.of(board, lowering.bundled_tuning(board.core))
        if board.core.name not in free:
            free[board.core.name] = _demand(network, replace(target, memories=()), options, shared)
        demand = free[board.core.name]
        if not lowering.is_free(demand.arena_bytes, target.memories, options):
            demand = _demand(network, target, options, shared)
        rows.append((board, demand))
    return rows


def _demand(
    network: Network, target: lowering.Target, options: Options, shared: lowering.Shared
) -> fit.Demand:
    made = lowering.generate(network, target, options, shared=shared)
    return fit.Demand(made.files.weights_bytes, made.plan.arena_bytes)
