"""Tables 10 to 14 of the paper: what its body costs under other heads.

What enters: the networks. What leaves: `Table`s of rows, as in tables.py. Always holds: our
figures are counted; rows whose networks the paper does not describe (Inception, VGG under a
detector, FaceNet, its face attributes' baseline) are left out; a printed figure that ours does not
round to has a reason beside it. The detectors have the layers of TensorFlow's object detection API
of that time, which the paper does not describe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from torch import nn

from mbn.train.mobilenet import MobileNet
from mbn_paper.counts.counting import Count, count
from mbn_paper.counts.figures import CUT, MACS_PARAMS, MILLION, Figure, Row, Table
from mbn_paper.heads.networks import paper_ssd

BILLION = 1e9
BREEDS = 120
PLANET_LAST = 10e6  # weights of the last layer as section 4.4 says: that many cells are counted
COCO = 90  # numbers of classes, of which 80 are used: as the API trains it
PROPOSALS = 300
VECTOR = 128  # of FaceNet
GB_PARAMS = ("multiply-adds, 10^9", "parameters, M")


@cache
def _counted(alpha: float, resolution: int, outputs: int) -> Count:
    return count(MobileNet(alpha, resolution, outputs), 3, resolution, resolution)


@cache
def _body(alpha: float, resolution: int) -> Count:
    """Without the last dense layer."""
    return Count(_counted(alpha, resolution, 2).layers[:-1])


def _row(
    name: str,
    of: Count,
    macs: float,
    params: float,
    others: tuple[float | None, float | None] = (None, None),
    why: str = "",
) -> Row:
    """Printed in whole millions of multiply-adds and tenths of millions of parameters."""
    figures = (
        Figure(of.macs / MILLION, macs, 1),
        Figure(of.params / MILLION, params, 0.1),
    )
    if all(figure.agrees for figure in figures):
        return Row(name, figures)
    counted = zip(figures, others, strict=True)
    return Row(name, tuple(replace(one, other=other) for one, other in counted), why)


def table10() -> Table:
    """Fine-grained classes: 120 breeds of dogs."""
    printed = (
        (1.0, 224, 569.0, 3.3),
        (0.75, 224, 325.0, 1.9),
        (1.0, 192, 418.0, 3.3),
        (0.75, 192, 239.0, 1.9),
    )
    rows = [
        _row(
            f"{alpha} MobileNet-{size}",
            _counted(alpha, size, BREEDS),
            macs,
            params,
            (_counted(alpha, size, 1000).macs / MILLION, None),
            "printed with ImageNet's 1000 classes, as in tables 6 and 7",
        )
        for alpha, size, macs, params in printed
    ]
    return Table(
        "10",
        "Stanford Dogs: 120 breeds",
        MACS_PARAMS,
        tuple(rows),
        source="paper, Table 10",
        verified=True,
    )


def table11() -> Table:
    """Geolocation. The table itself prints distances; section 4.4's text the sizes."""
    body = _body(1.0, 224)
    cells = round(PLANET_LAST / 1024)
    whole = _counted(1.0, 224, cells)
    rows = (
        Row("body alone", (Figure(body.macs / MILLION), Figure(body.params / MILLION, 3, 1))),
        Row(
            f"with a last layer of 10 M ({cells:,} cells)",
            (
                Figure(whole.macs / MILLION, 0.58, 0.01, whole.macs / BILLION),
                Figure(whole.params / MILLION, 13, 1),
            ),
            "printed as 0.58 million; billion is meant, as of PlaNet's 5.74 beside it",
        ),
    )
    return Table(
        "11",
        "PlaNet with MobileNet (sizes of section 4.4's text)",
        MACS_PARAMS,
        rows,
        source="paper, section 4.4",
        verified=True,
    )


def table12() -> Table:
    """Face attributes: how many there are is not said, so the body alone is counted."""
    again = "for the same body table 6 prints less: 41 at 224, which is ours"
    reasons = {
        (0.25, 224): ((None, None), again),
        (0.25, 128): ((None, None), again),
        (0.5, 128): ((float(int(_body(0.5, 128).macs / MILLION)), None), CUT),
    }
    printed = (
        (1.0, 224, 568.0, 3.2),
        (0.5, 224, 149.0, 0.8),
        (0.25, 224, 45.0, 0.2),
        (1.0, 128, 185.0, 3.2),
        (0.5, 128, 48.0, 0.8),
        (0.25, 128, 15.0, 0.2),
    )
    rows = [
        _row(
            f"{alpha} MobileNet-{size}",
            _body(alpha, size),
            macs,
            params,
            *reasons.get((alpha, size), ((None, None), "")),
        )
        for alpha, size, macs, params in printed
    ]
    return Table(
        "12", "Face attributes", MACS_PARAMS, tuple(rows), source="paper, Table 12", verified=True
    )


def _front(size: int) -> nn.Module:
    """Up to block11, stride 16, and the proposals' layers: a 3x3 of 512, then of 12 boxes a place
    (4 scales, 3 ratios) whether there is something, and where."""
    features = MobileNet(1.0, size, 2).features
    body = [
        layer
        for name, layer in features.named_children()
        if name.partition("_")[0] not in ("block12", "block13")
    ]
    outputs = 12 * (2 + 4)
    return nn.Sequential(*body, nn.Conv2d(512, 512, 3, padding=1), nn.Conv2d(512, outputs, 1))


def _back() -> nn.Module:
    """Of one proposal, cut out as 14 x 14 x 512: block12 and block13 to 7 x 7, a mean, the classes
    with the background, and a box for each."""
    features = MobileNet(1.0, 224, 2).features
    body = [
        layer
        for name, layer in features.named_children()
        if name.partition("_")[0] in ("block12", "block13")
    ]
    dense = nn.Linear(1024, COCO + 1 + 4 * COCO)
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense)


def table13() -> Table:
    """Object detection."""

    ssd = count(paper_ssd(COCO + 1), 3, 300, 300)
    rows = [
        Row(
            "SSD 300",
            (Figure(ssd.macs / BILLION, 1.2, 0.1), Figure(ssd.params / MILLION, 6.8, 0.1)),
        )
    ]
    back = count(_back(), 512, 14, 14)
    for size, printed in ((300, 25.2), (600, 30.5)):
        front = count(_front(size), 3, size, size)
        macs, params = front.macs + PROPOSALS * back.macs, front.params + back.params
        every = sum(one.numel() for part in (_front(size), _back()) for one in part.parameters())
        figures = (
            Figure(macs / BILLION, printed, 0.1),
            Figure(params / MILLION, 6.1, 0.1, every / MILLION),
        )
        rows.append(Row(f"Faster-RCNN {size}", figures, "printed with norms and biases"))
    return Table(
        "13",
        "COCO detection with MobileNet",
        GB_PARAMS,
        tuple(rows),
        source="paper, Table 13",
        verified=True,
    )


def table14() -> Table:
    """Face embeddings. How the vector is made is not said; counted is a dense layer to 128 values
    behind the mean, as for classes."""
    printed = (
        (1.0, 160, 160, 286.0, 4.9),
        (1.0, 128, 128, 185.0, 5.5),
        (0.75, 160, 128, 166.0, 3.4),  # Table 14 has 128 twice; 166 M are those of 160
        (0.75, 128, 128, 108.0, 3.8),
    )
    why = (
        "the layers behind the body are not said: multiply-adds are within 4 M of ours, "
        "unexplained; the printed parameters leave them 1.6 to 2.3 M"
    )
    rows = [
        _row(
            f"{alpha} MobileNet-{size}",
            _counted(alpha, size, VECTOR),
            macs,
            params,
            why=why if shown == size else f"printed as {shown}; {why}",
        )
        for alpha, size, shown, macs, params in printed
    ]
    return Table(
        "14",
        "Face embeddings distilled from FaceNet",
        MACS_PARAMS,
        tuple(rows),
        source="paper, Table 14",
        verified=True,
    )


HEAD_TABLES: Mapping[str, Callable[[], Table]] = {
    "10": table10,
    "11": table11,
    "12": table12,
    "13": table13,
    "14": table14,
}
