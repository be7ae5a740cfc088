"""`network.npz`: a `Network` on disk, before any arithmetic is derived.

The same network gives the same bytes (sorted entries, fixed dates). Scales are written as the
float32 values of the ONNX file. A damaged file raises ModelError.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.detector import BoxMap, Detector, Scores
from mbn.core.errors import ModelError
from mbn.core.expression import Element, Expression, Kind, Step
from mbn.core.files import read_regular
from mbn.core.network import Layer, Moves, Network, Op, Sampling, Stage, StageKind, Tensor
from mbn.core.options import Rounding

FORMAT_VERSION = 2
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def to_bytes(network: Network) -> bytes:
    """The file's contents: a zip of .npy arrays and one JSON description."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    layers = []
    for index, layer in enumerate(network.layers):
        layers.append(
            {
                "name": layer.name,
                "op": layer.op.value,
                "input": layer.input,
                "output": layer.output,
                "kernel": layer.kernel,
                "stride": layer.stride,
                "pads": layer.pads,
                "clamp": layer.clamp,
                **_rest_of(layer),
            }
        )
        arrays |= {f"{index:03d}.{key}": value for key, value in _arrays_of(layer).items()}
    head = {
        "format": FORMAT_VERSION,
        "name": network.name,
        "classes": network.classes,
        "host_ops": network.host_ops,
        "rounding": network.rounding.value,
        **({"mean": network.mean, "std": network.std} if network.mean else {}),
        **({"results": network.results} if network.results else {}),
        **({"detector": asdict(network.detector)} if network.detector else {}),
        "tensors": [[t.name, t.height, t.width, t.channels, t.zero_point] for t in network.tensors],
        "layers": layers,
        "stages": [[s.name, s.kind.value, s.layers] for s in network.stages],
    }
    arrays["tensor_scales"] = np.array([t.scale for t in network.tensors], np.float32)
    text = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
    arrays["network"] = np.frombuffer(text, np.uint8)
    return _zip(arrays)


def _rest_of(layer: Layer) -> dict[str, Any]:
    """What only some layers have."""
    rest: dict[str, Any] = {}
    if layer.others:
        rest["second"] = layer.others[0]
    if layer.others[1:]:
        rest["more"] = layer.others[1:]
    if layer.is_mean:
        rest["is_mean"] = True
    if layer.groups != 1:
        rest["groups"] = layer.groups
    if layer.op is Op.RESIZE:
        rest |= {"sampling": layer.sampling.value, "factor": layer.factor}
    if layer.moves is not None:
        rest["fill"] = layer.moves.fill
    if layer.expression is not None:
        rest["kind"] = layer.expression.kind.value
        rest["steps"] = [[one.element.value, *one.operands] for one in layer.expression.steps]
        rest["constants"] = len(layer.expression.constants)
    return rest


def _arrays_of(layer: Layer) -> dict[str, NDArray[Any]]:
    """A layer's arrays by the ends of their names."""
    found: dict[str, NDArray[Any] | None] = {
        "weights": layer.weights,
        "weight_scales": layer.weight_scales,
        "bias": layer.bias,
        "taps": None if layer.moves is None else layer.moves.taps,
    }
    if layer.expression is not None:
        found |= {f"constant{at}": one for at, one in enumerate(layer.expression.constants)}
    return {key: value for key, value in found.items() if value is not None}


def _zip(arrays: dict[str, np.ndarray[Any, Any]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(arrays[name]))
            info = zipfile.ZipInfo(f"{name}.npy", _ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entry.getvalue())
    return out.getvalue()


def sha256(network: Network) -> str:
    """The model's identity: a hash of the uncompressed contents, so that zlib's version doesn't
    matter."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(io.BytesIO(to_bytes(network))) as archive:
        for name in archive.namelist():
            digest.update(name.encode())
            digest.update(archive.read(name))
    return digest.hexdigest()


def save(network: Network, path: Path) -> None:
    path.write_bytes(to_bytes(network))


def load(path: Path) -> Network:
    """Reads what `save` wrote; ModelError if it is missing or damaged."""
    try:
        with np.load(io.BytesIO(read_regular(path)), allow_pickle=False) as data:
            head = json.loads(data["network"].tobytes())
            scales = data["tensor_scales"]
            arrays = {name: data[name] for name in data.files}
        if head["format"] != FORMAT_VERSION:
            raise ModelError(
                f"{path} has format {head['format']}",
                wanted=f"format {FORMAT_VERSION}",
                advice="compile again with this version",
            )
        return _network(head, scales, arrays)
    except ModelError:
        raise
    except FileNotFoundError as error:
        raise ModelError(
            f"no file {path}", wanted="a compiled network", advice="run mbn-compile first"
        ) from error
    except Exception as error:
        raise ModelError(
            f"{path} is damaged ({type(error).__name__})",
            wanted="a file that mbn-compile wrote",
            advice="compile again",
        ) from error


def _rest_from(layer: dict[str, Any], arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    """What `_rest_of` wrote."""
    others = ([layer["second"]] if "second" in layer else []) + layer.get("more", [])
    rest: dict[str, Any] = {"others": tuple(others), "groups": layer.get("groups", 1)}
    rest["is_mean"] = layer.get("is_mean", False)
    if "factor" in layer:
        rest |= {"sampling": Sampling(layer["sampling"]), "factor": tuple(layer["factor"])}
    if "fill" in layer:
        rest["moves"] = Moves(arrays[f"{prefix}taps"], layer["fill"])
    if "steps" in layer:
        rest["expression"] = Expression(
            tuple(arrays[f"{prefix}constant{at}"] for at in range(layer["constants"])),
            tuple(Step(Element(name), tuple(operands)) for name, *operands in layer["steps"]),
            Kind(layer["kind"]),
        )
    return rest


def _network(head: dict[str, Any], scales: Any, arrays: dict[str, Any]) -> Network:
    tensors = tuple(
        Tensor(name, height, width, channels, float(scale), zero)
        for (name, height, width, channels, zero), scale in zip(
            head["tensors"], scales, strict=True
        )
    )
    layers = tuple(
        Layer(
            name=layer["name"],
            op=Op(layer["op"]),
            input=layer["input"],
            output=layer["output"],
            kernel=tuple(layer["kernel"]),
            stride=tuple(layer["stride"]),
            pads=tuple(layer["pads"]),
            clamp=tuple(layer["clamp"]),
            weights=arrays.get(f"{index:03d}.weights"),
            weight_scales=arrays.get(f"{index:03d}.weight_scales"),
            bias=arrays.get(f"{index:03d}.bias"),
            **_rest_from(layer, arrays, f"{index:03d}."),
        )
        for index, layer in enumerate(head["layers"])
    )
    stages = tuple(
        Stage(name, StageKind(kind), tuple(indices)) for name, kind, indices in head["stages"]
    )
    made = Network(
        head["name"],
        tensors,
        layers,
        stages,
        classes=tuple(head["classes"]),
        host_ops=tuple(head["host_ops"]),
        rounding=Rounding(head["rounding"]),
        mean=tuple(head.get("mean", ())),
        std=tuple(head.get("std", ())),
        results=tuple(head.get("results", ())),
        detector=_detector(head["detector"]) if "detector" in head else None,
    )
    shapes = [out.shape for out in made.outputs]
    if made.detector is not None and (problem := made.detector.problem(shapes)):
        raise ValueError(*problem)
    return made


def _detector(data: dict[str, Any]) -> Detector:
    maps = tuple(
        BoxMap(
            one["class_result"],
            one["box_result"],
            tuple((height, width) for height, width in one["sizes"]),
        )
        for one in data["maps"]
    )
    values = {**data, "maps": maps, "scores": Scores(data["scores"])}
    return Detector(**{**values, "variances": tuple(data["variances"])})
