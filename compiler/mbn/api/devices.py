"""Boards that are attached or emulated: flash them, check them, verify what is to be flashed.

What enters: a folder that mbn-compile wrote, a board, where it is. What leaves: reports, verdicts.
Always holds: nothing here needs TVM, torch or ONNX but `compare`, which says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mbn.api.telling import Place as PathLike
from mbn.api.telling import Progress, teller
from mbn.core import boards as known_boards
from mbn.core.boards import as_board
from mbn.core.errors import UsageError
from mbn.core.target import Board
from mbn.harness.device.mlperf import BAUD
from mbn.harness.device.open import where
from mbn.harness.flash import read_payload
from mbn.harness.flash.find import LAB, Place, all_probes, lab_place, ports
from mbn.jobs import check as check_job
from mbn.jobs import flash as flash_job
from mbn.jobs import mlperf as mlperf_job
from mbn.jobs import new_board as new_board_job
from mbn.jobs.mlperf import Sessions
from mbn.report import Report
from mbn.report.record import FILE_NAME

if TYPE_CHECKING:
    from mbn.image.release.verify import Verdict
    from mbn.jobs.agreement import Agreement
    from mbn.jobs.lower.float_layers import FloatComparison

__all__ = ["BAUD", "LAB", "Place", "all_probes", "ports", "where"]


def boards() -> tuple[Board, ...]:
    """Every board that can be compiled for."""
    return tuple(known_boards.boards().values())


def find_board(name: str) -> Board:
    """A board by name or alias. Raises BoardError, which lists the near ones."""
    return known_boards.find_board(name)


def new_board(folder: PathLike, like: str | Board) -> Board:
    """Writes the folder of a board of one's own, like one that there is; `--board FOLDER` takes it.
    Raises UsageError for a folder or a name that is there already."""
    return new_board_job.new_board(Path(folder), as_board(like))


def compiled_folder(board: str | Board) -> Path:
    """The one folder below out/BOARD/ that holds a report. UsageError for none or several."""
    asked = as_board(board)
    root = Path("out") / asked.name
    found = sorted(path.parent for path in root.glob(f"*/{FILE_NAME}"))
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"{len(found)} compiled networks in {root}"
        + (": " + ", ".join(path.name for path in found) if found else ""),
        wanted="one, or --output DIR",
        advice=f"mbn-compile --board {asked.asked} makes one" if not found else None,
    )


def check(
    board: str | Board,
    folder: PathLike | None = None,
    *,
    port: str | None = None,
    samples: int | None = None,
    emulator: str | None = None,
    sketch: bool = False,
    progress: Progress = None,
) -> Report:
    """Runs images of the folder's samples.npz (`samples` of them; None: all) on the board at
    `port`, or in an emulator (None: QEMU), and compares every output bit with the exact reference.
    `sketch`: the port is that of the sketch Check of an Arduino export of the same network. The
    report is written to the folder too. Raises LinkError, CheckError, ModelError; a difference is
    no error but in the report."""
    found = as_board(board)
    place = compiled_folder(found) if folder is None else Path(folder)
    return check_job.run_check(
        place,
        found,
        teller(progress),
        port=port,
        samples=samples,
        emulator=emulator,
        sketch=sketch,
    )


def compare(
    model: PathLike,
    *,
    images: PathLike | None = None,
    samples: int = 100,
    against: str = "onnxruntime",
    input_shape: Sequence[int] | None = None,
    progress: Progress = None,
) -> Comparison:
    """The integers of a quantised file against ONNX Runtime on the same graph, on the images of a
    folder, on arrays (.npy, .npz), or on drawn samples; or (`against="litert"`) in rounding
    `tflite` against LiteRT's reference kernels on the same .tflite file, every bit. Needs TVM and
    ONNX. Raises UsageError, ToolError where LiteRT is not installed."""
    from mbn.jobs import agreement  # noqa: PLC0415
    from mbn.jobs.lower import inputs, sources  # noqa: PLC0415
    from mbn.passes.frontend import lower_graph  # noqa: PLC0415

    if against not in (agreement.ONNXRUNTIME, agreement.LITERT):
        raise UsageError(f"against {against}", wanted="onnxruntime or litert")
    path, sizes = Path(model), None if input_shape is None else tuple(input_shape)
    lowered = lower_graph(path, path.stem, input_shape=sizes)
    form = inputs.form_of(path, lowered.graph, lowered.normalisation, sizes)
    folder = None if images is None else Path(images)
    given = sources.images_for(lowered.network, folder, samples, form)
    with teller(progress).task(f"comparing {len(given.images)} images", len(given.images)) as step:
        found = agreement.compare(
            path, given.images, against=against, input_shape=sizes, progress=step
        )
    return Comparison(lowered.network.name, given.what, found)


def compare_float(
    model: PathLike,
    *,
    calibrate: PathLike,
    images: PathLike | None = None,
    samples: int = 32,
    input_range: Sequence[float] | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    input_shape: Sequence[int] | None = None,
    progress: Progress = None,
) -> FloatComparison:
    """What quantising a float network loses: each layer's signal-to-noise ratio in dB, between the
    integers and the float network on the same samples, `images` or some of `calibrate`. The other
    options are those of `compile`. Needs TVM and ONNX. Raises UsageError, QuantiseError."""
    from mbn.jobs.lower import float_layers, sources  # noqa: PLC0415

    request = sources.Request(
        onnx=Path(model),
        calibrate=None if calibrate is None else Path(calibrate),
        images=None if images is None else Path(images),
        samples=samples,
        input_range=None if input_range is None else (input_range[0], input_range[1]),
        mean=tuple(mean),
        std=tuple(std),
        input_shape=None if input_shape is None else tuple(input_shape),
    )
    return float_layers.compare(sources.checked(request), teller(progress))


class Comparison:
    """What `compare` found. `what`: which images were taken."""

    def __init__(self, name: str, what: str, agreement: Agreement) -> None:
        self.name, self.what, self.agreement = name, what, agreement

    @property
    def holds(self) -> bool:
        """Whether all differences are within what rounding explains."""
        return self.agreement.holds

    def __repr__(self) -> str:
        found = self.agreement
        return f"<mbn.Comparison {self.name}: top-1 equal on {found.same_top1} of {found.images}>"


def find_place(
    board: str | Board,
    *,
    port: str | None = None,
    probe: str | None = None,
    drive: PathLike | None = None,
    method: str | None = None,
    at: str | None = None,
    lab: PathLike = LAB,
) -> Place:
    """Where a board is: its serial port, probe or drive, as given or as an entry of lab.toml says
    (`at`). What is left out is found by USB id when it is needed."""
    said = Place(port, probe, None if drive is None else Path(drive), method)
    return said.over(lab_place(as_board(board), at, Path(lab)))


def flash(
    board: str | Board,
    folder: PathLike | None = None,
    *,
    place: Place | None = None,
    check: bool = False,
    samples: int | None = None,
    progress: Progress = None,
) -> Report | None:
    """Writes the folder's check image into a board, reads it back, starts it, and proves by build
    id and model hash that it runs. `check`: then as `mbn.check`, whose report is returned. Raises
    FlashError, LinkError."""
    found = as_board(board)
    at = compiled_folder(found) if folder is None else Path(folder)
    wanted = flash_job.wanted_from(at, found)
    tell = teller(progress)
    with (
        flash_job.reserved(place or find_place(found), tell) as held,
        flash_job.flashed(wanted, held, tell, at / "flash.log") as flasher,
    ):
        if not check:
            return None
        return check_job.run_check(at, found, tell, port=flasher.port, samples=samples)


def flash_steps(
    board: str | Board, folder: PathLike | None = None, *, place: Place | None = None
) -> str:
    """What `flash` would do, as text; nothing is touched."""
    found = as_board(board)
    wanted = flash_job.wanted_from(
        compiled_folder(found) if folder is None else Path(folder), found
    )
    payload = read_payload(wanted.hex, found)
    with flash_job.flasher_for(wanted, place or find_place(found)) as flasher:
        return flash_job.steps_text(flasher, payload)


def mlperf(
    board: str | Board,
    folder: PathLike | None = None,
    *,
    port: str | None = None,
    baud: int = BAUD,
    mode: str = "both",
    samples: int | None = None,
    runs: int = 10,
    warmup: int = 10,
    transcript: PathLike | None = None,
) -> Sessions:
    """MLPerf Tiny's sessions with a board that runs firmware/mlperf: "accuracy", "performance" or
    "both". Raises UsageError, LinkError."""
    found = as_board(board)
    return mlperf_job.run_sessions(
        found,
        compiled_folder(found) if folder is None else Path(folder),
        port=port,
        baud=baud,
        mode=mode,
        samples=samples,
        runs=runs,
        warmup=warmup,
        transcript=None if transcript is None else Path(transcript),
    )


def verify(release: PathLike, key: PathLike) -> list[Verdict]:
    """Holds a release folder, or one signed image, to a public key (PEM). One verdict a check; all
    must be good. Raises ReleaseError for what can't be read."""
    from mbn.image.release.signing import load_key  # noqa: PLC0415 - its packages are an extra
    from mbn.image.release.verify import verify_image, verify_release  # noqa: PLC0415

    path, known = Path(release), load_key(Path(key))
    return [verify_image(path, known)] if path.is_file() else verify_release(path, known)
