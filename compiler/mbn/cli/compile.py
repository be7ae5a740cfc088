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
from typing import TYPE_CHECKING

from rich.console import Console

import mbn
from mbn.cli import budget, predicting, shipping
from mbn.cli.arguments import command, plain, refuse_alone, refuse_together, say_json
from mbn.cli.budget import add_budgets
from mbn.cli.network import add_network, check_network, network_options
from mbn.cli.run import ConsoleTeller, console_of, guarded
from mbn.cli.tables import fit_table, verdict_facts, verdict_table
from mbn.core.errors import PlanError, UsageError
from mbn.core.options import InputMode
from mbn.core.plan import Plan
from mbn.core.target import EMULATORS, Board
from mbn.report.memory_map import to_svg, to_text
from mbn.report.table import memory_lines, print_check

if TYPE_CHECKING:
    from mbn.jobs.compile import Job

SAMPLES, SAMPLES_OF_EACH = 100, 5  # images to check: of one board, of all
EXAMPLES = """examples:
  mbn-compile --board qemu --alpha 0.25 --check       # the bundled network, checked in emulation
  mbn-compile --board stm32 --alpha 0.25              # an image for an STM32F405
  mbn-compile --board stm32 --model mine.onnx --calibrate photos/ --check
  mbn-compile --board qemu --model int8.onnx --rounding tflite --check   # TensorFlow Lite's bits
  mbn-compile --board qemu --model int8.onnx --images photos/ --check --samples 20
  mbn-compile --board qemu --model ssd.onnx --calibrate photos/ --detect ssd.json --check   # boxes
  mbn-compile --board qemu --model open.onnx --input-shape 1,3,96,96 --calibrate photos/
  mbn-compile --board qemu --model sound.onnx --calibrate train.npy --images test.npz --check
  mbn-compile --board qemu --model vww.onnx --app mlperf   # then: mbn-mlperf --board qemu
  mbn-compile --board stm32 --alpha 0.25 --release 1.2.3 --sign key.pem   # then: mbn-verify
  mbn-compile --board qemu-m7 --model mine.onnx --calibrate photos/ --export cmake --output lib/
  mbn-compile --board all --alpha 0.25 --plan-only    # which boards it fits, in seconds
  mbn-compile --board all --alpha 0.25 --check   # and runs on each, in minutes
  mbn-compile --board stm32 --suggest --max-ms 100    # sizes of the family that fit
  mbn-compile --board qemu --alpha 1.0 --resolution 224 --classes 1000 --weights random:1 --check
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-compile", "Compile a MobileNet to C through TVM and build it for a board.", EXAMPLES
    )
    made.add_argument("--board", help="host, qemu, qemu-m7, stm32, ... (of a network alone: qemu)")
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
        "--fast-ram",
        type=int,
        metavar="BYTES",
        help="RAM to spend on speed: code and the weights read most often are copied there at "
        "start-up and run without the flash's wait states",
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
    check.add_argument(
        "--check",
        action="store_true",
        help="run it and compare every output bit; a board without an emulator runs as a generic "
        "image for its core with its sizes of memory (--board all: each board that it fits)",
    )
    add_budgets(check)
    check.add_argument(
        "--samples",
        type=int,
        help=f"images to check (default {SAMPLES}; on each of --board all {SAMPLES_OF_EACH})",
    )
    check.add_argument(
        "--images", type=Path, metavar="DIR", help="images, or arrays (.npy, .npz), to check with"
    )
    check.add_argument("--port", help="serial port, URL or labgrid:PLACE (default: the emulator)")
    check.add_argument(
        "--emulator",
        choices=EMULATORS,
        help="qemu (default), or another that the board's board.toml names",
    )
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
        choices=["cmake", "arduino", "platformio", "zephyr", "cmsis-pack"],
        help="write C, runtime and examples as a library to --output; --board says the core",
    )
    other.add_argument(
        "--name", metavar="PREFIX", help="of the library and its C (default: the network's name)"
    )
    made.add_argument("--output", type=Path, metavar="DIR", help="default out/BOARD/NETWORK")
    made.add_argument(
        "--no-cache",
        action="store_true",
        help="compile although nothing has changed, as --release and CI do",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-compile", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Compiles and, if asked, checks."""
    check_arguments(arguments)
    console = console_of(arguments)
    if arguments.max_ms is not None and not (arguments.suggest and arguments.max_ms > 0):
        raise UsageError(
            f"--max-ms {arguments.max_ms:g}", wanted="milliseconds above 0, with --suggest"
        )
    shipping.check(arguments)
    if arguments.suggest:
        return predicting.suggest(
            mbn.find_board(arguments.board),
            arguments.input,
            arguments.classes or 2,
            arguments.max_ms,
            console,
            as_json=arguments.json,
        )
    if arguments.plan_only:
        return plan_only(arguments, console)
    if arguments.board == "all" and arguments.check:
        return check_all(arguments, console)
    job, tell = job_of(arguments, mbn.find_board(arguments.board)), ConsoleTeller(console)
    if arguments.export is not None:
        shipping.export_library(job, arguments, console)
        return 0
    mbn.ready(job, check=arguments.check, port=arguments.port)
    console.print(f"board  {job.board.name} ({job.board.core.name})")
    return _built(mbn.build(job, progress=tell), arguments, console)


def _built(compiled: mbn.Compiled, arguments: argparse.Namespace, console: Console) -> int:
    """Prints what was built, checks and ships it if asked."""
    print_made(compiled, console)
    report = compiled.report
    if arguments.check:
        report = compiled.check(
            port=arguments.port, emulator=arguments.emulator, progress=ConsoleTeller(console)
        )
        print_check(report, console)
        assert report.check is not None
        if report.check.exact_samples != report.check.samples:
            say_json(arguments, report)
            return 1
    elif arguments.release is None:
        predicting.show(
            compiled.network.name,
            compiled.stages,
            compiled.prediction,
            compiled.board,
            arguments.optimise,
            console,
            compiled.fast_stages,
        )
    if arguments.release is not None:
        shipping.ship(compiled, arguments, console)
    say_json(arguments, report)
    return budget.judge(compiled, report, arguments.fail_over, console)


def check_arguments(arguments: argparse.Namespace) -> None:
    """Refuses what makes no sense, or would be ignored, before anything is done."""
    check_network(arguments)
    if arguments.board is None:
        if arguments.model is None:
            raise UsageError("no --board", wanted="host, qemu, stm32, ...; mbn-boards lists them")
        arguments.board = "qemu"
    refuse_alone(arguments, {"port": ("check",), "emulator": ("check",), "max_ms": ("suggest",)})
    refuse_together(arguments, "emulator", ("port", "fail_over"))
    if arguments.board == "all":
        others = ("port", "emulator", "release", "export", "fail_over", "fast_ram")
        refuse_together(arguments, "check", others)
    for other in ("plan_only", "suggest"):
        refuse_together(arguments, other, ("check", "release", "fail_over", "fast_ram"))
    refuse_together(arguments, "export", ("fail_over",))
    refuse_together(arguments, "suggest", ("plan_only", "export", "model", "output"))
    refuse_together(arguments, "plan_only", ("export", "images"))


def print_made(compiled: mbn.Compiled, console: Console) -> None:
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
            f"top-1  {accuracy.int8_percent:.2f} % on {accuracy.samples:,} labelled samples, "
            f"int8 by the exact reference{was}"
        )
    if compiled.app is not None:
        console.print(
            f"{compiled.app.app} {compiled.app.flash_bytes:>10,} bytes of flash, "
            f"{compiled.app.static_ram_bytes:,} of RAM: {compiled.app.elf.name}"
        )
    if compiled.fast:
        console.print(f"fast   {compiled.fast}")
    console.print(f"wrote  {compiled.folder}")


def job_of(arguments: argparse.Namespace, board: Board) -> Job:
    """Arguments as what is to be compiled."""
    return mbn.job(
        arguments.model,
        board=board,
        optimise=arguments.optimise,
        output=arguments.output,
        input_mode=arguments.input,
        ram_budget=arguments.ram_budget,
        fast_ram=arguments.fast_ram,
        images=arguments.images,
        samples=samples_of(arguments),
        records=None if arguments.records == ["none"] else arguments.records or (),
        app=arguments.app,
        cache=not arguments.no_cache and arguments.release is None,
        **network_options(arguments),
    )


def samples_of(arguments: argparse.Namespace) -> int:
    """Images to check, asked for or by default."""
    asked: int | None = arguments.samples
    if asked is not None:
        return asked
    return SAMPLES_OF_EACH if arguments.board == "all" else SAMPLES


def check_all(arguments: argparse.Namespace, console: Console) -> int:
    """Every board in one table: 1 if a bit differs, 2 if something failed, 3 if it fits none."""
    chosen = mbn.boards()
    for board in chosen:
        mbn.ready(job_of(arguments, board), check=True)
    asked, tell = job_of(arguments, chosen[0]), ConsoleTeller(console)
    console.print(
        f"{len(chosen)} boards, {samples_of(arguments)} images on each; Ctrl-C ends with a table"
    )
    verdicts = []
    try:
        for one in mbn.check_every(asked, chosen, progress=tell):
            verdicts.append(one)
    finally:  # interrupted too: what is known
        console.print(verdict_table(verdicts))
        console.print(
            "generic: an image for the board's core with its sizes of memory, in QEMU\n"
            "*modelled for zero-wait memory"
        )
        for one in verdicts:
            if one.error is not None:
                console.print(f"{one.board.name}: {one.error}", markup=False)
    say_json(arguments, [verdict_facts(one) for one in verdicts])
    ends = {str(one.outcome) for one in verdicts}
    return 1 if "DIFFERS" in ends else 2 if "FAILED" in ends else 0 if "exact" in ends else 3


def plan_only(arguments: argparse.Namespace, console: Console) -> int:
    """Whether the network fits, board by board, and the arena as a picture; 3 if it fits none."""
    every = arguments.board == "all"
    chosen = list(mbn.boards()) if every else [mbn.find_board(arguments.board)]
    found = mbn.plan(job_of(arguments, chosen[0]), chosen, progress=ConsoleTeller(console))
    distinct: dict[tuple[str, Plan], int] = {}
    for index, board in enumerate(chosen):
        distinct.setdefault((board.core.name, found.plans[index]), index)
    plans_of = Counter(core for core, _ in distinct)
    for (core, _), index in distinct.items():
        picture, folder = found.maps[index], found.folders[index]
        folder.mkdir(parents=True, exist_ok=True)
        name = core if plans_of[core] == 1 else f"{core}_{chosen[index].name}"
        path = folder / f"plan_{name}.svg"
        path.write_text(to_svg(picture), encoding="utf-8")
        console.print(picture.title, style="bold")
        console.print(to_text(picture), markup=False)
        console.print(f"wrote  {path}")
    rows = found.fits
    say_json(arguments, [{**plain(one), "board": one.board.name} for one in rows])
    console.print(fit_table(rows))
    if not every:
        predicting.show(
            found.name,
            found.stages,
            found.prediction(0),
            chosen[0],
            arguments.optimise,
            console,
        )
    return 0 if any(one.fits for one in rows) else PlanError.exit_code
