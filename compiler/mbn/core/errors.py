"""Every exception that a user can meet.

An `MbnError` reaches the user as a paragraph of text and exit code 2 or 3, never as a traceback.
Any other exception is a bug of mbn.
"""

from __future__ import annotations

INTERRUPTED, CLOSED_PIPE = 130, 141
# What every command's exit code means
EXIT_CODES = {
    0: "done, and right",
    1: "a bit differs, or what was checked is not to be trusted",
    2: "something that you can mend; standard error says what",
    3: "it does not fit, is over budget, or the board was not flashed",
    INTERRUPTED: "interrupted",
    CLOSED_PIPE: "nobody reads what is printed",
}


def exit_codes() -> str:
    """The table as text, for --help."""
    return "exit codes:\n" + "".join(f"  {code:<5}{text}\n" for code, text in EXIT_CODES.items())


class MbnError(Exception):
    """Something the user can mend.

    `found` says what was met, `wanted` what would have been right, `advice` what to do next,
    `node` the ONNX node (or stage, port, file) that it is about; each may be left out.
    """

    exit_code = 2

    def __init__(
        self,
        found: str,
        *,
        wanted: str | None = None,
        advice: str | None = None,
        node: str | None = None,
    ) -> None:
        self.found = found
        self.wanted = wanted
        self.advice = advice
        self.node = node
        parts = [f"{node}: {found}" if node else found]
        if wanted:
            parts.append(f"wanted: {wanted}")
        if advice:
            parts.append(advice)
        between = ".\n" if "\n" in found else ". "  # behind a table, a new line
        super().__init__(between.join(part.rstrip(". ") for part in parts) + ".")


class UsageError(MbnError):
    """An argument that makes no sense, or a combination of them."""


class ModelError(MbnError):
    """A network file that can't be read, or a size for which there is no bundled network."""


class UnsupportedError(MbnError):
    """A network that is well-formed but says something the integer stages can't express.

    `others`: what of it is refused besides.
    """

    others: tuple[UnsupportedError, ...] = ()


class QuantiseError(MbnError):
    """Calibration data missing or not fitting the network."""


class OverflowRisk(UnsupportedError):
    """A channel whose accumulator could leave int32 (ARITHMETIC: accumulate)."""


class BrokenNetwork(MbnError):
    """A network that a pass made is not sound: a fault of the compiler, not of the user."""


class PlanError(MbnError):
    """A network that does not fit the memories of a board."""

    exit_code = 3


class ToolError(MbnError):
    """A program that the build or the emulation needs is missing or failed."""


class BoardError(MbnError):
    """An unknown board, or a board folder with something missing or wrong."""


class LinkError(MbnError):
    """A port that can't be opened, or a device that is silent or sends a wrong answer."""


class CheckError(MbnError):
    """The device runs another model or build than the one being checked."""


class FlashError(MbnError):
    """A board that was not flashed, or that runs another image afterwards.

    `final`: trying again can't help, so no retry is made.
    """

    exit_code = 3

    def __init__(
        self,
        found: str,
        *,
        wanted: str | None = None,
        advice: str | None = None,
        node: str | None = None,
        final: bool = False,
    ) -> None:
        super().__init__(found, wanted=wanted, advice=advice, node=node)
        self.final = final


class FileError(MbnError):
    """A file that is not a regular file, is too large, or is not text."""


class ReleaseError(MbnError):
    """A release, image or key that is incomplete, damaged, unsigned or signed by another."""
