"""The paper's tables: what is printed there is met, or the reason of a difference is counted too.

What enters: mbn_paper. What leaves: failures. Always holds: nothing is trained or run.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from torch import nn

from mbn.core.errors import UnsupportedError
from mbn.core.family import shape
from mbn_paper.cli import main as paper_command
from mbn_paper.counts import networks
from mbn_paper.counts.counting import count
from mbn_paper.counts.tables import TABLES

# Rows whose printed figures are not met; True: another way of counting gives them.
DIFFERENT = {
    ("2", "Conv 3x3"): False,  # a misprint: the column does not add up to 100
    ("4", "Conv MobileNet"): True,
    ("7", "1.0 MobileNet-160"): True,
    ("8", "GoogLeNet"): False,
    ("8", "VGG 16"): True,
    ("9", "0.50 MobileNet-160"): True,
    ("9", "SqueezeNet"): True,
    ("10", "1.0 MobileNet-224"): True,
    ("10", "1.0 MobileNet-192"): True,
    ("12", "0.25 MobileNet-224"): False,
    ("12", "0.25 MobileNet-128"): False,
    ("12", "0.5 MobileNet-128"): True,
    ("13", "Faster-RCNN 300"): True,
    ("13", "Faster-RCNN 600"): True,
    ("14", "1.0 MobileNet-160"): False,
    ("14", "1.0 MobileNet-128"): False,
    ("14", "0.75 MobileNet-160"): False,
    ("14", "0.75 MobileNet-128"): False,
}


@pytest.mark.parametrize("number", TABLES)
def test_printed_figures_are_met_or_explained(number: str) -> None:
    table = TABLES[number]()
    assert len(table.rows) >= 2
    for row in table.rows:
        assert len(row.figures) == len(table.columns)
        missed = [figure for figure in row.figures if not figure.agrees]
        assert bool(missed) == ((number, row.name) in DIFFERENT), row
        assert bool(row.why) == bool(missed)
        if DIFFERENT.get((number, row.name)):
            assert all(figure.explained for figure in missed), row


def test_counter_against_shapes() -> None:
    """Another count of the same: from the shapes, with no torch."""
    for alpha in (1.0, 0.25):
        of = count(networks.mobilenet(alpha, 160, 10), 3, 160, 160)
        own = shape(alpha, 160, 10)
        assert of.macs == own.macs
        assert of.params == sum(layer.fan_in * layer.channels_out for layer in own.layers)
        assert sum(macs for macs, _ in of.shares().values()) == pytest.approx(100)


def test_counter_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 9, 5)
    )
    of = count(network, 4, 7, 7, biases=True)
    assert [layer.kind for layer in of.layers] == ["Conv 3x3", "Fully Connected"]
    assert [layer.macs for layer in of.layers] == [9 * 6 * 2 * 9, 270]
    assert of.params == 6 * 2 * 9 + 6 + 270 + 5
    with pytest.raises(UnsupportedError):
        count(nn.Sequential(nn.ConvTranspose2d(3, 3, 2)), 3, 8, 8)


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert paper_command.main(["tables", "4", "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert table["rows"][0]["figures"][0]["printed"] == 4866
    assert paper_command.main(["tables", "2", "9"]) == 0
    said = capsys.readouterr().out
    assert "two digits exchanged" in " ".join(said.split())
    assert paper_command.main(["tables", "77"]) == 2
    assert "no table 77. wanted: 1, 2" in capsys.readouterr().err


def test_without_torch() -> None:
    """What is known is shown without torch; what needs it says so."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from mbn_paper.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for arguments, said in (
        (["tables"], "mbn-paper: torch, in which the networks are defined, is not"),
        (
            ["study", "--data", "digits"],
            "mbn-paper: torch, which trains networks, is not installed",
        ),
    ):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
