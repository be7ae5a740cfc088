"""The arguments that name a network and say how it is understood, for the commands that take one.

What enters: a parser, later its arguments. What leaves: options of `mbn.job`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mbn.cli.arguments import refuse_alone, refuse_together
from mbn.core.errors import UsageError
from mbn.core.options import Rounding

if TYPE_CHECKING:
    from mbn.api.compiling import NetworkOptions


def shape(text: str) -> tuple[int, ...]:
    """--input-shape as numbers."""
    sizes = tuple(int(size) for size in text.split(","))
    if min(sizes) < 1:
        raise ValueError(text)
    return sizes


def add_input_shape(made: argparse._ActionsContainer) -> None:
    """--input-shape."""
    made.add_argument(
        "--input-shape",
        type=shape,
        metavar="1,3,96,96",
        help="sizes of an input that the file leaves open, in the file's order, batch first",
    )


def add_model(made: argparse._ActionsContainer, what: str) -> None:
    """--model."""
    made.add_argument(
        "--model",
        "--onnx",
        type=Path,
        metavar="FILE",
        help=f"{what} (--onnx is the older name of --model)",
    )


def add_meaning(made: argparse._ActionsContainer) -> None:
    """What pixels mean to a float network."""
    made.add_argument(
        "--input-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="what pixels 0 and 255 mean to a float network (default -1 0.9921875)",
    )
    made.add_argument(
        "--mean", type=float, nargs="+", metavar="M", help="of pixels / 255, one or one a channel"
    )
    made.add_argument(
        "--std", type=float, nargs="+", metavar="S", help="a pixel p means (p / 255 - M) / S"
    )


def add_network(made: argparse.ArgumentParser) -> None:
    """The arguments that name a network and say how it is understood."""
    network = made.add_argument_group("the network")
    network.add_argument("--alpha", type=float, help="width multiplier (default 0.25)")
    network.add_argument("--resolution", type=int, help="rows = columns (default 96)")
    network.add_argument(
        "--data",
        choices=["photographs", "digits"],
        help="what the bundled network knows (default photographs; digits: alpha 0.25 alone)",
    )
    network.add_argument("--classes", type=int, help="with --weights random: outputs (default 2)")
    network.add_argument(
        "--weights",
        default="trained",
        metavar="trained|random:SEED",
        help="the bundled network, or drawn weights to measure any size (default trained)",
    )
    network.add_argument(
        "--labels", type=Path, metavar="FILE", help="names of the classes, one a line"
    )
    network.add_argument(
        "--detect",
        type=Path,
        metavar="FILE",
        help="JSON: the outputs are an SSD head's, and the device gives boxes (docs/detection.md)",
    )
    add_model(network, "your own network: .onnx, QDQ or float; or .tflite, int8")
    network.add_argument(
        "file", nargs="?", type=Path, metavar="NETWORK", help="the same, without --model"
    )
    network.add_argument(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help="images to quantise a float network with, or arrays: .npy, .npz or a folder of them",
    )
    add_input_shape(network)
    add_meaning(network)
    network.add_argument(
        "--rounding",
        choices=[rounding.value for rounding in Rounding],
        default=Rounding.SINGLE.value,
        help="the fast one, or TensorFlow Lite's reference bits (default single)",
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


def take_file(arguments: argparse.Namespace) -> None:
    """A network that was named without --model, in its place."""
    if arguments.file is not None and arguments.model is not None:
        raise UsageError(f"{arguments.file} besides --model", wanted="one network")
    arguments.model = arguments.model or arguments.file


def check_network(arguments: argparse.Namespace) -> None:
    """Takes the file, and refuses options that would be ignored."""
    take_file(arguments)
    own = ("detect", "calibrate", "input_range", "mean", "std", "accept_loss", "input_shape")
    refuse_alone(arguments, dict.fromkeys(own, ("model",)))
    refuse_together(arguments, "model", ("resolution", "classes"))


def network_options(arguments: argparse.Namespace) -> NetworkOptions:
    """What `add_network` took, but for the file, as options of `mbn.job`."""
    return {
        "calibrate": arguments.calibrate,
        "rounding": arguments.rounding,
        "fused": not arguments.unfused,
        "simplify": not arguments.keep_constant,
        "alpha": arguments.alpha,
        "resolution": 96 if arguments.resolution is None else arguments.resolution,
        "classes": arguments.classes,
        "weights": arguments.weights,
        "data": arguments.data,
        "labels": arguments.labels,
        "detect": arguments.detect,
        "input_range": arguments.input_range,
        "mean": arguments.mean or (),
        "std": arguments.std or (),
        "accept_loss": arguments.accept_loss,
        "input_shape": arguments.input_shape,
    }
