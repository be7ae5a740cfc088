"""What can fail is tried before any work is done.

What enters: a job, and whether it will be checked, and where. What leaves: nothing, in well under
two seconds, or the error that minutes later would have been the same. Always holds: nothing is
started, and a port that was opened is closed again.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from mbn.core.errors import FileError, ToolError
from mbn.harness.cost import llvm
from mbn.harness.host import emulator, labgrid
from mbn.harness.host.port import open_port
from mbn.image.build import tools
from mbn.jobs.compile import Job

_NOTES = logging.getLogger("mbn")


def ready(job: Job, *, check: bool = False, port: str | None = None) -> None:
    """Raises ToolError for a missing program, FileError for a folder that can't be written,
    LinkError for a port that can't be opened."""
    writable(job.output or Path("out") / job.board.name)
    tools.require_for(job.board)
    if not check:
        return
    if port is not None and port.startswith(labgrid.PREFIX):
        labgrid.require()
    elif port is not None:
        open_port(port, job.board.baud).close()
    elif not job.board.native:
        emulator.require_qemu()
        _without_llvm()


def _without_llvm() -> None:
    """A check is one without it too, but counts no cycles."""
    try:
        llvm.program("llvm-mca")
    except ToolError as error:
        _NOTES.warning("no cycles will be modelled: %s", error)


def writable(folder: Path) -> None:
    """Makes the folder, and a file in it that is gone again."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FileError(
            f"can't be written: {error.strerror or error}",
            advice="Name another folder with --output",
            node=str(folder),
        ) from error
