"""Tells a user how to install an optional extra.

The distribution is in no registry. In a clone the advice is ./dev; elsewhere it is the wheel that
was installed.
"""

from __future__ import annotations

from pathlib import Path

_CLONE = Path(__file__).resolve().parents[3]


def advice(extra: str) -> str:
    """What to do to get an extra's packages."""
    if (_CLONE / "dev").is_file() and (_CLONE / "pyproject.toml").is_file():
        return (
            f"In the clone {_CLONE} run it by ./dev COMMAND ..., which installs it, or: "
            f"pip install -e '{_CLONE}[{extra}]'"
        )
    wheel = f"'mbn_edge-VERSION.whl[{extra}]'"
    return f"Install it with the wheel that mbn came in: pip install {wheel}"
