"""Runs the programs that a build needs.

A missing program raises a `ToolError` that names its Debian package. A program that fails raises
an error with the end of its output.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mbn.core.errors import ToolError
from mbn.core.process import clean_environment
from mbn.core.target import Board

_PACKAGES = {
    "cmake": "cmake",
    "ninja": "ninja-build",
    "gcc": "gcc",
    "objcopy": "binutils",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "arm-none-eabi-objcopy": "binutils-arm-none-eabi",
}
_TAIL_LINES = 12
TIMEOUT_S = 600.0
_NOTES = logging.getLogger("mbn")


def require(*programs: str) -> None:
    """Raises `ToolError` for the first program that is not on the PATH."""
    for program in programs:
        if shutil.which(program) is None:
            package = _PACKAGES.get(program, program)
            raise ToolError(
                f"the program {program} is missing",
                advice=f"On Debian: apt-get install {package}",
            )


def require_for(board: Board) -> None:
    """Raises `ToolError` where firmware for a board can't be built."""
    require("cmake", "ninja", "gcc" if board.native else "arm-none-eabi-gcc")
    if not board.native:
        require_newlib()


def run(command: Sequence[str], log: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end and appends its output to `log`. The caller checks the exit
    status."""
    _NOTES.debug("$ %s", " ".join(command))
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
            env=clean_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{command[0]} did not end within {TIMEOUT_S:.0f} s") from error
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n{done.stdout}\n")
    return done


def failed(what: str, output: str, log: Path) -> ToolError:
    """The error for a program that failed: its last lines, and where the rest is."""
    lines = [line for line in output.splitlines() if line.strip()]
    return ToolError(
        f"{what} failed: " + " | ".join(lines[-_TAIL_LINES:]),
        advice=f"The whole output is in {log}",
    )


def _said(*command: str) -> str:
    """A program's answer about itself."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=clean_environment()
    )
    return done.stdout


def compiler_version(program: str) -> str:
    """The compiler's name and version; part of the build id."""
    return _said(program, "-dumpfullversion").strip()


def linker_version(program: str) -> str:
    """The last word of its first line: 2.40 of "GNU ld (2.40-2) 2.40"."""
    words = _said(program, "--version").partition("\n")[0].split()
    return words[-1] if words else "unknown"


def newlib_version() -> str:
    """The version in newlib's header."""
    command = ("arm-none-eabi-gcc", "-E", "-dM", "-include", "newlib.h", "-xc", "/dev/null")
    for line in _said(*command).splitlines():
        if line.startswith("#define _NEWLIB_VERSION "):
            return line.split()[-1].strip('"')
    return "unknown"


def require_newlib() -> None:
    """The C library is a package of its own on Debian."""
    if _said("arm-none-eabi-gcc", "-print-file-name=libc.a").strip() == "libc.a":
        raise ToolError(
            "arm-none-eabi-gcc has no C library",
            advice="On Debian: apt-get install libnewlib-arm-none-eabi",
        )
