"""What is read from files and names that others made: a wrong one is words, and never waits.

What enters: files made here. What leaves: nothing but failures. Always holds: an `MbnError`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mbn.core import network_file
from mbn.core.board_file import load_board
from mbn.core.boards import find_board
from mbn.core.errors import BoardError, LinkError, MbnError, ModelError
from mbn.core.files import read_regular, read_text
from mbn.harness.flash.find import lab_place
from mbn.harness.host.port import open_port
from mbn.jobs import check as check_job
from mbn.passes.tuning import records
from mbn.report import load_report
from mbn.train import pictures
from mbn_paper.study import results


@pytest.mark.parametrize(
    "url",
    ["socket://127.0.0.1", "hwgrep://((((", "rfc2217://127.0.0.1", "http://x", "", "/dev/null"],
)
def test_ports_named_by_mistake(url: str) -> None:
    with pytest.raises(LinkError):
        open_port(url, 115200)


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
@pytest.mark.parametrize("rest", ["127.0.0.1", "127.0.0.1:", "[::1]", ""])
def test_an_address_without_a_port_is_told(scheme: str, rest: str) -> None:
    with pytest.raises(LinkError) as caught:
        open_port(f"{scheme}://{rest}", 115200)
    assert caught.value.found == "no port in the address"
    assert caught.value.wanted == f"{scheme}://HOST:PORT"


def test_an_address_with_a_port_is_told_otherwise() -> None:
    with pytest.raises(LinkError, match="refused"):
        open_port("socket://127.0.0.1:1", 115200)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("fifo", "zero"):
        with pytest.raises(MbnError, match="is not a regular file"):
            read_regular(tmp_path / name)
    (tmp_path / "x").write_bytes(b"\xff" * 9)
    with pytest.raises(MbnError, match="wanted: at most 8"):
        read_regular(tmp_path / "x", 8)
    with pytest.raises(MbnError, match="UTF-8"):
        read_text(tmp_path / "x")


@pytest.mark.parametrize("what", ["fifo", "zero"])
@pytest.mark.parametrize("reader", ["onnx", "split", "lab", "board", "checkpoint", "study"])
def test_no_reader_waits_for_what_is_no_file(tmp_path: Path, what: str, reader: str) -> None:
    path = tmp_path / "x"
    if what == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    if reader == "checkpoint":
        torch = pytest.importorskip("torch")
        network = torch.nn.Linear(1, 1)
        optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    if reader == "onnx":
        pytest.importorskip("onnx")

    def read() -> None:
        if reader == "onnx":
            from mbn.passes.frontend import onnx_file  # noqa: PLC0415

            onnx_file.load(path)
        elif reader == "split":
            pictures.read_split(path, 32)
        elif reader == "lab":
            lab_place(find_board("qemu"), None, path)
        elif reader == "board":
            load_board(path)
        elif reader == "study":
            results.read(path)
        else:
            from mbn.train import optimising  # noqa: PLC0415

            optimising.restore(path, "s", network, optimiser, otherwise="x")

    with pytest.raises(MbnError, match="is not a regular file"):
        read()


@pytest.mark.parametrize("what", ["fifo", "zero", "empty", "cut"])
def test_a_folder_whose_files_are_none(tmp_path: Path, what: str) -> None:
    for name in ("samples.npz", "network.npz", "channels.npz", "report.json", "r.jsonl"):
        if what == "fifo":
            os.mkfifo(tmp_path / name)
        elif what == "zero":
            (tmp_path / name).symlink_to("/dev/zero")
        else:
            (tmp_path / name).write_bytes(b"PK\3\4" if what == "cut" else b"")
    for read in (
        lambda: check_job.load_samples(tmp_path, None),
        lambda: check_job.load_channels(tmp_path, 1),
        lambda: network_file.load(tmp_path / "network.npz"),
        lambda: load_report(tmp_path),
    ):
        with pytest.raises(MbnError):
            read()
    if what in ("fifo", "zero"):
        with pytest.raises(MbnError):
            records.read(tmp_path / "r.jsonl", {})


@pytest.mark.parametrize(
    "images", [np.zeros((0, 4, 4, 3), np.int8), np.zeros((1, 4, 4, 3), np.uint8), np.zeros(3)]
)
def test_samples_of_another_shape(tmp_path: Path, images: np.ndarray) -> None:
    np.savez(tmp_path / "samples.npz", images=images)
    with pytest.raises(ModelError, match=r"samples\.npz"):
        check_job.load_samples(tmp_path, None)


def test_boards_that_are_none() -> None:
    with pytest.raises(BoardError, match="--board all is not accepted here"):
        find_board("all")
    with pytest.raises(BoardError) as near:
        find_board("nucleo_f446rf")
    assert len(str(near.value)) < 150  # the near ones, and not all 34 names before them
    assert "nucleo_f446re" in str(near.value)
