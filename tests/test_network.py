"""Whole networks: the bundled one, and one from elsewhere, bit for bit and in their accuracy.

What enters: the bundled digits; MLPerf Tiny's visual-wake-words network and photographs, where
MBN_SHARED (default: the folder `shared` beside the repository) holds them. What leaves: nothing
but failures, and skips that say which file is missing. Always holds: every output bit is compared.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from PIL import Image as Photograph

import lowered
from conftest import Compiled
from mbn.cli import check as check_command
from mbn.core import network_file
from mbn.core.boards import find_board
from mbn.core.network import Network
from mbn.core.options import InputMode
from mbn.core.target import Board
from mbn.exact import Reference
from mbn.harness.device import check, open_device
from mbn.image.build import build_image
from mbn.jobs import check as check_job
from mbn.jobs.lower import inputs
from mbn.passes.frontend import lower
from mbn.train import accuracy
from mbn.train import bundled as bundled_model

Int8 = NDArray[np.int8]
SHARED = Path(os.environ.get("MBN_SHARED") or Path(__file__).parents[2] / "shared")
MODEL = SHARED / "models" / "vww_96_int8.onnx"
PHOTOGRAPHS = SHARED / "data" / "cifar10-jpeg.zip"
COUNT = 100
EMULATED_COUNT = int(os.environ.get("MBN_PHOTOGRAPHS", "20"))


# -- the bundled network -------------------------------------------------------------------------


def test_hundred_held_out_images_are_exact(bundled: Compiled) -> None:
    report = json.loads((bundled.folder / "report.json").read_text(encoding="utf-8"))
    assert bundled.exit_code == 0
    assert report["check"]["samples"] >= 100
    assert report["check"]["exact_samples"] == report["check"]["samples"]
    assert report["check"]["top1_agreement"] == 1.0
    assert report["check"]["mismatch"] is None


def test_accuracy_by_the_reference(bundled: Compiled) -> None:
    """All held-out digits, int8 by the exact reference, float by ONNX Runtime."""
    images, labels = bundled_model.heldout_samples()
    reference = Reference(network_file.load(bundled.folder / "network.npz"))
    outputs = np.concatenate(
        [reference.run(inputs.to_int8(images[i : i + 16])) for i in range(0, len(images), 16)]
    )
    int8_percent = 100 * float(np.mean(outputs.argmax(axis=1) == labels))
    path = bundled_model.find(0.25, data="digits")
    float_percent = accuracy.measure(path, [(images, labels)]).percent
    assert int8_percent >= 98
    assert abs(float_percent - int8_percent) <= 0.5
    report = json.loads((bundled.folder / "report.json").read_text(encoding="utf-8"))
    assert report["accuracy"]["int8_percent"] == pytest.approx(int8_percent)
    assert report["accuracy"]["float_percent"] == pytest.approx(float_percent)


# -- a network from elsewhere --------------------------------------------------------------------


def need(*paths: Path) -> None:
    """Skips where a file of the shared folder is absent."""
    for path in paths:
        if not path.is_file():
            pytest.skip(f"{path.name} is not in {SHARED.name}/ (MBN_SHARED names another folder)")


def load_photographs(count: int) -> Int8:
    """int8 count x 96 x 96 x 3, spread over the archive."""
    need(MODEL, PHOTOGRAPHS)
    with zipfile.ZipFile(PHOTOGRAPHS) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith((".jpg", ".jpeg")))
        chosen = [names[i * len(names) // count] for i in range(count)]
        images = []
        for name in chosen:
            with Photograph.open(io.BytesIO(archive.read(name))) as photograph:
                small = photograph.convert("RGB").resize((96, 96), Photograph.Resampling.BILINEAR)
                images.append(np.asarray(small, np.uint8))
    return inputs.to_int8(np.stack(images))


@pytest.fixture(scope="module")
def photographs() -> Int8:
    """The hundred that the tests here share."""
    return load_photographs(COUNT)


@pytest.fixture(scope="module")
def vww(photographs: Int8) -> tuple[Network, Int8]:
    """The network, and the reference's logits of all photographs."""
    network = lower(MODEL, "vww_96_int8")
    reference = Reference(network)
    parts = [reference.run(photographs[i : i + 10]) for i in range(0, COUNT, 10)]
    return network, np.concatenate(parts)


def _exact(network: Network, board: Board, images: Int8, expected: Int8, folder: Path) -> None:
    reference = Reference(network)
    for mode in InputMode:
        generated = lowered.generate(network, board.core.kernels, mode)
        generated.files.write(folder / mode / "c")
        image = build_image(folder / mode / "c", board, "check", folder / mode)
        with open_device(board, image, log_path=folder / "serial.log") as device:
            found = check(
                device,
                images,
                expected,
                lambda x: check_job.stage_maps(reference, x),
            )
        assert found.mismatch is None
        assert found.exact


def test_vww_is_exact_on_the_host(
    vww: tuple[Network, Int8], photographs: Int8, tmp_path: Path
) -> None:
    _exact(vww[0], find_board("host"), photographs, vww[1], tmp_path)


def test_vww_is_exact_on_the_board(
    vww: tuple[Network, Int8],
    photographs: Int8,
    board: Board,
    transport: str | None,
    tmp_path: Path,
) -> None:
    """MBN_PHOTOGRAPHS of them (default 20)."""
    if transport is not None:
        pytest.skip("needs an image of its own on the board")
    if board.native:
        pytest.skip("the host has its own test")
    count = EMULATED_COUNT
    _exact(vww[0], board, photographs[:count], vww[1][:count], tmp_path)


def test_vww_agrees_with_onnx_runtime(vww: tuple[Network, Int8], photographs: Int8) -> None:
    """Top-1 on all photographs; the logits, which the softmax hides, through its int8 result."""
    network, logits = vww
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    model = _with_logits()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    wanted = np.concatenate([session.run(None, {name: one[None]})[0] for one in photographs])
    assert network.host_ops == ("softmax",)
    assert (wanted.argmax(axis=1) == logits.argmax(axis=1)).all()
    worst = np.abs(wanted.astype(int) - logits.astype(int)).max(axis=1)
    assert np.mean(worst <= 3) >= 0.95
    assert worst.max() <= 10


@pytest.fixture(scope="module")
def five_hundred(photographs: Int8, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 500 photographs, spread over the archive."""
    folder = tmp_path_factory.mktemp("photographs")
    with zipfile.ZipFile(PHOTOGRAPHS) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith((".jpg", ".jpeg")))
        for i in range(500):
            (folder / f"{i:03d}.jpg").write_bytes(archive.read(names[i * len(names) // 500]))
    return folder


def test_vww_against_onnx_runtime_by_the_command(
    five_hundred: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Layer by layer at most 1 apart, top-1 on at least 99.5 % of 500 photographs."""
    options = ["--against", "onnxruntime", "--onnx", str(MODEL), "--samples", "500"]
    assert check_command.main([*options, "--images", str(five_hundred)]) == 0
    printed = capsys.readouterr().out
    found = re.search(r"top-1 equal on (\d+) of 500", printed)
    assert found is not None and int(found[1]) >= 0.995 * 500
    rows = [line for line in printed.splitlines() if re.search(r"\d\.\d{3} %", line)]
    assert len(rows) == 29
    assert all(re.search(r"% +[01] ", row) for row in rows)


def _with_logits() -> bytes:
    """The model cut behind its logits: what the last Softmax's DequantizeLinear reads."""
    import onnx  # noqa: PLC0415

    model = onnx.load(str(MODEL))
    made_by = {output: node for node in model.graph.node for output in node.output}
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    codes = made_by[softmax.input[0]].input[0]
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(codes, onnx.TensorProto.INT8, [None, 2])
    )
    data: bytes = model.SerializeToString()
    return data
