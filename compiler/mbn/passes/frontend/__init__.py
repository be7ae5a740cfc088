"""From a QDQ int8 ONNX file to the integer stages: the only place that knows ONNX and Relax."""

from mbn.passes.frontend.lower import Lowered, lower, lower_graph

__all__ = ["Lowered", "lower", "lower_graph"]
