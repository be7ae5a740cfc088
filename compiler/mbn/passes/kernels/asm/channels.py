"""The depthwise 3x3 of a band in assembly: all channels of some rows, into the pointwise's tile.

Inputs are the rows' pointers, planes 4-byte aligned, and the words of runtime/kernels/dsp/
depthwise.h: a kernel row's outer weights as the halves of one word, the middle ones two by two,
bias, and what requantises. With a word x0..x3 of a row, E = (x0, x2) and O = (x1, x3) are one
SXTB16 each. The output centred on x1 is then E . (w0, w2) + x1 w1, the one on x2 O . (w0, w2) +
x2 w1: two multiplies for three taps. Strips of columns (strips.py, strips2.py) say which outputs
come from a word. What lies outside the map is never loaded: its products with the zero point are
part of the first values of the outputs at an edge.

Pixel p of a channel goes to halfword p / group * 8 pairs + p % group * 2 from the channel's own in
the tile, which is 8 halfwords behind the one before it; the second half of the channels has the
high halves. The weights stay in registers for all rows of a channel. Other constants of a channel
wait in FPU registers, or, for a core that issues two instructions a cycle, on the stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.parts import MOST_OFFSET
from mbn.passes.kernels.asm.rounding import Rounding

BIAS, DOUBLED = 5, 6  # places of a channel's words; those that also requantise follow
WEIGHTS = ("w0", "w1", "w2", "wa", "wb")  # wa: middle ones of rows 0 and 1; wb: of row 2
# of a kernel row: its outer weights, and word and half of the middle one
TAPS = (("w0", "wa", "b"), ("w1", "wa", "t"), ("w2", "wb", "b"))
Batch = list[tuple[str, int]]  # sums, and the bytes from the row's first output to theirs
_WORDS = ("doubled", "by1", "by2")  # what requantises


@dataclass(frozen=True)
class Shape:
    """lines: rows of outputs, row_pixels apart in the tile. left: columns of padding. pairs: of the
    tile's channels. group: its pixels. two_slots: for a core that issues two instructions."""

    width: int
    outputs: int
    stride: int
    left: int
    lines: int
    row_pixels: int
    channels: int
    pairs: int
    group: int
    plane_bytes: int
    zero_point: int
    channel_words: int
    rounding: Rounding
    two_slots: bool

    @property
    def rows(self) -> int:
        """Input rows."""
        return self.stride * (self.lines - 1) + 3

    def place(self, pixel: int) -> int:
        """Bytes from the first pixel of a channel to another one."""
        return 16 * self.pairs * (pixel // self.group) + 4 * (pixel % self.group)


class Channels:
    """The loop over channels, and what strips share: words, sums at the map's edges, stores."""

    SUMS: Sequence[str] = ()

    def __init__(self, name: str, about: str, shape: Shape) -> None:
        self.shape, self.rounding = shape, shape.rounding
        self.f = Function(name, about, ("words", "tile", "row0", "row1"))
        self.frame_bytes = self.kept = 0

    def text(self) -> str:
        self._begin()
        f, shape = self.f, self.shape
        self.define()
        loop = f.label("channels")
        with self.block():
            self._channel()
        self.lines()
        with self.block():
            for name, step in (("at_x", shape.plane_bytes), ("at_to", 16)):
                f.get("e", name)
                f.add("e", step, spare="o")
                f.put(name, "e")
            f.get("e", "at_words")
            f.get("o", "at_end")
            f.op("cmp", "e", "o")
        f.branch("bne.w", loop)
        if shape.channels > shape.pairs:
            f.comment("the second half of the channels, in the high halves")
            f.get("o", "at_whole")
            f.op("cmp", "e", "o")
            f.branch("beq", "done")
            f.put("at_end", "o")
            f.get("e", "at_half")
            f.put("at_to", "e")
            f.branch("b.w", loop)
            f.label("done")
        return f.text((self.frame_bytes + 7) // 8 * 8)

    def define(self) -> None:
        """Names the registers."""
        names = [*WEIGHTS, "e", "o", *self.SUMS, *self.own()]
        registers = (*(f"r{number}" for number in range(13)), "lr")
        for name, register in zip(names, registers, strict=False):
            self.f.define(name, register)

    def own(self) -> Sequence[str]:
        """Registers besides weights, E, O and sums."""
        raise NotImplementedError

    @property
    def turn(self) -> int:
        """Strips in a turn of the loop over them: whole groups, and an even number, so that sums
        are in the same registers again."""
        return 6 if self.shape.two_slots else 4

    def lines(self) -> None:
        """All rows of a channel."""
        raise NotImplementedError

    # -- places ------------------------------------------------------------------------------

    def slot(self, name: str) -> str:
        """A word of the stack."""
        self.frame_bytes += 4
        return self.f.slot(name, self.frame_bytes - 4)

    def keep(self, name: str, meaning: str = "") -> str:
        """A place for `put` and `get`: loads from the stack are quicker than VMOV only on a core
        that issues two instructions."""
        if self.shape.two_slots:
            return self.slot(name)
        self.kept += 1
        return self.f.define(name, f"s{self.kept - 1}", meaning)

    @contextmanager
    def block(self) -> Iterator[None]:
        """A straight run of instructions."""
        if not self.shape.two_slots:
            yield
            return
        with self.f.ordered():
            yield

    # -- the function's start, and a channel's -----------------------------------------------

    def _begin(self) -> None:
        """Row pointers go to the stack, [sp] on; the loop's bounds to where they wait."""
        f, shape = self.f, self.shape
        for k in range(shape.rows):
            self.slot(f"row{k}_slot")
        names = ["at_words", "at_to", "at_x", "at_end"]
        halves = shape.channels > shape.pairs
        names += ["at_whole", "at_half"] if halves else []
        names += ["bias", "at_left", "at_right", *_WORDS[: self.rounding.words]]
        for name in names:
            self.keep(name)
        e, spare = f.define("e", "r4"), f.define("spare", "r5")
        f.put("row0_slot", "row0")
        f.put("row1_slot", "row1")
        for k in range(2, shape.rows):
            f.op("ldr", e, f.stack_argument(k - 2))
            f.put(f"row{k}_slot", e)
        f.put("at_words", "words")
        f.put("at_to", "tile")
        first = min(shape.channels, shape.pairs)
        f.add(e, 4 * shape.channel_words * first, "words", spare=spare)
        f.put("at_end", e)
        if halves:
            f.add(e, 4 * shape.channel_words * shape.channels, "words", spare=spare)
            f.put("at_whole", e)
            f.add(e, 2, "tile")
            f.put("at_half", e)
        f.op("mov", e, "#0")
        f.put("at_x", e)
        self.prepare()
        f.release("words", "tile", "row0", "row1", e, spare)

    def prepare(self) -> None:
        """More that is done once."""

    def _channel(self) -> None:
        """Weights into registers, the rest where it waits."""
        f, shape = self.f, self.shape
        a, b = self.SUMS[:2]
        f.get("e", "at_words")
        f.loads(
            *((w, f"[e, #{4 * k}]") for k, w in enumerate(WEIGHTS)),
            (a, f"[e, #{4 * BIAS}]"),
            note="weights and bias",
        )
        f.put("bias", a)
        for at, name in enumerate(_WORDS[: self.rounding.words]):
            f.op("ldr", b, f"[e, #{4 * (DOUBLED + at)}]")
            f.put(name, b)
        f.add("e", 4 * shape.channel_words)
        f.put("at_words", "e")
        f.op("movw", "o", f"#{shape.zero_point & 0xFFFF}", note="the zero point")
        if shape.stride == 1 or shape.left:
            self._outside("at_left", "smlabb", a, b)
        if shape.stride == 1 or not shape.left:
            self._outside("at_right", "smlabt", a, b)
        for name in self.restored():
            f.put(f"{name}_kept", name)

    def _outside(self, name: str, product: str, bias: str, total: str) -> None:
        """A sum's first value where the column before or behind the map counts."""
        for k, weights in enumerate(WEIGHTS[:3]):
            self.f.op(product, total, "o", weights, total if k else bias)
        self.f.put(name, total)

    # -- outputs -----------------------------------------------------------------------------

    def free(self, pool: Sequence[str]) -> tuple[tuple[str, str, str], str, str, Sequence[str]]:
        """Registers of the rounding out of a pool: three (perhaps the same) for its words, a
        temporary, the address of stores; and all that were taken."""
        count = self.rounding.registers
        by = [*pool[:count], *(pool[count - 1] for _ in range(3 - count))]
        start = count + self.rounding.needs_temporaries
        return (by[0], by[1], by[2]), pool[count], pool[start], pool[: start + 1]

    def restored(self) -> Sequence[str]:
        """Registers of weights that `store` takes and gives back."""
        return ()

    def store(
        self,
        batch: Batch,
        by: tuple[str, str, str],
        temporary: str,
        to: str,
        spare: str,
        resident: Sequence[str] = (),
    ) -> None:
        """Requantises sums and stores each so many bytes behind `to`. by, temporary: registers for
        the rounding. spare: one that is free when values are stored. resident: which of `by` and
        `to` hold what they should and keep it."""
        f = self.f

        def fetch(register: str, word: int) -> None:
            if word > 0 or register not in resident or self.rounding.overwrites:
                f.get(register, _WORDS[word])

        self.rounding.requantise(f, [value for value, _ in batch], by, (temporary,), fetch)
        base = 0
        if to not in resident:
            f.get(to, self.line)
            places = [at for _, at in batch]
            if max(places) > MOST_OFFSET:
                base = min(places)
                f.add(to, base, spare=spare)
        for value, at in batch:
            if at - base <= MOST_OFFSET:
                f.op("strh", value, f"[{to}, #{at - base}]")
            else:
                f.constant(spare, at - base)
                f.op("strh", value, f"[{to}, {spare}]")
        if by[0] in resident and self.rounding.overwrites:
            f.get(by[0], _WORDS[0])

    @property
    def line(self) -> str:
        """Where the address of the row's first output waits."""
        return "at_to"
