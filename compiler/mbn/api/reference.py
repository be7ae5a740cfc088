"""The exact host reference, from a file, a folder or a compiled network.

What enters: a network; images as uint8 pixels or int8 codes. What leaves: int8 codes, equal to what
every board gives in every bit.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbn.api.telling import Place
from mbn.core import network_file
from mbn.core.detector import Detection
from mbn.core.errors import UsageError
from mbn.core.network import Network
from mbn.exact import BoxReference, Reference
from mbn.jobs.lower.inputs import as_codes
from mbn.passes.frontend import lower

Int8 = NDArray[np.int8]
Image = NDArray[np.uint8] | NDArray[np.int8]


class HostReference:
    """The exact integers of a network on this computer; call it with an image or with many."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._reference = Reference(network)

    def __call__(self, image: Image) -> Int8:
        """height x width x channel, or N of those; uint8 pixels or int8 codes. Returns int8 codes:
        the output's shape (of several results: all, one after the other), or N of them. Raises
        UsageError for another shape or dtype."""
        one = image.ndim == 3
        codes = codes_of(self.network, image[None] if one else image)
        outputs = self._reference.run(codes)
        if not self.network.results:
            outputs = outputs.reshape(len(codes), *self.network.output.shape)
        return np.asarray(outputs[0] if one else outputs)

    def boxes(self, image: Image) -> list[Detection]:
        """What the network's detector finds in one image, best first. Raises UsageError where it
        has none, or for an image of another shape or dtype."""
        require_detector(self.network)
        return BoxReference(self.network).run(self(image))

    def __repr__(self) -> str:
        shapes = self.network.input.shape_text, self.network.output.shape_text
        return f"<mbn.HostReference {self.network.name}: {' -> '.join(shapes)}>"


def reference(model: Place | Network) -> HostReference:
    """The exact reference of a quantised ONNX or .tflite file, of a folder that mbn-compile
    wrote, or of a network (`Compiled.network`). Raises ModelError, UnsupportedError."""
    if isinstance(model, Network):
        return HostReference(model)
    path = Path(model)
    if path.is_dir():
        return HostReference(network_file.load(path / "network.npz"))
    return HostReference(lower(path, path.stem))


def require_detector(network: Network) -> None:
    """Raises UsageError where it has none."""
    if network.detector is None:
        raise UsageError(
            f"{network.name} has no detector",
            wanted="a network whose results are an SSD head's",
            advice="Compile it with detect=FILE",
        )


def codes_of(network: Network, image: Image) -> Int8:
    """What the network takes of pixels or codes."""
    wanted = network.input.shape
    if image.shape[-3:] != wanted or image.dtype not in (np.uint8, np.int8):
        raise UsageError(
            f"an image of {image.dtype} {image.shape}",
            wanted=f"uint8 pixels or int8 codes, height x width x channel: {wanted}",
        )
    if image.dtype == np.int8:
        return np.ascontiguousarray(image)
    return as_codes(network, image.view(np.uint8))
