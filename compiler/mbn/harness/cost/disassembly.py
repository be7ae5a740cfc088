"""Opcodes to instructions, by LLVM's disassembler.

Each instruction is disassembled alone. One inside an IT or VPT block reads like the plain one,
since the core issues it in any case.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mbn.harness.cost import llvm

# Behind a predicate, up to four: LLVM would print what follows as predicated.
_NOPS = b"\x00\xbf" * 4
_ENCODING = re.compile(r"\s*@ encoding: \[([0-9a-fx,]+)\]\s*$")
_COMMA = re.compile(r",\s*(?![^\[{]*[\]}])")
_PREDICATE = re.compile(r"it[te]{0,3}|vpt[te]{0,3}|vpst[te]{0,3}")
_BRANCH = re.compile(
    r"b|bl|blx|bx|bxns|blxns|cbz|cbnz|tbb|tbh|le|letp|wls|wlstp"
    r"|b(eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)"
)


@dataclass(frozen=True)
class Instruction:
    """An instruction: `name` without width and type suffix, `operands` as LLVM writes them."""

    text: str  # "ldr.w\tr0, [r1, #4]", for llvm-mca
    name: str
    operands: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Instruction:
        """An instruction from a line of assembly. Commas within brackets and braces do not separate
        operands."""
        mnemonic, _, rest = text.strip().partition("\t")
        rest = rest.strip()
        operands = tuple(_COMMA.split(rest)) if rest else ()
        return cls(text.strip(), mnemonic.split(".")[0], operands)

    @property
    def is_branch(self) -> bool:
        """Whether it only branches (unlike pop {pc} and ldr pc)."""
        return _BRANCH.fullmatch(self.name) is not None

    @property
    def is_predicate(self) -> bool:
        """Whether it is IT, VPT or VPST, which only say how the next instructions are executed."""
        return _PREDICATE.fullmatch(self.name) is not None

    @property
    def registers(self) -> int:
        """How many registers are in its braces; a range counts as all in it."""
        listed = re.search(r"\{(.*)\}", self.text)
        if listed is None:
            return 0
        total = 0
        for part in listed[1].split(","):
            numbers = [int(number) for number in re.findall(r"\d+", part)]
            total += numbers[1] - numbers[0] + 1 if "-" in part else 1
        return total


def disassemble(target: llvm.Target, opcodes: Iterable[bytes]) -> Mapping[bytes, Instruction]:
    """The instruction of each opcode, without those that LLVM does not know. Raises `ToolError`."""
    wanted = sorted(set(opcodes))
    found = {code: Instruction.parse("it\teq") for code in wanted if _is_it(code)}
    lines = []
    for code in wanted:
        if code not in found:
            lines.append(_bytes(code))
            if code[1] >= 0xEC:  # VPT and VPST are here
                lines.append(_bytes(_NOPS))
    said = llvm.disassembled(target, "\n".join(lines) + "\n")
    for line in said.splitlines():
        match = _ENCODING.search(line)
        if match:
            code = bytes(int(byte, 16) for byte in match[1].split(","))
            found[code] = Instruction.parse(line[: match.start()])
    return {code: found[code] for code in wanted if code in found}


def _bytes(code: bytes) -> str:
    return f"[{' '.join(f'{byte:#04x}' for byte in code)}]"


def _is_it(code: bytes) -> bool:
    """IT, not a hint: ARMv7-M Architecture Reference Manual, A5.2.5."""
    (halfword,) = struct.unpack_from("<H", code)
    return bool(halfword >> 8 == 0xBF and halfword & 0xF)
