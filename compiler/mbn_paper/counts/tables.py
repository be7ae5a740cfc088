"""Tables 1 to 9 of the paper (10 to 14: head_tables.py), ours beside what is printed there.

What enters: the networks. What leaves: `Table`s of rows. Always holds: our figures are counted,
never copied; a printed figure that ours does not round to has a reason beside it, and where the
reason is another way of counting, that way's figure, counted too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, partial

from mbn.core.family import Kind, shape
from mbn.jobs.lower.fit import ALPHAS
from mbn_paper.counts import networks
from mbn_paper.counts.counting import Count, count
from mbn_paper.counts.figures import CUT, MACS_PARAMS, MILLION, Figure, Row, Table

RESOLUTIONS = (224, 192, 160, 128)  # of figures 4 and 5


@cache
def _counted(name: str, *arguments: float) -> Count:
    makers: Mapping[str, tuple[Callable[..., object], tuple[int, ...]]] = {
        "conv": (networks.conv_mobilenet, (3, 224, 224)),
        "shallow": (networks.shallow_mobilenet, (3, 224, 224)),
        "googlenet": (networks.googlenet, (3, 224, 224)),
        "vgg16": (networks.vgg16, (3, 224, 224)),
        "squeezenet": (networks.squeezenet, (3, 227, 227)),
        "alexnet": (networks.alexnet, (3, 227, 227)),
    }
    if name == "mobilenet":
        alpha, resolution = arguments
        network = networks.mobilenet(alpha, int(resolution))
        return count(network, 3, int(resolution), int(resolution))
    make, size = makers[name]
    return count(make(), *size)  # type: ignore[arg-type]


def _mobilenet(alpha: float = 1.0, resolution: int = 224) -> Count:
    return _counted("mobilenet", alpha, resolution)


def _without_dense(of: Count) -> float:
    dense = sum(layer.macs for layer in of.layers if layer.kind == "Fully Connected")
    return (of.macs - dense) / MILLION


def _row(
    name: str,
    of: Count,
    macs: tuple[float, float] | None = None,
    params: tuple[float, float] | None = None,
    others: tuple[float | None, float | None] = (None, None),
    why: str = "",
) -> Row:
    """macs and params: printed, with the worth of the last digit; others: of each, counted in
    another way."""
    figures = []
    for value, there, other in zip((of.macs, of.params), (macs, params), others, strict=True):
        printed, step = there or (None, 1.0)
        figures.append(Figure(value / MILLION, printed, step, other))
    return Row(name, tuple(figures), why)


def table1() -> Table:
    """The body, layer by layer, with what each costs."""
    rows = []
    for layer, counted in zip(shape(1.0, 224, 1000).layers, _mobilenet().layers, strict=True):
        kernel = "" if layer.kind is Kind.CLASSIFIER else f" {layer.kernel}x{layer.kernel}"
        wide = f"{layer.size_in}x{layer.size_in}x{layer.channels_in}"
        name = f"{layer.kind}{kernel} /{layer.stride} of {wide}"
        figures = (Figure(counted.macs / MILLION), Figure(counted.params / MILLION))
        rows.append(Row(name, figures))
    return Table("1", "MobileNet body (the paper prints shapes only)", MACS_PARAMS, tuple(rows))


def table2() -> Table:
    """Shares by type of layer."""
    printed = {
        "Conv 1x1": (94.86, 74.59),
        "Conv DW 3x3": (3.06, 1.06),
        "Conv 3x3": (1.19, 0.02),
        "Fully Connected": (0.18, 24.33),
    }
    shares = _mobilenet().shares()
    total = sum(macs for macs, _ in printed.values())
    rows = []
    for kind, (macs, params) in printed.items():
        figures = (Figure(shares[kind][0], macs, 0.01), Figure(shares[kind][1], params, 0.01))
        why = ""
        if not figures[0].agrees:
            why = f"the printed column adds up to {total:.2f}: 1.91 with two digits exchanged"
        rows.append(Row(kind, figures, why))
    return Table(
        "2",
        "Resource per layer type",
        ("multiply-adds, %", "parameters, %"),
        tuple(rows),
        source="paper, Table 2",
        verified=True,
    )


def table3() -> Table:
    """One layer, 3x3, 512 channels at 14 x 14."""

    def row(name: str, kind: str, channels: int, size: int, macs: float, params: float) -> Row:
        of = count(networks.one_layer(kind, channels), channels, size, size)
        return _row(name, of, (macs, 1.0 if macs > 100 else 0.1), (params, 0.01))

    rows = (
        row("convolution", "conv", 512, 14, 462, 2.36),
        row("depthwise separable", "separable", 512, 14, 52.3, 0.27),
        row("alpha = 0.75", "separable", 384, 14, 29.6, 0.15),
        row("rho = 0.714", "separable", 384, 10, 15.1, 0.15),
    )
    return Table(
        "3",
        "Resource usage for modifications to a layer",
        MACS_PARAMS,
        rows,
        source="paper, Table 3",
        verified=True,
    )


def table4() -> Table:
    """Full convolutions against depthwise separable ones."""
    conv = _counted("conv")
    rows = (
        _row(
            "Conv MobileNet",
            conv,
            (4866, 1),
            (29.3, 0.1),
            (_without_dense(conv), None),
            "printed without its dense layer, it seems",
        ),
        _row("MobileNet", _mobilenet(), (569, 1), (4.2, 0.1)),
    )
    return Table(
        "4",
        "Depthwise separable vs full convolution",
        MACS_PARAMS,
        rows,
        source="paper, Table 4",
        verified=True,
    )


def table5() -> Table:
    """Thin against shallow."""
    rows = (
        _row("0.75 MobileNet", _mobilenet(0.75), (325, 1), (2.6, 0.1)),
        _row("Shallow MobileNet", _counted("shallow"), (307, 1), (2.9, 0.1)),
    )
    return Table(
        "5", "Narrow vs shallow", MACS_PARAMS, rows, source="paper, Table 5", verified=True
    )


def table6() -> Table:
    """The width multiplier."""
    printed = {1.0: (569, 4.2), 0.75: (325, 2.6), 0.5: (149, 1.3), 0.25: (41, 0.5)}
    return Table(
        "6",
        "Width multiplier",
        MACS_PARAMS,
        tuple(
            _cut(f"{alpha} MobileNet-224", _mobilenet(alpha), macs, (params, 0.1))
            for alpha, (macs, params) in printed.items()
        ),
        source="paper, Table 6",
        verified=True,
    )


def table7() -> Table:
    """The resolution multiplier."""
    printed = {224: 569, 192: 418, 160: 290, 128: 186}
    return Table(
        "7",
        "Resolution multiplier",
        MACS_PARAMS,
        tuple(
            _cut(f"1.0 MobileNet-{size}", _mobilenet(1.0, size), macs, (4.2, 0.1))
            for size, macs in printed.items()
        ),
        source="paper, Table 7",
        verified=True,
    )


def _cut(name: str, of: Count, macs: float, params: tuple[float, float]) -> Row:
    """Printed in whole millions, some cut off and not rounded."""
    plain = _row(name, of, (macs, 1), params)
    if plain.figures[0].agrees:
        return plain
    return _row(name, of, (macs, 1), params, (math.floor(of.macs / MILLION), None), CUT)


def table8() -> Table:
    """Popular networks."""
    vgg = _counted("vgg16")
    rows = (
        _row("1.0 MobileNet-224", _mobilenet(), (569, 1), (4.2, 0.1)),
        Row(
            "GoogLeNet",
            (
                Figure(_counted("googlenet").macs / MILLION, 1550, 10),
                Figure(_counted("googlenet").params / MILLION, 6.8, 0.1),
            ),
            "ours is its paper's table 1 without auxiliary classifiers; how 1550 and 6.8 were "
            "counted is not said",
        ),
        _row(
            "VGG 16",
            vgg,
            (15300, 100),
            (138, 1),
            (_without_dense(vgg), None),
            "printed without its dense layers",
        ),
    )
    return Table(
        "8",
        "MobileNet against popular models",
        MACS_PARAMS,
        rows,
        source="paper, Table 8",
        verified=True,
    )


def table9() -> Table:
    """Smaller networks."""
    squeezenet = _counted("squeezenet")
    with_biases = count(networks.squeezenet(), 3, 227, 227, biases=True)
    rows = (
        _cut("0.50 MobileNet-160", _mobilenet(0.5, 160), 76, (1.32, 0.01)),
        _row(
            "SqueezeNet",
            squeezenet,
            (1700, 100),
            (1.25, 0.01),
            (2 * squeezenet.macs / MILLION, with_biases.params / MILLION),
            "printed with multiplications and additions counted apart; parameters with biases",
        ),
        Row(
            "AlexNet",
            (
                Figure(_counted("alexnet").macs / MILLION, 720, 10),
                Figure(_counted("alexnet").params / MILLION, 60, 10),
            ),
        ),
    )
    return Table(
        "9",
        "Smaller MobileNet against popular models",
        MACS_PARAMS,
        rows,
        source="paper, Table 9",
        verified=True,
    )


def figures45() -> Table:
    """The 16 models of figures 4 and 5, of which no figure is printed."""
    rows = tuple(
        _row(f"{alpha} MobileNet-{size}", _mobilenet(alpha, size))
        for alpha in ALPHAS
        for size in RESOLUTIONS
    )
    return Table("F", "The 16 models of figures 4 and 5", MACS_PARAMS, rows)


def _of_a_head(number: str) -> Table:
    from mbn_paper.counts.head_tables import HEAD_TABLES  # noqa: PLC0415 - which needs what is above

    return HEAD_TABLES[number]()


TABLES: Mapping[str, Callable[[], Table]] = {
    "1": table1,
    "2": table2,
    "3": table3,
    "4": table4,
    "5": table5,
    "6": table6,
    "7": table7,
    "8": table8,
    "9": table9,
    **{number: partial(_of_a_head, number) for number in ("10", "11", "12", "13", "14")},
    "figures": figures45,
}
