"""From a .tflite file to the QDQ ONNX graph that the rest of the frontend takes."""

from mbn.passes.frontend.tflite_reader.reader import is_tflite, read, tensor_numbers

__all__ = ["is_tflite", "read", "tensor_numbers"]
