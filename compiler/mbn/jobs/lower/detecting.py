"""What a user, or a network's file, says of an SSD head: how its results become boxes.

What enters: JSON, of --detect's file or of an ONNX file's metadata. What leaves: a `Detector` that
fits the network's results. Always holds: metadata is a stranger's, so that it is left aside where
it makes no sense; a file that does not fit is refused.

    {"classes": 10,                  in each box, the background counted; all else may be left out
     "background": false,            true: class 0 is the background
     "scores": "logits",             or "probabilities"
     "results": [[0, 1], [2, 3]],    by map: the graph's outputs that hold classes and boxes; else
                                     in turn
     "scales": [0.2, 0.9], "ratios": [1, 2, 0.5], "first": 3,      default boxes by SSD's recipe,
     "sizes": [[[0.1, 0.1], [0.1, 0.2]], [[0.4, 0.4]]],   or by map: height, width of each of a cell
     "variances": [0.1, 0.2],        of a centre's and of a size's code
     "least": 0.25, "overlap": 0.45, "candidates": 100}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mbn.core.detector import (
    LARGEST_SCALE,
    LEAST_SCALE,
    OVERLAP_BITS,
    RATIOS,
    SCORE_BITS,
    VARIANCES,
    BoxMap,
    Detector,
    Scores,
    Sizes,
    scaled_sizes,
)
from mbn.core.errors import UsageError
from mbn.core.files import read_text
from mbn.core.network import Network
from mbn.jobs.lower import naming

METADATA = "mbn.detector"  # its key
_MOST_BYTES = 1 << 20


class _Wrong(Exception):
    """What was found, and what is wanted."""


def of_network(network: Network, stored: Any, path: Path | None) -> Detector | None:
    """The detector of the file if one is given, else of the metadata; None without. Raises
    UsageError for a file that does not fit the network."""
    if path is not None:
        try:
            return _fitting(json.loads(read_text(path, _MOST_BYTES)), network)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"is no JSON ({error})", node=str(path), wanted="a description of an SSD head"
            ) from error
        except _Wrong as error:
            found, wanted = error.args
            raise UsageError(found, node=str(path), wanted=wanted) from error
    try:
        return None if stored is None else _fitting(stored, network)
    except _Wrong:
        return None


def of_file(model: Any) -> Any:
    """What a ModelProto's metadata says of it; None without."""
    return naming.stored(model, METADATA)


def described(detector: Detector) -> dict[str, Any]:
    """What `of_network` makes this detector of."""
    return {
        "classes": detector.classes,
        "background": detector.background,
        "scores": detector.scores.value,
        "results": [[one.class_result, one.box_result] for one in detector.maps],
        "sizes": [one.sizes for one in detector.maps],
        "variances": detector.variances,
        "least": detector.least / (1 << SCORE_BITS),
        "overlap": detector.overlap / (1 << OVERLAP_BITS),
        "candidates": detector.candidates,
    }


def words(network: Network, detector: Detector) -> str:
    """The detector in a line."""
    boxes = detector.default_boxes([out.shape for out in network.outputs])
    maps = "1 map" if len(detector.maps) == 1 else f"{len(detector.maps)} maps"
    behind = " with the background" if detector.background else ""
    return f"{boxes:,} default boxes of {maps}, {detector.classes} classes{behind}"


def _fitting(data: Any, network: Network) -> Detector:
    made = _detector(data, len(network.outputs))
    if problem := made.problem([out.shape for out in network.outputs]):
        raise _Wrong(*problem)
    return made


def _detector(data: Any, results: int) -> Detector:
    if not isinstance(data, dict):
        raise _Wrong("no object", 'an object, as {"classes": 10}')
    known = {*_TYPES, *_RECIPE}
    if odd := sorted(set(data) - known):
        raise _Wrong(f"{odd[0]!r}", f"of {', '.join(sorted(known))}")
    if "classes" not in data:
        raise _Wrong("no classes", "how many there are in each box")
    for key, value in data.items():
        fits, wanted = {**_TYPES, **_RECIPE}[key]
        if not fits(value):
            raise _Wrong(f"{key}: {json.dumps(value)[:60]}", wanted)
    pairs = data.get("results", [[at, at + 1] for at in range(0, results - 1, 2)])
    sizes = _sizes(data, len(pairs))
    return Detector(
        tuple(BoxMap(one[0], one[1], own) for one, own in zip(pairs, sizes, strict=True)),
        data["classes"],
        background=data.get("background", False),
        scores=Scores(data.get("scores", Scores.LOGITS)),
        variances=tuple(data.get("variances", VARIANCES)),
        least=round(data.get("least", 0.25) * (1 << SCORE_BITS)),
        candidates=data.get("candidates", 100),
        overlap=round(data.get("overlap", 0.45) * (1 << OVERLAP_BITS)),
    )


def _sizes(data: Mapping[str, Any], maps: int) -> tuple[Sizes, ...]:
    recipe = [key for key in _RECIPE if key in data]
    if "sizes" not in data:
        low, high = data.get("scales", (LEAST_SCALE, LARGEST_SCALE))
        return scaled_sizes(maps, data.get("ratios", RATIOS), (low, high), data.get("first"))
    if recipe:
        raise _Wrong(f"sizes and {recipe[0]}", "one or the other")
    if len(data["sizes"]) != maps:
        raise _Wrong(f"sizes of {len(data['sizes'])} maps", f"of {maps}, as many as predict")
    return tuple(tuple((one[0], one[1]) for one in cell) for cell in data["sizes"])


# -- what each value may be ----------------------------------------------------------------------

Rule = tuple[Callable[[Any], bool], str]


def _is_number(value: Any, low: float = 0.0, high: float = 1e6) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _all(value: Any, fits: Callable[[Any], bool], count: int | None = None) -> bool:
    """Whether it is a list, not empty, of `count` such values."""
    return (
        isinstance(value, list)
        and len(value) in (count or len(value) or 1,)
        and all(fits(one) for one in value)
    )


def _is_side(value: Any) -> bool:
    return _is_number(value, 1e-6)


_TYPES: Mapping[str, Rule] = {
    "classes": (_is_count, "a number of classes"),
    "background": (lambda value: isinstance(value, bool), "true or false"),
    "scores": (lambda value: value in list(Scores), " or ".join(Scores)),
    "results": (
        lambda value: _all(value, lambda one: _all(one, _is_count, 2)),
        "by map the outputs that hold classes and boxes, as [[0, 1], [2, 3]]",
    ),
    "sizes": (
        lambda value: _all(value, lambda map_: _all(map_, lambda one: _all(one, _is_side, 2))),
        "by map the height and width of each default box, as [[[0.2, 0.2]], [[0.5, 0.5]]]",
    ),
    "variances": (lambda value: _all(value, _is_side, 2), "two numbers above 0, as [0.1, 0.2]"),
    "least": (lambda value: _is_number(value, high=1), "a score, 0 to 1"),
    "overlap": (lambda value: _is_number(value, high=1), "intersection over union, 0 to 1"),
    "candidates": (_is_count, "a number of candidates"),
}
_RECIPE: Mapping[str, Rule] = {
    "scales": (lambda value: _all(value, _is_side, 2), "two parts of the side, as [0.2, 0.9]"),
    "ratios": (lambda value: _all(value, _is_side), "widths over heights, as [1, 2, 0.5]"),
    "first": (_is_count, "how many default boxes a cell of the first map has"),
}
