"""Where a network loses by being quantised: each layer of the integers against the float network.

What enters: a float ONNX file, calibration samples, and samples to compare on (else those). What
leaves: each layer's signal-to-noise ratio in dB. Always holds: both run whole on the same samples,
so a layer's noise is all that came before it too; ONNX Runtime runs the user's own file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.errors import UsageError
from mbn.core.network import Layer, Tensor
from mbn.core.telling import Teller
from mbn.exact import Reference
from mbn.jobs.lower import sources
from mbn.jobs.lower.inputs import InputForm, as_codes
from mbn.jobs.lower.runtime import session_of
from mbn.passes.frontend import Lowered, lower_graph, onnx_file

_CODES = "_QuantizeLinear_Output"  # what ONNX Runtime's quantiser adds to a tensor's name
WORST = 3  # layers that are named


@dataclass
class LayerNoise:
    """One layer's signal and noise, sums of squares of real values over all samples."""

    layer: Layer
    tensor: str | None  # the float file's; None: it has none that is the same
    signal: float = 0.0
    noise: float = 0.0
    lost_db: float | None = None  # against the noisiest of what it reads

    @property
    def snr_db(self) -> float | None:
        """None: not compared, or no noise or signal at all."""
        if self.signal == 0 or self.noise == 0:
            return None
        return float(10 * np.log10(self.signal / self.noise))


@dataclass(frozen=True)
class FloatComparison:
    """What a comparison with the float network found."""

    name: str
    what: str
    layers: tuple[LayerNoise, ...]

    @property
    def worst(self) -> tuple[LayerNoise, ...]:
        """The layers that lose most, the worst first."""
        losing = [one for one in self.layers if one.lost_db is not None and one.lost_db > 0]
        return tuple(sorted(losing, key=lambda one: -(one.lost_db or 0))[:WORST])


def compare(request: sources.Request, tell: Teller) -> FloatComparison:
    """Quantises the request's float network and compares. Raises UsageError for a network that is
    quantised already, QuantiseError without calibration data."""
    assert request.onnx is not None
    with tempfile.TemporaryDirectory() as work:
        source = sources.find_network(request, Path(work), tell)
        if source.float_path is None or source.form is None or source.calibration is None:
            raise UsageError(
                f"{request.onnx.name} is quantised already",
                wanted="the float network, and --calibrate",
                advice="--against onnxruntime compares a quantised one",
            )
        lowered = lower_graph(source.path, source.name)
        model = onnx_file.stored(source.float_path)
        maps, what = _samples(request, source)
        mean, std = sources.normalisation(
            request, lowered.network.input.channels, source.normalisation
        )
        codes = as_codes(replace(lowered.network, mean=mean, std=std), maps, source.form)
        known = {name for node in model.graph.node for name in node.output}
        found = [_of(layer, lowered, known) for layer in lowered.network.layers]
        names = [one.tensor for one in found if one.tensor is not None]
        if not names:
            raise UsageError("no layer's result has the name of one in the float file")
        session = session_of(model, names, source.float_path, optimised=False)
        with tell.task(f"comparing {len(maps)} samples", len(maps)) as step:
            for number, one in enumerate(maps):
                fed = sources.real_input(request, source.form, one[None])
                results = session.run(None, {session.get_inputs()[0].name: fed})
                real = dict(zip((o.name for o in session.get_outputs()), results, strict=True))
                _take(found, lowered, codes[number : number + 1], real, source.form)
                step(number + 1, None)
    _compare_with_inputs(found, lowered)
    return FloatComparison(source.name, what, tuple(found))


def _samples(request: sources.Request, source: sources.Source) -> tuple[Any, str]:
    """What both run on: --images, or some of the calibration samples."""
    assert source.form is not None
    assert source.calibration is not None
    if request.images is None:
        chosen = source.calibration[: request.samples]
        return chosen, f"{len(chosen)} calibration samples"
    images = sources.calibration_maps(replace(request, calibrate=request.images), source.form)
    images = images[: request.samples]
    return images, f"{len(images)} samples of {request.images.name}"


def _of(layer: Layer, lowered: Lowered, known: set[str]) -> LayerNoise:
    end = lowered.ends.get(layer.name)
    name = None if end is None else end.codes.removesuffix(_CODES)
    return LayerNoise(layer, name if name in known else None)


def _take(
    found: Sequence[LayerNoise],
    lowered: Lowered,
    codes: NDArray[np.int8],
    real: dict[str, NDArray[Any]],
    form: InputForm,
) -> None:
    network = lowered.network
    for one, (layer, made) in zip(found, Reference(network).layers(codes), strict=True):
        if one.tensor is None:
            continue
        tensor = network.tensor(layer.output)
        wanted = _canonical(real[one.tensor], tensor, lowered.ends[layer.name].channels_last)
        got = (made[0].astype(np.float64) - tensor.zero_point) * tensor.scale
        one.signal += float((wanted**2).sum())
        one.noise += float(((got - wanted) ** 2).sum())


def _canonical(values: NDArray[Any], tensor: Tensor, channels_last: bool) -> NDArray[np.float64]:
    if values.ndim == 4 and not channels_last:
        values = values.transpose(0, 2, 3, 1)
    return values.astype(np.float64).reshape(tensor.shape)


def _compare_with_inputs(found: Sequence[LayerNoise], lowered: Lowered) -> None:
    """How many dB each layer lies below the noisiest of the maps that it reads."""
    ratios = {one.layer.output: one.snr_db for one in found}
    for one in found:
        before = [ratios.get(name) for name in one.layer.inputs]
        known = [ratio for ratio in before if ratio is not None]
        if known and one.snr_db is not None:
            one.lost_db = min(known) - one.snr_db
