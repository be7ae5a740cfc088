"""A wheel carries the C side and works outside the repository.

What enters: a copy of the repository's files. What leaves: an image built and checked by the
installed package alone. Always holds: no dependency is downloaded for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from conftest import TINY

ROOT = Path(__file__).parents[1]

_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import mbn
from mbn.image.build import build_image
from mbn.harness.device import open_device
from mbn.core.boards import find_board
from mbn.core.target import data_root

assert data_root().name == "_data", data_root()
package = Path(mbn.__file__).parent
templates = package / "image" / "export" / "templates"
for name in ("common/LICENSE", "zephyr/zephyr/Kconfig"):
    assert (templates / name).is_file(), name
assert len(list((package / "image" / "release" / "texts").glob("*.txt"))) == 4
board = find_board("host")
image = build_image(Path(sys.argv[1]), board, "check", Path("out"))
with open_device(board, image, log_path=Path("out/serial.log")) as device:
    print(device.run(np.zeros((4, 4, 2), np.int8)).output.ravel().tolist())
"""


def _copy(target: Path) -> None:
    for folder in ("compiler", "runtime", "boards", "firmware", "cmake"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
    names = ("pyproject.toml", "setup.py", "CMakeLists.txt", "MANIFEST.in", "README.md", "LICENSE")
    for name in names:
        shutil.copy2(ROOT / name, target / name)


def _check_contents(wheel: Path) -> None:
    """The licence and the marker of types are in the wheel, the paper's study is not."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert "mbn/py.typed" in names
        assert not [name for name in names if name.startswith("mbn_paper")]
        (licence,) = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_wheel_builds_and_runs_an_image(tmp_path: Path) -> None:
    if int(version("setuptools").split(".")[0]) < 77:
        pytest.skip("needs setuptools 77 or later in this environment")
    source = tmp_path / "source"
    source.mkdir()
    _copy(source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    options = ["--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *options, "-w", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    _check_contents(wheel)
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(TINY)],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert len(done.stdout.strip("[]\n").split(",")) == 5
