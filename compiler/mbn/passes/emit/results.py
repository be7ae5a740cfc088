"""Lines of C about a network's results.

For a network with one result only `about` returns text.
"""

from __future__ import annotations

from collections.abc import Sequence

from mbn.core.network import Network, Tensor
from mbn.passes.emit.names import plain


def about(network: Network) -> str:
    """Lines of the comment that begins each file."""

    def one(out: Tensor) -> str:
        return f"{out.shape_text} int8, real = {out.scale!r} * (q - {out.zero_point})"

    outputs = network.outputs
    if len(outputs) == 1:
        return f"Output: {one(outputs[0])}"
    lines = [f"  {at} {out.name}: {one(out)}" for at, out in enumerate(outputs)]
    return "\n * ".join(["Results, each a whole map:", *(plain(line) for line in lines)])


def macros(network: Network, prefix: str) -> str:
    """Of several results the number, and the shape and meaning of each."""
    if not network.results:
        return ""
    upper = prefix.upper()
    lines = [f"#define {upper}_RESULTS {len(network.outputs)}u /* see mbn_result */"]
    for at, out in enumerate(network.outputs):
        name = f"#define {upper}_RESULT_{at}"
        lines += [
            f"{name}_HEIGHT {out.height}u",
            f"{name}_WIDTH {out.width}u",
            f"{name}_CHANNELS {out.channels}u",
            f"{name}_BYTES {out.size_bytes}u",
            f"{name}_SCALE {out.scale!r}f",
            f"{name}_ZERO_POINT ({out.zero_point})",
        ]
    return "\n".join(lines) + "\n"


def indices(network: Network, tensors: Sequence[Tensor]) -> list[int]:
    """Of the results; numbered are the tensors between stages."""
    names = [tensor.name for tensor in tensors]
    return [names.index(out.name) for out in network.outputs]


def table(network: Network, tensors: Sequence[Tensor]) -> str:
    """The array that `fields` names."""
    if not network.results:
        return ""
    found = indices(network, tensors)
    return f"static const uint16_t results[{len(found)}] = {{{', '.join(map(str, found))}}};\n\n"


def fields(network: Network) -> str:
    """Lines of the network's description."""
    if not network.results:
        return ""
    return f"    .result_count = {len(network.outputs)},\n    .results = results,\n"
