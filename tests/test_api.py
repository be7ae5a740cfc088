"""The Python API: what it returns, that it is silent, and that it loads what it needs only.

What enters: the bundled network, the emulated M4. What leaves: failures.
"""

from __future__ import annotations

import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest

import mbn

ROOT = Path(__file__).parents[1]
HEAVY = ("tvm", "torch", "onnx", "onnxruntime", "matplotlib")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> mbn.Compiled:
    return mbn.compile(
        board="qemu",
        alpha=0.25,
        data="digits",
        samples=2,
        output=tmp_path_factory.mktemp("api") / "made",
    )


def loaded_by(code: str) -> set[str]:
    """Which heavy packages some code loads."""
    program = f"{code}\nimport sys\nprint([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(typing.cast(list[str], eval(done.stdout.splitlines()[-1])))


@pytest.mark.parametrize(
    "code",
    [
        "import mbn",
        "import mbn; mbn.boards(), mbn.find_board('stm32')",
        "import mbn; mbn.check, mbn.flash, mbn.verify, mbn.mlperf",
    ],
)
def test_light_things_load_nothing_heavy(code: str) -> None:
    assert loaded_by(code) == set()


def test_every_public_name_is_there_and_documented() -> None:
    for name in mbn.__all__:
        value = getattr(mbn, name)
        assert name in dir(mbn)
        if callable(value):
            assert (value.__doc__ or "").strip(), name
    with pytest.raises(AttributeError, match="'mbn' has no attribute 'nothing'"):
        _ = mbn.nothing


def test_no_package_shadows_a_function() -> None:
    import mbn.cli.compile  # noqa: PLC0415
    import mbn.jobs.compile  # noqa: PLC0415
    import mbn.passes.frontend  # noqa: PLC0415

    for name in ("compile", "inspect", "boards", "suggest", "reference", "check", "flash"):
        assert callable(getattr(mbn, name)), name


def test_compiled(made: mbn.Compiled, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, int, int]] = []
    report = made.check(samples=1, progress=lambda *step: told.append(step))
    assert report.check is not None
    assert (report.check.samples, report.check.exact_samples) == (1, 1)
    assert report.check.modelled_cycles is not None
    assert any(of and done == of for _, done, of in told)
    assert capsys.readouterr() == ("", "")  # nothing is printed
    assert {"c/network.c", "check.elf", "network.npz", "report.json"} <= set(made.files)
    assert made.plan.arena_bytes == made.report.memory.arena_bytes
    assert repr(made) == (
        f"<mbn.Compiled mobilenet_0.25_96_digits for qemu: {made.report.memory.flash_bytes:,} "
        f"bytes of flash, {made.report.memory.arena_bytes:,} of arena>"
    )
    html = made._repr_html_()
    assert html.count("<tr>") == len(made.stages) + 1 and "<td>14 block</td>" not in html


def test_run_is_the_reference(made: mbn.Compiled) -> None:
    """Pixels and codes, one image and several, on the board and on the host."""
    pixels = np.arange(96 * 96 * 3, dtype=np.uint32).reshape(96, 96, 3).astype(np.uint8)
    reference = mbn.reference(made.network)
    wanted = reference(pixels)
    assert wanted.dtype == np.int8 and wanted.shape == made.network.output.shape
    assert (made.run(pixels) == wanted).all()
    codes = (pixels.astype(np.int16) - 128).astype(np.int8)
    assert (reference(codes) == wanted).all()
    assert (reference(np.stack([pixels, pixels]))[1] == wanted).all()
    assert (mbn.reference(made.folder)(pixels) == wanted).all()
    for wrong in (pixels[:95], pixels.astype(np.int32)):
        with pytest.raises(mbn.UsageError, match="wanted: uint8 pixels or int8 codes"):
            reference(wrong)  # type: ignore[arg-type]


def test_export(made: mbn.Compiled, tmp_path: Path) -> None:
    folder = made.export("cmake", tmp_path / "library")
    assert (folder / "CMakeLists.txt").is_file()


def test_inspect(made: mbn.Compiled) -> None:
    found = mbn.inspect(made.folder / "onnx" / "mobilenet_0.25_96_digits.onnx")
    assert found.network is not None and not found.refused and not found.is_float
    assert found.network.macs == made.network.macs
    assert repr(found).startswith("<mbn.Inspection mobilenet_0.25_96_digits.onnx: 16 stages, ")
    assert {one.board.name for one in found.fits() if one.fits} >= {"qemu", "stm32f405"}


def test_suggest_and_costs() -> None:
    every = mbn.suggest("stm32")
    few = mbn.suggest("stm32", max_ms=100)
    assert 0 < len(few) < len(every)
    assert all(one.times.lower_ms <= 100 for one in few)
    (cost,) = mbn.costs(0.25, 96, 2, [mbn.find_board("stm32")])
    assert cost.fits and cost.cycles is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"board": "stm33"}, "there is no board 'stm33'"),
        ({"board": "qemu", "samples": 0}, "--samples 0. wanted: at least 1"),
        ({"board": "qemu", "mean": (0.5,)}, "wanted: --mean with --std"),
    ],
)
def test_mistakes_are_said(options: dict[str, typing.Any], said: str) -> None:
    with pytest.raises(mbn.MbnError, match=said):
        mbn.compile(**options)


def test_the_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "walkthrough.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 2 outputs equal in every bit" in done.stdout
    assert "mistake: there is no board" in done.stdout
