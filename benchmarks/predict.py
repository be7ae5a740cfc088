"""Fits the cycle model on emulation, and measures its error on networks that it did not see.

What enters: networks of the family with drawn weights, counted in emulation. What leaves:
compiler/mbn/passes/predict/coefficients.json (--fit), and a table of predicted against counted
cycles for ten networks that were not used for the fit. Always holds: the ten share no size with the
fit's; every sample is a count of this working tree's own kernels (kept in out/predict, keyed by
what generates code, so that a second run is quick); coefficients are not negative. ./dev python
benchmarks/predict.py --fit # fit, measure the error, write both ./dev python benchmarks/predict.py
# measure the error of what is in the repository ./dev python benchmarks/predict.py --boards qemu
--networks 3
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper
from scipy.optimize import nnls

from mbn.cli import compile as compile_command
from mbn.cli.run import guarded
from mbn.core.boards import find_board
from mbn.core.target import Board
from mbn.core.telling import SILENT
from mbn.jobs import compile as compile_job
from mbn.passes.predict import load, predict
from mbn.passes.predict.features import Features, driver_features, stage_features
from mbn.passes.predict.model import DRIVER
from mbn.train.random_weights import random_qdq

ROOT = Path(__file__).parents[1]
COEFFICIENTS = ROOT / "compiler" / "mbn" / "passes" / "predict" / "coefficients.json"
BOARDS = ("qemu", "qemu-m33", "qemu-m7", "qemu-m55", "qemu-m3", "qemu-m0")
RANDOM = "--weights random:1 --keep-constant --classes"
SHIFTED = "--shifted"  # small depthwise weights, so multipliers above one half, as if trained
FIT = (
    f"--alpha 0.25 --resolution 96 {RANDOM} 2",
    f"--alpha 0.3 --resolution 112 {RANDOM} 10",
    f"--alpha 0.375 --resolution 80 {RANDOM} 3",
    f"--alpha 0.45 --resolution 72 {RANDOM} 7",
    f"--alpha 0.5 --resolution 128 {RANDOM} 100",
    f"--alpha 0.25 --resolution 192 {RANDOM} 1000",
    f"--alpha 0.75 --resolution 96 {RANDOM} 5",
    f"--alpha 0.66 --resolution 128 {RANDOM} 4",  # sums of over 512 on maps of four pixels
    f"--alpha 1.0 --resolution 64 {RANDOM} 20",
    f"--alpha 0.33 --resolution 104 --unfused {RANDOM} 4",
    f"--alpha 0.27 --resolution 96 {RANDOM} 4 {SHIFTED}",
    f"--alpha 0.4 --resolution 112 {RANDOM} 4 {SHIFTED}",
    f"--alpha 0.66 --resolution 80 {RANDOM} 4 {SHIFTED}",
)
HELD_OUT = (
    "--alpha 0.25 --data digits",  # the bundled one, without its constant channels
    f"--alpha 0.25 --resolution 128 {RANDOM} 2",
    f"--alpha 0.25 --resolution 160 {RANDOM} 10",
    f"--alpha 0.2 --resolution 96 {RANDOM} 2",
    f"--alpha 0.35 --resolution 96 {RANDOM} 10",
    f"--alpha 0.35 --resolution 144 {RANDOM} 6 {SHIFTED}",
    f"--alpha 0.5 --resolution 96 {RANDOM} 2",
    f"--alpha 0.6 --resolution 88 {RANDOM} 12",
    f"--alpha 0.75 --resolution 128 {RANDOM} 1000",
    f"--alpha 0.9 --resolution 96 {RANDOM} 10",
)


@dataclass(frozen=True)
class Counted:
    """One network in emulation: of each stage kind, bands, features and cycles; the driver last."""

    samples: list[tuple[str, Features, int]]
    instructions: int
    total: int


def with_small_depthwise(network: str) -> str:
    """A drawn network as a file whose depthwise weights are divided by 127, their scales
    multiplied; and the arguments that compile it."""
    arguments = compile_command.parser().parse_args(["--board", "host", *shlex.split(network)])
    size = (arguments.alpha, arguments.resolution, arguments.classes)
    model = random_qdq(*size)
    for tensor in model.graph.initializer:
        if not re.match(
            r"block\d+_dw\.(weight|bias)_(quantized|scale|quantized_scale)$", tensor.name
        ):
            continue
        values = numpy_helper.to_array(tensor)
        factor = 1 / 127 if tensor.name.endswith("quantized") else 127
        changed = values * np.float32(factor) if factor > 1 else np.rint(values * factor)
        tensor.CopyFrom(numpy_helper.from_array(changed.astype(values.dtype), tensor.name))
    path = ROOT / "out" / "predict" / f"shifted_{size[0]:g}_{size[1]}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return f"--onnx {shlex.quote(str(path))} --keep-constant"


def code_digest() -> str:
    """Of whatever makes code, so that no count outlives a change of the kernels."""
    digest = hashlib.sha256()
    package = ROOT / "compiler" / "mbn"
    folders = [package / name for name in ("arithmetic", "passes", "image/build", "harness/cost")]
    folders += [ROOT / "runtime", ROOT / "firmware" / "bench"]
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix in (".py", ".c", ".h"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def compiled(network: str, board: Board, folder: Path, build: bool) -> Any:
    """A job planned, or compiled too."""
    if network.endswith(SHIFTED):
        network = with_small_depthwise(network.removesuffix(SHIFTED))
    arguments = compile_command.parser().parse_args(
        ["--board", board.name, "--samples", "1", "--output", str(folder), *shlex.split(network)]
    )
    job = replace(compile_command.job_of(arguments, board), records=None)  # nothing tuned
    quiet = SILENT
    return compile_job.compile_image(job, quiet) if build else compile_job.plan_network(job, quiet)


def counted(network: str, board: Board) -> tuple[Any, Counted]:
    """The generated network and its counts."""
    folder = ROOT / "out" / "predict"
    name = hashlib.sha256(f"{network} {board.name} {code_digest()}".encode()).hexdigest()[:20]
    kept = folder / f"{name}.json"
    if kept.is_file():
        generated = compiled(network, board, folder / name, False).generated
        cycles, instructions = json.loads(kept.read_text(encoding="utf-8"))
    else:
        made = compiled(network, board, folder / name, True)
        result = compile_job.measure(made, SILENT)
        cycles = [cost.modelled_cycles for cost in (*result.stages, result.driver)]
        instructions, generated = result.total.instructions, made.generated
        kept.write_text(json.dumps([cycles, instructions]), encoding="utf-8")
    bands = [need.band_rows for need in generated.needs]
    computed, kernels = generated.computed, board.core.kernels
    samples = [
        (str(stage.kind), stage_features(computed, stage, rows, kernels), spent)
        for stage, rows, spent in zip(computed.stages, bands, cycles[:-1], strict=True)
    ]
    samples.append((DRIVER, driver_features(computed, bands), cycles[-1]))
    return generated, Counted(samples, instructions, sum(cycles))


def fitted(samples: list[tuple[str, Features, int]]) -> dict[str, dict[str, float]]:
    """Of each kind, coefficients that make the squares of the relative errors least."""
    result = {}
    for kind in sorted({kind for kind, _, _ in samples}):
        own = [(counts, cycles) for of, counts, cycles in samples if of == kind and cycles]
        names = sorted({name for counts, _ in own for name in counts})
        rows = [[counts.get(name, 0.0) / cycles for name in names] for counts, cycles in own]
        found, _ = nnls(np.array(rows), np.ones(len(rows)))
        result[kind] = {
            name: float(f"{value:.6g}") for name, value in zip(names, found, strict=True) if value
        }
    return result


def errors(board: Board, networks: tuple[str, ...], known: Any) -> Iterator[float]:
    """Prints a line a network; yields the whole's error in percent."""
    for network in networks:
        generated, counts = counted(network, board)
        guess = predict(board.core, generated.computed, generated.options, known)
        assert guess is not None
        error = 100 * (guess.total / counts.total - 1)
        stage_errors = [
            100 * abs(stage.cycles / cycles - 1)
            for stage, (_, _, cycles) in zip(guess.stages, counts.samples, strict=False)
            if stage.cycles is not None and cycles > counts.total / 100
        ]
        print(
            f"| {board.name} | `{network}` | {counts.total:,} | {guess.total:,} | {error:+.2f} % "
            f"| {max(stage_errors):.1f} % |",
            flush=True,
        )
        yield error


def run(arguments: argparse.Namespace) -> int:
    """Fits if asked; prints the errors; writes if fitted."""
    known: dict[str, Any] = dict(load()) if COEFFICIENTS.is_file() else {}
    print(
        "| board | network | counted | predicted | error | largest of a stage above 1 % |\n"
        "|---|---|--:|--:|--:|--:|"
    )
    for name in arguments.boards:
        board = find_board(name)
        if arguments.fit:
            found = [counted(network, board)[1] for network in FIT]
            total = sum(one.total for one in found)
            known[board.core.name] = {
                "kernels": board.core.kernels.name,
                "instructions_per_cycle": round(sum(o.instructions for o in found) / total, 3),
                "coefficients": fitted([sample for one in found for sample in one.samples]),
                "held_out": {"mean_percent": 0.0, "largest_percent": 0.0},
            }
        sizes = np.abs(list(errors(board, HELD_OUT[: arguments.networks], known)))
        print(f"{board.name}: mean {sizes.mean():.2f} %, largest {sizes.max():.2f} %", flush=True)
        known[board.core.name]["held_out"] = {
            "networks": len(sizes),
            "mean_percent": round(float(sizes.mean()), 2),
            "largest_percent": round(float(sizes.max()), 2),
        }
    if arguments.fit:
        data = {"made by": "./dev python benchmarks/predict.py --fit", "cores": known}
        COEFFICIENTS.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"wrote {COEFFICIENTS.relative_to(ROOT)}")
    return 0


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fit", action="store_true", help="fit, and rewrite coefficients.json")
    parser.add_argument("--boards", nargs="+", default=list(BOARDS))
    parser.add_argument("--networks", type=int, default=len(HELD_OUT), help="of the ten")
    arguments = parser.parse_args()
    return guarded("predict", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
