"""mbn: all commands by one name.

What enters: `mbn COMMAND ...`, a network's file alone, or nothing. What leaves: what mbn-COMMAND
does; of a file what mbn-compile does; a list of the commands. Always holds: `mbn compile ...` and
`mbn-compile ...` are the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from mbn.cli import completion
from mbn.cli.run import guarded
from mbn.core.errors import MbnError

COMMANDS = {
    "compile": "a network to C and firmware for a board; check it bit for bit",
    "inspect": "what the compiler sees in a network's file, and which boards it fits",
    "check": "a compiled network on a board or emulator, or against another runtime",
    "flash": "write a compiled network into a board, and prove that it runs",
    "boards": "the boards that there are, and what is plugged in",
    "live": "a local page: give the device pictures and see what it makes of them",
    "train": "train a MobileNet on your pictures, and put it onto a board",
    "tune": "measure how each stage is best built on a core",
    "report": "one HTML page of what was compiled and checked; compare two builds",
    "mlperf": "drive a board as MLPerf Tiny's runner does",
    "verify": "check a signed release",
}
MODELS = (".onnx", ".tflite")
_HELP = ("-h", "--help")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    return guarded("mbn", lambda: run(given))


def run(given: Sequence[str]) -> int:
    """Hands over to the command that is named."""
    if not given or given[0] in _HELP:
        print(listed())
        return 0
    name, *rest = given
    if name == "--version":
        from mbn import __version__  # noqa: PLC0415

        print(f"mbn {__version__}")
        return 0
    if name == "completion":
        print(completion.script(rest, list(COMMANDS)))
        return 0
    if name in COMMANDS:
        return int(import_module(f"mbn.cli.{name}").main(rest))
    if Path(name).suffix in MODELS:
        return int(import_module("mbn.cli.compile").main(given))
    raise MbnError(f"no command {name}", wanted=", ".join(COMMANDS))


def listed() -> str:
    """The commands with a line each."""
    lines = [f"  mbn {name:<9} {line}" for name, line in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mbn COMMAND ... (or mbn-COMMAND ...; --help of each tells more)",
            "       mbn NETWORK.onnx: compile it for the emulated board",
            "",
            *lines,
            "",
            f"  mbn completion {'|'.join(completion.SHELLS)}: completes these in your shell",
        ]
    )
