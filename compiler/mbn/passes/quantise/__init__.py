"""From a float ONNX and real samples to QDQ int8 ONNX."""
