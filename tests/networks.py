"""Drawn integer networks, for fuzzing the whole way from `Network` to C.

What enters: a seed, or a list of `Spec`. What leaves: `Network` values with stages, and images
for them. Always holds: equal seeds give equal networks; a drawn network has no channel that could
leave int32, so every one must compile; drawn are the corners of what the frontend admits: kernels
1 to 7, strides 1 to 3, symmetric, TensorFlow-style and lopsided padding, one channel, odd
channels, maps one pixel wide, weights all -128 or 127, dead channels, shifts above 0. (Structure
comes from the seed and not from hypothesis, whose mutated examples are too much alike when a dozen
must do.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mbn.core.network import Layer, Network, Op, Tensor, out_size
from mbn.exact import Reference
from mbn.passes.frontend.stages import group_stages

Int8 = NDArray[np.int8]
Item = TypeVar("Item")
LIMIT = 2**31 - 1
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33)
CLAMPS = ((0.0, 6.0), (0.0, None), (None, None), (-1.0, 1.5))


@dataclass(frozen=True)
class Spec:
    """One layer's structure; pads and kernel are fitted to the map that it meets."""

    op: Op
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: str = "valid"  # valid, same (symmetric), tensorflow, lopsided
    channels: int = 4  # of the output; depthwise: the multiplier; add: which earlier map
    clamp: tuple[float | None, float | None] = (None, None)
    weights: str = "random"  # random, low (-128), high (127), small (-2 .. 2), zero
    factors: str = "fit"  # fit, shift (M >= 1/2), dead (some M < 2^-20), mixed
    bias: str = "random"  # random, large, none
    zero_point: int = 0  # of the output
    scale: float = 0.05  # of the output


def conv(channels: int, kernel: int = 1, stride: int = 1, padding: str = "same") -> Spec:
    """A square convolution with ReLU6, for networks written by hand."""
    return Spec(
        Op.CONV,
        (kernel, kernel),
        (stride, stride),
        padding,
        channels,
        clamp=(0.0, 6.0),
        zero_point=-128,
        scale=6 / 255,
    )


def depthwise(stride: int = 1, padding: str = "same", kernel: int = 3) -> Spec:
    """A depthwise layer with ReLU6."""
    return replace(conv(1, kernel, stride, padding), op=Op.DEPTHWISE)


def mobile() -> list[Spec]:
    """A MobileNet in small: stem, two blocks (the second of stride 2), pool, dense."""
    return [
        conv(5, 3, 2, "tensorflow"),
        depthwise(),
        conv(8),
        depthwise(2, "tensorflow"),
        conv(7),
        Spec(Op.POOL, (99, 99), zero_point=-128, scale=0.05),
        Spec(Op.DENSE, channels=3, zero_point=4),
    ]


def _pad(size: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """(before, after); enough that the window fits."""
    if padding == "same":
        before, after = kernel // 2, kernel // 2
    elif padding == "tensorflow":
        total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        before, after = total // 2, total - total // 2
    elif padding == "lopsided":
        before, after = kernel - 1, 0
    else:
        before, after = 0, 0
    missing = max(0, kernel - size - before - after)
    after = min(kernel - 1, after + missing)
    before = max(before, kernel - size - after)
    return before, after


def _weights(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Int8:
    if kind in ("low", "high"):
        return np.full(shape, -128 if kind == "low" else 127, np.int8)
    if kind == "ends":  # two neighbours add up to 255 at most, as couples.py wants
        drawn = rng.choice(np.array([-127, 127], np.int8), shape)
        drawn[..., ::2] = np.where(drawn[..., ::2] < 0, -128, 127)
        return drawn
    low, high = (-2, 3) if kind == "small" else (-128, 128)
    drawn = rng.integers(low, high, shape).astype(np.int8)
    if kind == "zero":
        drawn[:: 2 if len(drawn) > 1 else 1] = 0
    return drawn


def _sums(layer: Layer, weights: Int8, zero_in: int, maps: Int8) -> NDArray[np.float64]:
    """Means and deviations over positions and images of sum(w * (x - zero point)): 2 x N."""
    if layer.op is Op.DENSE:
        maps = maps.reshape(len(maps), 1, 1, -1)
    top, left, bottom, right = layer.pads
    shifted = maps.astype(np.float64) - zero_in
    padded = np.pad(shifted, ((0, 0), (top, bottom), (left, right), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, layer.kernel, axis=(1, 2))
    views = views[:, :: layer.stride[0], :: layer.stride[1]]  # image, y, x, channel, ky, kx
    if layer.op is Op.DEPTHWISE:
        views = np.repeat(views, len(weights) // views.shape[3], axis=3)
        sums = np.einsum("iyxnkl,nkl->iyxn", views, weights[..., 0].astype(np.float64))
    else:
        sums = np.einsum("iyxckl,nklc->iyxn", views, weights.astype(np.float64))
    return np.stack([sums.mean(axis=(0, 1, 2)), sums.std(axis=(0, 1, 2))])


def _factors(
    rng: np.random.Generator, kind: str, deviations: NDArray[np.float64], codes: int
) -> NDArray[np.float64]:
    """M of each channel: what makes its outputs fill `codes` values, or the corner `kind`."""
    fit = np.clip(codes / 4 / np.maximum(deviations, 1), 2.0**-19, 0.49)
    fit *= rng.uniform(0.6, 1, len(fit))
    if kind in ("dead", "mixed"):
        dead = 2.0 ** -rng.uniform(20, 32, len(fit))
        fit = np.where(rng.random(len(fit)) < 0.3, dead, fit)
    if kind in ("shift", "mixed"):
        fit[rng.integers(len(fit))] = rng.uniform(0.5, 3.9)
    return fit


def _shift(factors: NDArray[np.float64]) -> int:
    return max(0, int(np.floor(np.log2(factors.max()))) + 2)


def _room(
    weights: Int8, factors: NDArray[np.float64], zero_in: int, zero_out: int
) -> NDArray[np.float64]:
    """How large each channel's bias may be; negative: even none would be too much."""
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    shift = _shift(factors)
    offset = np.abs(zero_out) * 2.0**shift / np.maximum(factors, 2.0**-20)
    fixed = np.abs(flat).sum(axis=1) * 128 + np.abs(zero_in * flat.sum(axis=1))
    return (0.98 * LIMIT - offset) / 2.0**shift - fixed


def _bias(
    rng: np.random.Generator, kind: str, centre: NDArray[np.float64], room: NDArray[np.float64]
) -> NDArray[np.int32]:
    """What moves each channel's mean to the middle of the output's range, or a corner."""
    if kind == "none":
        return np.zeros(len(room), np.int32)
    if kind == "large":
        large = rng.random(len(room)) < 0.3
        centre = np.where(large, room * rng.choice((-1, 1), len(room)), centre)
    return np.clip(centre, -room, room).astype(np.int32)


def _range(spec: Spec, scale: float) -> tuple[int, int]:
    """The codes that the clamp leaves."""
    low, high = (
        limit if real is None else spec.zero_point + round(real / scale)
        for real, limit in zip(spec.clamp, (-128, 127), strict=True)
    )
    return max(-128, min(127, low)), max(-128, min(127, high))


def _geometry(spec: Spec, source: Tensor) -> Layer:
    """The layer without numbers: window and padding fitted to the map."""
    kernel, stride, pads = spec.kernel, spec.stride, (0, 0, 0, 0)
    if spec.op is Op.POOL:
        kernel = (min(kernel[0], source.height), min(kernel[1], source.width))
    elif spec.op is Op.DENSE:
        kernel, stride = (1, 1), (1, 1)
    else:
        top, bottom = _pad(source.height, kernel[0], stride[0], spec.padding)
        left, right = _pad(source.width, kernel[1], stride[1], spec.padding)
        pads = (top, left, bottom, right)
    return Layer("", spec.op, source.name, "", kernel, stride, pads, spec.clamp)


def _numbers(
    rng: np.random.Generator, spec: Spec, bare: Layer, source: Tensor, maps: Int8
) -> Layer:
    """The layer with weights, scales and biases that suit the maps that reach it."""
    channels = spec.channels * (source.channels if spec.op is Op.DEPTHWISE else 1)
    depths = {Op.DEPTHWISE: 1, Op.CONV: source.channels, Op.DENSE: source.size_bytes}
    weights = _weights(rng, spec.weights, (channels, *bare.kernel, depths[spec.op]))
    scale = float(np.float32(spec.scale))
    low, high = _range(spec, scale)
    means, deviations = _sums(bare, weights, source.zero_point, maps)
    factors = _factors(rng, spec.factors, deviations, high - low + 1)
    room = _room(weights, factors, source.zero_point, spec.zero_point)
    while room.min() < 0:
        factors = np.minimum(factors, factors.max() / 2)
        room = _room(weights, factors, source.zero_point, spec.zero_point)
    middle = ((low + high) / 2 - spec.zero_point) / np.maximum(factors, 2.0**-20)
    return replace(
        bare,
        weights=weights,
        weight_scales=(factors * scale / source.scale).astype(np.float32),
        bias=_bias(rng, spec.bias, middle - means, room),
    )


def _layer(
    rng: np.random.Generator, spec: Spec, source: Tensor, number: int, maps: Int8
) -> tuple[Layer, Tensor, Int8]:
    """One layer, its output tensor, and the reference's maps of it."""
    low, high = _range(spec, spec.scale)
    if high - low < 40 and rng.random() < 0.95:  # else nearly all networks end in a constant
        spec = replace(spec, clamp=(None, None))
    layer = _geometry(spec, source)
    scale, channels = float(np.float32(spec.scale)), source.channels
    if spec.op is Op.POOL:
        scale = float(np.float32(source.scale * spec.scale * 20))
    else:
        layer = _numbers(rng, spec, layer, source, maps)
        assert layer.weights is not None
        channels = len(layer.weights)
    height, width = 1, 1
    if spec.op is not Op.DENSE:
        top, left, bottom, right = layer.pads
        height = out_size(source.height, layer.kernel[0], layer.stride[0], top, bottom)
        width = out_size(source.width, layer.kernel[1], layer.stride[1], left, right)
    name = f"{spec.op}_{number}"
    layer = replace(layer, name=name, output=f"{name}:out")
    out = Tensor(layer.output, height, width, channels, scale, spec.zero_point)
    small = Reference(Network("", (replace(source, name=layer.input), out), (layer,), ()))
    return layer, out, next(small.layers(maps))[1]


def _addition(
    rng: np.random.Generator,
    spec: Spec,
    tensors: Sequence[Tensor],
    number: int,
    maps: Sequence[Int8],
) -> tuple[Layer, Tensor, Int8]:
    """The last map plus an earlier one of its shape (where there is none, plus itself)."""
    source = tensors[-1]
    fitting = [i for i, one in enumerate(tensors[:-1]) if one.shape == source.shape]
    at = fitting[::-1][spec.channels % len(fitting)] if fitting else len(tensors) - 1
    other = tensors[at]
    first, second = (other, source) if rng.random() < 0.5 else (source, other)
    scale = float(np.float32((first.scale + second.scale) * rng.choice((0.5, 0.02, 0.9, 3, 1e-7))))
    name = f"add_{number}"
    layer = Layer(
        name,
        Op.ADD,
        first.name,
        f"{name}:out",
        (1, 1),
        (1, 1),
        (0, 0, 0, 0),
        spec.clamp,
        others=(second.name,),
    )
    out = Tensor(layer.output, *source.shape, scale, spec.zero_point)
    tensors_read = {first.name: first, second.name: second}
    small = Reference(Network("", (*tensors_read.values(), out), (layer,), ()))
    by_name = {other.name: maps[at], source.name: maps[-1]}
    return layer, out, small.made(layer, by_name)


def make_network(
    shape: tuple[int, int, int],
    specs: Sequence[Spec],
    *,
    seed: int = 1,
    zero_point: int = -3,
    scale: float = 0.02,
    fused: bool = True,
    name: str = "drawn",
) -> Network:
    """Layers over an image of `shape` (height, width, channels), each on the one before it; an
    addition reads an earlier map of the same shape besides."""
    rng = np.random.default_rng(seed)
    tensors = [Tensor("image", *shape, float(np.float32(scale)), zero_point)]
    layers = []
    maps = [rng.integers(-128, 128, (4, *shape)).astype(np.int8)]
    for number, spec in enumerate(specs):
        if spec.op is Op.ADD:
            layer, out, made = _addition(rng, spec, tensors, number, maps)
        else:
            layer, out, made = _layer(rng, spec, tensors[-1], number, maps[-1])
        layers.append(layer)
        tensors.append(out)
        maps.append(made)
    network = Network(name, tuple(tensors), tuple(layers), ())
    return group_stages(network, fused=fused)


def describe(network: Network) -> str:
    """One line a layer, for a failing example."""
    rows = [f"input {network.input.shape} zero point {network.input.zero_point}"]
    for layer in network.layers:
        out = network.tensor(layer.output)
        rows.append(
            f"{layer.op} k{layer.kernel} s{layer.stride} p{layer.pads} clamp {layer.clamp} -> "
            f"{out.shape} zero point {out.zero_point} scale {out.scale:.3g}"
        )
    rows.append("stages " + " ".join(str(stage.kind) for stage in network.stages))
    return "\n".join(rows)


def images(network: Network, count: int = 3, seed: int = 5) -> Int8:
    """`count` random images, then all -128, all 127, all zero point, and stripes of extremes."""
    rng = np.random.default_rng(seed)
    shape = network.input.shape
    drawn = [rng.integers(-128, 128, shape).astype(np.int8) for _ in range(count)]
    flat = [np.full(shape, value, np.int8) for value in (-128, 127, network.input.zero_point)]
    stripes = np.where(rng.random(shape) < 0.5, -128, 127).astype(np.int8)
    return np.stack([*drawn, *flat, stripes])


# -- drawing -------------------------------------------------------------------------------------

SCALES = (0.05, 0.05, 6 / 255, 1e-4, 3.7, 17.0)


class _Draw:
    """Choices of structure, from one generator."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, options: Sequence[Item]) -> Item:
        return options[int(self.rng.integers(len(options)))]

    def zero_point(self) -> int:
        return self.one((-128, -128, 127, 0, -1, 13, int(self.rng.integers(-128, 128))))

    def scale(self) -> float:
        return self.one(SCALES)

    def spec(self, op: Op, kernels: Sequence[int], channels: int) -> Spec:
        side = self.one(kernels)
        square = self.rng.random() < 0.8
        return Spec(
            op,
            (side, side if square else self.one(kernels)),
            self.one(((1, 1),) * 9 + ((2, 2),) * 3 + ((1, 2), (2, 1), (3, 3))),
            self.one(("same",) * 4 + ("tensorflow",) * 3 + ("valid", "lopsided")),
            channels,
            self.one(CLAMPS),
            self.one(("random",) * 7 + ("small", "low", "high", "zero")),
            self.one(("fit", "fit", "fit", "shift", "dead", "mixed")),
            self.one(("random", "random", "random", "large", "none")),
            self.zero_point(),
            self.scale(),
        )

    def convolution(self) -> list[Spec]:
        return [self.spec(Op.CONV, (3, 3, 1, 2, 4, 5, 6, 7), self.one(CHANNELS))]

    def pointwise(self) -> list[Spec]:
        spec = self.spec(Op.CONV, (1,), self.one((*CHANNELS, 131)))
        return [replace(spec, stride=(1, 1), padding="valid")]

    def block(self) -> list[Spec]:
        spec = self.spec(Op.DEPTHWISE, (3, 3, 3, 5, 7, 2), self.one((1, 1, 2, 3)))
        if self.rng.random() < 0.7:  # as MobileNets have them: what the fast bodies serve
            stride = self.one((1, 1, 2))
            padding = self.one(("same", "tensorflow"))
            spec = replace(
                spec, kernel=(3, 3), stride=(stride, stride), padding=padding, channels=1
            )
        return [spec, *self.pointwise()]

    def pool(self) -> list[Spec]:
        spec = self.spec(Op.POOL, (2, 1, 3, 2), 0)
        return [replace(spec, scale=self.one((0.05, 0.01, 0.2)))]

    def parts(self) -> list[Spec]:
        kinds = (*(self.block,) * 6, *(self.convolution,) * 3, self.pointwise, self.pool)
        specs: list[Spec] = []
        for _ in range(int(self.rng.integers(3, 7))):
            specs += self.one(kinds)()
        return specs


def draw(seed: int, *, fused: bool | None = None) -> Network:
    """A chain of three to nine parts over a small image. `fused` None: either."""
    choice = _Draw(seed)
    shape = (
        int(choice.rng.integers(1, 15)),
        int(choice.rng.integers(1, 18)),
        choice.one((3, 3, 1, 2, 4, 5)),
    )
    specs = choice.parts()
    if choice.rng.random() < 0.5:
        specs = choice.convolution() + specs
    if choice.rng.random() < 0.4:
        specs.append(Spec(Op.POOL, (99, 99), zero_point=choice.zero_point()))
    if choice.rng.random() < 0.5:
        specs.append(choice.spec(Op.DENSE, (1,), choice.one((10, 1, 3))))
    wanted = bool(choice.rng.random() < 0.7) if fused is None else fused
    return make_network(
        shape,
        specs,
        seed=seed,
        zero_point=choice.zero_point(),
        scale=choice.scale(),
        fused=wanted,
        name=f"drawn{seed}",
    )


def draw_residual(seed: int) -> Network:
    """Inverted residual blocks and stranger additions over a small image, as MobileNetV2 has them:
    expansion, depthwise, linear projection, the sum with what came in."""
    choice = _Draw(seed)
    shape = (
        int(choice.rng.integers(1, 15)),
        int(choice.rng.integers(1, 18)),
        choice.one((3, 3, 1, 4)),
    )
    specs: list[Spec] = []
    for _ in range(int(choice.rng.integers(2, 5))):
        kind = choice.one(("residual", "residual", "residual", "twice", "plain"))
        if kind == "plain":
            specs += choice.one((choice.block, choice.convolution))()
            continue
        channels = choice.one((3, 4, 8, 9, 16))
        specs += [replace(spec, channels=channels) for spec in choice.pointwise()]
        inner = choice.one(((3, 3), (3, 3), (5, 3), (1, 1)))
        middle = replace(choice.spec(Op.DEPTHWISE, (3,), 1), kernel=inner, stride=(1, 1))
        specs += choice.pointwise() if choice.rng.random() < 0.8 else []
        specs.append(replace(middle, padding="same"))
        specs += [replace(spec, channels=channels) for spec in choice.pointwise()]
        for _ in range(2 if kind == "twice" else 1):
            back = int(choice.rng.integers(0, 3))
            specs.append(replace(choice.spec(Op.ADD, (1,), back), weights="none"))
    if choice.rng.random() < 0.5:
        specs.append(Spec(Op.POOL, (99, 99), zero_point=choice.zero_point()))
        specs.append(choice.spec(Op.DENSE, (1,), choice.one((10, 1, 3))))
    return make_network(
        shape,
        specs,
        seed=seed,
        zero_point=choice.zero_point(),
        scale=choice.scale(),
        fused=bool(choice.rng.random() < 0.7),
        name=f"residual{seed}",
    )
