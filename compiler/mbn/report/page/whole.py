"""The page of what was compiled: summary, sections, what it was made from.

What enters: compiled folders, the versions of the kernel sets. What leaves: HTML. Always holds:
versions are named, and no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import metadata

import matplotlib as mpl

from mbn.report.page import compiled
from mbn.report.page.compiled import Compiled
from mbn.report.page.content import Page
from mbn.report.page.heads import heads
from mbn.report.page.render import render

SUMMARY = "Networks that were compiled here, and what they cost, stage by stage."


def page(found: Sequence[Compiled], kernels: Iterable[str]) -> str:
    """The page. `kernels`: the kernel sets with their versions."""
    alone = found[0].report if len(found) == 1 else None
    title = "mbn: compiled networks" if alone is None else alone.network.name
    return render(
        Page(
            title,
            (SUMMARY,) if len(found) > 1 else (),
            tuple(facts(found)) if len(found) > 1 else (),
            tuple(made(kernels) + networks(found)),
            compiled.sections(found) if found else (),
            heads(found),
        )
    )


def facts(found: Sequence[Compiled]) -> list[tuple[str, str]]:
    """How many networks there are and how many were checked, for the page's head."""
    checks = [one.report.check for one in found if one.report.check is not None]
    exact = sum(check.is_exact for check in checks)
    return [
        ("compiled networks", str(len(found))),
        ("checked, all bits equal", f"{exact} of {len(checks)}"),
    ]


def made(kernels: Iterable[str]) -> list[tuple[str, str]]:
    """What made the page."""
    return [
        ("mbn", f"{metadata.version('mbn-edge')}; kernels {', '.join(kernels)}"),
        ("plots", f"matplotlib {mpl.__version__}"),
    ]


def networks(found: Sequence[Compiled]) -> list[tuple[str, str]]:
    """The build of each network on the page."""
    return [("network", f"{one.name}: build {one.report.build_id}") for one in found]
