"""Register tiles of the pointwise for the Cortex-M7, which issues two instructions a cycle.

One to three pixels by a couple of output channels; its words are bytes, unpacked by two SXTB16. One
multiply starts in a cycle, and the other instructions start beside them: they are written below in
the order of their meaning, and ordered.py finds the order in which nothing waits. A turn of the
loop ends with the loads of the next one's first pair.

    pixels x channels     cycles of a pair of inputs (LLVM's model of the core)
    3 x 2                 6       for 12 products
    2 x 2                 4.5     for 8
    1 x 2                 3       for 4
    a couple's end        15      `single`, 3 pixels; some 24 where the rounding is `tflite`

Raw words (pointwise.py) would save an SXTB16 a pair, which is free here.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.parts import Band, Part, sum_name

STRAIGHT = 66  # pairs in one straight run of code
RUN, LAST = 32, 4  # of longer sums: pairs in a turn of their loop, and behind it
_FREE = (*(f"r{n}" for n in range(2, 13)), "lr")


@dataclass(frozen=True)
class _Words:
    """Names of the registers that a pair of inputs takes: its word of weights, the operands made of
    it, and the pixels' words."""

    packed: str
    operands: tuple[str, ...]
    pixels: tuple[str, ...]


class Couples:
    """One register tile by all couples of a part. The registers tile and stream are set, and what
    waits on the stack."""

    def __init__(self, function: Function, band: Band, part: Part) -> None:
        self.f, self.band, self.part = function, band, part
        self.pixels, self.kinds = range(part.pixels), ("lo", "hi")[: part.channels]
        self.sums = [sum_name(kind, 0, p) for kind in self.kinds for p in self.pixels]
        self.words: list[_Words] = []
        self.temporaries: list[str] = []
        # pairs in front of a long sum's loop, its turns, and pairs behind it
        long = band.pairs > STRAIGHT
        self.last = LAST if long else band.pairs
        self.lead = (band.pairs - self.last - 1) % RUN + 1 if long else 0
        self.turns = (band.pairs - self.last - self.lead) // RUN

    def write(self) -> None:
        f, part = self.f, self.part
        names = self._define()
        with f.ordered():
            self._begin(0)
        loop = f.label(f.fresh("couples"))
        done = 0
        if self.turns:
            with f.ordered():
                self._pairs(self.lead, 0, more=True, first=True)
                f.op("mov", "high", f"#{self.turns}")
                f.put("at_turn", "high")
            turn = f.label(f.fresh("turn"))
            with f.ordered():
                f.get("high", "at_turn")
                f.op("subs", "high", "high", "#1", note="nothing else writes the flags")
                f.put("at_turn", "high")
                self._pairs(RUN, self.lead, more=True)
            f.branch("bne.w", turn)
            done = self.band.pairs - self.last
        with f.ordered():
            self._pairs(self.last, done, more=False, first=not done)
            self._store()
            if part.couples > 1:
                self._begin(self.band.stream_words - done)
                f.get("high", "at_end")
                f.op("cmp", "stream", "high")
        if part.couples > 1:
            f.branch("bne.w", loop)
        f.release(*names)

    def _define(self) -> list[str]:
        """Names all registers. The words of odd pairs have registers of their own as far as there
        are some."""
        f, registers = self.f, iter(_FREE)
        pixels = tuple(f"x{p}" for p in self.pixels)
        names = [*self.sums, "word", "low", "high", *pixels]
        left = len(_FREE) - len(names)
        own = ["odd_word", *(f"odd_{x}" for x in pixels)] if left >= 1 + len(pixels) else []
        own += ["odd_low", "odd_high"] if own and left >= len(own) + 2 else []
        for name in (*names, *own):
            f.define(name, next(registers))

        def of(name: str, *, odd: bool) -> str:
            return f"odd_{name}" if odd and f"odd_{name}" in own else name

        for odd in (False, True):
            operands = tuple(of(name, odd=odd) for name in ("low", "high")[: len(self.kinds)])
            inputs = tuple(of(x, odd=odd) for x in pixels)
            self.words.append(_Words(of("word", odd=odd), operands, inputs))
        # what the same registers hold when sums are stored
        free = [name for name in (*names, *own) if name not in self.sums]
        order = ["word", "x0", "low", "high", *(n for n in free if n[0] == "x" and n != "x0"), *own]
        kept = ["by0", "by1", "by2", "to", "start0", "start1"]
        aliases = [f.alias(name, one) for name, one in zip(kept, order, strict=False)]
        self.temporaries = aliases[4:]
        return [*names, *own, *aliases]

    def _begin(self, words: int) -> None:
        """The next couple, `words` further in the stream: its biases come in the last pixel's sums,
        and the first products add to them."""
        f, last = self.f, self.pixels[-1]
        if words and self.turns:
            f.get("tile", "at_tile")
        for at, kind in enumerate(self.kinds):
            f.op("ldr", sum_name(kind, 0, last), f"[stream, #{4 * (words + at)}]", note="bias")
        self._load(0, 4 * words + 8, 0)
        self._unpack(0)
        if words:
            f.add("stream", 4 * words)

    def _load(self, number: int, weights: int, tile: int) -> None:
        """Words of pair `number`, so many bytes from the pointers. With three pixels no register is
        free for the third's yet."""
        f, words = self.f, self.words[number % 2]
        f.op("ldr", words.packed, f"[stream, #{weights}]", note=f"pair {number}")
        for p in self.pixels[:2]:
            f.op("ldr", words.pixels[p], f"[tile, #{tile + 4 * p}]")

    def _unpack(self, number: int) -> None:
        """The first channel's operand of the pair that the next run of code begins with."""
        words = self.words[number % 2]
        self.f.op("sxtb16", words.operands[0], words.packed)

    def _pairs(self, count: int, number: int, *, more: bool, first: bool = False) -> None:
        """Pairs number .. number + count - 1, the first of which is begun. more: others follow, and
        then the pointers move. first: sums begin here."""
        f = self.f
        for k in range(count):
            words = self.words[(number + k) % 2]
            if self.part.pixels == 3:
                f.op("ldr", words.pixels[2], f"[tile, #{16 * k + 8}]")
            if k:
                f.op("sxtb16", words.operands[0], words.packed)
            for operand in words.operands[1:]:
                f.op("sxtb16", operand, words.packed, "ror #8")
            products = [(p, kind) for p in self.pixels for kind in self.kinds]
            if k == 0:  # whose operand `high` comes late
                products = [(p, kind) for kind in self.kinds for p in self.pixels]
            for p, kind in products:
                own, by = sum_name(kind, 0, p), words.operands[self.kinds.index(kind)]
                begins = first and k == 0
                addend = sum_name(kind, 0, self.pixels[-1]) if begins else own
                f.op("smlad", own, words.pixels[p], by, addend)
            if more or k < count - 1:
                self._load(number + k + 1, 12 + 4 * k, 16 * k + 16)
        if more:
            self._unpack(number + count)
            f.add("tile", 16 * count)
            f.add("stream", 4 * count)

    def _store(self) -> None:
        """Requantises and stores. The words' registers are free now."""
        f, part, rounding = self.f, self.part, self.band.rounding
        by, to, temporaries = ("by0", "by1", "by2"), "to", self.temporaries
        f.get(to, "at_out")
        tail = 8 + 4 * self.last
        rounding.begin(f, by, tail, raw=False)
        for number, kind in enumerate(self.kinds):
            # the last pixel first: the next bias goes into its register
            values = [sum_name(kind, 0, p) for p in reversed(self.pixels)]
            rounding.channel(f, values, by, tail, number, temporaries)
            for p in reversed(self.pixels):
                at = number * self.band.plane_bytes + p
                f.op("strb", sum_name(kind, 0, p), f"[{to}, #{at}]")
        if part.couples > 1:
            f.add(to, 2 * self.band.plane_bytes)
            f.put("at_out", to)
