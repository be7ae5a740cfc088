"""Tables that several commands print.

What enters: facts. What leaves: rich tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import JustifyMethod
from rich.table import Table

from mbn.core.network import Layer, Network, Op, Tensor
from mbn.report.table import titled

if TYPE_CHECKING:
    from mbn.jobs.agreement import Agreement
    from mbn.jobs.lower.fit import Fit
    from mbn.jobs.lower.float_layers import FloatComparison

FIT_COLUMNS: tuple[tuple[str, JustifyMethod], ...] = (
    ("board", "left"),
    ("flash, about", "right"),
    ("of", "right"),
    ("RAM", "right"),
    ("of", "right"),
    ("fits", "left"),
)


def fit_table(rows: Sequence[Fit]) -> Table:
    """Board by board: needed and available bytes of flash and RAM, and the verdict."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title, justify in FIT_COLUMNS:
        table.add_column(title, justify=justify)
    for one in rows:
        table.add_row(
            one.board.name,
            f"{one.flash_bytes:,}",
            "any" if one.flash_of is None else f"{one.flash_of:,}",
            f"{one.ram_bytes:,}",
            "any" if one.ram_of is None else f"{one.ram_of:,}",
            "yes" if one.fits else "no",
        )
    return table


def network_table(network: Network) -> Table:
    """One line a stage; of a block the depthwise's kernel and the pointwise's result."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title, justify in NETWORK_COLUMNS:
        table.add_column(title, justify=justify, overflow="fold")
    for index, stage in enumerate(network.stages):
        layers = [network.layers[at] for at in stage.layers]
        first, out = layers[0], network.stage_output(stage)
        params = sum(
            int(layer.weights.size) + (0 if layer.bias is None else int(layer.bias.size))
            for layer in layers
            if layer.weights is not None
        )
        table.add_row(
            str(index),
            stage.name,
            str(stage.kind),
            " + ".join(_shape(tensor) for tensor in network.stage_inputs(stage)),
            _shape(out),
            _window(first),
            _clamp(layers[-1]),
            f"{out.scale:.4g} ({out.zero_point})",
            f"{network.stage_macs(stage):,}",
            f"{params:,}",
        )
    return table


NETWORK_COLUMNS: tuple[tuple[str, JustifyMethod], ...] = (
    ("", "right"),
    ("node", "left"),
    ("stage", "left"),
    ("in", "right"),
    ("out", "right"),
    ("window", "left"),
    ("clamp", "left"),
    ("scale (zero)", "right"),
    ("MACs", "right"),
    ("params", "right"),
)


def _shape(tensor: Tensor) -> str:
    return f"{tensor.height}x{tensor.width}x{tensor.channels}"


def _window(layer: Layer) -> str:
    if layer.op in (Op.ADD, Op.DENSE) or layer.kernel == (1, 1):
        return "-"
    stride = f"/{layer.stride[0]}" if layer.stride[0] == layer.stride[1] else f"/{layer.stride}"
    same = len(set(layer.pads)) == 1
    pads = f" pad {layer.pads[0]}" if same else f" pads {','.join(map(str, layer.pads))}"
    return f"{layer.kernel[0]}x{layer.kernel[1]}{stride}{pads if any(layer.pads) else ''}"


def _clamp(layer: Layer) -> str:
    low, high = layer.clamp
    if (low, high) == (None, None):
        return "-"
    return f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"


def agreement_table(found: Agreement, network_name: str) -> Table:
    """Layer by layer: exact share, largest difference, signal-to-noise ratio."""
    other = "LiteRT" if found.every_bit else "ONNX Runtime"
    table = titled(f"{network_name} against {other}, each layer on {other}'s own maps")
    for title in ("layer", "kind", "largest M", "values", "exact", "largest diff.", "SNR"):
        table.add_column(title, justify="left" if title in ("layer", "kind") else "right")
    for one in found.layers:
        snr = one.snr_db
        table.add_row(
            one.layer.name,
            str(one.layer.op),
            f"{one.factor:.2g}",
            f"{one.values:,}",
            f"{100 * one.exact / max(1, one.values):.3f} %",
            str(one.largest) if found.holds_of(one) else f"{one.largest} !",
            "-" if snr is None else f"{snr:.1f} dB",
        )
    return table


def noise_table(found: FloatComparison) -> Table:
    """Layer by layer: signal-to-noise ratio of the integers, and what the layer itself adds."""
    table = titled(f"{found.name} in integers against the float network, both run whole")
    for title in ("layer", "kind", "SNR", "lost here"):
        table.add_column(title, justify="left" if title in ("layer", "kind") else "right")
    for one in found.layers:
        snr, lost = one.snr_db, one.lost_db
        table.add_row(
            one.layer.name,
            str(one.layer.op),
            "-" if snr is None else f"{snr:.1f} dB",
            "-" if lost is None else f"{max(0.0, lost):.1f} dB",
        )
    return table
