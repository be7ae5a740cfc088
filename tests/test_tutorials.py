"""The tutorials, run from their own text.

What enters: docs/tutorials/*.md. What leaves: failures. Always holds: each block of a page is
written to the file of its title, or run (sh), or looked for in what was printed (text), in order
and in one folder; only what stands behind a `not run` mark, which says why, is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mbn.core.options import Rounding

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n+)?"
    r"```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_GIVEN = re.compile(r"^<!-- given: (.+?) -->$", re.MULTILINE)
# What a page may need, by the modules that must be installed
NEEDS = {"pytorch": ("torch", "onnxscript"), "keras": ("ai_edge_litert",)}
# Reasons that are accepted: each needs what can't be had in a test
WHY = ("the board", "TensorFlow", "Arduino", "Zephyr", "downloads", "a camera")


@dataclass(frozen=True)
class Block:
    kind: str
    title: str | None
    text: str
    why: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = [Block(m["kind"], m["title"], m["text"], m["why"]) for m in _BLOCK.finditer(text)]
    assert text.count("\n```") == 2 * len(found), "a block that is not understood"
    assert text.count("<!-- not run") == sum(one.why is not None for one in found)
    return found


def photos(folder: Path) -> None:
    """Two kinds of pictures, sixteen of each: bright above, or bright below."""
    rng = np.random.default_rng(5)
    for kind in ("above", "below"):
        (folder / "photos" / kind).mkdir(parents=True)
        for index in range(16):
            pixels = rng.integers(0, 90, (72, 96, 3), np.uint8)
            pixels[slice(0, 36) if kind == "above" else slice(36, 72)] += 120
            Image.fromarray(pixels).save(folder / "photos" / kind / f"{index}.png")


def camera(folder: Path) -> None:
    y, x = np.mgrid[:240, :320]
    pixels = np.stack([x % 256, y, (x + 2 * y) % 256], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "picture.ppm")


def tflite(folder: Path) -> None:
    """A MobileNet in small, with drawn weights."""
    import networks  # noqa: PLC0415
    import tflite_files  # noqa: PLC0415

    network = networks.make_network((24, 24, 3), networks.mobile(), seed=4)
    content, _ = tflite_files.write(replace(network, rounding=Rounding.TFLITE))
    (folder / "mine.tflite").write_bytes(content)


GIVEN: dict[str, Callable[[Path], None]] = {
    "photos": photos,
    "picture.ppm": camera,
    "mine.tflite": tflite,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorial(page: Path, tmp_path: Path) -> None:
    for module in NEEDS.get(page.stem, ()):
        pytest.importorskip(module)
    for name in _GIVEN.findall(page.read_text(encoding="utf-8")):
        GIVEN[name](tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "120"}
    environment.pop("CI", None)  # as a reader has it: what was compiled before is taken again
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    printed = ""
    ran = 0
    for one in blocks(page):
        if one.why is not None:
            assert any(word in one.why for word in WHY), one.why
        elif one.title is not None:
            (tmp_path / one.title).write_text(one.text, encoding="utf-8")
        elif one.kind == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", one.text],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{one.text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            printed = done.stdout
            ran += 1
        else:
            assert one.kind == "text", f"a block of {one.kind} without a title"
            for line in one.text.splitlines():
                assert line in printed, f"{line}\nis not in\n{printed}"
    assert ran >= 2


def _numbers(line: str) -> list[float]:
    return [float(one.replace(",", "")) for one in re.findall(r"\d[\d,]*(?:\.\d+)?", line)]


def _words(line: str) -> list[str]:
    return re.sub(r"\d[\d,.]*|[─ ]+", " ", line).split()


@pytest.mark.full
def test_what_the_first_command_prints(tmp_path: Path) -> None:
    """README's first command prints what docs/how.md shows, each figure within 2 %."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^    \./dev (mbn-compile .*)$", readme, re.MULTILINE)
    assert found is not None
    page = (ROOT / "docs" / "how.md").read_text(encoding="utf-8")
    assert f"`{found[1]}`" in page
    shown_there = page.split("## What the first command prints")[1]
    block = [line.strip() for line in shown_there.splitlines() if line.startswith("    ")]
    block = [line for line in block if line]
    assert len(block) > 25
    printed = subprocess.run(
        [Path(sys.executable).parent / found[1].split()[0], *found[1].split()[1:]],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [line.strip() for line in printed.splitlines()]
    for shown in block:
        like = [_numbers(line) for line in lines if _words(line) == _words(shown)]
        wanted = _numbers(shown)
        assert any(one == pytest.approx(wanted, rel=0.02) for one in like), shown
