"""Additions, products and tables of the DSP and Helium kernel sets: whole rows by one call where
they can be.

Planar rows are runs of bytes, so the planes of all channels are taken as one.
"""

from __future__ import annotations

from dataclasses import asdict

from mbn.core.constants import AdditionConstants, ProductConstants, TableConstants
from mbn.core.kernel_set import MVE
from mbn.passes.kernels import bodies
from mbn.passes.kernels.between import addition_table
from mbn.passes.kernels.scalar import whole
from mbn.passes.kernels.stage_builder import StageBuilder

LEAST_SHIFT = 9  # of an addition: below it the sum's middle bits are not enough


def addition(b: StageBuilder) -> bool:
    """Two maps of one shape, added."""
    derived = b.addition()
    if not isinstance(derived, AdditionConstants) or derived.shift < LEAST_SHIFT or not b.is_planar:
        return False
    if b.network.stage_inputs(b.stage)[1].width < b.out.width:
        return False
    (first,), second, out = b.in_rows(), b.other_row(), b.out_row()
    table, numbers = addition_table(b, derived)
    reads = [whole(first), whole(second), whole(table)]
    with b.block("add", reads, [whole(out)]):
        b.call(
            bodies.MVE_ADD if b.kernels is MVE else bodies.DSP_ADD,
            a=b.address(first, 0, 0),
            b=b.address(second, 0, 0),
            out=b.address(out, 0, 0),
            count=b.row_values,
            table=b.address(table, 0),
            **numbers,
        )
    b.decision = "sums in 64 bits, a row at a time"
    return True


def product(b: StageBuilder) -> bool:
    """Two maps multiplied value by value, or each channel by one value."""
    derived = b.special
    if not isinstance(derived, ProductConstants) or not b.is_planar:
        return False
    (first,), second, out = b.in_rows(), b.other_row(), b.out_row()
    reads, writes = [whole(first), whole(second)], [whole(out)]
    numbers = asdict(derived)  # the bodies take what the constants name
    gate = b.network.stage_inputs(b.stage)[1].width == 1 < b.out.width
    if gate:
        channels = b.out.channels
        with b.loop(channels, "c") as c, b.block("gate", reads, writes) as axis:
            channel = axis.spatial(channels, c)
            b.call(
                bodies.DSP_GATE,
                a=b.address(first, channel, 0),
                gate=b.address(second, channel, 0),
                out=b.address(out, channel, 0),
                count=b.out.width,
                **numbers,
            )
    else:
        with b.block("product", reads, writes):
            b.call(
                bodies.DSP_PRODUCT,
                a=b.address(first, 0, 0),
                b=b.address(second, 0, 0),
                out=b.address(out, 0, 0),
                count=b.row_values,
                **numbers,
            )
    b.decision = "dsp: products, " + ("a factor a channel" if gate else "a row at a time")
    return True


def table(b: StageBuilder) -> bool:
    """Each value looked up, a word at a time."""
    derived = b.special
    assert isinstance(derived, TableConstants)
    if not b.is_planar:
        return False
    (row,), out = b.in_rows(), b.out_row()
    codes = b.const("table", derived.table.reshape(-1), "what -128 .. 127 become")
    several = len(derived.table) > 1
    turns, count = (b.out.channels, b.out.width) if several else (1, b.row_values)
    reads, writes = [whole(row), whole(codes)], [whole(out)]
    with b.loop(turns, "c") as c, b.block("table", reads, writes) as axis:
        channel = axis.spatial(turns, c)
        b.call(
            bodies.DSP_TABLE,
            row=b.address(row, channel, 0),
            out=b.address(out, channel, 0),
            count=count,
            table=b.address(codes, channel * 256),
        )
    b.decision = "dsp: looked up, " + ("a table a channel" if several else "a row at a time")
    return True
