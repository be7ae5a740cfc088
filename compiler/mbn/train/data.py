"""The data a network is trained on.

What enters: `digits`, or a path (`folder:PATH`, `split:PATH`), and a resolution. What leaves: a
`Dataset`: augmented batches for training and a held-out split that is always the same. Always
holds: images are uint8 N x size x size x 3, RGB; labels int64; the split depends on the data
alone, an epoch on (seed, epoch) alone. scikit-learn is imported only for `digits`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from mbn.core.errors import QuantiseError, UsageError
from mbn.core.installing import advice
from mbn.train.digits import draw, split
from mbn.train.images import Int64, UInt8
from mbn.train.picture_file import is_picture, read_picture, tell_left_out
from mbn.train.pictures import SPLITS, fitted, read_split, scaled, shuffled, split_classes

HELD_OUT_SEED = (0x64696769, 1)  # the first word is "digi"
CALIBRATION_SEED = (0x64696769, 2)
_TRAIN_SEED = 3
_BATCH_DRAWN = 32

Batch = tuple[UInt8, Int64]


class Dataset(Protocol):
    """What training needs of data."""

    name: str  # names the network's files
    classes: tuple[str, ...]
    resolution: int

    @property
    def train_count(self) -> int:
        """Images in an epoch."""

    def epoch(self, seed: int, epoch: int, batch: int) -> Iterator[Batch]:
        """One pass over the training split, shuffled and augmented; the last short batch drops."""

    def held_out(self) -> Iterator[Batch]:
        """The held-out split, in order, in batches, never augmented at random."""


def load(spec: str, resolution: int) -> Dataset:
    """`digits`, `folder:PATH`, `split:PATH`, or a path that is one of these two, as a Dataset;
    raises UsageError where there is no such data."""
    kind, path = kind_of(spec)
    if kind == "digits":
        return Digits(resolution)
    return Folder(path, resolution) if kind == "folder" else read_split(path, resolution)


def class_names(spec: str) -> tuple[str, ...]:
    """The classes that `load` would find, without reading a picture. Raises UsageError."""
    kind, path = kind_of(spec)
    if kind == "digits":
        return tuple("0123456789")
    return class_files(path)[0] if kind == "folder" else split_classes(path)


def kind_of(spec: str) -> tuple[str, Path]:
    """`digits`, `folder` or `split`, and where it lies. Raises UsageError."""
    kind, _, path = spec.partition(":")
    if spec == "digits" or (kind in ("folder", "split") and path):
        return kind, Path(path)
    found = Path(spec)
    if spec and found.is_dir():
        return "split" if all((found / one).is_dir() for one in SPLITS) else "folder", found
    if spec and found.is_file():
        return "split", found
    raise UsageError(
        f"--data {spec}",
        wanted="digits, a folder with one folder a class, or a folder or zip with train/CLASS/ and "
        "test/CLASS/",
    )


def source_digits() -> tuple[UInt8, Int64]:
    """scikit-learn's digits: uint8 (0..16) 1797 x 8 x 8, and labels. Raises UsageError without."""
    try:
        # An extra, which this data alone needs.
        from sklearn.datasets import (  # type: ignore[import-untyped, unused-ignore] # noqa: PLC0415
            load_digits,
        )
    except ImportError as error:
        raise UsageError(
            "scikit-learn, which holds the digits, is not installed",
            advice=advice("train"),
        ) from error
    found = load_digits()
    return found.images.astype(np.uint8), found.target.astype(np.int64)


class Digits:
    """scikit-learn's handwritten digits, drawn in colour; every fifth is held out.

    Those to train on are moved, turned and scaled; those held out stand upright in the middle.
    """

    name = "digits"

    def __init__(self, resolution: int) -> None:
        self.resolution = resolution
        self.classes = tuple("0123456789")
        self.digits, self.labels = source_digits()
        self.train, self.kept = split(len(self.digits))

    @property
    def train_count(self) -> int:
        return len(self.train)

    def epoch(self, seed: int, epoch: int, batch: int) -> Iterator[Batch]:
        order = self.train[shuffled(len(self.train), seed, epoch)]
        for number in range(len(order) // batch):
            chosen = order[number * batch : (number + 1) * batch]
            key = (_TRAIN_SEED, seed, epoch, number)
            images = draw(self.digits[chosen], self.resolution, key, moved=True)
            yield images, self.labels[chosen]

    def held_out(self) -> Iterator[Batch]:
        # Drawn all at once: an image's draws depend on its place in the whole split.
        images = draw(self.digits[self.kept], self.resolution, HELD_OUT_SEED, moved=False)
        labels = self.labels[self.kept]
        for start in range(0, len(images), _BATCH_DRAWN):
            yield images[start : start + _BATCH_DRAWN], labels[start : start + _BATCH_DRAWN]


class Folder:
    """PATH/CLASS/image files; every fifth file of a class, by sorted name, is held out."""

    def __init__(self, path: Path, resolution: int) -> None:
        self.classes, by_class = class_files(path)
        self.name = path.resolve().name
        self.resolution = resolution
        self.train: list[tuple[Path, int]] = []
        self.kept: list[tuple[Path, int]] = []
        for label, files in enumerate(by_class):
            for index, file in enumerate(files):
                (self.kept if index % 5 == 4 else self.train).append((file, label))
        for file, _ in (*self.train, *self.kept):  # not after hours: a damaged one is met now
            read_picture(file, str(file))

    @property
    def train_count(self) -> int:
        return len(self.train)

    def epoch(self, seed: int, epoch: int, batch: int) -> Iterator[Batch]:
        order = shuffled(len(self.train), seed, epoch)
        for number in range(len(order) // batch):
            chosen = [self.train[index] for index in order[number * batch :][:batch]]
            key = np.random.SeedSequence((_TRAIN_SEED, seed, epoch, number))
            words = np.random.PCG64(key).random_raw(batch * 4).reshape(batch, 4)
            images = [
                augmented(
                    read_picture(file, str(file)), self.resolution, [int(word) for word in row]
                )
                for (file, _), row in zip(chosen, words, strict=True)
            ]
            yield np.stack(images), np.array([label for _, label in chosen], dtype=np.int64)

    def held_out(self) -> Iterator[Batch]:
        for start in range(0, len(self.kept), _BATCH_DRAWN):
            chosen = self.kept[start : start + _BATCH_DRAWN]
            images = [fitted(read_picture(file, str(file)), self.resolution) for file, _ in chosen]
            yield np.stack(images), np.array([label for _, label in chosen], dtype=np.int64)


def class_files(path: Path) -> tuple[tuple[str, ...], list[list[Path]]]:
    """The names of a folder's class folders, sorted, and the picture files of each. Raises
    UsageError for fewer than 2 classes, or than 5 pictures in one of them."""
    if not path.is_dir():
        raise UsageError(f"{path} is no folder", wanted="a folder with one folder a class")
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and entry.name[0] != ".")
    if len(folders) < 2:
        raise UsageError(
            f"{path} holds {len(folders)} folder(s)",
            wanted="at least 2: one folder a class, named as the class",
        )
    left_out: list[str] = []
    found = [image_files(folder, left_out) for folder in folders]
    for folder, files in zip(folders, found, strict=True):
        if len(files) < 5:
            raise UsageError(
                f"{folder} holds {len(files)} image(s)",
                wanted="at least 5 a class: every fifth is held out",
            )
    tell_left_out(path, left_out)
    return tuple(folder.name for folder in folders), found


def image_files(folder: Path, left_out: list[str]) -> list[Path]:
    """The picture files directly in a folder, sorted by name; the names of what else is there, but
    for the folders in it, are added to `left_out`."""
    there = [entry for entry in folder.iterdir() if not entry.is_dir()]
    left_out += [f"{folder.name}/{one.name}" for one in there if not is_picture(one.name)]
    return sorted(entry for entry in there if is_picture(entry.name))


def folder_images(
    path: Path, size: int | tuple[int, int], channels: int = 3, limit: int = 200
) -> Iterator[UInt8]:
    """Images of a folder (or of its sub-folders, in turn) to calibrate with, at most `limit`.

    size: height and width, or one for both: the largest middle part of that shape, scaled. Each
    uint8 1 x height x width x channels (1: luminance; 2 and 4: with alpha). Raises QuantiseError if
    there are none, UsageError for a file that is not an image, or for images with another number
    of channels.
    """
    _mode(channels)
    if not path.is_dir():
        raise QuantiseError(
            f"{path} is a file" if path.exists() else f"there is no folder {path}",
            wanted="a folder of images such as the network will see (.jpg, .png, ...)",
        )
    folders = [path, *sorted(entry for entry in path.glob("*") if entry.is_dir())]
    left_out = [
        f"{one.parent.name}/{one.name}/"
        for of in folders[1:]
        for one in of.iterdir()
        if one.is_dir()
    ]
    by_folder = [image_files(folder, left_out) for folder in folders]
    # The first of every folder, the second of every folder ...: all classes, whatever the limit.
    in_turn = [file for row in zip_longest(*by_folder) for file in row if file is not None]
    if not in_turn:
        raise QuantiseError(
            f"no calibration data: {path} holds no images",
            wanted="a folder of images such as the network will see (.jpg, .png, ...)",
            advice=f"It holds {sorted(left_out)[0]}" if left_out else None,
        )
    tell_left_out(path, left_out)
    yield from read_images(in_turn[:limit], size, channels)


def read_images(
    files: Sequence[Path], size: int | tuple[int, int], channels: int
) -> Iterator[UInt8]:
    """Picture files as `folder_images` gives them."""
    height, width = (size, size) if isinstance(size, int) else size
    for file in files:
        image = fitted(read_picture(file, str(file), _mode(channels)), width, height)
        yield image.reshape(1, height, width, channels)


def _mode(channels: int) -> str:
    """PIL's mode of so many channels."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}.get(channels)
    if mode is None:
        raise UsageError(
            f"the network's input has {channels} channels",
            wanted="1 to 4 where images are read from a folder",
        )
    return mode


def augmented(image: Image.Image, size: int, words: list[int]) -> UInt8:
    """A square of 70 to 100 % of the shorter side, anywhere, mirrored half the time."""
    shorter = min(image.size)
    side = max(1, shorter * (70 + words[0] % 31) // 100)
    left = words[1] % (image.width - side + 1)
    top = words[2] % (image.height - side + 1)
    cut = scaled(image, (left, top, left + side, top + side), size)
    return np.ascontiguousarray(cut[:, ::-1]) if words[3] >> 63 else cut
