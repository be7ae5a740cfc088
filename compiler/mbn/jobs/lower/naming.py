"""The names of a network's classes, and the accuracy that its maker recorded.

What enters: an ONNX file's metadata, or a label file of the user's. What leaves: names in the order
of the network's outputs. Always holds: metadata is a stranger's and may be damaged, so that it is
left aside where it makes no sense; a label file that does not fit is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mbn.core.errors import UsageError
from mbn.core.files import read_text
from mbn.core.network import Network
from mbn.report.record import Accuracy

CLASSES, ACCURACY = "mbn.classes", "mbn.accuracy"  # keys of the metadata
_MOST_BYTES = 1 << 20
_LONGEST = 200  # characters of a name


def of_file(model: Any) -> tuple[str, ...]:
    """The names in a ModelProto's metadata; empty without them."""
    found = stored(model, CLASSES)
    if not isinstance(found, list):
        return ()
    if not all(isinstance(one, str) and _is_name(one) for one in found):
        return ()
    return tuple(found)


def accuracy_of(model: Any) -> Accuracy | None:
    """What the network scored when it was made, by its metadata."""
    found = stored(model, ACCURACY)
    try:
        return Accuracy(**found) if isinstance(found, dict) else None
    except TypeError:
        return None


def _is_name(text: str) -> bool:
    """Whether it can stand in a table, a page and generated C."""
    return 0 < len(text) <= _LONGEST and text.isprintable()


def stored(model: Any, key: str) -> Any:
    """The JSON value of a ModelProto's metadata; None where there is none."""
    for one in model.metadata_props:
        if one.key == key and len(one.value) < _MOST_BYTES:
            try:
                return json.loads(one.value)
            except (ValueError, RecursionError):
                return None
    return None


def of_network(network: Network, known: tuple[str, ...], labels: Path | None) -> tuple[str, ...]:
    """Names for the network's outputs: of the label file if one is given, else those known, if
    there is one for each class. Raises UsageError for a file of another length. An SSD
    head has names for its detector's classes."""
    out, detector = network.output, network.detector
    classes = 0 if network.results or (out.height, out.width) != (1, 1) else out.channels
    classes = classes if detector is None else detector.classes
    if labels is None:
        return known if len(known) == classes else ()
    names = tuple(line.strip() for line in read_text(labels, _MOST_BYTES).splitlines())
    while names and not names[-1]:
        names = names[:-1]
    odd = next((line for line, name in enumerate(names, 1) if not _is_name(name)), None)
    if odd is not None:
        raise UsageError(
            f"line {odd} is no name: {names[odd - 1][:40]!r}",
            node=str(labels),
            wanted=f"1 to {_LONGEST} characters that can be printed",
        )
    if len(names) != classes:
        raise UsageError(
            f"{len(names)} labels",
            node=str(labels),
            wanted=f"one line for each of the network's {classes} classes, in the order of its "
            "outputs"
            if classes
            else "no labels: this network tells no classes apart",
        )
    return names
