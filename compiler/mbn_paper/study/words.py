"""A study's claims and how it was made, as cells and sentences for the terminal and for a page.

What enters: results. What leaves: words. Always holds: the paper's own design comes first; what is
not measured, drawn, or of one seed is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from mbn_paper.study.designs import DESIGNS, PAPER
from mbn_paper.study.findings import DRAWN, Claim, grouped
from mbn_paper.study.results import Result

NAMES = {"separable": "depthwise separable", "conv": "full convolutions", "shallow": "shallow"}
CLAIM_COLUMNS = ("where", "the paper's claim", "paper", "here", "seeds", "verdict")


def claim_cells(claim: Claim) -> tuple[str, ...]:
    """Of CLAIM_COLUMNS."""
    says = f"{claim.says} (agrees if {claim.rule})"
    return claim.table, says, claim.paper, claim.ours, claim.trainings, claim.verdict


def studies(found: Sequence[Result]) -> list[list[Result]]:
    """The results of each study, the paper's design first, then as they come."""
    names = dict.fromkeys(one.study for one in found)
    groups = [[one for one in found if one.study == name] for name in names]
    return sorted(groups, key=lambda group: group[0].design != PAPER.name)


def title(group: Sequence[Result]) -> str:
    """A study: its design, its length, its data."""
    first = group[0]
    return f"{DESIGNS[first.design].title}, {first.epochs} epochs on {data_of(first)}"


def data_of(one: Result) -> str:
    """What the data are called, without what a study's name says besides."""
    return one.study.removesuffix(f"-{one.epochs}-epochs").removesuffix(f"-{one.design}")


def method(found: Sequence[Result]) -> tuple[str, ...]:
    """How the networks of one study were trained, and what stands behind its figures."""
    first = found[0]
    design = DESIGNS[first.design]
    epochs, machines = (
        ", ".join(dict.fromkeys(map(str, each)))
        for each in ([one.epochs for one in found], [one.machine for one in found])
    )
    variants = grouped(found)
    size = max(one.resolution for one in found)
    said = [
        f"{len(found)} trainings of {len(variants)} networks on {data_of(first)}, {size} x {size} "
        f"with a first stride of {first.stem_stride}, {first.classes} classes: {epochs} epochs in "
        f"batches of {design.batch}, rate {design.rate:g}, by {machines}; tested on "
        f"{first.images:,} images. The paper trained on ImageNet's 1.28 million pictures of 224 x "
        "224, 1000 classes, and does not say how long. A figure behind ± is the sample standard "
        "deviation over seeds; without one there is one seed."
    ]
    without = sum(one.int8_percent is None for one in found)
    if without:
        said.append(
            f"int8 was measured for {len(found) - without} of {len(found)} trainings: of the "
            "others the float network is not at hand."
        )
    runs = [seeds[0] for seeds in variants.values() if seeds[0].ran_on is not None]
    drawn = [one for one in runs if one.drawn and one.cycles is not None]
    if drawn:
        said.append(
            f"RAM and cycles of {len(drawn)} networks (marked {DRAWN}) are of drawn weights; "
            "trained ones take some percent less where channels have become constant."
        )
    large = [
        f"{NAMES[one.network]} of alpha {one.alpha:g} ({one.params / 1e6:.1f} million weights)"
        for one in runs
        if one.cycles is None
    ]
    if large:
        said.append(
            "Larger than the emulated board, so run bit for bit on the host alone, without RAM and "
            f"cycles: {', '.join(large)}."
        )
    return tuple(said)
