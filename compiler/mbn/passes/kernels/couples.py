"""Pointwise and other convolutions on cores without the DSP extension: two channels a multiply.

See asm/couples.py for the arithmetic and the layouts; in C runtime/kernels/scalar/couples.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.constants import WeightedConstants, rounding_code
from mbn.core.lowered import Assembly
from mbn.core.network import Op
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm import couples_v6m, couples_v7m, depthwise_v6m
from mbn.passes.kernels.asm.couples import PARAMETERS, START, Band, Place
from mbn.passes.kernels.asm.depthwise_v6m import PARAMETERS as DEPTHWISE_PARAMETERS
from mbn.passes.kernels.asm.depthwise_v6m import Groups, Line
from mbn.passes.kernels.asm.rounding import Rounding
from mbn.passes.kernels.bodies import numbered
from mbn.passes.kernels.scalar import (
    CHANNELS,
    PIXELS,
    gather_group,
    groups,
    outside,
    runs,
    whole,
)
from mbn.passes.kernels.stage_builder import Span, StageBuilder, span_test

UNPACKED_WORDS = 3  # of two taps, at most
_GROUPS = 4  # whose windows are gathered, so that unpacked weights serve them
_TILE_BYTES = 768  # of windows, where more groups fit
_BAND_PIXELS = 36
_WORTH = 0.975  # of the cycles of a band less tall
# cycles of the Cortex-M3, about: of a group's two taps, of what else a group takes, and of
# unpacking two taps
_PAIR, _GROUP, _UNPACK = 29, 90, 14
_FEWEST = 8  # output channels of a 1x1 for which gathering pays
_ABOUT = f"pointwise {PIXELS} pixels x {CHANNELS} channels, two channels a multiply"
_TWO_TAPS = 255  # what two weights' magnitudes may add up to
_MOST_STRIDE = 14  # of a depthwise: LDRB reaches 31 bytes from a group's first column
# cores with the narrow instructions alone
_NARROW = "defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)"


def serves(derived: WeightedConstants) -> bool:
    """Whether sums of two taps keep apart."""
    return bool((np.abs(_by_twos(derived)).sum(-1) <= _TWO_TAPS).all())


def _by_twos(derived: WeightedConstants) -> NDArray[np.int64]:
    """Weights as (couples, 2 channels, pairs, 2 taps); zeros fill up."""
    rows = derived.weights.reshape(len(derived.weights), -1).astype(np.int64)
    channels, taps = rows.shape
    padded = np.zeros((-(-channels // 2) * 2, -(-taps // 2) * 2), np.int64)
    padded[:channels, :taps] = rows
    return padded.reshape(len(padded) // 2, 2, -1, 2)


def _pairs(derived: WeightedConstants) -> int:
    return (int(derived.weights[0].size) + 1) // 2


def _rounding(derived: WeightedConstants) -> Rounding:
    return Rounding(rounding_code(derived), derived.low, derived.high)


def stream(derived: WeightedConstants) -> NDArray[np.int32]:
    """The couples' streams, a row each; see asm/couples.py."""
    weights = _by_twos(derived)
    count, pairs = len(weights), weights.shape[2]
    packed = (weights + 128).astype(np.uint8).transpose(0, 2, 1, 3)  # couple, pair, channel, tap
    words = np.ascontiguousarray(packed).reshape(count, -1).view("<u4").astype(np.int64)

    def of_couples(values: NDArray[Any]) -> NDArray[np.int64]:
        padded = np.zeros(2 * count, np.int64)
        padded[: len(values)] = values
        return padded.reshape(count, 2)

    half = START & 0xFFFF
    bias = of_couples(derived.bias) - pairs * half
    first, second = bias[:, :1], bias[:, 1:]
    columns = [words, first + (second << 16), second, of_couples(derived.doubled)]
    columns += [of_couples(word) for word in derived.words]
    return np.concatenate(columns, axis=1).astype(np.uint32).view(np.int32)


def block(b: StageBuilder) -> bool:
    """A depthwise 3x3 into a tile of the band, then a pointwise from the tile."""
    width, stride = b.out.width, b.layers[0].stride[0]
    if b.layers[0].kernel != (3, 3) or width == 1 or b.in_layout().strides[1] != 1:
        return False
    if len(b.derived[0].weights) != b.source.channels or not serves(b.derived[1]):
        return False
    if b.layers[0].stride[1] > _MOST_STRIDE:
        return False
    rows, out = b.in_rows(), b.out_band()
    pointwise = _Pointwise(b, 1, b.band_rows * width)
    depthwise = _Depthwise(b, pointwise.tile, pointwise.depth)
    for line in range(b.band_rows):
        depthwise.call(rows[line * stride : line * stride + 3], line)
    pointwise.call(out, b.band_rows, [size for _, size in groups(width)], 0)
    b.reads_before_writing = True
    b.decision = (
        f"scalar: depthwise by {PIXELS} pixels, tile of {b.band_rows} x {width} pixels x "
        f"{pointwise.depth} channels, {_ABOUT}"
    )
    return True


def heights(b: StageBuilder) -> dict[int, int]:
    """Band heights of `block`, with cycles of the pointwise: a couple's weights are unpacked once a
    band. Only those that save so much that RAM is well spent."""
    height, pairs = b.out.height, _pairs(b.derived[-1])
    couples = -(-b.out.channels // CHANNELS)
    of_groups = len(groups(b.out.width)) * height * (pairs * _PAIR + _GROUP)
    found: dict[int, int] = {}
    for rows in range(1, max(1, _BAND_PIXELS // b.out.width) + 1):
        cycles = couples * (of_groups + height // rows * pairs * _UNPACK)
        if height % rows == 0 and cycles < _WORTH * min(found.values(), default=inf):
            found[rows] = cycles
    return found


def saves(b: StageBuilder) -> int:
    """Cycles of the map that two channels a multiply save, about."""
    return b.out.height * b.out.width * int(b.derived[-1].weights.size) // 2


def convolution(b: StageBuilder) -> bool:
    """A convolution of any kernel: windows of some groups of pixels are gathered, then computed."""
    layer, width = b.layers[0], b.out.width
    if layer.op is Op.DENSE or layer.groups > 1 or width == 1 or not serves(b.derived[0]):
        return False
    if layer.kernel == (1, 1) and b.out.channels < _FEWEST:
        return False
    depth = 2 * _pairs(b.derived[0])
    rows, out = b.in_rows(), b.out_band()
    at_once = max(_GROUPS, _TILE_BYTES // (PIXELS * depth))
    found = runs(b, width, layer.kernel[1])
    threes = [run for run in found if run.pixels == PIXELS]
    turns = sum(run.count for run in threes) // at_once
    done = turns * at_once  # groups
    rest = [run.behind(done * PIXELS) for run in found if run.behind(done * PIXELS).count]
    behind = sum(run.count * run.pixels for run in rest)
    pointwise = _Pointwise(b, 0, max(at_once * PIXELS if turns else 0, behind))
    if turns:
        with b.loop(turns, "turn") as turn:
            with b.loop(at_once, "g") as g:
                group = turn * at_once + g
                for run in threes:
                    first = run.start // PIXELS
                    with b.when(*span_test(Span(first, first + run.count, False), group, done)):
                        at = g * (PIXELS * depth)
                        start = group * PIXELS
                        gather_group(b, rows, pointwise.tile, run, start, at=at, lifted=True)
            pointwise.call(out, 1, [PIXELS] * at_once, turn * (at_once * PIXELS))
    place = 0
    for run in rest:
        with b.loop(run.count, "g") as g:
            start, at = run.start + g * run.pixels, place + g * (run.pixels * depth)
            gather_group(b, rows, pointwise.tile, run, start, at=at, lifted=True)
        place += run.count * run.pixels * depth
    if rest:
        sizes = [run.pixels for run in rest for _ in range(run.count)]
        pointwise.call(out, 1, sizes, done * PIXELS)
    b.decision = (
        f"scalar: windows of {b.derived[0].weights[0].size} gathered, of "
        f"{at_once} groups at a time, {_ABOUT}"
    )
    return True


class _Depthwise:
    """The depthwise of a block, line by line of a band."""

    def __init__(self, b: StageBuilder, tile: Any, depth: int) -> None:
        self.b, self.derived, self.tile, self.depth = b, b.derived[0], tile, depth
        self.rounding = _rounding(self.derived)
        weights = self.derived.weights.reshape(-1)
        self.weights = b.const("depthwise", weights, "depthwise, C x (kh, kw)")
        self.tables = b.requantiser(0, "depthwise")

    def call(self, rows: list[Any], line: int) -> None:
        """The line whose window `rows` are."""
        b, tables = self.b, self.tables
        words = (tables.bias, *tables.words, *tables.words[:1] * 2)[:4]  # the last are not read
        names = ("bias", "factor", "offset", "exponent")
        reads = [whole(each) for each in (*rows, self.weights, *words)]
        with b.block(f"depthwise{line}", reads, [whole(self.tile)]):
            b.call_assembly(
                self.name,
                DEPTHWISE_PARAMETERS,
                self.function,
                **numbered("row", [b.address(row, 0, 0) for row in rows]),
                weights=b.address(self.weights, 0),
                **{name: b.address(word, 0) for name, word in zip(names, words, strict=True)},
                tile=b.address(self.tile, line * b.out.width * self.depth),
            )

    @property
    def name(self) -> str:
        """Says all that the text depends on."""
        b, layer = self.b, self.b.layers[0]
        words = [f"depthwise_{len(self.derived.weights)}x{b.source.width}to{b.out.width}"]
        words += [f"{layer.stride[1]}", f"{layer.pads[1]}", f"{b.in_layout().plane_bytes}"]
        words += [f"{b.source.zero_point + 128}", f"{self.depth}", self.rounding.name]
        return "_".join(words)

    def function(self) -> Assembly:
        """The function, for cores with narrow instructions only; others take the twin."""
        b, layer = self.b, self.b.layers[0]
        line = Line(
            len(self.derived.weights),
            layer.stride[1],
            b.in_layout().plane_bytes,
            b.source.zero_point,
            self.depth,
            self.rounding,
            tuple(self._groups()),
        )
        about = f"A line of {b.out.width} pixels of a depthwise 3x3: {line.channels} channels."
        text = depthwise_v6m.text(self.name, about, line)
        return Assembly(self.name, DEPTHWISE_PARAMETERS, text, self._twin(line), feature=_NARROW)

    def _groups(self) -> Iterator[Groups]:
        b, layer = self.b, self.b.layers[0]
        for run in runs(b, b.out.width, 3):
            left, right = outside(b, run.start, run.pixels, 3)
            column = run.start * layer.stride[1] - layer.pads[1] + left
            if left + right >= (run.pixels - 1) * layer.stride[1] + 3:
                column = 0  # nothing is read
            yield Groups(column, run.count, run.pixels, left, right, run.start * self.depth)

    def _twin(self, line: Line) -> str:
        lines = [f"for (int32_t c = 0; c < {line.channels}; c++) {{"]
        for each in line.groups:
            column = f"c * {line.plane_bytes} + {each.column} + g * {each.pixels * line.stride}"
            given = {
                **{f"row{k}": f"row{k} + {column}" for k in range(3)},
                "w": "weights + 9 * c",
                **{"bias": "bias + c", "m": "factor + c", "z": "offset + c", "e": "exponent + c"},
                "out": f"tile + {each.tile} + g * {each.pixels * line.depth} + c * {each.pixels}",
                "stride": line.stride,
                "step": 1,
                "pixels": each.pixels,
                "left": each.left,
                "right": each.right,
                "zero": line.zero_point,
                "lifted": 1,
                **bodies.ends(self.derived),
            }
            body = bodies.SCALAR_DEPTHWISE
            lines += [
                f"    for (int32_t g = 0; g < {each.count}; g++) {{",
                f"        {body.name}({', '.join(map(str, body.in_order(given)))});",
                "    }",
            ]
        return "\n    ".join([*lines, "}"])


class _Pointwise:
    """The tables and the scratch of layer `index`, for a tile of so many pixels."""

    def __init__(self, b: StageBuilder, index: int, pixels: int) -> None:
        self.b, self.derived = b, b.derived[index]
        self.pairs = _pairs(self.derived)
        self.depth = 2 * self.pairs
        words = stream(self.derived)
        self.table = b.const("pointwise", words, "streams, two channels each")
        self.tile = b.scratch("tile", "int8", (pixels * self.depth,))
        self.unpacked = b.scratch("unpacked", "int32", (UNPACKED_WORDS * self.pairs,))
        self._calls = 0

    def call(self, out: Any, rows: int, sizes: list[int], start: Any) -> None:
        """Groups of these sizes, in each of `rows` rows, from pixel `start` of the output on."""
        b, width = self.b, sum(sizes)
        places: dict[int, list[Place]] = {}
        for line in range(rows):
            for at, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
                of_tile = (line * width + at) * self.depth
                places.setdefault(size, []).append(Place(of_tile, line * b.out_row_bytes() + at))
        made = _Written(b, self.derived, (rows, width), places)
        reads = [whole(self.tile), whole(self.table)]
        writes = [whole(out), whole(self.unpacked)]
        self._calls += 1
        with b.block(f"couples{self._calls}", reads, writes) as axis:
            x = axis.spatial(b.out.width, start)
            b.call_assembly(
                made.name,
                PARAMETERS,
                made.function,
                tile=b.address(self.tile, 0),
                stream=b.address(self.table, 0, 0),
                unpacked=b.address(self.unpacked, 0),
                out=b.address(out, 0, 0, x),
            )


class _Written:
    """A pointwise of the groups `places`."""

    def __init__(
        self,
        b: StageBuilder,
        derived: WeightedConstants,
        size: tuple[int, int],
        places: dict[int, list[Place]],
    ) -> None:
        self.derived = derived
        self.rows, self.width = size
        self.row_bytes, self.taps = b.out_row_bytes(), derived.weights[0].size
        self.band = Band(
            _pairs(derived),
            b.out.channels,
            b.out_plane_bytes(),
            _rounding(derived),
            {size: tuple(each) for size, each in places.items()},
        )

    @property
    def name(self) -> str:
        """Says all that the text depends on."""
        band = self.band
        words = [f"pointwise_{self.taps}x{band.channels}", f"{self.rows}x{self.width}"]
        words += [f"{band.plane_bytes}", f"{self.row_bytes}", band.rounding.name]
        return "_".join(words)

    def function(self) -> Assembly:
        """The function, whose twin is mbn_scalar_couples."""
        band = self.band
        about = (
            f"Pointwise of {self.rows} x {self.width} pixels: {self.taps} inputs, "
            f"{band.channels} output channels."
        )
        given = {
            "tile": "tile",
            "stream": "stream",
            "out": "out",
            "channels": band.channels,
            "rows": self.rows,
            "width": self.width,
            "row_bytes": self.row_bytes,
            "plane_bytes": band.plane_bytes,
            "taps": self.taps,
            **bodies.ends(self.derived),
        }
        call = ", ".join(map(str, bodies.SCALAR_COUPLES.in_order(given)))
        text = "\n".join(
            [
                f"#if {_NARROW}",
                couples_v6m.text(self.name, about, band),
                "#else",
                couples_v7m.text(self.name, about, band),
                "#endif",
            ]
        )
        twin = f"(void)unpacked;\n    {bodies.SCALAR_COUPLES.name}({call});"
        return Assembly(self.name, PARAMETERS, text, twin)
