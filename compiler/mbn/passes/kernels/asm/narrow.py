"""A function of network.S for cores with the narrow instructions alone (ARMv6-M, ARMv8-M baseline).

Only r0 to r7 take part in arithmetic, an immediate has at most eight bits, and a conditional branch
reaches 256 bytes. Constants are read once, at the function's start, and kept on the stack.
"""

from __future__ import annotations

from collections.abc import Callable

from mbn.core.constants import TFLITE_CODE
from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.rounding import Rounding


class NarrowFunction(Function):
    """As Function. r4 to r11 are saved, whichever are named."""

    def literals(self, into: str, slots: dict[str, int | str]) -> None:
        """Keeps numbers, and addresses of labels, in slots of the stack. into: a spare register."""
        over = self.fresh("over")
        for slot, value in slots.items():
            number = value if isinstance(value, str) else f"0x{value & 0xFFFFFFFF:x}"
            self._write(f"ldr     {into}, ={number}", "")
            self.put(slot, into)
        self.branch("b", over)
        self._lines.append("    .ltorg")
        self.label(over)

    def begin_requantise(self, half: str) -> tuple[str, ...]:
        """Names all low registers for `multiplier` and `requantise`. half: the slot of 2^15.
        Returns the names; `at` is for the output's address."""
        names = {
            "mlow": ("r0", "low half of 2m"),
            "mhigh": ("r1", "high half of 2m"),
            "half": ("r2", "2^15"),
            "total": ("r3", "a sum, then its high half, then the result"),
            "low": ("r4", "low half of the sum"),
            "part": ("r5", "a word, then of the product"),
            "cross": ("r6", "of the product"),
            "at": ("r7", "output"),
        }
        self.define_all(names)
        self.get("half", half)
        return tuple(names)

    def multiplier(self, address: str, *, doubled: bool = True) -> None:
        """Loads a channel's 2m. doubled: else m is what is stored."""
        self.op("ldr", "mhigh", address)
        if not doubled:
            self.op("lsls", "mhigh", "mhigh", "#1")
        self.op("uxth", "mlow", "mhigh")
        self.op("lsrs", "mhigh", "mhigh", "#16")

    def requantise(self, rounding: Rounding, fetch: Callable[[int], None], kept: str) -> None:
        """Makes `total` an int8 value. fetch: loads word 1 or 2 behind the multiplier (rounding.py)
        into `part`. kept: a high register that may be overwritten."""
        short, exponent = rounding.code == TFLITE_CODE, rounding.code < 0
        if rounding.code > 0:
            fetch(1)
            self.op("lsls", "total", "total", f"#{rounding.code}")
            self.op("adds", "total", "total", "part")
        if exponent and not short:
            fetch(2)
            self.op("lsrs", "part", "part", "#8")
            self.op("lsls", "total", "part")
        if exponent:
            self.op("asrs", "low", "total", "#31")
            self.op("mov", kept, "low", note="-1 if negative")
        self._high_product()
        if exponent:
            self._divide(fetch, kept, short=short)
        self._saturate(rounding)

    def _high_product(self) -> None:
        """total = (total * 2m + 2^31) >> 32; by halves of 16 bits, as mbn_high_product."""
        self.op("uxth", "low", "total")
        self.op("asrs", "total", "total", "#16")
        self.op("mov", "part", "low")
        self.op("muls", "part", "mlow", "part")
        self.op("lsrs", "part", "part", "#16")
        self.op("muls", "low", "mhigh", "low")
        self.op("adds", "low", "low", "part")
        self.op("adds", "low", "low", "half", note="middle")
        self.op("uxth", "part", "low")
        self.op("lsrs", "low", "low", "#16")
        self.op("mov", "cross", "total")
        self.op("muls", "cross", "mlow", "cross")
        self.op("adds", "cross", "cross", "part")
        self.op("asrs", "cross", "cross", "#16")
        self.op("muls", "total", "mhigh", "total")
        self.op("adds", "total", "total", "low")
        self.op("adds", "total", "total", "cross")

    def _divide(self, fetch: Callable[[int], None], kept: str, *, short: bool) -> None:
        """By 2^e, half away from zero, and the zero point. Where the half is nothing (e = 0), a
        negative sum is not corrected."""
        if short:
            self.op("mov", "low", kept)
            fetch(1)
            self.op("adds", "low", "low", "part")
            self.op("adds", "total", "total", "low")
            fetch(2)
            self.op("asrs", "total", "part")
            return
        fetch(2)
        self.op("uxtb", "part", "part")
        self.op("movs", "low", "#1")
        self.op("lsls", "low", "part")
        self.op("lsrs", "low", "low", "#1", note="the half")
        self.op("mov", "cross", kept)
        self.op("adds", "low", "low", "cross")
        self.op("asrs", "cross", "low", "#31")
        self.op("bics", "low", "cross")
        self.op("adds", "total", "total", "low")
        self.op("asrs", "total", "part")
        fetch(1)
        self.op("adds", "total", "total", "part")

    def _saturate(self, rounding: Rounding) -> None:
        inside = self.fresh("inside")
        self.op("sxtb", "low", "total")
        self.op("cmp", "low", "total")
        self.branch("beq", inside)
        self.op("asrs", "total", "total", "#31")
        self.op("movs", "low", "#127")
        self.op("eors", "total", "low")
        self.label(inside)
        if rounding.is_whole:
            return
        self.op("adds", "total", "#128", note="the clamp, as immediates of eight bits")
        for bound, jump in ((rounding.low, "bge"), (rounding.high, "ble")):
            inside = self.fresh("inside")
            self.op("cmp", "total", f"#{bound + 128}")
            self.branch(jump, inside)
            self.op("movs", "total", f"#{bound + 128}")
            self.label(inside)
        self.op("subs", "total", "#128")

    def _ends(self, frame_bytes: int) -> tuple[list[str], list[str], int]:
        """r0 to r3 are arguments, so the high registers are saved through r4 to r7."""
        high = [(f"r{n}", f"r{n + 4}") for n in range(4, 8)]
        code = ["    push    {r3, r4, r5, r6, r7, lr}", "    .cfi_def_cfa_offset 24"]
        code += ["    .cfi_offset lr, -4"]
        code += [f"    .cfi_offset r{n}, -{4 * (9 - n)}" for n in range(7, 3, -1)]
        code += [f"    mov     {low}, {one}" for low, one in high]
        code += ["    push    {r4, r5, r6, r7}", "    .cfi_adjust_cfa_offset 16"]
        code += [f"    .cfi_offset {one}, -{40 - 4 * at}" for at, (_, one) in enumerate(high)]
        end = ["    pop     {r4, r5, r6, r7}"]
        end += [f"    mov     {one}, {low}" for low, one in high]
        end += ["    pop     {r3, r4, r5, r6, r7, pc}"]
        if frame_bytes:
            code += [f"    sub     sp, #{frame_bytes}", f"    .cfi_adjust_cfa_offset {frame_bytes}"]
            end = [f"    add     sp, #{frame_bytes}", *end]
        return code, end, 40 + frame_bytes
