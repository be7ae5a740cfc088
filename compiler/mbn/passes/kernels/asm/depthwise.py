"""The depthwise 3x3 of a band as a function: which strips compute it, its name and its twin."""

from __future__ import annotations

from mbn.core.lowered import Assembly
from mbn.passes.kernels import bodies
from mbn.passes.kernels.asm.channels import Channels, Shape
from mbn.passes.kernels.asm.strips import Strips
from mbn.passes.kernels.asm.strips2 import Strips2


def parameters(rows: int) -> str:
    """Of the function in C: its words, the tile, and pointers to the input's rows."""
    pointers = ", ".join(f"const int8_t *row{k}" for k in range(rows))
    return f"const int32_t *words, int16_t *tile, {pointers}"


def depthwise_name(shape: Shape) -> str:
    """The function's name, which says all that the text depends on."""
    words = [f"depthwise_s{shape.stride}_{shape.channels}x{shape.lines}x{shape.width}"]
    words += [f"{shape.pairs}x{shape.row_pixels}", f"{shape.plane_bytes}"]
    words += [f"left{shape.left}"] if shape.stride == 2 else []
    words += [f"zero{shape.zero_point + 128}", shape.rounding.name]
    return "_".join(words)


def written(shape: Shape) -> Assembly:
    """The function, whose twin is mbn_dsp_depthwise_band."""
    name = depthwise_name(shape)
    about = (
        f"Depthwise 3x3, stride {shape.stride}: {shape.lines} rows of {shape.outputs} outputs, "
        f"{shape.channels} channels."
    )
    strips: type[Channels] = Strips if shape.stride == 1 else Strips2
    given = {
        "lines": shape.lines,
        "row_pixels": shape.row_pixels,
        "channels": shape.channels,
        "pairs": shape.pairs,
        "channel_words": shape.channel_words,
        "plane_bytes": shape.plane_bytes,
        "width": shape.width,
        "outputs": shape.outputs,
        "stride": shape.stride,
        "padding_left": shape.left,
        "zero_point": shape.zero_point,
        "shift": shape.rounding.code,
        "low": shape.rounding.low,
        "high": shape.rounding.high,
    }
    pointers = {"rows": "rows", "words": "words", "tile": "tile"}
    call = ", ".join(map(str, bodies.DSP_DEPTHWISE_BAND.in_order(pointers | given)))
    rows = ", ".join(f"row{k}" for k in range(shape.rows))
    twin = (
        f"const int8_t *const rows[] = {{{rows}}};\n    {bodies.DSP_DEPTHWISE_BAND.name}({call});"
    )
    return Assembly(name, parameters(shape.rows), strips(name, about, shape).text(), twin)
