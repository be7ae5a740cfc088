"""Runs LLVM's machine-code programs: the disassembler (llvm-mc) and the pipeline model (llvm-mca).

A missing program raises a `ToolError` that names its Debian package. A program with the expected
version in its name is preferred, so that figures don't depend on what else is installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from mbn.core.errors import ToolError
from mbn.core.process import clean_environment

_VERSIONS = ("-19", "-20", "-21", "")
_TIMEOUT_S = 300.0
PACKAGE = "llvm-19"
_UNREAD = re.compile(r"^<stdin>:(\d+):\d+: error:", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """A core as LLVM calls it."""

    triple: str
    cpu: str

    @property
    def arguments(self) -> tuple[str, ...]:
        return (f"-triple={self.triple}", f"-mcpu={self.cpu}")


def program(name: str) -> str:
    """The program's file name, such as "llvm-mca-19". Raises `ToolError` if it is missing."""
    for version in _VERSIONS:
        if shutil.which(name + version):
            return name + version
    raise ToolError(
        f"the program {name}{_VERSIONS[0]} is missing",
        advice=f"On Debian: apt-get install {PACKAGE}",
    )


def disassembled(target: Target, opcodes: str) -> str:
    """What llvm-mc prints for lines of bytes ("[0x08 0x68]", each line by itself), encodings
    included. It leaves out what it does not know."""
    command = [program("llvm-mc"), "--disassemble", "--show-encoding", *target.arguments]
    return _run(command, opcodes, accepted=(0, 1)).stdout  # 1: something was left out


def analysed(target: Target, assembly: str, iterations: int) -> tuple[str, int]:
    """llvm-mca's JSON for the regions of an assembly text, each run `iterations` times, and how
    many instructions it left out because it can't read them or has no model of them."""
    triple, cpu = target.arguments
    command = [program("llvm-mca"), triple.replace("-triple", "-mtriple"), cpu]
    options = ("-json", f"-iterations={iterations}", "-skip-unsupported-instructions=any")
    done = _run([*command, *options], assembly)
    unread = len(set(_UNREAD.findall(done.stderr)))  # it says each twice
    return done.stdout, unread + done.stderr.count("found an unsupported instruction")


def _run(
    command: Sequence[str], text: str, accepted: Sequence[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
            env=clean_environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"did not end well: {error}", node=command[0]) from error
    if done.returncode not in accepted:
        last = done.stderr.strip().splitlines()[-1:]
        raise ToolError(f"ended with status {done.returncode}: {''.join(last)}", node=command[0])
    return done
