"""The pointwise of a band in assembly: all pixels of a tile by all output channels.

A function is parts, one after the other, each a loop over its places around register tiles
(pointwise.py, for a core that issues two instructions a cycle pointwise_m7.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from mbn.core.lowered import Assembly
from mbn.passes.kernels.asm import pointwise, pointwise_m7
from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.parts import PARAMETERS, Band, Part


def written(name: str, about: str, band: Band, parts: Sequence[Part], twin: str) -> Assembly:
    """The function. twin: C statements that compute the same."""
    function = Function(name, about, ("tile", "stream", "out"))
    _Band(function, band).write(parts)
    frame_bytes = _KEPT_BYTES + (16 if band.two_slots else 0)
    return Assembly(name, PARAMETERS, function.text(frame_bytes), twin)


# the stack: arguments, the next entry of a table of places, and what `Function.put` keeps there
_TILE, _STREAM, _OUT, _ENTRY = ("[sp]", "[sp, #4]", "[sp, #8]", "[sp, #12]")
_KEPT_BYTES = 16
_KEPT = {
    "at_out": ("s28", "output of this register tile"),
    "at_tile": ("s29", "its words"),
    "at_end": ("s30", "end of the part's streams"),
    "at_turn": ("s26", "turns of a long sum that are left"),
    "at_far": ("s27", "output of pixels 2 and 3, less 2"),
}


class _Band:
    """The parts one after the other, each with a loop over its places."""

    def __init__(self, function: Function, band: Band) -> None:
        self.f, self.band = function, band

    def write(self, parts: Sequence[Part]) -> None:
        f = self.f
        f.op("strd", "tile", "stream", "[sp]")
        f.op("str", "out", _OUT)
        f.release("out")
        for number, (name, (register, meaning)) in enumerate(_KEPT.items()):
            if name == "at_far" and not any(part.crosses for part in parts):
                continue
            if self.band.two_slots:  # whose loads from the stack are quicker than VMOV
                f.slot(name, _KEPT_BYTES + 4 * number)
            else:
                f.define(name, register, meaning)
        for part in parts:
            f.comment("")
            f.comment(_told(part))
            self._part(part)

    def _part(self, part: Part) -> None:
        f, several = self.f, len(part.places) > 1
        again = f.fresh("places")
        place, far, entry = f.define("place", "r2"), f.define("far", "r3"), f.define("entry", "r4")
        skipped = 2 * part.first * self.band.plane_bytes
        if several:
            f.address(entry, f.table(_entries(part, skipped)))
            f.label(again)
            f.op("ldr", "tile", f"[{entry}], #4", note="bytes from the tile's start")
            f.op("ldr", place, f"[{entry}], #4", note="and from the output's, of pixel 0")
            if part.crosses:
                f.op("ldr", far, f"[{entry}], #4", note="and of pixel 2, less 2")
            f.op("str", entry, _ENTRY)
        else:
            only = part.places[0]
            f.constant("tile", only.tile)
            f.constant(place, only.out + skipped)
            if part.crosses:
                f.constant(far, only.far - 2 + skipped)
        f.loads((entry, _TILE), ("stream", _OUT))
        f.op("add", "tile", "tile", entry)
        f.op("add", place, place, "stream")
        f.put("at_tile", "tile")
        f.put("at_out", place)
        if part.crosses:
            f.op("add", far, far, "stream")
            f.put("at_far", far)
        f.op("ldr", "stream", _STREAM)
        f.add("stream", 4 * part.first * self.band.stream_words, spare=far)
        f.add(place, 4 * part.couples * self.band.stream_words, "stream", spare=far)
        f.put("at_end", place)
        f.release(place, far, entry)
        tiles = pointwise_m7.Couples if self.band.two_slots else pointwise.Couples
        tiles(f, self.band, part).write()
        if several:
            entry, end = f.define("entry", "r4"), f.define("end", "r2")
            f.op("ldr", entry, _ENTRY)
            f.op("ldr", end, f"[{entry}]")
            f.op("cmn", end, "#1")
            f.branch("bne.w", again)
            f.release(entry, end)


def _told(part: Part) -> str:
    channels = 2 * part.at_once if part.channels == 2 else 1
    words = "raw words" if part.raw else "words unpacked"
    last = part.first + part.couples - 1
    return f"{part.pixels} pixels x {channels} channels, {words}: couples {part.first} to {last}"


def _entries(part: Part, skipped: int) -> list[int]:
    """The table of places; -1 ends it. skipped: bytes of the planes before the part's first."""
    words: list[int] = []
    for place in part.places:
        words += [place.tile, place.out + skipped]
        words += [place.far - 2 + skipped] if part.crosses else []
    return [*words, -1]
