"""Runs a .tflite file in LiteRT, by its reference kernels, and gives the maps inside it too.

What enters: the file, and what it was lowered to; an image. What leaves: every map of the network
as int8 codes. Always holds: each tensor of the file is kept until it was read, so that layers can
be compared one by one; LiteRT is imported here only, and its absence is an error in words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.errors import ModelError, ToolError, UsageError
from mbn.core.installing import advice
from mbn.core.network import Layer, Op
from mbn.passes.frontend import Lowered, tflite_reader

Int8 = NDArray[np.int8]


class LitertMaps:
    """LiteRT on a .tflite file, with every layer's result."""

    def __init__(self, path: Path, lowered: Lowered) -> None:
        if not tflite_reader.is_tflite(path):
            raise UsageError(
                f"{path.name} is not a .tflite file", wanted="one, which LiteRT can run itself"
            )
        self.lowered = lowered
        self.interpreter = _interpreter(path)
        self.input = self.interpreter.get_input_details()[0]
        numbers = tflite_reader.tensor_numbers(path)
        self.numbers = [self._number(one, numbers) for one in lowered.network.layers]

    def _number(self, layer: Layer, numbers: dict[str, int]) -> int:
        """Of a layer's result the number of the tensor in the file."""
        if layer.op is Op.SOFTMAX and layer.name not in self.lowered.ends:
            return int(self.interpreter.get_output_details()[0]["index"])
        end = self.lowered.ends.get(layer.name)
        if end is None or end.codes not in numbers:
            raise ModelError(
                f"which tensor is the result of layer {layer.name} is not known",
                wanted="one of the file's for each layer",
            )
        return numbers[end.codes]

    def run(self, image: Int8) -> dict[str, Int8]:
        """Every tensor of the network by name, height x width x channel, for one image."""
        network = self.lowered.network
        self.interpreter.set_tensor(self.input["index"], self._typed(image))
        self.interpreter.invoke()
        maps = {network.input.name: image}
        for layer, number in zip(network.layers, self.numbers, strict=True):
            tensor = network.tensor(layer.output)
            found = self.interpreter.get_tensor(number)
            maps[tensor.name] = _as_int8(found).reshape(tensor.shape)
        return maps

    def _typed(self, image: Int8) -> NDArray[Any]:
        kind, tensor = self.input["dtype"], self.lowered.network.input
        if kind == np.float32:
            real = (image.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale)
            return real.astype(np.float32).reshape(self.input["shape"])
        codes = image if kind == np.int8 else (image.astype(np.int16) + 128).astype(np.uint8)
        return codes.reshape(self.input["shape"])


def _as_int8(codes: NDArray[Any]) -> Int8:
    if codes.dtype == np.uint8:
        codes = codes.astype(np.int16) - 128
    return codes.astype(np.int8)


def _interpreter(path: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import (  # type: ignore[import-untyped] # noqa: PLC0415
            Interpreter,
            OpResolverType,
        )
    except ImportError as error:
        raise ToolError("ai-edge-litert is not installed", advice=advice("litert")) from error
    try:
        made = Interpreter(
            model_path=str(path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        made.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()
        raise ModelError(
            f"LiteRT can't load the file ({reason[0] if reason else type(error).__name__})",
            node=str(path),
        ) from error
    return made
