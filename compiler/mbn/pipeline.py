"""The order of the stages, and nothing else knows it.

What enters: what the user asked for and a board. What leaves: generated C (`generate`), an image
with its report (`compile_image`), a checked report (`check_image`). Always holds: each stage is
handed the output of the one before; every plan that leaves has been replayed by the checker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress as Bar

from mbn import arithmetic, checking, cost, fit, ir, mlperf, network_file, sources
from mbn.build import build_image
from mbn.emit import GeneratedNetwork, emit
from mbn.emit.files import KernelCode
from mbn.errors import BoardError
from mbn.frontend import lower
from mbn.kernels import StageCode, band_options, build_stage
from mbn.kernels.layout import row_layout
from mbn.kernels.stage_builder import PLACEHOLDER
from mbn.plan import check_plan, plan_bands
from mbn.plan.lifetimes import Piece, lifetimes, live_bytes
from mbn.reference import Reference
from mbn.report import Memory, NetworkFacts, Report, save
from mbn.report.memory_map import MemoryMap, Rectangle
from mbn.report.record import Accuracy
from mbn.simplify import remove_constants
from mbn.target import Board, Image

# How gcc is told: a name of build_image's
FLAGS = {"speed": "speed", "balanced": "speed", "size": "size"}
# Times the least arena: what taller bands may take
SLACK = {"speed": 1.45, "balanced": 1.25, "size": 1.0}

Progress = Callable[[int, int], None]  # done, of


@dataclass(frozen=True, eq=False)
class Generated:
    """A network turned to C for one kernel set and input mode, before any board is built.

    `network` is what was asked for, `computed` what the C does: the same, or without the channels
    that `channels` (one a stage) says are constant or unread.
    """

    network: ir.Network
    computed: ir.Network
    channels: tuple[ir.StageChannels, ...]
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
    simplify: bool = False,
    optimise: str = "speed",
    ram_budget: int | None = None,
    memories: tuple[int, ...] = (),
    prefix: str = "mbn_model",
    progress: Progress | None = None,
) -> Generated:
    """Lowers every stage to C, plans the memory, proves the plan, writes the files' text.

    `simplify` removes channels that are constant for every image; no remaining bit changes.
    """
    computed, channels = arithmetic.derive_all(network), ir.all_channels(network)
    if simplify:
        simplified = remove_constants(computed)
        computed, channels = simplified.network, simplified.channels
    shapes = row_shapes(computed)
    needs, plan = planned(
        computed,
        kernel_set,
        mode,
        optimise=optimise,
        ram_budget=ram_budget,
        memories=memories,
    )
    codes = []
    for index, (stage, one) in enumerate(zip(computed.stages, needs, strict=True)):
        if progress:
            progress(index, len(computed.stages))
        codes.append(build_stage(computed, stage, kernel_set, optimise, one.band_rows))
        assert codes[-1].scratch_bytes == one.scratch_bytes, "a plan for another kernel"
    if progress:
        progress(len(computed.stages), len(computed.stages))
    digest = network_file.sha256(network)
    files = emit(
        computed,
        digest,
        kernel_set,
        [_kernel_code(code) for code in codes],
        needs,
        shapes,
        plan,
        prefix,
    )
    return Generated(
        network,
        computed,
        channels,
        digest,
        kernel_set,
        tuple(codes),
        needs,
        shapes,
        plan,
        files,
    )


def stage_inputs(network: ir.Network) -> tuple[tuple[int, ...], ...]:
    """The tensors that each stage reads, counted as `row_shapes` does."""
    made = {network.input.name: 0}
    for index, stage in enumerate(network.stages):
        made[network.stage_output(stage).name] = index + 1
    return tuple(
        tuple(made[tensor.name] for tensor in network.stage_inputs(stage))
        for stage in network.stages
    )


def planned(
    network: ir.Network,
    kernel_set: str,
    mode: ir.InputMode,
    *,
    optimise: str = "speed",
    ram_budget: int | None = None,
    memories: tuple[int, ...] = (),
) -> tuple[tuple[ir.StageNeeds, ...], ir.Plan]:
    """Heights of the bands and a plan, proved: the least arena, or faster within what `optimise`
    and the budget leave (0: the least). Nothing is lowered."""
    shapes = row_shapes(network)
    options = [band_options(network, stage, kernel_set, optimise) for stage in network.stages]
    least = [
        stage_needs(index, network, stage, inputs)
        for index, (stage, inputs) in enumerate(
            zip(network.stages, stage_inputs(network), strict=True)
        )
    ]
    needs, plan = plan_bands(
        least,
        options,
        shapes,
        mode,
        budget_bytes=ram_budget,
        slack=SLACK[optimise],
        memories=memories,
    )
    check_plan(plan, needs, shapes)
    return needs, plan


def stage_needs(
    index: int, network: ir.Network, stage: ir.Stage, inputs: tuple[int, ...]
) -> ir.StageNeeds:
    """What a stage reads, for bands of one row that need no scratch."""
    first = network.layers[stage.layers[0]]
    dense = first.op is ir.Op.DENSE
    return ir.StageNeeds(
        input=inputs[0],
        output=index + 1,
        kernel_rows=network.stage_input(stage).height if dense else first.kernel[0],
        stride_rows=1 if dense else first.stride[0],
        pad_top=0 if dense else first.pads[0],
        band_rows=1,
        scratch_bytes=0,
        reads_before_writing=False,
        second=inputs[1] if len(inputs) > 1 else None,
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


# -- from a request to a checked image -----------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One run of mbn-compile."""

    request: sources.Request
    board: Board
    mode: ir.InputMode
    fused: bool = True
    simplify: bool = True
    optimise: str = "speed"
    ram_budget: int | None = None  # bytes of arena
    rounding: ir.Rounding = ir.Rounding.SINGLE
    app: str = checking.IMAGE_NAME  # built beside the check's
    output: Path | None = None


@dataclass(frozen=True, eq=False)
class Compiled:
    """What a job made, in `folder`."""

    job: Job
    folder: Path
    generated: Generated
    image: Image
    report: Report
    app: Image | None  # the other app's, where one was asked for


@dataclass(frozen=True, eq=False)
class Planned:
    """A network lowered and planned for a board; nothing is built."""

    source: sources.Source
    folder: Path
    generated: Generated

    @property
    def demand(self) -> fit.Demand:
        return fit.Demand(self.generated.files.weights_bytes, self.generated.plan.arena_bytes)


def plan_network(job: Job, console: Console) -> Planned:
    """Finds the network, lowers it through TVM and plans its memory."""
    work = job.output or Path("out") / job.board.name
    source = sources.find_network(job.request, work / "onnx", console)
    folder = job.output or work / source.name
    network = lower(source.path, source.name, fused=job.fused, rounding=job.rounding)
    mean, std = sources.normalisation(job.request, network.input.channels)
    network = replace(network, classes=source.classes, mean=mean, std=std)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"lowering {source.name} through TVM", total=None)
        generated = generate(
            network,
            job.board.core.kernels,
            job.mode,
            simplify=job.simplify,
            optimise=job.optimise,
            ram_budget=job.ram_budget,
            memories=job.board.arena_memories(),
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )
    return Planned(source, folder, generated)


def memory_map(planned: Planned) -> MemoryMap:
    """The plan as a picture's data."""
    generated = planned.generated
    pieces, bands = lifetimes(generated.plan, generated.needs, generated.shapes)
    stages = generated.computed.stages

    def name(piece: Piece) -> str:
        if piece.kind == "scratch":
            return f"scratch {piece.index}"
        return "image" if piece.index == 0 else f"{piece.index - 1} {stages[piece.index - 1].kind}"

    return MemoryMap(
        f"{generated.network.name}: arena of {generated.plan.arena_bytes:,} bytes, "
        f"{generated.plan.mode} input, {generated.kernel_set} kernels",
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
        generated.plan.arena_bytes,
        tuple(live_bytes(pieces, bands)),
    )


def compile_image(job: Job, console: Console) -> Compiled:
    """Finds the network, lowers it, builds the check firmware, writes report.json."""
    planned = plan_network(job, console)
    source, folder, generated = planned.source, planned.folder, planned.generated
    network = generated.network
    fit.refuse_if_too_large(
        planned.demand, job.board, generated.kernel_set, job.mode, network.output.size_bytes
    )
    generated.files.write(folder / "c")
    network_file.save(network, folder / "network.npz")
    checking.save_channels(folder, generated.channels)
    samples = sources.find_samples(job.request, source, network)
    checking.save_samples(folder, samples.images, samples.labels, samples.what)
    with console.status(f"building for {job.board.name}"):
        image = build_image(
            folder / "c", job.board, checking.IMAGE_NAME, folder, optimise=FLAGS[job.optimise]
        )
        app = None if job.app == checking.IMAGE_NAME else _build_app(job, folder)
    accuracy = _accuracy(source, network, console)
    report = _report(job, source, generated, image, accuracy)
    save(report, folder)
    return Compiled(job, folder, generated, image, report, app)


def _build_app(job: Job, folder: Path) -> Image:
    """Another app's image; MLPerf Tiny's runner has a baud rate of its own."""
    slower = {"MBN_BAUD": f"{mlperf.BAUD}u"} if "MBN_BAUD" in job.board.defines else {}
    return build_image(
        folder / "c",
        job.board,
        job.app,
        folder,
        optimise=FLAGS[job.optimise],
        defines=slower,
    )


def _accuracy(source: sources.Source, network: ir.Network, console: Console) -> Accuracy | None:
    """int8 accuracy by the reference, float accuracy by ONNX Runtime, on all labelled samples."""
    labelled = sources.labelled_images(source, network)
    if labelled is None:
        return None
    images, labels = labelled
    outputs = checking.reference_outputs(Reference(network), sources.to_int8(images), console)
    right = float(np.mean(outputs.argmax(axis=1) == labels))
    return Accuracy(len(labels), sources.float_accuracy(source, images, labels), 100 * right)


def _report(
    job: Job, source: sources.Source, generated: Generated, image: Image, accuracy: Accuracy | None
) -> Report:
    network = generated.network
    return Report(
        network=NetworkFacts(
            name=network.name,
            alpha=source.alpha,
            resolution=network.input.height,
            classes=network.output.size_bytes,
            macs=network.macs,
            macs_computed=generated.computed.macs,
            params=network.params,
            model_sha256=generated.model_sha256,
        ),
        board=job.board.name,
        core=job.board.core.name,
        rounding=str(network.rounding),
        input_mode=str(job.mode),
        kernel_set=generated.kernel_set,
        build_id=image.build_id,
        memory=Memory(
            flash_bytes=image.flash_bytes,
            weights_bytes=generated.files.weights_bytes,
            code_bytes=image.flash_bytes - generated.files.weights_bytes,
            arena_bytes=generated.plan.arena_bytes,
            stack_bytes_planned=image.stack_bytes,
            stack_bytes_painted=None,
            static_ram_bytes=image.static_ram_bytes,
        ),
        accuracy=accuracy,
        check=None,
        stages=checking.stage_facts(generated.computed),
    )


def check_image(compiled: Compiled, console: Console, *, port: str | None = None) -> Report:
    """Runs the check and, in emulation, counts instructions and models cycles by stage."""
    board = compiled.job.board
    if port is None:
        _refuse_unemulated(compiled.image)
    report = checking.run_check(compiled.folder, board, console, port=port)
    if port is None and board.emulator is not None:
        report = _count(compiled, report, console)
        save(report, compiled.folder)
    return report


def _refuse_unemulated(image: Image) -> None:
    """Raises BoardError where the image uses a memory that the emulator lacks."""
    for memory in image.board.memories:
        if not memory.emulated and image.memory_bytes.get(memory.name):
            raise BoardError(
                f"the image has {image.memory_bytes[memory.name]:,} bytes in {memory.name}, which "
                f"the emulator of {image.board.name} lacks",
                advice="Check it on the board (--port), or take a smaller --ram-budget",
            )


def _count(compiled: Compiled, report: Report, console: Console) -> Report:
    result = measure(compiled, console)
    for note in result.notes:
        console.print(note)
    return checking.with_counts(
        report,
        (result.total.instructions, result.total.modelled_cycles),
        [(stage.instructions, stage.modelled_cycles) for stage in result.stages],
    )


def measure(compiled: Compiled, console: Console) -> cost.CostResult:
    """Instructions and modelled cycles of one inference in emulation, from the serial-free bench
    image; no bit is compared."""
    image = build_image(
        compiled.folder / "c",
        compiled.job.board,
        "bench",
        compiled.folder,
        optimise=FLAGS[compiled.job.optimise],
    )
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("counting instructions in QEMU", total=None)
        return cost.measure(
            compiled.job.board,
            image.elf,
            len(compiled.report.stages),
            compiled.folder / "cost",
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )
