"""The page is one whole file: well-formed, self-contained, readable in both schemes, and true.

What enters: two sizes of the paper planned, invented trainings, the bundled network's report. What
leaves: failures. Always holds: figures of the page are compared with the data they come from.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import qdq
from conftest import Compiled
from mbn.cli import compile as compile_command
from mbn.cli import report as report_command
from mbn.core.boards import find_board
from mbn.core.errors import ModelError, UsageError
from mbn.report import Report, load_report
from mbn.report.page import compiled, costs
from mbn.report.page.heads import heads
from mbn.report.page.whole import page as compiled_page
from mbn.report.record import of_json, to_json
from mbn_paper.cli import device as paper_device
from mbn_paper.cli import main as paper_main
from mbn_paper.counts.tables import TABLES
from mbn_paper.device import cells as device_cells
from mbn_paper.device import runs as device_runs
from mbn_paper.device.entries import Device, Size, device
from mbn_paper.page import paper as paper_page
from mbn_paper.page import whole
from mbn_paper.page.whole import Paper
from mbn_paper.study.findings import spread
from mbn_paper.study.results import Epoch, Result

VOID = {"meta", "br", "hr", "img", "input", "link"}
PLOTS = {"accuracy-toy", "loss-toy", "growth", "ram", "roofline", "share-0-25-96"}
COMPILED_PLOTS = {"roof-1", "share-1", "memory-1"}
MAPS = {"memory-stream", "memory-whole"}


class Parsed(HTMLParser):
    """Checks that every element is closed; collects ids, references and tables' cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.attributes: Counter[str] = Counter()
        self.tables: dict[str, list[list[str]]] = {}
        self.figures: dict[str, list[dict[str, str | None]]] = {}
        self._caption, self._figure = "", ""
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [values["id"] or ""] if "id" in values else []
        for name in ("href", "src", "data", "poster", "srcset", "action"):
            self.references += [values[name] or ""] if name in values else []
        if tag == "figure":
            self._figure = values["id"] or ""
        if tag == "svg":
            self.figures.setdefault(self._figure, []).append(values)
        if tag == "tr":
            self.tables.setdefault(self._caption, []).append([])
        if tag in {"td", "th"}:
            self.tables[self._caption][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "caption":
            self._caption = data.strip()
        elif self.open and self.open[-1] in {"td", "th"}:
            self.tables[self._caption][-1][-1] += data


def trainings() -> tuple[Result, ...]:
    """Invented: two networks of two seeds, and one that was not planned."""
    made = []
    for seed in (1, 2):
        for network, alpha, macs in (
            ("separable", 1.0, 30),
            ("separable", 0.5, 8),
            ("conv", 1, 250),
        ):
            top = 80 + 4 * alpha + seed / 8
            planned = None if network == "conv" else 1
            made.append(
                Result(
                    study="toy",
                    design="paper",
                    network=network,
                    alpha=float(alpha),
                    resolution=64,
                    stem_stride=1,
                    classes=10,
                    seed=seed,
                    epochs=2,
                    macs=macs * 1_000_000,
                    params=macs * 40_000,
                    float_percent=top,
                    int8_percent=None if planned is None else top - 0.25,
                    images=500,
                    arena_bytes=planned and macs * 2048,
                    cycles=planned and macs * 1_300_000,
                    ran_on="qemu" if planned else "host",
                    drawn=alpha == 0.5,
                    seconds=5,
                    machine="an abacus",
                    command='mbn-paper study --data "<toy>"',
                )
            )
    return tuple(made)


def losses() -> tuple[Epoch, ...]:
    """Invented: two epochs of each training."""
    return tuple(
        Epoch(of.study, of.network, of.alpha, of.resolution, of.seed, epoch, 2 / epoch, 3.0)
        for of in trainings()
        for epoch in (1, 2)
    )


@pytest.fixture(scope="module")
def planned() -> Device:
    runs = device_runs.bundled().known
    boards = [find_board(name) for name in ("stm32", "nucleo_h743zi", "ek_ra8m1")]
    cores = [find_board(name) for name in paper_device.EMULATED]
    return device([Size(0.25, 96)], cores, boards, runs)


@pytest.fixture(scope="module")
def paper(planned: Device) -> Paper:
    return Paper(
        tuple(TABLES[number]() for number in ("2", "4", "7")), trainings(), losses(), planned
    )


@pytest.fixture(scope="module")
def folder(bundled: Compiled) -> Path:
    """What mbn-compile made of the bundled network."""
    return bundled.folder


@pytest.fixture(scope="module")
def text(paper: Paper, folder: Path) -> str:
    return whole.page(compiled.find([folder]), paper)


@pytest.fixture(scope="module")
def parsed(text: str) -> Parsed:
    return Parsed(text)


def test_the_page_is_whole_and_needs_nothing_else(text: str, parsed: Parsed) -> None:
    assert len(parsed.ids) == len(set(parsed.ids))
    assert parsed.references
    for one in parsed.references:
        assert one.startswith("#") and one[1:] in parsed.ids, one
    assert "http" not in text.lower() and "@import" not in text and "<script" not in text
    for inside in re.findall(r"url\(([^)]*)\)", text):
        assert inside.startswith("#") and inside[1:] in parsed.ids


def test_every_plot_is_there_and_says_what_it_is(text: str, parsed: Parsed) -> None:
    assert set(parsed.figures) == PLOTS | COMPILED_PLOTS | MAPS
    for name, pictures in parsed.figures.items():
        (svg,) = pictures
        assert svg["role"] == "img" and svg["aria-label"], name
    assert not re.search(r"#0a0a[01]\d", text), "a colour of the drawing is no colour of the page"
    assert "DejaVu" not in text


def colours(rules: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", rules))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_both_schemes_and_print_can_be_read(text: str) -> None:
    style = text[text.index("<style>") : text.index("</style>")]
    light, rest = style.split("@media (prefers-color-scheme: dark)")
    dark, printed = rest.split("@media print")
    used = set(re.findall(r"var\(--(\w+)\)", text)) - {"sans"}
    for rules in (light, dark, printed):
        scheme = colours(rules)
        assert used <= set(scheme)
        for name, least in {"ink": 7.0, "muted": 4.5, "link": 4.5}.items():
            for ground in ("page", "panel"):
                assert contrast(scheme[name], scheme[ground]) >= least, (name, ground)
        for series in range(1, 7):  # text in the page's colour stands on them
            assert contrast(scheme[f"s{series}"], scheme["page"]) >= 4.5, series
    assert "break-inside: avoid" in printed and "overflow: visible" in printed


def _of(report: Report) -> tuple[str, str, str, dict[str, str]]:
    (card,) = heads([compiled.Compiled("x", report, None)])
    return card.state, card.verdict, card.note, dict(card.facts)


def test_it_begins_with_the_network(folder: Path) -> None:
    report = load_report(folder)
    text = compiled_page(compiled.find([folder]), ["dsp 1"])
    head = text[text.index("<body>") : text.index("Contents")]
    assert f"<h1>{report.network.name}</h1>" in head and 'class="network good"' in head
    assert "Cortex-M" in head and Parsed(text)
    check = report.check
    assert check is not None
    state, verdict, note, facts = _of(report)
    assert state == "good" and f"{check.samples} of {check.samples}" in verdict
    assert check.build_id == report.build_id and report.build_id in note
    assert facts["cycles, modelled"] == f"{check.modelled_cycles:,}"
    assert facts["flash, bytes"] == f"{report.memory.flash_bytes:,}"
    wrong = replace(check, exact_samples=0, mismatch="stage 3 differs")
    state, verdict, note, _ = _of(replace(report, check=wrong))
    assert state == "bad" and "Bits differ: 0 of" in verdict and "stage 3 differs" in note


def test_a_check_is_kept_for_the_same_image_alone(folder: Path) -> None:
    checked = load_report(folder)
    assert checked.check is not None and checked.check.image_sha256
    stages = tuple(
        replace(one, instructions=None, modelled_cycles=None, unaligned_cycles=None)
        for one in checked.stages
    )
    memory = replace(checked.memory, stack_bytes_painted=None)
    fresh = replace(checked, check=None, memory=memory, stages=stages)
    assert fresh.after(checked, checked.check.image_sha256) == checked
    other = replace(fresh, build_id="f" * 16).after(checked, "0" * 64)
    assert other.check is None and other.earlier_check == checked.check
    state, verdict, note, facts = _of(other)
    assert (state, verdict) == ("open", "Not checked") and "cycles, modelled" not in facts
    assert f"belonged to another build ({checked.build_id})" in note and "f" * 16 in note
    assert other.after(other, "1" * 64).earlier_check == checked.check  # and so on
    renamed = replace(checked, network=replace(checked.network, name="another"))
    assert fresh.after(renamed, checked.check.image_sha256) == fresh
    validated = of_json(to_json(other))
    assert validated == other


def test_compiled_again_without_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    qdq.mobile().save(Path("mine.onnx"))
    arguments = ["--board", "qemu", "--model", "mine.onnx", "--output", "o", "--quiet"]
    assert compile_command.main([*arguments, "--samples", "3", "--check"]) == 0
    checked = load_report(Path("o"))
    assert compile_command.main([*arguments, "--samples", "3"]) == 0
    assert load_report(Path("o")) == checked and checked.check is not None
    assert compile_command.main([*arguments, "--samples", "3", "--unfused"]) == 0
    other = load_report(Path("o"))
    assert other.check is None and other.earlier_check == checked.check
    assert other.build_id != checked.build_id


def test_figures_are_the_data(parsed: Parsed, paper: Paper, folder: Path) -> None:
    rows = {
        row[0]: row for row in parsed.tables["Table 4: Depthwise separable vs full convolution"]
    }
    assert rows["MobileNet"][1:4] == ["568.7", "569", "0"]
    for row in paper.device.cores:
        board = row.stream.board
        cells = parsed.tables[f"{board.core.name} ({board.name})"][1]
        assert row.run is not None and row.run.report.check is not None
        assert f"{row.run.report.check.modelled_cycles:,}" in cells and "2/2 exact" in cells
    study = parsed.tables["All networks of the study"]
    of_half = next(row for row in study if row[:2] == ["depthwise separable", "0.5"])
    tops = [one.int8_percent for one in paper.results if one.alpha == 0.5]
    assert of_half[6] == str(spread(tops)) == "81.94 ± 0.09"
    assert of_half[7:] == ["8", "0.32", "16*", f"{8 * 1_300_000 / 168_000:.3g}*"]  # drawn weights
    (full,) = (row for row in study if row[0] == "full convolutions")
    assert full[6] == full[-1] == "-"
    # the page begins with the claims
    first = next(iter(parsed.tables))
    assert first == "The paper's claims, the paper's own widths, 2 epochs on toy"
    (form, _) = parsed.tables[first][1:]
    assert form[0] == "Table 4" and form[3:] == [
        "0.00 ± 0.00 points, for 8.3 times fewer",
        "2",
        "differs",
    ]
    (one,) = compiled.find([folder])
    stages = parsed.tables["Stages"][1:]
    assert [row[3] for row in stages] == [f"{stage.macs:,}" for stage in one.report.stages]
    matrix = parsed.tables["What fits, and milliseconds at zero wait"]
    assert matrix[1] == ["0.25-96", *(device_cells.fit_cell(row) for row in paper.device.boards)]


def test_text_is_escaped(text: str) -> None:
    assert "&lt;toy&gt;" in text and "<toy>" not in text


def test_same_data_same_bytes(text: str, paper: Paper, folder: Path) -> None:
    assert whole.page(compiled.find([folder]), paper) == text


def test_no_stage_is_above_its_cores_limit() -> None:
    """Of all 60 runs: a limit that a kernel exceeds would be none."""
    best: dict[str, float] = {}
    for run in device_runs.bundled().known.values():
        core = run.report.core
        for stage in run.report.stages:
            if stage.macs and stage.modelled_cycles:
                reached = stage.macs / stage.modelled_cycles
                best[core] = max(best.get(core, 0), reached)
                assert reached <= costs.limit(core, costs.intensity(stage)), stage
                assert reached <= costs.INNER_LOOP.get(core, reached), stage
    assert best["cortex-m4f"] > 0.9 and best["cortex-m7"] > 1.6 and best["cortex-m55"] > 6
    assert costs.limit("cortex-m4f", 1e9) == pytest.approx(2)
    assert costs.limit("cortex-m4f", 0.5) == pytest.approx(1)  # as long to load as to multiply
    assert costs.limit("cortex-m55", 0.5) == 4


def test_weights_by_what_a_place_multiplies() -> None:
    run = device_runs.bundled().known[1.0, 224, "qemu"]
    assert sum(map(costs.weights, run.report.stages)) == Size(1.0, 224).params


def test_heads_where_there_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "heads.json"
    assert paper_page.heads_section(path) is None
    row = {
        "section": "4.6",
        "head": "boxes",
        "scores": ["mean average precision", "recall"],
        "float_percent": [81.25, 90.0],
        "int8_percent": [80.5, 89.9],
        "teacher_percent": None,
        "macs": 1234567,
        "params": 1000,
        "arena_bytes": 2000,
        "flash_bytes": 3000,
        "instructions": 4000,
        "cycles": None,
        "exact_samples": 5,
        "samples": 5,
    }
    path.write_text(json.dumps({"command": "mbn-paper heads", "rows": [row]}))
    section = paper_page.heads_section(path)
    assert section is not None
    (block,) = section.blocks
    first, second = asdict(block)["rows"]
    assert first[:5] == ("4.6 boxes", "mean average precision", "81.2", "80.5", "-")
    assert first[5:] == ("1,234,567", "1,000", "2,000", "3,000", "4,000", "-", "5 of 5")
    assert second[:4] == ("", "recall", "90.0", "89.9") and not any(second[4:])
    del row["macs"]
    path.write_text(json.dumps({"command": "mbn-paper heads", "rows": [row]}))
    with pytest.raises(ModelError, match="no table of heads"):
        paper_page.heads_section(path)
    path.write_text("[]")
    with pytest.raises(ModelError, match="no table of heads"):
        paper_page.heads_section(path)


def test_command(
    folder: Path,
    tmp_path: Path,
    planned: Device,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Folders alone, by default out/; the paper alone; the paper and folders."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paper_device, "planned", lambda *_: planned)
    monkeypatch.setattr("mbn_paper.counts.tables.TABLES", {"2": TABLES["2"]})
    assert report_command.main([str(folder), "--output", "one.html"]) == 0
    page = Path("one.html")
    assert f"wrote  one.html ({page.stat().st_size:,} bytes)" in capsys.readouterr().out
    assert set(Parsed(page.read_text()).figures) == COMPILED_PLOTS
    assert paper_main.main(["page", "--quiet"]) == 0
    assert COMPILED_PLOTS.isdisjoint(Parsed(Path("out/paper.html").read_text()).figures)
    inside = Path("out/qemu/network")
    inside.mkdir(parents=True)
    (inside / "report.json").write_bytes((folder / "report.json").read_bytes())
    assert report_command.main([]) == 0
    assert set(Parsed(Path("out/report.html").read_text()).figures) == {"roof-1", "share-1"}
    assert paper_main.main(["page", "--compiled", "out", "--output", "both.html"]) == 0
    both = Parsed(Path("both.html").read_text())
    assert {"roof-1", "growth"} <= set(both.figures) and "memory-1" not in both.figures


def test_what_is_wrong_is_said(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def said(*arguments: object) -> str:
        assert report_command.main([*map(str, arguments), "--output", str(tmp_path / "x")]) == 2
        assert not (tmp_path / "x").exists()
        return capsys.readouterr().err

    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no report.json in or below" in said(empty)
    assert "no report.json in or below" in said(tmp_path / "nothing")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "report.json").write_text("{")
    assert "is not a report" in said(broken)
    data = json.loads((folder / "report.json").read_text())
    del data["memory"]
    (broken / "report.json").write_text(json.dumps(data))
    assert "'memory' is a required property" in said(broken)
    (broken / "report.json").write_bytes((folder / "report.json").read_bytes())
    (broken / "memory_map.json").write_text('{"rectangles": 3}')
    assert "is not a memory map" in said(broken)
    assert paper_main.main(["page", "2-96", "--output", str(tmp_path / "x")]) == 2
    assert not (tmp_path / "x").exists() and "no size 2-96" in capsys.readouterr().err
    for name in [name for name in sys.modules if name.startswith("mbn.report.page")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "matplotlib is not installed" in said(folder)


def test_a_part_that_measures_stands_before_the_model(folder: Path) -> None:
    (one,) = compiled.find([folder])
    stages = tuple(replace(stage, measured_cycles=stage.macs) for stage in one.report.stages)
    assert costs.Series("x", stages).cycles() == [stage.macs for stage in stages]
    with pytest.raises(UsageError):
        compiled.find([folder / "c"])
