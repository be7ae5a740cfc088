"""A pointwise for any shape in assembly: one group of pixels by all couples of channels.

Stages share it, so it takes little flash. Inputs and register tiles are those of pointwise.py, 17
cycles a pair of inputs (16 with raw words; 13 and 12 for 3 pixels, 10 and 9 for 2, 7 and 6 for 1),
some 20 more a couple and 6 a turn of the loop. The rounding is `single` with s = 0, and the clamp
int8's range.

The loop has some pairs. A sum enters it where as many are left, with the pointers moved back, so
that any number of pairs goes without another loop.
"""

from __future__ import annotations

from mbn.core.lowered import Assembly
from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.rounding import Rounding

# pairs in a turn of the loop, by pixels; few products are worth less code
STEPS = {4: 16, 3: 16, 2: 8, 1: 8}
_ROUNDING = Rounding(0, -128, 127)
SHARED_PARAMETERS = (
    "const int16_t *tile, const int32_t *stream, int8_t *out, int32_t pairs, int32_t couples, "
    "int32_t plane_bytes, int32_t jump"
)


def shared_name(pixels: int, *, raw: bool, alone: bool = False) -> str:
    """The function's name, without the network's prefix."""
    stem = "vector_any" if alone else f"pointwise_any{pixels}"
    return f"{stem}{'_raw' if raw else ''}"


def shared_pointwise(pixels: int, *, raw: bool, alone: bool = False) -> Assembly:
    """The function of 4 to 1 pixels. jump: bytes by which pixels 2 and 3 lie further than in a row.
    raw: the words of all couples are raw. alone: the tile is one pixel's words, without places for
    others."""
    name = shared_name(pixels, raw=raw, alone=alone)
    about = f"Pointwise of {pixels} pixels: any number of inputs and of couples of channels."
    function = Function(name, about, ("tile", "stream", "out", "pairs"))
    _Body(function, pixels, raw, alone).write()
    twin = (
        f"mbn_dsp_any(tile, stream, out, pairs, couples, plane_bytes, jump, {pixels}, {int(raw)});"
    )
    if alone:
        twin = "(void)jump;\n    "
        twin += f"mbn_dsp_vector_any(tile, stream, out, pairs, couples, plane_bytes, {int(raw)});"
    return Assembly(name, SHARED_PARAMETERS, function.text(), twin, shared=True)


class _Body:
    def __init__(self, function: Function, pixels: int, raw: bool, alone: bool) -> None:
        self.f, self.pixels, self.raw = function, range(pixels), raw
        self.steps = STEPS[pixels]
        self.shift = 2 if alone else 4  # of the bytes of a pair in the tile
        # of a pair of inputs, all of whose instructions have 32 bits
        self.pair_bytes = 4 * (1 + pixels + (1 if raw else 2) + 2 * pixels)

    def write(self) -> None:
        f = self.f
        self._begin()
        words = [f.define(name, at) for name, at in (("w0", "r2"), ("w1", "r3"))]
        words += [f.define(name, at) for name, at in (("x0", "r4"), ("x1", "r5"))]
        free = iter([*(f"r{n}" for n in range(6, 13)), "lr"])
        sums = {
            (kind, p): f.define(f"{kind}_{p}", next(free))
            for kind in ("lo", "hi")
            for p in self.pixels
        }
        last = self.pixels[-1]
        order = ("hi", "lo") if self.raw else ("lo", "hi")
        f.label("couple")
        f.loads(*((sums[kind, last], "[stream], #4") for kind in order), note="biases")
        for kind in order:
            for p in self.pixels[:-1]:
                f.op("mov", sums[kind, p], sums[kind, last])
        f.op("vmov", "x0", "skipped")
        f.op("sub", "tile", "tile", "x0", f"lsl #{self.shift}")
        f.op("sub", "stream", "stream", "x0", "lsl #2")
        f.op("vmov", "w0", "entry")
        f.op("bx", "w0")
        f.align()
        f.label("turn")
        for k in range(self.steps):
            self._pair(k, sums)
        f.add("tile", self.steps << self.shift)
        f.add("stream", 4 * self.steps)
        f.op("vmov", "w0", "stop")
        f.op("cmp", "tile", "w0")
        f.branch("bne.w", "turn")
        f.op("vmov", "tile", "start")
        self._store(sums)
        f.op("vmov", "x1", "end")
        f.op("cmp", "stream", "x1")
        f.branch("bne.w", "couple")
        f.release(*words, *sums.values())

    def _begin(self) -> None:
        """What waits in FPU registers that a caller does not expect to keep."""
        f = self.f
        waiting = ("skipped", "entry", "stop", "start", "end", "plane", "far", "at_out")
        for number, name in enumerate(waiting):
            f.define(name, f"s{number}")
        t, u = f.define("t", "r4"), f.define("u", "r5")
        f.op("vmov", "start", "tile")
        f.op("vmov", "at_out", "out")
        f.op("add", t, "tile", "pairs", f"lsl #{self.shift}")
        f.op("vmov", "stop", t)
        f.op("rsb", t, "pairs", "#0")
        f.op("and", t, t, f"#{self.steps - 1}", note="pairs of the loop that are skipped")
        f.op("vmov", "skipped", t)
        f.op("movs", u, f"#{self.pair_bytes}")
        f.op("mul", t, t, u)
        f.address(u, f.local("turn"))
        f.op("add", t, t, u)
        f.op("orr", t, t, "#1", note="Thumb")
        f.op("vmov", "entry", t)
        f.op("ldr", t, f.stack_argument(0), note="couples")
        f.op("add", u, "pairs", "#4", note="words of a stream")
        f.op("mul", t, t, u)
        f.op("add", t, "stream", t, "lsl #2")
        f.op("vmov", "end", t)
        f.op("ldr", t, f.stack_argument(1))
        f.op("vmov", "plane", t)
        f.op("ldr", t, f.stack_argument(2))
        f.op("vmov", "far", t)
        f.release(t, u, "out", "pairs")

    def _pair(self, k: int, sums: dict[tuple[str, int], str]) -> None:
        f = self.f
        for start in range(0, len(self.pixels), 2):
            batch = list(zip(self.pixels[start : start + 2], ("x0", "x1"), strict=False))
            if start == 0:
                f.op("ldr.w", "w0", f"[stream, #{4 * k}]")
            for p, x in batch:
                f.op("ldr.w", x, f"[tile, #{(k << self.shift) + 4 * p}]")
            if start == 0:
                f.op("sxtb16", "w1", "w0")
                if not self.raw:
                    f.op("sxtb16", "w0", "w0", "ror #8")
            for p, x in batch:
                for kind, by in (("hi", "w0"), ("lo", "w1")):
                    f.op("smlad", sums[kind, p], x, by, sums[kind, p])

    def _store(self, sums: dict[tuple[str, int], str]) -> None:
        f = self.f
        registers = (f.rename("w0", "by0"), f.rename("w1", "by1"), f.rename("x0", "by2"))
        to = f.rename("x1", "to")
        _ROUNDING.begin(f, registers, 0, raw=self.raw)
        f.op("vmov", to, "at_out")
        for kind in ("hi", "lo") if self.raw else ("lo", "hi"):
            number = ("lo", "hi").index(kind)
            values = [sums[kind, p] for p in self.pixels]
            lows = [sums["lo", p] for p in self.pixels if self.raw and kind == "hi"]
            _ROUNDING.channel(f, values, registers, 0, number, (), lows)
        # all are values now, so the words that requantised them are free
        f.op("vmov", "by0", "plane")
        f.op("add", "by1", to, "by0")
        f.op("add", "by0", "by1", "by0")
        f.op("vmov", "at_out", "by0")
        f.op("vmov", "by0", "far")
        for p in self.pixels:
            if p == 2:
                f.op("add", to, to, "by0")
                f.op("add", "by1", "by1", "by0")
            f.op("strb", sums["lo", p], f"[{to}, #{p}]")
            f.op("strb", sums["hi", p], f"[by1, #{p}]")
        f.add("stream", 8)
        for old, name in zip((*registers, to), ("w0", "w1", "x0", "x1"), strict=True):
            f.rename(old, name)
