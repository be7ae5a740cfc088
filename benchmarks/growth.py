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
from mbn.core.boards import find_board
from mbn.core.errors import UsageError
from mbn.core.network import Network, StageKind
from mbn.core.target import Board
from mbn.jobs.lower import lowering
from mbn.jobs.lower.fit import ALPHAS, RESOLUTIONS
from mbn.passes.predict import family_network, predict

PLOT = fitting.ROOT / "docs" / "growth.svg"
CLASSES = 1000
TARGETS = {"qemu": 1.10, "qemu-m7": 0.60, "qemu-m55": 0.18}  # cycles a MAC of the body, alpha 1
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


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


def svg(panels: dict[str, tuple[list[Point], list[Point]]]) -> str:
    """A panel a board: the body's cycles a MAC over resolution, a line an alpha."""
    width, height, left = 300, 300, 50
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{len(panels) * width + left}" '
        f'height="{height + 70}" font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (name, (points, crosses)) in enumerate(panels.items()):
        lines += _panel(name, points, crosses, left + number * width, width - left, height)
    for number, alpha in enumerate(ALPHAS):
        x = left + 110 * number
        lines.append(
            f'<rect x="{x}" y="{height + 46}" width="18" height="3" fill="{COLOURS[number]}"/>'
        )
        lines.append(f'<text x="{x + 24}" y="{height + 52}">alpha {alpha:g}</text>')
    note = "line: stages counted one by one, cross: whole; dashed: to reach at alpha 1"
    lines.append(f'<text x="{left + 450}" y="{height + 52}">{note}</text>')
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

    yield f'<text x="{x0}" y="18" font-weight="bold">{name}: body, cycles per MAC</text>'
    frame = f'x="{x0}" y="{top}" width="{width}" height="{bottom - top}"'
    yield f'<rect {frame} fill="none" stroke="#999"/>'
    decade = 10 ** math.floor(math.log10(most))
    step = decade / (5 if most < 2.5 * decade else 2)
    for tick in range(int(most / step) + 1):
        _, y = place(RESOLUTIONS[0], tick * step)
        yield f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{tick * step:.2f}</text>'
        yield f'<path d="M{x0} {y:.1f}h{width}" stroke="#eee"/>'
    for resolution in RESOLUTIONS:
        x, _ = place(resolution, 0)
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{resolution}</text>'
    if name in TARGETS:
        _, y = place(RESOLUTIONS[0], TARGETS[name])
        yield f'<path d="M{x0} {y:.1f}h{width}" stroke="#555" stroke-dasharray="4 3"/>'
    for alpha, colour in zip(ALPHAS, COLOURS, strict=True):
        own = [place(p.resolution, p.body) for p in points if p.alpha == alpha]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in own)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        for point in crosses:
            if point.alpha == alpha:
                x, y = place(point.resolution, point.body)
                cross = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
                yield f'<path d="{cross}" stroke="{colour}" stroke-width="2"/>'


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
