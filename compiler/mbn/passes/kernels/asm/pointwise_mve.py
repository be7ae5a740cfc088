"""The pointwise of a band for cores with Helium: all pixels of a tile by all output channels.

The tile is int8 [pixel][depth]. Two output channels, a couple, share a stream of words
(runtime/kernels/mve/pointwise.h). A register tile is up to four pixels by a couple: one VMLADAVA is
16 products of a pixel and a channel. A loop over couples surrounds turns of some register tiles;
how the sums of one become stored values is written in front of the products of the next, and
beats.py finds the order in which the multiplier never waits.

    pixels x channels     cycles of 16 inputs (LLVM's model of the Cortex-M55)
    4 x 2                 16      for 8 VMLADAVA; six loads are hidden
    3 x 2                 12      for 6
    a register tile's end 4       of `single`, 19 instructions in all; some 10 of `tflite`

Near: a load's offset reaches from one pointer to all pixels of a register tile. Paired: it reaches
two pixels, and sixteen steps; then three pointers go on. Far: each pixel has a pointer, so that no
register is left to store with meanwhile; the sums are so long that it shows less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mbn.core.constants import TFLITE_ANY_CODE, TFLITE_CODE
from mbn.core.lowered import Assembly
from mbn.passes.kernels.asm import beats
from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.helium import REACH, saturate
from mbn.passes.kernels.asm.rounding import Rounding

PARAMETERS = "const int8_t *tile, const int32_t *stream, int8_t *out"
STEP = 16  # inputs of a VMLADAVA, bytes of a load
NARROW_REACH = 127  # of VSTRB's
STRAIGHT = 12  # register tiles in one straight run of code
TURN = 4  # at most, of more of them, in a turn of their loop
RUN = 16  # steps in a turn of a long sum's loop; of a paired one, from where pointers are
PAIRED = 2 * RUN  # steps of a paired sum, at most: straight code

_SUMS = {"first": ("r0", "r2", "r4", "r6"), "second": ("r8", "r10", "r12", "lr")}
_PIXELS = ("q2", "q3", "q4")
_BIASES = ("pixel2", "spare")  # the registers that keep them
_FAR_PIXELS = ("pixel0", "pixel1", "pixel2", "spare")  # nothing is stored meanwhile
_SLOTS = ("at_tile", "at_out", "at_end", "at_turn", "kept_out")
FRAME_BYTES = 24


@dataclass(frozen=True)
class Group:
    """A register tile. pixels: their places in the tile. stores: places in a channel's plane, each
    of which gets all values one behind the other; fewer than four leave the bytes behind alone."""

    pixels: tuple[int, ...]
    stores: tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """Couples first .. first + couples - 1, `channels` (2 or 1) of each. turn: register tiles of a
    turn, of which there are `turns`, one behind the other in the tile and in a row of the output.
    rest: those behind the last turn; their places count from its beginning."""

    first: int
    couples: int
    channels: int
    turn: tuple[Group, ...]
    turns: int
    rest: tuple[Group, ...]

    @property
    def groups(self) -> tuple[Group, ...]:
        return (*self.turn, *self.rest)


@dataclass(frozen=True)
class Band:
    """What all parts share. depth: inputs, a multiple of 16."""

    depth: int
    plane_bytes: int
    rounding: Rounding

    @property
    def tail_bytes(self) -> int:
        """Of a stream, behind its weights."""
        return 8 * (2 + _WORDS.get(self.rounding.code, 1))

    @property
    def stream_bytes(self) -> int:
        return 2 * self.depth + self.tail_bytes


# of a channel, besides bias and multiplier
_WORDS = {0: 0, TFLITE_CODE: 2, TFLITE_ANY_CODE: 5}


def written(name: str, about: str, band: Band, parts: Sequence[Part], twin: str) -> Assembly:
    """The function. twin: C statements that compute the same."""
    f = Function(name, about, ("tile", "weights", "result"))
    for number, slot in enumerate(_SLOTS):
        f.slot(slot, 4 * number)
    f.put("at_tile", "tile")
    f.put("at_out", "result")
    f.define("w", "r3", "weights of a couple")
    f.op("mov", "w", "weights")
    f.release("tile", "weights", "result")
    f.define("t", "r1", "pixels")
    f.define("out", "r5", "a channel's plane, from this turn on")
    f.define("address", "r7")
    f.define("by0", "r9", "for the couple's first channel")
    f.define("by1", "r11", "for its second")
    for kind, registers in _SUMS.items():
        for pixel, register in enumerate(registers):
            f.define(f"{kind}{pixel}", register, "sum")
    for number in range(2):
        f.define(f"weights{number}", f"q{number}")
        f.define(f"values{number}", f"q{6 + number}", "four pixels")
    for number, register in enumerate(_PIXELS):
        f.define(f"pixel{number}", register)
    f.define("spare", "q5")
    narrow = {len(group.pixels) for part in parts for group in part.groups} - {4}
    assert len(narrow) <= 1, narrow
    for count in narrow:
        f.op("movs", "by0", f"#{count}")
        f.op("vctp.32", "by0", note="the lanes that are stored")
    for part in parts:
        f.comment("")
        f.comment(_told(part))
        _Part(f, band, part).write()
    return Assembly(name, PARAMETERS, f.text(FRAME_BYTES), twin)


def _told(part: Part) -> str:
    channels = "2 channels" if part.channels == 2 else "1 channel"
    last = part.first + part.couples - 1
    return f"{channels} at once: couples {part.first} to {last}"


class _Part:
    """The loop over the couples of a part. The pointer w is at the part's first couple's weights,
    and in the end behind its last one's words."""

    def __init__(self, function: Function, band: Band, part: Part) -> None:
        self.f, self.band, self.part = function, band, part
        self.kinds = ("first", "second")[: part.channels]
        self.steps = band.depth // STEP
        # whether one pointer reaches all pixels of a register tile, and one a couple's weights
        spans = [max(group.pixels) - min(group.pixels) + 1 for group in part.groups]
        self.near = max(2, *spans) * band.depth <= 2 * REACH + STEP
        # (any multiplier takes one scalar more than pairs of pixels leave)
        simple = band.rounding.code != TFLITE_ANY_CODE
        self.paired = not self.near and self.steps <= PAIRED and simple
        self.ahead = min(REACH, band.depth) if self.near else 0  # of w, before the weights' end
        # for `_requantise`, where the sums leave two of the scalars
        self.scalars = ("by1", "address") if self.paired else ("by0", "by1")
        # whether a couple's words wait in registers for all its register tiles
        several = len(part.groups) > 1 or part.turns > 1
        self.kept = self.near and several and band.rounding.saturates
        self.pixels = _PIXELS[:2] if self.kept else _PIXELS
        self.moved = 0  # bytes that t is behind the beginning of the turn's pixels

    def write(self) -> None:
        f, part, band = self.f, self.part, self.band
        first, last = part.groups[0], part.groups[-1]
        f.get("t", "at_tile")
        f.get("out", "at_out")
        f.add("out", 2 * part.first * band.plane_bytes, spare="address")
        f.add("w", self.ahead)
        if part.couples > 1:
            f.constant("address", part.couples * band.stream_bytes - self._behind)
            f.op("add", "address", "address", "w")
            f.put("at_end", "address")
        self._tile(first, None)
        again, start = f.label(f.fresh("couples")), self.moved
        if part.turns > 1:
            f.constant("address", part.turns)
            f.put("at_turn", "address")
            turn, end = f.label(f.fresh("turn")), f.fresh("turned")
            self._tiles(part.turn)
            f.get("address", "at_turn")
            f.op("subs.w", "address", "address", "#1")
            f.put("at_turn", "address")
            f.branch("beq.w", end)
            here, pixels = self.moved, 4 * len(part.turn)
            self.moved -= pixels * band.depth
            self._tile(first, part.turn[-1], out=pixels)
            assert self.moved == start
            f.branch("b.w", turn)
            f.label(end)
            self.moved = here
            self._tiles((part.turn[-1], *part.rest))
        else:
            self._tiles(part.groups)
        passed = 4 * len(part.turn) * (part.turns - 1)
        if not self.far:
            f.add("w", band.stream_bytes, spare="address")
        if part.couples > 1:
            done, here = f.fresh("done"), self.moved
            f.get("address", "at_end")
            f.op("cmp", "w", "address")
            f.branch("beq.w", done)
            self.moved += passed * band.depth
            self._tile(first, last, out=2 * band.plane_bytes - passed, couple=True)
            self._point(start)
            f.branch("b.w", again)
            f.label(done)
            self.moved = here
        with f.ordered(beats.ordered):
            self._finish(last, couple=True)
            f.add("w", self._behind - self.ahead)

    @property
    def _behind(self) -> int:
        """Bytes from where w is after a couple's sums to the next couple's weights, less what it
        is ahead."""
        return self.band.tail_bytes if self.far else 0

    @property
    def far(self) -> bool:
        """Whether each pixel has a pointer."""
        return not (self.near or self.paired)

    def _tiles(self, groups: Sequence[Group]) -> None:
        """Those behind the first, whose sums are there already."""
        if not self.far:
            with self.f.ordered(beats.ordered):
                for before, group in pairwise(groups):
                    self._finish(before)
                    self._sums(group)
            return
        for before, group in pairwise(groups):
            self._tile(group, before)

    def _tile(
        self, group: Group, before: Group | None, out: int = 0, *, couple: bool = False
    ) -> None:
        """Sums of a register tile, while those of the one before are stored; then the output moves
        on. couple: w is at the next couple's weights already (near), or goes there."""
        f = self.f
        if not self.far:
            with f.ordered(beats.ordered):
                if before:
                    self._finish(before, couple=couple)
                    f.add("out", out, spare="address")
                fresh = couple or before is None
                if fresh:
                    self._keep()
                self._sums(group, fresh=fresh)
            return
        with f.ordered(beats.ordered):
            if before:
                self._finish(before, couple=couple)
                f.add("out", out, spare="address")
                f.add("w", self._behind if couple else -2 * self.band.depth, spare="address")
        self._far(group)

    # -- sums ---------------------------------------------------------------------------------

    def _point(self, to: int) -> None:
        """Moves t to so many bytes behind the beginning of the turn's pixels."""
        self.f.add("t", to - self.moved, spare="address")
        self.moved = to

    def _sums(self, group: Group, *, fresh: bool = False) -> None:
        if self.paired:
            self._paired(group)
        else:
            self._near(group, fresh=fresh)

    def _paired(self, group: Group) -> None:
        """A pointer for two pixels each, and w; all go on after some steps."""
        f, depth = self.f, self.band.depth
        # t and by0 are so far into their first pixel that its neighbour's last step is in reach
        into = max(0, depth + STEP * (RUN - 1) - REACH)
        self._point(group.pixels[0] * depth + into)
        if len(group.pixels) > 2:
            f.add("by0", (group.pixels[2] - group.pixels[0]) * depth, "t")
        for step in range(self.steps):
            here = step % RUN
            if step and here == 0:
                f.add("w", 2 * STEP * RUN)
                f.add("t", STEP * RUN)
                if len(group.pixels) > 2:
                    f.add("by0", STEP * RUN)
                self.moved += STEP * RUN
            for number in range(len(self.kinds)):
                at = 2 * STEP * here + STEP * number
                f.op("vldrw.u32", f"weights{number}", f"[w, #{at}]")
            for number in range(len(group.pixels)):
                register = f"pixel{(step * len(group.pixels) + number) % len(self.pixels)}"
                at = STEP * here - into + (depth if number % 2 else 0)
                f.op("vldrw.u32", register, f"[{('t', 'by0')[number // 2]}, #{at}]")
                self._products(register, number, first=step == 0)
        f.add("w", -(2 * STEP * ((self.steps - 1) // RUN) * RUN))

    def _near(self, group: Group, *, fresh: bool = False) -> None:
        """From one pointer. fresh: the couple's first, whose weights were not loaded yet."""
        f, depth = self.f, self.band.depth
        low = min(group.pixels)
        beyond = (max(group.pixels) - low + 1) * depth - STEP - REACH
        self._point(low * depth + max(0, beyond))
        for step in range(self.steps):
            if self.steps > 1 or fresh:
                for number in range(len(self.kinds)):
                    at = 2 * STEP * step + STEP * number - self.ahead
                    f.op("vldrw.u32", f"weights{number}", f"[w, #{at}]")
            for number, pixel in enumerate(group.pixels):
                register = f"pixel{(step * len(group.pixels) + number) % len(self.pixels)}"
                f.op("vldrw.u32", register, f"[t, #{pixel * depth + STEP * step - self.moved}]")
                self._products(register, number, first=step == 0)

    def _far(self, group: Group) -> None:
        """A pointer for each pixel; w and those go on step by step."""
        f, depth = self.f, self.band.depth
        pointers = ("t", "by0", "by1", "address")[: len(group.pixels)]
        self._point(group.pixels[0] * depth)
        for before, one, number in zip(pointers, pointers[1:], range(1, 4), strict=False):
            f.add(one, (group.pixels[number] - group.pixels[number - 1]) * depth, before)
        lead = (self.steps - 1) % RUN + 1
        with f.ordered(beats.ordered):
            self._operands(pointers)
            self._run(pointers, lead, first=True)
        if self.steps > lead:
            f.put("kept_out", "out")
            f.op("mov", "out", f"#{(self.steps - lead) // RUN}")
            again = f.label(f.fresh("steps"))
            with f.ordered(beats.ordered):
                self._run(pointers, RUN, first=False)
            f.op("subs.w", "out", "out", "#1")
            f.branch("bne.w", again)
            f.get("out", "kept_out")
        f.add("w", -self._each)  # the first operands of a step behind the last were loaded
        self.moved += depth + STEP

    @property
    def _each(self) -> int:
        """Bytes of the stream from one load of weights to the next; those of a channel that is not
        computed are passed over."""
        return 2 * STEP // len(self.kinds)

    def _operands(self, pointers: Sequence[str]) -> None:
        """The first of a step."""
        self.f.op("vldrw.u32", "weights0", "[w]", f"#{self._each}")
        self.f.op("vldrw.u32", _FAR_PIXELS[0], f"[{pointers[0]}]", f"#{STEP}")

    def _run(self, pointers: Sequence[str], steps: int, *, first: bool) -> None:
        """Steps whose first operands are there; in the end those of the next are."""
        for step in range(steps):
            for number in range(1, len(self.kinds)):
                self.f.op("vldrw.u32", f"weights{number}", "[w]", f"#{self._each}")
            for number, pointer in enumerate(pointers):
                register = _FAR_PIXELS[number]
                if number:
                    self.f.op("vldrw.u32", register, f"[{pointer}]", f"#{STEP}")
                self._products(register, number, first=first and step == 0)
            self._operands(pointers)

    def _products(self, register: str, number: int, *, first: bool) -> None:
        for at, kind in enumerate(self.kinds):
            mnemonic = "vmladav.s8" if first else "vmladava.s8"
            self.f.op(mnemonic, f"{kind}{number}", f"weights{at}", register)

    # -- stored values ------------------------------------------------------------------------

    def _finish(self, group: Group, *, couple: bool = False) -> None:
        """The sums of a register tile to the output. couple: w is at the next couple's weights
        where a pointer is near."""
        f, count = self.f, len(group.pixels)
        lanes = [min(lane, count - 1) for lane in range(4)]
        for at, kind in enumerate(self.kinds):
            for low, high in ((0, 2), (1, 3)):
                value, sums = f"values{at}", [f"{kind}{lanes[lane]}" for lane in (low, high)]
                f.op("vmov", f"{value}[{high}]", f"{value}[{low}]", *sums)
        if self.far:
            words = 0
        elif couple:
            words = -self.band.tail_bytes - self.ahead
        else:
            words = 2 * self.band.depth - self.ahead
        self._requantise(words)
        held: int | None = None  # what `address` is, from `out`
        for at in range(len(self.kinds)):
            for place in (one + at * self.band.plane_bytes for one in group.stores):
                if place <= NARROW_REACH:
                    where = f"[out, #{place}]"
                else:
                    if held is None or not 0 <= place - held <= NARROW_REACH:
                        held = place
                        f.add("address", place, "out")
                    where = f"[address, #{place - held}]"
                if count < 4:
                    f.together(("vpst",), ("vstrbt.32", f"values{at}", where))
                else:
                    f.op("vstrb.32", f"values{at}", where)

    def _keep(self) -> None:
        """Biases as vectors, multipliers as scalars."""
        if not self.kept:
            return
        words = 2 * self.band.depth - self.ahead
        self.f.op("ldrd", "by0", "by1", f"[w, #{words}]")
        for number in range(len(self.kinds)):
            self.f.op("vdup.32", _BIASES[number], f"by{number}")
        self.f.op("ldrd", "by0", "by1", f"[w, #{words + 8}]")

    def _requantise(self, words: int) -> None:
        """words: bytes from w to bias, multiplier and the others (mve/instructions.h)."""
        f, rounding, own = (
            self.f,
            self.band.rounding,
            [f"values{n}" for n in range(len(self.kinds))],
        )

        one, two = self.scalars

        def load(word: int) -> None:
            at = words + 8 * word
            if self.paired:  # LDRD doesn't reach behind the weights
                f.op("ldr", one, f"[w, #{at}]")
                f.op("ldr", two, f"[w, #{at + 4}]")
            else:
                f.op("ldrd", one, two, f"[w, #{at}]")

        def each(word: int, mnemonic: str) -> None:
            """An instruction by one word of each channel."""
            load(word)
            for number, value in enumerate(own):
                shifts = mnemonic == "vshl.s32"
                f.op(mnemonic, value, *(() if shifts else (value,)), self.scalars[number])

        if self.kept:
            for number, value in enumerate(own):
                f.op("vadd.i32", value, value, _BIASES[number])
                f.op("vqrdmulh.s32", value, value, f"by{number}")
                saturate(f, rounding, value, "by0", "spare")
            return
        each(0, "vadd.i32")
        if rounding.code == TFLITE_CODE:
            load(1)
            for number, value in enumerate(own):
                f.op("vshr.s32", "spare", value, "#31")
                f.op("vqrdmulh.s32", value, value, self.scalars[number])
                f.op("vadd.i32", value, value, "spare")
            each(2, "vadd.i32")
            each(3, "vshl.s32")
        elif rounding.code == TFLITE_ANY_CODE:
            each(4, "vshl.s32")
            f.add("address", words, "w")
            for number, value in enumerate(own):
                f.op("ldr", "by0", f"[address, #{48 + 4 * number}]", note="-1: corrects")
                f.op("ldr", "by1", f"[address, #{8 + 4 * number}]")
                f.op("vshr.s32", "spare", value, "#31")
                f.op("vmul.i32", "spare", "spare", "by0")
                f.op("vqrdmulh.s32", value, value, "by1")
                f.op("vsub.i32", value, value, "spare")
            each(5, "vadd.i32")
            each(3, "vshl.s32")
            each(2, "vadd.i32")
        else:
            if rounding.code:
                for value in own:
                    f.op("vshl.i32", value, value, f"#{rounding.code}")
                each(2, "vadd.i32")
            each(1, "vqrdmulh.s32")
        for value in own:
            saturate(f, rounding, value, one, "spare")
