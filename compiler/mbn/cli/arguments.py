"""What the arguments of all commands have in common.

What enters: a command's name, words and examples. What leaves: a parser with --version, --json,
--verbose and --quiet, whose help ends with examples and exit codes; and, later, a value as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from mbn.core.errors import UsageError, exit_codes
from mbn.report import Report
from mbn.report.record import to_json


def command(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A command's parser. `examples`: text that begins with "examples:"."""
    made = argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=examples + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action=_Version, help="print the version and end")
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    made.add_argument("--verbose", action="store_true", help="say which programs are run, and more")
    made.add_argument(
        "--json", action="store_true", help="print the result as JSON, and nothing else, on success"
    )
    return made


class _Version(argparse.Action):
    """Reads the version only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from mbn import __version__  # noqa: PLC0415

        print(f"{parser.prog} {__version__}")
        parser.exit()


def refuse_alone(arguments: argparse.Namespace, wants: Mapping[str, Sequence[str]]) -> None:
    """Raises UsageError for an option that would be ignored: of each in `wants`, one of the options
    beside it must be given too."""
    for option, others in wants.items():
        if _given(arguments, option) and not any(_given(arguments, one) for one in others):
            raise UsageError(
                f"{_name(option)} alone would be ignored",
                wanted=f"{' or '.join(map(_name, others))} with it",
            )


def refuse_together(arguments: argparse.Namespace, option: str, others: Sequence[str]) -> None:
    """Raises UsageError where `option` makes another one be ignored."""
    ignored = [one for one in others if _given(arguments, one)]
    if _given(arguments, option) and ignored:
        raise UsageError(
            f"{_name(option)} with {', '.join(map(_name, ignored))}", wanted="one or the other"
        )


def _given(arguments: argparse.Namespace, name: str) -> bool:
    return getattr(arguments, name) not in (None, False)


def _name(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def say_json(arguments: argparse.Namespace, value: Any) -> None:
    """Prints what a command found as JSON, where that was asked for."""
    if arguments.json:
        print(json.dumps(plain(value), indent=2), flush=True)


def plain(value: Any) -> Any:
    """Values as JSON has them: dataclasses by field, paths and names as text."""
    if isinstance(value, Report):
        return to_json(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Enum) or hasattr(value, "tolist"):
        return value.value if isinstance(value, Enum) else value.tolist()
    return str(value) if isinstance(value, Path | Exception) else value
