"""What holds for every integer network, whatever pass made it.

It runs after each pass, like the verifiers of other compilers, so that a fault shows in the pass
that made it. A `BrokenNetwork` names the pass and the layer, what was found and what is wanted.
"""

from __future__ import annotations

import math

import numpy as np

from mbn.core.constants import Float32, Int32, WeightedConstants
from mbn.core.errors import BrokenNetwork
from mbn.core.network import Layer, Network, Op, Tensor, out_size


def verify(network: Network, after: str, *, constants: bool = False) -> Network:
    """Checks tensors, layers and stages. `constants`: every layer must have its derived integers.
    Raises BrokenNetwork; returns the network, so that a pass's result can be wrapped."""
    _Verifier(network, after).run(constants=constants)
    return network


class _Verifier:
    def __init__(self, network: Network, after: str) -> None:
        self.network, self.after = network, after

    def fail(self, where: str, found: str, wanted: str) -> BrokenNetwork:
        return BrokenNetwork(f"{found}, after {self.after}", node=where, wanted=wanted)

    def run(self, *, constants: bool) -> None:
        self._tensors()
        known = {self.network.input.name}
        for layer in self.network.layers:
            self._order(layer, known)
            self._window(layer)
            if layer.weights is not None:
                self._weights(layer)
            if constants:
                self._constants(layer)
            known.add(layer.output)
        for name in self.network.results:
            if name not in known:
                raise self.fail(f"result {name}", "nothing makes it", "the output of a layer")
        self._detector()
        self._stages()

    def _detector(self) -> None:
        detector = self.network.detector
        shapes = [out.shape for out in self.network.outputs]
        if detector is not None and (found := detector.problem(shapes)):
            raise self.fail("detector", *found)

    def _tensors(self) -> None:
        names = [tensor.name for tensor in self.network.tensors]
        if len(set(names)) < len(names):
            raise self.fail("tensors", "two have one name", "different names")
        for tensor in self.network.tensors:
            where = f"tensor {tensor.name}"
            if min(tensor.shape) < 1:
                raise self.fail(where, f"shape {tensor.shape_text}", "at least 1x1x1")
            if not (math.isfinite(tensor.scale) and tensor.scale > 0):
                raise self.fail(where, f"scale {tensor.scale}", "a finite one above zero")
            if not -128 <= tensor.zero_point <= 127:
                raise self.fail(where, f"zero point {tensor.zero_point}", "-128 to 127")

    def _order(self, layer: Layer, known: set[str]) -> None:
        for name in layer.inputs:
            if name not in known:
                raise self.fail(
                    f"layer {layer.name}", f"it reads {name}", "the image or an earlier output"
                )
        if layer.output in known:
            raise self.fail(f"layer {layer.name}", f"it makes {layer.output} again", "a new one")

    def _window(self, layer: Layer) -> None:
        """The output's size follows from input, kernel, stride and padding."""
        source, out = self.network.tensor(layer.input), self.network.tensor(layer.output)
        where = f"layer {layer.name}"
        low, high = layer.clamp
        if low is not None and high is not None and low > high:
            raise self.fail(where, f"clamp {layer.clamp}", "its lower bound first")
        if layer.op in (Op.ADD, Op.PRODUCT):
            self._pair(layer, source, out)
            return
        if layer.op in (Op.MOVE, Op.RESIZE):
            self._moved(layer, source, out)
            return
        if layer.op is Op.TABLE and (
            layer.expression is None
            or not layer.expression.is_sound
            or layer.expression.channels not in (1, out.channels)
        ):
            raise self.fail(where, "no sound expression", "one, for all channels or each")
        if layer.op is Op.DENSE:
            size = (1, 1)
        else:
            top, left, bottom, right = layer.pads
            size = (
                out_size(source.height, layer.kernel[0], layer.stride[0], top, bottom),
                out_size(source.width, layer.kernel[1], layer.stride[1], left, right),
            )
        if (out.height, out.width) != size:
            raise self.fail(where, f"its output is {out.shape_text}", f"{size[0]}x{size[1]}")
        if layer.weights is None and out.channels != source.channels:
            raise self.fail(where, f"{out.channels} channels", f"{source.channels}, as it reads")

    def _pair(self, layer: Layer, source: Tensor, out: Tensor) -> None:
        """Two maps of the output's shape; the second may be one pixel."""
        shapes = [self.network.tensor(name).shape for name in layer.others]
        wanted = {out.shape, (1, 1, out.channels)}
        if len(shapes) != 1 or source.shape != out.shape or shapes[0] not in wanted:
            found = f"shapes {sorted({source.shape, *shapes, out.shape})}"
            raise self.fail(f"layer {layer.name}", found, "two inputs, all of one shape")

    def _moved(self, layer: Layer, source: Tensor, out: Tensor) -> None:
        """Whole steps of the window, and taps that name maps and channels that are there."""
        where, up = f"layer {layer.name}", layer.up
        if out.height % up[0] or out.width % up[1] or min(up) < 1:
            raise self.fail(where, f"{out.shape_text} by {up}", "whole steps")
        if layer.moves is None:
            sizes = (source.height * up[0], source.width * up[1], source.channels)
            if out.shape != sizes:
                raise self.fail(where, f"its output is {out.shape_text}", f"{sizes}")
            return
        taps = layer.moves.taps
        if taps.dtype != np.int32 or taps.shape != (*up, out.channels, 4):
            raise self.fail(where, f"taps {taps.dtype}{taps.shape}", f"{(*up, out.channels, 4)}")
        read = taps.reshape(-1, 4)[taps.reshape(-1, 4)[:, 0] >= 0]
        counts = np.array([self.network.tensor(name).channels for name in layer.inputs])
        limits = np.array([len(counts), counts.max(), *layer.kernel])
        if (read < 0).any() or (read >= limits).any() or (read[:, 1] >= counts[read[:, 0]]).any():
            raise self.fail(where, "taps outside of what it reads", "channels and rows of its maps")

    def _weights(self, layer: Layer) -> None:
        source, out = self.network.tensor(layer.input), self.network.tensor(layer.output)
        where, weights = f"layer {layer.name}", layer.weights
        assert weights is not None
        wanted = _weights_shape(layer, source, out)
        if weights.dtype != np.int8 or weights.shape != wanted:
            raise self.fail(where, f"weights {weights.dtype}{weights.shape}", f"int8{wanted}")
        if layer.weight_scales is None or layer.bias is None:
            raise self.fail(where, "no scales or biases", f"{out.channels} of each")
        for what, values, dtype in (
            ("weight scales", layer.weight_scales, np.float32),
            ("biases", layer.bias, np.int32),
        ):
            self._vector(where, what, values, dtype, out.channels)
        if not (np.isfinite(layer.weight_scales).all() and (layer.weight_scales > 0).all()):
            raise self.fail(where, "a weight scale that is not a positive number", "all above zero")

    def _vector(
        self, where: str, what: str, values: Float32 | Int32, dtype: type, count: int
    ) -> None:
        if values.dtype != dtype or values.shape != (count,):
            found = f"{what} {values.dtype}{values.shape}"
            raise self.fail(where, found, f"{dtype.__name__}({count},)")

    def _constants(self, layer: Layer) -> None:
        where, out = f"layer {layer.name}", self.network.tensor(layer.output)
        if layer.op is Op.ADD:
            if layer.addition is None:
                raise self.fail(where, "no derived integers", "those of an addition")
            return
        constants = layer.constants
        if constants is None:
            raise self.fail(where, "no derived integers", "those of its rounding")
        if not -128 <= constants.low <= constants.high <= 127:
            found = f"a clamp to {constants.low} .. {constants.high}"
            raise self.fail(where, found, "codes of int8, the lower first")
        if isinstance(constants, WeightedConstants) and layer.weights is not None:
            if constants.weights.shape != layer.weights.shape:
                found = f"derived weights {constants.weights.shape}"
                raise self.fail(where, found, f"{layer.weights.shape}, as the layer's own")
            for what in ("bias", "doubled", "offset"):
                self._vector(where, what, getattr(constants, what), np.int32, out.channels)

    def _stages(self) -> None:
        covered = [index for stage in self.network.stages for index in stage.layers]
        if covered != list(range(len(self.network.layers))):
            raise self.fail("stages", f"they cover layers {covered}", "each once, in order")


def _weights_shape(layer: Layer, source: Tensor, out: Tensor) -> tuple[int, ...]:
    if layer.op is Op.DENSE:
        return (out.channels, 1, 1, source.size_bytes)
    if layer.op is Op.DEPTHWISE:
        return (out.channels, *layer.kernel, 1)
    return (out.channels, *layer.kernel, source.channels // layer.groups)
