"""The paper's tables: what is printed there is met, or the reason of a difference is counted too.

What enters: mbn_paper. What leaves: failures. Always holds: nothing is trained or run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from torch import nn

from mbn.core.errors import UnsupportedError
from mbn.core.family import shape
from mbn_paper.cli import main as paper_command
from mbn_paper.counts import networks, table_cells
from mbn_paper.counts.counting import count
from mbn_paper.counts.tables import TABLES
from mbn_paper.study import findings

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
    ("11", "with a last layer of 10 M (9,766 cells)"): True,  # a misprint: million for billion
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

# As read in the paper, row by row: multiply-adds, parameters (Table 2: shares of them).
READ = {
    "2": "94.86 74.59 3.06 1.06 1.19 0.02 0.18 24.33",
    "3": "462 2.36 52.3 0.27 29.6 0.15 15.1 0.15",
    "4": "4866 29.3 569 4.2",
    "5": "325 2.6 307 2.9",
    "6": "569 4.2 325 2.6 149 1.3 41 0.5",
    "7": "569 4.2 418 4.2 290 4.2 186 4.2",
    "8": "569 4.2 1550 6.8 15300 138",
    "9": "76 1.32 1700 1.25 720 60",
    "10": "569 3.3 325 1.9 418 3.3 239 1.9",
    "11": "3 0.58 13",  # of section 4.4
    "12": "568 3.2 149 0.8 45 0.2 185 3.2 48 0.8 15 0.2",
    "13": "1.2 6.8 25.2 6.1 30.5 6.1",
    "14": "286 4.9 185 5.5 166 3.4 108 3.8",
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


@pytest.mark.parametrize("number", TABLES)
def test_printed_figures_say_where_they_are_from(number: str) -> None:
    """A table of its own, and whether the figures were read there: then they are as read."""
    table = TABLES[number]()
    every = [one.printed for row in table.rows for one in row.figures]
    printed = [one for one in every if one is not None]
    if not printed:
        assert (table.source, table.verified) == ("", False)
        assert table_cells.source(table) == table_cells.note([table]) == ""
        return
    assert table.source == ("paper, section 4.4" if number == "11" else f"paper, Table {number}")
    assert table.verified == (number in READ)
    if table.verified:
        assert printed == [float(one) for one in READ[number].split()]
    for one in (replace(table, verified=True), replace(table, verified=False)):
        said = table_cells.source(one), table_cells.note([one])
        assert all(table.source in text and "erified" in text for text in said)
        assert all(("ot verified" in text) != one.verified for text in said)


def test_accuracies_are_as_read() -> None:
    """Top-1 of Tables 4 to 7."""
    assert list(findings.PAPER_FORMS.values()) == [71.7, 70.6]
    assert (findings.PAPER_THIN, findings.PAPER_SHALLOW) == (68.4, 65.3)
    assert findings.PAPER_ALPHAS == {1.0: 70.6, 0.75: 68.4, 0.5: 63.7, 0.25: 50.6}
    assert findings.PAPER_RESOLUTIONS == (70.6, 69.1, 67.2, 64.4)  # at 224, 192, 160, 128


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
