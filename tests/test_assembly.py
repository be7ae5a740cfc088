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
from mbn.core.lowered import PREFIX, Assembly, StageCode
from mbn.core.network import Network
from mbn.core.options import InputMode
from mbn.harness.host.emulator import qemu_command
from mbn.image.build import build_image
from mbn.passes.emit.assembly import CONDITION
from mbn.passes.kernels import build_stage, candidates
from mbn.passes.kernels.asm.function import Function
from mbn.passes.kernels.layout import row_layout
from networks import conv, depthwise, make_network
from shares import some
from tflite_form import in_tflite

MOST = 60  # cases of an image: the exit status has 8 bits
ROUNDS = 6
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
    assert "vpush   {d8-d8}" in text and "vpop    {d8-d8}" in text
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


# -- bodies and their twins ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Case:
    """A function, the stream that its stage gives it, and arguments after the output."""

    function: Assembly
    stream: np.ndarray
    more: str
    tile_bytes: int
    out_bytes: int


def cases_of(network: Network, kernels: str) -> Iterator[Case]:
    """Every function that any way of building the network calls."""
    seen = set()
    for stage in network.stages:
        for option in candidates(network, stage, KERNEL_SETS[kernels]):
            code = build_stage(network, stage, KERNEL_SETS[kernels], option)
            row = row_layout(network.stage_output(stage), is_input=False).row_bytes
            for function in code.assembly:
                if function.name not in seen:
                    seen.add(function.name)
                    stream = next(t.values for t in code.tables if t.name == "pointwise")
                    more = _more(code, function)
                    yield Case(function, stream, more, code.scratch_bytes, option.rows * row)


def _more(code: StageCode, function: Assembly) -> str:
    """What the stage gives it after the output's address; 0 for what is no constant."""
    found = next(m[2] for m in ARGUMENTS.finditer(code.text) if m[1] == function.name)
    words = [word.strip() for word in found.split(",")[3:]]
    return "".join(f", {word if word.isdigit() else 0}" for word in words)


def written(cases: list[Case], folder: Path, kernels: str = "dsp") -> Path:
    """network.S, cases.h and an empty network.h."""
    folder.mkdir(parents=True)
    texts = {case.function.name: case.function.text for case in cases}
    body = "\n".join(texts.values()).replace(f"{PREFIX}_", "t_")
    (folder / "network.S").write_text(
        f"#if {CONDITION}\n    .syntax unified\n    .thumb\n{body}\n#endif\n"
    )
    (folder / "network.h").write_text("")
    lines = [f'#include "{kernels}/kernels.h"', ""]
    lines += ["typedef struct { void (*written)(int8_t *); void (*twin)(int8_t *);"]
    lines += ["    uint32_t tile_bytes, out_bytes; } kernel_case;"]
    for name in texts:
        case = next(one for one in cases if one.function.name == name)
        f = case.function
        lines.append(f"int32_t t_{name}({f.parameters});")
        lines.append(f"static int32_t twin_{name}({f.parameters})\n{{ {f.twin} return 0; }}")
    for number, case in enumerate(cases):
        values = ", ".join(f"(int32_t){int(v) & 0xFFFFFFFF}u" for v in case.stream.reshape(-1))
        lines.append(f"static const int32_t stream_{number}[] = {{{values}}};")
        for kind in ("t", "twin"):
            call = f"{kind}_{case.function.name}(case_tile(), stream_{number}, out{case.more});"
            lines.append(f"static void {kind}_{number}(int8_t *out)\n{{ {call} }}")
    table = "".join(
        f"{{t_{n}, twin_{n}, {case.tile_bytes}, {case.out_bytes}}}," for n, case in enumerate(cases)
    )
    lines += [f"enum {{ CASE_COUNT = {len(cases)}, CASE_ROUNDS = {ROUNDS} }};"]
    lines += [f"enum {{ CASE_TILE_BYTES = {max(case.tile_bytes for case in cases)} }};"]
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


DRAWS = {
    "single": lambda: [networks.draw(seed) for seed in range(6)],
    "tflite": lambda: [in_tflite(networks.draw(seed)) for seed in range(20, 26)],
    "edges": lambda: list(edges()),
}


@pytest.mark.parametrize("draws", some(DRAWS, "edges"))
@pytest.mark.parametrize(
    ("kernels", "name"), [("dsp", "qemu"), ("dsp", "qemu-m33"), ("m7", "qemu-m7")]
)
def test_bodies_are_their_twins(kernels: str, name: str, draws: str, tmp_path: Path) -> None:
    cases = [case for network in DRAWS[draws]() for case in cases_of(network, kernels)]
    assert len(cases) >= 4
    if draws == "tflite":  # multipliers below one half, and any
        assert {"any" in case.function.name for case in cases} == {False, True}
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


def test_clang_assembles_the_same(tmp_path: Path) -> None:
    clang = shutil.which("clang-19") or shutil.which("clang")
    if clang is None:
        pytest.skip("clang is not installed")
    cases = [case for network in edges() for case in cases_of(network, "dsp")]
    source = written(cases[:MOST], tmp_path / "c") / "network.S"
    core = find_board("qemu").core.gcc_flags
    texts = []
    for compiler in (["arm-none-eabi-gcc"], [clang, "--target=arm-none-eabi"]):
        made = tmp_path / f"{len(texts)}.o"
        subprocess.run([*compiler, *core, "-c", str(source), "-o", str(made)], check=True)
        dump = ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", str(made)]
        shown = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
        lines = [line.split("\t", 1)[-1] for line in shown.splitlines() if "\t" in line]
        texts.append([line for line in lines if line != "nop"])  # behind a function, to align
    assert len(texts[0]) > 1000
    assert texts[0] == texts[1]


# -- interrupts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qemu", "qemu-m7", "qemu-m33", "qemu-m55"])
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
