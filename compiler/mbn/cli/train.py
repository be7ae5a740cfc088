"""mbn-train: trains a MobileNet and writes its ONNX file.

What enters: arguments. What leaves: DIR/mobilenet_ALPHA_RESOLUTION_DATA.onnx, DIR/checkpoint.pt,
for digits DIR/digits.npz, and the held-out accuracy on the screen. Always holds: a mistake of the
user ends with one paragraph and exit code 2; torch is imported only once the arguments make sense.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import mbn
from mbn.cli.run import ConsoleTeller, guarded
from mbn.cli.run import console as run_console
from mbn.core.errors import exit_codes

EXAMPLES = """examples:
  mbn-train --alpha 0.25 --data digits            # the bundled network, made again
  mbn-train --alpha 0.5 --data folder:photos/     # photos/CLASS/*.jpg, one folder a class
  mbn-train --alpha 0.5 --data split:photos.zip   # train/CLASS/*.jpg and test/CLASS/*.jpg inside
  mbn-train --alpha 0.25 --data digits --resume   # go on where an interruption left off

Then compile it:
  mbn-compile --board qemu --model out/train/.../mobilenet_0.5_96_photos.onnx --calibrate photos/
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="mbn-train",
        description="Train a MobileNet with RMSprop, as the paper does, and write its ONNX file.",
        epilog=EXAMPLES + "\n" + exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--alpha", type=float, required=True, help="width multiplier, above 0")
    made.add_argument(
        "--data", required=True, metavar="DATA", help="digits, folder:PATH, or split:PATH"
    )
    made.add_argument("--resolution", type=int, default=96, help="rows = columns (default 96)")
    made.add_argument("--epochs", type=int, default=100, help="passes over the data (default 100)")
    made.add_argument("--batch", type=int, default=32, help="images a step (default 32)")
    made.add_argument("--rate", type=float, default=4e-3, help="learning rate (default 0.004)")
    made.add_argument("--seed", type=int, default=1, help="0 or more (default 1)")
    made.add_argument(
        "--threads",
        type=int,
        default=1,
        help="CPU threads (default 1). torch's sums, and so the network's last bits, depend on it",
    )
    made.add_argument("--device", default="cpu", help="torch's: cpu (default), cuda, ...")
    made.add_argument("--resume", action="store_true", help="go on from DIR/checkpoint.pt")
    made.add_argument("--output", type=Path, metavar="DIR", help="default out/train/NETWORK")
    made.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded(
        "mbn-train",
        lambda: run(arguments, run_console(quiet=arguments.quiet)),
        interrupted="interrupted; --resume goes on from the last epoch",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Trains. Raises MbnError for mistakes that the user can correct."""
    trained = mbn.train_network(
        arguments.alpha,
        arguments.data,
        resolution=arguments.resolution,
        epochs=arguments.epochs,
        batch=arguments.batch,
        rate=arguments.rate,
        seed=arguments.seed,
        threads=arguments.threads,
        device=arguments.device,
        resume=arguments.resume,
        output=arguments.output,
        progress=ConsoleTeller(console),
    )
    console.print(f"Held-out accuracy: {trained.accuracy}")
    console.print(f"Largest difference to torch: {trained.largest_difference:.2g}")
    console.print(f"Wrote {trained.path} ({trained.path.stat().st_size:,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
