"""The integer network against ONNX Runtime on the same QDQ graph, or LiteRT on the same file.

What enters: an ONNX or .tflite file and int8 images. What leaves: for each layer, on the very maps
that the other side computes, how far the exact reference is from its result; and how often both
whole networks rank the same class first. Always holds: ONNX Runtime runs with all optimisations
off, so that it computes what the graph says; where a layer's factor M is at most 2 no value may
differ by more than 1 (ARITHMETIC: the two round real numbers at different places). Top-1 counts as
short of what is wanted only where the images show it: few images can't tell 99.5 % from a little
less. Of LiteRT, which runs its reference kernels beside rounding `tflite`, every bit is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn import arithmetic
from mbn.core.errors import ModelError
from mbn.core.network import Layer, Network, Op, Tensor
from mbn.core.options import Rounding
from mbn.exact import Reference
from mbn.jobs.lower.inputs import fed_to, form_of
from mbn.jobs.lower.litert import LitertMaps
from mbn.jobs.lower.runtime import session_of
from mbn.passes.frontend import Lowered, lower_graph, onnx_file

Int8 = NDArray[np.int8]
LARGEST_FACTOR = 2.0  # above it a difference of 1 in an accumulator may be more than 1 in a result
LAYER_IMAGES = 20
BATCH = 8
TOP1_WANTED = 99.5
ONNXRUNTIME, LITERT = "onnxruntime", "litert"
CHANCE = 0.05  # a count less likely than this under TOP1_WANTED shows that it isn't reached


@dataclass
class LayerAgreement:
    """One layer's differences over all images."""

    layer: Layer
    factor: float  # its largest M
    values: int = 0
    exact: int = 0
    largest: int = 0
    signal: float = 0.0  # sums of squares of stored values less their zero point
    noise: float = 0.0

    @property
    def holds(self) -> bool:
        return self.largest <= 1 or self.factor > LARGEST_FACTOR

    @property
    def snr_db(self) -> float | None:
        """None: no difference at all, or no signal."""
        if self.noise == 0 or self.signal == 0:
            return None
        return float(10 * np.log10(self.signal / self.noise))

    def take(self, got: Int8, wanted: Int8, zero_point: int) -> None:
        difference = got.astype(np.int64) - wanted.astype(np.int64)
        self.values += difference.size
        self.exact += int((difference == 0).sum())
        self.largest = max(self.largest, int(np.abs(difference).max(initial=0)))
        self.signal += float(((wanted.astype(np.int64) - zero_point) ** 2).sum())
        self.noise += float((difference**2).sum())


@dataclass(frozen=True)
class Agreement:
    """What a comparison found."""

    layers: tuple[LayerAgreement, ...]
    images: int
    same_top1: int
    same_outputs: int = 0  # images of which all results are equal in every bit
    every_bit: bool = False  # whether that is wanted

    @property
    def top1_percent(self) -> float:
        return 100 * self.same_top1 / self.images

    @property
    def top1_chance(self) -> float:
        """How likely so few equal ones are where TOP1_WANTED is just reached."""
        return at_most(self.same_top1, self.images, TOP1_WANTED / 100)

    @property
    def layers_hold(self) -> bool:
        return all(map(self.holds_of, self.layers))

    def holds_of(self, layer: LayerAgreement) -> bool:
        """Whether a layer agrees as it is wanted."""
        return layer.largest == 0 if self.every_bit else layer.holds

    @property
    def top1_holds(self) -> bool:
        """Whether the one-sided 95 % upper bound of the agreement reaches TOP1_WANTED."""
        return self.top1_chance >= CHANCE

    @property
    def holds(self) -> bool:
        if self.every_bit:
            return self.layers_hold and self.same_outputs == self.images
        return self.layers_hold and self.top1_holds

    @property
    def judgement(self) -> str:
        """What was judged, in words."""
        if self.every_bit:
            return self._judged_by_bits()
        if self.top1_percent >= TOP1_WANTED:
            top1 = f"top-1 reaches {TOP1_WANTED} %"
        elif self.top1_holds:
            top1 = (
                f"top-1 is not shown to be below {TOP1_WANTED} %: with it, {self.images} images "
                f"give so few equal ones with a chance of {100 * self.top1_chance:.1f} %"
            )
        else:
            top1 = (
                f"top-1 is below {TOP1_WANTED} %: with it, {self.images} images give so few equal "
                f"ones with a chance of {100 * self.top1_chance:.2g} %, wanted: at least "
                f"{100 * CHANCE:.0f} %"
            )
        apart = [one.layer.name for one in self.layers if not one.holds]
        layers = "no layer is more than 1 apart where M is at most 2"
        return f"{top1}; " + (f"more than 1 apart: {', '.join(apart)}" if apart else layers)

    def _judged_by_bits(self) -> str:
        differ = [one.layer.name for one in self.layers if one.largest]
        layers = f"layers that differ: {', '.join(differ)}" if differ else "no layer differs"
        return f"all bits of the results are equal on {self.same_outputs}; {layers}"


def at_most(count: int, trials: int, share: float) -> float:
    """The chance of at most `count` successes in `trials` of chance `share` each."""
    more = (
        math.exp(
            math.log(math.comb(trials, failed))
            + failed * math.log1p(-share)
            + (trials - failed) * math.log(share)
        )
        for failed in range(trials - count)
    )
    return max(0.0, 1.0 - math.fsum(more))


class OrtMaps:
    """ONNX Runtime on a QDQ graph, with every layer's quantised result as an output.

    A layer that the file has no QuantizeLinear for (a change of scale in front of a concatenation,
    moved values, the mean of a sum) is computed by the reference: it has no counterpart."""

    def __init__(
        self,
        path: Path,
        lowered: Lowered,
        reference: Reference,
        input_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.lowered, self.reference = lowered, reference
        self.form = form_of(path, lowered.graph, lowered.normalisation, input_shape)
        model = onnx_file.stored(path)
        stored = {name for node in model.graph.node for name in node.output}
        self.ends = {name: one for name, one in lowered.ends.items() if one.codes in stored}
        codes = [one.codes for one in self.ends.values()]
        if not codes:
            raise ModelError(
                "which QuantizeLinear ends a layer is not known",
                wanted="one for each layer",
            )
        self.session = session_of(model, codes, path, optimised=False)
        self.input = self.session.get_inputs()[0].name

    def run(self, image: Int8) -> dict[str, Int8]:
        """Every tensor of the network by name, height x width x channel, for one image."""
        network = self.lowered.network
        fed = fed_to(self.session, image[None], network.input, self.form)
        found = dict(
            zip(
                (output.name for output in self.session.get_outputs()),
                self.session.run(None, {self.input: fed}),
                strict=True,
            )
        )
        maps = {network.input.name: image}
        for layer in network.layers:
            tensor, end = network.tensor(layer.output), self.ends.get(layer.name)
            if end is None:
                read = {name: maps[name][None] for name in layer.inputs}
                maps[tensor.name] = self.reference.made(layer, read)[0]
            else:
                codes = found[end.codes]
                maps[tensor.name] = _canonical(codes, tensor, channels_last=end.channels_last)
        return maps


def _canonical(codes: NDArray[Any], tensor: Tensor, *, channels_last: bool) -> Int8:
    if codes.dtype == np.uint8:
        codes = codes.astype(np.int16) - 128
    chw = (tensor.channels, tensor.height, tensor.width)
    if channels_last:
        return codes.reshape(tensor.shape).astype(np.int8)
    return np.ascontiguousarray(codes.reshape(chw).transpose(1, 2, 0)).astype(np.int8)


def largest_factor(network: Network, layer: Layer) -> float:
    """The largest M of a layer; 1 where no value may be more than 1 apart."""
    if layer.op in (Op.TABLE, Op.MOVE, Op.MAX_POOL, Op.RESIZE):
        return 1.0
    out = network.tensor(layer.output).scale
    scales = [network.tensor(name).scale / out for name in layer.inputs]
    if layer.weight_scales is not None:
        return float(scales[0] * layer.weight_scales.max())
    if layer.op is Op.PRODUCT:
        return scales[0] * network.tensor(layer.others[0]).scale
    return max(scales) / (layer.kernel[0] * layer.kernel[1])


def compare(
    path: Path,
    images: Int8,
    *,
    layer_images: int = LAYER_IMAGES,
    against: str = ONNXRUNTIME,
    input_shape: tuple[int, ...] | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Agreement:
    """Compares on `images` (N x height x width x channel); layer by layer on the first
    `layer_images` of them. `against`: "onnxruntime", or "litert" for a .tflite file, in rounding
    `tflite`. Raises ToolError where LiteRT is not installed."""
    bits = against == LITERT
    rounding = Rounding.TFLITE if bits else Rounding.SINGLE
    lowered = lower_graph(path, path.stem, rounding=rounding, input_shape=input_shape)
    network = lowered.network
    arithmetic.derive_all(network)  # refuses what the rounding has no integers for, by name
    reference = Reference(network)
    runtime = LitertMaps(path, lowered) if bits else OrtMaps(path, lowered, reference, input_shape)
    layers = [
        LayerAgreement(one, largest_factor(network, one))
        for one in network.layers
        if bits or one.name in lowered.ends
    ]
    same = equal = 0
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        ours = reference.run(batch)
        for number, image in enumerate(batch, start):
            maps = runtime.run(image)
            if number < layer_images:
                for found in layers:
                    _take(reference, found, maps)
            theirs = np.concatenate([maps[out.name].reshape(-1) for out in network.outputs])
            mine = ours[number - start]
            same += int(mine.argmax() == theirs.argmax())
            equal += int(np.array_equal(mine, theirs))
        progress(start + len(batch))
    return Agreement(tuple(layers), len(images), same, equal, every_bit=bits)


def _take(reference: Reference, found: LayerAgreement, maps: Mapping[str, Int8]) -> None:
    layer = found.layer
    got = reference.made(layer, {name: maps[name][None] for name in layer.inputs})[0]
    zero_point = reference.network.tensor(layer.output).zero_point
    found.take(got, maps[layer.output], zero_point)
