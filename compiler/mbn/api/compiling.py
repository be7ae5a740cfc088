"""Compiling a network for a board, and what can be done with the result.

What enters: an ONNX or .tflite file or a size of the family, a board's name, options. What leaves:
`Compiled`: a folder with C, images and report.json. Nothing is printed; errors are MbnErrors, which
say what was found, what is wanted and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Required, TypedDict, Unpack

from mbn.api.reference import Image, Int8, codes_of, require_detector
from mbn.api.telling import Place, Progress, table, teller
from mbn.core import target as targets
from mbn.core.boards import as_board
from mbn.core.detector import Detection
from mbn.core.network import Network
from mbn.core.options import InputMode, Optimise, Options, Rounding
from mbn.core.plan import Plan
from mbn.core.target import Board, with_fast_ram
from mbn.core.telling import Listener
from mbn.harness.device.open import open_device
from mbn.jobs import check as check_job
from mbn.jobs import compile as compile_job
from mbn.jobs.compile import Job
from mbn.jobs.lower import sources
from mbn.jobs.lower.mapping import map_of
from mbn.jobs.lower.sources import Request
from mbn.passes.predict import Prediction
from mbn.report import Report, StageFacts
from mbn.report.memory_map import MemoryMap

if TYPE_CHECKING:
    from mbn.jobs.every import Verdict


class NetworkOptions(TypedDict, total=False):
    """Which network, and how it is understood; `compile` explains each."""

    calibrate: Place | None
    rounding: str
    fused: bool
    simplify: bool
    alpha: float | None
    resolution: int
    classes: int | None
    weights: str
    data: str | None
    labels: Place | None
    detect: Place | None
    input_range: Sequence[float] | None
    mean: Sequence[float]
    std: Sequence[float]
    accept_loss: bool
    input_shape: Sequence[int] | None


class JobOptions(NetworkOptions, total=False):
    """The options of `job` and `compile`."""

    board: Required[str | Board]
    optimise: str
    output: Place | None
    input_mode: str
    ram_budget: int | None
    fast_ram: int | None
    images: Place | None
    samples: int
    records: Sequence[Place] | None
    app: str
    cache: bool


def job(
    model: Place | None = None,
    *,
    board: str | Board,
    calibrate: Place | None = None,
    rounding: str = "single",
    optimise: str = "speed",
    output: Place | None = None,
    input_mode: str = "stream",
    fused: bool = True,
    simplify: bool = True,
    ram_budget: int | None = None,
    fast_ram: int | None = None,
    alpha: float | None = None,
    resolution: int = 96,
    classes: int | None = None,
    weights: str = "trained",
    data: str | None = None,
    labels: Place | None = None,
    detect: Place | None = None,
    input_range: Sequence[float] | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    accept_loss: bool = False,
    input_shape: Sequence[int] | None = None,
    images: Place | None = None,
    samples: int = 10,
    records: Sequence[Place] | None = (),
    app: str = check_job.IMAGE_NAME,
    cache: bool = True,
) -> Job:
    """What `compile` is asked for, as a value; the parameters are explained there. Raises
    UsageError for combinations that make no sense, BoardError for an unknown board."""
    low_high = None if input_range is None else (float(input_range[0]), float(input_range[1]))
    request = sources.checked(
        Request(
            alpha=alpha,
            resolution=resolution,
            classes=classes,
            weights=weights,
            data=data,
            labels=None if labels is None else Path(labels),
            detect=None if detect is None else Path(detect),
            onnx=None if model is None else Path(model),
            calibrate=None if calibrate is None else Path(calibrate),
            images=None if images is None else Path(images),
            input_range=low_high,
            samples=samples,
            mean=tuple(mean),
            std=tuple(std),
            accept_loss=accept_loss,
            input_shape=None if input_shape is None else tuple(input_shape),
        )
    )
    return Job(
        request=request,
        board=as_board(board) if fast_ram is None else with_fast_ram(as_board(board), fast_ram),
        options=Options(
            mode=InputMode(input_mode),
            optimise=Optimise(optimise),
            rounding=Rounding(rounding),
            fused=fused,
            simplify=simplify,
            ram_budget=ram_budget,
        ),
        app=app,
        records=None if records is None else tuple(Path(one) for one in records),
        output=None if output is None else Path(output),
        cache=cache,
    )


def compile(
    model: Place | None = None, *, progress: Progress = None, **options: Unpack[JobOptions]
) -> Compiled:
    """Compiles a network for a board: plain C, a firmware image that checks it, report.json.

    - `model`: an ONNX file, float or quantised (QDQ), or an int8 .tflite file; None: the bundled
      network of `alpha` (0.25) that knows `data` ("photographs", or "digits"), or one with drawn
      weights (`weights="random:SEED"`, with `resolution` in pixels, `classes`).
    - `labels`: a text file with the names of the classes, one a line; None: those of the model's.
    - `detect`: a JSON file: the outputs are an SSD head's, and the device turns them into boxes;
      None: as the model's metadata say, if they do.
    - `board`: a name, as `boards()` lists them.
    - `calibrate`: of a float network, a folder of images such as it will see. `input_range`: what
      pixels 0 and 255 mean to it; or `mean` and `std` of pixels / 255. `accept_loss`: compile even
      where the integers no longer follow it.
    - `rounding`: "single" (fast), or "tflite" (TensorFlow Lite's reference bits).
    - `optimise`: "speed", "balanced" or "size". `ram_budget`: bytes of the arena at most.
      `fast_ram`: bytes of RAM for code and weights, which the flash's wait states then don't slow.
    - `input_mode`: "stream" (rows as they come) or "whole" (the image lies in RAM).
    - `output`: the folder; None: out/BOARD/NETWORK.
    - `images`, `samples`: what is checked later: a folder of pictures, and how many.
    - `fused`, `simplify`: False for a stage a layer, and for channels that are proved constant.
    - `records`: files of mbn-tune; None: not even the bundled ones.
    - `app`: firmware besides the check's: "mlperf".
    - `cache`: False to compile although the same was compiled before, and to keep nothing.

    Raises MbnError: UsageError, PlaceError (the file), UnsupportedError (the graph), QuantiseError,
    PlanError (it does not fit), ToolError (the C compiler).
    """
    return build(job(model, **options), progress=progress)


def build(asked: Job, *, progress: Progress = None) -> Compiled:
    """Compiles what `job` describes; raises as `compile`."""
    tell = teller(progress)
    made = compile_job.compile_image(asked, tell)
    return Compiled(made, tuple(tell.said) if isinstance(tell, Listener) else ())


def check_every(
    asked: Job, boards: Sequence[Board], *, progress: Progress = None
) -> Iterator[Verdict]:
    """Compiles what `job` describes for each board, runs it and compares every bit; a verdict as
    each is known. Boards without an emulator run as the generic image of their core. What goes
    wrong on one board is in its verdict."""
    from mbn.jobs import every  # noqa: PLC0415

    return every.check_every(asked, boards, teller(progress))


@dataclass(frozen=True, eq=False, repr=False)
class Compiled:
    """A compiled network in its folder. `notes`: what the compiler said while it worked."""

    _made: compile_job.Compiled
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where C, images and report.json are."""
        return self._made.folder

    @property
    def files(self) -> dict[str, Path]:
        """Everything that was written there, by name: "c/network.c", "check.elf", ..."""
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in found}

    @property
    def board(self) -> Board:
        """What it was compiled for."""
        return self._made.job.board

    @property
    def network(self) -> Network:
        """The integer network as it was asked for."""
        return self._made.network

    @property
    def plan(self) -> Plan:
        """Where every map lies in the arena, in bytes, and in which order stages run."""
        return self._made.generated.plan

    @property
    def memory_map(self) -> MemoryMap:
        """The arena over time, as mbn-compile --plan-only draws it."""
        made = self._made.generated
        return map_of(made.computed, made.kernel_set, made)

    @property
    def report(self) -> Report:
        """report.json as it was compiled; `check` returns a newer one."""
        return self._made.report

    @property
    def fast_stages(self) -> tuple[int, ...]:
        """Stages whose weights are copied to fast memory at start-up."""
        return self._made.image.fast_stages

    @property
    def fast(self) -> str | None:
        """What is copied to fast memory at start-up; None where nothing is."""
        image = self._made.image
        memory = next(iter(image.board.memories_for("hot")), None)
        if memory is None or not image.memory_bytes.get(memory.name):
            return None
        used = image.memory_bytes[memory.name]
        stages = ", ".join(map(str, image.fast_stages))
        weights = f", and the weights of stages {stages}" if stages else ""
        return (
            f"{used:,} of {memory.size_bytes:,} bytes of {memory.name}: the network's code{weights}"
        )

    @property
    def app(self) -> targets.Image | None:
        """The other app's image, where one was asked for."""
        return self._made.app

    @property
    def stages(self) -> tuple[StageFacts, ...]:
        """The stages that the device computes: shapes, multiply-accumulates."""
        return self._made.report.stages

    @property
    def prediction(self) -> Prediction | None:
        """Cycles of an inference without running it; None where no model was fitted."""
        return self._made.prediction

    def check(
        self,
        samples: int | None = None,
        *,
        port: str | None = None,
        emulator: str | None = None,
        progress: Progress = None,
    ) -> Report:
        """Runs the images of samples.npz on the board (`port`) or in an emulator (None: QEMU; or
        one that its board.toml names) and compares every output bit with the exact reference. The
        report says how many are equal, and what each stage costs. Raises LinkError, CheckError,
        BoardError (nothing to run on)."""
        tell = teller(progress)
        return compile_job.check_image(
            self._made, tell, port=port, samples=samples, emulator=emulator
        )

    def run(self, image: Image, *, port: str | None = None) -> Int8:
        """One image on the board (`port`) or its emulator: the output as int8 codes, of the
        output's shape. `image`: height x width x channel; uint8 pixels, or int8 codes."""
        codes = codes_of(self.network, image)
        place = compile_job.running(self._made, port)
        with open_device(place.board, place.elf, port, log_path=self.folder / "run.log") as device:
            device.expect(build_id=place.build_id)
            result = device.run(codes).output
        return result.reshape(self.network.output.shape if not self.network.results else -1)

    def boxes(self, image: Image, *, port: str | None = None) -> list[Detection]:
        """The objects that the board (`port`) or its emulator finds in one image, best first: see
        `run`. Raises UsageError where the network has no detector."""
        require_detector(self.network)
        codes = codes_of(self.network, image)
        place = compile_job.running(self._made, port)
        with open_device(place.board, place.elf, port, log_path=self.folder / "run.log") as device:
            device.expect(build_id=place.build_id)
            device.run(codes)
            return list(device.boxes().found)

    def export(
        self, form: str, output: Place, *, name: str | None = None, progress: Progress = None
    ) -> Path:
        """Writes a library for another project: "cmake", "arduino", "platformio", "zephyr" or
        "cmsis-pack". Returns its folder."""
        return export(
            replace(self._made.job, output=Path(output)), form, name=name, progress=progress
        )

    def release(
        self,
        version: str,
        key: Place,
        *,
        slot: tuple[int, int] | None = None,
        progress: Progress = None,
    ) -> Path:
        """Writes a signed release folder, of version "1.2.3", by the private key of a PEM file.
        `slot`: offset and bytes of a MCUboot slot. Raises ReleaseError, PlanError."""
        from mbn.jobs.release import release  # noqa: PLC0415 - its packages are an extra

        return release(self._made, version, Path(key), teller(progress), slot=slot)

    def __repr__(self) -> str:
        memory = self.report.memory
        return (
            f"<mbn.Compiled {self.network.name} for {self.board.name}: {memory.flash_bytes:,} "
            f"bytes of flash, {memory.arena_bytes:,} of arena>"
        )

    def _repr_html_(self) -> str:
        rows = [
            (f"{index} {one.kind}", one.input, one.output, f"{one.macs:,}")
            for index, one in enumerate(self.stages)
        ]
        return table(repr(self)[1:-1], ("stage", "in", "out", "MACs"), rows)


def ready(asked: Job, *, check: bool = False, port: str | None = None) -> None:
    """Tries what a compilation, and if `check` a check, would need, and does no work. Raises
    ToolError (a program), FileError (the folder), LinkError (the port), BoardError."""
    from mbn.jobs.ready import ready  # noqa: PLC0415

    ready(asked, check=check, port=port)


def export(asked: Job, form: str, *, name: str | None = None, progress: Progress = None) -> Path:
    """Writes a job's network as a library to the job's `output`; see `Compiled.export`."""
    from mbn.jobs.export import export  # noqa: PLC0415

    return export(asked, form, teller(progress), name)


def check_release(version: str, key: Place) -> None:
    """Raises UsageError or ReleaseError where a release of this version could not be made with this
    key: known before anything is compiled."""
    from mbn.core.errors import ReleaseError  # noqa: PLC0415
    from mbn.image.release.signing import load_key  # noqa: PLC0415
    from mbn.jobs.release import check_version  # noqa: PLC0415

    check_version(version)
    if load_key(Path(key)).private is None:
        raise ReleaseError("is a public key", wanted="the private one", node=str(key))


def key_advice() -> str:
    """The command that makes a key."""
    from mbn.image.release.signing import KEY_ADVICE  # noqa: PLC0415

    return KEY_ADVICE
