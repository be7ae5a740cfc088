"""The networks: shape, drawing, data, the bundled network, random weights, torch's module."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from PIL import Image

from mbn.core.errors import ModelError, QuantiseError, UsageError
from mbn.core.family import Kind, shape
from mbn.jobs.lower import naming
from mbn.passes.quantise.static import is_quantised
from mbn.train import accuracy, bundled, data
from mbn.train.digits import draw, split
from mbn.train.images import normalise
from mbn.train.random_weights import random_qdq

# Of the paper: table 6 (width) and table 7 (resolution), in millions.
PAPER = [
    (1.0, 224, 569, 4.2),
    (0.75, 224, 325, 2.6),
    (0.5, 224, 149, 1.3),
    (0.25, 224, 41, 0.5),
    (1.0, 128, 186, 4.2),
]


@pytest.mark.parametrize(("alpha", "resolution", "macs", "params"), PAPER)
def test_size_is_the_papers(alpha: float, resolution: int, macs: int, params: float) -> None:
    network = shape(alpha, resolution, 1000)
    assert len(network.layers) == 28
    assert network.macs / 1e6 == pytest.approx(macs, abs=1.0)
    weights = sum(int(np.prod(layer.weights_shape)) for layer in network.layers)
    assert weights / 1e6 == pytest.approx(params, abs=0.06)


def test_widths_at_a_quarter() -> None:
    layers = shape(0.25, 96, 10).layers
    wide = [layer.channels_out for layer in layers if layer.kind is Kind.POINTWISE]
    assert layers[0].channels_out == 8
    assert wide == [16, 32, 32, 64, 64, *[128] * 6, 256, 256]
    assert layers[-2].size_out == 3


def test_any_alpha_has_eight_channels_and_odd_sizes_round_up() -> None:
    layers = shape(0.001, 97, 2).layers
    assert {layer.channels_out for layer in layers[:-1]} == {8}
    assert [layer.size_out for layer in layers][:5] == [49, 49, 49, 25, 25]


@pytest.mark.parametrize(
    ("alpha", "resolution", "classes", "channels"),
    [
        (0, 96, 10, 3),
        (-1, 96, 10, 3),
        (float("nan"), 96, 10, 3),
        (float("inf"), 96, 10, 3),
        (1, 31, 10, 3),
        (1, 96, 1, 3),
        (1, 96, 10, 0),
    ],
)
def test_sizes_that_make_no_network(
    alpha: float, resolution: int, classes: int, channels: int
) -> None:
    with pytest.raises(UsageError, match="wanted"):
        shape(alpha, resolution, classes, channels)


def test_normalising_is_exact() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    real = normalise(every)
    assert real.shape == (1, 1, 16, 16)
    assert real.dtype == np.float32
    assert np.array_equal(real.ravel() * 128 + 128, np.arange(256))


def test_drawing_is_the_same_everywhere_and_image_by_image() -> None:
    digits = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8) % 17
    images = draw(digits, 40, (7, 1), moved=True)
    upright = draw(digits, 40, (7, 1), moved=False)
    assert images.shape == (3, 40, 40, 3)
    # A change here changes the held-out images, and with them every figure published so far.
    assert hashlib.sha256(images.tobytes()).hexdigest()[:16] == "6a2ecaa57c104063"
    assert hashlib.sha256(upright.tobytes()).hexdigest()[:16] == "52c63abd60846ed6"
    assert np.array_equal(draw(digits[:2], 40, (7, 1), moved=True), images[:2])
    assert not np.array_equal(draw(digits, 40, (7, 2), moved=True), images)


def test_split_holds_out_a_fifth() -> None:
    train, held_out = split(1797)
    assert (len(train), len(held_out)) == (1438, 359)
    assert not set(train.tolist()) & set(held_out.tolist())


# --- the bundled network -----------------------------------------------------------------


def test_bundled_network_is_small_and_accurate() -> None:
    path = bundled.find(0.25, data="digits")
    assert path.stat().st_size < 1_000_000
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    assert sum(node.op_type in {"Conv", "Gemm"} for node in model.graph.node) == 28
    images, labels = bundled.heldout_samples()
    assert images.shape == (359, 96, 96, 3)
    assert images.dtype == np.uint8
    measured = accuracy.measure(path, [(images, labels)])
    assert measured.percent >= 98.0


def test_calibration_digits_are_not_held_out() -> None:
    with np.load(bundled.FOLDER / "digits.npz") as stored:
        kept = {digit.tobytes() for digit in stored["heldout_digits"]}
        used = {digit.tobytes() for digit in stored["calibration_digits"]}
    assert len(used) >= 64
    assert not kept & used
    images, labels = bundled.calibration_samples(32)
    assert images.shape == (len(labels), 32, 32, 3)
    assert set(labels.tolist()) == set(range(10))


def test_bundled_digits_are_those_of_the_training() -> None:
    pytest.importorskip("sklearn", reason="needs the extra `train`")
    dataset = data.load("digits", 96)
    images, labels = bundled.heldout_samples()
    batches = list(dataset.held_out())
    assert np.array_equal(np.concatenate([batch[0] for batch in batches]), images)
    assert np.array_equal(np.concatenate([batch[1] for batch in batches]), labels)


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75, 1.0])
def test_bundled_networks_of_photographs_say_what_they_know(alpha: float) -> None:
    path = bundled.find(alpha)
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    assert is_quantised(model)
    names = naming.of_file(model)
    assert len(names) == 10 and {"cat", "ship"} < set(names)
    scores = naming.accuracy_of(model)
    assert scores is not None and scores.float_percent is not None
    assert scores.samples == 10_000 and scores.int8_percent > 80
    assert scores.float_percent - scores.int8_percent <= 0.6
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    for said in (*names, f"{scores.float_percent:.2f} %", f"{scores.int8_percent:.2f} %", "32x32"):
        assert said in card
    assert f"{path.stat().st_size:,} bytes" in card


@pytest.mark.parametrize(
    "stored",
    ["", "[", '{"a": 1}', "[1, 2]", '["a", null]', '["a\\nb"]', '["\\ud800"]', '[""]', "[" * 5000],
)
def test_damaged_names_in_a_file_are_left_aside(stored: str) -> None:
    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, {naming.CLASSES: stored, naming.ACCURACY: stored})
    assert naming.of_file(model) == ()
    assert naming.accuracy_of(model) is None


def test_the_bundle_is_small_and_holds_no_photographs() -> None:
    files = [path for path in bundled.FOLDER.iterdir() if path.is_file()]
    assert {path.suffix for path in files} <= {".py", ".onnx", ".npz", ".md"}
    assert sum(path.stat().st_size for path in files) < 8_000_000


def test_a_size_that_is_not_bundled_names_the_command() -> None:
    with pytest.raises(ModelError, match=r"mbn-train --alpha 0.5 --resolution 96 --data digits"):
        bundled.find(0.5, data="digits")
    with pytest.raises(ModelError, match=r"mbn-train --alpha 0.3 .*photos/") as caught:
        bundled.find(0.3)
    assert "photographs: alpha 0.25, 0.5, 0.75, 1 at 96x96; digits: alpha 0.25" in str(caught.value)
    with pytest.raises(UsageError, match="photographs or digits"):
        bundled.find(0.25, data="faces")
    with pytest.raises(UsageError):
        bundled.find(-0.5)


def test_bundle_and_random_weights_need_neither_torch_nor_sklearn() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['sklearn'] = None\n"
        "from mbn.train import bundled, accuracy, random_weights\n"
        "import mbn.passes.quantise.static, mbn.cli.train\n"
        "bundled.find(0.25); bundled.calibration_samples(); bundled.heldout_samples()\n"
        "random_weights.random_qdq(0.25, 32, 2)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- random weights ----------------------------------------------------------------------


def every_map(model: onnx.ModelProto, images: np.ndarray) -> list[np.ndarray]:
    """Each quantised map of the graph: channels x (all values over all images)."""
    names = [node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    for name in names:
        info = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT8, None)
        model.graph.output.append(info)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    runs = [session.run(names, {"input": normalise(image[None])}) for image in images]
    return [
        np.concatenate([found.reshape(found.shape[1], -1) for found in values], axis=1)
        for values in zip(*runs, strict=True)
    ]


@pytest.mark.parametrize(
    ("alpha", "resolution", "classes", "channels", "seed"),
    [(0.25, 96, 10, 3, 1), (0.25, 64, 2, 1, 2), (0.4, 75, 12, 3, 3), (1.0, 96, 1000, 3, 4)],
)
def test_no_channel_of_a_random_network_is_constant(
    alpha: float, resolution: int, classes: int, channels: int, seed: int
) -> None:
    model = random_qdq(alpha, resolution, classes, channels, seed)
    random = np.random.default_rng(seed)
    count = 4 if resolution >= 96 else 12
    shape_in = (count, resolution, resolution, channels)
    images = random.integers(0, 256, shape_in, dtype=np.uint8)
    for values in every_map(model, images):
        assert (values.min(axis=1) < values.max(axis=1)).all()
        # Between mostly saturated and mostly flat: the range is used.
    inner = every_map(random_qdq(alpha, resolution, classes, channels, seed), images)[1:-3]
    for values in inner:
        assert 40 < values.std() < 110
        assert (values == 127).mean() < 0.15


def test_random_network_is_the_same_bytes() -> None:
    first = random_qdq(0.25, 96, 10, seed=1).SerializeToString(deterministic=True)
    again = random_qdq(0.25, 96, 10, seed=1).SerializeToString(deterministic=True)
    other = random_qdq(0.25, 96, 10, seed=2).SerializeToString(deterministic=True)
    assert first == again != other
    # The same on every machine: a change here changes every figure measured with it.
    assert hashlib.sha256(first).hexdigest()[:16] == "0bc11ce605fbd1d0"


def test_random_network_keeps_the_quantisers_promises() -> None:
    model = random_qdq(0.25, 32, 10, seed=5)
    stored = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    scales = [1 / 128, *[6 / 255] * 26]
    names = ["input"] + [layer.name + ".out" for layer in shape(0.25, 32, 10).layers[:-2]]
    for name, wanted, layer in zip(names, scales, shape(0.25, 32, 10).layers, strict=False):
        scale = stored[f"{name}_scale"]
        assert scale == np.float32(wanted)
        products = scale * stored[f"{layer.name}.weight_scale"]
        assert np.array_equal(stored[f"{layer.name}.bias_quantized_scale"], products)
        weights = stored[f"{layer.name}.weight_quantized"]
        assert weights.dtype == np.int8
        assert (np.abs(weights.astype(int)).reshape(len(weights), -1).max(axis=1) == 127).all()
        assert stored[f"{layer.name}.bias_quantized"].dtype == np.int32


def test_random_network_refuses() -> None:
    with pytest.raises(UsageError):
        random_qdq(0, 96, 10)
    with pytest.raises(UsageError, match="seed"):
        random_qdq(0.25, 96, 10, seed=-1)


# --- data --------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of ten images: bright and dark, of odd sizes."""
    for label, (name, base) in enumerate([("bright", 200), ("dark", 40)]):
        (tmp_path / name).mkdir()
        for index in range(10):
            colours = np.random.default_rng(index + 100 * label)
            pixels = colours.integers(base - 40, base + 40, (40 + index, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index:02}.png")
    return tmp_path


def test_folder_splits_by_class_and_repeats_an_epoch(photos: Path) -> None:
    found = data.load(f"folder:{photos}", 32)
    assert found.classes == ("bright", "dark")
    assert found.train_count == 16
    held_out = list(found.held_out())
    assert held_out[0][0].shape == (4, 32, 32, 3)
    assert held_out[0][1].tolist() == [0, 0, 1, 1]
    first = next(found.epoch(1, 0, 8))
    again = next(found.epoch(1, 0, 8))
    other = next(found.epoch(1, 1, 8))
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_folder_images_take_turns(photos: Path) -> None:
    images = list(data.folder_images(photos, 32, limit=4))
    assert [image.shape for image in images] == [(1, 32, 32, 3)] * 4
    assert [image.mean() > 128 for image in images] == [True, False, True, False]
    assert next(data.folder_images(photos, 33, channels=1)).shape == (1, 33, 33, 1)


@pytest.mark.parametrize("spec", ["nothing", "folder:", "folder:missing", "digit"])
def test_no_such_data(spec: str) -> None:
    with pytest.raises(UsageError):
        data.load(spec, 32)


def test_folders_that_are_no_data(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(UsageError, match=r"holds 0 folder"):
        data.load(f"folder:{empty}", 32)
    (empty / "only").mkdir()
    with pytest.raises(UsageError, match=r"holds 1 folder"):
        data.load(f"folder:{empty}", 32)
    (empty / "second").mkdir()
    with pytest.raises(UsageError, match=r"holds 0 image"):
        data.load(f"folder:{empty}", 32)
    with pytest.raises(QuantiseError, match="no calibration data"):
        next(data.folder_images(empty, 32))
    (photos / "dark" / "00.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"00\.png.*can't be read"):
        list(data.load(f"folder:{photos}", 32).epoch(1, 0, 16))


# --- torch -------------------------------------------------------------------------------


def test_torch_module_has_the_shape() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    from mbn.train.mobilenet import MobileNet  # noqa: PLC0415

    for alpha, resolution, channels in [(0.25, 96, 3), (0.3, 45, 1), (0.05, 32, 3)]:
        network = MobileNet(alpha, resolution, 7, channels).eval()
        sizes = []
        maps = torch.zeros(1, channels, resolution, resolution)
        with torch.inference_mode():
            logits = network(maps)
            for module in network.features:
                maps = module(maps)
                sizes.append(tuple(maps.shape[1:]))
        layers = network.shape.layers[:-1]
        assert sizes == [(layer.channels_out, layer.size_out, layer.size_out) for layer in layers]
        assert logits.shape == (1, 7)
    with pytest.raises(UsageError):
        MobileNet(0, 96, 10)
