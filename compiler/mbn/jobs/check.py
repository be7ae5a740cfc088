"""Runs the check of a compiled folder: on a board, in emulation, or natively.

What enters: a folder that mbn-compile wrote (network.npz, samples.npz, report.json, images) and a
board. What leaves: the report with what the device did. Always holds: NumPy, the harness and, for a
board without an emulator, a C compiler are needed here, not TVM, torch or ONNX; the outputs
compared with are the reference's, computed now from network.npz; the device must say that it runs
the model and build of this folder.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core import network_file
from mbn.core.detector import Detection
from mbn.core.errors import BoardError, CheckError, ModelError
from mbn.core.files import read_regular
from mbn.core.generic import generic, lacking
from mbn.core.network import Network, StageChannels
from mbn.core.target import QEMU, Board
from mbn.core.telling import Teller
from mbn.exact import BoxReference, Reference
from mbn.harness import cost
from mbn.harness.device.check import CheckResult, check
from mbn.harness.device.open import open_device, where
from mbn.harness.device.protocol import Health
from mbn.image.build import build_image
from mbn.report import Check, Report, StageFacts, load_report, save

Int8 = NDArray[np.int8]
IMAGE_NAME = "check"
DETECT = "detect"  # the kind of what a detector does behind the network's stages
SAMPLES_NAME = "samples.npz"
GENERIC = "generic"  # below a folder: what runs in the place of a board without an emulator
REFERENCE_BATCH = 8


def save_samples(folder: Path, images: Int8, labels: NDArray[np.int64] | None, what: str) -> None:
    """Writes samples.npz: int8 images N x H x W x C, labels if known, and what they are."""
    extra = {} if labels is None else {"labels": labels}
    np.savez_compressed(
        folder / SAMPLES_NAME, allow_pickle=False, images=images, what=np.array(what), **extra
    )


def load_samples(folder: Path, count: int | None) -> Int8:
    """The first `count` images of samples.npz (all of them where None)."""
    images: Int8 = _samples(folder)["images"]
    return images if count is None else images[:count]


def load_labels(folder: Path, count: int | None) -> NDArray[np.int64] | None:
    """Their labels, if samples.npz has any."""
    labels: NDArray[np.int64] | None = _samples(folder).get("labels")
    return labels if labels is None or count is None else labels[:count]


def _samples(folder: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(read_regular(folder / SAMPLES_NAME)), allow_pickle=False) as data:
            found = {name: data[name] for name in ("images", "labels") if name in data.files}
            images = found["images"]
            if images.ndim != 4 or images.dtype != np.int8 or 0 in images.shape:
                raise ValueError(f"images of {images.dtype} {images.shape}")
            if "labels" in found and found["labels"].shape != images.shape[:1]:
                raise ValueError("other labels than images")
            return found
    except Exception as error:
        raise ModelError(
            f"{folder / SAMPLES_NAME} can't be read ({type(error).__name__})",
            wanted="a folder that mbn-compile wrote",
            advice="compile again",
        ) from error


def save_channels(folder: Path, channels: Sequence[StageChannels]) -> None:
    """Writes channels.npz: which channels of each stage's output the device computes, and what
    the others are."""
    arrays: dict[str, NDArray[Any]] = {}
    for index, stage in enumerate(channels):
        arrays[f"kept_{index:03d}"] = stage.kept
        arrays[f"values_{index:03d}"] = stage.values
    np.savez_compressed(folder / "channels.npz", allow_pickle=False, **arrays)


def load_channels(folder: Path, stages: int) -> list[StageChannels]:
    """What save_channels wrote."""
    try:
        with np.load(io.BytesIO(read_regular(folder / "channels.npz")), allow_pickle=False) as data:
            return [
                StageChannels(data[f"kept_{index:03d}"], data[f"values_{index:03d}"])
                for index in range(stages)
            ]
    except Exception as error:
        raise ModelError(
            f"{folder}/channels.npz can't be read ({type(error).__name__})",
            wanted="a folder that mbn-compile wrote",
            advice="compile again",
        ) from error


def reference_outputs(reference: Reference, images: Int8, tell: Teller) -> Int8:
    """Every image's output by the host reference, with a progress bar."""
    parts = []
    with tell.task("host reference", len(images)) as step:
        for start in range(0, len(images), REFERENCE_BATCH):
            parts.append(reference.run(images[start : start + REFERENCE_BATCH]))
            step(min(start + REFERENCE_BATCH, len(images)), None)
    return np.concatenate(parts)


def reference_boxes(network: Network, outputs: Int8) -> list[list[Detection]] | None:
    """What a detector finds in every image's output; None where the network has none."""
    if network.detector is None:
        return None
    run = BoxReference(network).run
    return [run(one) for one in outputs]


def stage_maps(reference: Reference, image: Int8) -> list[Int8]:
    """One image's output of every stage, in the device's order."""
    network = reference.network
    ends = {network.layers[stage.layers[-1]].name for stage in network.stages}
    return [result[0] for layer, result in reference.layers(image[None]) if layer.name in ends]


@dataclass(frozen=True)
class Running:
    """What is run for a board: itself, or the generic machine of its core with an image of its
    own."""

    board: Board
    elf: Path
    build_id: str


def running(
    folder: Path,
    board: Board,
    build_id: str,
    *,
    port: str | None = None,
    emulator: str | None = None,
    flag: str = "-O2",
) -> Running:
    """The board at the port or in the emulator of that kind (None: QEMU); where that has no such
    machine, or the machine not a memory that the image uses, the generic image, built here from
    the folder's C. Raises BoardError for an emulator that has no such board, or where no machine
    stands for its core; ToolError without a compiler."""
    elf = folder / f"{IMAGE_NAME}.elf"
    if emulator not in (None, QEMU):
        found = next((one for one in board.slower if one.kind == emulator), None)
        if found is None:
            kinds = ", ".join((QEMU, *(one.kind for one in board.slower)))
            raise BoardError(f"{emulator} does not emulate {board.name}", wanted=kinds)
        return Running(replace(board, emulator=found), elf, build_id)
    if port is not None or board.native or lacking(board, elf) is None:
        return Running(board, elf, build_id)
    other = generic(board)
    if other is None:
        raise BoardError(f"there is no emulator for {board.name}", advice="Give --port")
    image = build_image(folder / "c", other, IMAGE_NAME, folder / GENERIC, flag=flag)
    return Running(other, image.elf, image.build_id)


def run_check(
    folder: Path,
    board: Board,
    tell: Teller,
    *,
    port: str | None = None,
    samples: int | None = None,
    emulator: str | None = None,
    sketch: bool = False,
    place: Running | None = None,
) -> Report:
    """Checks and returns the report, which is written to the folder too. `place`: what is run, as
    `running` says. `sketch`: the port is that of an exported sketch, which has no build id.

    Raises LinkError, CheckError, ModelError; a mismatch is no error here but in the report.
    """
    report = load_report(folder)
    if report.board != board.name:
        raise CheckError(
            f"{folder} was compiled for {report.board}, not {board.name}",
            advice=f"compile for it: mbn-compile --board {board.asked}",
        )
    network = network_file.load(folder / "network.npz")
    if network_file.sha256(network) != report.network.model_sha256:
        raise CheckError(
            f"{folder}/network.npz is not the network of report.json", advice="compile again"
        )
    reference = Reference(network)
    images = load_samples(folder, samples)
    if images.shape[1:] != network.input.shape:
        raise ModelError(
            f"{folder / SAMPLES_NAME} has images of {images.shape[1:]}",
            wanted=f"the network's {network.input.shape}",
            advice="compile again",
        )
    place = place or running(folder, board, report.build_id, port=port, emulator=emulator)
    tell.say(f"Checking on {where(place.board, port)}")
    expected = reference_outputs(reference, images, tell)
    with (
        open_device(place.board, place.elf, port, log_path=folder / "check.log") as device,
        tell.task(f"checking {len(images)} images", len(images)) as step,
    ):
        build_id = None if sketch else place.build_id
        device.expect(model_sha256=report.network.model_sha256, build_id=build_id)
        _tell_health(device.health(), board, tell)
        result = check(
            device,
            images,
            expected,
            lambda image: stage_maps(reference, image),
            load_channels(folder, len(network.stages)),
            boxes=reference_boxes(network, expected),
            progress=step,
        )
    if result.restarts:
        times = "once" if result.restarts == 1 else f"{result.restarts} times"
        tell.say(
            f"{board.name} went {times} in the middle, and the check went on where it was; the log "
            f"is {folder / 'check.log'}",
            style="yellow",
        )
    about = where(place.board, port) + (", as an exported sketch" if sketch else "")
    updated = _with_result(report, result, about, image_sha256(folder))
    save(updated, folder)
    return updated


def _tell_health(health: Health | None, board: Board, tell: Teller) -> None:
    """Prints why the board started, where that is worth a line. Raises `CheckError` where what it
    holds is not what was linked."""
    if health is None:
        return
    if health.story:
        tell.say(f"{board.name} had started anew by itself: {health.story}", style="yellow")
    if health.damaged:
        address, size = health.damaged
        raise CheckError(
            f"the device's constants are damaged: the CRC-32 of {size:,} bytes at {address:#010x} "
            "is wrong",
            advice="Flash the image again; if it comes back, that memory is wearing out",
            node=board.name,
        )


def image_sha256(folder: Path) -> str:
    """The hash of a folder's check.elf; empty where there is none."""
    path = folder / f"{IMAGE_NAME}.elf"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def known_report(folder: Path) -> Report | None:
    """What an earlier compilation left in a folder; None where that is no report."""
    try:
        return load_report(folder)
    except ModelError:
        return None


def _with_result(report: Report, result: CheckResult, place: str, image: str) -> Report:
    old = report.check
    check_facts = Check(
        samples=result.samples,
        exact_samples=result.exact_samples,
        top1_agreement=result.top1_agreement,
        instructions=old.instructions if old else None,
        modelled_cycles=old.modelled_cycles if old else None,
        unaligned_cycles=old.unaligned_cycles if old else None,
        measured_cycles=_sum(result.measured_cycles, result.box_cycles),
        mismatch=result.mismatch,
        where=place,
        build_id=report.build_id,
        image_sha256=image,
        boxes=result.boxes,
    )
    if result.memory.arena_bytes != report.memory.arena_bytes:
        raise CheckError(
            f"the device's arena has {result.memory.arena_bytes} bytes",
            wanted=f"the plan's {report.memory.arena_bytes}",
            advice="compile again",
        )
    memory = replace(report.memory, stack_bytes_painted=result.memory.stack_used_bytes or None)
    cycles: tuple[int | None, ...] = (None,) * len(report.stages)
    if result.stage_cycles is not None:
        of_boxes = () if result.boxes is None else (result.box_cycles,)
        cycles = (*result.stage_cycles, *of_boxes)
    stages = tuple(
        replace(stage, measured_cycles=count or None)
        for stage, count in zip(report.stages, cycles, strict=True)
    )
    return report.with_check(check_facts, memory, stages)


def _sum(cycles: int | None, of_boxes: int | None) -> int | None:
    """Of an inference and of the boxes that its results are turned into."""
    return None if cycles is None else cycles + (of_boxes or 0)


def with_counts(
    report: Report,
    whole: cost.Cost,
    stages: Sequence[cost.Cost],
) -> Report:
    """The report with what was counted and modelled, of the whole and of each stage."""
    assert report.check is not None

    def figures(of: cost.Cost) -> dict[str, Any]:
        return {
            "instructions": of.instructions,
            "modelled_cycles": of.modelled_cycles,
            "unaligned_cycles": of.unaligned_cycles,
        }

    facts = (
        replace(stage, **figures(one)) for stage, one in zip(report.stages, stages, strict=True)
    )
    return report.with_check(replace(report.check, **figures(whole)), report.memory, tuple(facts))


def stage_facts(network: Network) -> tuple[StageFacts, ...]:
    """The stages' facts that are known before anything runs; a detector is one more stage, which
    reads each box's results and gives six numbers an object."""
    stages = [
        StageFacts(
            stage.name,
            str(stage.kind),
            network.stage_input(stage).shape_text,
            network.stage_output(stage).shape_text,
            network.stage_macs(stage),
        )
        for stage in network.stages
    ]
    if (detector := network.detector) is not None:
        boxes = detector.default_boxes([out.shape for out in network.outputs])
        shapes = f"1x{boxes}x{detector.classes + 4}", f"1x{detector.candidates}x6"
        stages.append(StageFacts("boxes", DETECT, *shapes, macs=0))
    return tuple(stages)
