"""How an extra is installed from where the user stands.

What enters: the extra's name. What leaves: a sentence. Always holds: it works: the distribution is
in no registry, so a clone's ./dev is advised in a clone, and else the wheel that was installed.
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
