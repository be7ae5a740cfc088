"""Static quantisation with ONNX Runtime.

From a float ONNX file and calibration samples (float32 1 x C x H x W, or N x ...) it makes a QDQ
ONNX file: int8 weights (zero point 0, one scale for each output channel), int8 activations (one
scale and zero point for each tensor), int32 biases. Batch norms are folded before calibration.
Ranges are the least and largest values seen. The same file and samples give the same bytes.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.version_converter
from numpy.typing import NDArray
from onnx import helper
from onnxruntime.quantization import (  # type: ignore[import-untyped, unused-ignore]
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.registry import (  # type: ignore[import-untyped, unused-ignore]
    QDQRegistry,
    QLinearOpsRegistry,
)
from onnxruntime.quantization.shape_inference import (  # type: ignore[import-untyped, unused-ignore]
    quant_pre_process,
)

from mbn.core.errors import ModelError, QuantiseError, UnsupportedError
from mbn.passes.quantise.islands import begins_with_pool, island_nodes, quantised_types

Float32 = NDArray[np.float32]
Progress = Callable[[int], None]  # samples calibrated so far

PER_CHANNEL_OPSET, CONVERTED_OPSET = 13, 17
_MOVES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
_QUANTISED_OPS = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"}


@dataclass(frozen=True)
class QuantiseReport:
    """What quantisation did. `bytes_*` are file sizes."""

    path: Path
    samples: int
    quantised_nodes: int  # Conv and Gemm nodes that now have int8 weights
    float_size_bytes: int
    int8_size_bytes: int


def is_quantised(model: onnx.ModelProto) -> bool:
    """Whether a model has scales already (QDQ, or quantised operators)."""
    return any(node.op_type in _QUANTISED_OPS for node in model.graph.node)


def load(path: Path) -> onnx.ModelProto:
    """An ONNX file, checked; raises ModelError if it is missing, truncated or not well-formed."""
    if not path.is_file():
        raise ModelError("no such file", node=str(path), wanted="an ONNX file")
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's, onnx's and the file system's have no common base
        raise ModelError(
            f"not a complete ONNX model ({_first_line(error)})",
            node=str(path),
            wanted="a complete ONNX file",
            advice="Export or copy it again",
        ) from error
    return model


def quantise(
    float_model_path: Path,
    samples: Iterable[Float32],
    output_path: Path,
    *,
    input_range: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> QuantiseReport:
    """Quantises a float ONNX file.

    `samples`: float32 arrays N x C x H x W, N images each, normalised as the network wants them.
    `input_range`: the real least and largest input, where known; else that of the samples.
    `progress`: called with the number of images that calibration has seen.
    Raises QuantiseError without samples or if they don't fit, ModelError if the file is none,
    UnsupportedError if it is quantised already.
    """
    model = load(float_model_path)
    if is_quantised(model):
        raise UnsupportedError(
            "the network is quantised already",
            node=str(float_model_path),
            advice="Compile it as it is, without calibration data",
        )
    reader = _Reader(model, samples, progress)
    try:
        made = _run_ort(float_model_path, reader, _options(reader.name, input_range))
        result = _clean(made, model)
    except QuantiseError:
        raise
    except Exception as error:  # ONNX Runtime raises nearly anything here
        raise QuantiseError(
            f"ONNX Runtime can't quantise it ({_first_line(error)})",
            node=str(float_model_path),
            wanted="a float network with fixed shapes and samples of its input's shape",
        ) from error
    output_path.parent.mkdir(parents=True, exist_ok=True)
    output_path.write_bytes(result.SerializeToString(deterministic=True))
    return QuantiseReport(
        output_path,
        reader.count,
        _count_int8(result),
        float_model_path.stat().st_size,
        output_path.stat().st_size,
    )


def _run_ort(path: Path, reader: _Reader, options: dict[str, Any]) -> onnx.ModelProto:
    """Folds, calibrates and quantises in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, _quiet_ort():
        folded = Path(folder) / "folded.onnx"
        made = Path(folder) / "quantised.onnx"
        whole = Path(folder) / "whole.onnx"
        onnx.save(_self_contained(path), str(whole))
        # Symbolic shape inference would need sympy, and fixed shapes don't need it.
        quant_pre_process(str(whole), str(folded), skip_symbolic_shape=True)
        graph = onnx.load(str(folded))
        excluded = island_nodes(graph)
        if excluded:
            onnx.save(graph, str(folded))
        if excluded or begins_with_pool(graph):
            # else a pool in front, or right behind an island, is not quantised
            options["ForceQuantizeNoInputCheck"] = True
        _override_moved(graph, reader.name, options)
        usual = [*QLinearOpsRegistry, *QDQRegistry]
        quantize_static(
            str(folded),
            str(made),
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options=options,
            nodes_to_exclude=excluded,
            op_types_to_quantize=quantised_types(graph, usual),
        )
        return _with_clips(onnx.load(str(made)), onnx.load(str(folded)))


def _override_moved(model: onnx.ModelProto, name: str, options: dict[str, Any]) -> None:
    """The input's known range is that of what is only reshaped from it, too: ONNX Runtime
    quantises that instead where a dense layer reads it."""
    overrides = options.get("TensorQuantOverrides", {})
    same = {name}
    for node in model.graph.node:  # in topological order
        if node.op_type in _MOVES and node.input[0] in same and name in overrides:
            same.update(node.output)
            overrides.update({moved: list(overrides[name]) for moved in node.output})


def _with_clips(made: onnx.ModelProto, folded: onnx.ModelProto) -> onnx.ModelProto:
    """Puts back the Clips that ONNX Runtime took away though int8 does not clip for them: it
    trusts the range of the codes, which always holds zero, and these Clips' ranges do not."""
    constants = {one.name: one for one in folded.graph.initializer}
    for node in folded.graph.node:
        if node.op_type != "Clip" or any(node.output[0] in n.output for n in _clips(made)):
            continue
        low, high = _clip_range(node, constants)
        if low <= 0 <= high:
            continue
        _insert_clip(made, node, low, high)
    return made


def _clips(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == "Clip"]


def _clip_range(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> tuple[float, float]:
    """A Clip's bounds, from attributes or, from opset 11 on, from inputs."""
    ends = {"min": -np.inf, "max": np.inf}
    ends |= {one.name: one.f for one in node.attribute if one.name in ends}
    for name, given in zip(ends, node.input[1:], strict=False):
        if given in constants:
            ends[name] = float(onnx.numpy_helper.to_array(constants[given]))
    return ends["min"], ends["max"]


def _insert_clip(made: onnx.ModelProto, clip: onnx.NodeProto, low: float, high: float) -> None:
    """A Clip behind the node that makes the removed one's result, before it is quantised."""
    result = clip.output[0]
    at, producer = next(
        (index, node) for index, node in enumerate(made.graph.node) if result in node.output
    )
    unclipped, ends = f"{result}_unclipped", (f"{result}_low", f"{result}_high")
    producer.output[list(producer.output).index(result)] = unclipped
    made.graph.node.insert(
        at + 1, helper.make_node("Clip", [unclipped, *ends], [result], name=clip.name)
    )
    made.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(end, np.float32), name)
        for name, end in zip(ends, (low, high), strict=True)
    )


def _self_contained(path: Path) -> onnx.ModelProto:
    """The model with weights that lie beside the file, which ONNX Runtime's pre-processing would
    lose, and in an opset that knows scales by channel."""
    model = onnx.load(str(path))
    versions = [opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    if versions and versions[0] < PER_CHANNEL_OPSET:
        model = onnx.version_converter.convert_version(model, CONVERTED_OPSET)
    return model


def _options(name: str, input_range: tuple[float, float] | None) -> dict[str, Any]:
    """Extra options of ONNX Runtime's quantiser."""
    options: dict[str, Any] = {"ActivationSymmetric": False, "WeightSymmetric": True}
    if input_range is not None:
        low, high = input_range
        scale = np.float32((high - low) / 255.0)
        zero_point = np.int8(np.clip(round(-128 - low / float(scale)), -128, 127))
        override = {"scale": np.array(scale), "zero_point": np.array(zero_point)}
        options["TensorQuantOverrides"] = {name: [override]}
    return options


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the samples to the calibrator one image at a time, checking that they fit."""

    def __init__(
        self, model: onnx.ModelProto, samples: Iterable[Float32], progress: Progress | None
    ) -> None:
        constants = {constant.name for constant in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in constants]
        if len(inputs) != 1:
            raise UnsupportedError(f"{len(inputs)} inputs", wanted="a network with one input")
        self.name: str = inputs[0].name
        dims = inputs[0].type.tensor_type.shape.dim
        self.shape = tuple(dim.dim_value if dim.HasField("dim_value") else 0 for dim in dims)
        self.count = 0
        self._progress = progress
        self._images = _singly(samples)
        self._first: Float32 | None = next(self._images, None)
        if self._first is None:
            raise QuantiseError(
                "no calibration data",
                wanted="some real images of the kind that the network will see",
                advice="Give them with --calibrate FOLDER; 100 is plenty",
            )
        self._check(self._first)

    def get_next(self) -> dict[str, Float32] | None:
        image = self._first if self._first is not None else next(self._images, None)
        self._first = None
        if image is None:
            return None
        self._check(image)
        self.count += 1
        if self._progress is not None:
            self._progress(self.count)
        return {self.name: image}

    def _check(self, image: Float32) -> None:
        # A dimension of 0 is one that the file leaves open.
        fits = len(image.shape) == len(self.shape) and all(
            wanted in {0, found} for found, wanted in zip(image.shape, self.shape, strict=True)
        )
        if not fits or image.dtype != np.float32:
            raise QuantiseError(
                f"a calibration sample of {image.dtype} {image.shape}",
                node=self.name,
                wanted=f"float32 {self.shape}",
            )


def _singly(samples: Iterable[Float32]) -> Iterator[Float32]:
    for batch in samples:
        for index in range(len(batch)):
            yield np.ascontiguousarray(batch[index : index + 1])


def _clean(model: onnx.ModelProto, source: onnx.ModelProto) -> onnx.ModelProto:
    """Removes what ONNX Runtime added (its version, its folders); keeps our metadata."""
    del model.metadata_props[:]
    helper.set_model_props(model, {prop.key: prop.value for prop in source.metadata_props})
    model.producer_name, model.producer_version = "mbn", ""
    model.doc_string = ""
    model.graph.name = source.graph.name
    used = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    constants = sorted(model.graph.initializer, key=lambda constant: constant.name)
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)
    onnx.checker.check_model(model, full_check=True)
    return model


def _count_int8(model: onnx.ModelProto) -> int:
    int8 = {
        constant.name
        for constant in model.graph.initializer
        if constant.data_type == onnx.TensorProto.INT8 and len(constant.dims) >= 2
    }
    return sum(
        node.op_type == "DequantizeLinear" and node.input[0] in int8 for node in model.graph.node
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet_ort() -> Iterator[None]:
    """Silences the quantiser's advice on the root logger, which is about what is done here."""
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(previous)
