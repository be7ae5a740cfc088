"""The pointwise of a band in assembly, for M4 and M33: all pixels of a tile by all output channels.

The tile holds a word for each pair of input channels and pixel, [group of 4 pixels][pair][pixel].
Two output channels share a stream of words (runtime/kernels/dsp/pointwise.h). A register tile is
some pixels by one or two couples of output channels. For each pair of inputs it loads a word of
weights a couple and a word a pixel, and SMLAD multiplies two inputs at once:

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

from collections.abc import Sequence
from dataclasses import dataclass

from mbn.core.lowered import Assembly
from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.rounding import Rounding

RUN = 64  # pairs in one straight run of code; longer sums loop over runs of this length
HELD = 13  # pairs of which half fits in s0 to s25
TWICE = 14  # pairs up to which a turn of the loop has two couples
MOST_OFFSET = 4095  # bytes, of a load or store
PARAMETERS = "const int16_t *tile, const int32_t *stream, int8_t *out"


@dataclass(frozen=True)
class Place:
    """Where a register tile's pixels lie: bytes from the tile's start, from the output's start to
    its first pixel, and to its third. A group may end in the next row."""

    tile: int
    out: int
    far: int


@dataclass(frozen=True)
class Part:
    """Couples first .. first + couples - 1 by every register tile of `pixels` pixels. at_once:
    couples of a register tile. channels: of a couple; 1 for the last one of an odd number."""

    pixels: int
    at_once: int
    first: int
    couples: int
    channels: int
    raw: bool
    places: tuple[Place, ...]

    @property
    def crosses(self) -> bool:
        return self.pixels > 2 and any(one.far != one.out + 2 for one in self.places)


@dataclass(frozen=True)
class Band:
    """What all parts share. stream_words: of one couple's stream."""

    pairs: int
    stream_words: int
    plane_bytes: int
    rounding: Rounding


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


def written(name: str, about: str, band: Band, parts: Sequence[Part], twin: str) -> Assembly:
    """The function. twin: C statements that compute the same."""
    function = Function(name, about, ("tile", "stream", "out"))
    _Band(function, band).write(parts)
    return Assembly(
        name=name,
        parameters=PARAMETERS,
        text=function.text(_FRAME_BYTES),
        twin=twin,
    )


# the stack: arguments, and the next entry of a table of places
_TILE, _STREAM, _OUT, _ENTRY = ("[sp]", "[sp, #4]", "[sp, #8]", "[sp, #12]")
_FRAME_BYTES = 16


class _Band:
    """The parts one after the other, each with a loop over its places."""

    def __init__(self, function: Function, band: Band) -> None:
        self.f, self.band = function, band

    def write(self, parts: Sequence[Part]) -> None:
        f = self.f
        f.op("strd", "tile", "stream", "[sp]")
        f.op("str", "out", _OUT)
        f.release("out")
        f.define("at_out", "s28", "output of this register tile")
        f.define("at_tile", "s29", "its words")
        f.define("at_end", "s30", "end of the part's streams")
        for part in parts:
            f.comment("")
            f.comment(_told(part))
            if part.crosses:
                f.define("at_far", "s27", "output of pixels 2 and 3, less 2")
            self._part(part)
            if part.crosses:
                f.release("at_far")

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
        f.op("vmov", "at_tile", "tile")
        f.op("vmov", "at_out", place)
        if part.crosses:
            f.op("add", far, far, "stream")
            f.op("vmov", "at_far", far)
        f.op("ldr", "stream", _STREAM)
        f.add("stream", 4 * part.first * self.band.stream_words, spare=far)
        f.add(place, 4 * part.couples * self.band.stream_words, "stream", spare=far)
        f.op("vmov", "at_end", place)
        f.release(place, far, entry)
        _Couples(f, self.band, part).write()
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


class _Couples:
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
        # short sums twice in a turn of the loop, which costs 8
        short = self.loops % 2 == 0 and pairs <= TWICE and part.at_once == 1
        short = short and 3 * band.plane_bytes + 3 <= MOST_OFFSET
        self.copies = 2 if short else 1

    def write(self) -> None:
        f, part = self.f, self.part
        held = self._hold()
        sums = [_sum(k, c, p) for k in self.kinds for c in self.at_once for p in self.pixels]
        free = [f"r{n}" for n in range(2, 13)] + ["lr"]
        words = ["w0", "w1", "x0", "x1", "x2", "x3", "w2", "w3"][: len(free) - len(sums)]
        for name, register in zip([*words, *sums], free, strict=False):
            f.define(name, register)
        if self.turns:
            f.define("at_turn", "s26", "turns that are left")
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
        f.release(*words, *sums, *held, *(("at_turn",) if self.turns else ()))

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
            (_sum(kind, couple, last), f"[stream, #{step + couple * self.stream_bytes + at}]")
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
        f.op("vmov", "at_turn", "w0")
        f.add("tile", 16 * pairs)
        f.add("stream", 4 * pairs)
        turn = f.label(f.fresh("turn"))
        self._straight(0, RUN, step, first=False, half=0)
        f.add("tile", 16 * RUN)
        f.add("stream", 4 * RUN)
        f.op("vmov", "w0", "at_turn")
        f.op("subs", "w0", "#1")
        f.op("vmov", "at_turn", "w0")
        f.branch("bne.w", turn)
        f.op("vmov", "tile", "at_tile")

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
        own = _sum(kind, couple, pixel)
        addend = _sum(kind, couple, self.part.pixels - 1) if first else own
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
        f.op("vmov", "to", "at_out")
        for couple in self.at_once:
            tail = step + couple * self.stream_bytes + 8
            tail += 0 if self.turns else 4 * self.band.pairs
            rounding.begin(f, registers, tail)
            for kind in [
                k for k in (("hi", "lo") if part.raw else ("lo", "hi")) if k in self.kinds
            ]:
                number = ("lo", "hi").index(kind)
                values = [_sum(kind, couple, pixel) for pixel in self.pixels]
                raw = part.raw and kind == "hi"
                lows = [_sum("lo", couple, pixel) for pixel in self.pixels if raw]
                rounding.channel(f, values, registers, tail, number, lows)
                at = plane + (2 * couple + number) * self.band.plane_bytes
                for pixel, value in enumerate(values):
                    if pixel == 2 and part.crosses:
                        f.op("vmov", "to", "at_far")
                    f.op("strb", value, f"[to, #{at + pixel}]")
                if part.crosses:
                    f.op("vmov", "to", "at_out")
        if rounding.spares_tile:
            f.op("vmov", "tile", "at_tile")
        for old, name in zip((*registers, "to"), ("w0", "w1", "x0", "x1"), strict=True):
            f.rename(old, name)

    def _next(self, loop: str, step: int, plane: int) -> None:
        """The next couples, as long as there are some."""
        f = self.f
        for at in ("at_out", *(("at_far",) if self.part.crosses else ())):
            f.op("vmov", "x1", at)
            f.add("x1", plane, spare="x0")
            f.op("vmov", at, "x1")
        done = 4 * self.band.pairs if self.turns else 0
        f.add("stream", step - done, spare="x0")
        f.op("vmov", "x1", "at_end")
        f.op("cmp", "stream", "x1")
        f.branch("bne.w", loop)


def _sum(kind: str, couple: int, pixel: int) -> str:
    return f"{kind}{couple}_{pixel}"


def _word(pair: int, pixel: int) -> str:
    return f"x{pair}_{pixel}"
