"""Writes one function of network.S: named registers, one instruction a line.

What enters: instructions, whose operands are names. What leaves: GNU syntax that gcc and clang
assemble alike. Always holds: a name has one register and no two names of a moment share one; an
operand that is no declared name, label or literal is refused; the function obeys AAPCS (IHI 0042:
r4 to r11 and d8 to d15 are saved if they are named, and the stack stays 8-byte aligned), so any C
compiler, debugger or interrupt can live with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from mbn.passes.kernels.asm import ordered
from mbn.passes.kernels.asm.dependences import Run

_CORE = re.compile(r"r([0-9]|1[0-2])|lr")
_SINGLE = re.compile(r"s([12]?[0-9]|3[01])")
_VECTOR = re.compile(r"q[0-7]")
_WORD = re.compile(r"(?<![#\w.])[a-z_]\w*")
# what an operand may hold besides names: shifts, the stack, conditions
_FIXED = {"lsl", "lsr", "asr", "ror", "sp", "lt", "gt", "eq"}
# gas and clang know these as registers, so nothing else can be called so
_TAKEN = re.compile(r"[rsdqpcav]\d+|lr|pc|sp|ip|fp|sl|sb|wr|cc|apsr\w*")
_ARGUMENTS = "ARGUMENT"  # stands for the offset of an argument on the stack
Order = Callable[[Run, Mapping[str, str]], Run]  # of a run, registers by name: a better order
_CALLEE = tuple(f"r{n}" for n in range(4, 12))


class Function:
    """Collects a function. name: without the network's prefix. about: what it computes, as lines of
    a comment. arguments: names of r0, r1, ... at its start."""

    def __init__(self, name: str, about: str, arguments: Sequence[str]) -> None:
        self.name = name
        self._about = about
        self._names: dict[str, str] = {}
        self._map: list[tuple[str, str, str]] = []
        self._lines: list[str] = []
        self._labels: set[str] = set()
        self._locals = 0
        self._tables: list[str] = []
        self._slots: dict[str, str] = {}
        self._run: Run | None = None
        for number, argument in enumerate(arguments):
            self.define(argument, f"r{number}", "argument")

    # -- registers ---------------------------------------------------------------------------

    def define(self, name: str, register: str, meaning: str = "") -> str:
        """Gives a register a name, until `release`. Returns the name."""
        assert any(kind.fullmatch(register) for kind in (_CORE, _SINGLE, _VECTOR)), register
        assert not _TAKEN.fullmatch(name), f"{name} is a register's own name"
        assert name not in self._names, f"{name} has a register already"
        holder = next((one for one, at in self._names.items() if at == register), None)
        assert holder is None, f"{register} is {holder}, so it can't be {name}"
        self._names[name] = register
        self._map.append((register, name, meaning))
        self._lines.append(f"{name} .req {register}")
        return name

    def define_all(self, names: Mapping[str, tuple[str, str]]) -> None:
        """Names registers: name to register and meaning."""
        for name, (register, meaning) in names.items():
            self.define(name, register, meaning)

    def alias(self, name: str, old: str, meaning: str = "") -> str:
        """A second name for a register, where it holds something else for a while."""
        register = self._names[old]
        assert name not in self._names and not _TAKEN.fullmatch(name), name
        self._names[name] = register
        self._map.append((register, name, meaning))
        self._lines.append(f"{name} .req {register}")
        return name

    def slot(self, name: str, offset: int) -> str:
        """Names a word of the stack, `offset` bytes from sp, for `put` and `get`."""
        self._slots[name] = f"[sp, #{offset}]"
        return name

    def put(self, name: str, source: str) -> None:
        """Keeps a register's value in a slot or an FPU register."""
        if name in self._slots:
            self.op("str", source, self._slots[name], note=name)
        else:
            self.op("vmov", name, source)

    def get(self, name: str, source: str) -> None:
        """name = what `put` kept."""
        if source in self._slots:
            self.op("ldr", name, self._slots[source], note=source)
        else:
            self.op("vmov", name, source)

    def release(self, *names: str) -> None:
        """Frees the registers of names."""
        for name in names:
            if self._slots.pop(name, None):
                continue
            del self._names[name]
            self._lines.append(f".unreq {name}")

    def rename(self, old: str, name: str, meaning: str = "") -> str:
        """Another name for a register that goes on holding something."""
        register = self._names[old]
        self.release(old)
        return self.define(name, register, meaning)

    # -- lines -------------------------------------------------------------------------------

    def op(self, mnemonic: str, *operands: str, note: str = "") -> None:
        """One instruction. note: a comment behind it."""
        self.together((mnemonic, *operands), note=note)

    def together(self, *lines: tuple[str, ...], note: str = "") -> None:
        """Instructions, mnemonic and operands each, that stay one behind the other."""
        for operand in (operand for line in lines for operand in line[1:]):
            for word in _WORD.findall(operand):
                assert word in self._names or word in _FIXED, f"{word} has no register"
        if self._run is not None:
            self._run.append((lines, note))
            return
        for mnemonic, *operands in lines:
            self._write(_line(mnemonic, operands), note)
            note = ""

    @contextmanager
    def ordered(self, order: Order = ordered.order) -> Iterator[None]:
        """What is written meanwhile is put in a better order; by default in the one that a core
        with two issue slots likes. Registers keep their names meanwhile."""
        assert self._run is None
        self._run = []
        yield
        run, self._run = self._run, None
        for lines, note in order(run, self._names):
            self.together(*lines, note=note)

    def loads(self, *what: tuple[str, str], note: str = "") -> None:
        """A run of loads: (name, address) each. On the M3 and M4 the first costs two cycles and
        each other one (DDI 0439, 3.3.1), so they are kept together."""
        for name, address in what:
            self.op("ldr", name, address, note=note)
            note = ""

    def add(self, name: str, value: int, source: str | None = None, spare: str = "") -> None:
        """name = source + value; `spare` is overwritten where the value is no immediate: where the
        source is another, by default the name's own register."""
        source = source or name
        spare = spare or (name if source != name else "")
        if value == 0 and source == name:
            return
        if abs(value) < 4096:
            self.op("addw" if value >= 0 else "subw", name, source, f"#{abs(value)}")
            return
        assert spare, f"{name} + {value} needs a spare register"
        self.constant(spare, value)
        self.op("add", name, source, spare)

    def constant(self, name: str, value: int) -> None:
        """name = value, any 32 bits."""
        word = value & 0xFFFFFFFF
        self.op("movw", name, f"#{word & 0xFFFF}")
        if word >> 16:
            self.op("movt", name, f"#{word >> 16}")

    def label(self, name: str) -> str:
        """Places a label here."""
        assert name not in self._labels, name
        self._labels.add(name)
        self._lines.append(f"{self.local(name)}:")
        return name

    def fresh(self, stem: str) -> str:
        """A label's name that is not in use."""
        self._locals += 1
        return f"{stem}{self._locals}"

    def branch(self, mnemonic: str, label: str) -> None:
        self._write(f"{mnemonic:<7} {self.local(label)}", "")

    def align(self) -> None:
        """The next instruction's address is a multiple of four."""
        self._lines.append("    .p2align 2")

    def stack_argument(self, number: int) -> str:
        """The address of an argument after the four in registers."""
        return f"[sp, #{_ARGUMENTS}{number}]"

    def comment(self, text: str) -> None:
        self._lines.append(f"    @ {text}")

    def table(self, words: Sequence[int]) -> str:
        """A table of words in read-only memory. Returns its label, for `address`."""
        label = f"{self.local('table')}{len(self._tables)}"
        rows = [words[at : at + 8] for at in range(0, len(words), 8)]
        lines = [f"    .word   {', '.join(map(str, row))}" for row in rows]
        self._tables.append("\n".join([f"{label}:", *lines]))
        return label

    def address(self, name: str, label: str) -> None:
        """name = the address of a table, or of code."""
        assert name in self._names
        self._write(f"movw    {name}, #:lower16:{label}", "")
        self._write(f"movt    {name}, #:upper16:{label}", "")

    # -- the whole ---------------------------------------------------------------------------

    def text(self, frame_bytes: int = 0) -> str:
        """The function. PREFIX stands for the network's. frame_bytes: of the stack, at sp, a
        multiple of 8."""
        assert frame_bytes % 8 == 0
        code, end, begin = self._ends(frame_bytes)
        own = f"PREFIX_{self.name}"
        lines = [
            re.sub(rf"{_ARGUMENTS}(\d)", lambda found: str(begin + 4 * int(found[1])), line)
            for line in self._lines
        ]
        head = [f"@ {line}".rstrip() for line in self._about.splitlines()]
        head += ["@", *self._register_map()]
        tables = []
        if self._tables:
            tables = [f'    .section .rodata.{own}, "a", %progbits', "    .p2align 2"]
            tables += self._tables
        return "\n".join(
            [
                *head,
                f'    .section .text.{own}, "ax", %progbits',
                f"    .global {own}",
                f"    .hidden {own}",
                f"    .type   {own}, %function",
                "    .p2align 2",
                "    .thumb_func",
                f"{own}:",
                "    .cfi_startproc",
                *code,
                *lines,
                "    movs    r0, #0",
                *end,
                "    .cfi_endproc",
                f"    .size   {own}, . - {own}",
                *[f".unreq {name}" for name in self._names],
                *tables,
                "",
            ]
        )

    def _ends(self, frame_bytes: int) -> tuple[list[str], list[str], int]:
        """What the function begins and ends with, and bytes from sp to arguments on the stack."""
        names = {register for register, _, _ in self._map}
        saved = [one for one in _CALLEE if one in names]
        saved += [] if len(saved) % 2 else ["r3"]  # keeps the stack's alignment
        singles = [int(one[1:]) for one in names if one.startswith("s")]
        halves = [n // 2 for n in singles]
        halves += [2 * int(one[1:]) + 1 for one in names if one.startswith("q")]
        doubles = max([7, *halves]) - 7
        code = [f"    push    {{{', '.join([*sorted(saved, key=_number), 'lr'])}}}"]
        pushed = 4 * len(saved) + 4
        code += [f"    .cfi_def_cfa_offset {pushed}", "    .cfi_offset lr, -4"]
        for at, one in enumerate(sorted(saved, key=_number, reverse=True), 2):
            code.append(f"    .cfi_offset {one}, -{4 * at}")
        several = "d8" if doubles == 1 else f"d8-d{7 + doubles}"
        if doubles:
            code += [f"    vpush   {{{several}}}"]
            code += [f"    .cfi_adjust_cfa_offset {8 * doubles}"]
        if frame_bytes:
            code += [f"    sub     sp, #{frame_bytes}", f"    .cfi_adjust_cfa_offset {frame_bytes}"]
        end = [f"    add     sp, #{frame_bytes}"] if frame_bytes else []
        end += [f"    vpop    {{{several}}}"] if doubles else []
        end += [f"    pop     {{{', '.join([*sorted(saved, key=_number), 'pc'])}}}"]
        return code, end, pushed + 8 * doubles + frame_bytes

    def _register_map(self) -> list[str]:
        uses: dict[str, list[str]] = {}
        for register, name, meaning in self._map:
            told = f"{name} ({meaning})" if meaning else name
            if told not in uses.setdefault(register, []):
                uses[register].append(told)
        order = sorted(uses, key=lambda one: (one[0] in "sq", _number(one)))
        return [f"@ {register:<4} {', '.join(uses[register])}" for register in order]

    def local(self, label: str) -> str:
        """A label as the assembler knows it."""
        return f".L{self.name}_{label}"

    def _write(self, text: str, note: str) -> None:
        assert self._run is None, "only instructions can be ordered"
        self._lines.append(f"    {text:<40} @ {note}" if note else f"    {text}".rstrip())


def _line(mnemonic: str, operands: Sequence[str]) -> str:
    return f"{mnemonic:<7} {', '.join(operands)}"


def _number(register: str) -> int:
    return 14 if register == "lr" else int(register[1:])
