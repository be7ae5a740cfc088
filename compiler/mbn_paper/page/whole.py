"""The whole page: summary, sections, what it was made from.

What enters: compiled folders, the paper's data. What leaves: HTML. Always holds: the summary's
figures are those of the sections; versions are named, and no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mbn.core.kernel_set import VERSIONS
from mbn.report.page import compiled as compiled_part
from mbn.report.page import whole as compiled_whole
from mbn.report.page.compiled import Compiled
from mbn.report.page.content import Page
from mbn.report.page.render import render
from mbn_paper.device.entries import Device
from mbn_paper.page import device as device_part
from mbn_paper.page import paper as paper_part
from mbn_paper.page import study as study_part
from mbn_paper.study.findings import claims
from mbn_paper.study.results import Epoch, Result
from mbn_paper.study.words import studies

if TYPE_CHECKING:  # torch, which only counting needs
    from mbn_paper.counts.figures import Table


@dataclass(frozen=True)
class Paper:
    """The data of the paper's part."""

    tables: tuple[Table, ...]
    results: tuple[Result, ...]
    log: tuple[Epoch, ...]
    device: Device


def page(found: Sequence[Compiled], paper: Paper) -> str:
    """One page of the paper's part, and of what was compiled if there is any."""
    trained = ", trained again on small images" if paper.results else ""
    summary = [
        f"The MobileNets paper (arXiv 1704.04861), counted again{trained}, and taken down to"
        " microcontrollers."
    ]
    facts = _paper_facts(paper)
    parts = [study_part.claims_section(paper.results)] if paper.results else []
    parts.append(paper_part.tables_section(paper.tables))
    parts += study_part.sections(paper.results, paper.log)
    parts += device_part.sections(paper.device)
    heads = paper_part.heads_section()
    parts += [] if heads is None else [heads]
    if found:
        summary.append(compiled_whole.SUMMARY)
        facts += compiled_whole.facts(found)
        parts += compiled_part.sections(found)
    title = "mbn: the paper on microcontrollers"
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
        first = claims(studies(paper.results)[0])
        met = sum(claim.agrees for claim in first)
        facts = [
            ("of the paper's claims agree", f"{met} of {len(first)}"),
            *facts,
            ("trainings", f"{len(paper.results)}"),
        ]
    return facts


def _made(found: Sequence[Compiled], paper: Paper) -> tuple[tuple[str, str], ...]:
    made = compiled_whole.made(VERSIONS.values())
    runs = [row.run for row in paper.device.cores if row.run is not None]
    commits = sorted({run.commit for run in runs if run.commit})
    if runs:
        at = f", at {', '.join(commits)}" if commits else ""
        made.append(("runs", f"{len(runs)} by mbn-paper device --run{at}"))
    commands = dict.fromkeys(one.command for one in paper.results)
    made += [("study", command) for command in commands]
    return tuple(made + compiled_whole.networks(found))
