"""Makes layers from what the integer pass found, and checks the limits of the kernels.

A packed call's constants and the maps that it reads become a `Layer`. What the kernels can't do is
refused with the node's name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import UNIT_SCALE
from mbn.core.errors import UnsupportedError
from mbn.core.network import Layer, Op, Sampling, Tensor
from mbn.passes.frontend.elementwise import unpacked
from mbn.passes.frontend.matcher import NoMatch, scalar_parameters
from mbn.passes.frontend.movement import Moved, map_of, taps_of
from mbn.passes.frontend.supported import LARGEST_KERNEL
from mbn.passes.frontend.unit_length import UnitLength

OPS = {
    "mbn.conv": Op.CONV,
    "mbn.dense": Op.DENSE,
    "mbn.pool": Op.POOL,
    "mbn.max_pool": Op.MAX_POOL,
    "mbn.add": Op.ADD,
    "mbn.product": Op.PRODUCT,
    "mbn.table": Op.TABLE,
    "mbn.resize": Op.RESIZE,
}
PAIRS = ("mbn.add", "mbn.product")
LARGEST_POOL = 255  # rows of a window are counted in 8 bits
MAX_MAP_SIDE = 4096
MAX_CHANNELS = 65535
FORMS = ("nchw", "nhwc", "flat", "flat_hwc")


@dataclass(frozen=True)
class Value:
    """A Relax variable's tensor in the network, and the order of its axes in Relax."""

    tensor: Tensor
    form: str  # nchw, nhwc; flat (channel, height, width) or flat_hwc; else how it was moved

    @property
    def is_vector(self) -> bool:
        """One pixel: all forms are the same."""
        return (self.tensor.height, self.tensor.width) == (1, 1)


def chw(tensor: Tensor) -> tuple[int, int, int]:
    return (tensor.channels, tensor.height, tensor.width)


def real_scale(value: float, node: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise UnsupportedError(f"scale {value}", node=f"node {node}", wanted="finite and above 0")
    return value


def short(node: str, taken: set[str]) -> str:
    """A tf2onnx node lists every op that was folded into it, `;` between: the first is enough."""
    name = node.split(";", maxsplit=1)[0]
    if name not in taken:
        return name
    return next(f"{name}_{i}" for i in range(2, 10_000) if f"{name}_{i}" not in taken)


def made_layer(
    node: str,
    packed: str,
    fields: dict[str, NDArray[Any]],
    sources: Sequence[Value],
    out: Tensor,
) -> Layer:
    window = [int(v) for v in fields["window"]]
    low, high = (float(v) for v in fields["clamp"])
    source, tensor = sources[0], sources[0].tensor
    bare = Layer(
        name=node,
        op=OPS[packed],
        input=tensor.name,
        output=out.name,
        kernel=(window[0], window[1]),
        stride=(window[2], window[3]),
        pads=(window[4], window[5], window[6], window[7]),
        clamp=(None if low == -np.inf else low, None if high == np.inf else high),
    )
    pools = packed in ("mbn.pool", "mbn.max_pool")
    _check_window(bare, tensor, out, LARGEST_POOL if pools else LARGEST_KERNEL)
    _check_form(node, packed, sources)
    if packed in PAIRS:
        return replace(bare, others=(sources[1].tensor.name,))
    if pools:
        return bare
    if packed == "mbn.table":
        return _table(bare, fields, source)
    if packed == "mbn.resize":
        return _resize(bare, fields)
    weights, op, groups = fields["weights"], Op.CONV, 1
    if packed == "mbn.dense":
        op = Op.DENSE
        if tensor.height > LARGEST_POOL:
            raise UnsupportedError(
                f"a product over a map of {tensor.height} rows",
                node=f"node {node}",
                wanted=f"at most {LARGEST_POOL}",
            )
        if weights.shape[1] != tensor.size_bytes:
            raise UnsupportedError(
                f"{weights.shape[1]} weights an output for a map of {tensor.shape}",
                node=f"node {node}",
                wanted=f"{tensor.size_bytes}",
            )
        if source.form == "flat" and not source.is_vector:
            # ONNX flattens channel, height, width; a map's canonical order has channels last
            weights = weights.reshape(-1, *chw(tensor)).transpose(0, 2, 3, 1)
        weights = weights.reshape(weights.shape[0], 1, 1, -1)
    else:
        groups = int(fields["numbers"][0])
        if weights.shape[3] == 1 and groups == tensor.channels > 1:
            op, groups = Op.DEPTHWISE, 1
    if not weights.size:
        raise UnsupportedError("no weights", node=f"node {node}", wanted="at least one channel")
    return replace(
        bare,
        op=op,
        groups=groups,
        weights=np.ascontiguousarray(weights).astype(np.int8),
        weight_scales=fields["scales"].astype(np.float32),
        bias=fields["bias"].astype(np.int32),
    )


def _table(bare: Layer, fields: dict[str, NDArray[Any]], source: Value) -> Layer:
    axis, *numbers = (int(one) for one in fields["numbers"])
    expression = unpacked(np.array(numbers), fields["values"])
    # the channels' axis, counted from the end
    wanted = {"nchw": -3, "flat": -1}.get(source.form, -1)
    fits = expression.channels in (1, source.tensor.channels)
    if axis and not source.is_vector and (axis != wanted or not fits):
        raise UnsupportedError(
            f"constants along axis {axis} of a map that lies as {source.form}",
            node=f"node {bare.name}",
            wanted="one value, or one a channel",
        )
    return replace(bare, expression=expression)


def _resize(bare: Layer, fields: dict[str, NDArray[Any]]) -> Layer:
    """Half pixels need the row before and the row behind; else only that behind."""
    *factor, sampling = (int(one) for one in fields["numbers"])
    half = sampling == 0
    taps = [1 if up == 1 else 3 if half else 2 for up in factor]
    pads = [1 if up > 1 and half else 0 for up in factor]
    behind = [1 if up > 1 else 0 for up in factor]
    return replace(
        bare,
        factor=(factor[0], factor[1]),
        sampling=Sampling.HALF_PIXEL if half else Sampling.ASYMMETRIC,
        kernel=(taps[0], taps[1]),
        pads=(pads[0], pads[1], behind[0], behind[1]),
    )


def move_layer(node: str, value: Moved, *, channels_last: bool) -> tuple[Layer, Tensor] | None:
    """The layer that gathers moved values, and its result; None where none can."""
    ids = map_of(value.ids, channels_last=channels_last)
    found = None if ids is None else taps_of(value.sources, ids)
    if found is None:
        return None
    first = value.first
    out = Tensor(f"{node}:out", *found.shape, first.scale, first.zero_point)
    layer = Layer(
        name=node,
        op=Op.MOVE,
        input=first.name,
        output=out.name,
        kernel=found.kernel,
        stride=found.stride,
        pads=found.pads,
        clamp=(None, None),
        others=tuple(one.name for one in value.sources[1:]),
        moves=found.moves,
    )
    _check_window(replace(layer, pads=(0, 0, 0, 0)), first, out, LARGEST_POOL)
    return layer, out


def _check_form(node: str, packed: str, sources: Sequence[Value]) -> None:
    """Checks that the maps have the axis order that the operator takes."""
    forms = {source.form for source in sources if not source.is_vector}
    any_order = dict.fromkeys(("mbn.table", *PAIRS))
    wanted = {"mbn.dense": {"flat", "flat_hwc"}, **any_order}.get(packed, {"nchw"})
    if len(forms) > 1 or (wanted is not None and not forms <= wanted):
        raise UnsupportedError(
            f"its input lies as {' and '.join(sorted(forms))}",
            node=f"node {node}",
            wanted="channels first" if wanted == {"nchw"} else "one order, flattened for a product",
        )


def _check_window(layer: Layer, source: Tensor, out: Tensor, limit: int) -> None:
    kernel, pads = layer.kernel, layer.pads
    facts = (
        (
            any(p < 0 or p >= k for p, k in zip(pads, (*kernel, *kernel), strict=True) if k > 1)
            or any(p != 0 for p, k in zip(pads, (*kernel, *kernel), strict=True) if k == 1),
            f"padding {pads} with kernel {kernel}",
            "padding from 0 to kernel - 1",
        ),
        (
            max(kernel) > limit or min(kernel) < 1,
            f"a kernel of {kernel}",
            f"at most {limit} x {limit}",
        ),
        (
            max(layer.stride) > LARGEST_POOL or min(layer.stride) < 1,
            f"stride {layer.stride}",
            f"1 to {LARGEST_POOL}",
        ),
        (
            max(source.height, source.width) > MAX_MAP_SIDE or min(out.shape) < 1,
            f"a map of {source.height} x {source.width} that becomes {out.height} x {out.width}",
            f"1 to {MAX_MAP_SIDE} a side",
        ),
        (
            max(source.channels, out.channels) > MAX_CHANNELS,
            f"{max(source.channels, out.channels)} channels",
            f"at most {MAX_CHANNELS}",
        ),
    )
    for wrong, found, wanted in facts:
        if wrong:
            raise UnsupportedError(found, node=f"node {layer.name}", wanted=wanted)


def unit_length_layer(division: UnitLength, source: Tensor) -> tuple[Layer, Tensor]:
    """The division of a vector by its length, as a layer with its result."""
    node = f"node {division.node}"
    if (source.height, source.width) != (1, 1):
        raise UnsupportedError(
            f"a map of {source.shape} is divided by its length", node=node, wanted="a vector"
        )
    try:
        scale, zero = scalar_parameters(
            division.scale, division.zero_point, str(division.zero_point.dtype)
        )
    except NoMatch as error:
        raise UnsupportedError(str(error), node=node) from error
    if (float(scale), zero) != (UNIT_SCALE, 0):
        raise UnsupportedError(
            f"a vector of unit length with scale {float(scale)!r} and zero point {zero}",
            node=node,
            wanted="scale 1/128 and zero point 0 (uint8: 128)",
            advice="quantise it so, or leave it float: the host divides then",
        )
    name = f"{division.node}:out"
    out = Tensor(name, 1, 1, source.channels, UNIT_SCALE, 0)
    layer = Layer(
        name=division.node,
        op=Op.NORMALISE,
        input=source.name,
        output=name,
        kernel=(1, 1),
        stride=(1, 1),
        pads=(0, 0, 0, 0),
        clamp=(None, None),
    )
    return layer, out
