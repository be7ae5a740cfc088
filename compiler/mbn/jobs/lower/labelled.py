"""Labelled samples of a user's own, and how often a network is right about them.

What enters: a folder DIR/CLASS/*.png, a folder of pictures with a labels.csv (file,label), or a
.npz with labels. What leaves: samples with the number of their class, and top-1 and top-5 of
outputs. Always holds: a class folder is the network's class of that name; where the network has no
such names, the sorted names of the folders are classes 0 .. n - 1, and another number of them than
the network's is refused with both numbers.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.errors import UsageError
from mbn.core.files import read_text
from mbn.core.network import Network
from mbn.jobs.lower import arrays
from mbn.jobs.lower.inputs import InputForm
from mbn.train.data import image_files, read_images

Array = NDArray[Any]
Int64 = NDArray[np.int64]

LABELS_FILE = "labels.csv"
MOST = 500  # samples that accuracy is counted on
TOP = 5


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples (pixels, numbers or codes, N x height x width x channel) and their classes."""

    maps: Array
    labels: Int64


def read(path: Path, form: InputForm, network: Network, count: int) -> Labelled | None:
    """At most `count` labelled samples, of each class in turn. None where there are no labels, or
    where the network tells no classes apart."""
    out = network.output
    if network.results or (out.height, out.width) != (1, 1) or out.channels < 2:
        return None
    if arrays.is_arrays(path):
        given = arrays.read(path, form, quantised=True, limit=count)
        if given.labels is None:
            return None
        _check_numbers(given.labels, out.channels, path)
        return Labelled(given.maps, given.labels)
    found = files_with_labels(path, out.channels, network.classes)
    if not found:
        return None
    height, width, channels = form.image
    images = list(read_images([file for file, _ in found[:count]], (height, width), channels))
    labels = np.array([label for _, label in found[:count]], np.int64)
    return Labelled(np.concatenate(images), labels)


def files_with_labels(
    path: Path, classes: int, names: tuple[str, ...] = ()
) -> list[tuple[Path, int]]:
    """Picture files and their classes, of each class in turn; empty where there are no labels.
    `names` of the network's classes, where known: labels that are among them are these. UsageError
    where labels are not those of so many classes."""
    if not path.is_dir():
        return []
    if (path / LABELS_FILE).exists():
        return _in_turn(_of_file(path, classes, names))
    if image_files(path, []):
        return []
    folders = sorted(one for one in path.iterdir() if one.is_dir() and one.name[0] != ".")
    by_class = {folder.name: image_files(folder, []) for folder in folders}
    by_class = {name: files for name, files in by_class.items() if files}
    if not by_class:
        return []
    order = names if set(by_class) <= set(names) else tuple(by_class)
    if len(order) != classes:
        raise _other_classes(path, f"{len(by_class)} class folders", classes)
    return _in_turn([(file, order.index(name)) for name in by_class for file in by_class[name]])


def top(outputs: Array, labels: Int64, count: int) -> float:
    """How many percent of the labels are among the `count` largest outputs (N x classes)."""
    order = np.argsort(-outputs.astype(np.float64), axis=1, kind="stable")[:, :count]
    return float(100 * np.mean((order == labels[:, None]).any(axis=1)))


def _of_file(path: Path, classes: int, known: tuple[str, ...]) -> list[tuple[Path, int]]:
    """The lines of labels.csv. Numbers are classes; names are the network's, or, where it has
    others or none, sorted are classes 0 .. n - 1."""
    file = path / LABELS_FILE
    rows = [row for row in csv.reader(io.StringIO(read_text(file))) if any(row)]
    rows = [[cell.strip() for cell in row] for row in rows]
    if rows and rows[0][:2] == ["file", "label"]:
        rows = rows[1:]
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or not (path / row[0]).is_file():
            raise UsageError(
                f"line {number} of the labels: {','.join(row)}",
                node=str(file),
                wanted="FILE,LABEL with a file of this folder",
            )
    if not rows:
        raise UsageError("it has no labels", node=str(file), wanted="lines FILE,LABEL")
    names = sorted({label for _, label in rows})
    if set(names) <= set(known):
        return [(path / name, known.index(label)) for name, label in rows]
    if all(name.isdigit() for name in names):
        labels = np.array([int(label) for _, label in rows], np.int64)
        _check_numbers(labels, classes, file)
        return [(path / name, int(label)) for name, label in rows]
    if len(names) != classes:
        raise _other_classes(file, f"{len(names)} labels", classes)
    return [(path / name, names.index(label)) for name, label in rows]


def _check_numbers(labels: Int64, classes: int, path: Path) -> None:
    if labels.min() < 0 or labels.max() >= classes:
        raise _other_classes(path, f"labels {labels.min()} .. {labels.max()}", classes)


def _other_classes(path: Path, found: str, classes: int) -> UsageError:
    return UsageError(
        f"{path.name} has {found} and the network {classes} classes",
        wanted="one for each class, in the order of the network's outputs",
        advice="Pictures without labels lie in one folder",
    )


def _in_turn(files: list[tuple[Path, int]]) -> list[tuple[Path, int]]:
    """The first of every class, the second of every class ...: all classes, whatever the limit."""
    by_class: dict[int, list[tuple[Path, int]]] = {}
    for file, label in sorted(files, key=lambda one: (one[1], one[0])):
        by_class.setdefault(label, []).append((file, label))
    return [one for row in zip_longest(*by_class.values()) for one in row if one is not None]
