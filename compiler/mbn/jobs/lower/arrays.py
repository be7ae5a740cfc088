"""Samples from .npy and .npz files, for networks whose input is no image, or to say exactly what
goes in.

What enters: a file, or a folder of them, and the form of the network's input. What leaves: float32
numbers as the network's graph takes them, or its int8 codes, N x height x width x channel; labels,
where a .npz has them. Always holds: an array whose shape, dtype or values don't fit is refused by
its file; nothing is converted or cut in silence.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.errors import MbnError, QuantiseError, UsageError
from mbn.core.files import read_regular
from mbn.jobs.lower.inputs import InputForm

Array = NDArray[Any]
Int64 = NDArray[np.int64]

ENDINGS = (".npy", ".npz")
LABELS = ("labels", "y")  # names of labels in a .npz
MOST_BYTES = 1 << 31


@dataclass(frozen=True, eq=False)
class Given:
    """Samples, N x height x width x channel: float32 numbers of the graph's input, or its codes as
    int8. `labels`: one a sample, where every file has them."""

    maps: Array
    labels: Int64 | None


def is_arrays(path: Path) -> bool:
    """Whether a path names arrays: a .npy or .npz, or a folder that holds any."""
    if path.is_dir():
        return any(one.suffix.lower() in ENDINGS for one in path.iterdir())
    return path.suffix.lower() in ENDINGS


def no_pictures(form: InputForm) -> UsageError:
    """Pictures for a network that takes none."""
    return UsageError(
        f"a folder of pictures for an input of {_shape(form.sample)}, which is no image",
        wanted=f"arrays (.npy or .npz), float32 N x {_shape(form.sample)}",
        advice="In Python: numpy.save('samples.npy', samples)",
    )


def read(path: Path, form: InputForm, *, quantised: bool, limit: int | None = None) -> Given:
    """Reads a file, or those of a folder by sorted name; the first `limit` samples. `quantised`:
    int8 and uint8 codes are taken too. Raises UsageError, QuantiseError where there are none."""
    if not path.exists():
        raise QuantiseError(f"there is no file {path}", wanted="a .npy or .npz file, or a folder")
    files = [path]
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.suffix.lower() in ENDINGS)
    maps: list[Array] = []
    labels: list[Int64 | None] = []
    for file in files:
        samples, of_file = _samples(file)
        found = _fitting(samples, file, form, quantised=quantised)
        if of_file is not None and len(of_file) != len(found):
            raise UsageError(
                f"{len(of_file)} labels for {len(found)} samples",
                node=str(file),
                wanted="one a sample",
            )
        maps.append(found)
        labels.append(of_file)
        if limit is not None and sum(map(len, maps)) >= limit:
            break
    if len({one.dtype for one in maps}) > 1:
        raise UsageError(
            f"{path} holds float and integer arrays", wanted="all float32, or all codes"
        )
    whole = np.concatenate(maps)[:limit]
    known = [one for one in labels if one is not None]
    every = np.concatenate(known)[:limit] if len(known) == len(labels) else None
    return Given(whole, every)


def _samples(file: Path) -> tuple[Array, Int64 | None]:
    """The array of samples in a file, and the labels beside it."""
    by_name = dict(_arrays(file))
    labels = next((by_name.pop(name) for name in LABELS if name in by_name), None)
    if len(by_name) != 1:
        raise UsageError(
            f"{len(by_name)} arrays of samples ({', '.join(sorted(by_name)) or 'none'})",
            node=str(file),
            wanted="one, and labels if there are any",
            advice="numpy.savez(file, samples=..., labels=...)",
        )
    if labels is None:
        return next(iter(by_name.values())), None
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UsageError(
            f"labels of {labels.dtype} {labels.shape}",
            node=str(file),
            wanted="whole numbers, one a sample",
        )
    return next(iter(by_name.values())), labels.astype(np.int64)


def _arrays(file: Path) -> Iterator[tuple[str, Array]]:
    try:
        data = io.BytesIO(read_regular(file, MOST_BYTES))
        loaded = np.load(data, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            yield file.stem if file.stem not in LABELS else "samples", loaded
            return
        with loaded:
            for name in loaded.files:
                yield name, loaded[name]
    except MbnError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"can't be read as an array ({str(error).splitlines()[0] if str(error) else 'empty'})",
            node=str(file),
            wanted="a .npy or .npz file of numbers, without Python objects",
        ) from error


def _fitting(samples: Array, file: Path, form: InputForm, *, quantised: bool) -> Array:
    """The samples, N x height x width x channel, if they fit."""
    one = samples.shape == form.sample
    if not one and samples.shape[1:] != form.sample:
        raise UsageError(
            f"an array of shape {_shape(samples.shape)}",
            node=str(file),
            wanted=f"N x {_shape(form.sample)}, or one sample of {_shape(form.sample)}: the order "
            "of the network's own input",
        )
    samples = samples[None] if one else samples
    if not len(samples):
        raise QuantiseError("it holds no samples", node=str(file), wanted="at least one")
    if samples.dtype in (np.int8, np.uint8) and quantised:
        codes = samples.astype(np.int16) - (128 if samples.dtype == np.uint8 else 0)
        return form.maps(codes.astype(np.int8))
    if samples.dtype != np.float32:
        also = ", or codes in int8 or uint8" if quantised else ""
        raise UsageError(
            f"an array of {samples.dtype}",
            node=str(file),
            wanted=f"float32 numbers as the network takes them{also}",
            advice="In Python: array.astype(numpy.float32)",
        )
    bad = ~np.isfinite(samples).reshape(len(samples), -1).all(axis=1)
    if bad.any():
        raise UsageError(
            f"{int(bad.sum())} of {len(samples)} samples hold NaN or infinity, first "
            f"{int(bad.argmax())}",
            node=str(file),
            wanted="finite numbers",
        )
    return form.maps(samples)


def _shape(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes)) or "one number"
