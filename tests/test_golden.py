"""Generated C: the same bytes as those kept in tests/golden/, and the same in every run.

What enters: a tiny network whose numbers are written here (no generator whose versions differ).
What leaves: nothing but failures. Always holds: a change of the generated C shows in a review. To
accept one:

    MBN_UPDATE_GOLDEN=1 pytest tests/test_golden.py

and look at the difference before it is committed.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import numpy as np
import pytest

import lowered
import networks
from mbn.cli import compile as compile_command
from mbn.core import network_file
from mbn.core.errors import UsageError
from mbn.core.network import Layer, Network, Op, Tensor
from mbn.core.options import InputMode
from mbn.core.target import Board
from mbn.passes.frontend.stages import group_stages

GOLDEN = Path(__file__).parent / "golden"
SETS = ("scalar", "dsp")
ROOT = Path(__file__).parents[1]


def _codes(*shape: int) -> networks.Int8:
    """Weights that look drawn: multiples of a prime, wrapped to int8."""
    return (np.arange(np.prod(shape)) * 89 % 255 - 127).astype(np.int8).reshape(shape)


def _layer(
    name: str, op: Op, source: str, weights: networks.Int8 | None, **window: object
) -> Layer:
    count = 0 if weights is None else len(weights)
    layer = {
        "kernel": (3, 3),
        "stride": (1, 1),
        "pads": (0, 0, 0, 0),
        "clamp": (0.0, 6.0),
        **window,
    }
    return Layer(
        name,
        op,
        source,
        f"{name}:out",
        weights=weights,
        weight_scales=None if weights is None else np.full(count, 2.0**-8, np.float32),
        bias=None if weights is None else (np.arange(count) * 100).astype(np.int32),
        **layer,  # type: ignore[arg-type]
    )


def tiny_network() -> Network:
    """A MobileNet of 8 x 6 pixels: stem, block, pool, dense."""
    point = {"kernel": (1, 1)}
    layers = (
        _layer("stem", Op.CONV, "image", _codes(4, 3, 3, 3), stride=(2, 2), pads=(0, 0, 1, 1)),
        _layer("dw", Op.DEPTHWISE, "stem:out", _codes(4, 3, 3, 1), pads=(1, 1, 1, 1)),
        _layer("pw", Op.CONV, "dw:out", _codes(5, 1, 1, 4), **point),
        _layer("pool", Op.POOL, "pw:out", None, kernel=(4, 3), clamp=(None, None)),
        _layer("dense", Op.DENSE, "pool:out", _codes(3, 1, 1, 5), clamp=(None, None), **point),
    )
    tensors = (
        Tensor("image", 8, 6, 3, 2.0**-7, 0),
        Tensor("stem:out", 4, 3, 4, 2.0**-5, -128),
        Tensor("dw:out", 4, 3, 4, 2.0**-5, -128),
        Tensor("pw:out", 4, 3, 5, 2.0**-5, -128),
        Tensor("pool:out", 1, 1, 5, 2.0**-6, -128),
        Tensor("dense:out", 1, 1, 3, 2.0**-4, 7),
    )
    return group_stages(Network("tiny", tensors, layers, ()))


@pytest.mark.parametrize("kernel_set", SETS)
def test_generated_c_is_the_golden_one(kernel_set: str) -> None:
    generated = lowered.generate(tiny_network(), kernel_set, InputMode.STREAM)
    folder = GOLDEN / kernel_set
    if os.environ.get("MBN_UPDATE_GOLDEN"):
        generated.files.write(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(generated.files.files)
    for name, text in generated.files.files.items():
        kept = (folder / name).read_text(encoding="utf-8")
        lines = difflib.unified_diff(
            kept.splitlines(), text.splitlines(), f"golden/{kernel_set}/{name}", "now", lineterm=""
        )
        assert text == kept, "MBN_UPDATE_GOLDEN=1 accepts this:\n" + "\n".join(lines)


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("mode", tuple(InputMode))
def test_generating_twice_gives_the_same_bytes(kernel_set: str, mode: InputMode) -> None:
    network = networks.draw(10)
    first, second = (lowered.generate(network, kernel_set, mode).files for _ in range(2))
    assert first.files == second.files


def test_writing_again_removes_only_what_was_generated(tmp_path: Path) -> None:
    files = lowered.generate(tiny_network(), "scalar", InputMode.STREAM).files
    files.write(tmp_path)
    (tmp_path / "mine.c").write_text("/* mine */\n")
    (tmp_path / "network.c").rename(tmp_path / "stale.c")
    files.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*files.files, "mine.c"])
    (tmp_path / "network.c").write_text("/* mine too */\n")
    with pytest.raises(UsageError, match="was not generated"):
        files.write(tmp_path)
    assert (tmp_path / "network.c").read_text() == "/* mine too */\n"


def test_a_saved_network_generates_the_same(tmp_path: Path) -> None:
    network = networks.draw(11)
    network_file.save(network, tmp_path / "n.npz")
    again = network_file.load(tmp_path / "n.npz")
    assert network_file.sha256(again) == network_file.sha256(network)
    texts = [
        lowered.generate(one, "scalar", InputMode.STREAM).files.files for one in (network, again)
    ]
    assert texts[0] == texts[1]


def test_compiling_in_another_folder_gives_the_same_files(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No path, no time, no order of a set: in the C, the image, the network and the report."""
    found = []
    for name in ("one", "another/deeper"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        monkeypatch.chdir(folder)
        arguments = ["--board", board.asked, "--alpha", "0.25", "--resolution", "32", "--quiet"]
        arguments += ["--weights", "random:3", "--samples", "2"]
        assert compile_command.main(arguments) == 0
        (out,) = (folder / "out" / board.name).glob("mobilenet*")
        names = ["network.npz", "samples.npz", "channels.npz", "report.json"]
        if not board.native:  # gcc's sanitizers keep the sources' own paths, mapped or not
            names += ["check.elf", "check.hex"]
        files = [*(out / name for name in names), *sorted((out / "c").iterdir())]
        found.append({path.relative_to(out): path.read_bytes() for path in files})
    different = [str(path) for path in found[0] if found[0][path] != found[1].get(path)]
    assert not different
    for path, data in found[0].items():
        assert str(tmp_path).encode() not in data, path
        assert str(ROOT).encode() not in data, path
