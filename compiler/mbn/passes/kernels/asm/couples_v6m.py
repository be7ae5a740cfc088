"""Two channels a multiply with the narrow instructions alone (Cortex-M0+); see couples.py.

Three pixels of two taps: LDM of three words, then 11 instructions a pixel. The tile's bytes are
128 more than the values, since only LDRB takes a constant offset; the start of S makes up for it:
2^31 + 2^15 - 128 (W + W'). P and B stay in r8 to r12 and lr, which can be added to.
"""

from __future__ import annotations

from mbn.passes.kernels.asm.couples import (
    CENTRE,
    MASK,
    START,
    TAIL_B,
    TAIL_M,
    TAIL_P,
    Band,
    sums,
)
from mbn.passes.kernels.asm.narrow import NarrowFunction

_UNROLLED = 5  # LDRB reaches 31 bytes, and three pixels of two taps are six
_SLOTS = ("tile0", "stream0", "unpacked0", "out0", "entry", "left", "at_out", "tail", "end", "step")
_PLACES = ("places3", "places2", "places1")
_CONSTANTS = ("mask0", "centre0", "start0", "half0", "packed", "turns", "plane")
_FRAME_BYTES = 80
_PAIR_BYTES = 12  # unpacked: W, W', and the start of S


def text(name: str, about: str, band: Band) -> str:
    """The function."""
    f = NarrowFunction(name, about, ("tile", "stream", "unpacked", "out"))
    _Couples(f, band).write()
    return f.text(_FRAME_BYTES)


class _Couples:
    def __init__(self, function: NarrowFunction, band: Band) -> None:
        self.f, self.band = function, band
        self.of, self.turns, self.behind = band.unrolled(_UNROLLED)

    def write(self) -> None:
        f, band = self.f, self.band
        for number, slot in enumerate((*_SLOTS, *_PLACES, *_CONSTANTS)):
            f.slot(slot, 4 * number)
        for slot, argument in zip(_SLOTS, ("tile", "stream", "unpacked", "out"), strict=False):
            f.put(slot, argument)
        f.release("tile", "stream", "unpacked", "out")
        spare = f.define("spare", "r0")
        tables: dict[str, int | str] = {
            f"places{size}": f.table(band.table(size)) for size in band.places
        }
        f.literals(
            spare,
            tables
            | {
                "left": band.couples,
                "mask0": MASK,
                "centre0": -CENTRE,
                "start0": START,
                "half0": 0x8000,
                "packed": 4 * band.pairs,
                "turns": _PAIR_BYTES * self.of * self.turns,
                "plane": band.plane_bytes,
            },
        )
        f.release(spare)
        f.label("couple")
        self._unpack()
        for size in sorted(band.places, reverse=True):
            self._places(size)
        left, stream, out = (f.define(*one) for one in (("n", "r0"), ("s", "r1"), ("o", "r2")))
        f.get(stream, "tail")
        f.op("adds", stream, f"#{band.tail_bytes}")
        f.put("stream0", stream)
        f.get(stream, "plane")
        f.get(out, "out0")
        f.op("adds", out, out, stream)
        f.op("adds", out, out, stream)
        f.put("out0", out)
        f.get(left, "left")
        f.op("subs", left, "#1")
        f.put("left", left)
        done = f.fresh("done")
        f.branch("beq", done)
        f.branch("bl", "couple")  # B reaches 2 KB; lr is saved
        f.label(done)
        f.release(left, stream, out)

    def _unpack(self) -> None:
        """Weights become words; the tail is found behind them."""
        f = self.f
        names = {
            "from": ("r0", "packed weights"),
            "to": ("r1", "unpacked weights"),
            "last": ("r2", "end of the packed weights"),
            "mask": ("r3", "0x00ff00ff"),
            "even": ("r4", "bytes 0 and 2, then W of the first tap"),
            "odd": ("r5", "two taps of both channels, then W of the second tap"),
            "begin": ("r6", "start of S"),
            "centre": ("r8", "-0x00800080"),
            "start": ("r9", "2^31 + 2^15"),
        }
        f.define_all(names)
        for high, slot in (("centre", "centre0"), ("start", "start0")):
            f.get("mask", slot)
            f.op("mov", high, "mask")
        if self.band.channels % 2:  # the last couple has no second plane
            f.get("mask", "plane")
            f.get("last", "left")
            more = f.fresh("more")
            f.op("cmp", "last", "#1")
            f.branch("bne", more)
            f.op("movs", "mask", "#0")
            f.label(more)
            f.put("step", "mask")
        f.get("from", "stream0")
        f.get("to", "unpacked0")
        f.get("last", "packed")
        f.op("adds", "last", "last", "from")
        f.put("tail", "last")
        f.get("mask", "mask0")
        again = f.label(f.fresh("unpack"))
        f.op("ldmia", "from!", "{odd}")
        f.op("mov", "even", "odd")
        f.op("ands", "even", "mask")
        f.op("add", "even", "centre")
        f.op("lsrs", "odd", "odd", "#8")
        f.op("ands", "odd", "mask")
        f.op("add", "odd", "centre")
        f.op("adds", "begin", "even", "odd")
        f.op("lsls", "begin", "begin", "#7")
        f.op("rsbs", "begin", "begin", "#0")
        f.op("add", "begin", "start")
        f.op("stmia", "to!", "{even, odd, begin}")
        f.op("cmp", "from", "last")
        f.branch("bne", again)
        f.release(*names)

    def _places(self, size: int) -> None:
        """All groups of `size` pixels by the couple."""
        f, of, turns, behind = self.f, self.of, self.turns, self.behind
        f.comment("")
        f.comment(f"groups of {size} pixels")
        names = {
            "x": ("r0", "values of the tile"),
            "weights": ("r1", "unpacked weights"),
            "last": ("r2", "end of the turns"),
            "first": ("r3", "W of a pair's first tap"),
            "second": ("r4", "W of its second tap"),
            "start": ("r5", "start of S"),
            "total": ("r6", "S"),
            "value": ("r7", "a value, then its product"),
            **sums(size),
        }
        f.define_all(names)
        f.get("value", f"places{size}")
        again = f.label(f.fresh("places"))
        f.op("ldmia", "value!", "{x, weights}", note="bytes from tile and output")
        f.put("entry", "value")
        f.get("value", "tile0")
        f.op("adds", "x", "x", "value")
        f.get("value", "out0")
        f.op("adds", "weights", "weights", "value")
        f.put("at_out", "weights")
        f.get("weights", "tail")
        for kind, offset in (("whole", TAIL_P), ("upper", TAIL_B)):
            f.op("ldr", "value", f"[weights, #{offset}]")
            for n in range(size):
                f.op("mov", f"{kind}{n}", "value")
        f.get("weights", "unpacked0")
        if turns > 1:
            f.get("last", "turns")
            f.op("adds", "last", "last", "weights")
            loop = f.label(f.fresh("taps"))
        for pair in range(of):
            self._pair(size, pair)
        if turns > 1 or behind:
            f.op("adds", "x", f"#{2 * size * of}")
        if turns > 1:
            ended = f.fresh("ended")
            f.op("cmp", "weights", "last")
            f.branch("beq", ended)
            f.branch("b", loop)
            f.label(ended)
        for pair in range(behind):
            self._pair(size, pair)
        f.release("x", "weights", "last", "first", "second", "start", "total", "value")
        self._store(size)
        entry, end = f.define("entry_now", "r7"), f.define("next", "r0")
        f.get(entry, "entry")
        f.op("ldr", end, f"[{entry}]")
        f.op("adds", end, "#1")
        ended = f.fresh("ended")
        f.branch("beq", ended)
        f.branch("b", again)
        f.label(ended)
        f.release(entry, end, *sums(size))

    def _pair(self, size: int, pair: int) -> None:
        """Two taps."""
        f = self.f
        f.op("ldmia", "weights!", "{first, second, start}")
        for pixel in range(size):
            at = 2 * size * pair + pixel
            f.op("ldrb", "total", f"[x, #{at}]")
            f.op("muls", "total", "first", "total")
            f.op("ldrb", "value", f"[x, #{at + size}]")
            f.op("muls", "value", "second", "value")
            f.op("adds", "total", "total", "value")
            f.op("adds", "total", "total", "start")
            f.op("add", f"whole{pixel}", "total")
            f.op("lsrs", "total", "total", "#16")
            f.op("add", f"upper{pixel}", "total")

    def _store(self, size: int) -> None:
        """Requantises, saturates and stores; the second channel first, since the last couple's may
        be nothing and lie where the first one's goes."""
        f, band = self.f, self.band
        names = f.begin_requantise("half0")
        for n in range(size):  # the first channel's sums
            f.op("mov", "total", f"upper{n}")
            f.op("lsls", "low", "total", "#16")
            f.op("mov", "total", f"whole{n}")
            f.op("subs", "total", "total", "low")
            f.op("mov", f"whole{n}", "total")
        for number, kind in ((1, "upper"), (0, "whole")):

            def fetch(word: int, number: int = number) -> None:
                f.get("part", "tail")
                f.op("ldr", "part", f"[part, #{TAIL_M + 4 * number + 8 * word}]")

            f.get("part", "tail")
            f.multiplier(f"[part, #{TAIL_M + 4 * number}]")
            f.get("at", "at_out")
            if number:
                f.get("part", "step" if band.channels % 2 else "plane")
                f.op("adds", "at", "at", "part")
            for n in range(size):
                f.op("mov", "total", f"{kind}{n}")
                f.requantise(band.rounding, fetch, f"{kind}{n}")
                f.op("strb", "total", f"[at, #{n}]")
        f.release(*names)
