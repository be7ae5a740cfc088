"""The features by which a stage's cycles are predicted, counted from its shape.

A stage's predicted cycles are a sum of features, each times a coefficient of the core. Features
follow the kernels' loops: groups of pixels x pairs of output channels x steps of depth. Nothing is
lowered. Besides the shape only one thing counts: whether a depthwise's multipliers are above one
half, since another body then runs. If the variant is guessed wrong, the prediction is less
accurate; nothing else changes.
"""

from __future__ import annotations

from mbn.core.constants import SingleConstants
from mbn.core.kernel_set import KernelSet
from mbn.core.network import Layer, Network, Stage, StageKind, Tensor

Features = dict[str, float]

LARGE_PIXELS = 96  # maps whose pointwise may have widened weights
STRAIGHT_TILES, STRAIGHT_OUTPUTS = 12, 28  # of Helium, without a loop: passes/kernels/asm
PAIRED_STEPS = 32  # of 16 inputs, for which two pixels share a pointer: pointwise_mve.py
WINDOW_GROUPS, WINDOW_BYTES = 4, 768  # gathered at a time: passes/kernels/couples.py
_COUPLED = (StageKind.BLOCK, StageKind.CONV, StageKind.POINTWISE)


def stage_features(network: Network, stage: Stage, band_rows: int, kernels: KernelSet) -> Features:
    """Counts of one inference for a stage. Their names depend on its kind and kernel set."""
    out = network.stage_output(stage)
    layers = [network.layers[index] for index in stage.layers]
    counts: Features = {"once": 1.0, "bands": out.height / band_rows}
    if stage.kind in (StageKind.BLOCK, StageKind.DEPTHWISE):
        counts |= _depthwise(network, layers[0], band_rows, kernels)
    if stage.kind is StageKind.CONV:
        assert layers[0].weights is not None
        taps = layers[0].weights[0].size
        counts |= {"window": float(out.height * out.width), "taps": float(out.height * taps)}
    if stage.kind is StageKind.POINTWISE:
        source = network.stage_input(stage)
        counts["copied"] = float(out.height * out.width * source.channels)
    if stage.kind in (StageKind.POOL, StageKind.DENSE):
        source = network.stage_input(stage)
        counts |= {"read": float(source.size_bytes), "channels": float(source.channels)}
    if layers[-1].weights is None and stage.kind is not StageKind.POOL:
        counts |= {"values": float(out.size_bytes), "rows": float(out.height * out.channels)}
    if kernels.name == "scalar" and stage.kind in _COUPLED and layers[-1].weights is not None:
        bands = out.height / band_rows if stage.kind is StageKind.BLOCK else None
        counts |= _coupled(layers[-1], out, bands, kernels)
    elif stage.kind not in (StageKind.DEPTHWISE, StageKind.POOL):
        counts |= _products(layers[-1], out, band_rows, kernels)
    return counts


def _up(value: int, step: int) -> int:
    return (value + step - 1) // step


def _depthwise(network: Network, layer: Layer, band_rows: int, kernels: KernelSet) -> Features:
    """Outputs, row pieces and calls, by stride and by height of band."""
    tensor = network.tensor(layer.output)
    channels = _up(tensor.channels, kernels.depthwise_lanes)
    height = "tall" if band_rows > 2 else str(band_rows)
    constants = layer.constants
    shifts = isinstance(constants, SingleConstants) and constants.shift > kernels.folded_shift
    name = f"stride {layer.stride[1]}{', shifted' if shifts else ''}"
    rows = channels * tensor.height
    if kernels.name == "mve":
        return _patches(network, layer, band_rows, shifts=shifts)
    return {
        f"{name}, bands of {height}: outputs": float(rows * tensor.width),
        f"{name}, odd outputs": float(rows * (tensor.width % 2)),
        f"{name}, rows": float(rows),
        f"{name}, channels by bands": channels * tensor.height / band_rows,
    }


def _patches(network: Network, layer: Layer, band_rows: int, *, shifts: bool) -> Features:
    """Helium's depthwise: outputs of four channels, interleaved chunks of 16 columns, groups. Long
    rows have loops of their own."""
    tensor, source = network.tensor(layer.output), network.tensor(layer.inputs[0])
    groups = _up(tensor.channels, 4)
    lines = 2 if band_rows == 2 and layer.stride[0] + layer.kernel[0] <= 4 else 1
    form = "straight" if lines * tensor.width <= STRAIGHT_OUTPUTS else "in turns"
    calls, outputs = groups * tensor.height / lines, groups * tensor.height * tensor.width
    return {
        f"{form}: outputs": float(outputs),
        f"{form}, shifted: outputs": float(outputs * shifts),
        f"{form}: groups": calls,
        "chunks": calls * 4 * _up(source.width, 16),
    }


def _products(layer: Layer, out: Tensor, band_rows: int, kernels: KernelSet) -> Features:
    """Groups of pixels x pairs of output channels x steps of depth."""
    if layer.weights is None:
        return {}
    if kernels.name == "mve":
        return _tiles(layer, out, band_rows)
    depth = _up(int(layer.weights[0].size), kernels.depth_step)
    couples, single = divmod(out.channels, 2)
    joined = band_rows > 1 and kernels.group_pixels == 4 and out.width % 4 == 2
    runs = out.height // band_rows if joined else out.height
    width = out.width * (band_rows if joined else 1)
    size = "large" if out.height * out.width >= LARGE_PIXELS else "small"
    counts: Features = {}
    for pixels, of_row in _groups(width, kernels).items():
        groups = runs * of_row
        if groups:
            name = f"groups of {pixels}"
            deep = f"{name}, {size}" if pixels == kernels.group_pixels else name
            counts |= {
                f"{deep}: couples x depth": float(groups * couples * depth),
                f"{name}: couples": float(groups * couples),
                f"{name}: calls": float(groups),
            }
            if single:
                counts["last channel x depth"] = (
                    counts.get("last channel x depth", 0) + groups * depth * pixels
                )
    return counts


def _coupled(layer: Layer, out: Tensor, bands: float | None, kernels: KernelSet) -> Features:
    """Two channels a multiply: groups of pixels x couples of output channels x pairs of taps, and
    for each call of a band the couples' weights, unpacked. bands: of a block; else windows of some
    groups of a row are a call."""
    assert layer.weights is not None
    taps = int(layer.weights[0].size)
    pairs, couples = _up(taps, 2), _up(out.channels, 2)
    groups = _groups(out.width, kernels)
    if bands is None:
        at_once = max(WINDOW_GROUPS, WINDOW_BYTES // (kernels.group_pixels * 2 * pairs))
        bands = out.height * _up(sum(groups.values()), at_once)
    counts: Features = {
        "unpacked: couples x pairs": bands * couples * pairs,
        "unpacked: couples": bands * couples,
    }
    for pixels, of_row in groups.items():
        name, calls = f"groups of {pixels}", float(out.height * of_row)
        counts |= {
            f"{name}: couples x pairs": calls * couples * pairs,
            f"{name}: couples": calls * couples,
            f"{name}: calls": calls,
        }
    for most in (8, 5):  # the M3's and the M0+'s longest straight run: asm/couples_v7m.py, _v6m.py
        if pairs > most:
            turn = min(range(most, most // 2, -1), key=lambda one: pairs % one)
            turns = out.height * sum(groups.values()) * couples * (pairs // turn)
            counts[f"turns of up to {most}"] = float(turns)
    return counts


def _tiles(layer: Layer, out: Tensor, band_rows: int) -> Features:
    """Helium's pointwise: register tiles x couples of output channels x steps. How many pixels of a
    tile a pointer reaches decides on its form, and whether there is one step alone; each
    couple begins and ends a run of code."""
    assert layer.weights is not None
    depth = _up(int(layer.weights[0].size), 16)
    couples, single = divmod(out.channels, 2)
    joined = band_rows == 2 and out.width % 4 == 2
    runs = out.height / 2 if joined else out.height
    full, rest = divmod(out.width * (2 if joined else 1), 4)
    span = out.width + 2 if joined else min(4, out.width)
    far = max(2, span) * depth * 16 > 1032
    form = "of one step" if depth == 1 else "near"
    if far:
        form = "paired" if depth <= PAIRED_STEPS else "far"
    turns = 1
    if full > STRAIGHT_TILES:
        turns = full // max(size for size in (1, 2, 3, 4) if full % size == 0)
    counts: Features = {
        f"couples {form}": float(runs * couples),
        f"turns {form}": float(runs * couples * (turns - 1)),
        "calls of tiles": float(runs),
    }
    for pixels, of_row in ((4, full), (rest, 1)):
        tiles = runs * of_row
        if pixels and tiles:
            name = f"tiles of {pixels}, {form}"
            counts |= {
                f"{name}: couples x steps": float(tiles * couples * depth),
                f"{name}: couples": float(tiles * couples),
            }
            if single:
                last = f"last channel, {form}"
                counts[f"{last}: steps"] = counts.get(f"{last}: steps", 0) + tiles * depth * pixels
                counts[last] = counts.get(last, 0) + tiles
    return counts


def _groups(width: int, kernels: KernelSet) -> dict[int, int]:
    """How many groups of each size a row is split into. The scalar set splits four pixels at the
    end into two groups of two."""
    full, rest = divmod(width, kernels.group_pixels)
    if kernels.depth_step == 1 and rest == 1 and full:
        return {kernels.group_pixels: full - 1, 2: 2}
    return {kernels.group_pixels: full, **({rest: 1} if rest else {})}


def driver_features(network: Network, bands: list[int]) -> Features:
    """What the loop around the stages depends on: calls, pushed rows and their bytes."""
    image = network.input
    calls = sum(
        network.stage_output(stage).height / rows
        for stage, rows in zip(network.stages, bands, strict=True)
    )
    return {
        "once": 1.0,
        "calls": calls,
        "image rows": float(image.height),
        "image bytes": float(image.size_bytes),
    }
