"""Compilers on the PATH that compile what they have compiled before by copying (object_cache.c).

What enters: gcc, and arm-none-eabi-gcc where it is there. What leaves: a folder for the front of
PATH, for the session. Always holds: without it every test gives the same, only later.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("object_cache.c")
COMPILERS = ("cc", "gcc", "arm-none-eabi-gcc")


def set_up(folder: Path) -> bool:
    """Writes the compilers that are found into the folder; False where there can be none."""
    gcc = shutil.which("gcc")
    if sys.platform != "linux" or gcc is None:
        return False
    program = folder / "object_cache"
    command = [gcc, "-O2", "-o", str(program), str(SOURCE)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return False
    (folder / "objects").mkdir()
    for name in COMPILERS:
        real = shutil.which(name)
        if real is not None:
            (folder / f"{name}.real").symlink_to(real)
            os.link(program, folder / name)
    return True


def prepend(folder: Path) -> None:
    """Puts the folder in front of PATH."""
    os.environ["PATH"] = os.pathsep.join((str(folder), os.environ.get("PATH", os.defpath)))
