"""What the documents say in tables and lists that the code knows: Markdown made from the code.

What enters: the package, its headers, boards and schema. What leaves: Markdown. Always holds: TVM
and torch are not imported.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import mbn
from mbn.cli.main import COMMANDS
from mbn.core.boards import boards
from mbn.core.errors import EXIT_CODES
from mbn.core.target import Board, core_title
from mbn.passes.frontend.closest import CLOSEST
from mbn.passes.frontend.supported import TAKEN
from mbn.report.record import schema

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # mkdocs restores the path when this is loaded

import comparison as figures  # noqa: E402


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    bars = ("---",) * len(heads)
    lines = ["| " + " | ".join(one) + " |" for one in (heads, bars, *rows)]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def board_table() -> str:
    """Every board: what it is, what it has, how it is flashed."""
    rows = []
    for name, board in boards().items():
        names = ", ".join(f"`{one}`" for one in (name, *board.aliases))
        clock = f"{board.clock_hz / 1e6:g} MHz" if board.clock_hz else ""
        title = re.sub(r" \(.*\)$", "", board.title)
        how = ", ".join(board.flash.methods)
        core = core_title(board.core.name)
        rows.append((names, title, core, _whole(clock), _whole(_memory(board)), how, board.tested))
    heads = ("`--board`", "what", "core", "clock", "flash, RAM", "flashed by", "tested")
    return _table(heads, rows)


def _whole(text: str) -> str:
    """Numbers stay with their units where a line is broken."""
    return re.sub(r"(?<=\d) (?=[A-Z])", "\u00a0", text)


def _memory(board: Board) -> str:
    sizes = []
    for uses in (("code",), ("data", "arena")):
        own = [one for one in board.memories if set(uses) & set(one.holds)]
        sizes.append(sum(one.size_bytes for one in own))
    return ", ".join(_size(one) for one in sizes) if any(sizes) else ""


def _size(size_bytes: int) -> str:
    megabytes = size_bytes / (1 << 20)
    return f"{megabytes:.3g} MB" if megabytes >= 1 else f"{size_bytes / 1024:g} KB"


def operators() -> str:
    """The operators that are taken, by what they become."""
    made: list[str] = []
    for title, taken in TAKEN.items():
        rows = [(_cell(names), _cell(words)) for names, words in taken]
        made += [
            f"## {title[0].upper()}{title[1:]}",
            "",
            _table(("operators", "what of them"), rows),
        ]
        made.append("")
    return "\n".join(made)


def obstacles() -> str:
    """What is refused, and what is closest to it and works."""
    rows = []
    for one in CLOSEST:
        said = [f"“{_cell(words.strip())} …”" for words in one.said]
        rows.append((", ".join((*one.operators, *said)), _cell(one.works)))
    return _table(("refused: an operator, or words of the message", "closest that works"), rows)


def commands() -> str:
    """Every command: what it is for, its options, its examples."""
    made = [
        _table(
            ("command", "what it does"),
            [(f"[`mbn {name}`](#mbn-{name})", _cell(words)) for name, words in COMMANDS.items()],
        )
    ]
    for name in COMMANDS:
        parser: argparse.ArgumentParser = import_module(f"mbn.cli.{name}").parser()
        made += ["", f"## mbn {name}", "", _cell(parser.description or ""), ""]
        for group in parser._action_groups:
            rows = [row for one in group._group_actions if (row := _option(parser, one))]
            if rows:
                head = (group.title or "").removeprefix("positional ")
                made += [_table((head, ""), rows), ""]
        examples = (parser.epilog or "").split("\nexit codes:")[0]
        made += ["```text", examples.partition("\n")[2].rstrip(), "```"]
    return "\n".join(made)


_COMMON = {"help", "--version", "quiet", "verbose", "json"}


def _option(parser: argparse.ArgumentParser, one: argparse.Action) -> tuple[str, str] | None:
    if one.help == argparse.SUPPRESS or {one.dest, *one.option_strings} & _COMMON:
        return None
    formatter = parser._get_formatter()
    taken = formatter._format_action_invocation(one)
    words = (one.help or "") % {**vars(one), "prog": parser.prog} if one.help else ""
    return f"`{taken}`".replace("|", "\\|"), _cell(words)


def common_options() -> str:
    """The options of all commands."""
    parser = import_module("mbn.cli.inspect").parser()
    rows = [
        (f"`{', '.join(one.option_strings)}`", _cell(one.help or ""))
        for one in parser._actions
        if {one.dest, *one.option_strings} & _COMMON
    ]
    return _table(("option", "what it does"), rows)


def exit_codes() -> str:
    """What each exit code means."""
    rows = [(f"**{code}**", _cell(words)) for code, words in EXIT_CODES.items()]
    return _table(("code", "what it means"), rows)


def error_classes() -> str:
    """The exceptions of the Python API, with the exit code of each."""
    rows = []
    for name in sorted(n for n in mbn.__all__ if n.endswith("Error")):
        error = getattr(mbn, name)
        words = " ".join((error.__doc__ or "").split("\n\n")[0].split())
        rows.append((f"`{name}`", str(error.exit_code), _cell(words)))
    return _table(("exception", "exit code", "when"), rows)


# The Python API by subject; what is in none of these comes last
PYTHON = {
    "Compile, check, export": (
        "compile",
        "Compiled",
        "check",
        "check_every",
        "compare",
        "compare_float",
        "reference",
        "HostReference",
        "Detection",
        "Comparison",
    ),
    "Before anything is built": (
        "inspect",
        "Inspection",
        "suggest",
        "plan",
        "Plans",
        "costs",
        "family",
        "operators_text",
    ),
    "Train and tune": ("train_for_board", "train_network", "tune", "tune_family", "Tuned"),
    "Boards": (
        "boards",
        "find_board",
        "new_board",
        "ports",
        "all_probes",
        "flash",
        "verify",
        "mlperf",
    ),
    "Pages": ("report_page", "serve_live", "listen_live", "live_job", "live_folder", "Live"),
}
REST = "What the commands use besides"


def python_api() -> str:
    """The functions and classes of `import mbn`, which mkdocstrings reads from the source."""
    listed = {name for names in PYTHON.values() for name in names}
    known = {name for name in mbn.__all__ if not name.endswith("Error") and name != "__version__"}
    assert listed <= known, f"docs/hooks/generated.py, PYTHON: no more {listed - known}"
    made = []
    for title, names in (*PYTHON.items(), (REST, sorted(known - listed))):
        made += [f"## {title}", ""]
        made += [f"::: {mbn._MODULES[name]}.{name}\n" for name in names]
    return "\n".join(made)


def c_api(header: str = "mbn.h") -> str:
    """The declarations of a header of runtime/include/mbn, each with its comment."""
    text = (ROOT / "runtime" / "include" / "mbn" / header).read_text(encoding="utf-8")
    head = _comment(re.match(r"/\*(.*?)\*/", text, re.DOTALL))
    made = [head, ""]
    for title, wanted in (("Functions", _FUNCTION), ("Types", _TYPE)):
        made += [f"### {title}", ""]
        for found in wanted.finditer(text):
            name = found["name"]
            made += [f"#### `{name}`", ""]
            comment = found["comment"]
            if comment:
                made += [_comment(re.match(r"/\*(.*?)\*/", comment, re.DOTALL)), ""]
            made += ["```c", found["code"].strip(), "```", ""]
    return "\n".join(made)


_BEFORE = r"(?P<comment>/\*(?:(?!\*/).)*\*/)\n"
_FUNCTION = re.compile(
    rf"(?:{_BEFORE})?(?P<code>(?:MBN_MUST_USE )?[a-z][\w ]*[ *](?P<name>mbn_\w+)\([^;{{}}]*\);)",
    re.DOTALL,
)
_TYPE = re.compile(
    rf"(?:{_BEFORE})?(?P<code>typedef (?:struct|enum) \w+ \{{.*?\n\}} (?P<name>\w+);)", re.DOTALL
)


def _comment(found: re.Match[str] | None) -> str:
    """A C comment as Markdown: its lines without stars, its lists as lists."""
    assert found is not None
    lines = [re.sub(r"^\s*\* ?", "", line).rstrip() for line in found[1].strip().splitlines()]
    return _cell_lines("\n".join(lines))


def _cell_lines(text: str) -> str:
    return re.sub(r"(?<!\n)\n- ", "\n\n- ", text, count=1).replace("<", "&lt;")


def report_fields() -> str:
    """The fields of report.json, as its schema describes them."""
    rows = [
        (f"`{name}`", _kind(node), _cell(node.get("description", "")))
        for name, node in _fields(schema(), "")
    ]
    return _table(("field", "type", "what it is"), rows)


def _fields(node: Mapping[str, Any], before: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    whole = schema()
    for one in (node, *node.get("oneOf", ())):
        own = whole["$defs"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        for name, inner in own.get("properties", {}).items():
            yield before + name, inner
            if name != "earlier_check":  # has the fields of check
                yield from _fields(inner, f"{before}{name}.")
    if "items" in node:
        yield from _fields(node["items"], f"{before.removesuffix('.')}[].")


def _kind(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{json.dumps(one)}`" for one in node["enum"])
    kinds = node.get("type") or [one.get("type", "object") for one in node.get("oneOf", ({},))]
    return " or ".join([kinds] if isinstance(kinds, str) else sorted(kinds, key="null".__eq__))


def comparison() -> str:
    """The figures of docs/comparison.svg, with their sources."""
    return figures.markdown(figures.load())


GENERATED: Mapping[str, Callable[[], str]] = {
    "boards": board_table,
    "commands": commands,
    "common options": common_options,
    "comparison": comparison,
    "c": c_api,
    "c detection": partial(c_api, "detect.h"),
    "error classes": error_classes,
    "exit codes": exit_codes,
    "obstacles": obstacles,
    "operators": operators,
    "python": python_api,
    "report": report_fields,
}
