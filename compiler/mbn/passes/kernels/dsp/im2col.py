"""Copies a convolution's windows into the pointwise's tile.

Rows of the image are interleaved: there fill.h turns runs of bytes into pairs, a word at a time.
Values then lie in the tile in another order than the weights; `patch_order` gives that order. From
planar maps the order is that of the weights.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.network import Layer, Op
from mbn.core.schedule import Sharing
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm.windows import (
    CHANNELS,
    FIRSTS,
    KERNEL,
    RUN,
    UNIT,
    Windows,
    written,
)
from mbn.passes.kernels.asm.windows import PARAMETERS as WINDOW_PARAMETERS
from mbn.passes.kernels.bodies import numbered
from mbn.passes.kernels.dsp.tile import SLOTS, pixels_of, up
from mbn.passes.kernels.layout import WORD
from mbn.passes.kernels.stage_builder import Span, StageBuilder, joined_spans

MOST_RUN = 28  # bytes of a kernel row that the patch body takes: MBN_DSP_MOST_RUN
SHARED_WINDOW = (3, 9)  # rows, and bytes of one: three pixels of a colour image


def patch_order(layer: Layer, channels: int) -> NDArray[np.intp]:
    """The tap at each place of the tile, low halves first; -1 for none.

    A kernel row is a run of bytes. Each of its words makes the pairs (b0, b2) and (b1, b3). The
    bytes left after a row's last word are paired in order, after all others.
    """
    run = layer.kernel[1] * channels
    pairs: list[tuple[int, int]] = []
    left: list[int] = []
    for ky in range(layer.kernel[0]):
        start = ky * run
        for word in range(start, start + run // WORD * WORD, WORD):
            pairs += [(word, word + 2), (word + 1, word + 3)]
        left += range(start + run // WORD * WORD, start + run)
    left += [-1] * (len(left) % 2)
    pairs += zip(left[::2], left[1::2], strict=True)
    low, high = zip(*pairs, strict=True)
    return np.array([*low, *high], np.intp)


def serves_windows(b: StageBuilder) -> bool:
    """Whether asm/windows.py can gather this layer's windows."""
    layer, width = b.layers[0], b.source.width
    right = (b.out.width - 1) * layer.stride[1] - layer.pads[1] + KERNEL - width
    return (
        (*layer.kernel, b.source.channels) == (KERNEL, KERNEL, CHANNELS)
        and layer.stride[1] in (1, 2)
        and layer.pads[1] in (0, 1)
        and right <= 1
        # so that words begin with a row, and what lies beside it has words of its own
        and width % WORD == b.out.width % UNIT == 0
    )


def window_order() -> NDArray[np.intp]:
    """The tap at each place of the tile that asm/windows.py fills, low halves first; -1 for
    none."""
    starts = [ky * RUN for ky in range(KERNEL)]
    pairs = [(start + tap + 2, start + tap) for start in starts for tap in FIRSTS]
    pairs += [(starts[0] + RUN - 1, starts[1] + RUN - 1), (starts[2] + RUN - 1, -1)]
    low, high = zip(*pairs, strict=True)
    return np.array([*low, *high], np.intp)


def windows(b: StageBuilder, rows: list[Any], tile: Any, chunk: Any, size: int, count: int) -> None:
    """Windows of `count` pixels from pixel `chunk` * `size` of the row on."""
    layer, zero_point = b.layers[0], b.source.zero_point
    groups, pairs = int(tile.ty.shape[0]), int(tile.ty.shape[1])
    ends = b.out.width % size or size
    right = max(0, (b.out.width - 1) * layer.stride[1] - layer.pads[1] + KERNEL - b.source.width)
    shape = Windows(
        count=count,
        stride=layer.stride[1],
        left=layer.pads[1],
        right=right if count == ends else 0,
        group=pixels_of(b),
        zero_point=zero_point,
        two_slots=pixels_of(b) != SLOTS,
    )
    last = up(b.out.width, size) - 1
    reads = [row[0 : b.source.channels, 0 : b.source.width] for row in rows]
    with b.block(f"windows{count}", reads, [tile[0:groups, 0:pairs, 0:SLOTS, 0:2]]):
        if isinstance(chunk, int):
            edge: Any = (chunk == 0) * shape.left + 2 * (chunk == last) * shape.right
        else:
            edge = b.script.cast(chunk < 1, "int32") * shape.left
            edge += b.script.cast(chunk > last - 1, "int32") * (2 * shape.right)
        column = chunk * (size * layer.stride[1])
        b.call_assembly(
            shape.name,
            WINDOW_PARAMETERS,
            partial(written, shape),
            **numbered("row", [b.address(row, 0, column) for row in rows]),
            tile=b.address(tile, 0, 0, 0, 0),
            edge=edge,
        )


def patches(
    b: StageBuilder, rows: list[Any], tile: Any, span: Span, group: Any, pixels: int, name: str
) -> None:
    """The windows of a group's pixels, one kernel row a call."""
    layer, channels = b.layers[0], b.source.channels
    run, pairs = layer.kernel[1] * channels, int(tile.ty.shape[1])
    words, left = divmod(run, WORD)
    behind = layer.kernel[0] * words * 2  # pairs
    for pixel in range(pixels):
        offset = pixel * layer.stride[1] - layer.pads[1]
        before = after = 0
        if not span.interior:
            first = span.start * pixels_of(b) * layer.stride[1] + offset
            before = min(max(0, -first), layer.kernel[1]) * channels
            after = max(0, first + layer.kernel[1] - b.source.width) * channels
        if patch_is_shared(b, len(rows), run) and before == after == 0:
            _shared_patch(b, rows, tile, group, pixel, name)
            continue
        for ky, row in enumerate(rows):
            reads = [row[0:channels, 0 : b.source.width]]
            writes = [tile[0, 0:pairs, 0:SLOTS, 0:2]]
            with b.block(f"{name}_{pixel}_{ky}", reads, writes):
                column = group * (pixels_of(b) * layer.stride[1]) + (offset + before // channels)
                b.call(
                    bodies.DSP_PATCH,
                    source=b.address(row, 0, column),
                    tile=b.address(tile, 0, ky * words * 2, pixel, 0),
                    behind=b.address(tile, 0, min(behind, pairs - 1), pixel, 0),
                    run=run,
                    spill=ky * left,
                    before=before,
                    after=after,
                    zero_point=b.source.zero_point,
                )


def patch_is_shared(b: StageBuilder, rows: int, run: int) -> bool:
    """Whether the shared body gathers the windows inside the map."""
    return b.variant.shared is Sharing.ALL and (rows, run) == SHARED_WINDOW


def _shared_patch(
    b: StageBuilder, rows: list[Any], tile: Any, group: Any, pixel: int, name: str
) -> None:
    """Gathers a window inside the map with the shared body."""
    layer, pairs = b.layers[0], int(tile.ty.shape[1])
    reads = [row[0 : b.source.channels, 0 : b.source.width] for row in rows]
    writes = [tile[0, 0:pairs, 0:SLOTS, 0:2]]
    with b.block(f"{name}_{pixel}", reads, writes):
        column = (group * pixels_of(b) + pixel) * layer.stride[1] - layer.pads[1]
        windows = numbered("row", [b.address(row, 0, column) for row in rows])
        b.call(bodies.DSP_ANY_PATCH, **windows, tile=b.address(tile, 0, 0, pixel, 0))


def interleave(b: StageBuilder, row: Any, tile: Any, group: Any, pairs: int, name: str) -> None:
    """Four pixels of all channels of a planar row."""
    channels, width = b.source.channels, b.source.width
    for start, stop, both in ((0, channels - pairs, 1), (channels - pairs, pairs, 0)):
        if start == stop:
            continue
        reads = [row[0:channels, 0:width]]
        writes = [tile[0, 0:pairs, 0:SLOTS, 0:2]]
        with b.loop(stop - start, "j") as j, b.block(f"{name}_{both}", reads, writes) as axis:
            pair = axis.spatial(pairs, j + start)
            x = axis.spatial(up(width, pixels_of(b)), group) * pixels_of(b)
            b.call(
                bodies.DSP_INTERLEAVE,
                low=b.address(row, pair, x),
                high=b.address(row, pair + pairs * both, x),
                tile=b.address(tile, 0, pair, 0, 0),
                both=both,
            )


def gather(
    b: StageBuilder,
    rows: list[Any],
    tile: Any,
    span: Span,
    group: Any,
    pixel: int,
    pairs: int,
    name: str,
) -> None:
    """One pixel's window into the tile. Runs of channels in the same half become loops."""
    layer = b.layers[0]
    dense = layer.op is Op.DENSE
    window = (len(rows), 1) if dense else layer.kernel
    channels = b.source.channels * (b.source.width if dense else 1)
    for ky in range(window[0]):
        for kx in range(window[1]):
            offset = 0 if dense else pixel * layer.stride[1] + kx - layer.pads[1]
            edge = span.start * pixels_of(b) * layer.stride[1] + offset
            outside = not dense and not span.interior and not 0 <= edge < b.source.width
            column = group * (pixels_of(b) * layer.stride[1]) + offset
            start = (ky * window[1] + kx) * channels
            for half in (0, 1):
                low, high = max(start, half * pairs), min(start + channels, (half + 1) * pairs)
                if low >= high:
                    continue
                with (
                    b.loop(high - low, "c") as c,
                    b.block(f"{name}_{ky}_{kx}_{half}") as axis,
                ):
                    at = axis.spatial(high - low, c)
                    channel = at + (low - start)
                    if outside:
                        value = b.script.int8(b.source.zero_point)
                    elif dense:
                        inner = b.source.channels
                        value = rows[ky][channel % inner, channel // inner]
                    else:
                        value = rows[ky][channel, axis.spatial(b.source.width, column)]
                    wide = b.script.cast(value, "int16")
                    where = [0, at + (low - half * pairs), pixel, half]
                    b.script.buffer_store(tile, wide, where)


LEAST_WIDTH = 2  # of a planar map: its planes have a word at least


def takes_words(b: StageBuilder) -> bool:
    """Whether windows of a planar map are gathered by words: four pixels of a tap at once."""
    layer, layout = b.layers[0], b.in_layout()
    return (
        layer.op is not Op.DENSE
        and layout.plane_bytes > 0
        and b.source.width >= LEAST_WIDTH
        and b.source.channels > 1
        and layer.stride[1] in (1, 2)
    )


def word_order(b: StageBuilder) -> NDArray[np.intp]:
    """The input at each place of the tile, low halves first: of each tap the first half of the
    channels is low, the other high; -1 where there is none."""
    channels, pairs = b.source.channels, up(b.source.channels, 2)
    taps = np.arange(b.layers[0].kernel[0] * b.layers[0].kernel[1])[:, None] * channels
    low, high = np.arange(pairs)[None], np.arange(pairs, 2 * pairs)[None]
    highs = np.where(high < channels, taps + high, -1)
    return np.concatenate([(taps + low).reshape(-1), highs.reshape(-1)]).astype(np.intp)


def word_spans(b: StageBuilder) -> list[Span]:
    """An output row's groups: those whose words lie in the plane form spans, others stand alone."""
    layer, pixels = b.layers[0], pixels_of(b)
    reach = layer.kernel[1] - 1 + (3 if layer.stride[1] == 1 else 7)  # columns of the words

    def inside(group: int) -> bool:
        first = group * pixels * layer.stride[1] - layer.pads[1]
        last = first + (pixels - 1) * layer.stride[1] + layer.kernel[1]
        whole = (group + 1) * pixels <= b.out.width and last <= b.source.width
        return whole and first >= 0 and first + reach < b.in_layout().plane_bytes

    return joined_spans(up(b.out.width, pixels), inside)


def words(b: StageBuilder, rows: list[Any], tile: Any, span: Span, group: Any, name: str) -> None:
    """One group's windows, tap by tap."""
    layer, channels = b.layers[0], b.source.channels
    pairs, each = int(tile.ty.shape[1]), up(channels, 2)
    for ky, row in enumerate(rows):
        reads = [row[0:channels, 0 : b.source.width]]
        writes = [tile[0, 0:pairs, 0:SLOTS, 0:2]]
        for kx in range(layer.kernel[1]):
            with b.block(f"{name}_{ky}_{kx}", reads, writes):
                b.call(
                    bodies.DSP_WINDOW,
                    row=b.address(row, 0, 0),
                    tile=b.address(tile, 0, (ky * layer.kernel[1] + kx) * each, 0, 0),
                    column=group * (pixels_of(b) * layer.stride[1]) + (kx - layer.pads[1]),
                    count=each,
                    high=each * b.in_layout().plane_bytes,
                    plane_bytes=b.in_layout().plane_bytes,
                    width=b.source.width,
                    stride=layer.stride[1],
                    edge=0 if span.interior else 1,
                    zero_point=b.source.zero_point,
                    alone=channels % 2,
                )
