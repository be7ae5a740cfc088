"""The whole page: summary, sections, what it was made from.

What enters: compiled folders, the paper's data. What leaves: HTML. Always holds: the summary's
figures are those of the sections; versions are named, and no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import matplotlib as mpl

from mbn.page import device as device_part
from mbn.page import paper as paper_part
from mbn.page import study as study_part
from mbn.paper.device import Device
from mbn.paper.results import Epoch, Result
from mbn.passes.kernels import VERSIONS
from mbn.report.page import compiled as compiled_part
from mbn.report.page.compiled import Compiled
from mbn.report.page.content import Page
from mbn.report.page.render import render

if TYPE_CHECKING:  # torch, which only counting needs
    from mbn.paper.tables import Table


@dataclass(frozen=True)
class Paper:
    """The data of the paper's part."""

    tables: tuple[Table, ...]
    results: tuple[Result, ...]
    log: tuple[Epoch, ...]
    device: Device


def page(found: Sequence[Compiled], paper: Paper | None) -> str:
    """One page of both, or of the one that there is."""
    parts = []
    facts: list[tuple[str, str]] = []
    summary = []
    if paper is not None:
        trained = ", trained and measured at a small size," if paper.results else ""
        summary.append(
            f"The MobileNets paper (arXiv 1704.04861), counted again{trained} and taken down to"
            " microcontrollers."
        )
        facts += _paper_facts(paper)
        parts.append(paper_part.tables_section(paper.tables))
        parts += study_part.sections(paper.results, paper.log)
        parts += device_part.sections(paper.device)
        heads = paper_part.heads_section()
        parts += [] if heads is None else [heads]
    if found:
        summary.append("Networks that were compiled here, and what they cost, stage by stage.")
        facts += _compiled_facts(found)
        parts += compiled_part.sections(found)
    title = "mbn: the paper on microcontrollers" if paper else "mbn: compiled networks"
    return render(Page(title, tuple(summary), tuple(facts), _made(found, paper), tuple(parts)))


def _paper_facts(paper: Paper) -> list[tuple[str, str]]:
    figures = [one for table in paper.tables for row in table.rows for one in row.figures]
    printed = [one for one in figures if one.printed is not None]
    ran = [row for row in paper.device.cores if row.run is not None]
    exact = sum(row.run is not None and row.run.exact for row in ran)
    fit = {row.size for row in paper.device.boards if row.cost is not None}
    sizes = {row.size for row in paper.device.boards}
    facts = [
        ("printed figures met", f"{sum(one.agrees for one in printed)} of {len(printed)}"),
        ("sizes run in emulation, all bits equal", f"{exact} of {len(paper.device.cores)}"),
        ("sizes that some real board holds", f"{len(fit)} of {len(sizes)}"),
    ]
    if paper.results:
        facts.append(("trainings", f"{len(paper.results)}"))
    return facts


def _compiled_facts(found: Sequence[Compiled]) -> list[tuple[str, str]]:
    checks = [one.report.check for one in found if one.report.check is not None]
    exact = sum(check.exact_samples == check.samples for check in checks)
    return [
        ("compiled networks", str(len(found))),
        ("checked, all bits equal", f"{exact} of {len(checks)}"),
    ]


def _made(found: Sequence[Compiled], paper: Paper | None) -> tuple[tuple[str, str], ...]:
    made = [
        ("mbn", f"{metadata.version('mbn-edge')}; kernels {', '.join(VERSIONS.values())}"),
        ("plots", f"matplotlib {mpl.__version__}"),
    ]
    if paper is not None:
        runs = [row.run for row in paper.device.cores if row.run is not None]
        commits = sorted({run.commit for run in runs if run.commit})
        if runs:
            at = f", at {', '.join(commits)}" if commits else ""
            made.append(("runs", f"{len(runs)} by mbn-paper device --run{at}"))
        commands = dict.fromkeys(one.command for one in paper.results)
        made += [("study", command) for command in commands]
    made += [("network", f"{one.name}: build {one.report.build_id}") for one in found]
    return tuple(made)
