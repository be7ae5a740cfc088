"""Which members of the toolchain's libraries are in an image, from the linker's map.

The result has no paths, so the same image on another machine gives the same names.
"""

from __future__ import annotations

import re
from pathlib import Path

_MEMBER = re.compile(r"^\S*/lib(\w+)\.a\((\S+)\.o(?:bj)?\)$", re.MULTILINE)


def linked(link_map: Path) -> dict[str, tuple[str, ...]]:
    """Names such as {"libc": ("lib_a-memcpy", ...), "libgcc": (...)}."""
    text = link_map.read_text(encoding="utf-8", errors="replace")
    included = text.partition("Archive member included")[2].partition("\n\n\n")[0]
    included = included.partition("Discarded input sections")[0]
    found: dict[str, set[str]] = {}
    for archive, member in _MEMBER.findall(included):
        # newlib's smaller build, which --specs=nano.specs takes, is newlib too
        name = "libc" if archive.startswith("c_") else f"lib{archive}"
        found.setdefault(name, set()).add(member)
    return {name: tuple(sorted(found[name])) for name in sorted(found)}
