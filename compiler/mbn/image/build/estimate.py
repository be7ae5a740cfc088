"""Estimates the bytes of code of a network's image by compiling the network's C and assembly alone.

The result has code and constants besides the tables of weights, and an allowance for firmware and
runtime. It is never below what is linked, and at most 2 % above (tests hold that for several
cores). Nothing is linked, and nothing stays on disk.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mbn.core import elf
from mbn.core.target import Board, data_root
from mbn.image.build import tools

COMPILER = "arm-none-eabi-gcc"
# Check firmware, runtime, start-up and C library of any board, at most (see the test)
FIRMWARE_BYTES = 8704


def code_bytes(files: Mapping[str, str], board: Board) -> int | None:
    """Bytes of code of an image with the check firmware for `board`. `files` are the network's
    (name to text). None if nothing is flashed or the compiler is missing. Raises ToolError if the C
    doesn't compile."""
    if board.native or shutil.which(COMPILER) is None:
        return None
    with tempfile.TemporaryDirectory(prefix="mbn-") as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
        command = [COMPILER, *board.core.gcc_flags, "-std=c11", "-O2"]
        command += ["-ffunction-sections", "-fdata-sections", "-fno-common"]
        runtime = data_root() / "runtime"
        command += [f"-I{runtime / 'include'}", f"-I{runtime / 'kernels'}", f"-I{folder}"]
        kept = []
        for source in (one for one in ("network.c", "network.S") if one in files):
            made, log = folder / f"{source}.o", folder / "log"
            done = tools.run([*command, "-c", str(folder / source), "-o", str(made)], log)
            if done.returncode != 0:
                raise tools.failed("the compiler", done.stdout, log)
            kept += [one for one in elf.sections(made) if one.allocated and not one.writable]
    return sum(one.size_bytes for one in kept) + FIRMWARE_BYTES
