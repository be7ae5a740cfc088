"""Two channels a multiply on ARMv7-M without the DSP extension (Cortex-M3); see couples.py.

Three pixels of two taps: 8 loads, 6 MLA of two cycles, 6 ADD. The tile's bytes are int8.
"""

from __future__ import annotations

from mbn.core.constants import TFLITE_ANY_CODE, TFLITE_CODE
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
from mbn.passes.kernels.asm.function import Function

_UNROLLED = 8
_SLOTS = ("tile0", "stream0", "unpacked0", "out0", "entry", "left", "at_out", "tail", "end", "step")
_FRAME_BYTES = 40


def text(name: str, about: str, band: Band) -> str:
    """The function."""
    f = Function(name, about, ("tile", "stream", "unpacked", "out"))
    _Couples(f, band).write()
    return f.text(_FRAME_BYTES)


class _Couples:
    def __init__(self, function: Function, band: Band) -> None:
        self.f, self.band = function, band

    def write(self) -> None:
        f, band = self.f, self.band
        for number, slot in enumerate(_SLOTS):
            f.slot(slot, 4 * number)
        f.op("strd", "tile", "stream", "[sp]")
        f.op("strd", "unpacked", "out", "[sp, #8]")
        f.release("tile", "stream", "unpacked", "out")
        left = f.define("left_now", "r0")
        f.constant(left, band.couples)
        f.put("left", left)
        f.release(left)
        f.label("couple")
        if band.channels % 2:
            self._step()
        self._unpack()
        for size in sorted(band.places, reverse=True):
            self._places(size)
        left, stream, out = (f.define(*one) for one in (("n", "r0"), ("s", "r1"), ("o", "r2")))
        f.get(stream, "tail")
        f.get(out, "out0")
        f.get(left, "left")
        f.op("add", stream, stream, f"#{band.tail_bytes}")
        f.put("stream0", stream)
        f.add(out, 2 * band.plane_bytes, spare=stream)
        f.put("out0", out)
        f.op("subs", left, left, "#1")
        f.put("left", left)
        f.branch("bne.w", "couple")
        f.release(left, stream, out)

    def _step(self) -> None:
        """Bytes to the second channel's plane; the last couple has none."""
        f = self.f
        left, step = f.define("n", "r0"), f.define("to_second", "r1")
        f.get(left, "left")
        f.constant(step, self.band.plane_bytes)
        f.together(("cmp", left, "#1"), ("it", "eq"), ("moveq", step, "#0"))
        f.put("step", step)
        f.release(left, step)

    def _unpack(self) -> None:
        """Weights become words; the tail is found behind them."""
        f, band = self.f, self.band
        names = {
            "from": ("r0", "packed weights"),
            "to": ("r1", "unpacked weights"),
            "last": ("r2", "end of the packed weights"),
            "mask": ("r3", "0x00ff00ff"),
            "even": ("r4", "bytes 0 and 2, then W of the first tap"),
            "odd": ("r5", "bytes 1 and 3, then W of the second tap"),
            "bytes": ("r6", "two taps of both channels"),
        }
        f.define_all(names)
        f.get("from", "stream0")
        f.get("to", "unpacked0")
        f.add("last", 4 * band.pairs, "from")
        f.put("tail", "last")
        f.op("mov", "mask", f"#0x{MASK:08x}")
        again = f.label(f.fresh("unpack"))
        f.op("ldr", "bytes", "[from], #4")
        f.op("and", "even", "bytes", "mask")
        f.op("sub", "even", "even", f"#0x{CENTRE:08x}")
        f.op("and", "odd", "mask", "bytes", "lsr #8")
        f.op("sub", "odd", "odd", f"#0x{CENTRE:08x}")
        f.op("strd", "even", "odd", "[to], #8")
        f.op("cmp", "from", "last")
        f.branch("bne.w", again)
        f.release(*names)

    def _places(self, size: int) -> None:
        """All groups of `size` pixels by the couple."""
        f, band = self.f, self.band
        f.comment("")
        f.comment(f"groups of {size} pixels")
        names = {
            "x": ("r0", "values of the tile"),
            "weights": ("r1", "unpacked weights"),
            "start": ("r2", "2^31 + 2^15"),
            "first": ("r3", "W of a pair's first tap"),
            "second": ("r4", "W of its second tap"),
            **{f"t{n}": (f"r{5 + n}", "a value, then S") for n in range(3)},
            **sums(size),
        }
        f.define_all(names)
        several = len(band.places[size]) > 1
        again = f.fresh("places")
        if several:
            f.address("t0", f.table(band.table(size)))
            f.label(again)
            f.loads(("x", "[t0], #4"), ("t1", "[t0], #4"), note="bytes from tile and output")
            f.put("entry", "t0")
        else:
            f.constant("x", band.places[size][0].tile)
            f.constant("t1", band.places[size][0].out)
        f.get("t0", "tile0")
        f.get("t2", "out0")
        f.get("weights", "tail")
        f.op("add", "x", "x", "t0")
        f.op("add", "t1", "t1", "t2")
        f.put("at_out", "t1")
        f.loads(("whole0", f"[weights, #{TAIL_P}]"), ("upper0", f"[weights, #{TAIL_B}]"))
        f.get("weights", "unpacked0")
        for n in range(1, size):
            f.op("mov", f"whole{n}", "whole0")
            f.op("mov", f"upper{n}", "upper0")
        f.constant("start", START)
        of, turns, behind = band.unrolled(_UNROLLED)
        if turns > 1:
            f.add("t0", 8 * of * turns, "weights", spare="t1")
            f.put("end", "t0")
            loop = f.label(f.fresh("taps"))
        for pair in range(of):
            self._pair(size, pair)
        if turns > 1 or behind:
            f.op("add", "x", "x", f"#{2 * size * of}")
            f.op("add", "weights", "weights", f"#{8 * of}")
        if turns > 1:
            f.get("t0", "end")
            f.op("cmp", "weights", "t0")
            f.branch("bne.w", loop)
        for pair in range(behind):
            self._pair(size, pair)
        f.release("x", "weights", "start", "first", "second")
        self._store(size)
        if several:
            f.get("t0", "entry")
            f.op("ldr", "t1", "[t0]")
            f.op("cmn", "t1", "#1")
        f.release(*sums(size), "t0", "t1", "t2")
        if several:
            f.branch("bne.w", again)

    def _pair(self, size: int, pair: int) -> None:
        """Two taps. A run of loads costs a cycle more than it has loads: as few runs as the three
        temporaries allow."""
        f = self.f

        def value(register: str, tap: int, pixel: int) -> None:
            f.op("ldrsb", register, f"[x, #{2 * size * pair + size * tap + pixel}]")

        def both(total: str, other: str, pixel: int) -> None:
            f.op("mla", total, other, "second", total)
            f.op("add", f"whole{pixel}", f"whole{pixel}", total)
            f.op("add", f"upper{pixel}", f"upper{pixel}", total, "lsr #16")

        f.loads(("first", f"[weights, #{8 * pair}]"), ("second", f"[weights, #{8 * pair + 4}]"))
        value("t0", 0, 0)
        value("t1", 1, 0)
        if size > 1:
            value("t2", 0, 1)
        f.op("mla", "t0", "t0", "first", "start")
        both("t0", "t1", 0)
        if size > 1:
            f.op("mla", "t2", "t2", "first", "start")
            value("t0", 1, 1)
            if size > 2:
                value("t1", 0, 2)
            both("t2", "t0", 1)
        if size > 2:
            value("t0", 1, 2)
            f.op("mla", "t1", "t1", "first", "start")
            both("t1", "t0", 2)

    def _store(self, size: int) -> None:
        """Requantises, saturates and stores; the second channel first, since the last couple's may
        be nothing and lie where the first one's goes."""
        f = self.f
        names = {
            "at": ("r0", "output of the second channel, then of the first"),
            "from": ("r1", "what follows the weights"),
            "m0": ("r3", "2m"),
            "m1": ("r4", "2m"),
            "low": ("r2", "of a product"),
        }
        f.define_all(names)
        f.get("at", "at_out")
        f.get("from", "tail")
        f.loads(("m0", f"[from, #{TAIL_M}]"), ("m1", f"[from, #{TAIL_M + 4}]"))
        self._second_plane("add", "at")
        for n in range(size):
            f.op("sub", f"whole{n}", f"whole{n}", f"upper{n}", "lsl #16")
        for number, kind in ((1, "upper"), (0, "whole")):
            if number == 0:
                self._second_plane("sub", "at")
            self._words(number)
            for n in range(size):
                self._requantise(f"{kind}{n}", number)
                f.op("strb", f"{kind}{n}", f"[at, #{n}]")
        f.release(*names)

    def _words(self, number: int) -> None:
        """Loads what all pixels of a channel take: Z, or T and e."""
        code = self.band.rounding.code
        if code > 0:
            self._word("t0", number, 1)
        elif code == TFLITE_CODE:
            self._word("t0", number, 1)
            self._word("t1", number, 2)

    def _word(self, register: str, number: int, word: int) -> None:
        self.f.op("ldr", register, f"[from, #{TAIL_M + 4 * number + 8 * word}]")

    def _requantise(self, total: str, number: int) -> None:
        """In place; see rounding.py for the words."""
        f, rounding, doubled = self.f, self.band.rounding, f"m{number}"
        if rounding.code > 0:
            f.op("add", total, "t0", total, f"lsl #{rounding.code}")
        if rounding.code == TFLITE_ANY_CODE:
            self._word("t0", number, 2)
            f.op("lsr", "t1", "t0", "#8")
            f.op("lsl", total, total, "t1")
        if rounding.code >= 0:
            f.op("smull", "low", total, total, doubled)
            f.op("add", total, total, "low", "lsr #31")
        else:
            f.op("smull", "low", "t2", total, doubled)
            f.op("add", "t2", "t2", "low", "lsr #31")
            f.op("and", "low", total, doubled, "asr #31")
            f.op("add", "t2", "t2", "low", note="2m is unsigned")
            self._divide(total, number)
        f.op("ssat", total, "#8", total)
        for bound, test, end in ((rounding.low, "lt", -128), (rounding.high, "gt", 127)):
            if bound != end:
                f.together(
                    ("cmp", total, f"#{bound}"), ("it", test), (f"mov{test}", total, f"#{bound}")
                )

    def _divide(self, total: str, number: int) -> None:
        """total = t2 by 2^e, half away from zero, and the zero point. Where the half is nothing
        (e = 0), a negative sum is not corrected."""
        f = self.f
        if self.band.rounding.code == TFLITE_CODE:
            f.op("add", "low", "t0", total, "asr #31")
            f.op("add", "t2", "t2", "low")
            f.op("asr", total, "t2", "t1")
            return
        f.op("uxtb", "t0", "t0")
        f.op("mov", "t1", "#1")
        f.op("lsl", "t1", "t1", "t0")
        f.op("lsr", "t1", "t1", "#1", note="the half")
        f.op("add", "t1", "t1", total, "asr #31")
        f.op("bic", "t1", "t1", "t1", "asr #31")
        f.op("add", "t2", "t2", "t1")
        f.op("asr", "t2", "t2", "t0")
        self._word("t0", number, 1)
        f.op("add", total, "t2", "t0")

    def _second_plane(self, mnemonic: str, at: str) -> None:
        """To or from the second channel's plane; where the last couple has none, the step is 0."""
        f, plane = self.f, self.band.plane_bytes
        if self.band.channels % 2:
            f.get("low", "step")
            f.op(mnemonic, at, at, "low")
        else:
            f.add(at, plane if mnemonic == "add" else -plane, spare="low")
