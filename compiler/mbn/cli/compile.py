"""mbn-compile: a MobileNet to an image for a board, and with --check the proof that it is right.

What enters: arguments. What leaves: DIR with network.npz, samples.npz, c/, check.elf / .hex /
.bin and report.json. Always holds: exit code 0 means built (and, with --check, every bit equal),
1 that bits differ, 2 that the user can mend something.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mbn.cli import predicting, shipping
from mbn.cli.run import console as run_console
from mbn.cli.run import guarded
from mbn.core.errors import PlanError, UsageError, exit_codes
from mbn.core.options import InputMode, Optimise, Options, Rounding
from mbn.core.plan import Plan
from mbn.core.target import Board, boards, find_board
from mbn.jobs import compile as pipeline
from mbn.jobs.lower.fit import fit_table, fits
from mbn.jobs.lower.sources import Request
from mbn.report.memory_map import to_svg, to_text
from mbn.report.table import memory_lines, print_check

EXAMPLES = """examples:
  mbn-compile --board qemu --alpha 0.25 --check       # the bundled network, checked in emulation
  mbn-compile --board stm32 --alpha 0.25              # an image for an STM32F405
  mbn-compile --board stm32 --onnx mine.onnx --calibrate photos/ --check
  mbn-compile --board qemu --onnx int8.onnx --rounding tflite --check   # TensorFlow Lite's bits
  mbn-compile --board qemu --onnx int8.onnx --images photos/ --check --samples 20
  mbn-compile --board qemu --onnx vww.onnx --app mlperf   # then: mbn-mlperf --board qemu
  mbn-compile --board stm32 --alpha 0.25 --release 1.2.3 --sign key.pem   # then: mbn-verify
  mbn-compile --board qemu-m7 --onnx mine.onnx --calibrate photos/ --export cmake --output lib/
  mbn-compile --board all --alpha 0.25 --plan-only    # which boards it fits, in seconds
  mbn-compile --board stm32 --suggest --max-ms 100    # sizes of the family that fit
  mbn-compile --board qemu --alpha 1.0 --resolution 224 --classes 1000 --weights random:1 --check
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-compile",
        description="Compile a MobileNet to C through TVM and build it for a board.",
        epilog=EXAMPLES + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--board", required=True, help="host, qemu, qemu-m7, stm32, ...")
    add_network(made)
    made.add_argument(
        "--optimise",
        choices=["speed", "balanced", "size"],
        default="speed",
        help="speed: up to 1.45 times the least RAM and the most flash; balanced: some of both; "
        "size: the least of both (default speed)",
    )
    made.add_argument(
        "--records",
        action="append",
        metavar="FILE",
        help="what mbn-tune measured, besides what comes with the compiler; none: neither",
    )
    made.add_argument(
        "--ram-budget",
        type=int,
        metavar="BYTES",
        help="the fastest plan whose arena is within these bytes (0: the least that there is)",
    )
    made.add_argument(
        "--input",
        choices=[mode.value for mode in InputMode],
        default=InputMode.STREAM.value,
        help="rows consumed while they come, or the whole image in RAM first (default stream)",
    )
    made.add_argument(
        "--app",
        choices=["check", "mlperf"],
        default="check",
        help="firmware to build besides the check's: mlperf speaks MLPerf Tiny's protocol",
    )
    made.add_argument(
        "--plan-only",
        action="store_true",
        help="say whether it fits and draw the arena over time; build nothing (--board all: each)",
    )
    cost = made.add_argument_group("what it will take, without running anything")
    cost.add_argument(
        "--suggest",
        action="store_true",
        help="list the sizes of the family that fit the board's memory; build nothing",
    )
    cost.add_argument(
        "--max-ms",
        type=float,
        metavar="MS",
        help="with --suggest: those only that take no longer, wait states counted",
    )
    check = made.add_argument_group("the check")
    check.add_argument("--check", action="store_true", help="run it and compare every output bit")
    check.add_argument("--samples", type=int, default=100, help="images to check (default 100)")
    check.add_argument("--images", type=Path, metavar="DIR", help="images to check with")
    check.add_argument("--port", help="serial port of a running board (default: the emulator)")
    ship = made.add_argument_group("to ship it")
    ship.add_argument(
        "--release", metavar="1.2.3", help="write a release folder; wants --sign, see mbn-verify"
    )
    ship.add_argument(
        "--sign", type=Path, metavar="KEY", help="a private Ed25519 key, of imgtool keygen"
    )
    ship.add_argument(
        "--slot",
        type=lambda text: int(text, 0),
        nargs=2,
        metavar=("OFFSET", "BYTES"),
        help="of the MCUboot image in flash (default: all behind the first 0x20000)",
    )
    other = made.add_argument_group("in another project")
    other.add_argument(
        "--export",
        choices=["cmake", "arduino", "platformio", "zephyr"],
        help="write C, runtime and examples as a library to --output; --board says the core",
    )
    other.add_argument(
        "--name", metavar="PREFIX", help="of the library and its C (default: the network's name)"
    )
    made.add_argument("--output", type=Path, metavar="DIR", help="default out/BOARD/NETWORK")
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return made


def add_network(made: argparse.ArgumentParser) -> None:
    """The arguments that name a network and say how it is understood."""
    network = made.add_argument_group("the network")
    network.add_argument("--alpha", type=float, help="width multiplier (default 0.25)")
    network.add_argument("--resolution", type=int, default=96, help="rows = columns (default 96)")
    network.add_argument("--classes", type=int, help="with --weights random: outputs (default 2)")
    network.add_argument(
        "--weights",
        default="trained",
        metavar="trained|random:SEED",
        help="the bundled network, or drawn weights to measure any size (default trained)",
    )
    network.add_argument("--onnx", type=Path, metavar="FILE", help="your own network, QDQ or float")
    network.add_argument(
        "--calibrate", type=Path, metavar="DIR", help="images to quantise a float network with"
    )
    network.add_argument(
        "--input-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="what pixels 0 and 255 mean to a float network (default -1 0.9921875)",
    )
    network.add_argument(
        "--rounding",
        choices=[rounding.value for rounding in Rounding],
        default=Rounding.SINGLE.value,
        help="the fast one, or TensorFlow Lite's reference bits (default single)",
    )
    network.add_argument(
        "--mean", type=float, nargs="+", metavar="M", help="of pixels / 255, one or one a channel"
    )
    network.add_argument(
        "--std", type=float, nargs="+", metavar="S", help="a pixel p means (p / 255 - M) / S"
    )
    network.add_argument(
        "--accept-loss",
        action="store_true",
        help="compile a float network even where its integers no longer follow it",
    )
    network.add_argument(
        "--keep-constant",
        action="store_true",
        help="compute channels too that are proved to be the same for every image",
    )
    network.add_argument(
        "--unfused", action="store_true", help="a stage for each layer: every map can be checked"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-compile", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Compiles and, if asked, checks."""
    console = run_console(quiet=arguments.quiet)
    if arguments.max_ms is not None and not (arguments.suggest and arguments.max_ms > 0):
        raise UsageError(
            f"--max-ms {arguments.max_ms:g}", wanted="milliseconds above 0, with --suggest"
        )
    shipping.check(arguments)
    if arguments.suggest:
        return predicting.suggest(
            find_board(arguments.board),
            InputMode(arguments.input),
            arguments.classes or 2,
            arguments.max_ms,
            console,
        )
    if arguments.plan_only:
        return plan_only(arguments, console)
    job = job_of(arguments, find_board(arguments.board))
    if arguments.export is not None:
        shipping.export_library(job, arguments, console)
        return 0
    compiled = pipeline.compile_image(job, console)
    print_made(compiled, console)
    if arguments.check:
        report = pipeline.check_image(compiled, console, port=arguments.port)
        print_check(report, console)
        assert report.check is not None
        if report.check.exact_samples != report.check.samples:
            return 1
    elif arguments.release is None:
        predicting.show(compiled.generated, job.board, arguments.optimise, console)
    if arguments.release is not None:
        shipping.ship(compiled, arguments, console)
    return 0


def print_made(compiled: pipeline.Compiled, console: Console) -> None:
    """What was compiled: work, memory, accuracy, and where it is."""
    facts = compiled.report.network
    if facts.macs_computed < facts.macs:
        share = 100 * (1 - facts.macs_computed / facts.macs)
        console.print(
            f"MACs   {facts.macs_computed:>10,} of {facts.macs:,}: {share:.0f} % belong to "
            "channels that are proved constant"
        )
    console.print(memory_lines(compiled.report.memory))
    if compiled.report.accuracy:
        accuracy = compiled.report.accuracy
        was = "" if accuracy.float_percent is None else f" (float {accuracy.float_percent:.2f} %)"
        console.print(
            f"top-1  {accuracy.int8_percent:.2f} % on {accuracy.samples} held-out samples, "
            f"int8 by the exact reference{was}"
        )
    if compiled.app is not None:
        console.print(
            f"{compiled.app.app} {compiled.app.flash_bytes:>10,} bytes of flash, "
            f"{compiled.app.static_ram_bytes:,} of RAM: {compiled.app.elf.name}"
        )
    console.print(f"wrote  {compiled.folder}")


def job_of(arguments: argparse.Namespace, board: Board) -> pipeline.Job:
    return pipeline.Job(
        request=request_of(arguments),
        board=board,
        options=Options(
            mode=InputMode(arguments.input),
            optimise=Optimise(arguments.optimise),
            rounding=Rounding(arguments.rounding),
            fused=not arguments.unfused,
            simplify=not arguments.keep_constant,
            ram_budget=arguments.ram_budget,
        ),
        app=arguments.app,
        output=arguments.output,
        records=None
        if arguments.records == ["none"]
        else tuple(Path(name) for name in arguments.records or ()),
    )


def plan_only(arguments: argparse.Namespace, console: Console) -> int:
    """Whether the network fits, board by board, and the arena as a picture; 3 if it fits none."""
    every = arguments.board == "all"
    chosen = list(boards().values()) if every else [find_board(arguments.board)]
    planned = pipeline.plan_boards(job_of(arguments, chosen[0]), chosen, console)
    with console.status("compiling to count bytes of code"):
        rows = list(zip(chosen, pipeline.demands(planned, chosen), strict=True))
    distinct: dict[tuple[str, Plan], tuple[str, pipeline.Planned]] = {}
    for board, one in zip(chosen, planned, strict=True):
        distinct.setdefault((board.core.name, one.generated.plan), (board.name, one))
    plans_of = Counter(core for core, _ in distinct)
    for (core, _), (name, one) in distinct.items():
        picture = pipeline.memory_map(one)
        one.folder.mkdir(parents=True, exist_ok=True)
        path = one.folder / f"plan_{core if plans_of[core] == 1 else f'{core}_{name}'}.svg"
        path.write_text(to_svg(picture), encoding="utf-8")
        console.print(picture.title, style="bold")
        console.print(to_text(picture), markup=False)
        console.print(f"wrote  {path}")
    console.print(fit_table(rows))
    if not every:
        predicting.show(planned[0].generated, chosen[0], arguments.optimise, console)
    return 0 if any(fits(demand, board) for board, demand in rows) else PlanError.exit_code


def request_of(arguments: argparse.Namespace) -> Request:
    """Arguments as a request; UsageError for combinations that make no sense."""
    if arguments.samples < 1:
        raise UsageError(f"--samples {arguments.samples}", wanted="at least 1")
    if arguments.onnx is not None and (
        arguments.alpha is not None or arguments.weights != "trained"
    ):
        raise UsageError(
            "--onnx together with --alpha or --weights", wanted="one way to name the network"
        )
    low_high = tuple(arguments.input_range) if arguments.input_range else None
    if low_high and not low_high[0] < low_high[1]:
        raise UsageError(f"--input-range {low_high}", wanted="LOW below HIGH")
    if (arguments.mean is None) != (arguments.std is None) or (arguments.mean and low_high):
        raise UsageError(
            "--mean, --std or --input-range alone or together",
            wanted="--mean with --std, or --input-range",
        )
    if arguments.std and not all(0 < value < float("inf") for value in arguments.std):
        raise UsageError(f"--std {arguments.std}", wanted="finite values above 0")
    if arguments.mean:
        _check_means(arguments.mean, arguments.std)
    return Request(
        mean=tuple(arguments.mean or ()),
        std=tuple(arguments.std or ()),
        alpha=arguments.alpha,
        resolution=arguments.resolution,
        classes=arguments.classes,
        weights=arguments.weights,
        onnx=arguments.onnx,
        calibrate=arguments.calibrate,
        images=arguments.images,
        input_range=low_high,
        samples=arguments.samples,
        accept_loss=arguments.accept_loss,
    )


def _check_means(means: Sequence[float], stds: Sequence[float]) -> None:
    """UsageError where means are not those of pixels / 255: most often they are of 0 .. 255."""
    if all(0 <= mean <= 1 for mean in means):
        return

    def shown(values: Sequence[float]) -> str:
        return " ".join(f"{value:.4g}" for value in values)

    if all(1 <= mean <= 255 for mean in means):
        by_255 = [[value / 255 for value in values] for values in (means, stds)]
        advice = f"Of pixels 0 .. 255? Then: --mean {shown(by_255[0])} --std {shown(by_255[1])}"
    elif len(means) == len(stds) == 1:
        ends = [(pixel - means[0]) / stds[0] for pixel in (0, 1)]
        advice = f"Where they are meant so: --input-range {shown(ends)}"
    else:
        advice = "A pixel p means (p / 255 - M) / S"
    raise UsageError(
        f"--mean {shown(means)}", wanted="means of pixels / 255, within 0 .. 1", advice=advice
    )
