"""Tables that several commands print.

What enters: facts. What leaves: sheets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import JustifyMethod

from mbn.core.generic import WORDS
from mbn.core.network import Layer, Network, Op, Tensor
from mbn.core.target import Board
from mbn.report.record import to_json
from mbn.report.sheet import Sheet

if TYPE_CHECKING:
    from mbn.jobs.agreement import Agreement
    from mbn.jobs.every import Verdict
    from mbn.jobs.lower.fit import Fit
    from mbn.jobs.lower.float_layers import FloatComparison

# Title, justification, and how soon the column may be left out (0: never)
Columns = tuple[tuple[str, JustifyMethod, int], ...]
FIT_COLUMNS: Columns = (
    ("board", "left", 0),
    ("flash, about", "right", 0),
    ("of", "right", 2),
    ("RAM", "right", 0),
    ("of", "right", 1),
    ("fits", "left", 0),
)


def fit_table(rows: Sequence[Fit]) -> Sheet:
    """Board by board: needed and available bytes of flash and RAM, and the verdict."""
    table = sheet(None, FIT_COLUMNS)
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


VERDICT_COLUMNS: Columns = (
    ("board", "left", 0),
    ("core", "left", 4),
    ("flash", "right", 0),
    ("RAM", "right", 0),
    ("ran as", "left", 1),
    ("cycles*", "right", 3),
    ("ms*", "right", 2),
    ("samples", "right", 0),
    ("verdict", "left", 0),
)


def verdict_table(found: Sequence[Verdict]) -> Sheet:
    """Board by board: bytes of flash and RAM, what ran, cycles modelled for zero-wait memory,
    samples with every bit equal, the verdict."""
    table = sheet(None, VERDICT_COLUMNS)
    for one in found:
        row = [one.board.name, one.board.core.name, *"------"]
        if one.report is not None and one.report.check is not None:
            check, memory = one.report.check, one.report.memory
            cycles, clock = check.modelled_cycles, one.board.clock_hz
            row[2:] = [
                f"{memory.flash_bytes:,}",
                f"{memory.static_ram_bytes:,}",
                ran_as(one.board, check.where),
                "-" if cycles is None else f"{cycles:,}",
                f"{1e3 * cycles / clock:.1f}" if cycles and clock else "-",
                f"{check.exact_samples}/{check.samples}",
            ]
        table.add_row(*row, str(one.outcome))
    return table


def ran_as(board: Board, where: str) -> str:
    """What stood for a board, in a word."""
    return "native" if board.native else "generic" if WORDS in where else "itself"


def verdict_facts(one: Verdict) -> dict[str, Any]:
    """The same for scripts."""
    check = None if one.report is None else one.report.check
    return {
        "board": one.board.name,
        "outcome": str(one.outcome),
        "report": None if one.report is None else to_json(one.report),
        "ran_as": None if check is None else ran_as(one.board, check.where),
        "error": None if one.error is None else str(one.error),
    }


def network_table(network: Network) -> Sheet:
    """One line a stage; of a block the depthwise's kernel and the pointwise's result."""
    table = sheet(None, NETWORK_COLUMNS)
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


NETWORK_COLUMNS: Columns = (
    ("", "right", 0),
    ("node", "left", 0),
    ("stage", "left", 0),
    ("in", "right", 1),
    ("out", "right", 0),
    ("window", "left", 3),
    ("clamp", "left", 4),
    ("scale (zero)", "right", 5),
    ("MACs", "right", 0),
    ("params", "right", 2),
)
AGREEMENT_COLUMNS: Columns = (
    ("layer", "left", 0),
    ("kind", "left", 1),
    ("largest M", "right", 2),
    ("values", "right", 3),
    ("exact", "right", 0),
    ("largest diff.", "right", 0),
    ("SNR", "right", 0),
)
NOISE_COLUMNS: Columns = (
    ("layer", "left", 0),
    ("kind", "left", 1),
    ("SNR", "right", 0),
    ("lost here", "right", 0),
)


def sheet(title: str | None, columns: Columns) -> Sheet:
    """A table of these columns, without rows."""
    made = Sheet(title)
    for column in columns:
        made.column(*column)
    return made


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


def agreement_table(found: Agreement, network_name: str) -> Sheet:
    """Layer by layer: exact share, largest difference, signal-to-noise ratio."""
    other = "LiteRT" if found.every_bit else "ONNX Runtime"
    title = f"{network_name} against {other}, each layer on {other}'s own maps"
    table = sheet(title, AGREEMENT_COLUMNS)
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


def noise_table(found: FloatComparison) -> Sheet:
    """Layer by layer: signal-to-noise ratio of the integers, and what the layer itself adds."""
    title = f"{found.name} in integers against the float network, both run whole"
    table = sheet(title, NOISE_COLUMNS)
    for one in found.layers:
        snr, lost = one.snr_db, one.lost_db
        table.add_row(
            one.layer.name,
            str(one.layer.op),
            "-" if snr is None else f"{snr:.1f} dB",
            "-" if lost is None else f"{max(0.0, lost):.1f} dB",
        )
    return table


def agreement_facts(found: Agreement) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "holds": found.holds,
        "images": found.images,
        "same_top1": found.same_top1,
        "layers": [
            {
                "layer": one.layer.name,
                "kind": str(one.layer.op),
                "values": one.values,
                "exact": one.exact,
                "largest": one.largest,
                "snr_db": one.snr_db,
            }
            for one in found.layers
        ],
    }


def noise_facts(found: FloatComparison) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "samples": found.what,
        "layers": [
            {"layer": one.layer.name, "snr_db": one.snr_db, "lost_db": one.lost_db}
            for one in found.layers
        ],
    }


def network_facts(network: Network) -> dict[str, Any]:
    """A network for scripts."""
    return {
        "input": network.input,
        "outputs": network.outputs,
        "host": network.host_ops,
        "macs": network.macs,
        "params": network.params,
        "stages": [
            {
                "name": one.name,
                "kind": one.kind,
                "in": [tensor.shape for tensor in network.stage_inputs(one)],
                "out": network.stage_output(one).shape,
                "macs": network.stage_macs(one),
            }
            for one in network.stages
        ],
    }
