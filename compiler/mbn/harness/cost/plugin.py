"""Compiles the QEMU plugin, plugin.c, for the interface version that QEMU wants.

It needs no header of QEMU or glib. The same source is compiled only once for a folder.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from mbn.core.errors import ToolError
from mbn.core.process import clean_environment

SOURCE = Path(__file__).with_name("plugin.c")
# QEMU 5 to 8 take 0 or 1; 9.0 wants 2, 9.1 and later 2 or 3 and more (docs/devel/tcg-plugins).
VERSIONS = (1, 2, 3, 4, 5, 6)
_FLAGS = ("-std=c11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden")
_TIMEOUT_S = 60.0


def build(folder: Path, version: int) -> Path:
    """The plugin for an interface version, in `folder`. Raises `ToolError`: no gcc, or it fails."""
    flags = (*_FLAGS, f"-DMBN_PLUGIN_VERSION={version}")
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(flags).encode()).hexdigest()[:16]
    path = folder / f"plugin-{digest}.so"
    if path.is_file():
        return path
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise ToolError("the program gcc is missing", advice="On Debian: apt-get install gcc")
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    done = subprocess.run(
        [compiler, *flags, "-o", str(fresh), str(SOURCE)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT_S,
        check=False,
        env=clean_environment(),
    )
    if done.returncode != 0:
        raise ToolError(
            f"the counting plugin does not compile: {done.stderr.strip()}",
            advice="Report this as a bug, with the version of gcc",
        )
    fresh.replace(path)
    return path
