"""The network and the digits that come with the package.

What enters: alpha, resolution, data. What leaves: the bundled ONNX file, and images to calibrate
and to test with. Always holds: nothing here needs torch or scikit-learn (but `write_digits`,
which makes the file); the held-out images are those that `mbn-train` measured the network on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mbn.core.errors import ModelError
from mbn.core.family import check, network_name
from mbn.train.data import CALIBRATION_SEED, HELD_OUT_SEED, source_digits
from mbn.train.digits import draw, split
from mbn.train.images import Int64, UInt8

FOLDER = Path(__file__).parent
RESOLUTION = 96
CLASSES = tuple("0123456789")
CALIBRATION_COUNT = 128


def find(alpha: float, resolution: int = RESOLUTION, data: str = "digits") -> Path:
    """The bundled float ONNX file of this size.

    Raises ModelError with the `mbn-train` command to run if the size is not bundled, UsageError
    if it is no MobileNet's.
    """
    check(alpha, resolution, classes=2, channels=3)
    path = FOLDER / f"{network_name(alpha, resolution, data)}.onnx"
    if path.is_file():
        return path
    at_hand = sorted(file.stem for file in FOLDER.glob("*.onnx"))
    trained = Path("out") / "train" / path.stem / path.name
    raise ModelError(
        f"no network of alpha {alpha:g} at {resolution}x{resolution} on {data} is bundled",
        wanted=", ".join(at_hand),
        advice=f"Train it: mbn-train --alpha {alpha:g} --resolution {resolution} --data {data}; "
        f"then give --model {trained.as_posix()}, or measure the size with --weights random:1",
    )


def calibration_samples(resolution: int = RESOLUTION) -> tuple[UInt8, Int64]:
    """Digits of the training split: uint8 N x resolution x resolution x 3, and int64 labels."""
    return _drawn("calibration", resolution, CALIBRATION_SEED, moved=True)


def heldout_samples(resolution: int = RESOLUTION) -> tuple[UInt8, Int64]:
    """All held-out digits: uint8 N x resolution x resolution x 3, and int64 labels."""
    return _drawn("heldout", resolution, HELD_OUT_SEED, moved=False)


def _drawn(
    part: str, resolution: int, seed: tuple[int, ...], *, moved: bool
) -> tuple[UInt8, Int64]:
    path = FOLDER / "digits.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            digits: UInt8 = stored[f"{part}_digits"]
            labels = stored[f"{part}_labels"].astype(np.int64)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"the bundled digits can't be read ({error})",
            node=str(path),
            advice="Install mbn-edge again",
        ) from error
    return draw(digits, resolution, seed, moved=moved), labels


def write_digits(path: Path) -> None:
    """Writes digits.npz from scikit-learn's digits; needs the extra `train`.

    Holds uint8 (0..16) N x 8 x 8 sources and uint8 labels: `heldout_*` is the whole held-out
    split, `calibration_*` evenly spread digits of the training split.
    """
    digits, labels = source_digits()
    train, held_out = split(len(digits))
    spread = np.arange(CALIBRATION_COUNT) * len(train) // CALIBRATION_COUNT
    parts = {"calibration": train[spread], "heldout": held_out}
    arrays = {}
    for name, chosen in parts.items():
        arrays[f"{name}_digits"] = digits[chosen]
        arrays[f"{name}_labels"] = labels[chosen].astype(np.uint8)
    np.savez_compressed(path, allow_pickle=False, **arrays)
