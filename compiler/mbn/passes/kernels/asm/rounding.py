"""How a sum becomes int8, in assembly for cores with the DSP extension; dsp/requantise.h in C.

A couple's words follow its weights, first channel, second channel, word by word:
    `single`, s = 0:  2m                     s > 0:  2m, Z
    `tflite`:         2m modulo 2^32, T, e
    any multiplier:   2m modulo 2^32, zero point, right shift + 256 * left shift
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    def words(self) -> int:
        """Of a channel."""
        return 3 if self.code < 0 else 2 if self.code else 1

    @property
    def spares_tile(self) -> bool:
        """Whether the register `tile` is overwritten, because no other is left."""
        return self.code < 0

    def begin(self, f: Function, registers: Registers, offset: int) -> None:
        """Loads what serves both channels of a couple. offset: of its words from `stream`."""
        if self.words == 1:
            f.loads(
                (registers[0], f"[stream, #{offset}]"),
                (registers[1], f"[stream, #{offset + 4}]"),
                note="2m",
            )
            f.op("mov", registers[2], "#128", note="one half, where sums are 256 times as large")

    def channel(
        self,
        f: Function,
        values: Sequence[str],
        registers: Registers,
        offset: int,
        number: int,
        lows: Sequence[str] = (),
    ) -> None:
        """Requantises and saturates sums in place, of the couple's first (number 0) or second
        channel. lows: the first channel's sums, where the second's are sums of raw words; they
        become 256 times what they stand for."""
        scaled = bool(lows)
        for value, low in zip(values if scaled else (), lows, strict=True):
            f.op("sub", value, value, low, note="256 * S1")
        words = [f"[stream, #{offset + 4 * number + 8 * word}]" for word in range(self.words)]
        if self.words == 1:
            self._single(f, values, registers[number], registers[2], scaled=scaled)
            return
        if scaled:
            for value in values:
                f.op("asr", value, value, "#8")
        if self.code == TFLITE_CODE:
            f.loads(*zip(registers, words, strict=True))
            self._tflite(f, values, registers)
        elif self.code == TFLITE_ANY_CODE:
            self._tflite_any(f, values, registers, words)
        else:
            f.loads(*zip(registers[:2], words, strict=True))
            for value in values:
                f.op("add", value, registers[1], value, f"lsl #{self.code}")
                f.op("smmulr", value, value, registers[0])
                self._saturate(f, value)

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

    def _tflite(self, f: Function, values: Sequence[str], registers: Registers) -> None:
        """2m - 2^32 is the multiplier, and the sum is added back: all modulo 2^32."""
        doubled, offset, right = registers
        for value in values:
            f.op("add", "tile", value, value, "asr #31")
            f.op("add", "tile", "tile", offset)
            f.op("smmlar", value, value, doubled, "tile")
            f.op("asr", value, value, right)
            self._saturate(f, value)

    def _tflite_any(
        self, f: Function, values: Sequence[str], registers: Registers, words: Sequence[str]
    ) -> None:
        """The same with a left shift, and the zero point added last. The correction for negative
        sums and the half are nothing where nothing is shifted right: logical shifts by 32 or more,
        of which -1 is one, leave nothing."""
        one, two, three = registers
        f.op("ldr", one, words[2])
        f.op("lsr", two, one, "#8")
        for value in values:
            f.op("lsl", value, value, two)
        f.op("uxtb", one, one)
        f.op("sub", two, one, "#1")
        f.op("mov", three, "#1")
        f.op("lsl", two, three, two)
        f.op("cmp", one, "#0")
        f.op("ite", "eq")
        f.op("moveq", three, "#63")
        f.op("movne", three, "#31")
        f.op("ldr", one, words[0])
        for value in values:
            f.op("lsr", "tile", value, three)
            f.op("sub", "tile", two, "tile")
            f.op("add", "tile", "tile", value)
            f.op("smmlar", value, value, one, "tile")
        f.loads((one, words[2]), (two, words[1]))
        f.op("uxtb", one, one)
        for value in values:
            f.op("asr", value, value, one)
            f.op("add", value, value, two)
            self._saturate(f, value)

    def _saturate(self, f: Function, value: str, *shift: str) -> None:
        f.op("ssat", value, "#8", value, *shift)
        for bound, test, whole in ((self.low, "lt", -128), (self.high, "gt", 127)):
            if bound != whole:  # tighter than int8's range
                f.op("cmp", value, f"#{bound}")
                f.op("it", test)
                f.op(f"mov{test}", value, f"#{bound}")
