"""From an ONNX file to a `Network`.

The file is a QDQ int8 graph. The network has integer layers, grouped in stages. Every operator
between the image and a result must become an integer layer, or it is refused with its node's name.
Two things may follow: a softmax and dequantisation stay on the host and are listed in `host_ops`;
reshapes and transposes are dropped, since results are stored as height, width, channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mbn.core.errors import UnsupportedError
from mbn.core.network import MOST_STAGES, Network
from mbn.core.options import Rounding
from mbn.passes.frontend import float_ends, onnx_file, relax_module
from mbn.passes.frontend.ends import QuantisedEnd
from mbn.passes.frontend.integer_pass import find_integer_stages
from mbn.passes.frontend.normalisation import Normalisation, take_normalisation
from mbn.passes.frontend.reader import Reader, refusals
from mbn.passes.frontend.stages import group_stages
from mbn.passes.frontend.supported import node_label
from mbn.passes.frontend.tflite_form import MEANS, in_tflite


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network, and where its maps are in the graph that it comes from."""

    network: Network
    ends: dict[str, QuantisedEnd]  # by layer name, where known
    channels_last: bool  # of the graph's input
    graph: onnx_file.OnnxGraph
    normalisation: Normalisation | None  # of the input, taken out of the graph


def lower(
    path: Path,
    name: str,
    *,
    fused: bool = True,
    rounding: Rounding = Rounding.SINGLE,
) -> Network:
    """The network alone; see `lower_graph`."""
    return lower_graph(path, name, fused=fused, rounding=rounding).network


def lower_graph(
    path: Path,
    name: str,
    *,
    fused: bool = True,
    rounding: Rounding = Rounding.SINGLE,
    input_shape: tuple[int, ...] | None = None,
) -> Lowered:
    """Compiles an ONNX file's graph to integer layers.

    `input_shape`: sizes of the input that the file leaves open. `fused` groups each depthwise layer
    with the pointwise that follows it into one block stage.
    Raises ModelError or UnsupportedError with the node's name.
    """
    model = onnx_file.load(path, input_shape)
    normalisation = take_normalisation(model)
    graph = onnx_file.prepare(model)
    if not onnx_file.is_quantised(graph.model):
        raise UnsupportedError(
            f"{path.name} is a float network",
            wanted="QDQ int8",
            advice="give calibration images with --calibrate DIR",
        )
    module, problems = find_integer_stages(
        relax_module.import_graph(graph),
        len(graph.ends),
        host_sigmoid=rounding is Rounding.SINGLE,
    )
    reader = Reader(module["main"], graph, problems)
    network = reader.read(name)
    if rounding is Rounding.TFLITE:
        operators = {node_label(node): node.op_type for node in graph.model.graph.node}
        means = {name for name, end in reader.ends.items() if operators.get(end.node) in MEANS}
        network = in_tflite(network, reader.softmax_result, means)
    network = group_stages(network, fused=fused)
    if len(network.stages) > MOST_STAGES:
        raise UnsupportedError(
            f"the network has {len(network.stages)} stages", wanted=f"at most {MOST_STAGES}"
        )
    if normalisation is not None:
        mean, std = normalisation.of_pixels(*normalisation.pixel_range())
        network = replace(network, mean=mean, std=std)
    return Lowered(network, reader.ends, reader.channels_last, graph, normalisation)


def all_refusals(path: Path, input_shape: tuple[int, ...] | None = None) -> list[UnsupportedError]:
    """Every error about an operator or its form in a QDQ graph, not only the first. Empty if
    `lower` would raise another error, or none."""
    model = onnx_file.load(path, input_shape)
    take_normalisation(model)
    graph = onnx_file.prepare(model)
    _, problems = find_integer_stages(relax_module.import_graph(graph), len(graph.ends))
    ends = float_ends.float_ends(graph.model)
    return [*refusals(graph, problems), *([float_ends.refusal(ends)] if ends else [])]
