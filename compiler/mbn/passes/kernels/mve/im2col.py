"""How a convolution's windows come into the pointwise's tile.

Runs of bytes are copied where the input has them in the order of the weights. Planar rows are
packed pixel by pixel first, with zero points beside them, which gives such runs at the edges too;
where that takes too much scratch, values are stored one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mbn.core.network import Op
from mbn.passes.kernels import bodies
from mbn.passes.kernels.stage_builder import StageBuilder

PACKED_BYTES_MAX = 8192  # of a window's rows


@dataclass(frozen=True)
class Pixel:
    """An output pixel whose window is gathered."""

    x: Any
    first: int  # the least value of x; the only one where the window isn't inside the map
    interior: bool
    slot: Any  # in a tile of `slots` pixels
    slots: int


@dataclass(frozen=True)
class Packed:
    """A window's rows, pixel by pixel: int8 [row][padded column][channel]."""

    buffer: Any
    columns: int


def pack(b: StageBuilder, rows: list[Any]) -> Packed | None:
    """Packs the rows of a band's window into scratch. None where the input is interleaved, or the
    rows are too large."""
    layer, layout = b.layers[0], b.in_layout()
    if layer.op is Op.DENSE or layout.plane_bytes == 0 or 7 * layout.plane_bytes >= 1 << 16:
        return None
    left = layer.pads[1]
    columns = (b.out.width - 1) * layer.stride[1] + layer.kernel[1]
    right = max(0, columns - left - b.source.width)
    size = (left + b.source.width + right) * b.source.channels
    if len(rows) * size > PACKED_BYTES_MAX:
        return None
    buffer = b.scratch("packed", "int8", (len(rows), size))
    for ky, row in enumerate(rows):
        reads = [row[0 : b.source.channels, 0 : b.source.width]]
        with b.block(f"pack{ky}", reads, [buffer[ky, 0:size]]):
            b.call(
                bodies.MVE_PACK,
                to=b.address(buffer, ky, 0),
                row=b.address(row, 0, 0),
                plane_bytes=layout.plane_bytes,
                channels=b.source.channels,
                width=b.source.width,
                left=left,
                right=right,
                step=b.source.channels,
                zero_point=b.source.zero_point,
            )
    return Packed(buffer, left + b.source.width + right)


def gather_packed(b: StageBuilder, packed: Packed, tile: Any, pixel: Pixel, name: str) -> None:
    """One pixel's window into the tile, from rows that `pack` made."""
    layer, channels = b.layers[0], b.source.channels
    run, size = layer.kernel[1] * channels, packed.columns * channels
    for ky in range(layer.kernel[0]):
        reads = [packed.buffer[ky, 0:size]]
        writes = [tile[0 : pixel.slots, ky * run : (ky + 1) * run]]
        with b.block(f"{name}_{ky}", reads, writes) as axis:
            slot = _slot(axis, pixel)
            x = pixel.x if isinstance(pixel.x, int) else axis.spatial(b.out.width, pixel.x)
            b.call(
                bodies.MVE_COPY,
                to=b.address(tile, slot, ky * run),
                source=b.address(packed.buffer, ky, x * layer.stride[1] * channels),
                count=run,
            )


def gather(b: StageBuilder, rows: list[Any], tile: Any, pixel: Pixel, name: str) -> None:
    """One pixel's window into the tile. Bytes that are contiguous in the input are copied
    together."""
    layer = b.layers[0]
    dense = layer.op is Op.DENSE
    kernel = 1 if dense else layer.kernel[1]
    channels = b.source.channels * (b.source.width if dense else 1)
    begin, end = 0, kernel  # the kernel's columns that lie in the map
    if not dense and not pixel.interior:
        edge = pixel.first * layer.stride[1] - layer.pads[1]
        begin, end = max(0, -edge), min(kernel, b.source.width - edge)
    column = 0 if dense else pixel.x * layer.stride[1] - layer.pads[1]
    between, step = b.in_layout().strides
    contiguous = between == 1 and step == b.source.channels
    for ky, row in enumerate(rows):
        start = ky * kernel * channels
        if contiguous and begin < end:
            to = (tile, pixel, start + begin * channels)
            _copy(b, to, row, column + begin, (end - begin) * channels, f"{name}_{ky}")
        for kx in range(kernel):
            at = start + kx * channels
            if not begin <= kx < end:
                _fill(b, tile, pixel, at, channels, f"{name}_{ky}_{kx}")
            elif not contiguous:
                source = None if dense else column + kx
                _spread(b, (tile, pixel, at), row, source, channels, f"{name}_{ky}_{kx}")


def _slot(axis: Any, pixel: Pixel) -> Any:
    return pixel.slot if isinstance(pixel.slot, int) else axis.spatial(pixel.slots, pixel.slot)


def _spread(
    b: StageBuilder, to: tuple[Any, Pixel, int], row: Any, column: Any, channels: int, name: str
) -> None:
    """A pixel of a planar row, or with column None the whole row in canonical order."""
    tile, pixel, start = to
    inner = b.source.channels
    with b.loop(channels, "c") as c, b.block(name) as axis:
        slot, channel = _slot(axis, pixel), axis.spatial(channels, c)
        if column is None:
            value = row[channel % inner, channel // inner]
        else:
            value = row[channel, axis.spatial(b.source.width, column)]
        b.script.buffer_store(tile, value, [slot, channel + start])


def _fill(b: StageBuilder, tile: Any, pixel: Pixel, start: int, count: int, name: str) -> None:
    """Zero points, outside the map."""
    with b.loop(count, "c") as c, b.block(name) as axis:
        slot, channel = _slot(axis, pixel), axis.spatial(count, c)
        zero = b.script.int8(b.source.zero_point)
        b.script.buffer_store(tile, zero, [slot, channel + start])


def _copy(
    b: StageBuilder, to: tuple[Any, Pixel, int], row: Any, column: Any, count: int, name: str
) -> None:
    """`count` bytes of an interleaved row, from a pixel's first channel on."""
    tile, pixel, start = to
    reads = [row[0 : b.source.channels, 0 : b.source.width]]
    writes = [tile[0 : pixel.slots, start : start + count]]
    with b.block(name, reads, writes) as axis:
        at = column if isinstance(column, int) else axis.spatial(b.source.width, column)
        slot = _slot(axis, pixel)
        b.call(
            bodies.MVE_COPY,
            to=b.address(tile, slot, start),
            source=b.address(row, 0, at),
            count=count,
        )
