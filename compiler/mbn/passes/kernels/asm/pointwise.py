"""The pointwise of a band in assembly, for M4 and M33: all pixels of a tile by all output channels.

A register tile is some pixels by one or two couples of output channels. For each pair of inputs it
loads a word of weights a couple and a word a pixel, and SMLAD multiplies two inputs at once:

    lo[couple][pixel] += word[pixel] . weights of the couple's first channel
    hi[couple][pixel] += word[pixel] . weights of its second

`raw`: a halfword of weights is 256 * w1 + w0. The word is then itself an operand of SMLAD, and hi
sums 256 * S1 + S0 modulo 2^32; one SXTB16 makes the operand that sums S0. hi - lo is 256 * S1,
exactly, where |S1| < 2^23, which the compiler proves. Otherwise two SXTB16 unpack a word.

Cycles of a pair of inputs (DDI 0439, 3.3.1; loads in runs):

    pixels x channels     raw    unpacked
    2 x 4                 15     -           for 16 products
    4 x 2                 16     17          for 16
    4 x 2, half held      15     16          pixels 2 and 3 wait in FPU registers
    4 x 2, held           14.5   15.5        all four do
    3 x 2                 12     13          for 12
"""

from __future__ import annotations

from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.parts import MOST_OFFSET, Band, Part, sum_name

RUN = 64  # pairs in one straight run of code; longer sums loop over runs of this length
HELD = 13  # pairs of which half fits in s0 to s25
COPIED = 32  # pairs in a turn of the loop over couples, if it has several


def cycles(pixels: int, at_once: int, pairs: int, *, raw: bool) -> float:
    """Of one register tile, about; what a choice among forms needs."""
    if at_once == 2:
        return (15 if pixels == 2 else 9.5) * pairs + 26 * pixels + 6
    each = {4: 17, 3: 13, 2: 10, 1: 7}[pixels] - raw
    whole, half = _held(pairs) if pixels == 4 else (0, 0)
    return each * pairs - 1.5 * whole - half + 14 + (7 if raw else 6) * pixels


def _held(pairs: int) -> tuple[int, int]:
    """Pairs whose four words wait in FPU registers, and those whose pixels 2 and 3 do."""
    if pairs < 10:
        return min(pairs, 6) // 2 * 2, 0
    return 0, min((pairs - 1) % RUN + 1, HELD)


class Couples:
    """One register tile by all couples of a part. The registers tile, stream, at_tile, at_out,
    at_far and at_end are set."""

    def __init__(self, function: Function, band: Band, part: Part) -> None:
        self.f, self.band, self.part = function, band, part
        self.stream_bytes = 4 * band.stream_words
        self.pixels, self.at_once = range(part.pixels), range(part.at_once)
        self.kinds = ("lo", "hi")[: part.channels]
        pairs = band.pairs
        self.turns, self.run = (pairs - 1) // RUN, (pairs - 1) % RUN + 1
        self.whole, self.half = _held(pairs) if part.pixels == 4 else (0, 0)
        self.loops = part.couples // part.at_once
        # several short sums in a turn of the loop, which costs 9 cycles
        self.copies = (
            1
            if part.at_once > 1
            else next(
                count
                for count in (4, 2, 1)
                if count == 1
                or (
                    self.loops % count == 0
                    and count * pairs <= COPIED
                    and (2 * count - 1) * band.plane_bytes + 3 <= MOST_OFFSET
                )
            )
        )

    def write(self) -> None:
        f, part = self.f, self.part
        held = self._hold()
        sums = [sum_name(k, c, p) for k in self.kinds for c in self.at_once for p in self.pixels]
        free = [f"r{n}" for n in range(2, 13)] + ["lr"]
        words = ["w0", "w1", "x0", "x1", "x2", "x3", "w2", "w3"][: len(free) - len(sums)]
        for name, register in zip([*words, *sums], free, strict=False):
            f.define(name, register)
        loop = f.label(f.fresh("couples"))
        step = plane = 0
        for _ in range(self.copies):
            self._biases(step)
            self._products(step)
            self._store(step, plane)
            step += part.at_once * self.stream_bytes
            plane += 2 * part.at_once * self.band.plane_bytes
        if self.loops > self.copies:
            self._next(loop, step, plane)
        f.release(*words, *sums, *held)

    def _hold(self) -> list[str]:
        """Words that wait in FPU registers."""
        places = [(k, p) for k in range(self.whole) for p in self.pixels]
        places += [(k, p) for k in range(self.half) for p in (2, 3)]
        for register, (k, p) in enumerate(places):
            self.f.define(_word(k, p), f"s{register}", f"pair {k} of pixel {p}")
            self.f.op("vldr", _word(k, p), f"[tile, #{16 * k + 4 * p}]")
        return [_word(k, p) for k, p in places]

    def _biases(self, step: int) -> None:
        """Biases come in the last pixel's sums, and are the addend of the first products: that
        saves moves."""
        last = self.part.pixels - 1
        order = ("hi", "lo") if self.part.raw else ("lo", "hi")
        loads = [
            (sum_name(kind, couple, last), f"[stream, #{step + couple * self.stream_bytes + at}]")
            for couple in self.at_once
            for at, kind in zip((0, 4), order, strict=True)
            if kind in self.kinds
        ]
        self.f.loads(*loads, note="biases")

    # -- products ----------------------------------------------------------------------------

    def _products(self, step: int) -> None:
        f, pairs = self.f, self.run
        for k in range(0, self.whole, 2):
            self._held_twice(k, step + 8 + 4 * k)
        self._straight(self.whole, pairs, step, first=self.whole == 0, half=self.half)
        if not self.turns:
            return
        f.op("mov", "w0", f"#{self.turns}")
        f.put("at_turn", "w0")
        f.add("tile", 16 * pairs)
        f.add("stream", 4 * pairs)
        turn = f.label(f.fresh("turn"))
        self._straight(0, RUN, step, first=False, half=0)
        f.add("tile", 16 * RUN)
        f.add("stream", 4 * RUN)
        f.get("w0", "at_turn")
        f.op("subs", "w0", "#1")
        f.put("at_turn", "w0")
        f.branch("bne.w", turn)
        f.get("tile", "at_tile")

    def _straight(self, start: int, stop: int, step: int, *, first: bool, half: int) -> None:
        """Pairs start .. stop - 1 from the pointers on. first: sums begin here."""
        in_place = self.part.raw and self.part.channels == 2 and self.part.pixels < 4
        many = 2 if self.part.at_once == 2 and self.part.pixels == 1 else 1
        for k in range(start, stop, many if in_place else 1):
            begins = first and k == start
            if in_place:
                self._in_place(k, min(many, stop - k), step, first=begins)
            else:
                self._split(k, step, first=begins, half=k < half)

    def _smlad(
        self, kind: str, couple: int, pixel: int, word: str, by: str, *, first: bool
    ) -> None:
        own = sum_name(kind, couple, pixel)
        addend = sum_name(kind, couple, self.part.pixels - 1) if first else own
        self.f.op("smlad", own, word, by, addend)

    def _in_place(self, k: int, many: int, step: int, *, first: bool) -> None:
        """Raw words of all couples and all pixels' words in registers: each serves both sums."""
        f = self.f
        words, inputs = iter(["w0", "w1", "w2", "w3"]), iter(["x0", "x1", "x2", "x3"])
        loads, found = [], []
        for j in range(k, k + many):
            by, at = [next(words) for _ in self.at_once], [next(inputs) for _ in self.pixels]
            weights = step + 8 + 4 * j
            loads += [
                (w, f"[stream, #{weights + c * self.stream_bytes}]") for c, w in enumerate(by)
            ]
            loads += [(x, f"[tile, #{16 * j + 4 * p}]") for p, x in enumerate(at)]
            found.append((by, at))
        f.loads(*loads)
        for kind in ("hi", "lo"):
            for w in (w for by, _ in found for w in by if kind == "lo"):
                f.op("sxtb16", w, w)
            for number, (by, at) in enumerate(found):
                for c, w in enumerate(by):
                    for p, x in enumerate(at):
                        self._smlad(kind, c, p, x, w, first=first and number == 0)

    def _unpack(self, word: str, low: str) -> None:
        """Operands from a word of weights: the first channel's in `low`, the second's in place."""
        self.f.op("sxtb16", low, word)
        if "hi" in self.kinds and not self.part.raw:
            self.f.op("sxtb16", word, word, "ror #8")

    def _pixel(self, pixel: int, word: str, by: tuple[str, str], *, first: bool) -> None:
        for kind, operand in zip(self.kinds, by, strict=False):
            self._smlad(kind, 0, pixel, word, operand, first=first)

    def _split(self, k: int, step: int, *, first: bool, half: bool) -> None:
        """A word of weights in two registers; as many pixels at once as registers are left."""
        f = self.f
        waiting = [p for p in self.pixels if half and p >= 2]
        loaded = [p for p in self.pixels if p not in waiting]
        room = 2 if self.part.pixels == 4 and "hi" in self.kinds else 4
        for start in range(0, len(loaded), room):
            batch = list(zip(loaded[start : start + room], ("x0", "x1", "x2", "x3"), strict=False))
            loads = [(x, f"[tile, #{16 * k + 4 * p}]") for p, x in batch]
            if start == 0:
                f.loads(("w0", f"[stream, #{step + 8 + 4 * k}]"), *loads)
                self._unpack("w0", "w1")
            else:
                f.loads(*loads)
            for p, x in batch:
                self._pixel(p, x, ("w1", "w0"), first=first)
        for p in waiting:
            f.op("vmov", "x0", _word(k, p))
            self._pixel(p, "x0", ("w1", "w0"), first=first)

    def _held_twice(self, k: int, offset: int) -> None:
        """Pairs k and k + 1, whose words are in FPU registers: their weights in one run."""
        f = self.f
        f.loads(("w0", f"[stream, #{offset}]"), ("x1", f"[stream, #{offset + 4}]"))
        for pair, word in ((k, "w0"), (k + 1, "x1")):
            self._unpack(word, "w1")
            for p in self.pixels:
                f.op("vmov", "x0", _word(pair, p))
                self._pixel(p, "x0", ("w1", word), first=pair == 0)

    # -- outputs -----------------------------------------------------------------------------

    def _store(self, step: int, plane: int) -> None:
        """Requantises the sums and stores them. A raw word's second channel comes first, because it
        needs the first's sum."""
        f, part, rounding = self.f, self.part, self.band.rounding
        registers = (f.rename("w0", "by0"), f.rename("w1", "by1"), f.rename("x0", "by2"))
        f.rename("x1", "to", "output")
        f.get("to", "at_out")
        for couple in self.at_once:
            tail = step + couple * self.stream_bytes + 8
            tail += 0 if self.turns else 4 * self.band.pairs
            rounding.begin(f, registers, tail, raw=part.raw)
            for kind in [
                k for k in (("hi", "lo") if part.raw else ("lo", "hi")) if k in self.kinds
            ]:
                number = ("lo", "hi").index(kind)
                values = [sum_name(kind, couple, pixel) for pixel in self.pixels]
                raw = part.raw and kind == "hi"
                lows = [sum_name("lo", couple, pixel) for pixel in self.pixels if raw]
                rounding.channel(f, values, registers, tail, number, ("tile",), lows)
                at = plane + (2 * couple + number) * self.band.plane_bytes
                for pixel, value in enumerate(values):
                    if pixel == 2 and part.crosses:
                        f.get("to", "at_far")
                    f.op("strb", value, f"[to, #{at + pixel}]")
                if part.crosses:
                    f.get("to", "at_out")
        if rounding.needs_temporaries:  # no other register was left
            f.get("tile", "at_tile")
        for old, name in zip((*registers, "to"), ("w0", "w1", "x0", "x1"), strict=True):
            f.rename(old, name)

    def _next(self, loop: str, step: int, plane: int) -> None:
        """The next couples, as long as there are some."""
        f = self.f
        for at in ("at_out", *(("at_far",) if self.part.crosses else ())):
            f.get("x1", at)
            f.add("x1", plane, spare="x0")
            f.put(at, "x1")
        done = 4 * self.band.pairs if self.turns else 0
        f.add("stream", step - done, spare="x0")
        f.get("x1", "at_end")
        f.op("cmp", "stream", "x1")
        f.branch("bne.w", loop)


def _word(pair: int, pixel: int) -> str:
    return f"x{pair}_{pixel}"
