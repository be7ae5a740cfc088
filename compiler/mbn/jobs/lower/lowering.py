"""A network's stages to C: heights of bands, a plan that is proved, kernels, files.

What enters: an `Network` and the name of a kernel set. What leaves: `Generated`. Always holds:
no board is known here but the sizes of its memories; every plan that leaves has been replayed by
the checker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from mbn import arithmetic
from mbn.core import network_file
from mbn.core.network import Network, Op, Stage, StageChannels, all_channels
from mbn.core.options import InputMode
from mbn.core.plan import Plan
from mbn.core.schedule import BandOption, RowShape, StageNeeds, Way
from mbn.core.target import Core
from mbn.passes.emit import GeneratedNetwork, emit
from mbn.passes.emit.files import KernelCode
from mbn.passes.kernels import VERSIONS, StageCode, build_stage, candidates, preferred
from mbn.passes.kernels.layout import row_layout
from mbn.passes.kernels.stage_builder import PLACEHOLDER
from mbn.passes.plan import check_plan, plan_bands
from mbn.passes.simplify import remove_constants
from mbn.passes.tuning import Records, Tuned, bundled, signature
from mbn.passes.tuning import options as tuned_options

# Times the least arena: what taller bands may take
SLACK = {"speed": 1.45, "balanced": 1.25, "size": 1.0}

Progress = Callable[[int, int], None]  # done, of
# Lowered stages of one network by kernel set, number and how they are built: plans share them
Built = dict[tuple[str, int, Way], StageCode]


@dataclass(frozen=True, eq=False)
class Generated:
    """A network turned to C for one kernel set and input mode, before any board is built.

    `network` is what was asked for, `computed` what the C does: the same, or without the channels
    that `channels` (one a stage) says are constant or unread.
    """

    network: Network
    computed: Network
    channels: tuple[StageChannels, ...]
    model_sha256: str
    kernel_set: str
    codes: tuple[StageCode, ...]
    options: tuple[BandOption, ...]  # how each stage is built
    needs: tuple[StageNeeds, ...]
    shapes: tuple[RowShape, ...]
    plan: Plan
    files: GeneratedNetwork


def generate(
    network: Network,
    kernel_set: str,
    mode: InputMode,
    *,
    simplify: bool = False,
    optimise: str = "speed",
    ram_budget: int | None = None,
    memories: tuple[int, ...] = (),
    tuned: Tuned | None = None,
    forced: Sequence[BandOption] | None = None,
    prefix: str = "mbn_model",
    progress: Progress | None = None,
    built: Built | None = None,
) -> Generated:
    """Lowers every stage to C, plans the memory, proves the plan, writes the files' text.

    `simplify` removes channels that are constant for every image; no remaining bit changes.
    `tuned`: what was measured of the core; `forced`: how each stage is to be built, whatever else
    is said. `built`: stages of this network that were lowered already; more are added.
    """
    known = {} if built is None else built
    computed, channels = computed_of(network, simplify=simplify)
    shapes = row_shapes(computed)
    options, needs, plan = planned(
        computed,
        kernel_set,
        mode,
        optimise=optimise,
        ram_budget=ram_budget,
        memories=memories,
        tuned=tuned,
        forced=forced,
    )
    codes = []
    for index, (stage, option) in enumerate(zip(computed.stages, options, strict=True)):
        if progress:
            progress(index, len(computed.stages))
        key = (kernel_set, index, option.way)
        if key not in known:
            known[key] = build_stage(computed, stage, kernel_set, option)
        codes.append(known[key])
        assert codes[-1].scratch_bytes == option.scratch_bytes, "a plan for another kernel"
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
        options,
        needs,
        shapes,
        plan,
        files,
    )


def computed_of(network: Network, *, simplify: bool) -> tuple[Network, tuple[StageChannels, ...]]:
    """The network with derived constants, without constant channels if `simplify`; and what became
    of each stage's channels."""
    derived = arithmetic.derive_all(network)
    if not simplify:
        return derived, all_channels(network)
    simplified = remove_constants(derived)
    return simplified.network, simplified.channels


def stage_inputs(network: Network) -> tuple[tuple[int, ...], ...]:
    """The tensors that each stage reads, counted as `row_shapes` does."""
    made = {network.input.name: 0}
    for index, stage in enumerate(network.stages):
        made[network.stage_output(stage).name] = index + 1
    return tuple(
        tuple(made[tensor.name] for tensor in network.stage_inputs(stage))
        for stage in network.stages
    )


def planned(
    network: Network,
    kernel_set: str,
    mode: InputMode,
    *,
    optimise: str = "speed",
    ram_budget: int | None = None,
    memories: tuple[int, ...] = (),
    tuned: Tuned | None = None,
    forced: Sequence[BandOption] | None = None,
) -> tuple[tuple[BandOption, ...], tuple[StageNeeds, ...], Plan]:
    """Variants, heights of the bands and a plan, proved: the least arena, or faster within what
    `optimise` and the budget leave (0: the least). Nothing is lowered. See `generate`."""
    shapes = row_shapes(network)
    options = (
        stage_options(network, kernel_set, optimise, tuned)
        if forced is None
        else [(option,) for option in forced]
    )
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
    chosen = tuple(
        next(option for option in of_stage if option.rows == need.band_rows)
        for of_stage, need in zip(options, needs, strict=True)
    )
    return chosen, needs, plan


def tuned_of(records: Records, core: Core) -> Tuned:
    """What records say of a core."""
    return records.of(core.name, VERSIONS[core.kernels])


@cache
def bundled_tuning(core: Core) -> Tuned:
    """What was measured of a core and comes with the compiler."""
    return tuned_of(bundled(VERSIONS), core)


def stage_options(
    network: Network, kernel_set: str, optimise: str, tuned: Tuned | None = None
) -> list[tuple[BandOption, ...]]:
    """Of each stage, how it is built at each height that its bands may have."""
    signatures = [signature(network, stage, kernel_set) for stage in network.stages]
    copies = Counter(signatures)
    return [
        tuned_options(
            candidates(network, stage, kernel_set),
            {} if tuned is None else tuned.get(own, {}),
            optimise,
            partial(preferred, network, stage, kernel_set, optimise),
            copies[own],
        )
        for stage, own in zip(network.stages, signatures, strict=True)
    ]


def stage_needs(index: int, network: Network, stage: Stage, inputs: tuple[int, ...]) -> StageNeeds:
    """What a stage reads, for bands of one row that need no scratch."""
    first = network.layers[stage.layers[0]]
    dense = first.op is Op.DENSE
    return StageNeeds(
        input=inputs[0],
        output=index + 1,
        kernel_rows=network.stage_input(stage).height if dense else first.kernel[0],
        stride_rows=1 if dense else first.stride[0],
        pad_top=0 if dense else first.pads[0],
        band_rows=1,
        scratch_bytes=0,
        reads_before_writing=False,
        second=inputs[1] if len(inputs) > 1 else None,
        is_result=network.stage_output(stage) in network.outputs,
    )


def row_shapes(network: Network) -> tuple[RowShape, ...]:
    """Rows of the tensors between stages, the image first."""
    shapes = []
    for index, tensor in enumerate(
        [network.input, *(network.stage_output(stage) for stage in network.stages)]
    ):
        layout = row_layout(tensor, is_input=index == 0)
        shapes.append(RowShape(tensor.height, layout.row_bytes, layout.plane_bytes))
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
