"""A depthwise 3x3 of a band for any shape in assembly: one function a stride, which stages share.

Words, tile and products are those of channels.py; a row of outputs is a loop over aligned words of
the three input rows, so an output that needs columns of two words has its sum carried from one to
the next. The rounding is `single` with s = 0, and the clamp int8's range. Widths are even; stride 2
is padded on the left. In the loop:

    stride 1: 74 cycles for 4 outputs, 30 multiplies; 53 more for the last three outputs of a row of
              4n + 2, whose word begins at its fourth last column
    stride 2: 80 cycles for 4 outputs, 30 multiplies

The shape is HEAD, a word in front of those of the channels, and two arguments. Pointers to input
rows are the arguments behind `...`, so they lie on the stack one behind the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from mbn.core.lowered import Assembly
from mbn.passes.kernels.asm.channels import TAPS, WEIGHTS
from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.rounding import Rounding

HEAD = "channels + 65536 * zero point"  # a word
CHANNEL_BYTES = 28
_NAMED = "const int32_t *words, int16_t *tile, int32_t lines, int32_t width"
_ROUNDING = Rounding(0, -128, 127)
# what waits in FPU registers, besides WAITING of a stride; the first ones are not saved
_WAITING = (
    *("bias", "doubled", "at_left", "group", "step", "at_pixel", "at_x", "at_row", "last_row"),
    *("limit", "at_words", "at_tile", "end", "whole", "second", "plane", "zero"),
)


def shared_depthwise_name(stride: int) -> str:
    """The function's name, without the network's prefix."""
    return f"depthwise_any_s{stride}"


def shared_depthwise(stride: int) -> Assembly:
    """The function of a stride, whose twin is mbn_dsp_depthwise_any."""
    name = shared_depthwise_name(stride)
    about = f"Depthwise 3x3, stride {stride}: any even width, rows and number of channels."
    body = (_Stride1 if stride == 1 else _Stride2)(
        Function(name, about, ("words", "tile", "lines", "width"))
    )
    twin = (
        "va_list rows;\n    va_start(rows, width);\n    "
        f"mbn_dsp_depthwise_any(words, tile, lines, width, {stride}, rows);\n    va_end(rows);"
    )
    return Assembly(name, f"{_NAMED}, ...", body.text(), twin, shared=True)


def shared_parameters(rows: int) -> str:
    """The same parameters, with a name for each row."""
    return ", ".join([_NAMED, *(f"const int8_t *row{k}" for k in range(rows))])


class _Body:
    """The loops over channels and rows. A row begins at the output in front of it, `at_pixel`;
    `step` is from an output's place to the next one's where that is in the other half of a group
    or beyond."""

    STRIDE: int
    NAMES: Sequence[str]  # of r0 to r12 and lr
    WAITING: Sequence[str]

    def __init__(self, function: Function) -> None:
        self.f = function

    def text(self) -> str:
        self._begin()
        f = self.f
        for name, register in zip(self.NAMES, (*(f"r{n}" for n in range(13)), "lr"), strict=True):
            f.define(name, register)
        f.label("channel")
        self._channel()
        f.label("row")
        self._point()
        self.row()
        self._next()
        return f.text()

    def row(self) -> None:
        """A row of outputs. Leaves at_pixel and step as the next row wants them."""
        raise NotImplementedError

    def place(self) -> None:
        """at_pixel and step for a channel's first row, from E = its place and O = group."""
        raise NotImplementedError

    # -- the function's start, and a channel's -----------------------------------------------

    def _begin(self) -> None:
        f = self.f
        for number, name in enumerate([*self.WAITING, *_WAITING]):
            f.define(name, f"s{number}")
        names = enumerate(("head", "channels", "pairs", "plane_bytes"), 4)
        head, channels, pairs, plane_bytes = (f.define(name, f"r{n}") for n, name in names)
        t, u = f.define("t", "r8"), f.define("u", "r9")
        f.op("ldr", head, "[words]", "#4")
        f.op("vmov", "at_words", "words")
        f.op("vmov", "at_tile", "tile")
        f.op("vmov", "zero", head, note="in the high half")
        f.op("uxth", channels, head)
        f.op("adds", pairs, channels, "#1")
        f.op("lsrs", pairs, pairs, "#1")
        f.op("adds", plane_bytes, "width", "#3")
        f.op("bic", plane_bytes, plane_bytes, "#3")
        f.op("vmov", "plane", plane_bytes)
        f.op("lsl", t, pairs, "#4")
        f.op("vmov", "group", t)
        f.op("mov", t, f"#{CHANNEL_BYTES}")
        for count, name in ((pairs, "end"), (channels, "whole")):
            f.op("mla", u, count, t, "words", note=name)
            f.op("vmov", name, u)
        f.op("adds", "tile", "#2", note="the high halves")
        f.op("vmov", "second", "tile")
        f.op("movs", pairs, "#0")
        f.op("vmov", "at_x", pairs)
        if self.STRIDE == 1:
            f.op("subs", "width", "#2", note="strips begin before it; at it begins a tail")
        f.op("vmov", "limit", "width")
        f.op("add", t, f.stack_argument(0)[1:-1])
        f.op("add", t, t, "lines", f"lsl #{1 + self.STRIDE}")
        f.op("vmov", "last_row", t)
        f.release(head, channels, pairs, plane_bytes, t, u, "words", "tile", "lines", "width")

    def _channel(self) -> None:
        """Weights into registers, the rest where it waits; sums of what is outside the map."""
        f = self.f
        bias, total = self.NAMES[3:5]
        f.op("vmov", "e", "at_words")
        f.op("ldm", "e!", f"{{{', '.join(WEIGHTS)}}}")
        f.op("ldm", "e!", f"{{{bias}, {total}}}")
        f.op("vmov", "at_words", "e")
        f.op("vmov", "bias", bias)
        f.op("vmov", "doubled", total)
        f.op("vmov", "o", "zero")
        for k, weights in enumerate(WEIGHTS[:3]):
            f.op("smlatb", bias, "o", weights, bias)
            if self.STRIDE == 1:
                product = ("smlatt", total, "o", weights, total)
                f.op(*(product if k else ("smultt", *product[1:4])))
        f.op("vmov", "at_left", bias)
        if self.STRIDE == 1:
            f.op("vmov", "right", total)
        f.op("vmov", "e", "at_tile")
        f.op("vmov", "o", "group")
        self.place()
        f.op("add", "e", f.stack_argument(0)[1:-1])
        f.op("vmov", "at_row", "e")

    def _point(self) -> None:
        """The three rows' pointers, which follow each other among NAMES."""
        raise NotImplementedError

    def pointers(self, *names: str) -> None:
        """Loads the rows' pointers, and adds the channel's offset."""
        f = self.f
        f.op("vmov", "e", "at_row")
        f.op("ldm", "e!", f"{{{', '.join(names)}}}")
        f.op("subs", "e", f"#{4 * (3 - self.STRIDE)}")
        f.op("vmov", "at_row", "e")
        f.op("vmov", "o", "at_x")
        for name in names:
            f.op("add", name, "o")

    def _next(self) -> None:
        """The next row; the next channel; the second half of the channels."""
        f = self.f
        f.op("vmov", "e", "at_row")
        f.op("vmov", "o", "last_row")
        f.op("cmp", "e", "o")
        f.branch("bne.w", "row")
        f.op("vmov", "e", "at_x")
        f.op("vmov", "o", "plane")
        f.op("add", "e", "o")
        f.op("vmov", "at_x", "e")
        f.op("vmov", "e", "at_tile")
        f.op("adds", "e", "#16")
        f.op("vmov", "at_tile", "e")
        f.op("vmov", "e", "at_words")
        f.op("vmov", "o", "end")
        f.op("cmp", "e", "o")
        f.branch("bne.w", "channel")
        f.op("vmov", "o", "whole")
        f.op("vmov", "end", "o")
        f.op("vmov", "o", "second")
        f.op("vmov", "at_tile", "o")
        f.op("vmov", "o", "whole")
        f.op("cmp", "e", "o")
        f.branch("bne.w", "channel")

    # -- outputs -----------------------------------------------------------------------------

    def unpack(self, word: str) -> None:
        """E and O from a word in E."""
        self.f.op("sxtb16", "o", word, "ror #8")
        self.f.op("sxtb16", "e", word)

    def requantise(self, by: str, *sums: str) -> None:
        """Sums become int8 values; `by` is overwritten."""
        self.f.op("vmov", by, "doubled")
        registers = (by, by, by)
        _ROUNDING.requantise(self.f, sums, registers, (), lambda _register, _word: None)


class _Stride1(_Body):
    """A word x0..x3 ends the sums centred on the column before it (`before`) and on x0 (`first`),
    gives those on x1 and x2, and begins those on x3 and on the column behind (`behind`)."""

    STRIDE = 1
    NAMES = ("e", "o", "x", "before", "first", "y1", "y2", "y3", *WEIGHTS, "behind")
    WAITING = ("right", "in0", "in1", "in2")

    def place(self) -> None:
        f = self.f
        f.op("subs", "o", "#12")
        f.op("vmov", "step", "o", note="from the fourth place of a group to the next one's first")
        f.op("subs", "e", "e", "o")
        f.op("vmov", "at_pixel", "e")

    def _point(self) -> None:
        f = self.f
        names = ("y1", "y2", "y3")
        self.pointers(*names)
        for k, name in enumerate(names):
            f.op("vmov", f"in{k}", name)
        f.op("vmov", "first", "at_left")
        f.op("movs", "x", "#0")

    def row(self) -> None:
        f = self.f
        f.label("strip")
        f.op("vmov", "y3", "bias")
        for k in range(3):
            self._word(k)
            self._products(k)
        self.requantise("e", "before", "first", "y1", "y2")
        f.op("vmov", "e", "at_pixel")
        f.op("vmov", "o", "step")
        f.op("cbz", "x", f.local("nothing_before"))
        f.op("strh", "before", "[e]")
        f.label("nothing_before")
        f.op("add", "o", "e")
        f.op("strh", "first", "[o]")
        f.op("strh", "y1", "[o, #4]")
        f.op("vmov", "o", "group")
        f.op("add", "e", "o")
        f.op("vmov", "at_pixel", "e")
        f.op("strh", "y2", "[e, #-4]")
        f.op("mov", "before", "y3")
        f.op("mov", "first", "behind")
        f.op("adds", "x", "#4")
        f.op("vmov", "e", "limit")
        f.op("cmp", "x", "e")
        f.branch("blo", "strip")
        f.branch("beq", "tail")
        f.comment("the last output, before the column behind the map")
        f.op("vmov", "e", "right")
        f.op("add", "before", "e")
        self.requantise("e", "before")
        f.op("vmov", "e", "at_pixel")
        f.op("strh", "before", "[e]")
        f.branch("b", "done")
        f.label("tail")
        self._tail()
        f.label("done")

    def _word(self, k: int) -> None:
        """Kernel row k's word at x, into E and O."""
        f = self.f
        f.op("vmov", "o", f"in{k}")
        f.op("ldr", "e", "[o, x]")
        self.unpack("e")

    def _products(self, k: int) -> None:
        f = self.f
        outer, middle, half = TAPS[k]
        f.op("smlabt", "before", "e", outer, "before")
        f.op(f"smlab{half}", "first", "e", middle, "first")
        f.op("smlabt", "first", "o", outer, "first")
        self._inner(k, "y3")
        f.op("smlatb", "behind", "o", outer, "behind" if k else "y3")
        self._last(k)

    def _inner(self, k: int, begin: str) -> None:
        """Of the sums on x1 and x2, which begin at `begin`."""
        f = self.f
        outer, middle, half = TAPS[k]
        f.op("smlad", "y1", "e", outer, "y1" if k else begin)
        f.op(f"smlab{half}", "y1", "o", middle, "y1")
        f.op("smlad", "y2", "o", outer, "y2" if k else begin)
        f.op(f"smlat{half}", "y2", "e", middle, "y2")

    def _last(self, k: int) -> None:
        """Of the sum on x3, as far as it is in the word."""
        outer, middle, half = TAPS[k]
        self.f.op("smlatb", "y3", "e", outer, "y3")
        self.f.op(f"smlat{half}", "y3", "o", middle, "y3")

    def _tail(self) -> None:
        """The last three outputs of a row of 4n + 2. A row after it begins in the other half of a
        group."""
        f = self.f
        f.op("subs", "x", "#2")
        f.op("vmov", "before", "bias")
        f.op("vmov", "y3", "right")
        f.op("add", "y3", "before")
        for k in range(3):
            self._word(k)
            self._inner(k, "before")
            self._last(k)
        self.requantise("e", "y1", "y2", "y3")
        f.op("vmov", "e", "at_pixel")
        f.op("vmov", "o", "step")
        f.op("strh", "y1", "[e]")
        f.op("add", "e", "o")
        f.op("strh", "y2", "[e]")
        f.op("adds", "e", "#4")
        f.op("strh", "y3", "[e]")
        f.op("vmov", "at_pixel", "e")
        f.op("vmov", "e", "group")
        f.op("subs", "e", "#8")
        f.op("subs", "e", "e", "o")
        f.op("vmov", "step", "e")


class _Stride2(_Body):
    """A word x0..x3 ends the sum that is carried into it, which is centred on x0, gives the one on
    x2, and begins the next with x3. Two words are a turn. A row's last word may end behind the
    map, which has no output on x2 then."""

    STRIDE = 2
    NAMES = ("e", "o", "to", "ya", "yb", "yc", "i0", "i1", "i2", *WEIGHTS)
    WAITING = ("stop",)

    def place(self) -> None:
        f = self.f
        f.op("vmov", "at_pixel", "e")
        f.op("movs", "e", "#8")
        f.op("vmov", "step", "e", note="from the first place of a group to its third")

    def _point(self) -> None:
        f = self.f
        self.pointers("i0", "i1", "i2")
        f.op("vmov", "e", "limit")
        f.op("add", "e", "i0")
        f.op("vmov", "stop", "e")
        f.op("vmov", "ya", "at_left")
        f.op("vmov", "to", "at_pixel")

    def row(self) -> None:
        f = self.f
        f.label("turn")
        self._word("ya", "yc")
        self._store("ya", "to", "odd")
        f.branch("beq", "odd")
        self._word("yc", "ya")
        f.op("vmov", "o", "step")
        f.op("add", "o", "to")
        self._store("yc", "o", "even")
        f.op("vmov", "o", "group")
        f.op("add", "to", "o")
        f.branch("bne", "turn")
        f.label("even")
        f.branch("b", "done")
        f.label("odd")
        f.comment("a row after it begins in the other half of a group")
        f.op("vmov", "o", "step")
        f.op("add", "to", "o")
        f.op("vmov", "e", "group")
        f.op("subs", "e", "e", "o")
        f.op("vmov", "step", "e")
        f.label("done")
        f.op("vmov", "at_pixel", "to")

    def _store(self, old: str, to: str, end: str) -> None:
        """A word's outputs, and whether the row has more words; the second one only if the word
        ends in the map."""
        f = self.f
        self.requantise("e", old, "yb")
        f.op("vmov", "e", "stop")
        f.op("cmp", "i0", "e")
        f.op("strh", old, f"[{to}]")
        f.branch("bhi", end)
        f.op("strh", "yb", f"[{to}, #4]")

    def _word(self, old: str, new: str) -> None:
        f = self.f
        f.op("vmov", new, "bias")
        for k, (outer, middle, half) in enumerate(TAPS):
            f.op("ldr", "e", f"[i{k}]", "#4")
            self.unpack("e")
            f.op(f"smlab{half}", old, "e", middle, old)
            f.op("smlabt", old, "o", outer, old)
            f.op("smlad", "yb", "o", outer, "yb" if k else new)
            f.op(f"smlat{half}", "yb", "e", middle, "yb")
            f.op("smlatb", new, "o", outer, new)
