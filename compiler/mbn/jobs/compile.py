"""Compiles a network for a board: this file alone knows the order of the steps.

`compile_image` finds the network, lowers it, plans its memory, writes the C, builds the image and
report.json. `check_image` runs that image and adds what it found to the report. `plan_boards` stops
after the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mbn.core import network_file
from mbn.core.errors import UnsupportedError
from mbn.core.kernel_set import VERSIONS
from mbn.core.network import Network
from mbn.core.options import DEFAULTS, LEVELS, Options, Rounding
from mbn.core.store import Store
from mbn.core.target import QEMU, Board, Image
from mbn.core.telling import SILENT, Teller
from mbn.exact import Reference
from mbn.harness import cost
from mbn.harness.device import mlperf
from mbn.image.build import build_image
from mbn.image.build.estimate import code_bytes
from mbn.jobs import check as check_job
from mbn.jobs.lower import detecting, fidelity, fit, labelled, remembered, sources
from mbn.jobs.lower.inputs import as_codes, input_span, outside, plain_form
from mbn.jobs.lower.lowering import Generated, Shared, Target, generate, tuned_of
from mbn.jobs.lower.mapping import map_of
from mbn.jobs.lower.meaning import with_meaning
from mbn.passes import tuning
from mbn.passes.frontend import closest, lower
from mbn.passes.predict import Prediction, predict, prediction_of
from mbn.report import Memory, NetworkFacts, Report, ResultFacts, load_report, save
from mbn.report.memory_map import MemoryMap, save_map
from mbn.report.record import Accuracy

# Files of a folder besides C and images
KEPT = ("network.npz", "channels.npz", "samples.npz", "report.json", "memory_map.json")
MUCH_OUTSIDE = 0.001  # the share of input values without a code that is warned of
MANY_CLASSES = 10  # above it the five largest outputs count too


@dataclass(frozen=True)
class Job:
    """One run of mbn-compile."""

    request: sources.Request
    board: Board
    options: Options = DEFAULTS
    app: str = check_job.IMAGE_NAME  # built beside the check's
    # mbn-tune's, besides the bundled ones; None: not even those
    records: tuple[Path, ...] | None = ()
    output: Path | None = None
    cache: bool = True  # take what an identical job made before, and keep what this one makes


@dataclass(frozen=True, eq=False)
class Compiled:
    """What a job made, in `folder`."""

    job: Job
    folder: Path
    network: Network
    image: Image
    report: Report
    app: Image | None  # the other app's, where one was asked for
    prediction: Prediction | None
    lower: Callable[[], Generated]

    @cached_property
    def generated(self) -> Generated:
        """The lowered network; of what was made before it is lowered now."""
        return self.lower()


@dataclass(frozen=True, eq=False)
class Planned:
    """A network lowered and planned for a board; nothing is built."""

    source: sources.Source
    folder: Path
    generated: Generated

    def demand(self, code_bytes: int) -> fit.Demand:
        """What it needs, with so much code."""
        made = self.generated
        return fit.Demand(made.files.weights_bytes, made.plan.arena_bytes, code_bytes)


def plan_network(job: Job, tell: Teller) -> Planned:
    """Finds the network, lowers it through TVM and plans its memory."""
    return plan_boards(job, [job.board], tell)[0]


def plan_boards(job: Job, chosen: Sequence[Board], tell: Teller) -> list[Planned]:
    """The same for each of some boards instead of the job's: a plan of its own for each, as each
    has memories of its own; what a stage is lowered to is shared."""
    work = _work(job)
    with closest.told():
        source = sources.find_network(job.request, work / "onnx", tell)
        network = lower(
            source.path, source.name, fused=job.options.fused, rounding=job.options.rounding
        )
    network = with_meaning(network, source, job.request)
    shared = Shared()
    tuned: dict[str, tuning.Tuned | None] = {}
    plans = []
    for board in chosen:
        core = board.core.name
        if core not in tuned:
            tuned[core] = tuned_for(replace(job, board=board), tell)
        with tell.task(f"lowering {source.name} through TVM") as step:
            generated = generate(
                network,
                Target.of(board, tuned[core]),
                job.options,
                progress=step,
                shared=shared,
            )
        folder = job.output or Path("out") / board.name / source.name
        plans.append(Planned(source, folder, generated))
    return plans


def demands(planned: Sequence[Planned], chosen: Sequence[Board]) -> list[fit.Demand]:
    """What each plan needs on its board. Code is compiled to know its bytes, once a core: plans
    differ in addresses only. Without a compiler it is an estimate."""
    code: dict[str, int] = {}
    for plan, board in zip(planned, chosen, strict=True):
        if board.core.name not in code:
            known = code_bytes(plan.generated.files.files, board)
            code[board.core.name] = fit.CODE_BYTES if known is None else known
    return [plan.demand(code[board.core.name]) for plan, board in zip(planned, chosen, strict=True)]


def tuned_for(job: Job, tell: Teller) -> tuning.Tuned | None:
    """What was measured of the job's core. Says which records were ignored, and why."""
    if job.records is None:
        return None
    found = tuning.bundled(VERSIONS)
    for path in job.records:
        found.take(tuning.read(path, VERSIONS))
    for reason in found.ignored:
        tell.say(f"warning: {reason}")
    return tuned_of(found, job.board.core)


def predicted(generated: Generated, board: Board) -> Prediction | None:
    """Cycles of one inference by the tuner's records and the fitted model; None where none was
    fitted: other cores and kernels, rounding `tflite`."""
    if generated.network.rounding is not Rounding.SINGLE:
        return None
    return predict(board.core, generated.computed, generated.options)


def memory_map(planned: Planned) -> MemoryMap:
    """The plan as a picture's data."""
    made = planned.generated
    return map_of(made.computed, made.kernel_set, made)


def compile_image(job: Job, tell: Teller) -> Compiled:
    """Finds the network, lowers it, builds the check firmware, writes report.json; or takes what an
    identical job made before."""
    store = remembered.store() if job.cache else None
    asked = (*remembered.board_facts(job.board), repr(job.options), job.app)
    key = None if store is None else remembered.key_of(job.request, job.records, *asked)
    if store is None or key is None:
        compiled, _, before = _compiled(job, tell, store)
        return _with_check(compiled, before)
    found = remembered.find(store, key)
    if found is not None:
        return _restored(job, found, tell)
    heard = remembered.Remembering(tell)
    with remembered.notes() as noted:
        compiled, planned, before = _compiled(job, heard, store)
    store.put(key, _kept(compiled, planned, heard.said, noted).packed())  # without any check
    return _with_check(compiled, before)


def _with_check(compiled: Compiled, before: Report | None) -> Compiled:
    """With what the folder's report said of a check, as `Report.after` keeps it."""
    if before is None:
        return compiled
    report = compiled.report.after(before, check_job.image_sha256(compiled.folder))
    if report is not compiled.report:
        save(report, compiled.folder)
    return replace(compiled, report=report)


def _kept(
    compiled: Compiled,
    planned: Planned,
    said: Sequence[tuple[str, str | None]],
    noted: Sequence[str],
) -> remembered.Kept:
    """What was made, as an archive: the folder's files, those beside it, and what was said."""
    folder, work = compiled.folder, _work(compiled.job)
    images = [one for one in (compiled.image, compiled.app) if one is not None]
    paths = [folder / "c" / name for name in planned.generated.files.files]
    paths += [folder / name for name in KEPT]
    paths += [path for one in images for path in (one.elf, one.hex, one.bin) if path is not None]
    files = {f"folder/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}
    if planned.source.path.is_relative_to(work):
        beside = planned.source.path.relative_to(work).as_posix()
        files[f"work/{beside}"] = planned.source.path.read_bytes()
    facts = {
        "name": planned.source.name,
        "said": said,
        "noted": noted,
        "images": [remembered.image_facts(one) for one in images],
        "prediction": None if compiled.prediction is None else asdict(compiled.prediction),
    }
    return remembered.Kept(facts, files)


def _restored(job: Job, kept: remembered.Kept, tell: Teller) -> Compiled:
    """Writes an archive's files where the job wants them."""
    name, work = kept.facts["name"], _work(job)
    folder = job.output or Path("out") / job.board.name / name
    tell.say(f"Nothing has changed since {name} was compiled: taken from the cache (--no-cache)")
    before = check_job.known_report(folder)
    remove_images(folder, (mlperf.APP,))
    remembered.write(kept, folder, work)
    image, *apps = (remembered.image_of(one, job.board, folder) for one in kept.facts["images"])
    remembered.again(tell, kept.facts["said"], kept.facts["noted"])
    made = Compiled(
        job,
        folder,
        network_file.load(folder / "network.npz"),
        image,
        load_report(folder),
        apps[0] if apps else None,
        prediction_of(kept.facts["prediction"]),
        lambda: plan_network(job, SILENT).generated,
    )
    return _with_check(made, before)


def _work(job: Job) -> Path:
    """Where what is made on the way lies."""
    return job.output or Path("out") / job.board.name


def _compiled(
    job: Job, tell: Teller, store: Store | None
) -> tuple[Compiled, Planned, Report | None]:
    """What was made, its plan, and the report that was there before."""
    planned = plan_network(job, tell)
    source, folder, generated = planned.source, planned.folder, planned.generated
    before = check_job.known_report(folder)
    network = generated.network
    if job.app != check_job.IMAGE_NAME and network.results:
        raise UnsupportedError(
            f"--app {job.app} for a network with {len(network.outputs)} results",
            wanted="a network with one",
        )
    judge_quantised(job, planned, tell)
    # Only what can't fit: with more code than the firmware's, linking says it to the byte
    fit.refuse_if_too_large(
        planned.demand(fit.FIRMWARE_CODE_BYTES),
        job.board,
        generated.kernel_set,
        job.options.mode,
        _classes(network),
    )
    remove_images(folder, (mlperf.APP,))  # of an earlier network: they'd read as a wrong device
    generated.files.write(folder / "c")
    network_file.save(network, folder / "network.npz")
    check_job.save_channels(folder, generated.channels)
    samples = sources.find_samples(job.request, source, network)
    if samples.outside > MUCH_OUTSIDE:
        tell.say(_outside_words(samples.what, samples.outside, network))
    check_job.save_samples(folder, samples.images, samples.labels, samples.what)
    with tell.task(f"building for {job.board.name}"):
        image = build_image(
            folder / "c",
            job.board,
            check_job.IMAGE_NAME,
            folder,
            flag=LEVELS[job.options.optimise].gcc_flag,
        )
        app = None if job.app == check_job.IMAGE_NAME else _build_app(job, folder)
    accuracy = _known_accuracy(job.request, source, network, tell, store)
    report = _report(job, source, generated, image, accuracy)
    save(report, folder)
    save_map(memory_map(planned), folder)
    prediction = predicted(generated, job.board)
    made = Compiled(job, folder, network, image, report, app, prediction, lambda: generated)
    return made, planned, before


def remove_images(folder: Path, apps: Sequence[str]) -> None:
    """Removes what an earlier build of these apps left in a folder."""
    for app in apps:
        for ending in ("elf", "hex", "bin"):
            (folder / f"{app}.{ending}").unlink(missing_ok=True)


def _classes(network: Network) -> int | None:
    """How many classes a classifier tells apart; None of a network that gives maps or several
    results."""
    out = network.output
    return out.channels if not network.results and (out.height, out.width) == (1, 1) else None


def judge_quantised(job: Job, planned: Planned, tell: Teller) -> None:
    """Says what pixels mean to the network, what its results, and, of a float one, how well the
    integers follow it, in a line each. Raises QuantiseError where they don't, unless --accept-loss
    was given."""
    source, network = planned.source, planned.generated.network
    described = sources.described_source(job.request, source)
    if described:
        tell.say(f"input  {described}")
    if network.detector is not None:
        tell.say(f"boxes  {detecting.words(network, network.detector)}")
    if source.float_path is None or source.calibration is None:
        return
    form = source.form or plain_form(network.input)
    beyond = outside(network, source.calibration, form)
    if beyond > MUCH_OUTSIDE:
        tell.say(_outside_words("the calibration saturates", beyond, network))
    with tell.task("integers against float", len(source.calibration)) as step:
        found = fidelity.compare(
            network,
            source.float_path,
            source.calibration,
            partial(as_codes, network, form=form),
            partial(sources.real_input, job.request, form),
            step,
        )
    if not form.is_image:
        found = replace(found, what="samples")
    fidelity.refuse_lost(found, accept=job.request.accept_loss)
    word = "int8  " if found.is_good else "warning: int8"
    tell.say(f"{word} {found}", style=None if found.is_good else "yellow")


def _outside_words(what: str, share: float, network: Network) -> str:
    return (
        f"warning: {what}: {100 * share:.1f} % of the values lie outside the input's range "
        f"{input_span(network)}; is the preprocessing the one of training?"
    )


def _build_app(job: Job, folder: Path) -> Image:
    """Another app's image."""
    return build_image(
        folder / "c",
        job.board,
        job.app,
        folder,
        flag=LEVELS[job.options.optimise].gcc_flag,
        defines=app_defines(job.app, job.board),
    )


def app_defines(app: str, board: Board) -> dict[str, str]:
    """Macros of an app besides the board's: MLPerf Tiny's runner has a baud rate of its own."""
    slower = app != check_job.IMAGE_NAME and "MBN_BAUD" in board.defines
    return {"MBN_BAUD": f"{mlperf.BAUD}u"} if slower else {}


def _known_accuracy(
    request: sources.Request,
    source: sources.Source,
    network: Network,
    tell: Teller,
    store: Store | None,
) -> Accuracy | None:
    """`_accuracy`, which no board changes: of an equal network it is known."""
    what = ("accuracy", network_file.sha256(network))
    key = None if store is None else remembered.key_of(request, (), *what)
    found = None if store is None or key is None else remembered.find(store, key)
    if found is not None:
        known = found.facts["accuracy"]
        return None if known is None else Accuracy(**known)
    made = _accuracy(request, source, network, tell)
    if store is not None and key is not None:
        facts = {"accuracy": None if made is None else asdict(made)}
        store.put(key, remembered.Kept(facts, {}).packed())
    return made


def _accuracy(
    request: sources.Request, source: sources.Source, network: Network, tell: Teller
) -> Accuracy | None:
    """int8 accuracy by the reference, float accuracy by ONNX Runtime, on all labelled samples; of
    the five largest too where there are more than ten classes. Without samples, what a bundled
    network scored when it was made; recorded are the bits of rounding `single`."""
    found = sources.labelled_images(request, source, network)
    if found is None:
        return source.recorded if network.rounding is Rounding.SINGLE else None
    codes = as_codes(network, found.maps, source.form)
    ours = check_job.reference_outputs(Reference(network), codes, tell)
    with tell.task("the float network"):
        real = sources.float_outputs(request, source, found.maps)
    many = ours.shape[1] > MANY_CLASSES

    def percent(outputs: NDArray[Any] | None, count: int, *, asked: bool = True) -> float | None:
        return labelled.top(outputs, found.labels, count) if asked and outputs is not None else None

    return Accuracy(
        len(found.labels),
        percent(real, 1),
        labelled.top(ours, found.labels, 1),
        percent(real, labelled.TOP, asked=many),
        percent(ours, labelled.TOP, asked=many),
    )


def _report(
    job: Job, source: sources.Source, generated: Generated, image: Image, accuracy: Accuracy | None
) -> Report:
    network = generated.network
    return Report(
        network=NetworkFacts(
            name=network.name,
            alpha=source.alpha,
            resolution=network.input.height,
            classes=network.result_bytes,
            macs=network.macs,
            macs_computed=generated.computed.macs,
            params=network.params,
            model_sha256=generated.model_sha256,
            results=tuple(
                ResultFacts(out.name, out.shape_text, out.scale, out.zero_point)
                for out in network.outputs
                if network.results
            ),
        ),
        board=job.board.name,
        core=job.board.core.name,
        rounding=str(network.rounding),
        input_mode=str(job.options.mode),
        kernel_set=generated.kernel_set.name,
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
        stages=check_job.stage_facts(generated.computed),
    )


def check_image(
    compiled: Compiled,
    tell: Teller,
    *,
    port: str | None = None,
    samples: int | None = None,
    emulator: str | None = None,
    unaligned: bool = True,
) -> Report:
    """Runs the check and, in emulation, counts instructions and models cycles by stage, in QEMU
    whatever ran the check; `unaligned`: what unaligned accesses cost too, which takes longest."""
    place = running(compiled, port, emulator)
    report = check_job.run_check(
        compiled.folder, compiled.job.board, tell, port=port, samples=samples, place=place
    )
    if port is None and place.board.emulator is not None:
        if place.board.emulator.kind != QEMU:
            place = running(compiled)
        report = _count(compiled, place.board, report, tell, unaligned)
        save(report, compiled.folder)
    return report


def running(
    compiled: Compiled, port: str | None = None, emulator: str | None = None
) -> check_job.Running:
    """What is run for what was compiled: see `jobs.check.running`."""
    return check_job.running(
        compiled.folder,
        compiled.job.board,
        compiled.image.build_id,
        port=port,
        emulator=emulator,
        flag=LEVELS[compiled.job.options.optimise].gcc_flag,
    )


def _count(
    compiled: Compiled, board: Board, report: Report, tell: Teller, unaligned: bool
) -> Report:
    result = measure(compiled, tell, board=board, unaligned=unaligned)
    for note in result.notes:
        tell.say(note)
    return check_job.with_counts(report, result.total, result.stages)


def measure(
    compiled: Compiled, tell: Teller, *, board: Board | None = None, unaligned: bool = False
) -> cost.CostResult:
    """Instructions and modelled cycles of one inference in emulation, from the serial-free bench
    image; no bit is compared. `board`: that runs it, where the job's has no emulator. What a
    detector takes depends on the picture: it is the first of the samples."""
    on = board or compiled.job.board
    detects = compiled.network.detector is not None
    picture = check_job.load_samples(compiled.folder, 1).tobytes() if detects else b""
    image = build_image(
        compiled.folder / "c",
        on,
        "bench",
        compiled.folder,
        flag=LEVELS[compiled.job.options.optimise].gcc_flag,
        defines=cost.bench_defines(len(compiled.report.stages), picture),
    )
    if detects:
        cost.show(image.elf, picture)
    with tell.task("counting instructions in QEMU") as step:
        return cost.measure(
            on,
            image.elf,
            len(compiled.report.stages),
            compiled.folder / "cost",
            unaligned=unaligned,
            progress=step,
        )
