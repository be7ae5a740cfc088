"""Drawn networks of what lies between convolutions, for fuzzing the whole way to C.

What enters: a seed. What leaves: a `Network` with tables, products, max pools, moves, resizes and
grouped convolutions, in any order. Always holds: equal seeds give equal networks; a move is made
from a NumPy expression over numbers of values, as the frontend makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

import networks
from mbn.core.expression import Element, Expression, Kind, Step
from mbn.core.network import Layer, Network, Op, Sampling, Tensor
from mbn.core.options import Rounding
from mbn.exact import Reference
from mbn.passes.frontend.layers import move_layer
from mbn.passes.frontend.movement import Moved, constant_ids, plain_ids
from mbn.passes.frontend.stages import group_stages
from networks import Spec

Int8 = NDArray[np.int8]
Ids = NDArray[np.int64]
MOST_VALUES = 12_000  # of a map: larger ones are not made


def hard_swish() -> Expression:
    """x * clip(x + 3, 0, 6) / 6."""
    constants = tuple(np.array([one], np.float32) for one in (3, 0, 6))
    steps = (
        Step(Element.ADD, (0, 1)),
        Step(Element.MAX, (4, 2)),
        Step(Element.MIN, (5, 3)),
        Step(Element.DIV, (6, 3)),
        Step(Element.MUL, (0, 7)),
    )
    return Expression(constants, steps, Kind.HARD_SWISH)


def sigmoid() -> Expression:
    return Expression((), (Step(Element.SIGMOID, (0,)),), Kind.LOGISTIC)


def leaky(slope: float) -> Expression:
    constant = np.array([slope], np.float32)
    return Expression((constant,), (Step(Element.PRELU, (0, 1)),), Kind.LEAKY_RELU)


def prelu(slopes: NDArray[np.float32], scale: float) -> Expression:
    """`scale`: of the slopes' codes."""
    constants = (slopes, np.array([scale], np.float32))
    return Expression(constants, (Step(Element.PRELU, (0, 1)),), Kind.PRELU)


def relu6() -> Expression:
    constants = tuple(np.array([one], np.float32) for one in (0, 6))
    return Expression(constants, (Step(Element.MAX, (0, 1)), Step(Element.MIN, (3, 2))), Kind.RELU)


def with_constant(element: Element, values: NDArray[np.float32], scale: float) -> Expression:
    """A sum, difference or product with codes of `scale`, and a clamp at 0."""
    constants = (values, np.zeros(1, np.float32), np.array([scale], np.float32))
    steps = (Step(element, (0, 1)), Step(Element.MAX, (4, 2)))
    return Expression(constants, steps, Kind(element.value))


def affine(gain: NDArray[np.float32], shift: NDArray[np.float32]) -> Expression:
    steps = (Step(Element.MUL, (0, 1)), Step(Element.ADD, (3, 2)))
    return Expression((gain, shift), steps, Kind.OTHER)


@dataclass
class Draw:
    """Adds layers one by one; the last tensor is the current one."""

    rng: np.random.Generator
    tflite: bool = False
    tensors: list[Tensor] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    maps: list[Int8] = field(default_factory=list)

    def image(self, height: int, width: int, channels: int) -> None:
        self.tensors.append(Tensor("image", height, width, channels, float(np.float32(0.02)), -3))
        self.maps.append(self.rng.integers(-128, 128, (3, height, width, channels), np.int8))

    @property
    def last(self) -> Tensor:
        return self.tensors[-1]

    def scale(self) -> float:
        return float(np.float32(self.rng.choice((0.004, 0.02, 0.05, 0.11))))

    def zero(self) -> int:
        return int(self.rng.choice((-128, -7, 0, 31, 127)))

    def add(self, layer: Layer, out: Tensor) -> None:
        name = f"{layer.op}_{len(self.layers)}"
        layer = replace(layer, name=name, output=f"{name}:out")
        out = replace(out, name=layer.output)
        rounding = Rounding.TFLITE if self.tflite else Rounding.SINGLE
        known = {name: self.tensors[self.index(name)] for name in layer.inputs}
        small = Network("", (*known.values(), out), (layer,), (), rounding=rounding)
        read = {name: self.maps[self.index(name)] for name in layer.inputs}
        self.layers.append(layer)
        self.tensors.append(out)
        self.maps.append(Reference(small).made(layer, read))

    def index(self, name: str) -> int:
        return next(at for at, one in enumerate(self.tensors) if one.name == name)

    def bare(self, op: Op, source: Tensor, *others: str) -> Layer:
        none = (None, None)
        return Layer("", op, source.name, "", (1, 1), (1, 1), (0, 0, 0, 0), none, others=others)

    # -- operators -------------------------------------------------------------------------------

    def convolution(self) -> None:
        kernel = int(self.rng.choice((1, 1, 3)))
        channels = int(self.rng.choice((2, 4, 6, 8, 12)))
        spec = replace(networks.conv(channels, kernel), scale=self.scale(), zero_point=self.zero())
        self.layer(spec)

    def layer(self, spec: Spec, groups: int = 1) -> None:
        number = len(self.layers)
        layer, out, _ = networks._layer(self.rng, spec, self.last, number, self.maps[-1])
        if groups > 1:
            assert layer.weights is not None
            fewer = layer.weights[..., : self.last.channels // groups]
            layer = replace(layer, weights=np.ascontiguousarray(fewer), groups=groups)
        self.add(layer, out)

    def depthwise(self) -> None:
        kernel = int(self.rng.choice((3, 3, 5)))
        self.layer(replace(networks.depthwise(kernel=kernel), scale=self.scale()))

    def grouped(self) -> None:
        divisors = [g for g in (2, 3, 4) if self.last.channels % g == 0]
        groups = int(self.rng.choice(divisors)) if divisors else 1
        spec = networks.conv(
            groups * int(self.rng.choice((1, 2, 3))), 3, int(self.rng.choice((1, 2)))
        )
        self.layer(replace(spec, scale=self.scale()), groups)

    def table(self) -> None:
        count = self.last.channels
        slopes = self.rng.integers(-60, 128, count).astype(np.float32) * np.float32(0.01)
        expressions = [hard_swish(), sigmoid(), leaky(0.1), Expression(), prelu(slopes, 0.01)]
        if not self.tflite:
            gain = self.rng.uniform(-2, 2, count).astype(np.float32)
            expressions.append(affine(gain, self.rng.uniform(-1, 1, count).astype(np.float32)))
        element = (Element.ADD, Element.SUB, Element.MUL)[self.rng.integers(3)]
        expressions += [relu6(), with_constant(element, slopes, 0.01)]
        expression = expressions[self.rng.integers(len(expressions))]
        out = replace(self.last, scale=self.scale(), zero_point=self.zero())
        too_fine = self.last.scale >= 100 * out.scale  # of results, for these two
        if self.tflite and too_fine and expression.kind not in (Kind.LOGISTIC, Kind.QUANTIZE):
            expression = sigmoid()
        self.add(replace(self.bare(Op.TABLE, self.last), expression=expression), out)

    def product(self) -> None:
        source = self.last
        fitting = [one for one in self.tensors if one.shape == source.shape]
        other = fitting[self.rng.integers(len(fitting))]
        clamp = (None, None) if self.rng.random() < 0.5 else (0.0, None)
        factor = self.rng.choice((1e-8, 0.002, 0.03, 0.6, 40))  # M
        scale = float(np.float32(source.scale * other.scale / factor))
        layer = replace(self.bare(Op.PRODUCT, source, other.name), clamp=clamp)
        self.add(layer, replace(source, scale=scale, zero_point=self.zero()))

    def gate(self) -> None:
        """Squeeze and excite."""
        source = self.last
        layer = replace(self.bare(Op.POOL, source), kernel=(source.height, source.width))
        scale = source.scale if self.tflite else float(np.float32(source.scale * 0.5))
        zero = source.zero_point if self.tflite else 5
        self.add(layer, Tensor("", 1, 1, source.channels, scale, zero))
        self.layer(replace(networks.conv(source.channels), scale=0.02, zero_point=0))
        self.add(
            replace(self.bare(Op.TABLE, self.last), expression=sigmoid()),
            replace(self.last, scale=1 / 256, zero_point=-128),
        )
        self.add(self.bare(Op.PRODUCT, source, self.last.name), replace(source, zero_point=3))

    def addition(self) -> None:
        source = self.last
        fitting = [one for one in self.tensors if one.shape == source.shape]
        other = fitting[self.rng.integers(len(fitting))]
        scale = float(np.float32(source.scale + other.scale))
        self.add(self.bare(Op.ADD, source, other.name), replace(source, scale=scale))

    def max_pool(self) -> None:
        source = self.last
        size = int(self.rng.choice((2, 3)))
        kernel = (min(size, source.height), min(size, source.width))
        stride = int(self.rng.choice((1, 2)))
        pads = (0, 0, 0, 0)
        if self.rng.random() < 0.5:
            pads = (kernel[0] // 2, kernel[1] // 2, kernel[0] - 1, kernel[1] - 1)
        height = (source.height + pads[0] + pads[2] - kernel[0]) // stride + 1
        width = (source.width + pads[1] + pads[3] - kernel[1]) // stride + 1
        layer = replace(
            self.bare(Op.MAX_POOL, source), kernel=kernel, stride=(stride, stride), pads=pads
        )
        self.add(layer, replace(source, height=height, width=width))

    def resize(self) -> None:
        source = self.last
        factor = (int(self.rng.choice((1, 2, 4))), int(self.rng.choice((2, 4))))
        if source.size_bytes * factor[0] * factor[1] > MOST_VALUES:
            return
        half = self.rng.random() < 0.5
        taps = [1 if up == 1 else 3 if half else 2 for up in factor]
        pads = [1 if up > 1 and half else 0 for up in factor]
        behind = [1 if up > 1 else 0 for up in factor]
        layer = replace(
            self.bare(Op.RESIZE, source),
            factor=factor,
            kernel=(taps[0], taps[1]),
            pads=(pads[0], pads[1], behind[0], behind[1]),
            sampling=Sampling.HALF_PIXEL if half else Sampling.ASYMMETRIC,
        )
        sizes = (source.height * factor[0], source.width * factor[1])
        self.add(layer, replace(source, height=sizes[0], width=sizes[1]))

    def move(self) -> None:
        makers: list[Callable[[Ids], Ids]] = [
            lambda ids: ids[:, :, : max(1, ids.shape[2] // 2)],
            lambda ids: ids[:, :, ::2],
            lambda ids: ids[:, :, ::-1],
            lambda ids: ids[:, :, self.rng.permutation(ids.shape[2])],
            lambda ids: ids[1:, :-1] if min(ids.shape[:2]) > 2 else ids[..., :1],
            lambda ids: np.repeat(np.repeat(ids, 2, 0), 2, 1),
            lambda ids: np.pad(
                ids, ((1, 0), (2, 1), (0, 1)), constant_values=constant_ids(np.array(9))
            ),
            _space_to_depth,
            _depth_to_space,
        ]
        made = makers[self.rng.integers(len(makers))](plain_ids(self.last))
        self.moved((self.last,), made)

    def joined(self) -> None:
        """A concatenation of two or three maps of one size."""
        source = self.last
        fitting = [
            one
            for one in self.tensors[:-1]
            if one.shape[:2] == source.shape[:2]
            and (one.scale, one.zero_point) == (source.scale, source.zero_point)
        ]
        sources = (source, *fitting[: int(self.rng.integers(1, 3))])
        ids = np.concatenate([plain_ids(one, at) for at, one in enumerate(sources)], axis=2)
        if self.rng.random() < 0.5:
            ids = ids[:, :, self.rng.permutation(ids.shape[2])]
        self.moved(sources, ids)

    def moved(self, sources: tuple[Tensor, ...], ids: Ids) -> None:
        """The layer, and that it gives what the numbers say."""
        if ids.size > MOST_VALUES or ids.size == 0:
            return
        made = move_layer("moved", Moved(sources, ids[None]), channels_last=True)
        assert made is not None
        layer, out = made
        self.add(layer, out)
        flat = np.stack([self.maps[self.index(one.name)][0].reshape(-1)[:1] for one in sources])
        assert flat.size
        wanted = np.where(ids < 0, -1 - ids - 128, 0)
        for number, one in enumerate(sources):
            values = self.maps[self.index(one.name)][0].reshape(-1)
            here = (ids >= 0) & (ids >> 22 == number)
            wanted[here] = values[ids[here] & (2**22 - 1)]
        assert np.array_equal(self.maps[-1][0], wanted)


def _space_to_depth(ids: Ids) -> Ids:
    height, width, channels = ids.shape
    if height % 2 or width % 2:
        return ids[..., :1]
    parts = ids.reshape(height // 2, 2, width // 2, 2, channels).transpose(0, 2, 1, 3, 4)
    return parts.reshape(height // 2, width // 2, 4 * channels)


def _depth_to_space(ids: Ids) -> Ids:
    height, width, channels = ids.shape
    if channels % 4:
        return ids[..., :1]
    parts = ids.reshape(height, width, 2, 2, channels // 4).transpose(0, 2, 1, 3, 4)
    return parts.reshape(2 * height, 2 * width, channels // 4)


def draw_between(seed: int, *, tflite: bool = False) -> Network:
    """A network of ten to fifteen layers."""
    rng = np.random.default_rng(seed)
    d = Draw(rng, tflite)
    d.image(int(rng.integers(4, 11)), int(rng.integers(4, 11)), int(rng.choice((1, 3, 4))))
    every = [d.table, d.product, d.gate, d.addition, d.max_pool, d.resize, d.move, d.joined]
    every += [d.convolution, d.depthwise, d.grouped]
    if rng.random() < 0.7:
        d.convolution()
    for _ in range(int(rng.integers(8, 13))):
        every[rng.integers(len(every))]()
    if tflite and rng.random() < 0.3:
        d.layer(replace(networks.conv(3), clamp=(None, None), zero_point=-20))
        d.add(d.bare(Op.SOFTMAX, d.last), replace(d.last, scale=1 / 256, zero_point=-128))
    else:
        d.layer(replace(networks.conv(5), op=Op.DENSE))
    rounding = Rounding.TFLITE if tflite else Rounding.SINGLE
    network = Network(f"between{seed}", tuple(d.tensors), tuple(d.layers), (), rounding=rounding)
    return group_stages(_without_unread(network))


def _without_unread(network: Network) -> Network:
    """Layers whose results nothing reads are left out: only the last one is the result."""
    needed, layers = {network.layers[-1].output}, []
    for layer in reversed(network.layers):
        if layer.output in needed:
            needed.update(layer.inputs)
            layers.append(layer)
    kept = tuple(one for one in network.tensors if one.name in needed or one is network.input)
    return replace(network, layers=tuple(reversed(layers)), tensors=kept)
