"""The study: what is trained, what is resumed, what is said of it, and the bundled results.

What enters: mbn-paper study on digits, small enough to wait for. What leaves: failures. Always
holds: one small study runs end to end; the bundled results are only recomputed where that needs no
training.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mbn.core.errors import ModelError, PlanError, UsageError
from mbn.core.family import Form, Kind, shape
from mbn.train.data import load
from mbn.train.pictures import Pictures, moved, read_split
from mbn_paper.cli.claims import show
from mbn_paper.cli.main import main
from mbn_paper.study import costs, results
from mbn_paper.study.designs import DESK, PAPER, Variant
from mbn_paper.study.designs import QUICK as QUICK_DESIGN
from mbn_paper.study.findings import claims, findings, spread
from mbn_paper.study.measure import measured
from mbn_paper.study.words import method, studies

QUICK = ["study", "--data", "digits", "--quick"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study of all comparisons, one seed."""
    pytest.importorskip("torch", reason="needs the extra `train`")
    pytest.importorskip("sklearn", reason="needs the extra `train`")
    made = tmp_path_factory.mktemp("study")
    assert main([*QUICK, "--seeds", "1", "--jobs", "2", "--output", str(made)]) == 0
    return made


def test_small_study(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every comparison's networks are trained, and learn; int8 keeps what float learned."""
    found = results.read(folder / "results.jsonl")
    log = results.read_log(folder / "log.jsonl")
    assert {one.network for one in found} == {str(form) for form in Form}
    for one in found:
        counted = shape(one.alpha, one.resolution, 10, form=Form(one.network), stem_stride=1)
        assert one.macs == counted.macs
        assert one.images == 359
        assert one.seconds > 0
        assert one.cycles is None and one.ran_on is None and not one.drawn
        assert one.machine.startswith("one CPU thread, PyTorch ")
        assert one.int8_percent is not None
        assert abs(one.int8_percent - one.float_percent) < 10
        own = [
            line for line in log if (line.network, line.alpha, line.resolution) == one.variant[1:]
        ]
        assert [line.epoch for line in own] == list(range(1, one.epochs + 1))
        assert own[-1].loss < own[0].loss
    assert max(one.float_percent for one in found) > 20  # a tenth by chance
    assert main(["study", "--results", str(folder / "results.jsonl")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for title in ("Table 4", "Table 5", "Table 6", "Table 7", "int8, as on a device"):
        assert title in said
    assert said.index("The paper's claims") < said.index("3 epochs in batches of 32, rate 0.002")


def test_costs_of_trained_and_of_drawn_weights(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In emulation, with the trained weights of any seed; a network whose weights are not at hand
    is drawn, and marked; what fits no emulated board ran on the host."""
    path = tmp_path / "results.jsonl"
    known = results.read(folder / "results.jsonl")
    chosen = next(one for one in known if one.resolution == 16)
    results.append(path, replace(chosen, seed=2))
    results.append(path, chosen)
    arguments = [*QUICK, "--only", "separable_0.125_16", "--seeds", "1", "--board", "qemu"]
    with monkeypatch.context() as patched:

        def checked(int8: Path, board: str) -> object:
            """Too large for QEMU: what is asked for next?"""
            assert int8 == tmp_path / "separable_0.125_16_drawn" / "int8.onnx" and int8.exists()
            if board == "qemu":
                raise PlanError("the network does not fit qemu:\n  what")
            return board

        patched.setattr(costs, "_checked", checked)
        assert main([*arguments, "--output", str(tmp_path), "--results", str(path)]) == 0
    drawn = results.read(path)[0]
    assert drawn.drawn and (drawn.ran_on, drawn.cycles, drawn.arena_bytes) == ("host", None, None)
    assert "on host instead: the network does not fit qemu\n" in capsys.readouterr().out
    assert main([*arguments, "--output", str(folder), "--results", str(path)]) == 0
    other, costed = results.read(path)
    assert costed.cycles == other.cycles
    assert costed.cycles is not None and not costed.drawn and costed.ran_on == "qemu"
    assert 1 < costed.cycles / costed.macs < 10
    assert costed.arena_bytes is not None
    assert 16 * 16 * 4 < costed.arena_bytes < 20_000
    assert replace(costed, cycles=None, arena_bytes=None, ran_on=None) == chosen


def test_networks_that_were_trained_elsewhere(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their int8 is measured, beside the float figure that is known; nothing is trained."""
    known = results.read(folder / "results.jsonl")
    same = [one for one in known if one.network == "separable" and one.resolution == 20]
    chosen, other, _ = same
    nets, path = tmp_path / "nets", tmp_path / "results.jsonl"
    nets.mkdir()

    def give(of: results.Result, name: str) -> None:
        trained = folder / f"{of.network}_{of.alpha:g}_{of.resolution}_seed1"
        (float_file,) = trained.glob("mobilenet_*.onnx")
        (nets / f"{name}.onnx").write_bytes(float_file.read_bytes())

    give(chosen, f"separable_{chosen.alpha:g}_20_stem1_seed1")
    give(other, f"separable_{other.alpha:g}_20_seed4")  # no line: trained for the design's epochs
    on_gpu = replace(chosen, int8_percent=None, machine="a GPU", seconds=7)
    results.append(path, on_gpu)
    asked = [*QUICK, "--networks", str(nets), "--output", str(tmp_path)]
    assert main(asked) == 0
    filled, new = results.read(path)
    assert filled == replace(on_gpu, int8_percent=chosen.int8_percent)
    command = "mbn-paper study --data digits --quick --networks DIR"
    elsewhere = {"machine": "trained elsewhere", "seconds": None, "command": command}
    assert new == replace(other, seed=4, **elsewhere)  # type: ignore[arg-type]
    assert main(asked) == 0
    assert capsys.readouterr().out.count(" networks to measure") == 1
    results.change(path, lambda one: replace(one, float_percent=99.0, int8_percent=None))
    assert main(asked) == 2
    assert "has 99.00 % for" in " ".join(capsys.readouterr().err.split())
    variant = Variant(Form.SEPARABLE, chosen.alpha, 20)
    wrong = next(nets.glob("*_seed4.onnx"))
    with pytest.raises(ModelError, match="it is another network"):
        measured(wrong, load("digits", 20), tmp_path, variant, QUICK_DESIGN)


def test_study_goes_on_and_repeats(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has a result is not trained again; what is trained again gives the same result."""
    kept = (folder / "results.jsonl").read_text().splitlines()
    first = json.loads(kept[0])
    name = f"{first['network']}_{first['alpha']:g}_{first['resolution']}"
    path = tmp_path / "results.jsonl"
    path.write_text("".join(f"{line}\n" for line in kept[1:]))
    assert main([*QUICK, "--seeds", "1", "--output", str(tmp_path)]) == 0
    assert f"1 networks to train; results go to {path}" in capsys.readouterr().out.replace("\n", "")
    again = json.loads(path.read_text().splitlines()[-1])
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    assert (tmp_path / f"{name}_seed1" / "checkpoint.pt").exists()
    assert main([*QUICK, "--seeds", "1", "--output", str(tmp_path)]) == 0
    assert "to train" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "cifar"], "wanted: digits, a folder with one folder a class"),
        (["--data", "digits", "--jobs", "0"], "--jobs 0"),
        (
            ["--data", "digits", "--quick", "--device", "abacus"],
            "torch can't use the device abacus",
        ),
        (["--data", "digits", "--only", "wide_1_32"], "no network wide_1_32. wanted: of sep"),
        (["--results", "missing.jsonl"], "missing.jsonl: no such file"),
        (["--board", "qemu"], "--networks or --board without --data"),
        (["--data", "digits", "--quick", "--design", "desk"], "--quick with --design"),
        (["--data", "digits", "--networks", "none"], "none has no float network"),
        (["--data", "digits", "--quick", "--scheduler", "no"], "no scheduler answers"),
        (["--data", "split:missing.zip"], "missing.zip is neither a folder nor a zip"),
    ],
)
def test_mistakes(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_results_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.jsonl"
    assert results.read(path) == ()
    ours = [one(seed=1), one(seed=2)]
    for each in ours:
        results.append(path, each)
    assert results.read(path) == tuple(ours)
    with path.open("a") as file:
        file.write('{"study": "x"}\n')
    with pytest.raises(ModelError, match=r"line 3 is no result"):
        results.read(path)


def one(**changed: object) -> results.Result:
    """An invented result."""
    made = results.Result(
        study="invented",
        design="desk",
        network="separable",
        alpha=0.5,
        resolution=32,
        stem_stride=1,
        classes=10,
        seed=1,
        epochs=3,
        macs=1000,
        params=100,
        float_percent=70.0,
        int8_percent=69.5,
        images=1000,
        arena_bytes=None,
        cycles=None,
        ran_on=None,
        drawn=False,
        seconds=1,
        machine="an abacus",
        command="none",
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def test_findings_say_what_the_figures_are() -> None:
    found = [one(seed=seed, float_percent=70.0 + seed) for seed in (1, 2)]
    found += [
        one(network="conv", seed=seed, float_percent=70.5 + 3 * seed, macs=8000) for seed in (1, 2)
    ]
    found += [one(network="shallow", seed=1, float_percent=72.0)]
    found += [one(alpha=alpha, macs=int(1000 * 4 * alpha**2)) for alpha in (1.0, 0.75)]
    found += [one(alpha=0.25, macs=250, float_percent=40.0), one(alpha=1.0, seed=3)]
    found += [one(resolution=16, float_percent=60.0)]
    forms, thin, alphas, sizes, integers = findings(found)
    assert forms.rows[0][4] == str(spread([73.5, 76.5])) == "75.00 ± 2.12"
    # 73.5 - 71 and 76.5 - 72, seed by seed
    (claim,) = forms.claims
    assert claim.ours == "3.50 ± 1.41 points, for 8.0 times fewer" and not claim.agrees
    assert claim.paper.startswith("1.1 points") and claim.trainings == "2"
    (claim,) = thin.claims
    assert (claim.paper, claim.ours) == ("gains 3.1 points", "loses 1.00 points")
    assert claim.verdict == "differs" and claim.trainings == "1-2"
    assert [row[0] for row in alphas.rows] == ["alpha 1", "alpha 0.75", "alpha 0.5", "alpha 0.25"]
    falls, jump = alphas.claims
    assert not falls.agrees  # alpha 1 and 0.75 are alike
    assert "below the line" in jump.ours and jump.agrees
    assert [row[0] for row in sizes.rows] == ["32 x 32", "16 x 16"]
    assert sizes.claims[0].ours == "by 11.00 points" and sizes.claims[0].agrees
    assert "alpha 0.5 at 32, seed 2: 76.50 % float, 69.50 % int8" in integers.notes[0]


@pytest.mark.parametrize(
    ("conv", "agrees"), [(71.1, True), (72.0, True), (72.2, False), (70.0, False)]
)
def test_separable_may_lose_a_point(conv: float, agrees: bool) -> None:
    """Within a point of the paper's 1.1, by one seed."""
    found = [one(), one(network="conv", float_percent=conv, macs=8600)]
    (claim,) = claims(found)
    assert claim.agrees is agrees
    assert claim.ours == f"{conv - 70:.2f} points, for 8.6 times fewer"


@pytest.mark.parametrize(("smallest", "agrees"), [(70.0, False), (69.5, False), (69.3, True)])
def test_a_drop_is_more_than_what_the_others_are_off(smallest: float, agrees: bool) -> None:
    """The line through the first three: 10 points a doubling, 0.4 below the second, 70.2 at the
    smallest."""
    tops = {1.0: 100.0, 0.75: 90.6, 0.5: 80.0, 0.25: smallest}
    macs = dict(zip(tops, (8000, 4000, 2000, 1000), strict=True))
    found = [one(alpha=a, macs=macs[a], float_percent=top) for a, top in tops.items()]
    falls, jump = claims(found)
    assert falls.agrees and jump.agrees is agrees
    assert jump.ours.startswith("10.00 points a doubling") and jump.ours.endswith("within 0.40")


def test_what_is_not_measured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A line without int8, drawn weights, a run on the host alone; the paper's design first."""
    desk = one(ran_on="qemu", cycles=5, arena_bytes=7)
    own = [
        one(study="own-paper", design="paper", int8_percent=None, ran_on="qemu", drawn=True),
        one(study="own-paper", design="paper", alpha=0.25, ran_on="qemu", cycles=9_000_000),
    ]
    own[0] = replace(own[0], cycles=9, arena_bytes=9)
    large = replace(own[0], network="conv", cycles=None, arena_bytes=None, ran_on="host")
    assert [group[0].study for group in studies([desk, *own])] == ["own-paper", "invented"]
    said = " ".join(method([*own, large]))
    assert "int8 was measured for 1 of 3 trainings" in said
    assert "cycles of 1 networks (marked *) are of drawn weights" in said
    assert "on the host alone, without RAM and cycles: full convolutions of alpha 0.5" in said
    assert "3 epochs in batches of 128, rate 0.003, by an abacus" in said
    assert "not measured" not in " ".join(method([desk])) and "drawn" not in method([desk])[0]
    (forms, alphas) = findings([*own, large])[:2]
    assert forms.rows[0][4:9] == ("70.00", "-", "-", "-", "-")
    assert forms.rows[1][4:9] == ("70.00", "-", "-", "0.0*", "0.0 M*")
    assert alphas.rows[1][4:9] == ("70.00", "69.50", "-0.50", "-", "9.0 M")
    show((desk, *own), Console(width=80, highlight=False))
    printed = capsys.readouterr().out
    first, second = "the paper's own widths, 3 epochs on own", "widths for a desk, 3 epochs"
    assert 0 < printed.index(first) < printed.index(second)
    assert max(map(len, printed.splitlines())) <= 80


def test_bundled_results() -> None:
    """Counts are the shapes' again; percentages are whole images; each network has its seeds."""
    found, log = results.read(), results.read_log()
    assert found, "the bundled results"
    seeds: dict[object, set[int]] = {}
    for result in found:
        form = Form(result.network)
        size = (result.alpha, result.resolution, result.classes)
        counted = shape(*size, form=form, stem_stride=result.stem_stride)
        assert result.macs == counted.macs
        assert result.params == sum(layer.fan_in * layer.channels_out for layer in counted.layers)
        for percent in (result.float_percent, result.int8_percent):
            right = (percent or 0) * result.images / 100
            assert right == pytest.approx(round(right), abs=1e-3)
        assert result.command.startswith("mbn-paper study --data ")
        assert result.ran_on == ("qemu" if result.cycles else "host")
        assert result.seed not in seeds.setdefault(result.variant, set())
        seeds[result.variant].add(result.seed)
    logged = {(one.study, one.network, one.alpha, one.resolution, one.seed) for one in log}
    assert logged == {(*result.variant, result.seed) for result in found}
    own, desk, _ = studies(found)
    for design, group in ((PAPER, own), (DESK, desk)):
        names = {f"{one.network}_{one.alpha:g}_{one.resolution}" for one in group}
        assert names == {variant.name for variant in design.variants()}
        assert {one.epochs for one in group} == {design.epochs}
        assert len(findings(group)) == 5 and len(claims(group)) == 5
    assert min(len(seeds[result.variant]) for result in desk) >= 2
    # of the paper's design the float networks of alpha 0.5 and 0.25 are at hand; 28 million
    # weights of full convolutions fit no emulated board
    assert {one.alpha for one in own if one.int8_percent is not None} == {0.5, 0.25}
    assert {one.alpha for one in own if not one.drawn} == {0.5, 0.25}
    assert {one.network for one in own if one.cycles is None} == {"conv"}
    assert {claim.table: claim.verdict for claim in claims(own)} == {
        "Table 4": "agrees",
        "Table 5": "differs",
        "Table 6": "agrees",
        "Figure 4": "agrees",
        "Table 7": "agrees",
    }


@pytest.mark.full
def test_bundled_costs_made_again(tmp_path: Path) -> None:
    """Of the smallest network with drawn weights: the kernels are still those."""
    drawn = [result for result in results.read() if result.drawn and result.cycles]
    first = min(drawn, key=lambda result: result.cycles or 0)
    variant = Variant(Form(first.network), first.alpha, first.resolution)
    path = costs.drawn(variant, first.classes, first.stem_stride, tmp_path / "int8.onnx")
    made = costs.costs(path, "qemu")
    assert (made.arena_bytes, made.cycles) == (first.arena_bytes, first.cycles)


# -- forms and pictures --------------------------------------------------------------------------


def test_forms_of_the_shape() -> None:
    conv = shape(0.5, 32, 10, form=Form.CONV, stem_stride=1).layers
    own = shape(0.5, 32, 10, stem_stride=1).layers
    assert [layer.kind for layer in conv[:-1]] == [Kind.CONV] * 14
    pointwise = [layer for layer in own if layer.kind is Kind.POINTWISE]
    assert [layer.size_out for layer in conv[1:-1]] == [layer.size_out for layer in pointwise]
    assert [layer.channels_out for layer in conv[1:-1]] == [
        layer.channels_out for layer in pointwise
    ]
    assert own[0].size_out == 32
    assert own[-2].size_out == 2
    assert len(shape(0.5, 32, 10, form=Form.SHALLOW).layers) == len(own) - 10
    assert shape(0.5, 16, 10, stem_stride=1).layers[-2].size_out == 1
    with pytest.raises(UsageError, match="at least 16"):
        shape(0.5, 15, 10, stem_stride=1)
    with pytest.raises(UsageError, match="first stride of 3"):
        shape(0.5, 96, 10, stem_stride=3)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A split with two classes, drawn, as a folder."""
    rng = np.random.default_rng(1)
    for number, split in enumerate(("train", "test")):
        for label, name in enumerate(("bird", "cat")):
            place = tmp_path / "tree" / split / name
            place.mkdir(parents=True)
            for index in range(5 - number):
                pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
                pixels[0, 2] = label  # inside the middle square
                Image.fromarray(pixels).save(place / f"{index}.png")
    return tmp_path / "tree"


def test_split_of_a_folder_and_of_a_zip(tree: Path, tmp_path: Path) -> None:
    packed = tmp_path / "tree.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in sorted(tree.rglob("*.png"), reverse=True):
            file.write(path, path.relative_to(tree))
    folder, zipped = load(f"split:{tree}", 20), load(f"split:{packed}", 20)
    assert isinstance(folder, Pictures)
    assert isinstance(zipped, Pictures)
    assert folder.classes == zipped.classes == ("bird", "cat")
    assert folder.train_count == 10
    for a, b in ((folder.train, zipped.train), (folder.test, zipped.test)):
        assert np.array_equal(a.images, b.images)
        assert np.array_equal(a.labels, b.labels)
        assert np.array_equal(a.images[:, 0, 0, 0], a.labels)  # the pixel that tells the class
    first = read_split(packed, 10, cache=tmp_path / "kept")
    (kept,) = (tmp_path / "kept").iterdir()
    again = read_split(packed, 10, cache=tmp_path / "kept")
    assert kept.suffix == ".npz"
    assert np.array_equal(first.train.images, again.train.images)
    batches = list(folder.epoch(1, 0, 4))
    assert [images.shape for images, _ in batches] == [(4, 20, 20, 3)] * 2
    for (images, _), (again_images, _) in zip(batches, folder.epoch(1, 0, 4), strict=True):
        assert np.array_equal(images, again_images)
    assert not np.array_equal(batches[0][0], next(folder.epoch(1, 1, 4))[0])
    assert sum(len(labels) for _, labels in folder.held_out()) == 8


def test_split_refusals(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a folder nor a zip"):
        read_split(tmp_path / "nothing", 20)
    (tree / "test" / "cat" / "4.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match="can't be read as an image"):
        read_split(tree, 20)
    for path in (tree / "test" / "cat").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match=r"2 class\(es\) in train/ and 1 in test/"):
        read_split(tree, 20)
    broken = io.BytesIO()
    with zipfile.ZipFile(broken, "w") as file:
        file.writestr("readme", "none")
    (tmp_path / "none.zip").write_bytes(broken.getvalue())
    with pytest.raises(UsageError, match=r"0 class\(es\)"):
        read_split(tmp_path / "none.zip", 20)


def test_moved_by_hand() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    assert np.array_equal(moved(image, np.array([[1, 1, 0]])), image)  # by (0, 0)
    assert np.array_equal(moved(image, np.array([[1, 1, 1]])), image[:, :, ::-1])
    down = moved(image, np.array([[0, 1, 0]]))[0, :, :, 0]
    assert np.array_equal(down[1:], image[0, :-1, :, 0])
    assert np.array_equal(down[0], image[0, 1, :, 0])  # the border mirrored in
