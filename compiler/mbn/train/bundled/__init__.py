"""The networks that come with the package, and the digits of one of them.

What enters: alpha, resolution, data. What leaves: a bundled ONNX file (photographs: int8, four
widths; digits: float), and digits to calibrate and to test with. Always holds: nothing here needs
torch or scikit-learn (but `write_digits`, which makes a file); the held-out digits are those that
`mbn-train` measured the network on; a file of photographs says its classes and its accuracy itself,
in its metadata, and the card beside it in words.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mbn.core.errors import ModelError, UsageError
from mbn.core.family import check, network_name
from mbn.train.data import CALIBRATION_SEED, HELD_OUT_SEED, source_digits
from mbn.train.digits import draw, split
from mbn.train.images import Int64, UInt8

FOLDER = Path(__file__).parent
RESOLUTION = 96
DATA = ("photographs", "digits")
DIGITS = tuple("0123456789")
CALIBRATION_COUNT = 128


def find(alpha: float, resolution: int = RESOLUTION, data: str = DATA[0]) -> Path:
    """The bundled ONNX file of this size: int8 of photographs, float of digits.

    Raises ModelError with the `mbn-train` command to run if the size is not bundled, UsageError
    if it is no MobileNet's, or for data of another name.
    """
    check(alpha, resolution, classes=2, channels=3)
    if data not in DATA:
        raise UsageError(f"--data {data}", wanted=" or ".join(DATA))
    path = FOLDER / f"{network_name(alpha, resolution, data)}.onnx"
    if path.is_file():
        return path
    size = f"--alpha {alpha:g} --resolution {resolution}"
    own = "digits" if data == "digits" else "photos/"
    trained = Path("out") / "train" / network_name(alpha, resolution, own.rstrip("/"))
    raise ModelError(
        f"no network of alpha {alpha:g} at {resolution}x{resolution} on {data} is bundled",
        wanted="; ".join(f"{one}: {_sizes(one)}" for one in DATA),
        advice=f"Train it: mbn-train {size} --data {own}; then give "
        f"--model {(trained / trained.name).as_posix()}.onnx, "
        "or measure the size with --weights random:1",
    )


def _sizes(data: str) -> str:
    """Which sizes there are, in words."""
    found: dict[str, list[float]] = {}
    for file in FOLDER.glob(f"*_{data}.onnx"):
        _, alpha, resolution, _ = file.stem.split("_")
        found.setdefault(resolution, []).append(float(alpha))
    return ", ".join(
        f"alpha {', '.join(f'{alpha:g}' for alpha in sorted(alphas))} at {size}x{size}"
        for size, alphas in sorted(found.items())
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
