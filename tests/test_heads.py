"""The heads: their pictures, and a miniature of each from training to the device.

What enters: a few steps of training. What leaves: nothing but failures. Always holds: the device's
results are compared in every bit; a training that was stopped ends as one that was not.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mbn.core.network import Op
from mbn.passes.frontend import lower
from mbn.train.accuracy import Runner
from mbn.train.data import source_digits
from mbn.train.images import normalise
from mbn_paper.cli import heads as paper_heads
from mbn_paper.cli import main as paper_command
from mbn_paper.heads.graph import head_graph
from mbn_paper.heads.networks import Ssd, flat, head_network
from mbn_paper.heads.run import int8_network
from mbn_paper.heads.scenes import ATTRIBUTES, MOST_DIGITS, Scenes
from mbn_paper.heads.spec import HEADS
from mbn_paper.heads.training import as_tensor, train_head


@pytest.mark.parametrize("name", HEADS)
def test_pictures(name: str) -> None:
    head = HEADS[name]
    scenes = Scenes(name, head.resolution)
    some, again, next_ = scenes.batch(1, 0, 40), scenes.batch(1, 0, 40), scenes.batch(1, 1, 40)
    assert np.array_equal(some.images, again.images)
    assert not np.array_equal(some.images, next_.images)
    assert some.images.shape == (40, head.resolution, head.resolution, 3)
    if name == "attributes":
        assert some.labels.shape == (40, head.outputs) == (40, len(ATTRIBUTES))
    elif name == "detection":
        assert some.boxes is not None
        assert some.labels.shape == (40, MOST_DIGITS)
        seen = some.labels >= 0
        assert 1 <= seen.sum(axis=1).min() < seen.sum(axis=1).max() == MOST_DIGITS
        assert np.all(some.boxes[seen][:, 2:] > some.boxes[seen][:, :2])
    elif name != "embedding":
        assert 0 <= some.labels.min() <= some.labels.max() < head.outputs
        assert len(np.unique(scenes.held_out().labels)) > 0.9 * head.outputs


def test_held_out_handwriting_is_not_that_of_tuning() -> None:
    """Every fifth digit, from the fifth on, was held out while the heads were tuned."""
    digits, _ = source_digits()
    (trained, _), (held_out, _) = Scenes("kinds", 64)._sides
    assert np.array_equal(held_out, digits[2::5])
    others = np.delete(digits, np.arange(2, len(digits), 5), axis=0)
    assert np.array_equal(trained, others)


@pytest.mark.parametrize("name", ["attributes", "detection"])
def test_graphs_are_the_modules(name: str, tmp_path: Path) -> None:
    head = replace(HEADS[name], resolution=64)
    torch.manual_seed(3)
    network = head_network(head, 0.25).eval()
    onnx.save_model(head_graph(head, network), str(tmp_path / "g.onnx"))
    images = Scenes(name, 64).batch(1, 0, 2)
    with torch.inference_mode():
        made = network(as_tensor(images))
    found = Runner(tmp_path / "g.onnx").logits(normalise(images.images[:1]))
    if isinstance(network, Ssd):
        wanted = made[0][0][:1].permute(0, 2, 3, 1)
        assert flat(made, 10)[0].shape == (2, len(network.anchors.boxes), 10)
    else:
        wanted = torch.sigmoid(made[:1])
    assert np.allclose(found, wanted.numpy(), atol=1e-4)


def test_interrupted_training_ends_the_same(tmp_path: Path) -> None:
    head = replace(HEADS["embedding"], steps=4, batch=8, resolution=32)
    whole = train_head(head, tmp_path / "whole", lambda *_: None)

    def stop(what: str, step: int, _of: int, _loss: float) -> None:
        if (what, step) == ("student", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_head(head, tmp_path / "parts", stop)
    parts = train_head(head, tmp_path / "parts", lambda *_: None)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    taught = train_head(head, tmp_path / "whole", lambda *_: None, only_teacher=True)
    assert taught.state_dict()["classifier.weight"].shape[1] == 512
    path = int8_network(head, whole, Scenes("embedding", 32), tmp_path)
    assert lower(path, "e").layers[-1].op is Op.NORMALISE


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["heads", "kinds", "--steps", "2", "--samples", "2", "--output", str(tmp_path)]
    assert paper_command.main([*arguments, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["head"], row["exact_samples"], row["samples"]) == ("kinds", 2, 2)
    assert row["instructions"] > row["macs"] > 3e6
    assert 0 <= row["int8_percent"][0] <= 100
    assert paper_command.main(["heads", "noses"]) == 2
    assert "no head noses. wanted: kinds" in capsys.readouterr().err


def test_recorded_figures(capsys: pytest.CaptureFixture[str]) -> None:
    data = paper_heads.recorded()
    assert list(dict.fromkeys(row["head"] for row in data["rows"])) == list(HEADS)
    assert len({(row["head"], row["seed"]) for row in data["rows"]}) == len(data["rows"])
    for row in data["rows"]:
        assert row["exact_samples"] == row["samples"] > 0
        head = HEADS[row["head"]]
        assert (row["steps"], row["resolution"]) == (head.steps, head.resolution)
        detects = row["head"] == "detection"
        assert (row["boxes"] is not None, row["detect_cycles"] is not None) == (detects, detects)
        if detects:
            assert row["boxes"] > row["samples"]
            assert 1000 < row["detect_cycles"] < row["cycles"] / 100
    assert paper_command.main(["heads", "--recorded"]) == 0
    said = capsys.readouterr().out
    assert "4.6 detection 1" in said and "10/10, 30 boxes" in " ".join(said.split())
