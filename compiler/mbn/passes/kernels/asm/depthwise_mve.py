"""The depthwise of a band for cores with Helium: four channels at once, into the pointwise's tile.

For each four channels the rows of their planes are interleaved first (VST4) into a patch buffer:
four bytes, one of each row, for each column and padded column. Any 16 bytes from a column on are
then one output's whole window, up to 4x4, and one VMLADAV by the channel's 16 weights is one
output. Weights and words: runtime/kernels/mve/depthwise.h. Two rows of outputs may share a patch:
the second one's weights lie some rows lower, a shift of each lane by bytes.

How the sums of an output become stored values is written in front of the products of the next, and
beats.py finds the order. Four outputs, one of each channel, are 4 VMLADAV and 4 loads, and 7 to 8
instructions of `single` that store them: 15 to 16 cycles (LLVM's model of the Cortex-M55), in which
one instruction starts in a cycle. Interleaving 16 columns takes 16.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbn.core.constants import TFLITE_ANY_CODE, TFLITE_CODE
from mbn.core.lowered import Assembly
from mbn.passes.kernels.asm import beats
from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.helium import REACH, saturate
from mbn.passes.kernels.asm.rounding import Rounding

GROUP = 4  # channels at once
WINDOW = 4  # rows and columns of a patch
CHUNK = 16  # columns that are interleaved at once
POST = 127  # of VSTRB's step
STRD_REACH = 1020
STRAIGHT = 28  # outputs in one straight run of code
TURN = 12  # at most, of longer rows, in a turn of their loop

_WEIGHTS, _BIAS, _FACTOR, _OTHERS = 0, 64, 80, 96  # bytes of a group's words
_SUMS = ("r0", "r2", "r4", "r6")
FRAME_BYTES = 16


@dataclass(frozen=True)
class Shape:
    """rows: of the window; lines: of outputs (1, or 2 whose windows are `below` rows apart).
    columns: of a channel in the patch buffer, of them `left` and `right` of padding beside the
    row's `width`; together: planes are interleaved as one, their spare columns being the padding.
    depth: bytes of a pixel of the tile. words: of four channels."""

    rows: int
    lines: int
    below: int
    outputs: int
    stride: int
    channels: int
    plane_bytes: int
    columns: int
    left: int
    right: int
    width: int
    zero_point: int
    depth: int
    words: int
    rounding: Rounding

    @property
    def together(self) -> bool:
        return self.columns == self.plane_bytes

    @property
    def name(self) -> str:
        """Of the function: all that the text depends on."""
        words = [f"depthwise_{self.channels}x{self.lines}x{self.outputs}_{self.rows}"]
        words += [f"s{self.stride}_{self.below}_{self.width}_{self.plane_bytes}_{self.columns}"]
        words += [f"{self.left}_{self.right}_{self.depth}_zero{self.zero_point + 128}"]
        return "_".join([*words, self.rounding.name])


def parameters(rows: int) -> str:
    """Of the function in C: its words, the patch buffer, the tile, pointers to the rows."""
    pointers = ", ".join(f"const int8_t *row{k}" for k in range(rows))
    return f"const int32_t *words, int8_t *patch, int8_t *tile, {pointers}"


def written(shape: Shape, twin: str) -> Assembly:
    """The function. twin: C statements that compute the same."""
    about = (
        f"Depthwise of {shape.lines} x {shape.outputs} outputs, windows of {shape.rows} rows, "
        f"stride {shape.stride}, {shape.channels} channels."
    )
    f = Function(shape.name, about, ("weights", "buffer", "pixels", "row0"))
    _Channels(f, shape).write()
    return Assembly(shape.name, parameters(shape.rows), f.text(FRAME_BYTES), twin)


class _Channels:
    """The loop over groups of four channels. The last group is the last four channels, so some may
    be made twice; of fewer than four there is one group of fewer."""

    def __init__(self, function: Function, shape: Shape) -> None:
        self.f, self.shape = function, shape
        self.straight = shape.lines * shape.outputs <= STRAIGHT
        outputs = shape.outputs if self.straight else TURN
        beyond = 4 * (shape.columns + outputs * shape.stride) - REACH
        self.ahead = max(0, beyond)  # of `patch`, before the offsets that VLDRW has
        assert self.ahead <= REACH, shape

    def write(self) -> None:
        f, shape = self.f, self.shape
        f.slot("at_group", 0)
        rows = [f"row{k}" for k in range(shape.rows)]
        registers = ("r8", "r9", "r10", "r11")
        f.rename("row0", "first_row")
        f.define("row0", registers[0])
        f.op("mov", "row0", "first_row")
        f.release("first_row")
        for k, row in enumerate(rows[1:]):
            f.define(row, registers[k + 1])
            f.op("ldr", row, f.stack_argument(k))
        f.define("words", "r3", "of four channels")
        f.op("mov", "words", "weights")
        f.define("patch", "r5", "the patch buffer's middle")
        f.op("addw", "patch", "buffer", f"#{self.ahead}")
        f.define("to", "r7", "where columns are written; its channels 2 and 3")
        f.define("count", "lr")
        f.define("zeros", "r12", "a column of padding")
        f.release("weights", "buffer")
        f.op("mov", "to", "pixels")
        f.release("pixels")
        f.define("out", "r1", "in the tile")
        f.op("mov", "out", "to")
        for number, register in enumerate(_SUMS):
            f.define(f"sum{number}", register)
        for number in range(WINDOW):
            f.define(f"weights{number}", f"q{number}", "of a channel; rows of the planes")
        f.define("window", "q4")
        f.define("by", "q5", "biases, and what else requantises")
        f.define("values", "q6")
        f.define("factor", "q7", "multipliers")
        groups, channels = -(-shape.channels // GROUP), min(GROUP, shape.channels)
        twice = GROUP * groups - shape.channels if groups > 1 else 0
        self._lanes(channels)
        f.op("mov", "count", f"#{groups}")
        f.put("at_group", "count")
        again, done = f.label(f.fresh("group")), f.fresh("done")
        self._group(channels)
        f.get("count", "at_group")
        f.op("subs.w", "count", "count", "#1")
        f.put("at_group", "count")
        if twice:
            f.branch("beq.w", done)
            f.op("cmp", "count", "#1")
        f.branch("bne.w", again)
        if twice:  # back to the last four channels
            for row in rows:
                f.add(row, -twice * shape.plane_bytes)
            f.add("out", -twice)
            f.branch("b.w", again)
            f.label(done)

    # -- the patch ----------------------------------------------------------------------------

    def _columns(self, channels: int) -> tuple[int, int]:
        """How many times so many columns are interleaved, one behind the other."""
        shape = self.shape
        return (1, channels * shape.plane_bytes) if shape.together else (channels, shape.width)

    def _lanes(self, channels: int) -> None:
        """The predicate for the columns behind full chunks."""
        _, columns = self._columns(channels)
        if columns % CHUNK:
            self.f.op("mov", "count", f"#{columns % CHUNK}")
            self.f.op("vctp.8", "count", note="columns behind full chunks")

    def _interleave(self, channels: int) -> None:
        f, shape = self.f, self.shape
        planes, columns = self._columns(channels)
        chunks, rest = divmod(columns, CHUNK)
        f.constant("zeros", (shape.zero_point & 0xFF) * 0x01010101)
        f.add("to", 4 * shape.left - self.ahead, "patch")
        rows = [f"row{k}" for k in range(shape.rows)]
        for plane in range(planes):
            for _ in range(chunks):
                for k, row in enumerate(rows):
                    f.op("vldrb.u8", f"weights{k}", f"[{row}]", f"#{CHUNK}")
                self._spread()
            if rest:
                loads = [("vldrbt.u8", f"weights{k}", f"[{row}]") for k, row in enumerate(rows)]
                f.together((f"vps{'t' * len(rows)}",), *loads)
                self._spread()
            if plane < planes - 1 or channels == GROUP:
                gap = (columns if shape.together else shape.plane_bytes) - CHUNK * chunks
                for row in rows:
                    f.add(row, gap)
            if plane < planes - 1:
                f.add("to", 4 * shape.columns - 4 * CHUNK * -(-columns // CHUNK))
        right = shape.columns - shape.width if shape.together else shape.right
        f.add("to", -self.ahead, "patch")
        for channel in range(channels):
            at = channel * shape.columns
            if channel == 0 or not shape.together:
                self._border(at, shape.left)
            self._border(at + shape.left + shape.width, right)
        f.add("to", 8 * shape.columns, "patch")

    def _spread(self) -> None:
        registers = ", ".join(f"weights{k}" for k in range(WINDOW))
        for number in range(WINDOW):
            end = "!" if number == WINDOW - 1 else ""
            self.f.op(f"vst4{number}.8", f"{{{registers}}}", f"[to]{end}")

    def _border(self, at: int, columns: int) -> None:
        """`columns` columns of padding, the first one number `at` of the buffer."""
        f = self.f
        pairs = columns // 2 if at + columns <= STRD_REACH // 4 else 0
        for pair in range(pairs):
            f.op("strd", "zeros", "zeros", f"[to, #{4 * (at + 2 * pair)}]")
        for column in range(2 * pairs, columns):
            f.op("str", "zeros", f"[to, #{4 * (at + column)}]")

    # -- outputs ------------------------------------------------------------------------------

    def _group(self, channels: int) -> None:
        """Four channels, or fewer, whose sums besides are of what the buffer holds."""
        f, shape = self.f, self.shape
        total = shape.lines * shape.outputs
        if self.straight:
            with f.ordered(beats.ordered):
                self._interleave(channels)
                self._weights(lower=False)
                for line in range(shape.lines):
                    if line:
                        self._weights(lower=True)
                    for x in range(shape.outputs):
                        if line or x:
                            self._store()
                        self._products(x * shape.stride)
                self._store()
                self._next(total)
            return
        for line in range(shape.lines):
            self._line(channels, line)
        with f.ordered(beats.ordered):
            self._next(total)

    def _next(self, outputs: int) -> None:
        self.f.add("out", GROUP - outputs * self.shape.depth, spare="to")
        self.f.add("words", 4 * self.shape.words)

    def _line(self, channels: int, line: int) -> None:
        """A long row of outputs, in turns."""
        f, shape = self.f, self.shape
        size = next(n for n in range(TURN, 0, -1) if shape.outputs % n == 0 or n == TURN // 2)
        turns, rest = divmod(shape.outputs, size)
        with f.ordered(beats.ordered):
            if line:
                self._weights(lower=True)
            else:
                self._interleave(channels)
                self._weights(lower=False)
            self._products(0)
        f.op("mov", "count", f"#{turns}")
        step = 4 * shape.stride * size
        turn, end = f.label(f.fresh("turn")), f.fresh("turned")
        with f.ordered(beats.ordered):
            for x in range(1, size):
                self._store()
                self._products(x * shape.stride)
            f.add("patch", step)
            f.add("to", step)
        f.op("subs.w", "count", "count", "#1")
        f.branch("beq.w", end)
        with f.ordered(beats.ordered):
            self._store()
            self._products(0)
        f.branch("b.w", turn)
        f.label(end)
        with f.ordered(beats.ordered):
            self._store()
            for x in range(rest):
                self._products(x * shape.stride)
                self._store()
            f.add("patch", -turns * step)
            f.add("to", -turns * step)

    def _weights(self, *, lower: bool) -> None:
        f, shape = self.f, self.shape
        for channel in range(WINDOW):
            name = f"weights{channel}"
            if lower:
                f.op("vshl.i32", name, name, f"#{8 * shape.below}")
            else:
                f.op("vldrw.u32", name, f"[words, #{_WEIGHTS + 16 * channel}]")
        if not lower:
            f.op("vldrw.u32", "factor", f"[words, #{_FACTOR}]")
            if self._resident:
                f.op("vldrw.u32", "by", f"[words, #{_BIAS}]")

    @property
    def _resident(self) -> bool:
        """Whether `by` holds nothing but the biases."""
        return self.shape.rounding.saturates

    def _products(self, column: int) -> None:
        f = self.f
        for channel in range(GROUP):
            at = 4 * (channel % 2 * self.shape.columns + column) - self.ahead
            f.op("vldrw.u32", "window", f"[{'to' if channel > 1 else 'patch'}, #{at}]")
            f.op("vmladav.s8", f"sum{channel}", f"weights{channel}", "window")

    def _store(self) -> None:
        """One output of each of four channels, from its sums to the tile, which goes on one pixel.
        Where there are fewer channels, bytes that meet no weights become anything."""
        f, shape = self.f, self.shape
        f.op("vmov", "values[2]", "values[0]", "sum0", "sum2")
        f.op("vmov", "values[3]", "values[1]", "sum1", "sum3")
        self._requantise()
        if shape.depth <= POST:
            f.op("vstrb.32", "values", "[out]", f"#{shape.depth}")
        else:
            f.op("vstrb.32", "values", "[out]")
            f.add("out", shape.depth)

    def _requantise(self) -> None:
        f, rounding = self.f, self.shape.rounding

        def by(at: int, *instruction: str) -> None:
            f.op("vldrw.u32", "by", f"[words, #{at}]")
            f.op(*instruction)

        if self._resident:
            f.op("vadd.i32", "values", "values", "by")
        else:
            by(_BIAS, "vadd.i32", "values", "values", "by")
        if rounding.code == TFLITE_CODE:
            f.op("vshr.s32", "by", "values", "#31")
            f.op("vqrdmulh.s32", "values", "values", "factor")
            f.op("vadd.i32", "values", "values", "by")
            by(_OTHERS, "vadd.i32", "values", "values", "by")
            by(_OTHERS + 16, "vshl.s32", "values", "values", "by")
        elif rounding.code == TFLITE_ANY_CODE:
            by(_OTHERS + 32, "vshl.s32", "values", "values", "by")
            f.op("vshr.s32", "by", "values", "#31")
            f.op("vldrw.u32", "window", f"[words, #{_OTHERS + 64}]")
            f.op("vand", "by", "by", "window")
            f.op("vqrdmulh.s32", "values", "values", "factor")
            f.op("vadd.i32", "values", "values", "by")
            by(_OTHERS + 48, "vadd.i32", "values", "values", "by")
            by(_OTHERS + 16, "vshl.s32", "values", "values", "by")
            by(_OTHERS, "vadd.i32", "values", "values", "by")
        else:
            if rounding.code:
                f.op("vshl.i32", "values", "values", f"#{rounding.code}")
                by(_OTHERS, "vadd.i32", "values", "values", "by")
            f.op("vrmulh.s32", "values", "values", "factor")
        saturate(f, rounding, "values", "zeros", "by")
