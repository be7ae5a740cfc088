"""Plots as inline SVG that follow the page's colours.

What enters: a matplotlib figure drawn with the colours named here. What leaves: an `<svg>` element.
Always holds: text stays text in the page's font; colours are CSS variables; ids begin with the
figure's name; there is no time and no random id in it, so the same data give the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

# Stand-ins while drawing, each for a variable of page.css
INK, MUTED, GRID, PAGE = "#0a0a01", "#0a0a02", "#0a0a03", "#0a0a04"
SERIES = tuple(f"#0a0a1{index}" for index in range(1, 7))
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAGE: "--page",
    **{colour: f"--s{index}" for index, colour in enumerate(SERIES, 1)},
}
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mbn",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
MARKERS = ("o", "s", "^", "D", "v", "P")


@contextmanager
def style() -> Iterator[None]:
    """Within it, everything is drawn in the page's style."""
    settings: Any = {**STYLE, "backend": "svg"}  # its keys' type is a list of names
    with mpl.rc_context(settings):
        yield


def drawing(rows: int, columns: int, height: float = 3.3) -> tuple[Drawing, list[Axes]]:
    """A figure as wide as the page and its axes, row by row; height in inches of a row."""
    made = Drawing(figsize=(10, height * rows), layout="constrained")
    axes = made.subplots(rows, columns, squeeze=False)
    return made, list(axes.flat)


def log_axis(axes: Axes, which: str, ticks: list[float], unit: str = "") -> None:
    """A logarithmic axis with ticks in plain numbers: no powers, no minor ticks."""
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(mpl.ticker.FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}{unit}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def ticks_between(low: float, high: float, most: int = 7) -> list[float]:
    """1, 2, 5 of each decade that lie within, or 1 alone where those would be too many."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [s * 10.0**e for e in range(-6, 13) for s in steps if low <= s * 10.0**e <= high]
        if len(found) <= most:
            break
    return found


def to_svg(made: Drawing, name: str, label: str) -> str:
    """The figure as an element; `label` is read where the picture isn't seen."""
    text = io.StringIO()
    made.savefig(
        text,
        format="svg",
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    return themed(text.getvalue(), name, label)


def themed(svg: str, name: str, label: str) -> str:
    """An SVG file as an element of the page: see the file's head."""
    found = re.search(r"<svg.*</svg>", svg, re.DOTALL)
    assert found is not None
    body = re.sub(r"<!--.*?-->", "", found[0], flags=re.DOTALL)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*(; )?", "", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r' xmlns(:xlink)?="[^"]*"', "", body)
    body = body.replace("xlink:href", "href")
    box = re.search(r'viewBox="[^"]*"', body)
    assert box is not None
    head = f'<svg {box[0]} role="img" aria-label="{escape(label)}"><title>{escape(label)}</title>'
    return re.sub(r"<svg[^>]*>", lambda _: head, body, count=1).replace("\n", " ")
