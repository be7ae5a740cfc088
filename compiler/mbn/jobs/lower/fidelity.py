"""What quantising cost: the integers against the float network that they were made from.

What enters: the lowered network, the float ONNX file and calibration samples. What leaves: one
`Fidelity`: how far the integers follow the float network over these samples. Always holds: both get
the same ones, the integers pixels by the table that the device uses, so an input range or a mean
that is not the network's shows here; outputs are compared before a softmax that the host keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.errors import ModelError, QuantiseError
from mbn.core.network import Network
from mbn.exact import Reference
from mbn.jobs.lower.runtime import session_of
from mbn.passes.frontend import onnx_file
from mbn.passes.frontend.host_ends import HOST_ENDS

Int8 = NDArray[np.int8]
UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

IMAGES = 32  # compared at most
GOOD = 0.98  # correlation from which on nothing need be said
LEAST = 0.9  # below it a network is refused
# Where the float outputs vary by less than this many steps of int8, the steps themselves hide
# the variation: then the error counts, not the correlation.
CONSTANT_STEPS = 1.0
FINE_STEPS = 2.0  # an error (root mean square) that steps of int8 explain
BATCH = 8
_HOST_ENDS = {
    "softmax": "Softmax",
    "sigmoid": "Sigmoid",
    **{word: operator for operator, word in HOST_ENDS.items()},
}


@dataclass(frozen=True)
class Fidelity:
    """How the integers follow the float network.

    `correlation`: Pearson's, over all images and outputs, each output less its mean over the
    images; None where the float outputs don't vary. `error_steps`: root mean square of the
    difference, in steps of the output's int8 scale. `same_top1`: images whose largest output is
    the same one; None for a single output and for maps.
    """

    images: int
    correlation: float | None
    error_steps: float
    same_top1: int | None
    what: str = "images"

    @property
    def is_good(self) -> bool:
        if self.correlation is None:
            return self.error_steps <= FINE_STEPS
        return self.correlation >= GOOD

    @property
    def is_lost(self) -> bool:
        """Whether the integers lost so much that shipping them would be a mistake."""
        if self.error_steps <= FINE_STEPS:
            return False
        return self.correlation is None or self.correlation < LEAST

    def __str__(self) -> str:
        said = (
            "outputs that don't vary"
            if self.correlation is None
            else f"correlation {self.correlation:.4f}"
        )
        parts = [f"{said} with the float network", f"error {self.error_steps:.1f} steps"]
        if self.same_top1 is not None:
            parts.append(f"same top-1 {100 * self.same_top1 / self.images:.0f} %")
        return ", ".join(parts) + f" ({self.images} calibration {self.what})"


def compare(
    network: Network,
    float_path: Path,
    maps: UInt8 | Float32,
    codes: Callable[[Any], Int8],
    fed: Callable[[Any], Float32],
    progress: Callable[[int], None] = lambda _done: None,
) -> Fidelity:
    """Runs both on `maps` (N x height x width x channel, pixels or numbers).

    `codes` makes of them what the network stores, `fed` of one what the float network takes.
    Raises ModelError where ONNX Runtime can't run the float network, or where its results are not
    those of `network`.
    """
    runtime, reference = _FloatOutputs(float_path, network), Reference(network)
    ours, theirs = [], []
    for start in range(0, len(maps), BATCH):
        batch = maps[start : start + BATCH]
        ours.append(reference.run(codes(batch)))
        theirs += [runtime.run(fed(image[None])) for image in batch]
        progress(start + len(batch))
    return judge(network, np.concatenate(ours), np.stack(theirs))


def judge(network: Network, codes: NDArray[np.int8], wanted: Float64) -> Fidelity:
    """Of int8 results and float ones, both N x all values of all results in canonical order."""
    sizes = [out.size_bytes for out in network.outputs]
    scale = np.repeat([out.scale for out in network.outputs], sizes)
    zero_point = np.repeat([out.zero_point for out in network.outputs], sizes)
    got, want = codes.astype(np.float64) - zero_point, wanted / scale  # in steps
    error = float(np.sqrt(np.mean((got - want) ** 2)))
    varied = want - want.mean(axis=0)
    moved = got - got.mean(axis=0)
    correlation = None
    if np.sqrt(np.mean(varied**2)) >= CONSTANT_STEPS:
        power = np.sqrt((varied**2).sum() * (moved**2).sum())
        correlation = float((varied * moved).sum() / power) if power else 0.0
    one = len(sizes) == 1 and network.output.shape[:2] == (1, 1) and sizes[0] > 1
    same = int((got.argmax(axis=1) == want.argmax(axis=1)).sum()) if one else None
    return Fidelity(len(codes), correlation, error, same)


def refuse_lost(found: Fidelity, *, accept: bool) -> None:
    """Raises QuantiseError where the integers no longer are the float network."""
    if not found.is_lost or accept:
        return
    raise QuantiseError(
        f"quantising lost the network: {found}",
        wanted=f"a correlation of {LEAST} at least ({GOOD} is usual)",
        advice="Give the input range that it was trained with (--input-range, or --mean and "
        "--std) and calibrate with pictures of its kind; or --accept-loss compiles it as it is",
    )


class _FloatOutputs:
    """The float network in ONNX Runtime, with the results that the integers have."""

    def __init__(self, path: Path, network: Network) -> None:
        self.network = network
        model = onnx_file.stored(path)
        kept = {_HOST_ENDS[op] for op in network.host_ops if op in _HOST_ENDS}
        made_by = {name: node for node in model.graph.node for name in node.output}
        names = []
        for output in model.graph.output:
            name = output.name
            while name in made_by and made_by[name].op_type in kept:
                name = made_by[name].input[0]
            names.append(name)
        self.session = session_of(model, names, path, optimised=True)
        self.input = self.session.get_inputs()[0].name
        self.names = names

    def run(self, image: Float32) -> Float64:
        """All values of all results of one image, each height x width x channel."""
        unique = [output.name for output in self.session.get_outputs()]
        found = dict(zip(unique, self.session.run(None, {self.input: image}), strict=True))
        made = [_canonical(found[name]) for name in self.names]
        flat = np.concatenate(made)
        if flat.size != self.network.result_bytes:
            raise ModelError(
                f"the float network gives {flat.size} values",
                wanted=f"{self.network.result_bytes}, as the integers do",
            )
        return flat


def _canonical(values: NDArray[Any]) -> Float64:
    if values.ndim == 4:  # N x channel x height x width
        values = values.transpose(0, 2, 3, 1)
    return values.astype(np.float64).reshape(-1)
