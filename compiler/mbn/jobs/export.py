"""Exports a network as a library for another project.

The job's board says for which core; its memories do not count, because the other project's linker
places the arena, in one piece. The library's examples expect the outputs of the exact reference.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from mbn.core.errors import UsageError
from mbn.core.network import Network
from mbn.core.target import data_root
from mbn.core.telling import Teller
from mbn.exact import BoxReference, Reference
from mbn.image.export import owned
from mbn.image.export.library import CAMERA, Example, Library, exported, pack
from mbn.jobs.compile import Job, Planned, judge_quantised, plan_network
from mbn.jobs.lower import sources
from mbn.jobs.lower.inputs import as_codes
from mbn.passes.emit.names import check_prefix, prefix_of

_MARK = ".mbn-export"  # lists what an export wrote


def export(job: Job, form: str, tell: Teller, name: str | None = None) -> Path:
    """Writes job.output. `name`: the library's, and the prefix of its C; default: the network's.
    Raises `UsageError` for a folder that is something else, `MbnError` as compiling does."""
    folder = job.output
    if folder is None:
        raise UsageError(f"--export {form} without a place", wanted="--output DIR")
    owned.refuse_other(folder, _MARK, "export")
    with tempfile.TemporaryDirectory(prefix="mbn-export-") as work:
        made = library(replace(job, output=Path(work)), tell, name)
    for path in write(made, form, folder):
        tell.say(f"kept   {path}: it was changed since it was exported")
    return folder


def library(job: Job, tell: Teller, name: str | None) -> Library:
    """Lowers and plans the job's network for its board's core; nothing is built. job.output holds
    what is needed meanwhile."""
    assert job.output is not None
    if name is None:
        name = prefix_of(sources.find_network(job.request, job.output / "onnx", tell).name)
    options = replace(job.options, prefix=check_prefix(name))
    alone = replace(job, board=replace(job.board, memories=()), options=options)
    planned = plan_network(alone, tell)
    judge_quantised(alone, planned, tell)
    return _library(name, job, planned)


def write(made: Library, form: str, folder: Path) -> list[Path]:
    """Writes the library into `folder`, where it replaces an earlier one; see `owned.write`."""
    files = exported(made, form)
    owned.refuse_other(folder, _MARK, "export")
    written = {path: text.encode() for path, text in files.items()}
    if form == "cmsis-pack":
        name, archive = pack(made, files)
        written[name] = archive
    return owned.write(folder, _MARK, written)


def _library(name: str, job: Job, planned: Planned) -> Library:
    generated, network = planned.generated, planned.generated.network
    shape = "x".join(str(size) for size in network.input.shape)
    return Library(
        prefix=name,
        sentence=f"A neural network for microcontrollers: {shape} image in, "
        f"{network.result_bytes} int8 values out.",
        generated=generated.files.files,
        runtime=data_root() / "runtime",
        kernel_set=generated.kernel_set.name,
        model_sha256=generated.model_sha256,
        arena_bytes=generated.plan.arena_bytes,
        overread_bytes=generated.kernel_set.overread_bytes,
        example=_example(job, planned, network),
        **({} if job.board.fqbn is None else {"fqbn": job.board.fqbn}),
    )


def _example(job: Job, planned: Planned, network: Network) -> Example:
    """The first of the images that a check would run, and the camera's pattern."""
    image = sources.find_samples(job.request, planned.source, network).images[:1]
    height, width, channels = network.input.shape
    y, x, c = np.indices((height, width, channels))
    pixels = ((CAMERA[0] * y + CAMERA[1] * x + CAMERA[2] * c) & 255).astype(np.uint8)
    both = np.concatenate([image, as_codes(network, pixels[None])])
    first = network.output
    whole = Reference(network).run(both)
    outputs = whole[:, : first.size_bytes]
    boxes = None if network.detector is None else tuple(BoxReference(network).run(whole[0]))
    is_map = (first.height, first.width) != (1, 1)
    return Example(image[0], outputs[0], outputs[1], is_map, boxes)
