"""Which network a command is about, and which images go with it.

What enters: what the user asked for (a size of the family, random weights, or an ONNX file; a
folder of images). What leaves: a QDQ ONNX file and int8 samples. Always holds: a pixel p of an
8-bit image becomes q = p - 128, which is the exact quantisation wherever the input's range is
that of its pixels, or, where mean and standard deviation were given, what these make of it; torch
and scikit-learn are not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbn.core.errors import QuantiseError, UsageError
from mbn.core.family import network_name
from mbn.core.network import Network
from mbn.core.telling import Teller
from mbn.jobs.lower import arrays, detecting, fidelity, float_end, labelled, naming
from mbn.jobs.lower.inputs import (
    InputForm,
    as_codes,
    form_of,
    outside,
    plain_form,
    random_images,
    to_int8,
)
from mbn.jobs.lower.runtime import session_of
from mbn.passes.emit.names import ascii_name
from mbn.passes.frontend import lower, onnx_file
from mbn.passes.frontend.float_ends import float_ends
from mbn.passes.frontend.input_form import input_sizes
from mbn.passes.frontend.normalisation import Normalisation, take_normalisation
from mbn.passes.quantise.static import quantise
from mbn.report.record import Accuracy
from mbn.train import bundled
from mbn.train.accuracy import Runner
from mbn.train.data import folder_images
from mbn.train.images import INPUT_RANGE, normalise
from mbn.train.random_weights import random_qdq

Int8 = NDArray[np.int8]
UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

CALIBRATION_SAMPLES = 200  # at most
FEW_SAMPLES = 32  # fewer are warned of


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    alpha: float | None = None
    resolution: int = 96
    classes: int | None = None
    weights: str = "trained"  # or random:SEED
    data: str | None = None  # what the bundled network knows; None: photographs
    labels: Path | None = None  # names of the classes, one a line
    detect: Path | None = None  # how the results of an SSD head become boxes
    onnx: Path | None = None
    calibrate: Path | None = None
    images: Path | None = None
    input_range: tuple[float, float] | None = None
    samples: int = 10
    mean: tuple[float, ...] = ()  # of pixels / 255, one or one a channel
    std: tuple[float, ...] = ()
    accept_loss: bool = False  # compile even what quantising lost
    # of an input whose file leaves sizes open: all sizes, in the file's order
    input_shape: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Samples:
    """Images as the device gets them: int8 N x H x W x C, and labels where they are known."""

    images: Int8
    labels: Int64 | None
    what: str
    outside: float = 0.0  # the share of values that the network's input has no code for


@dataclass(frozen=True)
class Source:
    """A network to compile: its QDQ ONNX file, its name, and what is known of it."""

    path: Path
    name: str
    alpha: float | None
    float_path: Path | None  # the float network that it was quantised from
    classes: tuple[str, ...]
    # Of a float network: some of what it was quantised with, N x H x W x C: pixels, or numbers as
    # the file's graph takes them
    calibration: UInt8 | Float32 | None = field(default=None, compare=False)
    form: InputForm | None = None  # of a file's input
    digits: bool = False  # the bundled digits test it
    recorded: Accuracy | None = None  # of a bundled network: what it scored when it was made
    detector: Any = None  # what the file's metadata say of an SSD head

    @property
    def normalisation(self) -> Normalisation | None:
        """What the graph does to its input before the first layer."""
        return None if self.form is None else self.form.normalisation

    @property
    def takes_pixels(self) -> bool:
        """Whether pictures were, or may be, what it is given."""
        numbers = self.calibration is not None and self.calibration.dtype == np.float32
        return not numbers and (self.form is None or self.form.is_image)


def checked(request: Request) -> Request:
    """The request, if its parts go together. Raises UsageError, in the words of mbn-compile."""
    if request.samples < 1:
        raise UsageError(f"--samples {request.samples}", wanted="at least 1")
    if request.onnx is not None and (request.alpha is not None or request.weights != "trained"):
        raise UsageError(
            "--model together with --alpha or --weights", wanted="one way to name the network"
        )
    if request.data is not None and (request.onnx is not None or request.weights != "trained"):
        raise UsageError(
            "--data together with --model or --weights", wanted="--data for a bundled network"
        )
    low_high = request.input_range
    if low_high and not low_high[0] < low_high[1]:
        raise UsageError(f"--input-range {low_high}", wanted="LOW below HIGH")
    if bool(request.mean) != bool(request.std) or (request.mean and low_high):
        raise UsageError(
            "--mean, --std or --input-range alone or together",
            wanted="--mean with --std, or --input-range",
        )
    if not all(0 < value < float("inf") for value in request.std):
        raise UsageError(f"--std {list(request.std)}", wanted="finite values above 0")
    if request.mean:
        _check_means(request.mean, request.std)
    return request


def _check_means(means: Sequence[float], stds: Sequence[float]) -> None:
    """UsageError where means are not those of pixels / 255: most often they are of 0 .. 255."""
    if all(0 <= mean <= 1 for mean in means):
        return

    def shown(values: Sequence[float]) -> str:
        return " ".join(f"{value:.4g}" for value in values)

    if all(1 <= mean <= 255 for mean in means):
        by_255 = [[value / 255 for value in values] for values in (means, stds)]
        advice = f"Of pixels 0 .. 255? Then: --mean {shown(by_255[0])} --std {shown(by_255[1])}"
    elif len(means) == len(stds) == 1:
        ends = [(pixel - means[0]) / stds[0] for pixel in (0, 1)]
        advice = f"Where they are meant so: --input-range {shown(ends)}"
    else:
        advice = "A pixel p means (p / 255 - M) / S"
    raise UsageError(
        f"--mean {shown(means)}", wanted="means of pixels / 255, within 0 .. 1", advice=advice
    )


def find_network(request: Request, folder: Path, tell: Teller) -> Source:
    """Finds, draws or quantises the network; QDQ files are written to `folder`/NAME.onnx."""
    if request.onnx is not None:
        return _from_file(request, request.onnx, folder, tell)
    alpha = 0.25 if request.alpha is None else request.alpha
    if request.weights != "trained":
        return _random(request, alpha, folder)
    path = bundled.find(alpha, request.resolution, request.data or bundled.DATA[0])
    if request.data == "digits":
        found = _digits(path, alpha, request.resolution, folder, tell)
    else:
        model = onnx_file.stored(path)
        found = Source(
            path, path.stem, alpha, None, naming.of_file(model), recorded=naming.accuracy_of(model)
        )
    if request.classes not in (None, len(found.classes)):
        raise UsageError(
            f"the bundled network has {len(found.classes)} classes, not {request.classes}",
            advice="Measure the size with --weights random:1, or train it with mbn-train",
        )
    return found


def _digits(path: Path, alpha: float, resolution: int, folder: Path, tell: Teller) -> Source:
    """The bundled float network of digits, quantised."""
    images, _ = bundled.calibration_samples(resolution)
    quantised = folder / f"{path.stem}.onnx"
    with tell.task("calibrating", len(images)) as step:
        quantise(
            path,
            [normalise(image[None]) for image in images],
            quantised,
            input_range=INPUT_RANGE,
            progress=step,
        )
    calibration = _spread(images, fidelity.IMAGES)
    return Source(quantised, path.stem, alpha, path, bundled.DIGITS, calibration, digits=True)


def _random(request: Request, alpha: float, folder: Path) -> Source:
    kind, _, seed = request.weights.partition(":")
    if kind != "random" or not seed.isdigit():
        raise UsageError(
            f"--weights {request.weights}", wanted="trained, or random:SEED, as in random:1"
        )
    classes = 2 if request.classes is None else request.classes
    model = random_qdq(alpha, request.resolution, classes, 3, int(seed))
    name = network_name(alpha, request.resolution, f"random{int(seed)}")
    path = folder / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return Source(path, name, alpha, None, ())


def _from_file(request: Request, path: Path, folder: Path, tell: Teller) -> Source:
    model = onnx_file.load(path, request.input_shape)
    name = ascii_name(path.stem)
    told = {"classes": naming.of_file(model), "detector": detecting.of_file(model)}
    changed = input_sizes(model) != onnx_file.own_sizes(path)
    normalisation = take_normalisation(model)
    graph = onnx_file.prepare(model)
    form = form_of(path, graph, normalisation, request.input_shape)
    changed |= normalisation is not None
    if onnx_file.is_quantised(model):
        ends = float_ends(graph.model)
        if ends and request.calibrate is not None:
            model, changed = _with_last_scales(request, model, form, path, folder, tell), True
        elif request.calibrate is not None:
            tell.say("warning: the network is quantised already: --calibrate changes nothing")
        kept = path if not changed else _copy(model, folder / f"{name}_input.onnx", path)
        return Source(kept, name, None, None, form=form, **told)
    whole = float_file(model, path, folder)
    plain = whole if not changed else _copy(model, folder / f"{name}_input.onnx", path)
    if request.calibrate is None:
        raise QuantiseError(
            f"{path.name} is a float network and there is no calibration data",
            wanted="images such as the network will see, or arrays of its input (.npy, .npz)",
            advice="Give a folder of them: --calibrate DIR",
        )
    maps = calibration_maps(request, form)
    if len(maps) < FEW_SAMPLES:
        tell.say(
            f"warning: {len(maps)} calibration samples: ranges from so few seldom hold for others; "
            f"give {FEW_SAMPLES} or more"
        )
    gain, start = pixel_meaning(request, form.image[2], normalisation)
    pixels = maps.dtype == np.uint8
    real = maps.astype(np.float32) * gain + start if pixels else maps
    quantised = folder / f"{name}.onnx"
    if quantised.resolve() == path.resolve():
        quantised = folder / f"{name}_int8.onnx"
    with tell.task("calibrating", len(maps)) as step:
        quantise(
            plain,
            [form.planes(real)],
            quantised,
            input_range=stored_range(request, form) if pixels or request.input_range else None,
            progress=step,
        )
    calibration = _spread(maps, fidelity.IMAGES)
    return Source(quantised, name, None, whole, calibration=calibration, form=form, **told)


def _with_last_scales(
    request: Request, model: Any, form: InputForm, path: Path, folder: Path, tell: Teller
) -> Any:
    """A QDQ model whose last layers are float, with scales for them."""
    ends = float_ends(model)
    guessed = _copy(float_end.with_any_scales(model, ends), folder / "unscaled.onnx", path)
    network = lower(guessed, "unscaled")
    guessed.unlink()
    mean, std = normalisation(request, network.input.channels, form.normalisation)
    maps = calibration_maps(request, form, quantised=True)
    codes = as_codes(replace(network, mean=mean, std=std), maps, form)
    made = float_end.with_seen_scales(model, ends, codes, form.of_graph, network.input, path, tell)
    layers = f"the last {len(ends)} layers are" if len(ends) > 1 else "the last layer is"
    tell.say(f"int8   {layers} float in the file: quantised with {len(codes)} samples")
    return made


def calibration_maps(
    request: Request, form: InputForm, *, quantised: bool = False
) -> UInt8 | Float32 | Int8:
    """What a network is calibrated with, N x H x W x C: pixels of pictures, numbers of arrays, or,
    for a `quantised` one, codes of arrays."""
    assert request.calibrate is not None
    if arrays.is_arrays(request.calibrate):
        given = arrays.read(request.calibrate, form, quantised=quantised).maps
        chosen: Float32 | Int8 = _spread(given, CALIBRATION_SAMPLES)
        return chosen
    if len(form.sample) != 3:
        raise arrays.no_pictures(form)
    height, width, channels = form.image
    return np.concatenate(list(folder_images(request.calibrate, (height, width), channels)))


def _copy(model: Any, made: Path, path: Path) -> Path:
    """The model, changed as it was, in a file of its own."""
    if made.resolve() == path.resolve():
        made = made.with_name(f"{made.stem}_fixed.onnx")
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_bytes(model.SerializeToString(deterministic=True))
    return made


def float_file(model: Any, path: Path, folder: Path) -> Path:
    """The file of a float network: its own, or, where its weights alone are quantised, a copy in
    `folder` with float ones."""
    if not onnx_file.dequantise_weights(model):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{ascii_name(path.stem)}_float.onnx"
    made.write_bytes(model.SerializeToString(deterministic=True))
    return made


def _spread(images: Any, count: int) -> Any:
    """At most `count` of the images, from all over them."""
    chosen = np.arange(min(count, len(images))) * len(images) // min(count, len(images))
    return images[chosen]


def pixel_meaning(
    request: Request, channels: int, normalisation: Normalisation | None = None
) -> tuple[Float32, Float32]:
    """(gain, start) by channel: to the float network a pixel p means p * gain + start.
    `normalisation`: the network's own, which tells what it expects where nobody says it."""
    if request.mean:
        mean, std = (_by_channel(name, request, channels) for name in ("mean", "std"))
        gain = 1 / (255 * np.array(std, np.float64))
        return gain.astype(np.float32), (-np.array(mean) / np.array(std)).astype(np.float32)
    usual = INPUT_RANGE if normalisation is None else normalisation.pixel_range()
    low, high = request.input_range or usual
    return (
        np.full(channels, (high - low) / 255, np.float32),
        np.full(channels, low, np.float32),
    )


def real_input(request: Request, form: InputForm, maps: UInt8 | Float32) -> Float32:
    """Of one map, pixels or numbers, 1 x H x W x C, what the file's float graph takes."""
    if maps.dtype == np.float32:
        return np.asarray(form.fed(maps), np.float32)
    gain, start = pixel_meaning(request, form.image[2], form.normalisation)
    return np.asarray(form.fed(maps.astype(np.float32) * gain + start), np.float32)


def stored_ends(request: Request, form: InputForm) -> tuple[Float32, Float32]:
    """What pixels 0 and 255 mean behind the graph's normalisation, by channel."""
    gain, start = pixel_meaning(request, form.image[2], form.normalisation)
    ends = form.normalised(np.stack([start, gain * 255 + start]))
    return ends[0], ends[1]


def stored_range(request: Request, form: InputForm) -> tuple[float, float]:
    """The least and largest input, and zero: affine int8 has a code for zero (the padding's), so
    a range without it can't be said, only a wider one."""
    ends = np.stack(stored_ends(request, form))
    return min(float(ends.min()), 0.0), max(float(ends.max()), 0.0)


def described_source(request: Request, source: Source) -> str:
    """What the input of a file's network means, in words; empty where it says so itself."""
    form = source.form
    if form is None or (source.calibration is None and form.normalisation is None):
        return ""
    if source.takes_pixels:
        return described_input(request, form)
    numbers = source.calibration
    if numbers is None or numbers.dtype != np.float32:
        return "numbers, no image"
    what = "an image" if form.is_image else "no image"
    return f"{what}, calibrated with numbers from {numbers.min():.4g} to {numbers.max():.4g}"


def described_input(request: Request, form: InputForm) -> str:
    """What pixels mean to a float network, in words, and whether anybody said so."""
    ends = [
        f"{low:.4g} .. {high:.4g}"
        for low, high in np.transpose(stored_ends(request, form)).round(6) + 0.0  # no -0
    ]
    means = ends[0] if len(set(ends)) == 1 else ", ".join(ends)
    said = bool(request.mean or request.input_range)
    if form.normalisation is not None:
        low, high = form.normalisation.pixel_range()
        guessed = f" (from {low:g} .. {high:g}; --input-range says otherwise)" if not said else ""
        return f"the graph normalises: pixels 0 .. 255 mean {means}{guessed}"
    if said:
        return f"pixels 0 .. 255 mean {means}"
    return f"pixels 0 .. 255 taken as {means}; --input-range or --mean and --std say otherwise"


def normalisation(
    request: Request, channels: int, inside: Normalisation | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the network's pixel table, one a channel; empty where a pixel p is
    stored as p - 128, which is so unless --mean was given, the input range lacks zero or the graph
    normalises (`inside`)."""
    if inside is not None:
        gain, start = (
            np.asarray(one, np.float64) for one in pixel_meaning(request, channels, inside)
        )
        gain, start = gain * inside.gain, start * inside.gain + inside.offset
        return tuple((-start / (255 * gain)).tolist()), tuple((1 / (255 * gain)).tolist())
    if request.mean:
        return _by_channel("mean", request, channels), _by_channel("std", request, channels)
    if request.input_range is None or request.input_range[0] <= 0 <= request.input_range[1]:
        return (), ()
    low, high = request.input_range
    return (-low / (high - low),) * channels, (1 / (high - low),) * channels


def _by_channel(name: str, request: Request, channels: int) -> tuple[float, ...]:
    """--mean or --std, one a channel."""
    values: tuple[float, ...] = getattr(request, name)
    if len(values) not in (1, channels):
        raise UsageError(
            f"--{name} with {len(values)} values",
            wanted=f"one, or one for each of the network's {channels} channels",
        )
    return values * channels if len(values) == 1 else values


def find_samples(request: Request, source: Source, network: Network) -> Samples:
    """The samples that a check runs: of --images, the bundled held-out digits, or drawn ones."""
    height = network.input.height
    if request.images is not None:
        return images_for(network, request.images, request.samples, source.form)
    if source.digits:
        drawn, labels = bundled.heldout_samples(height)
        count = min(request.samples, len(drawn))
        chosen = np.arange(count) * len(drawn) // count
        return Samples(to_int8(drawn[chosen]), labels[chosen], f"{count} held-out digits")
    return images_for(network, None, request.samples, source.form)


def images_for(
    network: Network, path: Path | None, count: int, form: InputForm | None = None
) -> Samples:
    """At most `count` samples as the network takes them: pictures of a folder, arrays of files, or
    drawn ones."""
    form = form or plain_form(network.input)
    known = None if path is None else labelled.read(path, form, network, count)
    if known is not None and path is not None:
        codes, what = as_codes(network, known.maps, form), "images" if form.is_image else "samples"
        words = f"{len(codes)} labelled {what} of {path.name}"
        return Samples(codes, known.labels, words, outside(network, known.maps, form))
    if path is None:
        drawn = random_images(count, network.input.shape)
        what = "images" if form.is_image else "samples"
        return Samples(as_codes(network, drawn), None, f"{count} drawn {what}")
    if arrays.is_arrays(path):
        given = arrays.read(path, form, quantised=True, limit=count)
        codes = as_codes(network, given.maps, form)
        what = f"{len(codes)} samples of {path.name}"
        return Samples(codes, None, what, outside(network, given.maps, form))
    if len(form.sample) != 3:
        raise arrays.no_pictures(form)
    height, width, channels = network.input.shape
    stacked = list(folder_images(path, (height, width), channels, count))
    images = as_codes(network, np.concatenate(stacked))
    return Samples(images, None, f"{len(images)} images of {path.name}")


def labelled_images(request: Request, source: Source, network: Network) -> labelled.Labelled | None:
    """Samples whose labels are known for this network: the bundled held-out digits, or --images in
    class folders, with a labels.csv, or with labels in a .npz."""
    if source.digits:
        return labelled.Labelled(*bundled.heldout_samples(network.input.height))
    if request.images is None:
        return None
    form = source.form or plain_form(network.input)
    return labelled.read(request.images, form, network, labelled.MOST)


def float_outputs(request: Request, source: Source, maps: Any) -> Float32 | None:
    """What the float network gives for samples, N x outputs; None if there is no float one."""
    if source.float_path is None or maps.dtype == np.int8:
        return None
    if source.form is None:
        runner = Runner(source.float_path)
        return np.concatenate([runner.logits(normalise(one[None])) for one in maps])
    session = session_of(onnx_file.stored(source.float_path), [], source.float_path, optimised=True)
    name = session.get_inputs()[0].name
    found = [
        session.run(None, {name: real_input(request, source.form, one[None])})[0].reshape(1, -1)
        for one in maps
    ]
    return np.concatenate(found)
