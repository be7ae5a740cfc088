"""Counting and modelling: against an independent trace of QEMU, and the tables rule by rule."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mbn.core import elf
from mbn.core.boards import find_board
from mbn.core.errors import BoardError, ToolError
from mbn.core.target import Board, Image
from mbn.harness.cost import (
    Cost,
    CostResult,
    disassembly,
    functions,
    llvm,
    m_profile,
    measure,
    pipeline_model,
    plugin,
)
from mbn.harness.cost.count import Execution, count
from mbn.harness.cost.disassembly import Instruction
from mbn.harness.cost.measurement import branches_taken, joined
from mbn.harness.host.emulator import qemu_command

Builder = Callable[..., Image]
STAGES = 2  # of the hand-made network
COUNTED = ["qemu", "qemu-m0", "qemu-m3", "qemu-m7", "qemu-m33", "qemu-m55", "stm32f405"]
_TRACED = re.compile(r"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")

M4_TARGET = llvm.Target("thumbv7em-none-eabihf", "cortex-m4")
M55_TARGET = llvm.Target("thumbv8.1m.main-none-eabihf", "cortex-m55")


# -- counting ------------------------------------------------------------------------------------


def _trace(board: Board, image: Path, log: Path) -> Counter[int | str]:
    """Instructions by stage from QEMU's own trace of single instructions: no plugin, no blocks."""
    words = ("-serial", "none", "-semihosting-config", "enable=on,target=native")
    tracing = ("-singlestep", "-d", "exec,nochain", "-D", str(log))
    subprocess.run(qemu_command(board, image, *words, *tracing), timeout=120, check=True)
    symbols = elf.symbols(image)
    at = {symbol.name: symbol.address for symbol in symbols}
    enter, leave = at["mbn_bench_enter"], at["mbn_bench_leave"]
    ours = [s for s in symbols if s.is_function and s.name.startswith("mbn_bench_")]
    found: Counter[int | str] = Counter()
    stage: int | str = "driver"
    with log.open(encoding="ascii") as lines:
        for line in lines:
            match = _TRACED.match(line)
            if match is None:
                continue
            pc = int(match[1], 16)
            if enter <= pc < enter + 1024 or leave <= pc < leave + 1024:
                found["harness"] += 1
                stage = (pc - enter) // 4 if enter <= pc < enter + 1024 else "driver"
            elif any(s.address <= pc < s.address + s.size_bytes for s in ours):
                found["harness"] += 1
            else:
                found[stage] += 1
    log.unlink()
    return found


def _bench(build: Builder, board: Board, runs: int = 1) -> Path:
    image = build(board, "bench", MBN_BENCH_RUNS=str(runs))
    return image.elf


@pytest.mark.parametrize("name", ["qemu", "qemu-m0", "qemu-m3", "qemu-m55"])
def test_instructions_are_those_of_a_trace(build: Builder, name: str, tmp_path: Path) -> None:
    board = find_board(name)
    result = measure(board, _bench(build, board), STAGES, tmp_path)
    two = _trace(board, _bench(build, board, 2), tmp_path / "two.log")
    two.subtract(_trace(board, _bench(build, board, 1), tmp_path / "one.log"))
    counted = {k: cost.instructions for k, cost in enumerate(result.stages)}
    counted |= {"driver": result.driver.instructions, "harness": result.harness.instructions}
    assert counted == dict(two)


@pytest.mark.parametrize("name", COUNTED)
def test_counts_repeat_and_add_up(build: Builder, name: str, tmp_path: Path) -> None:
    board = find_board(name)
    first, second = (
        measure(board, _bench(build, board), STAGES, tmp_path / folder) for folder in ("a", "b")
    )
    assert first == second
    assert len(first.stages) == STAGES
    assert all(cost.instructions > 0 for cost in first.stages)
    everything = _plugin_total(tmp_path / "a" / "bench-2.blocks") - _plugin_total(
        tmp_path / "a" / "bench-1.blocks"
    )
    assert first.total.instructions + first.harness.instructions == everything
    assert first.total.instructions == first.driver.instructions + sum(
        cost.instructions for cost in first.stages
    )


def _plugin_total(path: Path) -> int:
    rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()[:-1]]
    return sum(int(insns) * int(runs) for _, insns, _, runs, *_ in rows)


def test_more_runs_in_the_image_change_nothing(build: Builder, tmp_path: Path) -> None:
    board = find_board("qemu")
    one = measure(board, _bench(build, board, 1), STAGES, tmp_path / "1")
    two = measure(board, _bench(build, board, 2), STAGES, tmp_path / "2")
    assert one == two


def test_progress_is_told(build: Builder, tmp_path: Path) -> None:
    board = find_board("qemu")
    told: list[tuple[int, int]] = []
    measure(
        board,
        _bench(build, board),
        STAGES,
        tmp_path,
        progress=lambda done, of: told.append((done, of)),
    )
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_refused_plugin_version_leads_to_the_next(
    build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = find_board("qemu")
    image = _bench(build, board)
    wanted = measure(board, image, STAGES, tmp_path / "plain")
    monkeypatch.setattr(plugin, "VERSIONS", (99, *plugin.VERSIONS))
    assert measure(board, image, STAGES, tmp_path / "again") == wanted
    monkeypatch.setattr(plugin, "VERSIONS", (99,))
    with pytest.raises(ToolError, match="accepts no plugin of interface versions"):
        measure(board, image, STAGES, tmp_path / "none")


def test_folder_with_a_comma(build: Builder, tmp_path: Path) -> None:
    board = find_board("qemu")
    assert measure(board, _bench(build, board), STAGES, tmp_path / "a,b").stages


def test_what_can_not_be_counted(build: Builder, app: Image, tmp_path: Path) -> None:
    board = find_board("qemu")
    image = _bench(build, board)
    if not app.board.native:
        with pytest.raises(ToolError, match=r"mbn_bench_enter.*wanted: an image of the bench"):
            measure(app.board, app.elf, STAGES, tmp_path)
    with pytest.raises(BoardError, match="there is no emulator for host"):
        measure(find_board("host"), image, STAGES, tmp_path)
    with pytest.raises(ToolError, match="is not a little-endian ELF file"):
        measure(board, Path(__file__), STAGES, tmp_path)
    with pytest.raises(ToolError, match="did not end within 0 s"):
        measure(board, image, STAGES, tmp_path, timeout_s=0.0)
    with pytest.raises(ToolError, match="has 257 stages"):
        measure(board, image, 257, tmp_path)


def test_missing_programs_name_their_package(
    build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = find_board("qemu")
    image = _bench(build, board)
    count(board, image, STAGES, tmp_path / "made")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="apt-get install qemu-system-arm"):
        measure(board, image, STAGES, tmp_path / "made")
    with pytest.raises(ToolError, match="apt-get install gcc"):
        measure(board, image, STAGES, tmp_path / "none")


@pytest.mark.parametrize("name", ["qemu", "qemu-m7"])
def test_without_llvm_cycles_are_unknown(
    build: Builder, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = find_board(name)
    monkeypatch.setattr(llvm, "_VERSIONS", ("-none",))
    result = measure(board, _bench(build, board), STAGES, tmp_path)
    assert result.total.instructions > 0
    assert result.total.modelled_cycles is None
    assert all(cost.modelled_cycles is None for cost in (*result.stages, result.driver))
    assert "apt-get install llvm-19" in " ".join(result.notes)


def test_core_without_model_is_unknown(build: Builder, tmp_path: Path) -> None:
    board = find_board("qemu")
    odd = dataclasses.replace(board, core=dataclasses.replace(board.core, name="cortex-m99"))
    result = measure(odd, _bench(build, board), STAGES, tmp_path)
    assert result.total.modelled_cycles is None
    assert "no model of the cortex-m99" in result.notes[0]


@pytest.mark.parametrize("name", COUNTED)
def test_every_core_has_modelled_cycles(build: Builder, name: str, tmp_path: Path) -> None:
    board = find_board(name)
    result = measure(board, _bench(build, board), STAGES, tmp_path)
    cycles = [cost.modelled_cycles for cost in (*result.stages, result.driver)]
    assert result.total.modelled_cycles == sum(number or 0 for number in cycles)
    assert all(cycles)
    assert result.model.startswith("modelled, zero-wait memory: ")
    assert 0.4 < (result.total.modelled_cycles or 0) / result.total.instructions < 3


def test_the_same_code_costs_the_same_on_the_stm32(build: Builder, tmp_path: Path) -> None:
    """Both are M4s; only addresses and start-up differ."""
    results = [
        measure(find_board(name), _bench(build, find_board(name)), STAGES, tmp_path / name)
        for name in ("qemu", "stm32f405")
    ]
    assert results[0].stages == results[1].stages


def test_unknown_makes_a_sum_unknown() -> None:
    known, unknown = Cost(3, 5), Cost(2, None)
    assert known + known == Cost(6, 10)
    assert known + unknown == Cost(5, None)
    result = CostResult((known, unknown), known, known, "", ())
    assert result.total == Cost(8, None)


def test_plugin_compiles_without_warnings(tmp_path: Path) -> None:
    strict = "-Wall -Wextra -Wconversion -Wshadow -Wcast-align=strict -Wstrict-prototypes -Werror"
    command = ["gcc", "-std=c11", "-O2", *strict.split(), "-fPIC", "-c", str(plugin.SOURCE)]
    subprocess.run([*command, "-o", str(tmp_path / "plugin.o")], check=True)


def test_block_with_a_mark_and_more_is_refused(build: Builder, tmp_path: Path) -> None:
    """The first mark's bx lr becomes a nop, so that its block runs into the next mark."""
    board = find_board("qemu")
    image = _bench(build, board)
    enter = next(s.address for s in elf.symbols(image) if s.name == "mbn_bench_enter")
    data = bytearray(image.read_bytes())
    at = elf.Contents(image).file_offset(enter, 2)
    data[at : at + 2] = b"\x00\xbf"
    broken = tmp_path / "broken.elf"
    broken.write_bytes(data)
    with pytest.raises(ToolError, match="a block holds a mark and other code"):
        measure(board, broken, STAGES, tmp_path)


# -- branches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("b\t#-4", 10),
        ("bl\t#1000", 10),
        ("bx\tlr", 10),
        ("bne\t#-4", 7),
        ("bhs.w\t#-400", 7),
        ("cbz\tr0, #4", 7),
        ("wls\tlr, r0, #8", 7),
        ("le\tlr, #-20", 0),  # no refill: the loop's begin is kept
        ("bic\tr0, r1", 0),
        ("bfi\tr0, r1, #3, #4", 0),
        ("pop\t{r4, pc}", 0),  # in the instruction's own cycles
        ("adds\tr0, r0, #1", 0),
    ],
)
def test_branches_taken(text: str, taken: int) -> None:
    execution = Execution(0, (b"\0\0",), None, False, runs=10, fell_through=3)
    assert branches_taken(execution, [Instruction.parse(text)]) == taken


def test_blocks_that_always_follow_each_other_are_one() -> None:
    """QEMU ends a block at a page; a loop's two pieces are modelled as the loop that they are."""
    known = {b"ab": Instruction.parse("adds\tr0, r0, #1"), b"br": Instruction.parse("bne\t#-4")}
    first = Execution(0x3FE, (b"ab",), 2, False, runs=10, fell_through=10)
    second = Execution(0x400, (b"ab", b"br"), 2, False, runs=10, fell_through=1)
    other = Execution(0x404, (b"ab",), 2, False, runs=1, fell_through=1)
    whole = Execution(0x3FE, (b"ab", b"ab", b"br"), 2, False, runs=10, fell_through=1)
    assert joined([second, other, first], known) == [whole, other]
    assert len(joined([first, dataclasses.replace(second, stage=3)], known)) == 2
    assert len(joined([first, dataclasses.replace(second, runs=11)], known)) == 2


def test_functions_add_up(build: Builder, tmp_path: Path) -> None:
    """What single functions cost is what the stages and the driver cost together."""
    board = find_board("qemu-m7")
    image = _bench(build, board)
    found = functions(board, image, STAGES, tmp_path / "a")
    whole = measure(board, image, STAGES, tmp_path / "b").total
    assert whole.modelled_cycles is not None
    assert sum(one.instructions for one in found) == whole.instructions
    assert round(sum(one.modelled_cycles for one in found)) == pytest.approx(
        whole.modelled_cycles, abs=10
    )
    assert all(one.calls >= 0 for one in found) and any(one.calls > 0 for one in found)


# -- the tables ----------------------------------------------------------------------------------


def _cycles(table: m_profile.Table, *lines: str) -> int:
    return m_profile.block_cycles(table, [Instruction.parse(line) for line in lines])


@pytest.mark.parametrize(
    ("lines", "cycles"),
    [
        (["adds\tr0, r0, #1"], 1),
        (["mul\tr0, r1, r2"], 1),
        (["mla\tr0, r1, r2, r3"], 1),
        (["smlad\tr0, r1, r2, r3"], 1),
        (["smull\tr0, r1, r2, r3"], 1),
        (["smlal\tr0, r1, r2, r3"], 1),
        (["sdiv\tr0, r1, r2"], 7),
        (["it\teq"], 1),
        (["bne\t#-4"], 1),
        (["ldr\tr0, [r1]"], 2),
        (["ldrsb.w\tr0, [r1, r2]"], 2),
        (["ldr\tr0, [r1]", "ldr\tr2, [r3]"], 3),
        (["ldr\tr0, [r1]", "ldr\tr2, [r0]"], 4),  # the address is what was loaded
        (["ldr\tr0, [r1]", "ldr\tr2, [r3, r0, lsl #2]"], 4),
        (["ldr\tr1, [r3]", "ldr\tr2, [r10]"], 3),  # r1 is no part of r10
        (["ldr\tr0, [r1]", "nop", "ldr\tr2, [r3]"], 5),
        (["str\tr0, [r1]", "ldr\tr2, [r0]"], 2),  # a store gives no address
        (["ldr\tr0, [r1], #4", "ldr\tr2, [r3], #4", "ldr\tr4, [r5], #4"], 4),
        (["str\tr0, [r1, #4]"], 1),
        (["strb\tr0, [r1, r2]"], 2),
        (["str\tr0, [r1], #4"], 1),
        (["str\tr0, [r1, #4]!"], 1),
        (["ldr\tr0, [r1]", "strb\tr2, [r3, r4]"], 3),
        (["ldm\tr0!, {r1, r2, r3}"], 4),
        (["ldm.w\tr0, {r1, r2-r5, r12}"], 7),
        (["push.w\t{r4, r5, r6, r7, r8, lr}"], 7),
        (["pop\t{r4, pc}"], 5),
        (["ldrd\tr0, r1, [r2]"], 3),
        (["ldr\tpc, [r0]"], 4),
        (["mov\tpc, r0"], 3),
        (["vmov\ts0, r0"], 1),
        (["vmov\tr0, r1, d0"], 2),
        (["vldr\ts0, [r0]"], 2),
        (["vldr\td0, [r0]"], 3),
        (["vpush\t{d8, d9}"], 5),
        (["vldmia\tr0, {s0, s1, s2}"], 4),
        (["vmla.f32\ts0, s1, s2"], 3),
        (["vfma.f32\ts0, s1, s2"], 3),
        (["vdiv.f32\ts0, s1, s2"], 14),
        (["vadd.f32\ts0, s1, s2"], 1),
    ],
)
def test_m4_table(lines: Sequence[str], cycles: int) -> None:
    assert _cycles(m_profile.M4, *lines) == cycles
    assert _cycles(m_profile.M33, *lines) == cycles


@pytest.mark.parametrize(
    ("line", "cycles"),
    [("mul\tr0, r1, r2", 1), ("mla\tr0, r1, r2, r3", 2), ("mls\tr0, r1, r2, r3", 2)]
    + [(f"{name}\tr0, r1, r2, r3", 5) for name in ("smull", "umull")]
    + [(f"{name}\tr0, r1, r2, r3", 7) for name in ("smlal", "umlal")],
)
def test_m3_multiplies(line: str, cycles: int) -> None:
    assert _cycles(m_profile.M3, line) == cycles


@pytest.mark.parametrize(
    ("lines", "cycles"),
    [
        (["muls\tr0, r1, r0"], 1),
        (["ldr\tr0, [r1]", "ldr\tr2, [r3]"], 4),
        (["str\tr0, [r1]"], 2),
        (["push\t{r4, lr}"], 3),
        (["pop\t{r4, pc}"], 5),
        (["bl\t#100"], 2),  # and the refill: 3
        (["dsb\tsy"], 3),
        (["mov\tpc, r0"], 2),
    ],
)
def test_m0plus_table(lines: Sequence[str], cycles: int) -> None:
    assert m_profile.M0PLUS.refill == 1
    assert _cycles(m_profile.M0PLUS, *lines) == cycles


# -- LLVM ----------------------------------------------------------------------------------------


def test_opcodes_are_read() -> None:
    opcodes = {
        "0868": ("ldr", ("r0", "[r1]")),
        "51f8040b": ("ldr", ("r0", "[r1]", "#4")),
        "bde8f081": ("pop", ("{r4, r5, r6, r7, r8, pc}",)),
        "fed1": ("bne", ("#-4",)),
        "21fb0233": ("smlad", ("r3", "r1", "r2", "r3")),
        "08bf": ("it", ("eq",)),
        "00bf": ("nop", ()),
    }
    known = disassembly.disassemble(M4_TARGET, [bytes.fromhex(code) for code in opcodes])
    found = {code.hex(): (one.name, one.operands) for code, one in known.items()}
    assert found == opcodes


def test_predicates_touch_no_neighbour() -> None:
    """Behind ITT an add stays an add, behind VPST and VPT a vadd a vadd, in whatever order."""
    itt, add, vadd = "04bf", "0130", "20ef4208"
    vpst, vpt = "71fe4d0f", "41fe028f"
    codes = [bytes.fromhex(code) for code in (itt, add, vadd, vpst, vpt, "ffffffff")]
    known = disassembly.disassemble(M55_TARGET, codes)
    names = [known[code].name for code in codes[:5]]
    assert names == ["it", "adds", "vadd", "vpst", "vpte"]
    assert [known[code].is_predicate for code in codes[:5]] == [True, False, False, True, True]
    assert codes[5] not in known


def _block(*lines: str) -> tuple[Instruction, ...]:
    return tuple(Instruction.parse(line) for line in lines)


def test_pipeline_model_issues_two_at_a_time() -> None:
    """The M7 issues two independent instructions a cycle, dependent ones in turn."""
    target = llvm.Target("thumbv7em-none-eabihf", "cortex-m7")
    apart = _block(*(f"add.w\tr{k}, r{k}, #1" for k in range(8)))
    chain = _block(*["smlad\tr0, r1, r2, r0"] * 8)
    notes: list[str] = []
    cycles = pipeline_model.block_cycles(target, [apart, chain], notes)
    assert cycles[apart] < 7
    assert cycles[chain] >= 8
    assert notes == []


def test_what_llvm_can_not_model_counts_as_one_and_is_told() -> None:
    good = _block("add.w\tr0, r0, #1", "bne\t#-4")
    bad = _block("frobnicate\tr0", "nop")
    notes: list[str] = []
    cycles = pipeline_model.block_cycles(M55_TARGET, [good, bad, _block("bx\tlr")], notes)
    assert cycles[bad] == pytest.approx(3, abs=0.1)  # and the nop that stands for a branch
    assert 1 <= cycles[good] < 3
    assert "no model of 1 instructions" in notes[0]
