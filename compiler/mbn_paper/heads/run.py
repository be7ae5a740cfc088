"""One head from training to the device.

What enters: a `Head`, a folder, a board. What leaves: its `Row`: how good it is, float and int8,
and what it takes and costs. Always holds: a trained network is kept in the folder and not trained
again; int8 figures are the exact reference's, which the device is compared with in every bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mbn.core.constants import UNIT_SCALE
from mbn.core.network import Network as IntegerNetwork
from mbn.core.target import Board
from mbn.core.telling import Teller
from mbn.exact import BoxReference, Reference
from mbn.jobs import check as check_job
from mbn.jobs import compile as compile_job
from mbn.jobs.lower import inputs, sources
from mbn.passes.quantise.static import quantise
from mbn.train.images import INPUT_RANGE, normalise
from mbn_paper.heads import measure
from mbn_paper.heads.graph import head_graph
from mbn_paper.heads.networks import Ssd, flat
from mbn_paper.heads.scenes import Pictures, Scenes
from mbn_paper.heads.spec import Head
from mbn_paper.heads.training import Network, Progress, as_tensor, train_head

BATCH = 32


@dataclass(frozen=True)
class Row:
    """A head on a board. Scores are percent on pictures that no training shows; the first is the
    head's own. Bytes and counts as in report.json; None where nothing counts. `boxes`: that the
    device found in the samples, each compared; `detect_cycles`: of the whole, what the first
    sample's results take to become boxes; None of other heads than the detector."""

    head: str
    seed: int
    section: str
    title: str
    task: str
    outputs: int
    alpha: float
    resolution: int
    steps: int
    teacher_alpha: float
    teacher_percent: float | None
    pictures: int
    scores: tuple[str, ...]
    float_percent: tuple[float, ...]
    int8_percent: tuple[float, ...]
    macs: int
    params: int
    arena_bytes: int
    flash_bytes: int
    instructions: int | None
    cycles: int | None
    exact_samples: int
    samples: int
    boxes: int | None
    detect_cycles: int | None


def run_head(
    head: Head, folder: Path, board: Board, samples: int, progress: Progress, tell: Teller
) -> Row:
    """Trains (or takes what the folder has), quantises, compiles, checks and measures."""
    network = train_head(head, folder, progress)
    scenes = Scenes(head.name, head.resolution)
    path = int8_network(head, network, scenes, folder)
    job = compile_job.Job(
        request=sources.Request(onnx=path, samples=samples),
        board=board,
        output=folder / board.name,
    )
    compiled = compile_job.compile_image(job, tell)
    pictures = scenes.held_out()
    codes = inputs.to_int8(pictures.images)
    chosen = codes[np.arange(samples) * len(codes) // samples]
    check_job.save_samples(compiled.folder, chosen, None, f"{samples} held-out pictures")
    report = compile_job.check_image(compiled, tell)
    assert report.check is not None
    exact = float_scores(head, network, pictures)
    rounded = int8_scores(head, compiled.network, pictures, codes)
    teacher = None
    if head.teacher:
        taught = train_head(head, folder, progress, only_teacher=True)
        teacher = round(float_scores(head, taught, pictures)[0].percent, 2)
    return Row(
        head=head.name,
        seed=head.seed,
        section=head.section,
        title=head.title,
        task=head.task,
        outputs=head.outputs,
        alpha=head.alpha,
        resolution=head.resolution,
        steps=head.steps,
        teacher_alpha=head.teacher,
        teacher_percent=teacher,
        pictures=len(codes),
        scores=tuple(score.what for score in exact),
        float_percent=tuple(round(score.percent, 2) for score in exact),
        int8_percent=tuple(round(score.percent, 2) for score in rounded),
        macs=report.network.macs,
        params=report.network.params,
        arena_bytes=report.memory.arena_bytes,
        flash_bytes=report.memory.flash_bytes,
        instructions=report.check.instructions,
        cycles=report.check.modelled_cycles,
        exact_samples=report.check.exact_samples,
        samples=report.check.samples,
        boxes=report.check.boxes,
        detect_cycles=next(
            (one.modelled_cycles for one in report.stages if one.kind == check_job.DETECT), None
        ),
    )


def int8_network(head: Head, network: Network, scenes: Scenes, folder: Path) -> Path:
    """Writes the float graph and the quantised one beside it; returns the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{head.network}.onnx"
    onnx.save_model(head_graph(head, network), str(path))
    made = folder / f"{head.network}_int8.onnx"
    images = scenes.calibration().images
    quantise(path, [normalise(image[None]) for image in images], made, input_range=INPUT_RANGE)
    if head.name == "embedding":
        model = onnx.load(str(made))
        quantise_unit(model)
        onnx.save_model(model, str(made))
    return made


def quantise_unit(model: onnx.ModelProto) -> None:
    """Quantises the one output, a vector of unit length, with scale 1/128: exact on the device."""
    source = model.graph.output[0].name
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(UNIT_SCALE, np.float32), "unit_scale"),
            numpy_helper.from_array(np.array(0, np.int8), "unit_zero"),
        ]
    )
    numbers = ["unit_scale", "unit_zero"]
    model.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", [source, *numbers], ["unit_codes"], name="unit_q"),
            helper.make_node("DequantizeLinear", ["unit_codes", *numbers], ["unit_out"]),
        ]
    )
    kind = helper.make_tensor_type_proto(
        TensorProto.FLOAT,
        [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim],
    )
    model.graph.output[0].CopyFrom(helper.make_value_info("unit_out", kind))


# -- measuring -----------------------------------------------------------------------------------


def float_scores(head: Head, network: Network, pictures: Pictures) -> tuple[measure.Score, ...]:
    """Of the torch module."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pictures.images), BATCH):
            some = Pictures(pictures.images[start : start + BATCH], pictures.labels)
            parts.append(_outputs(network, as_tensor(some)))
    logits, *codes = (np.concatenate(of).astype(np.float64) for of in zip(*parts, strict=True))
    if isinstance(network, Ssd):
        found = [
            measure.float_detections(network.anchors, *one)
            for one in zip(logits, codes[0], strict=True)
        ]
        return measure.detection_scores(found, pictures)
    return measure.scores(head.name, logits, pictures)


def _outputs(network: Network, images: torch.Tensor) -> Sequence[NDArray[np.float32]]:
    if isinstance(network, Ssd):
        return [of.numpy() for of in flat(network(images), network.classes)]
    return [network(images).numpy()]


def int8_scores(
    head: Head,
    lowered: IntegerNetwork,
    pictures: Pictures,
    codes: NDArray[np.int8],
) -> tuple[measure.Score, ...]:
    """Of the exact reference's results."""
    results = Reference(lowered).run(codes)
    outputs = lowered.outputs
    if lowered.detector is not None:
        run = BoxReference(lowered).run
        return measure.detection_scores([run(one) for one in results], pictures)
    real = (results.astype(np.float64) - outputs[0].zero_point) * outputs[0].scale
    return measure.scores(head.name, real, pictures)
