"""Removed channels: every bit that remains is what it was, and what is removed is constant.

What enters: drawn networks, full of dead channels. What leaves: nothing but failures. Always
holds: the smaller network is run by the reference's own loops, with the compiler's constants, and
compared with the reference of the whole network at every stage's end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import networks
from between import draw_between
from mbn import arithmetic
from mbn.core.constants import (
    PlainConstants,
    ProductConstants,
    SingleConstants,
    TableConstants,
)
from mbn.core.network import UNREAD, Layer, Network
from mbn.exact import Reference
from mbn.exact.integer import Addition, Arithmetic
from mbn.jobs import check as check_job
from mbn.passes.simplify import remove_constants
from mbn.passes.simplify.intervals import ranges_of

SEEDS = range(2000, 2120)
CASES = [
    *((draw, seed) for draw in (networks.draw, networks.draw_residual) for seed in SEEDS),
    *((draw_between, seed) for seed in SEEDS[::4]),
]
Draw = Callable[[int], Network]


def _as_derived(constants: SingleConstants) -> Arithmetic:
    return Arithmetic(
        constants.weights.astype(np.int64),
        constants.bias.astype(np.int64),
        constants.doubled.astype(np.int64) // 2,
        constants.offset.astype(np.int64),
        constants.shift,
        constants.low,
        constants.high,
    )


def _derived(layer: Layer) -> Arithmetic | Addition | NDArray[np.int8] | None:
    if isinstance(layer.constants, TableConstants):
        return layer.constants.table
    if isinstance(layer.constants, PlainConstants | ProductConstants):
        return None
    if layer.addition is None:
        assert isinstance(layer.constants, SingleConstants)
        return _as_derived(layer.constants)
    found = layer.addition
    return Addition(
        found.first,
        found.second,
        found.offset - (1 << (found.shift - 1)),
        found.shift,
        found.low,
        found.high,
    )


def _running(network: Network) -> Reference:
    """The reference's loops with the constants that the layers carry."""
    made = Reference(network)
    made.arithmetic = [_derived(layer) for layer in network.layers]
    return made


@pytest.mark.parametrize(("draw", "seed"), CASES)
def test_what_remains_is_the_same(seed: int, draw: Draw) -> None:
    network = draw(seed)
    simplified = remove_constants(arithmetic.derive_all(network))
    whole, smaller = Reference(network), _running(simplified.network)
    for image in networks.images(network, 2, seed):
        maps = zip(
            check_job.stage_maps(whole, image),
            check_job.stage_maps(smaller, image),
            simplified.channels,
            network.stages,
            strict=True,
        )
        for full, computed, channels, stage in maps:
            np.testing.assert_array_equal(full[..., channels.kept], computed, str(stage))
            constant = np.flatnonzero(channels.values != UNREAD)
            wanted = np.broadcast_to(channels.values[constant], (*full.shape[:2], len(constant)))
            np.testing.assert_array_equal(full[..., constant], wanted, str(stage))


@pytest.mark.parametrize(("draw", "seed"), CASES[::3])
def test_ranges_hold_every_value(seed: int, draw: Draw) -> None:
    network = arithmetic.derive_all(draw(seed))
    ranges = ranges_of(network)
    for layer, maps in Reference(network).layers(networks.images(network, 4, seed)):
        found = ranges[layer.output]
        assert (maps >= found.low).all(), layer.name
        assert (maps <= found.high).all(), layer.name


@pytest.mark.parametrize("draw", [networks.draw, networks.draw_residual])
def test_something_is_removed(draw: Draw) -> None:
    """Else the tests above would say little."""
    before = after = 0
    for seed in SEEDS:
        network = draw(seed)
        before += network.macs
        after += remove_constants(arithmetic.derive_all(network)).network.macs
    assert after < 0.95 * before
