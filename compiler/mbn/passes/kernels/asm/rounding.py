"""How a sum becomes int8, in assembly for cores with the DSP extension; dsp/requantise.h in C.

A couple's words follow its weights, first channel, second channel, word by word:
    `single`, s = 0:  2m                     s > 0:  2m, Z
    `tflite`:         2m modulo 2^32, T, e
    any multiplier:   2m modulo 2^32, zero point, right shift + 256 * left shift
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

from mbn.core.constants import TFLITE_ANY_CODE, TFLITE_CODE
from mbn.passes.kernels.asm.function import Function

Registers = tuple[str, str, str]


@dataclass(frozen=True)
class Rounding:
    """code: the shift s, or the code of `tflite` (core.constants.rounding_code). low, high: the
    clamp."""

    code: int
    low: int
    high: int

    @property
    def name(self) -> str:
        """For a function's name."""
        kind = {TFLITE_CODE: "tflite", TFLITE_ANY_CODE: "tflite_any"}.get(
            self.code, f"s{self.code}"
        )
        return kind if self.is_whole else f"{kind}_{self.low + 128}to{self.high + 128}"

    @property
    def is_whole(self) -> bool:
        """Whether the clamp is int8's range."""
        return (self.low, self.high) == (-128, 127)

    @property
    def saturates(self) -> bool:
        """Whether a high product that saturates is all."""
        return self.code == 0 and self.is_whole

    @property
    def words(self) -> int:
        """Of a channel."""
        return 3 if self.code < 0 else 2 if self.code else 1

    @property
    def registers(self) -> int:
        """Different ones that `requantise` needs at least."""
        return 3 if self.overwrites else min(self.words, 2)

    @property
    def overwrites(self) -> bool:
        """Whether the multiplier's register holds other words meanwhile."""
        return self.code == TFLITE_ANY_CODE

    @property
    def needs_temporaries(self) -> bool:
        return self.code < 0

    def begin(self, f: Function, registers: Registers, offset: int, *, raw: bool) -> None:
        """Loads what serves both channels of a couple. offset: of its words from `stream`."""
        if self.words > 1:
            return
        f.loads(
            (registers[0], f"[stream, #{offset}]"),
            (registers[1], f"[stream, #{offset + 4}]"),
            note="2m",
        )
        if raw:
            f.op("mov", registers[2], "#128", note="one half, where sums are 256 times as large")

    def channel(
        self,
        f: Function,
        values: Sequence[str],
        registers: Registers,
        offset: int,
        number: int,
        temporaries: Sequence[str],
        lows: Sequence[str] = (),
    ) -> None:
        """Requantises and saturates sums in place, of the couple's first (number 0) or second
        channel. temporaries: one or more, in turns. lows: the first channel's sums, where the
        second's are sums of raw words; they become 256 times what they stand for."""
        scaled = bool(lows)
        for value, low in zip(values if scaled else (), lows, strict=True):
            f.op("sub", value, value, low, note="256 * S1")
        if self.words == 1:
            self._single(f, values, registers[number], registers[2], scaled=scaled)
            return
        if scaled:
            for value in values:
                f.op("asr", value, value, "#8")

        def fetch(register: str, word: int) -> None:
            f.op("ldr", register, f"[stream, #{offset + 4 * number + 8 * word}]")

        self.requantise(f, values, registers, temporaries, fetch)

    def requantise(
        self,
        f: Function,
        values: Sequence[str],
        registers: Registers,
        temporaries: Sequence[str],
        fetch: Callable[[str, int], None],
    ) -> None:
        """Requantises and saturates one channel's sums in place. fetch: loads one of its words into
        a register. The second and third register may be the same, except for any multiplier."""
        doubled, offset, right = registers
        if self.code == TFLITE_ANY_CODE:
            self._tflite_any(f, values, registers, temporaries, fetch)
            return
        for word, register in enumerate((doubled, offset)[: self.words]):
            fetch(register, word)
        if self.code == TFLITE_CODE:
            if right != offset:
                fetch(right, 2)
            for value, start in zip(values, cycle(temporaries), strict=False):
                self._add_tflite(f, value, start, doubled, offset)
            if right == offset:
                fetch(right, 2)
            for value in values:
                f.op("asr", value, value, right)
                self._saturate(f, value)
        elif self.code:
            for value in values:
                f.op("add", value, offset, value, f"lsl #{self.code}")
                f.op("smmulr", value, value, doubled)
                self._saturate(f, value)
        else:
            self._single(f, values, doubled, "", scaled=False)

    def _single(
        self, f: Function, values: Sequence[str], doubled: str, half: str, *, scaled: bool
    ) -> None:
        for value in values:
            if scaled:
                # floor(floor(256 S m' / 2^32 + 128) / 256) is floor(S m' / 2^32 + 1 / 2)
                f.op("smmla", value, value, doubled, half)
                self._saturate(f, value, "asr #8")
            else:
                f.op("smmulr", value, value, doubled)
                self._saturate(f, value)

    def _add_tflite(self, f: Function, value: str, start: str, doubled: str, offset: str) -> None:
        """2m - 2^32 is the multiplier, and the sum is added back: all modulo 2^32."""
        f.op("add", start, value, value, "asr #31")
        f.op("add", start, start, offset)
        f.op("smmlar", value, value, doubled, start)

    def _tflite_any(
        self,
        f: Function,
        values: Sequence[str],
        registers: Registers,
        temporaries: Sequence[str],
        fetch: Callable[[str, int], None],
    ) -> None:
        """The same with a left shift, and the zero point added last. The correction for negative
        sums and the half are nothing where nothing is shifted right: logical shifts by 32 or more,
        of which -1 is one, leave nothing."""
        one, two, three = registers
        fetch(one, 2)
        f.op("lsr", two, one, "#8")
        for value in values:
            f.op("lsl", value, value, two)
        f.op("uxtb", one, one)
        f.op("sub", two, one, "#1")
        f.op("mov", three, "#1")
        f.op("lsl", two, three, two)
        f.together(
            ("cmp", one, "#0"), ("ite", "eq"), ("moveq", three, "#63"), ("movne", three, "#31")
        )
        fetch(one, 0)
        for value, start in zip(values, cycle(temporaries), strict=False):
            f.op("lsr", start, value, three)
            f.op("sub", start, two, start)
            f.op("add", start, start, value)
            f.op("smmlar", value, value, one, start)
        fetch(one, 2)
        fetch(two, 1)
        f.op("uxtb", one, one)
        for value in values:
            f.op("asr", value, value, one)
            f.op("add", value, value, two)
            self._saturate(f, value)

    def _saturate(self, f: Function, value: str, *shift: str) -> None:
        f.op("ssat", value, "#8", value, *shift)
        for bound, test, whole in ((self.low, "lt", -128), (self.high, "gt", 127)):
            if bound != whole:  # tighter than int8's range
                f.together(
                    ("cmp", value, f"#{bound}"), ("it", test), (f"mov{test}", value, f"#{bound}")
                )
