"""The assembly that the compiler writes: the builder's checks, and each body beside its twin in C.

What enters: drawn networks' stages. What leaves: on the emulated cores, equal outputs, untouched
bytes around them, and kept registers; the same with clang's assembler; and inference disturbed by
interrupts.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import lowered
import networks
from mbn.core.boards import find_board
from mbn.core.kernel_set import KERNEL_SETS
from mbn.core.lowered import PREFIX, Assembly, StageCode, parameter_names
from mbn.core.network import Network, Op
from mbn.core.options import InputMode
from mbn.harness.host.emulator import qemu_command
from mbn.image.build import build_image
from mbn.passes.emit.assembly import CONDITION
from mbn.passes.kernels import build_stage, candidates
from mbn.passes.kernels.asm.band import written as write_band
from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.asm.ordered import Instruction, cycles_of, instruction, ordered
from mbn.passes.kernels.asm.parts import Band, Part, Place
from mbn.passes.kernels.asm.rounding import Rounding as RoundingForm
from mbn.passes.kernels.layout import row_layout
from networks import Spec, conv, depthwise, make_network
from shares import some
from tflite_form import in_tflite

MOST = 60  # cases of an image: the exit status has 8 bits
ROUNDS = 6
PATCH_BYTES = 4 * (4 * 127 + 16)  # the largest: passes/kernels/mve/depthwise.py
ARGUMENTS = re.compile(rf"{PREFIX}_(\w+)\((.*)\);")


# -- the builder ---------------------------------------------------------------------------------


def test_a_function_saves_what_the_convention_says() -> None:
    f = Function("some", "Something.", ("from", "to"))
    f.define("word", "r5", "what is moved")
    f.define("waiting", "s17")
    f.op("vmov", "waiting", "word")
    text = f.text(frame_bytes=8)
    assert "push    {r3, r5, lr}" not in text  # an even number of words keeps sp's alignment
    assert "push    {r5, lr}" in text and "pop     {r5, pc}" in text
    assert "vpush   {d8}" in text and "vpop    {d8}" in text
    assert "sub     sp, #8" in text and "add     sp, #8" in text
    assert "@ r5   word (what is moved)" in text and "word .req r5" in text


def test_registers_are_not_used_twice() -> None:
    f = Function("some", "Something.", ("from",))
    with pytest.raises(AssertionError, match="r0 is from, so it can't be other"):
        f.define("other", "r0")
    with pytest.raises(AssertionError, match="from has a register already"):
        f.define("from", "r1")
    with pytest.raises(AssertionError, match="nothing has no register"):
        f.op("add", "from", "nothing", "#1")
    with pytest.raises(AssertionError, match="a register's own name"):
        f.define("v1", "r4")
    f.release("from")
    with pytest.raises(AssertionError, match="from has no register"):
        f.op("add", "from", "from", "#1")
    assert f.define("other", "r0") == "other"


# -- the order for two issue slots ---------------------------------------------------------------

NAMES = {name: f"r{number}" for number, name in enumerate(("a", "b", "c", "d", "e", "to"))}


def run_of(*lines: tuple[str, ...]) -> list[Instruction]:
    return [instruction([line], NAMES) for line in lines]


def test_an_order_keeps_what_depends() -> None:
    run = run_of(
        ("ldr", "a", "[to, #0]"),
        ("smlad", "b", "a", "c", "b"),
        ("ldr", "a", "[to, #4]"),
        ("smlad", "b", "a", "d", "b"),
        ("str", "b", "[sp, #8]"),
        ("ldr", "e", "[sp, #8]"),
        ("cmp", "e", "a"),
    )
    found = [one.lines[0] for one in ordered(run)]
    assert sorted(found) == sorted(one.lines[0] for one in run)
    assert [line for line in found if line[0] != "cmp"] == [one.lines[0] for one in run][:-1]


def test_an_order_lets_nothing_wait() -> None:
    """Eight products and four loads: a product a cycle, and one for the first load of a turn."""
    lines: list[tuple[str, ...]] = []
    for at, word in enumerate(("a", "b", "c", "d")):
        lines += [("ldr", word, f"[to, #{4 * at}]")]
        lines += [("smlad", "e", word, word, "e"), ("smlabb", "e", word, word, "e")]
    run = run_of(*lines)
    assert cycles_of(run) == 3 * 12  # as written, three turns of the loop
    assert cycles_of(ordered(run)) == 3 * 9


def test_what_stays_together_is_one() -> None:
    clamp = instruction(
        [("cmp", "a", "#3"), ("it", "gt"), ("movgt", "a", "#3")], NAMES, "at most 3"
    )
    assert (dict(clamp.reads), clamp.writes) == ({"r0": 0}, {"r0", "flags"})
    shifted = instruction([("add", "a", "b", "c", "asr #31")], NAMES)
    assert shifted.shifted and dict(shifted.reads) == {"r1": 0, "r2": -1}


@pytest.mark.parametrize("shape", [(8, 3), (64, 3), (8, 1)], ids=str)
def test_the_m7s_pointwise_multiplies_nearly_always(shape: tuple[int, int]) -> None:
    """15 cycles besides the products where three pixels are requantised; asm/pointwise_m7.py."""
    pairs, pixels = shape
    band = Band(pairs, pairs + 4, 64, RoundingForm(0, -128, 127), two_slots=True)
    part = Part(pixels, 1, 0, 4, 2, False, (Place(0, 0, 2),))
    runs: list[list[Instruction]] = []

    def watched(run: list[Instruction]) -> list[Instruction]:
        runs.append(ordered(run))
        return runs[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mbn.passes.kernels.asm.ordered.ordered", watched)
        write_band("some", "Something.", band, [part], "")
    loop = max(runs, key=len)
    least = {3: 6, 1: 3}[pixels] * pairs  # one pixel: two SXTB16 a pair are the bound
    assert cycles_of(loop) / 3 <= least + 17


# -- bodies and their twins ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Case:
    """A function, the tables that its stage gives it, and its arguments: names of C for pointers,
    numbers for the rest."""

    function: Assembly
    tables: dict[str, np.ndarray]
    arguments: str
    input_bytes: int
    out_bytes: int


def cases_of(network: Network, kernels: str) -> Iterator[Case]:
    """Every function that any way of building the network calls."""
    seen = set()
    for stage in network.stages:
        for option in candidates(network, stage, KERNEL_SETS[kernels]):
            code = build_stage(network, stage, KERNEL_SETS[kernels], option)
            into = row_layout(network.stage_input(stage), is_input=False)
            out = row_layout(network.stage_output(stage), is_input=False)
            for function in code.assembly:
                found = (function.name, *((stage.name, option.rows) if function.shared else ()))
                if found in seen:
                    continue
                seen.add(found)
                tables = {table.name: table.values for table in code.tables}
                sizes = (code.scratch_bytes, option.rows * out.row_bytes)
                if reads_rows(function):
                    sizes = (3 * into.row_bytes, code.scratch_bytes)
                yield Case(function, tables, arguments(code, function, into.row_bytes), *sizes)


def reads_rows(function: Assembly) -> bool:
    """Whether it fills the tile from the input's rows, as a depthwise and im2col do."""
    return not {"words", "weights", "edge"}.isdisjoint(parameter_names(function.parameters))


def arguments(code: StageCode, function: Assembly, row_bytes: int) -> str:
    """What the stage gives it; 0 for what is no constant. Rows are three, in turns."""
    found = next(m[2] for m in ARGUMENTS.finditer(code.text) if m[1] == function.name)
    passed = [word.strip() for word in found.split(",")]
    names = [name for name in parameter_names(function.parameters) if name != "..."]
    names += [f"row{k}" for k in range(len(passed) - len(names))]  # behind "..."
    given = dict(zip(names, passed, strict=True))
    tables = {table.name for table in code.tables}
    words = []
    for name, word in given.items():
        if name.startswith("row"):
            words.append(f"(const int8_t *)case_input() + {int(name[3:]) % 3 * row_bytes}")
        elif name in ("patch", "unpacked"):
            words.append(f"(void *)case_{name}")
        elif (label := re.match(r"\(&\((\w+)\[0\]\)\)", word)) and label[1] in tables:
            words.append(f"(const void *)table_{label[1]}")
        elif name == "tile" and not reads_rows(function):
            words.append("case_input()")
        elif name in ("tile", "out"):
            words.append("out")
        else:
            words.append(word if word.isdigit() else "0")
    return ", ".join(words)


def written(cases: list[Case], folder: Path, kernels: str = "dsp") -> Path:
    """network.S, cases.h and an empty network.h."""
    folder.mkdir(parents=True)
    texts = {case.function.name: case.function.text for case in cases}
    for function in (case.function for case in cases if case.function.feature):
        texts[function.name] = f"#if {function.feature}\n{function.text}#endif\n"
    body = "\n".join(texts.values()).replace(f"{PREFIX}_", "t_")
    (folder / "network.S").write_text(
        f"#if {CONDITION}\n    .syntax unified\n    .thumb\n{body}\n#endif\n"
    )
    (folder / "network.h").write_text("")
    lines = [f'#include "{kernels}/kernels.h"', '#include "scalar/blocked.h"', ""]
    for scratch in ("patch", "unpacked"):
        if any(f"case_{scratch}" in case.arguments for case in cases):
            lines += [f"static _Alignas(8) int8_t case_{scratch}[{PATCH_BYTES}];"]
    lines += ["typedef struct { void (*written)(void *); void (*twin)(void *);"]
    lines += ["    uint32_t input_bytes, out_bytes, bytewise; } kernel_case;"]
    for name in texts:
        case = next(one for one in cases if one.function.name == name)
        f = case.function
        lines.append(f"static int32_t twin_{name}({f.parameters})\n{{ {f.twin} return 0; }}")
        declared = f"int32_t t_{name}({f.parameters});"
        if f.feature:  # without it, the twin is all that there is
            other = f"#define t_{name} twin_{name}"
            declared = f"#if {f.feature}\n{declared}\n#else\n{other}\n#endif"
        lines.append(declared)
    for number, case in enumerate(cases):
        for label, table in case.tables.items():
            if re.search(rf"table_{label}\b", case.arguments) is None:
                continue
            values = ", ".join(f"({table.dtype}_t){int(v)}ll" for v in table.reshape(-1))
            lines.append(f"static const {table.dtype}_t table_{number}_{label}[] = {{{values}}};")
        given = case.arguments.replace("table_", f"table_{number}_")
        for kind in ("t", "twin"):
            call = f"{kind}_{case.function.name}({given});"
            lines.append(f"static void {kind}_{number}(void *out)\n{{ {call} }}")
    halves = kernels in ("dsp", "m7")  # the pointwise's tile; it holds bytes elsewhere
    table = "".join(
        f"{{t_{n}, twin_{n}, {case.input_bytes}, {case.out_bytes}, "
        f"{int(not halves or reads_rows(case.function))}}},"
        for n, case in enumerate(cases)
    )
    lines += [f"enum {{ CASE_COUNT = {len(cases)}, CASE_ROUNDS = {ROUNDS} }};"]
    # Helium's bodies leave anything in spare bytes of the output
    lines += [f"enum {{ CASE_SPARE = {int(kernels == 'mve')} }};"]
    lines += [f"enum {{ CASE_INPUT_BYTES = {max(case.input_bytes for case in cases)} }};"]
    lines += [f"enum {{ CASE_OUT_BYTES = {max(case.out_bytes for case in cases)} }};"]
    lines += [f"static const kernel_case cases[] = {{{table}}};"]
    (folder / "cases.h").write_text("\n".join(lines) + "\n")
    return folder


def edges() -> Iterator[Network]:
    """Shapes that draws seldom have: long sums, odd numbers, groups that end in the next row."""
    yield make_network((6, 6, 16), [depthwise(1), conv(9), depthwise(1), conv(7)], seed=1)
    yield make_network((3, 3, 130), [depthwise(1), conv(5), conv(6)], seed=2)
    yield make_network((10, 10, 24), [depthwise(1), conv(10), depthwise(2), conv(12)], seed=3)
    yield make_network((4, 5, 300), [conv(4), conv(3)], seed=4)
    yield make_network((1, 1, 141), [conv(66)], seed=5)  # one pixel, enough products for vector.py
    ends = Spec(Op.CONV, channels=8, weights="ends")
    yield make_network((7, 7, 8), [depthwise(1), ends, depthwise(1), ends], seed=7)
    specs = [conv(5), depthwise(1), conv(7), depthwise(2), conv(3)]
    yield make_network((14, 14, 3), specs, seed=6)  # odd channels, rows of 4n + 2
    # windows of a colour image: one to four units of four pixels, and none
    for size, stride, padding in ((16, 2, "same"), (24, 2, "tensorflow"), (16, 1, "same")):
        yield make_network((size, size, 3), [conv(5, 3, stride=stride, padding=padding)], seed=size)
    # strips: one word, a word and a half, rows that need a loop, three rows at once, odd widths;
    # behind a convolution, because an image's own pixels are interleaved
    for size in (3, 4, 5, 6, 7, 9, 12, 50):
        yield make_network((size, size, 3), [conv(4), depthwise(1), conv(4)], seed=size)
    for size in (6, 8, 10, 12, 36, 58):
        for padding in ("same", "tensorflow"):
            specs = [conv(6), depthwise(2, padding), conv(6)]
            yield make_network((size, size, 3), specs, seed=size)


DRAWS = {
    "single": lambda: [networks.draw(seed) for seed in range(6)],
    "tflite": lambda: [in_tflite(networks.draw(seed)) for seed in range(20, 26)],
    "edges": lambda: list(edges()),
}


@pytest.mark.parametrize("draws", some(DRAWS, "edges"))
@pytest.mark.parametrize(
    ("kernels", "name"),
    [
        ("scalar", "qemu-m0"),
        ("scalar", "qemu-m3"),
        ("dsp", "qemu"),
        ("dsp", "qemu-m33"),
        ("m7", "qemu-m7"),
        ("mve", "qemu-m55"),
    ],
)
def test_bodies_are_their_twins(kernels: str, name: str, draws: str, tmp_path: Path) -> None:
    cases = [case for network in DRAWS[draws]() for case in cases_of(network, kernels)]
    assert len(cases) >= 4
    if draws == "tflite":  # multipliers below one half, and any
        for body in ("pointwise", "depthwise"):
            names = [one.function.name for one in cases if one.function.name.startswith(body)]
            assert {"any" in name for name in names} == {False, True}
    board = find_board(name)
    for start in range(0, len(cases), MOST):
        group = cases[start : start + MOST]
        folder = tmp_path / str(start)
        image = build_image(written(group, folder / "c", kernels), board, "kernels", folder)
        semihosting = ("-semihosting-config", "enable=on,target=native", "-serial", "none")
        command = qemu_command(board, image.elf, *semihosting)
        status = subprocess.run(command, timeout=60, check=False).returncode
        told = group[status // 4].function.name if status // 4 < len(group) else "?"
        assert status == 0, f"{told}: {('', 'beside', 'registers', 'output')[status % 4]}"


@pytest.mark.parametrize(
    ("kernels", "name"),
    [
        ("scalar", "qemu-m0"),
        ("scalar", "qemu-m3"),
        ("dsp", "qemu"),
        ("m7", "qemu-m7"),
        ("mve", "qemu-m55"),
    ],
)
def test_clang_assembles_the_same(kernels: str, name: str, tmp_path: Path) -> None:
    clang = shutil.which("clang-19") or shutil.which("clang")
    if clang is None:
        pytest.skip("clang is not installed")
    cases = [case for network in edges() for case in cases_of(network, kernels)]
    source = written(cases[:MOST], tmp_path / "c") / "network.S"
    core = [
        one for one in find_board(name).core.gcc_flags if one != "-mfpu=auto"
    ]  # clang's default
    texts = []
    for compiler in (["arm-none-eabi-gcc"], [clang, "--target=arm-none-eabi"]):
        made = tmp_path / f"{len(texts)}.o"
        subprocess.run([*compiler, *core, "-c", str(source), "-o", str(made)], check=True)
        dump = ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", str(made)]
        shown = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
        lines = [line.split("\t", 1)[-1] for line in shown.splitlines() if "\t" in line]
        # nop: behind a function, to align; "subs r6, r6, #1" has two short encodings
        lines = [re.sub(r"\t(\w+), \1, #", r"\t\1, #", line) for line in lines]
        texts.append([line for line in lines if not re.match(r"nop\b", line)])
    assert len(texts[0]) > 1000
    assert texts[0] == texts[1]


# -- interrupts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qemu-m0", "qemu-m3", "qemu", "qemu-m7", "qemu-m33", "qemu-m55"])
def test_interrupts_change_no_bit(name: str, tmp_path: Path) -> None:
    board = find_board(name)
    network = make_network(
        (24, 24, 3), [conv(16, 3, stride=2), depthwise(1), conv(32), depthwise(2), conv(64)]
    )
    generated = lowered.generate(network, board.core.kernels, InputMode.STREAM)
    generated.files.write(tmp_path / "c")
    image = build_image(tmp_path / "c", board, "interrupted", tmp_path)
    semihosting = ("-semihosting-config", "enable=on,target=native", "-serial", "none")
    # time by instructions, some 32 ns each: then the moments are the same in every run
    command = qemu_command(board, image.elf, *semihosting, "-icount", "shift=5")
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
