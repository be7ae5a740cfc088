"""mbn-train: trains a MobileNet and writes its ONNX file; with --board, puts it onto a board.

What enters: arguments. What leaves: DIR/mobilenet_ALPHA_RESOLUTION_DATA.onnx, DIR/checkpoint.pt,
for digits DIR/digits.npz, and the held-out accuracy on the screen; with --board also the int8 file
and what mbn-compile --check writes. Always holds: a mistake of the user ends with one paragraph and
exit code 2; torch is imported only once the arguments make sense.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

import mbn
from mbn.cli.arguments import command, say_json
from mbn.cli.run import ConsoleTeller, console_of, guarded
from mbn.core.errors import UsageError
from mbn.report.table import memory_lines

if TYPE_CHECKING:
    from mbn.api.making import TrainingOptions
    from mbn.jobs.for_board import Made

EXAMPLES = """examples:
  mbn-train --board nucleo_l4r5zi --max-ms 100 --data photos/   # photos/CLASS/*.jpg: onto a board
  mbn-train --alpha 0.5 --data photos/            # one network of the family, as an ONNX file
  mbn-train --alpha 0.5 --data photos.zip         # train/CLASS/*.jpg and test/CLASS/*.jpg inside
  mbn-train --alpha 0.5 --data photos/ --from-scratch   # without the bundled weights
  mbn-train --alpha 0.25 --data digits            # the bundled network of digits, made again
  mbn-train --alpha 0.25 --data digits --resume   # go on where an interruption left off

Without --board, then compile it:
  mbn-compile --board qemu --model out/train/.../mobilenet_0.5_96_photos.onnx --calibrate photos/
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-train",
        "Train a MobileNet with RMSprop, as the paper does, and write its ONNX file.",
        EXAMPLES,
    )
    made.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help="a folder with one folder a class, a folder or zip with train/ and test/, or digits",
    )
    board = made.add_argument_group("from pictures to a board")
    board.add_argument(
        "--board", help="take the largest network that fits it, quantise, compile and check it"
    )
    board.add_argument(
        "--max-ms", type=float, metavar="MS", help="with --board: and that takes no longer"
    )
    network = made.add_argument_group("or one network")
    network.add_argument("--alpha", type=float, help="width multiplier, above 0")
    network.add_argument("--resolution", type=int, help="rows = columns (default 96)")
    made.add_argument(
        "--from-scratch",
        action="store_true",
        help="begin with drawn weights instead of those of the bundled network",
    )
    made.add_argument(
        "--epochs", type=int, help="passes over the data (default 30, from scratch 100)"
    )
    made.add_argument(
        "--batch", type=int, help="images a step (default 32, or a tenth of few images)"
    )
    made.add_argument(
        "--rate", type=float, help="learning rate (default 0.001, from scratch 0.004)"
    )
    made.add_argument("--seed", type=int, default=1, help="0 or more (default 1)")
    made.add_argument(
        "--threads",
        type=int,
        help="CPU threads (default 1, with --board all). torch's sums, and so the network's last "
        "bits, depend on it",
    )
    made.add_argument(
        "--device", help="torch's: cpu, cuda, ... (default: a GPU where torch has one)"
    )
    made.add_argument("--resume", action="store_true", help="go on from DIR/checkpoint.pt")
    made.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="default out/train/NETWORK; with --board out/BOARD/NETWORK",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded(
        "mbn-train",
        lambda: run(arguments, console_of(arguments)),
        interrupted="interrupted; --resume goes on from the last epoch",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Trains. Raises MbnError for mistakes that the user can correct."""
    sized = (arguments.alpha, arguments.resolution)
    if arguments.board is None and (arguments.alpha is None or arguments.max_ms is not None):
        raise UsageError(
            "no --alpha" if arguments.alpha is None else "--max-ms without --board",
            wanted="--alpha A for one network, or --board BOARD for the largest that fits it",
        )
    if arguments.board is not None and sized != (None, None):
        raise UsageError(
            "--alpha or --resolution together with --board", wanted="the board decides the size"
        )
    if arguments.max_ms is not None and not arguments.max_ms > 0:
        raise UsageError(f"--max-ms {arguments.max_ms:g}", wanted="milliseconds above 0")
    threads = 1 if arguments.board is None else os.cpu_count() or 1
    options: TrainingOptions = {
        "threads": threads if arguments.threads is None else arguments.threads,
        "epochs": arguments.epochs,
        "rate": arguments.rate,
        "batch": arguments.batch,
        "seed": arguments.seed,
        "device": arguments.device,
        "resume": arguments.resume,
        "from_scratch": arguments.from_scratch,
    }
    if arguments.board is not None:
        return for_board(arguments, options, console)
    trained = mbn.train_network(
        arguments.alpha,
        arguments.data,
        resolution=96 if arguments.resolution is None else arguments.resolution,
        output=arguments.output,
        progress=ConsoleTeller(console),
        **options,
    )
    say_json(arguments, {"accuracy": str(trained.accuracy), "wrote": trained.path})
    console.print(f"Held-out accuracy: {trained.accuracy}")
    console.print(f"Largest difference to torch: {trained.largest_difference:.2g}")
    console.print(f"Wrote {trained.path} ({trained.path.stat().st_size:,} bytes)")
    return 0


def for_board(arguments: argparse.Namespace, options: TrainingOptions, console: Console) -> int:
    """From pictures to a board; 1 where the emulated device gave other bits."""
    made = mbn.train_for_board(
        arguments.board,
        arguments.data,
        max_ms=arguments.max_ms,
        output=arguments.output,
        progress=ConsoleTeller(console),
        **options,
    )
    say_json(arguments, made.compiled.report)
    print_made(made, console)
    return 0 if made.exact else 1


def print_made(made: Made, console: Console) -> None:
    """Accuracy, time, flash and RAM, and where everything is."""
    board, report = made.compiled.job.board, made.compiled.report
    console.print(f"top-1  {made.trained.accuracy} by the float network on held-out pictures")
    if report.accuracy is not None:
        console.print(
            f"       {report.accuracy.int8_percent:.2f} % on {report.accuracy.samples} of them by "
            "the exact integers that the device computes"
        )
    if made.times is not None:
        console.print(
            f"time   {made.times}, at {board.clock_hz / 1e6:g} MHz; predicted, not measured"
        )
    console.print(memory_lines(report.memory))
    check = report.check
    assert check is not None
    verdict = "all bits equal" if made.exact else "DIFFERENT"
    console.print(
        f"check  {check.exact_samples} of {check.samples} samples exact on {check.where}: "
        f"{verdict}",
        style="bold green" if made.exact else "bold red",
    )
    console.print(f"wrote  {made.trained.path} (float)\n       {made.quantised} (int8)")
    console.print(f"       {made.compiled.folder} (C, images, report.json)")


if __name__ == "__main__":
    sys.exit(main())
