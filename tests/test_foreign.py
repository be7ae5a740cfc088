"""The exported library in other people's builds: other compilers, flags, warnings, two networks.

What enters: small networks, exported for each kernel set. What leaves: nothing but failures. Always
holds: where a build ends well, the library's own example compares every bit with the reference;
programs for Cortex-M run in QEMU.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import shares
from mbn.cli import compile as compile_command
from mbn.core.boards import find_board
from mbn.core.telling import SILENT
from mbn.harness.host.emulator import qemu_command
from mbn.image.export.library import Library
from mbn.jobs import export as export_job
from test_export import SCRIPT, START

BOARDS = ("qemu", "qemu-m7", "qemu-m33", "qemu-m55", "qemu-m3", "qemu-m0")
STRICT = (
    *("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wundef"),
    *("-Wcast-qual", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"),
)
NEWLIB = "/usr/lib/arm-none-eabi/include"
CLANG = ("clang-19", "--target=arm-none-eabi", "-isystem", NEWLIB)
Exported = Callable[..., Path]

clang = pytest.mark.skipif(shutil.which("clang-19") is None, reason="apt-get install clang-19")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """exported(board, name, seed) -> a folder; of drawn weights, 32x32x3, three classes."""
    made: dict[tuple[str, str, int], Library] = {}
    root = tmp_path_factory.mktemp("foreign")

    def get(board: str, name: str = "net", seed: int = 1, form: str = "cmake") -> Path:
        key = (board, name, seed)
        folder = root / "-".join((*map(str, key), form))
        if key not in made:
            arguments = ["--board", board, "--weights", f"random:{seed}", "--resolution", "32"]
            arguments += ["--alpha", "0.25"]
            arguments += ["--classes", "3", "--samples", "1", "--output", str(folder / "work")]
            parsed = compile_command.parser().parse_args(arguments)
            job = compile_command.job_of(parsed, find_board(board))
            made[key] = export_job.library(job, SILENT, name)
        if not (folder / "lib").exists():
            export_job.write(made[key], form, folder / "lib")
        return folder / "lib"

    return get


def run(*command: str | Path, timeout_s: float = 120) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def sources(folder: Path) -> list[Path]:
    return sorted((folder / "src").rglob("*.[cS]"))


def emulated(
    board: str, folder: Path, compiler: tuple[str, ...], at: Path, cpu: str | None = None
) -> None:
    """Builds the example with these words for the library, and runs it: its status must be 0. cpu:
    what the library is built for, where that is not the board's core."""
    core = find_board(board).core.gcc_flags
    known = core if compiler[0] == GCC else [word for word in core if word != "-mfpu=auto"]
    if cpu is not None:
        known = [f"-mcpu={cpu}" if word.startswith("-mcpu=") else word for word in known]
    (at / "start.c").write_text(START)
    (at / "link.ld").write_text(
        SCRIPT.replace("8192", "65536")
    )  # without optimisation it takes more
    example = (folder / "examples" / "classify.c").read_text()
    text = re.sub(r"        printf\(.*\n|    printf\(.*\n|#include <stdio.h>\n", "", example)
    (at / "main.c").write_text(text)
    objects = []
    include = f"-I{folder / 'src'}"
    for source in sources(folder):
        objects.append(at / f"{source.stem}.o")
        run(*compiler, *known, "-ffunction-sections", include, "-c", source, "-o", objects[-1])
    gcc = ("arm-none-eabi-gcc", *core, "-O1", include, "-nostartfiles", f"-T{at / 'link.ld'}")
    program = at / "program.elf"
    run(*gcc, at / "main.c", at / "start.c", *objects, "-o", program, "-Wl,--gc-sections")
    semihosting = ("-semihosting-config", "enable=on,target=native", "-serial", "none")
    run(*qemu_command(find_board(board), program, *semihosting))


GCC = "arm-none-eabi-gcc"
FLAGS = {
    "debug": (GCC, "-O0", "-g"),
    "debugger": (GCC, "-Og"),
    "size": (GCC, "-Os"),
    "frame pointer": (GCC, "-O2", "-fno-omit-frame-pointer"),
    "instrumented": (
        GCC,
        "-O2",
        "-finstrument-functions",
        "-finstrument-functions-exclude-file-list=start",
    ),
    "portable": (GCC, "-O2", "-ffixed-r9", "-DMBN_PORTABLE"),
    "clang": (*CLANG, "-O2"),
    "clang, debug": (*CLANG, "-O0"),
}


@pytest.mark.parametrize("board", ["qemu", "qemu-m7", "qemu-m55", "qemu-m0", "qemu-m3"])
@pytest.mark.parametrize("flags", shares.some(FLAGS, "debug", "portable", "clang"))
def test_same_bits_under_flags(exported: Exported, board: str, flags: str, tmp_path: Path) -> None:
    if "clang" in flags and shutil.which("clang-19") is None:
        pytest.skip("apt-get install clang-19")
    folder = exported(board)
    if flags == "instrumented":  # what such a program brings
        attribute, hooks = "__attribute__((no_instrument_function)) void ", ""
        for end in ("enter", "exit"):
            hooks += (
                f"{attribute}__cyg_profile_func_{end}(void *f, void *c) {{ (void)f; (void)c; }}\n"
            )
        shutil.copytree(folder, tmp_path / "lib")
        folder = tmp_path / "lib"
        (folder / "src" / "hooks.c").write_text(hooks)
    emulated(board, folder, FLAGS[flags], tmp_path)


@clang
def test_clang_builds_for_the_m85(exported: Exported, tmp_path: Path) -> None:
    """GCC 12 knows no M85. The emulated M55 runs what it is built as: no pointer is signed."""
    emulated("qemu-m55", exported("qemu-m55"), (*CLANG, "-O2"), tmp_path, "cortex-m85")


def test_cmake_finds_a_register_that_is_taken(exported: Exported, tmp_path: Path) -> None:
    """-ffixed-r9, by CMAKE_C_FLAGS or by add_compile_options above: plain C; else the asm."""
    cpu = " ".join(find_board("qemu").core.gcc_flags)
    for name, flags, above in (("c", "", ""), ("a", "-ffixed-r9", ""), ("b", "", "-ffixed-r9")):
        top = tmp_path / name
        top.mkdir()
        (top / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.21)\nproject(top LANGUAGES C)\n"
            + (f"add_compile_options({above})\n" if above else "")
            + f"add_subdirectory({exported('qemu')} lib)\n"
        )
        run(
            *("cmake", "-S", top, "-B", top / "b", "-G", "Ninja", f"-DCMAKE_C_FLAGS={cpu} {flags}"),
            *("-DCMAKE_SYSTEM_NAME=Generic", "-DCMAKE_C_COMPILER=arm-none-eabi-gcc"),
            *("-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY", "-DNET_EXAMPLES=OFF"),
        )
        run("ninja", "-C", top / "b")
        code = run("arm-none-eabi-objdump", "-d", *(top / "b" / "lib").glob("*.a"))
        assert ("smlad" in code) == (not flags and not above), name


@clang
@pytest.mark.parametrize("board", ["qemu", "qemu-m7", "qemu-m55", "qemu-m3"])
@pytest.mark.parametrize("level", shares.some(["-O2", "-O3"], "-O2"))
def test_clang_natively(exported: Exported, board: str, level: str, tmp_path: Path) -> None:
    """Tables are aligned where they are defined as their declarations let a compiler think."""
    folder = exported(board)
    words = ("clang-19", level, f"-I{folder / 'src'}", *sources(folder))
    run(*words, folder / "examples" / "classify.c", "-o", tmp_path / "program")
    run(tmp_path / "program")


@pytest.mark.parametrize("board", shares.some(BOARDS, "qemu", "qemu-m0", "qemu-m55"))
def test_no_warnings_in_c(exported: Exported, board: str, tmp_path: Path) -> None:
    folder = exported(board)
    cross = (GCC, *find_board(board).core.gcc_flags)
    compilers = [cross, ("gcc",)] + ([("clang-19",)] if shutil.which("clang-19") else [])
    for compiler in compilers:
        for standard in ("c11", "gnu17", "c2x"):
            words = (*compiler, f"-std={standard}", "-O2", *STRICT, f"-I{folder / 'src'}")
            for source in sources(folder):
                run(*words, "-c", source, "-o", tmp_path / "u.o")


WINDOWS = (
    *(
        "near",
        "far",
        "NEAR",
        "FAR",
        "pascal",
        "cdecl",
        "CALLBACK",
        "IN",
        "OUT",
        "OPTIONAL",
        "CONST",
    ),
    *("interface struct", "small char", "hyper __int64", "min(a, b) (a)", "max(a, b) (a)"),
    *("ERROR 0", "DELETE 1", "TRUE 1", "FALSE 0", "VOID void", "unix 1", "linux 1"),
)


def test_headers_in_cpp_and_behind_windows_macros(exported: Exported, tmp_path: Path) -> None:
    folder = exported("qemu")
    text = "".join(f"#define {words}\n" for words in WINDOWS)
    text += "#include <net.h>\n#include <net_sample.h>\nstatic net_state state;\nint main()\n{\n"
    text += "    if (net_init(&state) != MBN_OK) { return net_sample[0]; }\n"
    text += "    const int8_t *const output = mbn_output(&state.base);\n"
    text += "    return output == nullptr ? net_sample_output[0] : net_camera_output[0];\n}\n"
    (tmp_path / "u.cpp").write_text(text)
    compilers = ["arm-none-eabi-g++", "g++"] + (
        ["clang++-19"] if shutil.which("clang++-19") else []
    )
    flags = [word for word in STRICT if "prototypes" not in word]
    flags += ["-Wold-style-cast", "-Wzero-as-null-pointer-constant"]
    for compiler in compilers:
        for standard in ("c++11", "gnu++14", "c++17", "c++20"):
            words = (compiler, f"-std={standard}", *flags, f"-I{folder / 'src'}")
            run(*words, "-c", tmp_path / "u.cpp", "-o", tmp_path / "u.o")


BOTH = """
#include <aa.h>
#include <aa_sample.h>
#include <bb.h>
#include <bb_sample.h>
#include <string.h>
static aa_state a;
static bb_state b;
static int run(mbn_state *state, const int8_t *row, const int8_t *wanted, size_t size)
{
    for (unsigned y = 0; y < 32u; y++, row += 96) {
        if (mbn_push_row(state, row) != MBN_OK) { return 1; }
    }
    return mbn_finish(state) != MBN_OK || memcmp(mbn_output(state), wanted, size) != 0;
}
int main(void)
{
    if (aa_init(&a) != MBN_OK || bb_init(&b) != MBN_OK) { return 9; }
    return run(&a.base, aa_sample, aa_sample_output, AA_OUTPUT_BYTES) +
           2 * run(&b.base, bb_sample, bb_sample_output, BB_OUTPUT_BYTES);
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang-19"])
def test_two_networks_in_one_program(exported: Exported, compiler: str, tmp_path: Path) -> None:
    """As archives, as all their objects (Arduino), as whole archives (Zephyr)."""
    if shutil.which(compiler) is None:
        pytest.skip(f"apt-get install {compiler}")
    folders = {"aa": exported("qemu", "aa", 1), "bb": exported("qemu", "bb", 2)}
    (tmp_path / "main.c").write_text(BOTH)
    includes = [f"-I{folder / 'src'}" for folder in folders.values()]
    main = tmp_path / "main.o"
    run(compiler, "-O1", *includes, "-c", tmp_path / "main.c", "-o", main)
    objects: dict[str, list[Path]] = {name: [] for name in folders}
    for name, folder in folders.items():
        for source in sources(folder):
            objects[name].append(tmp_path / f"{name}_{source.stem}.o")
            include = f"-I{folder / 'src'}"
            run(compiler, "-O2", include, "-c", source, "-o", objects[name][-1])
        run("ar", "rcs", tmp_path / f"lib{name}.a", *objects[name])
    archives = [tmp_path / "libaa.a", tmp_path / "libbb.a"]
    for way in (
        archives,
        [*objects["aa"], *objects["bb"]],
        ["-Wl,--whole-archive", *archives, "-Wl,--no-whole-archive"],
    ):
        run(compiler, main, *way, "-o", tmp_path / "program")
        run(tmp_path / "program")


def test_fpu_that_is_off_is_a_status(exported: Exported, tmp_path: Path) -> None:
    """mbn_begin looks where the kernels keep data in its registers, and only there. (On the M55
    gcc's own code before it uses vectors: a fault, which is no wrong result either.)"""
    for board, status in (("qemu", 4), ("qemu-m7", 4), ("qemu-m3", 0)):
        folder = exported(board)
        at = tmp_path / board
        at.mkdir()
        (at / "start.c").write_text(START.replace("|= 0x00F00000u", "&= ~0x00F00000u"))
        (at / "link.ld").write_text(SCRIPT)
        (at / "main.c").write_text(
            '#include "net.h"\nstatic net_state state;\n'
            "int main(void) { return -(int)net_init(&state); }\n"
        )
        core = find_board(board).core.gcc_flags
        program = at / "program.elf"
        run(
            *("arm-none-eabi-gcc", *core, "-O2", f"-I{folder / 'src'}", "-nostartfiles"),
            *(f"-T{at / 'link.ld'}", at / "main.c", at / "start.c", *sources(folder)),
            *("-o", program),
        )
        semihosting = ("-semihosting-config", "enable=on,target=native", "-serial", "none")
        command = qemu_command(find_board(board), program, *semihosting)
        assert subprocess.run(command, check=False, timeout=120).returncode == status, board
