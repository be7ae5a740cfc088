"""Operators besides plain convolutions, and how each is spelled: against ONNX Runtime.

What enters: graphs of qdq.py. What leaves: nothing but failures. Always holds: as test_frontend.py;
what can't be lowered is refused by an MbnError that names it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import qdq
from test_frontend import agree


def start(channels: int = 4, height: int = 6, width: int = 5) -> qdq.Graph:
    """A convolution, quantised; what is tested follows."""
    graph = qdq.Graph((1, 3, height, width))
    graph.channels = 3
    graph.dequantise("image", 0.02, 1)
    graph.convolve(channels, 3, pads=(1, 1, 1, 1), name="first")
    graph.quantise(0.05, -7)
    return graph


@pytest.mark.parametrize("axis", [1, 3])
def test_a_quantised_softmax_is_moved_by_the_host(axis: int, tmp_path: Path) -> None:
    """What only moves the host's result is the host's too."""
    graph = start(3)
    if axis == 1:
        graph.then("Softmax", axis=1)
        graph.quantise(1 / 256, -128)
        graph.then("Transpose", perm=[0, 2, 3, 1])
    else:
        graph.then("Transpose", perm=[0, 2, 3, 1])
        graph.then("Softmax", axis=3)
    graph.quantise(1 / 256, -128)
    network = agree(graph, tmp_path)
    assert network.host_ops == ("softmax",)
    assert [layer.name for layer in network.layers] == ["first"]
