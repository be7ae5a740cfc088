"""How a map's rows lie in memory. All kernel sets use it.

The image arrives interleaved (x, then channel), as cameras deliver it. Every other map is planar
by rows: the value of channel c at x is byte c * plane_bytes + x of its row. A plane is a multiple
of four bytes, so that four pixels are an aligned word. A map one pixel wide is a plain vector.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbn.core.network import Tensor

WORD = 4


@dataclass(frozen=True)
class RowLayout:
    """Strides of one row, in bytes. plane_bytes 0: interleaved."""

    width: int
    channels: int
    plane_bytes: int

    @property
    def row_bytes(self) -> int:
        used = self.plane_bytes * self.channels if self.plane_bytes else self.width * self.channels
        return _round_up(used, WORD)

    @property
    def strides(self) -> tuple[int, int]:
        """(from channel to channel, from pixel to pixel)."""
        return (self.plane_bytes, 1) if self.plane_bytes else (1, self.channels)


def _round_up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def row_layout(tensor: Tensor, *, is_input: bool) -> RowLayout:
    """The layout of a tensor's rows."""
    if is_input:
        return RowLayout(tensor.width, tensor.channels, 0)
    plane = 1 if tensor.width == 1 else _round_up(tensor.width, WORD)
    return RowLayout(tensor.width, tensor.channels, plane)
