"""How cost grows: cycles per multiply-accumulate over the paper's 20 sizes on M4, M7 and M55.

What enters: the bundled records (each stage of every size, counted by mbn-tune), the fitted model
for what surrounds the stages, emulation for the sizes named. What leaves: a table and a plot
(docs/growth.svg): lines are by the records, crosses counted as a whole. Always holds: cycles are
for zero-wait memory; the body is the thirteen blocks, the whole everything; counted networks have
drawn weights with every channel alive and, as trained ones, a depthwise with multipliers above one
half.

    ./dev python benchmarks/growth.py
    ./dev python benchmarks/growth.py --count 0.25-96 1-96 1-224
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import predict as fitting

from mbn.cli.run import guarded
from mbn.core.boards import boards, find_board
from mbn.core.errors import UsageError
from mbn.core.network import Network, StageKind
from mbn.core.target import Board, core_title
from mbn.jobs.lower import lowering
from mbn.jobs.lower.fit import ALPHAS, RESOLUTIONS
from mbn.passes.predict import family_network, predict

PLOT = fitting.ROOT / "docs" / "growth.svg"
CLASSES = 1000
TARGETS = {"qemu": 1.10, "qemu-m7": 0.60, "qemu-m55": 0.18}  # cycles a MAC of the body, alpha 1


@dataclass(frozen=True)
class Point:
    """Cycles a multiply-accumulate of one size on one board."""

    alpha: float
    resolution: int
    macs: int
    body: float
    whole: float


def predicted(alpha: float, resolution: int, board: Board) -> Point:
    network = family_network(alpha, resolution, CLASSES)
    target = lowering.Target(board.core.kernels, tuned=lowering.bundled_tuning(board.core))
    guess = predict(board.core, network, lowering.planned(network, target).options)
    if guess is None:
        raise UsageError(
            f"no fit for {board.core.name} with kernels {board.core.kernels}",
            advice="./dev python benchmarks/predict.py --fit",
        )
    cycles = [stage.cycles or 0 for stage in guess.stages]
    return _point(alpha, resolution, network, cycles, guess.total)


def counted(alpha: float, resolution: int, board: Board) -> Point:
    size = f"--alpha {alpha:g} --resolution {resolution} {fitting.RANDOM} {CLASSES}"
    generated, found = fitting.counted(f"{size} {fitting.SHIFTED}", board)
    cycles = [cycles for _, _, cycles in found.samples[:-1]]
    return _point(alpha, resolution, generated.computed, cycles, found.total)


def _point(alpha: float, resolution: int, network: Network, cycles: list[int], total: int) -> Point:
    blocks = [stage.kind is StageKind.BLOCK for stage in network.stages]
    macs = sum(
        network.stage_macs(s)
        for s, is_block in zip(network.stages, blocks, strict=True)
        if is_block
    )
    spent = sum(c for c, is_block in zip(cycles, blocks, strict=True) if is_block)
    return Point(alpha, resolution, network.macs, spent / macs, total / network.macs)


STYLE = """
  .sheet { fill: #ffffff }
  text { font: 12px "DejaVu Sans", Verdana, Arial, sans-serif; fill: #1f2937 }
  .head { font-weight: bold; font-size: 13px } .frame { fill: none; stroke: #8b95a1 }
  .grid { stroke: #e2e6ea } .goal { stroke: #55606d; stroke-dasharray: 4 3 }
  .line { fill: none; stroke-width: 1.6 } .cross { stroke-width: 2 }
  .a0 { stroke: #1f6fc4 } .a1 { stroke: #c2500c } .a2 { stroke: #1d8046 } .a3 { stroke: #7d3fbf }
  @media (prefers-color-scheme: dark) {
    .sheet { fill: #14181d }
    text { fill: #e6eaef } .frame { stroke: #77828e } .grid { stroke: #2b333c }
    .goal { stroke: #a3aebb }
    .a0 { stroke: #6cb0f5 } .a1 { stroke: #f59a5a } .a2 { stroke: #63cb8c } .a3 { stroke: #c39bf5 }
  }"""
WIDE, TALL, LEFT = 290, 300, 64  # of a panel; left of the first for its axis' words


def svg(panels: dict[str, tuple[list[Point], list[Point]]]) -> str:
    """A panel a board: the body's cycles a MAC over resolution, a line an alpha; it follows the
    reader's light or dark scheme."""
    width, height = len(panels) * WIDE + LEFT, TALL + 96
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>Cycles a multiply-accumulate by size and core</title><style>{STYLE}\n</style>",
        f'<rect class="sheet" width="{width}" height="{height}"/>',
        f'<text transform="translate(16 {TALL / 2 + 15:g}) rotate(-90)" text-anchor="middle">'
        "cycles a multiply-accumulate</text>",
    ]
    for number, (name, (points, crosses)) in enumerate(panels.items()):
        lines += _panel(name, points, crosses, LEFT + number * WIDE, WIDE - 50, TALL)
    for number, alpha in enumerate(ALPHAS):
        x = LEFT + 100 * number
        lines.append(f'<path class="line a{number}" d="M{x} {TALL + 62}h20"/>')
        lines.append(f'<text x="{x + 26}" y="{TALL + 66}">alpha {alpha:g}</text>')
    note = "line: stages counted one by one; cross: counted whole; dashed: the goal at alpha 1"
    lines.append(f'<text x="{LEFT}" y="{TALL + 86}">{note}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(
    name: str, points: list[Point], crosses: list[Point], x0: int, width: int, height: int
) -> Iterator[str]:
    top, bottom = 30, height
    most = 1.15 * max([p.body for p in (*points, *crosses)] + [TARGETS.get(name, 0)])
    low, high = math.log(min(RESOLUTIONS)), math.log(max(RESOLUTIONS))

    def place(resolution: int, value: float) -> tuple[float, float]:
        across = (math.log(resolution) - low) / (high - low)
        return x0 + 10 + across * (width - 20), bottom - value / most * (bottom - top)

    title = core_title(boards()[name].core.name) if name in boards() else name
    yield f'<text class="head" x="{x0}" y="18">{title}: the 13 blocks</text>'
    yield f'<rect class="frame" x="{x0}" y="{top}" width="{width}" height="{bottom - top}"/>'
    decade = 10 ** math.floor(math.log10(most))
    step = decade / (5 if most < 2.5 * decade else 2)
    for tick in range(int(most / step) + 1):
        _, y = place(RESOLUTIONS[0], tick * step)
        yield f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{tick * step:.2f}</text>'
        yield f'<path class="grid" d="M{x0} {y:.1f}h{width}"/>'
    for resolution in RESOLUTIONS:
        x, _ = place(resolution, 0)
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{resolution}</text>'
    middle = x0 + width / 2
    yield f'<text x="{middle:.1f}" y="{bottom + 36}" text-anchor="middle">rows of the image</text>'
    if name in TARGETS:
        _, y = place(RESOLUTIONS[0], TARGETS[name])
        yield f'<path class="goal" d="M{x0} {y:.1f}h{width}"/>'
    for number, alpha in enumerate(ALPHAS):
        own = [place(p.resolution, p.body) for p in points if p.alpha == alpha]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in own)
        yield f'<polyline class="line a{number}" points="{path}"/>'
        for point in crosses:
            if point.alpha == alpha:
                x, y = place(point.resolution, point.body)
                cross = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
                yield f'<path class="cross a{number}" d="{cross}"/>'


def run(arguments: argparse.Namespace) -> int:
    """Prints the table board by board, writes the plot."""
    sizes = [(alpha, resolution) for alpha in ALPHAS for resolution in RESOLUTIONS]
    wanted = set(arguments.count)
    unknown = wanted - {f"{alpha:g}-{resolution}" for alpha, resolution in sizes}
    if unknown:
        raise UsageError(f"no such size: {', '.join(sorted(unknown))}", wanted="as in 0.25-96")
    print(
        "| board | alpha | resolution | MACs | body, predicted | counted "
        "| whole, predicted | counted |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    panels: dict[str, tuple[list[Point], list[Point]]] = {}
    for name in arguments.boards:
        points, crosses = panels.setdefault(name, ([], []))
        for alpha, resolution in sizes:
            guess = predicted(alpha, resolution, find_board(name))
            points.append(guess)
            body = whole = "-"
            if f"{alpha:g}-{resolution}" in wanted:
                crosses.append(counted(alpha, resolution, find_board(name)))
                body, whole = f"{crosses[-1].body:.3f}", f"{crosses[-1].whole:.3f}"
            print(
                f"| {name} | {alpha:g} | {resolution} | {guess.macs:,} | {guess.body:.3f} | {body} "
                f"| {guess.whole:.3f} | {whole} |",
                flush=True,
            )
    arguments.plot.parent.mkdir(parents=True, exist_ok=True)
    arguments.plot.write_text(svg(panels), encoding="utf-8")
    print(f"wrote {arguments.plot.name}")
    return 0


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boards", nargs="+", default=list(TARGETS))
    parser.add_argument("--count", nargs="*", default=[], metavar="SIZE", help="as 0.25-96")
    parser.add_argument("--plot", type=Path, default=PLOT, help="where the SVG goes")
    arguments = parser.parse_args()
    return guarded("growth", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
