"""How a sum becomes int8, in assembly for cores with the DSP extension; dsp/requantise.h in C.

A couple's words follow its weights, first channel, second channel, word by word:
    `single`, s = 0:  2m                     s > 0:  2m, Z
    `tflite`:         2m modulo 2^32, T, e
"""

from __future__ import annotations

from dataclasses import dataclass

from mbn.core.constants import TFLITE_CODE
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
        return 3 if self.code == TFLITE_CODE else 2 if self.code else 1

    @property
    def spares_tile(self) -> bool:
        """Whether the register `tile` is overwritten, because no other is left."""
        return self.code == TFLITE_CODE

    def begin(self, f: Function, registers: Registers, offset: int) -> Registers:
        """Loads what serves both channels of a couple. offset: of its words from `stream`."""
        if self.words == 1:
            f.loads(
                (registers[0], f"[stream, #{offset}]"),
                (registers[1], f"[stream, #{offset + 4}]"),
                note="2m",
            )
            f.op("mov", registers[2], "#128", note="one half, where sums are 256 times as large")
        return registers

    def channel(self, f: Function, registers: Registers, offset: int, number: int) -> Registers:
        """The registers that requantise the couple's first (0) or second channel."""
        if self.words == 1:
            return registers[number], registers[1 - number], registers[2]
        at = [f"[stream, #{offset + 4 * number + 8 * word}]" for word in range(self.words)]
        f.loads(*zip(registers, at, strict=False))
        return registers

    def apply(self, f: Function, value: str, by: Registers, *, scaled: bool) -> None:
        """Requantises and saturates in place. scaled: the sum is 256 times as large."""
        if self.words == 1 and scaled:
            # floor(floor(256 S m' / 2^32 + 128) / 256) is floor(S m' / 2^32 + 1 / 2)
            f.op("smmla", value, value, by[0], by[2])
            f.op("ssat", value, "#8", value, "asr #8")
            self._clamp(f, value)
            return
        if scaled:
            f.op("asr", value, value, "#8")
        if self.code == TFLITE_CODE:
            f.op("add", "tile", value, value, "asr #31")
            f.op("add", "tile", "tile", by[1])
            f.op("smmlar", value, value, by[0], "tile")
            f.op("asr", value, value, by[2])
        else:
            if self.code:
                f.op("add", value, by[1], value, f"lsl #{self.code}")
            f.op("smmulr", value, value, by[0])
        f.op("ssat", value, "#8", value)
        self._clamp(f, value)

    def _clamp(self, f: Function, value: str) -> None:
        """What is tighter than int8's range."""
        for bound, test, whole in ((self.low, "lt", -128), (self.high, "gt", 127)):
            if bound != whole:
                f.op("cmp", value, f"#{bound}")
                f.op("it", test)
                f.op(f"mov{test}", value, f"#{bound}")
