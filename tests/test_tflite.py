"""Rounding `tflite`: every bit TensorFlow Lite's, by its own reference kernels.

What enters: drawn networks, written as .tflite files; MLPerf Tiny's visual-wake-words network with
its golden checksums, and photographs, where the shared folder has them. What leaves: nothing but
failures, and skips that say what is missing. Always holds: the other side is LiteRT with the
reference resolver; MBN_PHOTOGRAPHS (default 20) of 200 images go to the devices, and all 200 to the
reference.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, note
from numpy.typing import NDArray

import lowered
import networks
import qdq
import shares
import tflite_files
from mbn import arithmetic
from mbn.cli import compile as compile_command
from mbn.core.boards import find_board
from mbn.core.constants import TfliteConstants
from mbn.core.errors import OverflowRisk, UnsupportedError
from mbn.core.network import Layer, Network, Op, Tensor
from mbn.core.options import InputMode, Rounding
from mbn.core.target import Board
from mbn.exact import Reference
from mbn.harness.device import check, open_device
from mbn.harness.device.protocol import Watch
from mbn.image.build import build_image
from mbn.jobs import check as check_job
from mbn.passes.frontend import lower
from mbn.passes.frontend.stages import group_stages
from mbn.passes.simplify import remove_constants
from test_kernels import FRESH, SEEDS, compare, fuzzed
from test_network import EMULATED_COUNT, MODEL, SHARED, load_photographs, need
from tflite_form import in_tflite

Int8 = NDArray[np.int8]
GOLDEN = SHARED / "models" / "vww_96_int8.golden.json"
TFLITE = SHARED / "models" / "vww_96_int8.tflite"
PHOTOGRAPHIC = RANDOM = 100
BOARDS = ("host", "board", "qemu-m55")


def agree(network: Network, images: Int8) -> None:
    """Every layer of every image: the reference's bits are TensorFlow Lite's."""
    content, outputs = tflite_files.write(network)
    mine = list(Reference(network).layers(images))
    for number, maps in enumerate(tflite_files.run(content, outputs, images)):
        for (layer, found), wanted in zip(mine, maps, strict=True):
            assert np.array_equal(found[number].reshape(-1), wanted.reshape(-1)), (
                f"image {number}, {layer.name}"
            )


@pytest.mark.parametrize("draw", [networks.draw, networks.draw_residual])
def test_drawn_networks_against_tensorflow_lite(draw: Callable[[int], Network]) -> None:
    @fuzzed(FRESH or 40)
    @given(SEEDS)
    def every_bit(seed: int) -> None:
        network = in_tflite(draw(seed))
        note(networks.describe(network))
        assume(tflite_files.is_prepared(network))
        agree(network, networks.images(network))

    every_bit()


def softmax_alone(channels: int, scale: float) -> Network:
    logits = Tensor("image", 1, 1, channels, float(np.float32(scale)), 7)
    out = Tensor("out", 1, 1, channels, 1 / 256, -128)
    bare = Layer("softmax", Op.SOFTMAX, "image", "out", (1, 1), (1, 1), (0, 0, 0, 0), (None, None))
    network = Network("s", (logits, out), (bare,), (), rounding=Rounding.TFLITE)
    return group_stages(network)


@pytest.mark.parametrize("channels", [1, 2, 10, 500])  # TensorFlow Lite aborts on many alike
@pytest.mark.parametrize("scale", [1e-7, 0.004, 0.05, 0.17, 1.0, 40.0])
def test_softmax_against_tensorflow_lite(channels: int, scale: float) -> None:
    network = softmax_alone(channels, scale)
    rng = np.random.default_rng(channels)
    images = [rng.integers(-128, 128, (60, 1, 1, channels))]
    images += [np.clip(rng.normal(0, 9, (60, 1, 1, channels)), -128, 127)]
    images += [np.full((1, 1, 1, channels), value) for value in (-128, 127)]
    agree(network, np.concatenate(images).astype(np.int8))


@pytest.mark.parametrize(("channels", "scale"), [(3, 0.17), (2000, 1e-3), (4095, 0.05)])
def test_softmax_in_c(channels: int, scale: float) -> None:
    compare(softmax_alone(channels, scale), "scalar", InputMode.WHOLE, find_board("host"))


# -- what the compiler derives -------------------------------------------------------------------


def test_constants_are_proved_in_this_rounding_too() -> None:
    network = in_tflite(networks.make_network((9, 10, 3), networks.mobile(), seed=4))
    first = network.layers[0]
    assert first.weight_scales is not None
    scales = first.weight_scales.copy()
    scales[1] = 1e-12  # TensorFlow Lite's exponent keeps it; the product still rounds to 0
    layers = (replace(first, weight_scales=scales), *network.layers[1:])
    network = replace(network, layers=layers)
    derived = arithmetic.derive_all(network)
    constants = derived.layers[0].constants
    assert isinstance(constants, TfliteConstants) and constants.short
    assert not constants.weights[1].any() and constants.weights[0].any()
    simplified = remove_constants(derived)
    assert 1 not in simplified.channels[0].kept
    assert simplified.channels[0].values[1] == network.tensor(first.output).zero_point


def test_multipliers_of_half_or_more_take_the_general_form() -> None:
    specs = [replace(networks.conv(9, 3), factors="shift"), networks.conv(3)]
    network = in_tflite(networks.make_network((4, 5, 3), specs, seed=2))
    forms = [layer.constants for layer in arithmetic.derive_all(network).layers]
    assert all(isinstance(form, TfliteConstants) for form in forms)
    assert [form.short for form in forms] == [False, True]
    agree(network, networks.images(network))


def test_refusals_name_the_node() -> None:
    network = in_tflite(networks.make_network((9, 10, 3), networks.mobile(), seed=4))
    pool = next(i for i, layer in enumerate(network.layers) if layer.op is Op.POOL)
    layers = tuple(replace(layer, is_mean=False) for layer in network.layers)
    source = network.tensor(layers[pool].input)
    network = replace(network, layers=layers)

    def with_tensor(name: str, **changes: Any) -> Network:
        tensors = tuple(
            replace(tensor, **changes) if tensor.name == name else tensor
            for tensor in network.tensors
        )
        return replace(network, tensors=tensors)

    network = with_tensor(layers[pool].output, scale=source.scale, zero_point=source.zero_point)
    with pytest.raises(UnsupportedError, match=r"node pool_5: an average pool from scale"):
        arithmetic.derive_all(with_tensor(network.layers[pool].output, zero_point=3))
    with pytest.raises(UnsupportedError, match=r"node softmax: a softmax with scale 0\.5"):
        arithmetic.derive_all(with_tensor("softmax:out", scale=0.5))
    layer = network.layers[0]
    assert layer.bias is not None
    full = replace(layer, bias=np.full_like(layer.bias, 2**31 - 1))
    with pytest.raises(OverflowRisk, match=f"node {layer.name}: the accumulator"):
        arithmetic.derive_all(replace(network, layers=(full, *network.layers[1:])))


def test_the_command_and_its_report(board: Board, tmp_path: Path) -> None:
    """The report says the rounding, and the softmax that the graph quantises is a stage."""
    path = tmp_path / "net.onnx"
    qdq.mobile(whole=True).save(path)
    arguments = ["--board", board.asked, "--onnx", str(path), "--rounding", "tflite", "--quiet"]
    arguments += ["--samples", "2", "--output", str(tmp_path / "out"), "--check"]
    assert compile_command.main(arguments) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["rounding"] == "tflite"
    assert report["check"]["exact_samples"] == 2
    assert report["stages"][-1]["kind"] == "softmax"


# -- MLPerf Tiny's visual-wake-words network -----------------------------------------------------


@pytest.fixture(scope="module")
def vww() -> Network:
    """The network, a stage for each layer."""
    need(MODEL, GOLDEN, TFLITE)
    return lower(MODEL, "vww_96_int8", fused=False, rounding=Rounding.TFLITE)


def golden_cases() -> list[tuple[Int8, list[int]]]:
    """Images, and every layer's CRC-32."""
    cases = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
    size = 96 * 96 * 3
    images = {"zero": np.zeros(size, np.int64), "ramp": np.arange(size) * 37 % 256 - 128}
    found = []
    for name, image in images.items():
        pixels = image.astype(np.int8).reshape(96, 96, 3)
        assert zlib.crc32(pixels.tobytes()) == int(cases[name]["input_crc32"], 16)
        found.append(
            (pixels, [int(crc, 16) for _, crc in cases[name]["tflite_reference_layer_crc32"]])
        )
    return found


def test_every_layers_golden_checksum_by_the_reference(vww: Network) -> None:
    for image, wanted in golden_cases():
        maps = [found[0] for _, found in Reference(vww).layers(image[None])]
        assert [zlib.crc32(np.ascontiguousarray(one).tobytes()) for one in maps] == wanted


def _place(name: str, board: Board, transport: str | None) -> Board:
    if name == "board" and transport is not None:
        pytest.skip("needs an image of its own on the board")
    return board if name == "board" else find_board(name)


@pytest.mark.parametrize("where", BOARDS)
def test_every_layers_golden_checksum_on_the_device(
    vww: Network, where: str, board: Board, transport: str | None, tmp_path: Path
) -> None:
    place = _place(where, board, transport)
    generated = lowered.generate(vww, place.core.kernels, InputMode.STREAM)
    generated.files.write(tmp_path / "c")
    image = build_image(tmp_path / "c", place, "check", tmp_path)
    with open_device(place, image, log_path=tmp_path / "serial.log") as device:
        for pixels, wanted in golden_cases():
            device.run(pixels, Watch.CHECKSUMS)
            assert list(device.checksums()) == wanted


@pytest.fixture(scope="module")
def hundreds(vww: Network) -> tuple[Int8, Int8]:
    """Photographs and random images, alternating; what LiteRT makes of them."""
    drawn = np.random.default_rng(1).integers(-128, 128, (RANDOM, 96, 96, 3)).astype(np.int8)
    images = np.stack([load_photographs(PHOTOGRAPHIC), drawn], axis=1).reshape(-1, 96, 96, 3)
    interpreter = tflite_files.interpreter_of(TFLITE.read_bytes())
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    outputs = []
    for image in images:
        interpreter.set_tensor(source, image[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result)[0])
    return images, np.stack(outputs)


def test_two_hundred_images_by_the_reference(vww: Network, hundreds: tuple[Int8, Int8]) -> None:
    images, wanted = hundreds
    assert len(images) == PHOTOGRAPHIC + RANDOM
    assert np.array_equal(Reference(vww).run(images), wanted)


@pytest.mark.parametrize("where", shares.some(BOARDS, "board", "qemu-m55"))
def test_images_on_the_device(
    hundreds: tuple[Int8, Int8], where: str, board: Board, transport: str | None, tmp_path: Path
) -> None:
    """As it is compiled by default: fused, constant channels removed."""
    place = _place(where, board, transport)
    images, wanted = (part[:EMULATED_COUNT] for part in hundreds)
    network = lower(MODEL, "vww_96_int8", rounding=Rounding.TFLITE)
    kernels = place.core.kernels
    generated = lowered.generate(network, kernels, InputMode.STREAM, simplify=True)
    assert generated.computed.macs < 0.55 * network.macs
    generated.files.write(tmp_path / "c")
    image = build_image(tmp_path / "c", place, "check", tmp_path)
    reference = Reference(network)
    with open_device(place, image, log_path=tmp_path / "serial.log") as device:
        found = check(
            device,
            images,
            wanted,
            lambda x: check_job.stage_maps(reference, x),
            generated.channels,
        )
    assert found.mismatch is None
    assert found.exact
