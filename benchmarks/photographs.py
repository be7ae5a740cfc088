"""Makes the bundled networks of photographs, and records what they score.

What enters: the float ONNX files that mbn-train made of CIFAR-10, and its pictures as a folder or
zip (train/CLASS/, test/CLASS/). What leaves: for each width an int8 ONNX file in
compiler/mbn/train/bundled/, its accuracy in its metadata, and a card beside it. Always holds:
ranges are those of evenly spread training pictures; accuracy is of all test pictures, float by
ONNX Runtime and int8 by the exact reference; the same input gives the same bytes; no picture is
kept. A loss of more than 0.6 points is refused. Not run in CI: it takes half an hour.

    ./dev python benchmarks/photographs.py --float trained/ --data cifar10.zip
    ./dev python benchmarks/photographs.py --cards    # the cards again, by what the files record

The float files: mbn-train --alpha A --data cifar10.zip --from-scratch --epochs 12 \
    --batch 128 --rate 3e-3
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from mbn.cli.run import ConsoleTeller, console, guarded
from mbn.core.errors import QuantiseError
from mbn.core.family import network_name
from mbn.core.telling import Teller
from mbn.exact import Reference
from mbn.jobs import check
from mbn.jobs.lower import labelled
from mbn.jobs.lower.inputs import to_int8
from mbn.jobs.lower.naming import ACCURACY, CLASSES, accuracy_of, of_file
from mbn.passes.frontend import lower
from mbn.passes.quantise.static import quantise
from mbn.report.record import Accuracy
from mbn.train.accuracy import Runner
from mbn.train.bundled import FOLDER, RESOLUTION
from mbn.train.images import INPUT_RANGE, normalise
from mbn.train.pictures import Pictures, read_split

ALPHAS = (0.25, 0.5, 0.75, 1.0)
CALIBRATION_COUNT = 500
MOST_LOST = 0.6  # points

CARD = """# {name}

A MobileNetV1 of width {alpha:g} for {size}x{size} colour pictures, in int8. It tells ten kinds of
photographs apart: {classes}.

| | |
|---|---|
| input | {size}x{size}x3, RGB, 8 bits; a pixel p is stored as p - 128 |
| output | ten numbers, the largest is the class, in the order above |
| size | {macs:,} multiply-accumulates, {params:,} parameters, {file:,} bytes of ONNX |
| top-1, float | {float_percent:.2f} % |
| top-1, int8 | {int8_percent:.2f} %, by the exact integers that the device computes |
| measured on | all {samples:,} test pictures of CIFAR-10 |

**Data.** CIFAR-10 (Alex Krizhevsky, Vinod Nair, Geoffrey Hinton, 2009): 50,000 photographs to
train on and 10,000 to test with, 32x32 pixels, here decoded from JPEG and scaled up to
{size}x{size}. No picture of it comes with this package.

**Training.** By `mbn-train`: RMSprop as in the MobileNets paper, 12 epochs, batches of 128, rate
0.003, seed 1; pictures moved by up to an eighth and mirrored. Then quantised with the ranges of
{calibration} training pictures. `benchmarks/photographs.py` makes the file again and measures it.

**Limits.** What it knows are small pictures made large, with one thing that fills them. A sharp
photograph, a thing at the edge, several things, or a drawing are not what it was trained on. It
always names one of its ten classes, also for what is none of them, and its numbers are no
probabilities. It is for trying the compiler, for demonstrations and as a start for training on
pictures of your own; not for decisions about people, safety or property.

**Licence.** The weights: Apache-2.0, as this package. The pictures' authors state no licence for
them.
"""


def make(alpha: float, floats: Path, data: Pictures, tell: Teller) -> Accuracy:
    """One width: quantised, measured, written with its card."""
    name = network_name(alpha, RESOLUTION, "photographs")
    source = floats / f"{name}.onnx"
    spread = np.arange(CALIBRATION_COUNT) * data.train_count // CALIBRATION_COUNT
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"{name}.onnx"
        with tell.task(f"calibrating {name}", CALIBRATION_COUNT) as step:
            quantise(
                source,
                [normalise(data.train.images[index][None]) for index in spread],
                made,
                input_range=INPUT_RANGE,
                progress=step,
            )
        model = onnx.load(str(made))
        network = lower(made, name)
    found = measured(source, Reference(network), data, tell)
    assert found.float_percent is not None
    if found.float_percent - found.int8_percent > MOST_LOST:
        raise QuantiseError(
            f"{name}: int8 {found.int8_percent:.2f} %, float {found.float_percent:.2f} %",
            wanted=f"at most {MOST_LOST} points between them",
        )
    path = FOLDER / f"{name}.onnx"
    path.write_bytes(with_record(model, found, data.classes))
    write_card(path, alpha)
    return found


def write_card(path: Path, alpha: float) -> None:
    """The card beside a file, by what the file records."""
    model, network = onnx.load(str(path)), lower(path, path.stem)
    found = accuracy_of(model)
    assert found is not None
    facts: dict[str, Any] = asdict(found) | {"alpha": alpha, "name": path.stem, "size": RESOLUTION}
    card = CARD.format(
        **facts,
        classes=", ".join(of_file(model)),
        macs=network.macs,
        params=network.params,
        file=path.stat().st_size,
        calibration=CALIBRATION_COUNT,
    )
    path.with_suffix(".md").write_text(card, encoding="utf-8")


def measured(source: Path, reference: Reference, data: Pictures, tell: Teller) -> Accuracy:
    """Top-1 of the float file and of the integers on all test pictures."""
    images, labels = data.test.images, data.test.labels
    runner = Runner(source, optimise=True)
    real = []
    with tell.task("the float network", len(images)) as step:
        for index in range(len(images)):
            real.append(runner.logits(normalise(images[index : index + 1])))
            step(index + 1, None)
    codes = check.reference_outputs(reference, to_int8(images), tell)
    outputs = codes.reshape(len(labels), -1)
    percents = (labelled.top(one, labels, 1) for one in (np.concatenate(real), outputs))
    return Accuracy(len(labels), *percents)


def with_record(model: Any, found: Accuracy, classes: tuple[str, ...]) -> bytes:
    """The file's bytes with accuracy and classes in its metadata."""
    known = {one.key: one.value for one in model.metadata_props}
    known[CLASSES] = json.dumps(list(classes))
    known["mbn.data"] = "photographs"
    scores = {key: value for key, value in asdict(found).items() if value is not None}
    known[ACCURACY] = json.dumps(scores)
    helper.set_model_props(model, dict(sorted(known.items())))
    return bytes(model.SerializeToString(deterministic=True))


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--float", type=Path, dest="floats", metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DATA")
    parser.add_argument("--alpha", type=float, nargs="+", default=ALPHAS)
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep decoded pictures there")
    parser.add_argument("--cards", action="store_true", help="write the cards alone")
    arguments = parser.parse_args()
    if not arguments.cards and None in (arguments.floats, arguments.data):
        parser.error("--float and --data, or --cards")
    tell = ConsoleTeller(console(quiet=False))

    def run() -> int:
        if arguments.cards:
            for alpha in arguments.alpha:
                name = network_name(alpha, RESOLUTION, "photographs")
                write_card(FOLDER / f"{name}.onnx", alpha)
            return 0
        with tell.task("reading the pictures") as step:
            data = read_split(arguments.data, RESOLUTION, cache=arguments.cache, progress=step)
        for alpha in arguments.alpha:
            found = make(alpha, arguments.floats, data, tell)
            tell.say(f"alpha {alpha:g}: float {found.float_percent} %, int8 {found.int8_percent} %")
        return 0

    return guarded("photographs.py", run)


if __name__ == "__main__":
    sys.exit(main())
