"""One network by four compilers: cycles, RAM and flash, as the picture of the README.

What enters: comparison.json beside this file (our figures, the others' with the source of each),
ST's throughput from mlperf.py. What leaves: docs/comparison.svg; a Markdown table for the
documents. Always holds: a figure without a source is not drawn, and a compiler without a figure is
named with a dash; our cycles and those counted beside ours are modelled for memory without wait
states, ST's were measured on parts, and the picture says which is which.

    ./dev python benchmarks/comparison.py                                      # draws
    ./dev python benchmarks/comparison.py --measure vww_96_int8.tflite         # ours anew, first
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import mlperf

import mbn
from mbn.cli import compile as compile_command
from mbn.cli.run import guarded
from mbn.core.boards import find_board
from mbn.core.errors import UsageError

DATA = Path(__file__).with_name("comparison.json")
PICTURE = Path(__file__).parents[1] / "docs" / "comparison.svg"
BOARDS = {"M4": "qemu", "M7": "qemu-m7", "M33": "qemu-m33", "M55": "qemu-m55"}
OURS, COMPUTED, ST = "mbn", "mbn, all channels", "ST X-CUBE-AI"
OTHERS = ("TinyEngine", "TensorFlow Lite Micro")
NETWORKS = {  # what each of our two lines compiles; {model}: MLPerf Tiny's file
    OURS: "--model {model}",
    COMPUTED: "--alpha 0.25 --classes 2 --weights random:1 --keep-constant",
}
UNITS = {"cycles": 1e6, "ram": 1024, "flash": 1024}
TITLES = {
    "cycles": "Cycles of one inference, millions",
    "ram": "RAM, KiB",
    "flash": "Flash, KiB",
}


@dataclass(frozen=True)
class Bar:
    """A figure of a compiler. `value`: cycles or bytes; None: no figure with a source was found.
    `note`: the letter of its source. `part`: measured on a part."""

    who: str
    value: float | None
    note: str
    part: bool = False


@dataclass(frozen=True)
class Panel:
    """Bars of one core and one figure of UNITS."""

    figure: str
    core: str
    bars: tuple[Bar, ...]


def measure(model: Path) -> dict[str, Any]:
    """Our figures: each line on each core, built and checked in emulation. Raises UsageError for a
    bit that differs."""
    if not model.is_file():
        raise UsageError(f"no file {model}", wanted="vww_96_int8.tflite of mlcommons/tiny")
    found: dict[str, Any] = {}
    for name, network in NETWORKS.items():
        for core, board in BOARDS.items():
            words = ["--board", board, *shlex.split(network.format(model=shlex.quote(str(model))))]
            arguments = compile_command.parser().parse_args([*words, "--samples", "4"])
            arguments.output = Path("out") / "benchmarks" / "comparison" / board
            report = mbn.build(compile_command.job_of(arguments, find_board(board))).check()
            check, memory = report.check, report.memory
            assert check is not None
            if check.exact_samples != check.samples:
                raise UsageError(
                    f"{name} on {board} differs: {check.mismatch}", wanted="equal bits"
                )
            found.setdefault(name, {})[core] = {
                "cycles": check.modelled_cycles,
                "ram": memory.static_ram_bytes + memory.stack_bytes_planned,
                "flash": memory.flash_bytes,
            }
    return found


def panels(data: dict[str, Any]) -> list[Panel]:
    """What is drawn: cycles on each core, then RAM and flash on the M7, where ST has published."""
    made = [Panel("cycles", core, tuple(_cycles(data, core))) for core in BOARDS]
    for figure in ("ram", "flash"):
        bars = [Bar(name, data["ours"][name]["M7"][figure], "a") for name in NETWORKS]
        bars.append(Bar(ST, data["st_memory"][figure] * 1024, "d", part=True))
        bars += [Bar(who, None, "") for who in OTHERS]
        made.append(Panel(figure, "M7", tuple(bars)))
    return made


def _cycles(data: dict[str, Any], core: str) -> Iterator[Bar]:
    for name in NETWORKS:
        yield Bar(name, data["ours"][name][core]["cycles"], "a")
    rate = mlperf.TASKS["vww01"].published.get(core)
    if rate:
        yield Bar(ST, mlperf.CLOCKS_MHZ[core] * 1e6 / rate, "c", part=True)
    for who in OTHERS:
        if core in data["others"][who]:
            yield Bar(who, data["others"][who][core], "b")


def markdown(data: dict[str, Any]) -> str:
    """The same figures as a table, and where each is from."""
    drawn = panels(data)
    heads = [f"{one.figure if one.figure != 'ram' else 'RAM'}, {one.core}" for one in drawn]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for who in (OURS, COMPUTED, ST, *OTHERS):
        cells = []
        for one in drawn:
            bar = next((b for b in one.bars if b.who == who), None)
            cells.append(
                "-" if bar is None or bar.value is None else f"{text(one, bar)} ({bar.note})"
            )
        lines.append(f"| {who} | {' | '.join(cells)} |")
    sources = [f"- ({letter}) {words}" for letter, words in data["sources"].items()]
    return "\n".join([*lines, "", *sources])


def text(panel: Panel, bar: Bar) -> str:
    """A bar's number, in the panel's unit."""
    assert bar.value is not None
    value = bar.value / UNITS[panel.figure]
    return f"{value:.3g}" if panel.figure == "cycles" else f"{value:.0f}"


WIDTH, LEFT, ROW, SPAN = 560, 168, 21, 306
STYLE = """
  .sheet { fill: #ffffff }
  text { font: 13px "DejaVu Sans", Verdana, Arial, sans-serif; fill: #1f2937 }
  .head { font-weight: bold; font-size: 14px } .small { font-size: 11.5px; fill: #4b5563 }
  .ours { fill: #1f6fc4 } .rest { fill: #6d9bd0 } .other { fill: #8b95a1 }
  .part { fill: none; stroke: #8b95a1; stroke-width: 2 } .axis { stroke: #8b95a1 }
  @media (prefers-color-scheme: dark) {
    .sheet { fill: #14181d } text { fill: #e6eaef } .small { fill: #a3aebb }
    .ours { fill: #6cb0f5 } .rest { fill: #47739f } .other { fill: #77828e }
    .part { stroke: #97a2ae } .axis { stroke: #77828e }
  }"""


def svg(data: dict[str, Any]) -> str:
    """The picture; it follows the reader's light or dark scheme."""
    drawn = panels(data)
    body: list[str] = []
    y = 30
    body.append(f'<text class="head" x="12" y="{y}">{escape(data["network"])}</text>')
    for figure, title in TITLES.items():
        own = [one for one in drawn if one.figure == figure]
        most = max(bar.value or 0 for one in own for bar in one.bars)
        y += 34
        where = f"Cortex-{own[0].core}" if len(own) == 1 else ""
        body.append(f'<text class="head" x="12" y="{y}">{title}{where and ", " + where}</text>')
        for one in own:
            if len(own) > 1:
                y += 24
                body.append(f'<text class="small" x="12" y="{y}">Cortex-{one.core}</text>')
            y = _bars(body, one, most, y + 8)
    y = _key(body, y + 26)
    for letter, words in data["sources"].items():
        for number, line in enumerate(_wrapped(f"({letter}) {words}", 86)):
            y += 17
            body.append(
                f'<text class="small" x="{12 + 20 * bool(number)}" y="{y}">{escape(line)}</text>'
            )
    label = f"{data['network']}: cycles, RAM and flash by compiler"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" viewBox="0 0 {WIDTH} {y + 16}">'
    )
    sheet = f'<rect class="sheet" width="{WIDTH}" height="{y + 16}"/>'
    return "\n".join(
        [head, f"<title>{escape(label)}</title><style>{STYLE}\n</style>", sheet, *body, "</svg>\n"]
    )


def _bars(body: list[str], panel: Panel, most: float, y: int) -> int:
    for bar in panel.bars:
        middle = y + 14
        body.append(f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(bar.who)}</text>')
        if bar.value is None:
            words = "no figure with a source"
            body.append(f'<text class="small" x="{LEFT}" y="{middle}">{words}</text>')
        else:
            width = SPAN * bar.value / most
            kind = {OURS: "ours", COMPUTED: "rest"}.get(bar.who, "part" if bar.part else "other")
            body.append(
                f'<rect class="{kind}" x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="15"/>'
            )
            number = f"{text(panel, bar)} ({bar.note})"
            body.append(f'<text x="{LEFT + width + 7:.1f}" y="{middle}">{number}</text>')
        y += ROW
    return y


def _key(body: list[str], y: int) -> int:
    kinds = (
        ("ours", "modelled"),
        ("other", "modelled, by the same rules"),
        ("part", "by its maker"),
    )
    x = 12
    for kind, words in kinds:
        body.append(f'<rect class="{kind}" x="{x}" y="{y - 11}" width="16" height="12"/>')
        body.append(f'<text class="small" x="{x + 23}" y="{y}">{words}</text>')
        x += 60 + 7 * len(words)
    return y + 6


def _wrapped(words: str, most: int) -> Iterator[str]:
    line = ""
    for word in words.split():
        if line and len(line) + 1 + len(word) > most:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def load() -> dict[str, Any]:
    """What comparison.json holds."""
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--measure", type=Path, metavar="FILE", help="MLPerf Tiny's network: our figures anew"
    )
    arguments = parser.parse_args(argv)

    def work() -> int:
        data = load()
        if arguments.measure:
            data["ours"] = measure(arguments.measure)
            DATA.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        PICTURE.write_text(svg(data), encoding="utf-8")
        print(markdown(data))
        return 0

    return guarded("comparison", work)


if __name__ == "__main__":
    sys.exit(main())
