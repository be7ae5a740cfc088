"""The arena over time, as a picture: SVG, and a short form for the terminal.

What enters: rectangles of time (bands) and address (bytes) with names. What leaves: text, or a file
beside report.json. Always holds: every piece of the plan is drawn where it lies; the peak is
marked; same input, same bytes. The SVG's classes (sheet, label, heading, ...) let a page colour it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

from mbn.core.errors import ModelError

FILE_NAME = "memory_map.json"

COLOURS = {"ring": "#4e9fd1", "map": "#7fb069", "scratch": "#e6aa68"}
SHEET = {"class": "sheet"}
SYMBOLS = {"ring": "=", "map": "#", "scratch": "+"}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 1000, 520, 80, 60, 50
READABLE = (46, 13)  # pixels that a name needs


@dataclass(frozen=True)
class Rectangle:
    """One piece: times are band numbers, inclusive; bytes from the start of the arena."""

    name: str
    kind: str  # ring, map, scratch
    first: int
    last: int
    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True)
class MemoryMap:
    """All pieces of a plan."""

    title: str
    rectangles: tuple[Rectangle, ...]
    bands: int
    arena_bytes: int
    live_bytes: tuple[int, ...]  # at each band

    @property
    def peak(self) -> tuple[int, int]:
        """(band, bytes) of the first time at which most bytes are in use."""
        most = max(self.live_bytes)
        return self.live_bytes.index(most), most


def save_map(memory: MemoryMap, folder: Path) -> None:
    """Writes folder/memory_map.json."""
    text = json.dumps(asdict(memory), separators=(",", ":"), sort_keys=True)
    (folder / FILE_NAME).write_text(text + "\n", encoding="utf-8")


def load_map(folder: Path) -> MemoryMap | None:
    """Reads it; None where the folder has none. Raises ModelError where it is not one."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        pieces = tuple(Rectangle(**piece) for piece in data.pop("rectangles"))
        return MemoryMap(rectangles=pieces, live_bytes=tuple(data.pop("live_bytes")), **data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a memory map ({error})", advice="compile again") from error


def to_svg(memory: MemoryMap) -> str:
    """Address upwards, time to the right; hover for names and sizes."""
    plot_width, plot_height = WIDTH - LEFT - 20, HEIGHT - TOP - BOTTOM

    def x(band: float) -> float:
        return round(LEFT + plot_width * band / memory.bands, 2)

    def y(offset: float) -> float:
        return round(TOP + plot_height * (1 - offset / memory.arena_bytes), 2)

    root = Xml.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        attrib={"font-family": "sans-serif", "font-size": "12"},
    )
    Xml.SubElement(root, "rect", width=str(WIDTH), height=str(HEIGHT), fill="white", attrib=SHEET)
    _text(root, LEFT, 24, memory.title, size="16", kind="heading")
    _legend(root)
    for piece in memory.rectangles:
        left, right = x(piece.first), x(piece.last + 1)
        top, bottom = y(piece.offset_bytes + piece.size_bytes), y(piece.offset_bytes)
        box = Xml.SubElement(
            root,
            "rect",
            x=str(left),
            y=str(top),
            width=str(round(right - left, 2)),
            height=str(round(bottom - top, 2)),
            fill=COLOURS[piece.kind],
            stroke="#333",
            attrib={"fill-opacity": "0.75", "stroke-width": "0.6"},
        )
        about = f"{piece.name}: {piece.kind}, {piece.size_bytes:,} bytes at {piece.offset_bytes:,}"
        Xml.SubElement(box, "title").text = about
        if right - left >= READABLE[0] and bottom - top >= READABLE[1]:
            _text(root, left + 3, (top + bottom) / 2 + 4, piece.name, size="11", kind="label")
    _axes(root, memory, x, y)
    return Xml.tostring(root, encoding="unicode") + "\n"


def _legend(root: Xml.Element) -> None:
    for index, (kind, colour) in enumerate(COLOURS.items()):
        left = LEFT + 110 * index
        Xml.SubElement(root, "rect", x=str(left), y="36", width="12", height="12", fill=colour)
        _text(root, left + 17, 47, kind)


def _axes(root: Xml.Element, memory: MemoryMap, x: object, y: object) -> None:
    assert callable(x)
    assert callable(y)
    for step in range(5):
        offset = memory.arena_bytes * step // 4
        _text(root, LEFT - 8, y(offset) + 4, f"{offset:,}", anchor="end")
    _text(root, LEFT, HEIGHT - 14, f"time: {memory.bands} bands of rows →   address ↑, bytes")
    band, most = memory.peak
    Xml.SubElement(
        root,
        "line",
        x1=str(x(band + 0.5)),
        x2=str(x(band + 0.5)),
        y1=str(TOP),
        y2=str(HEIGHT - BOTTOM),
        stroke="#c1292e",
        attrib={"stroke-dasharray": "4 3", "class": "peak"},
    )
    late = band > memory.bands / 2
    _text(
        root,
        x(band + 0.5) + (-6 if late else 6),
        HEIGHT - BOTTOM + 16,
        f"peak: {most:,} bytes in use",
        anchor="end" if late else "start",
        fill="#c1292e",
        kind="peak",
    )


def _text(
    root: Xml.Element,
    left: float,
    top: float,
    text: str,
    *,
    size: str = "12",
    anchor: str = "start",
    fill: str = "#222",
    kind: str = "axis",
) -> None:
    element = Xml.SubElement(
        root,
        "text",
        x=str(round(left, 2)),
        y=str(round(top, 2)),
        fill=fill,
        attrib={"text-anchor": anchor, "font-size": size, "class": kind},
    )
    element.text = text


def to_text(memory: MemoryMap, columns: int = 64, rows: int = 16) -> str:
    """The same in characters: time to the right, address upwards; `.` is free."""
    lines = []
    for row in range(rows - 1, -1, -1):
        low = memory.arena_bytes * row // rows
        high = max(low + 1, memory.arena_bytes * (row + 1) // rows)
        cells = [
            _cell(memory.rectangles, memory.bands, column, columns, low, high)
            for column in range(columns)
        ]
        lines.append(f"{low:>9,} |{''.join(cells)}|")
    band, most = memory.peak
    mark = " " * (11 + min(columns - 1, band * columns // memory.bands)) + "^"
    legend = ", ".join(f"{symbol} {kind}" for kind, symbol in SYMBOLS.items())
    lines += [mark, f"peak: {most:,} of {memory.arena_bytes:,} bytes in use; {legend}, . free"]
    return "\n".join(lines)


def _cell(
    pieces: Sequence[Rectangle], bands: int, column: int, columns: int, low: int, high: int
) -> str:
    """What takes most of a cell of time and address."""
    begin, end = bands * column / columns, bands * (column + 1) / columns
    best, symbol = 0.0, "."
    for piece in pieces:
        time = min(end, piece.last + 1) - max(begin, piece.first)
        space = min(high, piece.offset_bytes + piece.size_bytes) - max(low, piece.offset_bytes)
        if time > 0 and space > 0 and time * space > best:
            best, symbol = time * space, SYMBOLS[piece.kind]
    return symbol
