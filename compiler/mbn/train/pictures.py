"""Pictures with a split of their own: PATH/train/CLASS/* and PATH/test/CLASS/*, a folder or a zip.

What enters: the path and a resolution. What leaves: `Pictures`, a Dataset that holds all of them in
memory. Always holds: classes are the sorted names of the folders, the same in both splits; images
uint8 N x size x size x 3, RGB; what an epoch draws depends on (seed, epoch) alone. With a cache,
images are decoded and scaled once for each resolution.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mbn.core.errors import UsageError
from mbn.core.files import open_regular
from mbn.train.images import Int64, UInt8
from mbn.train.picture_file import is_picture, read_picture, tell_left_out

SPLITS = ("train", "test")
_SHIFT_SEED = 5
_SHIFT = 8  # a training image is moved by up to this part of its side
_BATCH_HELD_OUT = 64
_READING = 2  # of pictures: another number makes cached ones anew
_MOST_BYTES = 1 << 30  # of one picture in a zip

Progress = Callable[[int, int], None]  # images decoded, of


@dataclass(frozen=True, eq=False)
class Split:
    """Images uint8 N x size x size x 3 and their labels."""

    images: UInt8
    labels: Int64


def shuffled(count: int, seed: int, epoch: int) -> NDArray[np.intp]:
    """A permutation of range(count) that is the same with every NumPy."""
    bits = np.random.PCG64(np.random.SeedSequence((seed, epoch, 0)))
    return np.argsort(bits.random_raw(count), kind="stable")


def fitted(image: Image.Image, width: int, height: int | None = None) -> UInt8:
    """The largest middle part of the shape that is wanted (None: a square), scaled: uint8 height x
    width x channels."""
    height = width if height is None else height
    across = min(image.width, max(1, image.height * width // height))
    down = min(image.height, max(1, image.width * height // width))
    left, top = (image.width - across) // 2, (image.height - down) // 2
    return scaled(image, (left, top, left + across, top + down), width, height)


def scaled(
    image: Image.Image, box: tuple[int, int, int, int], width: int, height: int | None = None
) -> UInt8:
    """A box of the image (left, top, right, bottom), scaled: uint8 height x width x channels."""
    made = image.resize((width, height or width), Image.Resampling.BILINEAR, box=box)
    return np.asarray(made, dtype=np.uint8)


class Pictures:
    """Pictures whose training and test images are apart.

    Training images are mirrored half the time and moved by up to an eighth: light, as the paper
    advises for small networks (section 3).
    """

    def __init__(
        self, name: str, classes: tuple[str, ...], train: Split, test: Split, resolution: int
    ) -> None:
        self.name, self.classes, self.resolution = name, classes, resolution
        self.train, self.test = train, test

    @property
    def train_count(self) -> int:
        return len(self.train.labels)

    def epoch(self, seed: int, epoch: int, batch: int) -> Iterator[tuple[UInt8, Int64]]:
        order = shuffled(self.train_count, seed, epoch)
        bits = np.random.PCG64(np.random.SeedSequence((_SHIFT_SEED, seed, epoch)))
        for start in range(0, len(order) - batch + 1, batch):
            chosen = order[start : start + batch]
            words = bits.random_raw(3 * batch).reshape(batch, 3) >> np.uint64(33)
            yield (
                moved(self.train.images[chosen], words.astype(np.int64)),
                self.train.labels[chosen],
            )

    def held_out(self) -> Iterator[tuple[UInt8, Int64]]:
        for start in range(0, len(self.test.labels), _BATCH_HELD_OUT):
            part = slice(start, start + _BATCH_HELD_OUT)
            yield self.test.images[part], self.test.labels[part]


def moved(images: UInt8, words: Int64) -> UInt8:
    """Each image moved by two drawn words (its border mirrored in), mirrored by the third."""
    size = images.shape[1]
    most = max(1, size // _SHIFT)
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="reflect")
    made = np.empty_like(images)
    for index, (down, right, mirror) in enumerate((words % (2 * most + 1)).tolist()):
        cut = padded[index, down : down + size, right : right + size]
        made[index] = cut[:, ::-1] if mirror % 2 else cut
    return made


def read_split(
    path: Path, resolution: int, *, cache: Path | None = None, progress: Progress | None = None
) -> Pictures:
    """The pictures of a folder or a zip. `cache`: a folder where decoded images are kept. Raises
    UsageError for what is not such a split, or for a file that is not an image."""
    source = _Source(path)
    kept = None if cache is None else cache / f"{source.digest[:16]}_{resolution}_{_READING}.npz"
    if kept is not None and kept.exists():
        with np.load(kept) as found:
            splits = [Split(found[f"{one}_images"], found[f"{one}_labels"]) for one in SPLITS]
        return Pictures(source.name, source.classes, splits[0], splits[1], resolution)
    total = sum(len(source.files[one]) for one in SPLITS)
    splits, done = [], 0
    for one in SPLITS:
        labels = np.array([label for _, label in source.files[one]], np.int64)
        images = np.empty((len(labels), resolution, resolution, 3), np.uint8)
        for index, (file, _) in enumerate(source.files[one]):
            images[index] = fitted(source.image(file), resolution)
            done += 1
            if progress is not None and done % 500 == 0:
                progress(done, total)
        splits.append(Split(images, labels))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}.npz")
        names = [f"{one}_{what}" for one in SPLITS for what in ("images", "labels")]
        arrays = [array for split in splits for array in (split.images, split.labels)]
        np.savez(part, **dict(zip(names, arrays, strict=True)))  # type: ignore[arg-type, unused-ignore]
        part.replace(kept)
    return Pictures(source.name, source.classes, splits[0], splits[1], resolution)


def split_classes(path: Path) -> tuple[str, ...]:
    """The classes that `read_split` would find. Raises UsageError."""
    return _Source(path).classes


class _Source:
    """Where files of both splits are, by class, in the order of their names."""

    def __init__(self, path: Path) -> None:
        self.name = path.resolve().stem
        self._zip: zipfile.ZipFile | None = None
        self._folder = path
        if path.is_dir():
            found = {
                file.relative_to(path).as_posix(): file.stat().st_size
                for one in SPLITS
                for file in (path / one).glob("*/*")
            }
        elif _is_zip(path):
            self._zip = _zipped(path)
            found = {entry.filename: entry.CRC for entry in self._zip.infolist()}
        else:
            raise UsageError(
                f"{path} is neither a folder nor a zip file",
                wanted="pictures as train/CLASS/FILE and test/CLASS/FILE",
            )
        listing = "\n".join(f"{name} {found[name]}" for name in sorted(found))
        self.digest = hashlib.sha256(listing.encode()).hexdigest()
        left_out: list[str] = []
        by_split: dict[str, dict[str, list[str]]] = {one: {} for one in SPLITS}
        for name in sorted(found):
            parts = PurePosixPath(name).parts
            if len(parts) == 3 and parts[0] in SPLITS and is_picture(parts[2]):
                by_split[parts[0]].setdefault(parts[1], []).append(name)
            elif not name.endswith("/"):
                left_out.append(name)
        names = [sorted(by_split[one]) for one in SPLITS]
        if names[0] != names[1] or len(names[0]) < 2:
            raise UsageError(
                f"{path} has {len(names[0])} class(es) in train/ and {len(names[1])} in test/",
                wanted="the same ones in both, at least 2: train/CLASS/FILE and test/CLASS/FILE",
                advice=f"It holds, among others, {left_out[0]}" if left_out else None,
            )
        tell_left_out(path, left_out)
        self.classes = tuple(names[0])
        self.files = {
            one: [(file, label) for label, of in enumerate(names[0]) for file in by_split[one][of]]
            for one in SPLITS
        }

    def image(self, name: str) -> Image.Image:
        where = f"{self._folder}: {name}"
        stored = self._zip
        if stored is None:
            return read_picture(self._folder / name, where)
        try:
            if stored.getinfo(name).file_size > _MOST_BYTES:
                raise zipfile.BadZipFile(f"{stored.getinfo(name).file_size:,} bytes")
            data = stored.read(name)
        # a password is a RuntimeError, a method of packing that is not known NotImplementedError
        except (
            OSError,
            RuntimeError,
            ValueError,
            EOFError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise UsageError(
                f"can't be taken from the zip ({error})",
                wanted="a whole zip file, stored or deflated, without a password",
                node=where,
                advice="Pack it again",
            ) from error
        return read_picture(data, where)


def _is_zip(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return zipfile.is_zipfile(file)
    except OSError:
        return False


def _zipped(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile, struct.error) as error:
        raise UsageError(
            f"can't be read as a zip file ({error})", node=str(path), advice="Pack it again"
        ) from error
