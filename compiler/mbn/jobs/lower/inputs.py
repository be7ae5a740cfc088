"""How a graph takes its input, and what of it the network stores.

What enters: an ONNX file. What leaves: `InputForm`. Three things are told apart: what the user's
graph is given (real numbers or codes in its own shape), the same as a map of height x width x
channel, and what the network stores, int8 codes of the map behind the graph's normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn import arithmetic
from mbn.core.network import Network, Tensor
from mbn.passes.frontend import onnx_file
from mbn.passes.frontend.input_form import fix_input, input_sizes
from mbn.passes.frontend.normalisation import Normalisation
from mbn.passes.frontend.onnx_file import OnnxGraph

Array = NDArray[Any]
Int8 = NDArray[np.int8]
UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]


RANDOM_IMAGES_SEED = 7


@dataclass(frozen=True)
class InputForm:
    """An input in the graph's own shape, and the map that it is.

    own: with batch 1, or without one where the graph has none. image: height, width, channels.
    normalisation: what the graph does to it before its first layer, which is taken out of it.
    """

    own: tuple[int, ...]
    image: tuple[int, int, int]
    batched: bool = True
    channels_last: bool = False
    normalisation: Normalisation | None = None

    @property
    def sample(self) -> tuple[int, ...]:
        """The shape of one sample, without its batch."""
        return self.own[1:] if self.batched else self.own

    @property
    def is_image(self) -> bool:
        """Whether pictures can be what it takes: rows and columns, of 1 to 4 channels."""
        height, width, channels = self.image
        return len(self.sample) == 3 and min(height, width) > 1 and 1 <= channels <= 4

    @property
    def of_graph(self) -> InputForm:
        """The same of the graph as it is compiled: four dimensions, nothing normalised in it."""
        height, width, channels = self.image
        last = self.channels_last
        own = (1, height, width, channels) if last else (1, channels, height, width)
        return InputForm(own, self.image, channels_last=last)

    def maps(self, samples: Array) -> Array:
        """N samples of the graph's own shape as N x height x width x channel."""
        height, width, channels = self.image
        if self.channels_last:
            return np.ascontiguousarray(samples.reshape(-1, height, width, channels))
        planes = samples.reshape(-1, channels, height, width)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))

    def samples(self, maps: Array) -> Array:
        """N x height x width x channel as N samples of the graph's own shape."""
        planes = maps if self.channels_last else maps.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(planes).reshape(-1, *self.sample)

    def fed(self, maps: Array) -> Array:
        """One map (1 x height x width x channel) as the graph is given it."""
        return self.samples(maps).reshape(self.own)

    def planes(self, maps: Array) -> Array:
        """Real maps behind the normalisation, as the graph without it takes them: N x channel x
        height x width, or N x height x width x channel."""
        real = self.normalised(maps)
        return np.ascontiguousarray(real if self.channels_last else real.transpose(0, 3, 1, 2))

    def normalised(self, maps: Array) -> Float32:
        """Real maps behind the graph's normalisation."""
        if self.normalisation is None:
            return np.asarray(maps, np.float32)
        gain, offset = np.array(self.normalisation.gain), np.array(self.normalisation.offset)
        return np.asarray(maps.astype(np.float64) * gain + offset, np.float32)

    def raw(self, maps: Array) -> Float32:
        """What `normalised` makes these maps of."""
        if self.normalisation is None:
            return np.asarray(maps, np.float32)
        gain, offset = np.array(self.normalisation.gain), np.array(self.normalisation.offset)
        return np.asarray((maps.astype(np.float64) - offset) / gain, np.float32)


def form_of(
    path: Path,
    graph: OnnxGraph,
    normalisation: Normalisation | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> InputForm:
    """The form of the file's input; `graph`: the same, prepared. `input_shape`: sizes that the
    file leaves open."""
    raw = onnx_file.stored(path)
    if input_shape is not None:
        fix_input(raw, input_shape)
    own = [size if isinstance(size, int) and size > 0 else 1 for size in input_sizes(raw)]
    if int(np.prod(own)) != int(np.prod(graph.input_shape)):
        own = list(graph.input_shape)  # a file that says nothing of its shape
    batched = len(own) == 4 or (len(own) > 1 and own[0] == 1)
    return InputForm(tuple(own), graph.image_shape, batched, graph.channels_last, normalisation)


def fed_to(session: Any, codes: Int8, source: Tensor, form: InputForm) -> Array:
    """What a QDQ graph is given in ONNX Runtime for the codes of one map, 1 x height x width x
    channel: codes of its own type, or the numbers that they stand for."""
    return form.fed(_typed(session.get_inputs()[0].type, codes, source, form))


def _typed(kind: str, codes: Int8, source: Tensor, form: InputForm) -> Array:
    if kind == "tensor(int8)":
        return codes
    if kind == "tensor(uint8)":
        return (codes.astype(np.int16) + 128).astype(np.uint8)
    return form.raw((codes.astype(np.float32) - source.zero_point) * np.float32(source.scale))


def plain_form(tensor: Tensor) -> InputForm:
    """Of a network that came without a file: channels first."""
    height, width, channels = tensor.shape
    return InputForm((1, channels, height, width), tensor.shape)


def outside(network: Network, images: Array, form: InputForm | None = None) -> float:
    """The share of float32 values that the network's input has no code for: they are stored as its
    least or its largest. 0 for pixels and codes."""
    if images.dtype != np.float32:
        return 0.0
    real = images if form is None else form.normalised(images)
    steps = np.rint(real / np.float32(network.input.scale)) + network.input.zero_point
    return float(np.mean((steps < -129) | (steps > 128)))  # a step beyond is rounding


def input_span(network: Network) -> str:
    """The real values that the input has codes for, in words."""
    source = network.input
    low, high = ((code - source.zero_point) * source.scale for code in (-128, 127))
    return f"{low:.4g} .. {high:.4g}"


def as_codes(network: Network, images: Array, form: InputForm | None = None) -> Int8:
    """Maps as the network stores them, N x height x width x channel: uint8 pixels by the network's
    table; float32 values of the graph's input by its scale; int8 codes as they are."""
    if images.dtype == np.int8:
        return np.ascontiguousarray(images)
    if images.dtype == np.uint8:
        table, channel = arithmetic.pixel_codes(network), np.arange(network.input.channels)
        return np.ascontiguousarray(table[channel, images])
    real = images if form is None else form.normalised(images)
    steps = np.rint(real / np.float32(network.input.scale))  # as QuantizeLinear does, in float32
    return np.asarray(np.clip(steps + network.input.zero_point, -128, 127), np.int8)


def to_int8(images: UInt8) -> Int8:
    return (images.astype(np.int16) - 128).astype(np.int8)


def random_images(count: int, shape: tuple[int, int, int]) -> UInt8:
    """Drawn images for networks that bring none: smooth blobs and noise, from PCG64, so that
    both flat and busy places occur. uint8 count x H x W x C."""
    height, width, channels = shape
    bits = np.random.Generator(np.random.PCG64(RANDOM_IMAGES_SEED))
    made = np.empty((count, height, width, channels), np.uint8)
    rows = np.arange(height) * 7 // height
    columns = np.arange(width) * 7 // width
    for index in range(count):
        coarse = bits.integers(0, 256, (7, 7, channels), np.int64)
        noise = bits.integers(-40, 41, (height, width, channels), np.int64)
        made[index] = np.clip(coarse[rows][:, columns] + noise, 0, 255)
    return made
