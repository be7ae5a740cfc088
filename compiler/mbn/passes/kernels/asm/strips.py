"""Strips of the depthwise at stride 1: two columns of one or two output rows.

A strip's words begin at even columns, so half of the loads are not word-aligned (which the cores
allow). Two rows of outputs share the words of the two input rows in the middle. At an edge of the
map a strip has a third column. In the steady state of two rows:

    M4: 58 cycles for 4 outputs: 24 multiplies; 4 words, 5 each with pointer and unpacking; 12 to
        requantise and store; 2 to begin sums
    M7: 30 cycles, of which 28 start a multiply (LLVM's model of the core)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mbn.passes.kernels.asm.channels import TAPS, Batch, Channels
from mbn.passes.kernels.asm.parts import MOST_OFFSET

ONE_WORD = 4  # columns up to which a row is one word
_REST = 5  # columns that the strips at the edges leave at most


@dataclass(frozen=True)
class _Strip:
    """column: of the word. pixels: the outputs on x1 and x2, as far as there are any. edges: the
    outputs beside them, and their kind."""

    column: int
    pixels: tuple[int, ...]
    edges: tuple[tuple[int, str], ...] = ()


# where the sum of an output at an edge begins, and its products: instruction, of E or O, by the
# outer weights (True) or the middle one. It is on x0, on x3, or on x2 where the map ends there.
_EDGES = {
    "left": ("at_left", (("smlab", "e", False), ("smlabt", "o", True))),
    "right": ("at_right", (("smlatb", "e", True), ("smlat", "o", False))),
    "narrow": ("at_right", (("smlabb", "o", True), ("smlat", "e", False))),
}


class Strips(Channels):
    """See depthwise.py. A function's rows go two by two, if there are two."""

    SUMS = ("y0", "y1", "y2", "y3")

    @property
    def one_word(self) -> bool:
        return self.shape.width <= ONE_WORD

    @property
    def at_once(self) -> int:
        """Rows of outputs."""
        return 1 if self.one_word or self.shape.lines == 1 else 2

    @property
    def several(self) -> bool:
        """Whether row pointers change while a channel is computed."""
        return self.shape.lines > self.at_once

    @property
    def line(self) -> str:
        return "at_line" if self.several else "at_to"

    @property
    def straight(self) -> int:
        """Strips inside a row that follow each other without a loop."""
        return 10 if self.shape.two_slots else 5

    def own(self) -> Sequence[str]:
        return ("word" if self.shape.two_slots else "x", "m", "to")

    def define(self) -> None:
        super().define()
        # sums at the edges, while multiplier and address wait
        self.f.alias("y4", "m")
        self.f.alias("y5", "to")

    def prepare(self) -> None:
        f = self.f
        for k in range(self.at_once + 2):
            self.keep(f"in{k}", "input row")
            if not self.shape.two_slots and not self.several:
                f.get("e", f"row{k}_slot")
                f.put(f"in{k}", "e")
        for name in ("at_line", "at_row") if self.several else ():
            self.keep(name)
        for name in ("turns", "x_kept", *(f"{name}_kept" for name in self.restored())):
            self.keep(name)

    # -- rows --------------------------------------------------------------------------------

    def lines(self) -> None:
        f, shape = self.f, self.shape
        if not self.several:
            self._rows(self.at_once)
            return
        count, rest = divmod(shape.lines, self.at_once)
        f.get("e", "at_to")
        f.put("at_line", "e")
        f.op("mov", "e", "sp")
        f.put("at_row", "e")
        again = f.label(f.fresh("lines"))
        self._rows(self.at_once)
        f.get("e", "at_line")
        f.add("e", shape.place(self.at_once * shape.row_pixels), spare="o")
        f.put("at_line", "e")
        if count > 1:
            f.get("e", "at_row")
            f.op("add", "o", "sp", f"#{4 * self.at_once * count}")
            f.op("cmp", "e", "o")
            f.branch("bne.w", again)
        if rest:
            self._rows(1)

    def _point(self, rows: int) -> None:
        """The row pointers of the next rows of outputs."""
        f, two_slots = self.f, self.shape.two_slots
        if self.several:
            f.get("e", "at_row")
        if two_slots:
            f.get("o", "at_x")
        else:
            f.get("x", "at_x")
        for k in range(rows + 2):
            source = f"[e, #{4 * k}]" if self.several else f"[sp, #{4 * k}]"
            if two_slots:
                f.op("ldr", "word", source)
                f.op("add", "word", "word", "o")
                f.put(f"in{k}", "word")
            elif self.several:
                f.op("vldr", f"in{k}", source)
        if self.several:
            f.op("add", "e", "e", f"#{4 * rows}")
            f.put("at_row", "e")

    def _rows(self, rows: int) -> None:
        """`rows` rows of outputs."""
        width = self.shape.width
        self.rows = rows
        self.column = self.moved = 0  # of x, and by which row pointers have moved
        self.pending: Batch = []
        with self.block():
            self._point(rows)
            if self.one_word:
                right = (2, "narrow") if width < ONE_WORD else (3, "right")
                self._strip(_Strip(0, (1, 2)[: width - 2], ((0, "left"), right)), rows)
                return
            self._strip(_Strip(0, (1, 2), ((0, "left"),)), rows)
        inside = (width - _REST) // 2
        turns = inside // self.turn if inside > self.straight else 0
        first = inside - turns * self.turn
        if inside:
            with self.block():
                self.f.get("m", "doubled")
                self.f.get("to", self.line)
                self._inside(0, first, rows)
        if turns:
            self._turns(turns, first, rows)
        with self.block():
            edge = ((width - 1, "right"),)
            self._strip(_Strip(width - 4, (width - 3, width - 2), edge), rows)

    def _inside(self, start: int, count: int, rows: int) -> None:
        for i in range(start, start + count):
            self._strip(_Strip(2 + 2 * i, (3 + 2 * i, 4 + 2 * i)), rows)
        self._flush()

    def _turns(self, turns: int, first: int, rows: int) -> None:
        """A loop over strips, from strip `first` on."""
        f, two_slots, columns = self.f, self.shape.two_slots, 2 * self.turn
        start = 2 + 2 * first
        if two_slots:
            f.op("mov", "word", f"#{turns}")
            f.put("turns", "word")
        else:
            self._at(start)
            f.op("addw", "e", "x", f"#{columns * turns}")
            f.put("turns", "e")
        again = f.label(f.fresh("turn"))
        with self.block():
            self._inside(first, self.turn, rows)
            f.add("to", self.shape.place(columns), spare="e")
            if two_slots:
                for k in range(rows + 2):
                    f.get("word", f"in{k}")
                    f.op("add", "word", "word", f"#{columns}")
                    f.put(f"in{k}", "word")
                f.get("word", "turns")
                f.op("subs", "word", "word", "#1")
                f.put("turns", "word")
                self.moved += columns * turns
            else:
                self._at(start + columns)
                f.get("e", "turns")
                f.op("cmp", "x", "e")
                self.column = start + columns * turns
        f.branch("bne.w", again)

    def _at(self, column: int) -> None:
        """Moves x to a column."""
        self.f.add("x", column - self.column)
        self.column = column

    # -- a strip -----------------------------------------------------------------------------

    def _strip(self, strip: _Strip, rows: int) -> None:
        if not self.shape.two_slots:
            self._at(strip.column)
        if strip.edges:
            self._flush()
        # on the M4 a load right behind a store costs one cycle less
        early = not self.shape.two_slots and rows == 2 and self.rounding.words == 1
        early = early and not strip.edges
        for k in range(rows + 2):
            self._word(k, strip.column, pointed=early and k == 3)
            taps = [(row, k - row) for row in range(rows) if 0 <= k - row < 3]
            products = [one for row, tap in taps for one in self._products(strip, row, tap)]
            for product in products:
                self.f.op(*product)
            if k == 0:
                self._flush()
            if k >= 2 and not strip.edges:
                self.pending = self._batch(strip, k - 2)
                if early and k == 2:
                    self.f.get("o", "in3")
                # with two issue slots the last row waits for the next strip's first products;
                # others than of `single` would need E and O
                if not (self.shape.two_slots and self.rounding.words == 1 and k == rows + 1):
                    self._flush()
        if strip.edges:
            self._store_edges(strip, rows)

    def _word(self, k: int, column: int, *, pointed: bool) -> None:
        """Row k's word at a column, into E and O. pointed: O holds the row's pointer."""
        f = self.f
        if self.shape.two_slots:
            f.get("word", f"in{k}")
            f.op("ldr", "word", f"[word, #{column - self.moved}]")
        else:
            if not pointed:
                f.get("o", f"in{k}")
            f.op("ldr", "e", "[o, x]")
        word = "word" if self.shape.two_slots else "e"
        f.op("sxtb16", "o", word, "ror #8")
        f.op("sxtb16", "e", word)

    def _products(self, strip: _Strip, row: int, tap: int) -> Iterator[tuple[str, ...]]:
        """A kernel row's, from E and O. Sums begin here."""
        f = self.f
        outer, middle, half = TAPS[tap]
        sums = self._sums(strip, row)
        if tap == 0:
            f.get(sums[-1], "bias")
        for y, word in zip(sums, ("e", "o"), strict=False):
            yield "smlad", y, word, outer, sums[-1] if tap == 0 else y
        for y, word, which in zip(sums, ("o", "e"), "bt", strict=False):
            yield f"smla{which}{half}", y, word, middle, y
        for number, (_, kind) in enumerate(strip.edges):
            y, (begin, products) = f"y{4 + row + number}", _EDGES[kind]
            if tap == 0:
                f.get(y, begin)
            for product, word, is_outer in products:
                weights, which = (outer, "") if is_outer else (middle, half)
                yield product + which, y, word, weights, y

    def _sums(self, strip: _Strip, row: int) -> list[str]:
        """Of the outputs on x1 and x2. A single row's strips take turns, so that the last one's
        outputs can wait."""
        if self.rows == 1 and not strip.edges:
            row = strip.column // 2 % 2
        return [f"y{2 * row + number}" for number in range(len(strip.pixels))]

    # -- outputs -----------------------------------------------------------------------------

    def _place(self, row: int, pixel: int) -> int:
        return self.shape.place(row * self.shape.row_pixels + pixel)

    def _batch(self, strip: _Strip, row: int) -> Batch:
        pixels = zip(self._sums(strip, row), strip.pixels, strict=True)
        return [(y, self._place(row, pixel)) for y, pixel in pixels]

    def _flush(self) -> None:
        """Stores outputs inside the map."""
        batch, self.pending = self.pending, []
        if not batch:
            return
        f, spill = self.f, not self.shape.two_slots and self.rounding.overwrites
        third = "word" if self.shape.two_slots else "x"
        by = ("m", "e", third if self.rounding.overwrites else "e")
        if spill:
            f.put("x_kept", "x")
        spare = "o" if self.rounding.words > 1 else "e"
        self.store(batch, by, "o", "to", spare, resident=("m", "to"))
        if spill:
            f.get("x", "x_kept")

    def _store_edges(self, strip: _Strip, rows: int) -> None:
        f = self.f
        by, temporary, to, taken = self.free(self._pool(rows))
        if "x" in taken:
            f.put("x_kept", "x")
        batches = []
        for row in range(rows):
            edges = enumerate(strip.edges)
            sums = [(f"y{4 + row + n}", self._place(row, pixel)) for n, (pixel, _) in edges]
            batches.append([*self._batch(strip, row), *sums])
        if batches[-1][0][1] <= MOST_OFFSET:
            batches = [[one for batch in batches for one in batch]]
        for batch in batches:
            self.store(batch, by, temporary, to, by[0])
        for name in [name for name in ("x", "wa", "wb") if name in taken]:
            f.get(name, f"{name}_kept")

    def _pool(self, rows: int) -> Sequence[str]:
        """Registers that are free, or can be got back, when the sums of an edge are done."""
        if self.one_word:
            return ["e", "o", "y2", "y3", "wa"]
        if rows == 1:
            return ["e", "o", "y2", "y3", "y5"]
        return ["e", "o", "word" if self.shape.two_slots else "x", "wa", "wb"]

    def restored(self) -> Sequence[str]:
        taken = self.free(self._pool(self.at_once))[3]
        return [name for name in ("wa", "wb") if name in taken]
