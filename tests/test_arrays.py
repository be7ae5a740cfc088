"""Samples from .npy and .npz files: what is taken, and by what words the rest is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mbn
from mbn.core.network import Tensor
from mbn.core.telling import Listener
from mbn.jobs.lower import arrays
from mbn.jobs.lower.inputs import InputForm, as_codes, plain_form
from mbn.passes.frontend import lower
from test_plumbing import Graph

FORM = InputForm((1, 3, 4, 5), (4, 5, 3))
ROW = InputForm((1, 6), (1, 1, 6))
BITS = np.random.default_rng(4)
SAMPLES = BITS.normal(0, 1, (7, 3, 4, 5)).astype(np.float32)


def read(path: Path, form: InputForm = FORM, **options: Any) -> arrays.Given:
    return arrays.read(path, form, **{"quantised": True, **options})


def test_one_sample_many_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    np.save(folder / "b.npy", SAMPLES[2:])
    np.save(folder / "a.npy", SAMPLES[1])
    np.savez(folder / "c.npz", samples=SAMPLES[:1])
    found = read(folder)
    assert found.maps.shape == (7, 4, 5, 3)
    assert np.array_equal(found.maps, SAMPLES[[1, 2, 3, 4, 5, 6, 0]].transpose(0, 2, 3, 1))
    assert found.labels is None
    assert len(read(folder, limit=3).maps) == 3
    assert arrays.is_arrays(folder)
    assert not arrays.is_arrays(tmp_path)


def test_the_order_of_the_axes_is_the_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SAMPLES.transpose(0, 2, 3, 1))
    last = InputForm((1, 4, 5, 3), (4, 5, 3), channels_last=True)
    found = read(tmp_path / "a.npy", last).maps
    assert np.array_equal(found, SAMPLES.transpose(0, 2, 3, 1))
    assert np.array_equal(last.fed(found[:1]), found[:1])
    assert np.array_equal(FORM.fed(found[:1]), SAMPLES[:1])


def test_codes_and_numbers_of_a_quantised_network(tmp_path: Path) -> None:
    """int8 codes, the same as uint8, and the numbers that they stand for give the same samples."""
    g = Graph((1, 6))
    scale, zero = g.const(np.float32(0.25)), g.const(np.int8(5))
    value = g.op("DequantizeLinear", g.op("QuantizeLinear", "input", scale, zero), scale, zero)
    weights = g.bits.integers(-99, 99, (6, 4)).astype(np.int8)
    value = g.op(
        "MatMul", value, g.op("DequantizeLinear", g.const(weights), g.const(np.float32(0.01)))
    )
    value = g.op("QuantizeLinear", value, g.const(np.float32(0.1)), g.const(np.int8(0)))
    value = g.op("DequantizeLinear", value, g.const(np.float32(0.1)), g.const(np.int8(0)))
    path = g.save(value, tmp_path / "n.onnx")
    codes = BITS.integers(-128, 128, (9, 6)).astype(np.int8)
    given = {
        "codes": codes,
        "unsigned": (codes.astype(np.int16) + 128).astype(np.uint8),
        "numbers": (codes.astype(np.float32) - 5) * np.float32(0.25),
    }
    for name, array in given.items():
        np.save(tmp_path / f"{name}.npy", array)
        compiled = mbn.compile(
            path,
            board="host",
            images=tmp_path / f"{name}.npy",
            samples=9,
            output=tmp_path / name,
        )
        with np.load(compiled.folder / "samples.npz") as kept:
            assert np.array_equal(kept["images"].reshape(9, 6), codes), name
        assert mbn.compare(path, images=tmp_path / f"{name}.npy", samples=9).holds


def test_labels_of_a_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=SAMPLES, labels=np.arange(7) % 3)
    found = read(tmp_path / "a.npz", limit=5)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 0, 1]


def nan(file: Path) -> None:
    broken = SAMPLES.copy()
    broken[3, 0, 0, 0] = np.nan
    np.save(file, broken)


def two(file: Path) -> None:
    with file.open("wb") as out:
        np.savez(out, a=SAMPLES, b=SAMPLES)


def labels(file: Path) -> None:
    with file.open("wb") as out:
        np.savez(out, a=SAMPLES, labels=np.arange(3))


REFUSED: list[tuple[Callable[[Path], object], str]] = [
    (lambda file: np.save(file, SAMPLES.transpose(0, 2, 3, 1)), "wanted: N x 3 x 4 x 5"),
    (lambda file: np.save(file, SAMPLES[:, :2]), "an array of shape 7 x 2 x 4 x 5"),
    (lambda file: np.save(file, SAMPLES.astype(np.float64)), "float64.*astype.numpy.float32"),
    (lambda file: np.save(file, SAMPLES.astype(np.int8)), "an array of int8"),
    (lambda file: np.save(file, SAMPLES[:0]), "holds no samples"),
    (nan, "1 of 7 samples hold NaN or infinity, first 3"),
    (two, "2 arrays of samples"),
    (labels, "3 labels for 7 samples"),
    (lambda file: np.save(file, np.array([None]), allow_pickle=True), "can't be read as an array"),
    (lambda file: file.write_bytes(b"no array"), "can't be read as an array"),
    (lambda file: file.write_bytes(b""), "can't be read as an array"),
]


@pytest.mark.parametrize(("write", "words"), REFUSED)
def test_what_does_not_fit_is_refused(
    write: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.npy"
    write(file)
    with pytest.raises(mbn.MbnError, match=f"(?s){words}") as raised:
        read(file, quantised=False)
    assert "a.npy" in str(raised.value)


def test_a_row_of_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6, dtype=np.float32))
    assert read(tmp_path / "a.npy", ROW).maps.shape == (1, 1, 1, 6)


def test_numbers_are_stored_as_quantizelinear_does(tmp_path: Path) -> None:
    g = Graph((1, 3, 4, 5))
    scale, zero = g.const(np.float32(0.037)), g.const(np.int8(-7))
    value = g.op("DequantizeLinear", g.op("QuantizeLinear", "input", scale, zero), scale, zero)
    value = g.op("QuantizeLinear", g.op("GlobalAveragePool", value), scale, zero)
    path = g.save(g.op("DequantizeLinear", value, scale, zero), tmp_path / "n.onnx", rank=4)
    network = lower(path, "n")
    source: Tensor = network.input
    real = np.array([-99, -4.5, 0, 0.0185, 0.0555, 4.9, 99], np.float32)
    maps = np.broadcast_to(real[:, None, None, None], (7, 4, 5, 3))
    got = as_codes(network, np.ascontiguousarray(maps), plain_form(source))[:, 0, 0, 0]
    steps = np.rint(real / np.float32(source.scale)) + source.zero_point
    assert got.tolist() == steps.clip(-128, 127).tolist()


def test_warnings_of_what_looks_wrong(tmp_path: Path) -> None:
    """Few samples, others outside the calibrated range, and a range that the calibration leaves."""
    g = Graph((1, 6))
    path = g.save(
        g.op("MatMul", "input", g.const(np.eye(6, 4, dtype=np.float32))), tmp_path / "n.onnx"
    )
    np.save(tmp_path / "few.npy", BITS.uniform(-1, 1, (31, 6)).astype(np.float32))
    np.save(tmp_path / "many.npy", BITS.uniform(-1, 1, (32, 6)).astype(np.float32))
    np.save(tmp_path / "wide.npy", BITS.uniform(0, 255, (32, 6)).astype(np.float32))

    def said(calibrate: str, images: str, **options: Any) -> str:
        tell = Listener()
        mbn.compile(
            path,
            board="host",
            calibrate=tmp_path / calibrate,
            images=tmp_path / images,
            samples=32,
            output=tmp_path / "out",
            accept_loss=True,
            progress=tell,
            **options,
        )
        return "\n".join(one for one in tell.said if one.startswith("warning: "))

    assert said("many.npy", "many.npy") == ""
    assert "31 calibration samples" in said("few.npy", "many.npy")
    assert "32 samples of wide.npy: 9" in said("many.npy", "wide.npy")
    spoiled = said("wide.npy", "many.npy", input_range=(-1, 1))
    assert "the calibration saturates: 9" in spoiled
    assert "range -0.9961 .. 1.004" in spoiled
