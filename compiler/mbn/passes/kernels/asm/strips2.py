"""Strips of the depthwise at stride 2: one aligned word of three input rows, two outputs.

One output also needs a column of the strip beside it. Its sum is carried from strip to strip, so
that no byte is loaded twice. Padded on the left, a word x0..x3 ends the carried sum with x0 and x1,
gives a whole one with x1, x2, x3, and begins the next with x3; otherwise x0 ends it, x0, x1, x2 are
a whole one, and x2 and x3 begin the next. In the steady state:

    M4: 36 cycles for 2 outputs: 15 multiplies; 3 words, 4 each with unpacking; 9 to begin,
        requantise and store
    M7: 20 cycles (LLVM's model of the core)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mbn.passes.kernels.asm.channels import TAPS, WEIGHTS, Batch, Channels

_COLUMNS = 4  # of a strip


@dataclass(frozen=True)
class _Sums:
    """Registers of a strip: the sum that is carried into it, the whole one, and the one carried
    on."""

    old: str
    own: str
    new: str


class Strips2(Channels):
    """See depthwise.py. Widths are even; each row of outputs has code of its own."""

    SUMS = ("ya", "yb", "yc")

    @property
    def strips(self) -> int:
        return (self.shape.width + _COLUMNS - 1) // _COLUMNS

    @property
    def straight(self) -> int:
        """Strips that follow each other without a loop."""
        return 8 if self.shape.two_slots else 6

    def own(self) -> Sequence[str]:
        return ("word", "m", "to") if self.shape.two_slots else ("in0", "in1", "in2", "to")

    def prepare(self) -> None:
        if self.shape.two_slots:
            for k in range(3):
                self.keep(f"in{k}")
        for name in ("turns", *(f"{name}_kept" for name in self.restored())):
            self.keep(name)

    def lines(self) -> None:
        for line in range(self.shape.lines):
            self._row(line)

    def _row(self, line: int) -> None:
        count = self.strips
        self.line_number, self.moved = line, 0
        self.pending: Batch = []
        turns = (count - 2) // self.turn if count > self.straight else 0
        first = count - turns * self.turn - 1  # strips in front of the loop
        with self.block():
            self._point()
            for strip in range(first):
                self._strip(strip)
            if turns:
                self._flush()
        if turns:
            self._turns(turns, first)
        with self.block():
            self._strip(count - 1)
            self._flush()

    def _point(self) -> None:
        """The row pointers of the channel."""
        f, shape = self.f, self.shape
        f.get("o", "at_x")
        for k in range(3):
            source = f"row{shape.stride * self.line_number + k}_slot"
            to = "word" if shape.two_slots else f"in{k}"
            f.get(to, source)
            f.op("add", to, to, "o")
            if shape.two_slots:
                f.put(f"in{k}", to)
        f.get("to", "at_to")
        if shape.two_slots:
            f.get("m", "doubled")

    def _turns(self, turns: int, first: int) -> None:
        f, two_slots, columns = self.f, self.shape.two_slots, _COLUMNS * self.turn
        f.op("mov", "e", f"#{turns}")
        f.put("turns", "e")
        again = f.label(f.fresh("turn"))
        with self.block():
            for strip in range(first, first + self.turn):
                self._strip(strip)
            self._flush()
            f.add("to", self.shape.place(columns // 2), spare="e")
            for k in range(3):
                if two_slots:
                    f.get("word", f"in{k}")
                    f.op("add", "word", "word", f"#{columns}")
                    f.put(f"in{k}", "word")
                else:
                    f.op("add", f"in{k}", f"in{k}", f"#{columns}")
            f.get("e", "turns")
            f.op("subs", "e", "e", "#1")
            f.put("turns", "e")
        f.branch("bne.w", again)
        self.moved = columns * turns

    # -- a strip -----------------------------------------------------------------------------

    def _strip(self, strip: int) -> None:
        for k in range(3):
            self._word(k, _COLUMNS * strip - self.moved)
            if self.shape.left:
                self._padded(strip, k)
            else:
                self._unpadded(strip, k)
        sums, pixel = self._sums(strip), 2 * strip
        last, whole = strip == self.strips - 1, self.shape.width % _COLUMNS == 0
        if self.shape.left:
            batch = [(sums.old, pixel)] + ([(sums.own, pixel + 1)] if whole or not last else [])
        else:
            batch = [(sums.old, pixel - 1)] if strip else []
            batch += [(sums.own, pixel)] + ([(sums.new, pixel + 1)] if whole and last else [])
        row = self.line_number * self.shape.row_pixels
        moved = self.shape.place(self.moved // 2)
        self.pending = [(y, self.shape.place(row + p) - moved) for y, p in batch]
        # with two issue slots outputs wait for the next strip's first products; others than of
        # `single` would need E and O
        if not (self.shape.two_slots and self.shape.left and self.rounding.words == 1):
            self._flush()

    def _sums(self, strip: int) -> _Sums:
        """The carried sum stays in its register until it is whole."""
        a, b, c = self.SUMS
        return _Sums(a, b, c) if strip % 2 == 0 else _Sums(c, b, a)

    def _word(self, k: int, column: int) -> None:
        f = self.f
        if self.shape.two_slots:
            f.get("word", f"in{k}")
            f.op("ldr", "word", f"[word, #{column}]")
        else:
            f.op("ldr", "e", f"[in{k}, #{column}]")
        word = "word" if self.shape.two_slots else "e"
        f.op("sxtb16", "o", word, "ror #8")
        f.op("sxtb16", "e", word)

    def _padded(self, strip: int, tap: int) -> None:
        f, sums = self.f, self._sums(strip)
        outer, middle, half = TAPS[tap]
        last = strip == self.strips - 1
        if strip == 0 and tap == 0:
            f.get(sums.old, "at_left")
        f.op(f"smlab{half}", sums.old, "e", middle, sums.old)
        f.op("smlabt", sums.old, "o", outer, sums.old)
        if tap == 0:
            self._flush()  # the registers of the last strip's outputs
        if last and self.shape.width % _COLUMNS:
            return
        begin = sums.own if last else sums.new
        if tap == 0:
            f.get(begin, "bias")
        f.op("smlad", sums.own, "o", outer, begin if tap == 0 else sums.own)
        f.op(f"smlat{half}", sums.own, "e", middle, sums.own)
        if not last:
            f.op("smlatb", sums.new, "o", outer, sums.new)

    def _unpadded(self, strip: int, tap: int) -> None:
        f, sums = self.f, self._sums(strip)
        outer, middle, half = TAPS[tap]
        last, whole = strip == self.strips - 1, self.shape.width % _COLUMNS == 0
        if strip:
            f.op("smlabt", sums.old, "e", outer, sums.old)
        if last and not whole:
            if tap == 0:
                f.get(sums.own, "at_right")
            f.op("smlabb", sums.own, "e", outer, sums.own)
            f.op(f"smlab{half}", sums.own, "o", middle, sums.own)
            return
        if tap == 0:
            f.get(sums.new, "bias")
        f.op("smlad", sums.own, "e", outer, sums.new if tap == 0 else sums.own)
        f.op(f"smlab{half}", sums.own, "o", middle, sums.own)
        if tap == 0 and last:
            f.get(sums.new, "at_right")
        f.op("smlatb", sums.new, "e", outer, sums.new)
        f.op(f"smlat{half}", sums.new, "o", middle, sums.new)

    # -- outputs -----------------------------------------------------------------------------

    def _flush(self) -> None:
        batch, self.pending = self.pending, []
        if not batch:
            return
        f, two_slots = self.f, self.shape.two_slots
        if two_slots:
            by = ("m", "e", "word" if self.rounding.overwrites else "e")
            self.store(batch, by, "o", "to", "word", resident=("m", "to"))
            return
        by, temporary, _, taken = self.free(self._pool())
        self.store(batch, by, temporary, "to", temporary, resident=("to",))
        for name in [name for name in taken[:-1] if name in WEIGHTS]:
            f.get(name, f"{name}_kept")

    def _pool(self) -> Sequence[str]:
        """Registers that are free, or can be got back, when sums are done."""
        return ["e", "o", "wa", "wb", "to"]

    def restored(self) -> Sequence[str]:
        if self.shape.two_slots:
            return ()
        return [name for name in self.free(self._pool())[3][:-1] if name in WEIGHTS]
