"""A normalisation in front of the first layer becomes the table of pixels.

What enters: float and QDQ graphs that begin with Mul, Sub, Div, Add or a batch norm by constants.
What leaves: failures. Always holds: nothing of it is left in the integers, and a pixel means what
ONNX Runtime makes of it on the user's own file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from PIL import Image

import mbn
from mbn.cli.compile import main
from mbn.cli.inspect import main as inspect_main
from mbn.core.telling import Listener
from test_plumbing import Graph

Float32 = NDArray[np.float32]
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def rescaling(g: Graph) -> str:
    return g.op(
        "Add", g.op("Mul", "input", g.const(np.float32(1 / 127.5))), g.const(np.float32(-1))
    )


def by_channel(g: Graph) -> str:
    centred = g.op("Sub", "input", g.const(MEAN.reshape(1, 3, 1, 1)))
    return g.op("Div", centred, g.const(STD.reshape(3, 1, 1)))


def channels_last(g: Graph) -> str:
    value = g.op("Div", g.op("Sub", "input", g.const(MEAN)), g.const(STD))
    return g.op("Transpose", value, perm=[0, 3, 1, 2])


def inverted(g: Graph) -> str:
    return g.op("Sub", g.const(np.float32(1)), g.op("Mul", "input", g.const(np.float32(1 / 255))))


def norm(g: Graph) -> str:
    given = [1 / STD, np.zeros(3, np.float32), MEAN, np.ones(3, np.float32)]
    return g.op("BatchNormalization", "input", *map(g.const, given), epsilon=0.0)


Form = Callable[[Graph], str]
# the form, what pixels 0 .. 255 are to the file, and what they mean behind it
FORMS: list[tuple[Form, float, str]] = [
    (rescaling, 255, "-1 .. 1"),
    (by_channel, 1, "-2.118 .. 2.249, -2.036 .. 2.429, -1.804 .. 2.64"),
    (channels_last, 1, "-2.118 .. 2.249, -2.036 .. 2.429, -1.804 .. 2.64"),
    (inverted, 255, "1 .. 0"),
    (norm, 1, "-2.118 .. 2.249, -2.036 .. 2.429, -1.804 .. 2.64"),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(5)
    for number in range(40):
        pixels = rng.integers(20, 236, 3) + rng.integers(-20, 21, (16, 16, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02d}.png")
    return folder


def saved(form: Form, path: Path) -> Path:
    last = form is channels_last
    g = Graph((1, 16, 16, 3) if last else (1, 3, 16, 16))
    value = g.op("Relu", g.conv(form(g), 8, 3, 3, strides=[2, 2]))
    return g.save(g.head(value, 8), path)


def of_pixels(path: Path, pixels: NDArray[np.uint8], top: float) -> Float32:
    session = ort.InferenceSession(str(path))
    given = session.get_inputs()[0]
    real = pixels.astype(np.float32) * np.float32(top / 255)
    real = real if given.shape[3] == 3 else real.transpose(0, 3, 1, 2)
    found = [session.run(None, {given.name: one[None]})[0] for one in real]
    return np.concatenate(found)


@pytest.mark.parametrize(
    ("form", "top", "means"), FORMS, ids=lambda one: getattr(one, "__name__", "")
)
def test_a_pixel_means_what_the_graph_makes_of_it(
    form: Form, top: float, means: str, pictures: Path, tmp_path: Path
) -> None:
    path = saved(form, tmp_path / "n.onnx")
    tell = Listener()
    compiled = mbn.compile(
        path, board="host", calibrate=pictures, output=tmp_path / "out", progress=tell
    )
    assert f"the graph normalises: pixels 0 .. 255 mean {means}" in "\n".join(tell.said)
    network = compiled.network
    assert [layer.op for layer in network.layers] == ["conv", "pool", "dense"]
    pixels = np.stack([np.asarray(Image.open(one)) for one in sorted(pictures.iterdir())[:8]])
    codes = mbn.reference(network)(pixels).reshape(8, -1)
    got = (codes.astype(np.float64) - network.output.zero_point) * network.output.scale
    wanted = of_pixels(path, pixels, top)
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()


def test_inspect_tells_the_normalisation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect_main([str(saved(rescaling, tmp_path / "n.onnx"))]) == 0
    assert "the graph normalises: what 0 .. 255 are becomes -1 .. 1" in capsys.readouterr().out


def test_the_input_range_says_what_pixels_are_before_it(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(rescaling, tmp_path / "n.onnx")
    arguments = ["--board", "host", "--onnx", str(path), "--calibrate", str(pictures)]
    arguments += ["--input-range", "0", "127.5", "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert "pixels 0 .. 255 mean -1 .. 0" in capsys.readouterr().out


def quantised(g: Graph, value: str, scale: float, zero: int) -> str:
    given = g.const(np.float32(scale)), g.const(np.int8(zero))
    return g.op("DequantizeLinear", g.op("QuantizeLinear", value, *given), *given)


def test_before_the_first_quantizelinear(tmp_path: Path) -> None:
    """A QDQ file whose normalisation is float: the integers are the graph's from there on."""
    g = Graph((1, 3, 16, 16))
    value = quantised(g, by_channel(g), 0.02, 0)
    weights = g.bits.integers(-99, 99, (8, 3, 3, 3)).astype(np.int8)
    kernel = g.op("DequantizeLinear", g.const(weights), g.const(np.float32(0.01)))
    value = g.op("Conv", value, kernel, strides=[2, 2], pads=[1] * 4)
    path = g.save(quantised(g, value, 0.1, 3), tmp_path / "n.onnx", rank=4)
    tell = Listener()
    compiled = mbn.compile(path, board="host", output=tmp_path / "out", progress=tell)
    assert "the graph normalises: pixels 0 .. 255 mean -2.118" in "\n".join(tell.said)
    pixels = np.random.default_rng(2).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    codes = mbn.reference(compiled.network)(pixels)
    wanted = of_pixels(path, pixels, 1).transpose(0, 2, 3, 1) / np.float32(0.1) + 3
    assert np.abs(codes - wanted.clip(-128, 127)).max() <= 1.01
    assert np.array_equal(mbn.reference(path)(pixels), codes)
    assert mbn.compare(path, samples=4).holds


def test_a_constant_by_pixel_is_no_normalisation(tmp_path: Path) -> None:
    g = Graph((1, 3, 16, 16))
    value = g.op("Sub", "input", g.const(np.ones((1, 3, 16, 16), np.float32)))
    path = g.save(g.head(g.conv(value, 8, 3, 3), 8), tmp_path / "n.onnx")
    found: Any = mbn.inspect(path)
    assert "node n_v0" in str(found.refused[0])
