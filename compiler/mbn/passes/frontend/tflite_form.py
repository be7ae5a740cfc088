"""What rounding `tflite` changes in a network: the softmax becomes a layer, a pool a MEAN.

If the graph quantises its softmax, the softmax runs on the device, because the .tflite file's
result is the int8 value after it. A softmax in float stays on the host: TensorFlow Lite has no
int8 kernel for it. TensorFlow Lite has two averages over a whole map, which round in different
ways: AVERAGE_POOL_2D is ONNX's AveragePool, MEAN its GlobalAveragePool or ReduceMean.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mbn.core.errors import UnsupportedError
from mbn.core.network import Layer, Network, Op, Tensor
from mbn.core.options import Rounding

MEANS = ("GlobalAveragePool", "ReduceMean")  # of ONNX: TensorFlow Lite's MEAN


def in_tflite(
    network: Network, softmax: tuple[float, int] | None, means: Collection[str] = ()
) -> Network:
    """`softmax`: the scale and zero point of its result, if it is quantised. `means`: the names of
    the layers that come from one of MEANS."""
    divided = next((one for one in network.layers if one.op is Op.NORMALISE), None)
    if divided is not None:
        raise UnsupportedError(
            "a division by a vector's length",
            node=f"node {divided.name}",
            wanted="none, in rounding tflite",
            advice="compile with --rounding single, or leave it float: the host divides then",
        )
    layers = tuple(
        replace(one, is_mean=True) if one.op is Op.POOL and one.name in means else one
        for one in network.layers
    )
    network = replace(network, layers=layers, rounding=Rounding.TFLITE)
    if softmax is None:
        return network
    if network.results:
        raise UnsupportedError(
            "a quantised softmax among several results",
            wanted="a softmax after a single result, in rounding tflite",
            advice="compile with --rounding single: the softmax is the host's there",
        )
    logits, name = network.output, "softmax"
    scale, zero_point = softmax
    out = Tensor(f"{name}:out", *logits.shape, scale, zero_point)
    layer = Layer(
        name=name,
        op=Op.SOFTMAX,
        input=logits.name,
        output=out.name,
        kernel=(1, 1),
        stride=(1, 1),
        pads=(0, 0, 0, 0),
        clamp=(None, None),
    )
    return replace(
        network,
        tensors=(*network.tensors, out),
        layers=(*network.layers, layer),
        host_ops=tuple(op for op in network.host_ops if op != "softmax"),
    )
