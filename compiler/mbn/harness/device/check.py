"""Checks a device against the reference, bit for bit.

Every output byte of every sample is compared. For the first sample that differs, the maps inside
the network tell the stage and the element.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbn.core.detector import Detection
from mbn.core.errors import CheckError, LinkError, UsageError
from mbn.core.network import UNREAD, StageChannels
from mbn.harness.device.link import LostError
from mbn.harness.device.protocol import Memory, Watch
from mbn.harness.device.session import Boxes, Device, RestartedError, Run

Int8 = NDArray[np.int8]
MOST_RESTARTS = 3  # in one check

# The reference's output map of every stage for one image, in the device's order of stages.
StageMaps = Callable[[Int8], Sequence[Int8]]


@dataclass(frozen=True)
class CheckResult:
    """What a check found. Cycles are None if the device has no counter, never 0. A sample is exact
    where all its bytes are and, of a network with a detector, all its boxes."""

    samples: int
    exact_samples: int
    top1_agreement: float  # share of samples whose largest byte of all results is the reference's
    mismatch: str | None  # of the first sample that differs: stage, element, both values
    outputs: Int8  # samples x height x width x channels, as the device gave them
    memory: Memory
    measured_cycles: int | None  # of one inference
    stage_cycles: tuple[int, ...] | None  # of another, by stage
    restarts: int = 0  # times that the board went in the middle and came back
    # of all samples together, each compared; None: the network has no detector
    boxes: int | None = None
    box_cycles: int | None = None  # of the first sample's

    @property
    def exact(self) -> bool:
        return self.exact_samples == self.samples


def check(
    device: Device,
    images: Int8,
    expected: Int8,
    stage_maps: StageMaps | None = None,
    channels: Sequence[StageChannels] | None = None,
    *,
    boxes: Sequence[Sequence[Detection]] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> CheckResult:
    """Runs all `images` (samples x height x width x channels, int8) and compares with `expected`
    (samples x anything that holds the output's bytes). With `stage_maps` the first mismatch is
    traced to its stage and element. `boxes`: what a detector should find in each sample.
    `progress`: called with the number of images that were compared. Raises `CheckError` for a stack
    that was too small, `LinkError` for a device that faults or falls silent."""
    identity = device.identity
    count = len(images)
    if count == 0 or len(expected) != count:
        raise UsageError(
            f"there are {count} images and {len(expected)} expected outputs",
            wanted="as many of both, at least one",
        )
    if expected.size != count * math.prod(identity.output_shape):
        raise CheckError(
            f"the device has an output of {' x '.join(map(str, identity.output_shape))}",
            wanted=f"{expected.size // count} values",
            advice="Build and flash the image with this version of mbn",
            node=identity.board,
        )
    wanted = expected.reshape(count, *identity.output_shape)
    runs: list[Run] = []
    found: list[Boxes] = []
    restarts = 0
    while len(runs) < count:
        try:
            run = device.run(images[len(runs)])
            if boxes is not None:
                found[len(runs) :] = [device.boxes()]
            runs.append(run)
            progress(len(runs))
        except (RestartedError, LostError) as error:
            restarts += 1
            _resume(device, error, restarts, np.array([run.output for run in runs]), wanted)
    memory = device.memory()
    if memory.stack_guard_ok is False:
        raise CheckError(
            f"the stack ran over its {memory.stack_reserved_bytes} bytes",
            advice="Set a larger stack_bytes in the board's board.toml",
            node=identity.board,
        )
    outputs = np.stack([run.output for run in runs])
    same = np.all(outputs == wanted, axis=(1, 2, 3))
    same_boxes = [one.found == tuple(own) for one, own in zip(found, boxes or (), strict=True)]
    flat, wanted_flat = outputs.reshape(count, -1), wanted.reshape(count, -1)
    mismatch = None
    if not same.all():
        first = int(np.argmin(same))
        mismatch = f"sample {first}: " + explain(
            device, images[first], wanted[first], stage_maps, channels
        )
    elif boxes is not None and not all(same_boxes):
        first = same_boxes.index(False)
        mismatch = f"sample {first}: all bytes agree, but " + _first_other_box(
            found[first].found, boxes[first]
        )
    if boxes is not None:
        same &= same_boxes
    stage_cycles = None
    if identity.has_cycles:
        device.run(images[0], Watch.CYCLES)
        stage_cycles = device.cycles()
    return CheckResult(
        samples=count,
        exact_samples=int(same.sum()),
        top1_agreement=float(np.mean(flat.argmax(axis=1) == wanted_flat.argmax(axis=1))),
        mismatch=mismatch,
        outputs=outputs,
        memory=memory,
        measured_cycles=runs[0].cycles,
        stage_cycles=stage_cycles,
        restarts=restarts,
        boxes=None if boxes is None else sum(len(one.found) for one in found),
        box_cycles=found[0].cycles if found else None,
    )


def _first_other_box(got: Sequence[Detection], wanted: Sequence[Detection]) -> str:
    """Where two lists of boxes differ first."""
    for at, (one, other) in enumerate(zip(got, wanted, strict=False)):
        if one != other:
            return f"box {at} differs first: got {one}, wanted {other}"
    return f"there are {len(got)} boxes, wanted {len(wanted)}"


def _resume(device: Device, error: LinkError, restarts: int, outputs: Int8, wanted: Int8) -> None:
    """Waits for a board that went in the middle. What was compared stays compared; its image is
    run again. Raises LinkError, with what was done, where it does not come back, or too often."""
    try:
        if restarts > MOST_RESTARTS:
            raise error
        device.link.log.say(f"resuming: {error.found}")
        device.come_back(error)
    except LinkError as last:
        done = len(outputs)
        exact = sum(bool(np.array_equal(outputs[k], wanted[k])) for k in range(done))
        raise LinkError(
            f"{last.found}; until then {done} of {len(wanted)} images were compared, {exact} exact"
            + (f", and the board came back {restarts - 1} times" if restarts > 1 else ""),
            wanted=last.wanted,
            advice=last.advice,
            node=last.node,
        ) from error


def explain(
    device: Device,
    image: Int8,
    wanted: Int8,
    stage_maps: StageMaps | None,
    channels: Sequence[StageChannels] | None = None,
) -> str:
    """The first stage and element where the device differs from the reference on this image."""
    again = device.run(image, Watch.CHECKSUMS).output
    if stage_maps is None:
        return _first_difference("output", again, wanted) or _UNSTEADY
    found = device.checksums()
    maps = stage_maps(image)
    if len(maps) != len(found):
        raise CheckError(
            f"the device has {len(found)} stages, the reference {len(maps)}",
            advice="Check the image with the network that it was compiled from",
        )
    for index, (crc, reference) in enumerate(zip(found, maps, strict=True)):
        computed = channels[index] if channels else None
        if crc == zlib.crc32(np.ascontiguousarray(_computed(reference, computed)).tobytes()):
            continue
        stage = device.stages[index]
        title = f"stage {index} ({stage.name})"
        traced = _filled(device.trace(image, index), reference, computed)
        text = _first_difference(title, traced, reference.reshape(traced.shape))
        return text or f"{title}: its checksum differs, its trace does not; {_UNSTEADY}"
    text = _first_difference("output", again, wanted)
    return f"all stages agree, but {text}" if text else _UNSTEADY


def _computed(reference: Int8, channels: StageChannels | None) -> Int8:
    """The channels of a full map that the device computes."""
    return reference if channels is None else reference[..., channels.kept]


def _filled(traced: Int8, reference: Int8, channels: StageChannels | None) -> Int8:
    """The device's map with the removed channels put back: constants are filled in. A channel that
    nothing reads can't be compared; it is taken from the reference."""
    if channels is None or len(channels.kept) == len(channels.values):
        return traced
    full = reference.reshape(*traced.shape[:2], -1).copy()
    removed = channels.values != UNREAD
    full[..., removed] = channels.values[removed]
    full[..., channels.kept] = traced
    return full


_UNSTEADY = "the device gives other results when the run is repeated"


def _first_difference(what: str, got: Int8, wanted: Int8) -> str | None:
    """The first element that differs, in canonical order, and how many do."""
    differs = got != wanted
    if not differs.any():
        return None
    y, x, c = (int(k) for k in np.unravel_index(int(np.argmax(differs)), got.shape))
    return (
        f"{what} differs first at y {y}, x {x}, channel {c}: got {int(got[y, x, c])}, "
        f"wanted {int(wanted[y, x, c])}; {int(differs.sum())} of {got.size} elements differ"
    )
