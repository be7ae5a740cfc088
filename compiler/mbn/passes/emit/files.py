"""Writes the network's C: network.h, network.c and weights.c, its assembly, network.S, and of one
that carries a detector network_detect.c.

The kernels' text is TVM's, with the function's name put in. All else is written here: the tables
of the driver, a function for each stage, the weights. The files are C11 and include nothing but
the runtime and C's own headers. The same input gives the same bytes: no time and no path is in
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mbn.core.errors import UsageError
from mbn.core.kernel_set import KernelSet
from mbn.core.lowered import LoweredStage
from mbn.core.network import Network
from mbn.core.plan import Plan
from mbn.core.schedule import RowShape
from mbn.passes.emit import detection
from mbn.passes.emit.assembly import assembly, named
from mbn.passes.emit.header import header
from mbn.passes.emit.job import (
    Job,
    kernel_names_of,
    stage_name,
)
from mbn.passes.emit.source import source
from mbn.passes.emit.weights import weights


@dataclass(frozen=True)
class GeneratedNetwork:
    """The generated files. weights_bytes: of all tables. functions: for each stage its own
    function, the kernel that it calls, and the assembly of its own."""

    files: dict[str, str]
    weights_bytes: int
    functions: tuple[tuple[str, ...], ...]

    def write(self, folder: Path) -> None:
        """Writes the files. Raises `UsageError` if a file with one of these names was not generated
        by mbn."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder / name for name in self.files):
            if path.is_symlink() or (path.exists() and not _is_ours(path)):
                raise UsageError(
                    "exists and was not generated", advice="Move it away", node=str(path)
                )
        for stale in folder.glob("*.[chS]"):
            if stale.name not in self.files and _is_ours(stale):
                stale.unlink()
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")


def _is_ours(path: Path) -> bool:
    """Whether a file begins with the comment of `about`. Any other file is the user's."""
    with path.open("rb") as file:
        return file.readline(4096).rstrip().endswith(b", compiled by mbn.")


def emit(
    network: Network,
    model_sha256: str,
    kernels: KernelSet,
    stages: Sequence[LoweredStage],
    image: RowShape,
    plan: Plan,
    prefix: str = "mbn_model",
) -> GeneratedNetwork:
    """All generated files. `prefix` begins every public name, so that two networks fit in one
    image. `stages` are in the network's order. `image`: how the image's rows lie."""
    job = Job(network, model_sha256, kernels, stages, image, plan, prefix)
    files = {"network.h": header(job), "network.c": source(job), "weights.c": weights(job)}
    if written := assembly(job):
        files["network.S"] = written
    if written := detection.source(job):
        files[detection.FILE_NAME] = written
    functions = tuple(
        (stage_name(job, index), kernel, *(named(job, one.symbol) for one in own))
        for index, (kernel, code) in enumerate(zip(kernel_names_of(job), job.codes, strict=True))
        for own in [[one for one in code.assembly if not one.shared]]
    )
    return GeneratedNetwork(files, job.weights_bytes, functions)
