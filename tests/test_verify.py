"""What every network keeps: each kind of fault is found, and after each pass.

What enters: a small sound network and one change. What leaves: failures. Always holds: the error
names the pass, the place, what was found and what is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import networks
from mbn import arithmetic
from mbn.core.errors import BrokenNetwork
from mbn.core.kernel_set import SCALAR
from mbn.core.network import Layer, Network, Stage, StageKind, Tensor
from mbn.core.options import Options
from mbn.core.verify import verify
from mbn.jobs.lower import lowering
from mbn.passes.simplify import remove_constants

SOUND = networks.make_network((8, 8, 3), [networks.conv(4, 3), networks.conv(5)], seed=1)


def layer(index: int, **changes: Any) -> Callable[[Network], Network]:
    """A change of one layer."""

    def changed(network: Network) -> Network:
        layers = list(network.layers)
        layers[index] = replace(layers[index], **changes)
        return replace(network, layers=tuple(layers))

    return changed


def tensor(index: int, **changes: Any) -> Callable[[Network], Network]:
    """A change of one tensor."""

    def changed(network: Network) -> Network:
        tensors = list(network.tensors)
        tensors[index] = replace(tensors[index], **changes)
        return replace(network, tensors=tuple(tensors))

    return changed


FIRST: Layer = SOUND.layers[0]
OUT: Tensor = SOUND.tensor(FIRST.output)
assert FIRST.weights is not None and FIRST.bias is not None and FIRST.weight_scales is not None

BROKEN: dict[str, tuple[Callable[[Network], Network], str]] = {
    "scale": (tensor(1, scale=0.0), "scale 0.0, after simplify. wanted: a finite one above zero"),
    "zero point": (tensor(1, zero_point=128), "zero point 128"),
    "shape": (tensor(0, height=0), "shape 0x8x3"),
    "name": (tensor(1, name=SOUND.tensors[0].name), "two have one name"),
    "output": (tensor(1, height=OUT.height + 1), f"wanted: {OUT.height}x{OUT.width}"),
    "order": (layer(0, input=SOUND.layers[1].output), "the image or an earlier output"),
    "made twice": (layer(1, output=OUT.name), "again"),
    "weights": (
        layer(0, weights=FIRST.weights[:-1]),
        "weights int8(3, 3, 3, 3), after simplify. wanted: int8(4",
    ),
    "weights' dtype": (layer(0, weights=FIRST.weights.astype(np.int16)), "weights int16"),
    "bias": (layer(0, bias=FIRST.bias[:-1]), "biases int32(3,)"),
    "weight scale": (
        layer(0, weight_scales=-FIRST.weight_scales),
        "a weight scale that is not a positive number",
    ),
    "clamp": (layer(0, clamp=(6.0, 0.0)), "clamp (6.0, 0.0)"),
    "result": (lambda network: replace(network, results=("nothing",)), "nothing makes it"),
    "stages": (
        lambda network: replace(network, stages=(Stage("one", StageKind.CONV, (0,)),)),
        "they cover layers [0], after simplify. wanted: each once, in order",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_found(kind: str) -> None:
    change, said = BROKEN[kind]
    assert verify(SOUND, "simplify") is SOUND
    with pytest.raises(BrokenNetwork) as caught:
        verify(change(SOUND), "simplify")
    assert said in str(caught.value) and "after simplify" in str(caught.value)


def test_constants_are_wanted_where_they_were_derived() -> None:
    derived = arithmetic.derive_all(SOUND)
    verify(derived, "the arithmetic", constants=True)
    with pytest.raises(BrokenNetwork, match="no derived integers"):
        verify(SOUND, "the arithmetic", constants=True)
    constants = derived.layers[0].constants
    assert constants is not None
    low_above_high = replace(constants, low=5, high=4)
    with pytest.raises(BrokenNetwork, match=r"a clamp to 5 \.\. 4"):
        verify(layer(0, constants=low_above_high)(derived), "the arithmetic", constants=True)


def test_a_pass_that_breaks_a_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault shows behind the pass that made it, before anything is lowered."""

    def careless(network: Network) -> Any:
        made = remove_constants(network)
        return replace(made, network=tensor(1, zero_point=200)(made.network))

    monkeypatch.setattr(lowering, "remove_constants", careless)
    with pytest.raises(BrokenNetwork, match="zero point 200, after simplify"):
        lowering.generate(SOUND, lowering.Target(SCALAR), Options())
