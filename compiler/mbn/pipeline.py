"""The order of the stages, and nothing else knows it.

What enters: a network, a board, the input mode. What leaves: generated C with its plan
(`generate`). Always holds: each stage is handed the output of the one before; every plan that
leaves has been replayed by the checker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mbn import ir, network_file
from mbn.emit import GeneratedNetwork, emit
from mbn.emit.files import KernelCode
from mbn.kernels import StageCode, build_stage
from mbn.kernels.layout import row_layout
from mbn.kernels.stage_builder import PLACEHOLDER
from mbn.plan import check_plan, make_plan

Progress = Callable[[int, int], None]  # done, of


@dataclass(frozen=True, eq=False)
class Generated:
    """A network turned to C for one kernel set and input mode, before any board is built."""

    network: ir.Network
    model_sha256: str
    kernel_set: str
    codes: tuple[StageCode, ...]
    needs: tuple[ir.StageNeeds, ...]
    shapes: tuple[ir.RowShape, ...]
    plan: ir.Plan
    files: GeneratedNetwork


def generate(
    network: ir.Network,
    kernel_set: str,
    mode: ir.InputMode,
    *,
    prefix: str = "mbn_model",
    progress: Progress | None = None,
) -> Generated:
    """Lowers every stage to C, plans the memory, proves the plan, writes the files' text."""
    codes = []
    for index, stage in enumerate(network.stages):
        if progress:
            progress(index, len(network.stages))
        codes.append(build_stage(network, stage, kernel_set))
    if progress:
        progress(len(network.stages), len(network.stages))
    shapes = row_shapes(network)
    needs = tuple(stage_needs(index, code) for index, code in enumerate(codes))
    plan = make_plan(needs, shapes, mode)
    check_plan(plan, needs, shapes)
    digest = network_file.sha256(network)
    files = emit(
        network,
        digest,
        kernel_set,
        [_kernel_code(code) for code in codes],
        needs,
        shapes,
        plan,
        prefix,
    )
    return Generated(network, digest, kernel_set, tuple(codes), needs, shapes, plan, files)


def stage_needs(index: int, code: StageCode) -> ir.StageNeeds:
    return ir.StageNeeds(
        input=index,
        output=index + 1,
        kernel_rows=code.kernel_rows,
        stride_rows=code.stride_rows,
        pad_top=code.pad_top,
        band_rows=code.band_rows,
        scratch_bytes=code.scratch_bytes,
        reads_before_writing=code.reads_before_writing,
    )


def row_shapes(network: ir.Network) -> tuple[ir.RowShape, ...]:
    """Rows of the tensors between stages, the image first."""
    shapes = []
    for index, tensor in enumerate(
        [network.input, *(network.stage_output(stage) for stage in network.stages)]
    ):
        layout = row_layout(tensor, is_input=index == 0)
        shapes.append(ir.RowShape(tensor.height, layout.row_bytes, layout.plane_bytes))
    return tuple(shapes)


def _kernel_code(code: StageCode) -> KernelCode:
    return KernelCode(
        text=code.function.text,
        placeholder=PLACEHOLDER,
        arguments=[(argument.role, argument.index) for argument in code.arguments],
        parameter_types=[param.dtype for param in code.function.params],
        tables=code.constants,
        decision=code.decision,
    )
