"""A network's stages to C: heights of bands, a plan that is proved, kernels, files.

What enters: a `Network`, a `Target`, `Options`. What leaves: `Generated`. Always holds: no board is
known here but the sizes of its memories; every network that a pass returns has been verified, every
plan that leaves has been replayed by the checker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

from mbn import arithmetic
from mbn.core import network_file
from mbn.core.kernel_set import VERSIONS, KernelSet
from mbn.core.lowered import LoweredStage, PlannedStage, StageCode
from mbn.core.network import Network, Op, Stage, StageChannels, all_channels
from mbn.core.options import DEFAULTS, LEVELS, InputMode, Optimise, Options
from mbn.core.plan import Plan
from mbn.core.schedule import BandOption, RowShape, StageNeeds, Way
from mbn.core.target import Board, Core
from mbn.core.verify import verify
from mbn.passes.emit import GeneratedNetwork, emit
from mbn.passes.kernels import build_stage, candidates, lean, preferred
from mbn.passes.kernels.layout import row_layout
from mbn.passes.plan import check_plan, plan_bands
from mbn.passes.plan.planner import Known
from mbn.passes.simplify import remove_constants
from mbn.passes.tuning import Records, Tuned, bundled, signature
from mbn.passes.tuning import options as tuned_options

Progress = Callable[[int, int], None]  # done, of


Offered = tuple[BandOption, ...]


@dataclass(frozen=True, eq=False)
class Shared:
    """What the plans of one network have in common, filled as it is found.

    computed: by whether it is simplified. built: lowered stages by kernel set, number, way, and
    whether it is the one of less scratch.
    offered: a stage's candidates, and those of less scratch, by kernel set and signature: equal
    signatures have the same ones.
    runs: the planner's, by what decides the rows: whether it is simplified, and the input mode.
    """

    computed: dict[bool, tuple[Network, tuple[StageChannels, ...]]] = field(default_factory=dict)
    built: dict[tuple[str, int, Way, bool], StageCode] = field(default_factory=dict)
    offered: dict[tuple[str, str], tuple[Offered, Offered]] = field(default_factory=dict)
    runs: dict[tuple[bool, InputMode], Known] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What C is made for. `memories`: bytes of each memory that the arena may lie in; none: one of
    any size. `tuned`: what was measured of the core; None: estimates decide."""

    kernels: KernelSet
    memories: tuple[int, ...] = ()
    tuned: Tuned | None = None

    @classmethod
    def of(cls, board: Board, tuned: Tuned | None = None) -> Target:
        """A board's kernels and memories."""
        return cls(board.core.kernels, board.arena_memories(), tuned)


@dataclass(frozen=True, eq=False)
class Planned:
    """How each stage is built, and the memory plan; `image`: how the image's rows lie."""

    image: RowShape
    stages: tuple[PlannedStage, ...]
    plan: Plan

    @property
    def options(self) -> tuple[BandOption, ...]:
        """How each stage is built."""
        return tuple(one.option for one in self.stages)

    @property
    def needs(self) -> tuple[StageNeeds, ...]:
        """What each stage needs of the plan."""
        return tuple(one.needs for one in self.stages)

    @property
    def shapes(self) -> tuple[RowShape, ...]:
        """Rows of the tensors between stages, the image first."""
        return (self.image, *(one.rows for one in self.stages))


@dataclass(frozen=True, eq=False)
class Generated(Planned):
    """A network turned to C for one kernel set and input mode, before any board is built.

    `network` is what was asked for, `computed` what the C does: the same, or without the channels
    that the stages' `channels` say are constant or unread.
    """

    stages: tuple[LoweredStage, ...]
    network: Network
    computed: Network
    model_sha256: str
    kernel_set: KernelSet
    files: GeneratedNetwork

    @property
    def channels(self) -> tuple[StageChannels, ...]:
        """What became of each stage's channels."""
        return tuple(one.channels for one in self.stages)


def generate(
    network: Network,
    target: Target,
    options: Options = DEFAULTS,
    *,
    forced: Sequence[BandOption] | None = None,
    progress: Progress | None = None,
    shared: Shared | None = None,
) -> Generated:
    """Lowers every stage to C, plans the memory, proves the plan, writes the files' text.

    `forced`: how each stage is to be built, instead of what the planner would choose. `shared`:
    what was found for other targets of this very network; more is added.
    """
    shared = shared or Shared()
    known = shared.built
    if options.simplify not in shared.computed:
        shared.computed[options.simplify] = computed_of(network, simplify=options.simplify)
    computed, channels = shared.computed[options.simplify]
    found = planned(computed, target, options, forced=forced, shared=shared)
    stages = []
    for index, one in enumerate(found.stages):
        if progress:
            progress(index, len(found.stages))
        key = (target.kernels.name, index, one.option.way, one.option.lean)
        if key not in known:
            known[key] = build_stage(computed, one.stage, target.kernels, one.option)
        code = known[key]
        assert code.scratch_bytes == one.option.scratch_bytes, "a plan for another kernel"
        stages.append(
            LoweredStage(one.stage, one.option, one.needs, one.rows, code, channels[index])
        )
    if progress:
        progress(len(stages), len(stages))
    digest = network_file.sha256(network)
    files = emit(computed, digest, target.kernels, stages, found.image, found.plan, options.prefix)
    return Generated(
        image=found.image,
        stages=tuple(stages),
        plan=found.plan,
        network=network,
        computed=computed,
        model_sha256=digest,
        kernel_set=target.kernels,
        files=files,
    )


def is_free(arena_bytes: int, memories: tuple[int, ...], options: Options) -> bool:
    """Whether a plan that was made for memories of any size is the one for these too: each that
    was weighed fits the first. No plan weighed is larger than `slack` times the arena taken."""
    largest = int(arena_bytes * LEVELS[options.optimise].arena_slack)
    return not memories or (options.ram_budget is None and largest <= memories[0])


def computed_of(network: Network, *, simplify: bool) -> tuple[Network, tuple[StageChannels, ...]]:
    """The network with derived constants, without constant channels if `simplify`; and what became
    of each stage's channels. Verified before, between and after the passes."""
    derived = arithmetic.derive_all(verify(network, "the frontend"))
    verify(derived, "the arithmetic", constants=True)
    if not simplify:
        return derived, all_channels(network)
    simplified = remove_constants(derived)
    verify(simplified.network, "simplify", constants=True)
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
    target: Target,
    options: Options = DEFAULTS,
    *,
    forced: Sequence[BandOption] | None = None,
    shared: Shared | None = None,
) -> Planned:
    """Variants, heights of the bands and a plan, proved: the least arena, or faster within what
    `optimise` and the budget leave (0: the least). Nothing is lowered. `forced`: see `generate`."""
    shared = shared or Shared()
    shapes = row_shapes(network)
    choices = (
        stage_options(network, target.kernels, options.optimise, target.tuned, shared)
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
        choices,
        shapes,
        options.mode,
        budget_bytes=options.ram_budget,
        slack=LEVELS[options.optimise].arena_slack,
        memories=target.memories,
        known=shared.runs.setdefault((options.simplify, options.mode), {}),
    )
    check_plan(plan, needs, shapes)
    stages = tuple(
        PlannedStage(stage, next(one for one in of_stage if one.serves(need)), need, rows)
        for stage, of_stage, need, rows in zip(
            network.stages, choices, needs, shapes[1:], strict=True
        )
    )
    return Planned(shapes[0], stages, plan)


def tuned_of(records: Records, core: Core) -> Tuned:
    """What records say of a core."""
    return records.of(core.name, core.kernels.version)


@cache
def bundled_tuning(core: Core) -> Tuned:
    """What was measured of a core and comes with the compiler."""
    return tuned_of(bundled(VERSIONS), core)


def stage_options(
    network: Network,
    kernels: KernelSet,
    optimise: Optimise,
    tuned: Tuned | None = None,
    shared: Shared | None = None,
) -> list[tuple[BandOption, ...]]:
    """Of each stage, how it is built at each height that its bands may have."""
    signatures = [signature(network, stage, kernels) for stage in network.stages]
    copies = Counter(signatures)
    known = (shared or Shared()).offered
    for stage, own in zip(network.stages, signatures, strict=True):
        if (kernels.name, own) not in known:
            every = candidates(network, stage, kernels)
            known[kernels.name, own] = (every, lean(network, stage, kernels))
    found = []
    for stage, own in zip(network.stages, signatures, strict=True):
        offered, leaner = known[kernels.name, own]
        fast = tuned_options(
            offered,
            {} if tuned is None else tuned.get(own, {}),
            optimise,
            partial(preferred, network, stage, kernels, optimise),
            copies[own],
        )
        # cycles of the fast one and what it saves: measured ones stay comparable
        found.append((*fast, *(replace(one, cycles=one.cycles + fast[0].cycles) for one in leaner)))
    return found


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
        band_rows=first.up[0],
        scratch_bytes=0,
        reads_before_writing=False,
        others=inputs[1:],
        is_result=network.stage_output(stage) in network.outputs,
        up_rows=first.up[0],
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
