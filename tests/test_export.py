"""Exports: each form as its ecosystem wants it, built, and run with every bit as the reference's.

What enters: a small network with drawn weights. What leaves: nothing but failures. Always holds:
the examples compare their outputs with the host's reference themselves, so that a run that ends
well is a check; Cortex-M programs run in QEMU. Schemas in tests/schemas are written after the
documents that they name; PlatformIO's and Kconfig's own code reads their files.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import mbn
from mbn.cli import compile as compile_command
from mbn.core.board_file import load_board
from mbn.core.boards import find_board
from mbn.core.elf import symbols
from mbn.core.errors import BoardError, CheckError, UsageError
from mbn.core.target import data_root
from mbn.core.telling import SILENT
from mbn.harness.device.emulated import native
from mbn.harness.host.emulator import qemu_command
from mbn.image.export.library import FORMS, Library, exported, pack
from mbn.jobs import export as export_job
from mbn.passes.emit.names import ascii_name, check_prefix, plain, prefix_of, taken

SCHEMAS = Path(__file__).parent / "schemas"
NAME = "blobs"
NETWORK = ["--weights", "random:1", "--resolution", "32", "--classes", "3", "--samples", "1"]
M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
LABELS = ["cat", 'a "dog" ??/', "für Ärzte"]
STRICT = "-Wall -Wextra -Wconversion -Werror"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The network for the M4, lowered once for all forms."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    arguments = ["--board", "qemu", *NETWORK, "--output", str(folder)]
    arguments += ["--labels", str(folder / "labels.txt")]
    job = compile_command.job_of(compile_command.parser().parse_args(arguments), find_board("qemu"))
    return export_job.library(job, SILENT, NAME)


@pytest.fixture(scope="module")
def folders(library: Library, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every form's folder."""
    root = tmp_path_factory.mktemp("exports")
    for form in FORMS:
        export_job.write(library, form, root / form)
    return {form: root / form for form in FORMS}


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout or done.stderr  # QEMU's semihosting console


# A Cortex-M program without a board: vectors, semihosting, all of MPS2's memory.
START = r"""
#include <stddef.h>
#include <stdint.h>
extern int main(void);
extern uint32_t stack_top[];
static long host(long operation, const void *argument)
{
    register long r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
void print(const char *text) { (void)host(4, text); }
static void reset(void)
{
    *(volatile uint32_t *)0xE000ED88u |= 0x00F00000u;
    const uint32_t ended[2] = {0x20026u, (uint32_t)main()};
    (void)host(0x20, ended);
    for (;;) { }
}
static void fault(void)
{
    const uint32_t ended[2] = {0x20026u, 99u};
    (void)host(0x20, ended);
    for (;;) { }
}
__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
    stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    (void *)fault};
"""
SCRIPT = """
MEMORY { flash : ORIGIN = 0, LENGTH = 4M  ram : ORIGIN = 0x20000000, LENGTH = 4M }
ENTRY(reset)
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text* .rodata*) } > flash
  .bss (NOLOAD) : { *(.bss* .data* COMMON) . += 8192; . = ALIGN(8); stack_top = .; } > ram
}
"""


def emulate(program: Path) -> str:
    """Runs a program that ends by semihosting; what it printed. Its exit status must be 0."""
    semihosting = ("-semihosting-config", "enable=on,target=native", "-serial", "none")
    return run(*qemu_command(find_board("qemu"), program, *semihosting))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with start.c, the linker script, and an Arduino.h for the console."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "start.c").write_text(START)
    (folder / "link.ld").write_text(SCRIPT)
    (folder / "Arduino.h").write_text(
        "#pragma once\n#include <stddef.h>\n#include <stdint.h>\n"
        'extern "C" void print(const char *text);\n'
        "struct Console { void begin(long) {} void print(const char *t) { ::print(t); }\n"
        "  void print(char c) { const char t[2] = {c, 0}; ::print(t); }\n"
        "  void print(int v) { if (v < 0) { print('-'); v = -v; }\n"
        "    if (v > 9) { print(v / 10); } print((char)('0' + v % 10)); }\n"
        '  void println() { ::print("\\n"); }\n'
        "  void print(unsigned v) { print((int)v); }\n"
        "  void println(unsigned v) { print(v); println(); }\n"
        "  void println(const char *t) { ::print(t); println(); } };\n"
        "extern Console Serial;\ninline void delay(unsigned long) {}\nvoid setup();\nvoid loop();\n"
    )
    (folder / "core.cpp").write_text(
        '#include "Arduino.h"\nConsole Serial;\nint main() { setup(); loop(); return 0; }\n'
    )
    return folder


def configure(source: Path, build: Path, *options: str) -> None:
    run("cmake", "-S", source, "-B", build, "-G", "Ninja", *options)
    run("ninja", "-C", build)


def test_cmake_natively(folders: dict[str, Path], tmp_path: Path, library: Library) -> None:
    """In a debug build, with strict warnings; the outputs are printed and compared."""
    flags = f"-DCMAKE_C_FLAGS={STRICT}"
    configure(folders["cmake"], tmp_path / "b", "-DCMAKE_BUILD_TYPE=Debug", flags)
    for example, wanted in (
        ("classify", library.example.output),
        ("camera_rows", library.example.camera_output),
    ):
        printed = run(tmp_path / "b" / "examples" / f"{NAME}_{example}").split("\n")
        assert [int(word) for word in printed[0].split()] == wanted.tolist()
        assert printed[1] == f"class {wanted.argmax()}: {LABELS[wanted.argmax()]}"


def test_cmake_package_on_a_cortex_m(folders: dict[str, Path], tmp_path: Path, bare: Path) -> None:
    """Installed, found by find_package, linked as mbn::blobs into a program that QEMU runs."""
    common = [
        f"-DCMAKE_TOOLCHAIN_FILE={data_root() / 'cmake' / 'arm-none-eabi.cmake'}",
        f"-DCMAKE_C_FLAGS={' '.join(M4)} {STRICT}",
    ]
    build = tmp_path / "build"
    prefix = f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'installed'}"
    configure(folders["cmake"], build, *common, prefix, "-DBLOBS_EXAMPLES=OFF")
    run("ninja", "-C", build, "install")
    app = tmp_path / "app"
    app.mkdir()
    example = (folders["cmake"] / "examples" / "classify.c").read_text()
    # without a C library behind it there is no printf
    text = re.sub(r"        printf\(.*\n|    printf\(.*\n|#include <stdio.h>\n", "", example)
    (app / "main.c").write_text(text)
    (app / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(app LANGUAGES C)\n"
        f"find_package({NAME} 1.0 REQUIRED)\nadd_executable(app main.c {bare / 'start.c'})\n"
        f"target_link_libraries(app PRIVATE mbn::{NAME})\n"
        f"target_link_options(app PRIVATE -nostartfiles -T{bare / 'link.ld'})\n"
    )
    where = f"-DCMAKE_PREFIX_PATH={tmp_path / 'installed'}"
    root = "-DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=BOTH"
    flags = f"-DCMAKE_C_FLAGS={' '.join(M4)} -O1"
    configure(app, tmp_path / "b", common[0], flags, where, root)
    emulate(tmp_path / "b" / "app.elf")


@pytest.mark.parametrize("form", ["arduino", "platformio"])
def test_sketches_run(
    folders: dict[str, Path], form: str, tmp_path: Path, bare: Path, library: Library
) -> None:
    """As those systems build: every C and assembly file below src/, which alone is searched for
    headers, with -Os (PlatformIO: and what library.json adds); the sketch as C++."""
    root = folders[form]
    flags = [*M4, "-Os", "-ffunction-sections", f"-I{root / 'src'}", f"-I{bare}"]
    extra = []
    if form == "platformio":
        extra = json.loads((root / "library.json").read_text())["build"]["flags"]
    objects = []
    for source in [*sorted(root.glob("src/**/*.[cS]")), bare / "start.c"]:
        objects.append(tmp_path / f"{source.stem}.o")
        run("arm-none-eabi-gcc", *flags, *extra, "-std=gnu11", "-c", source, "-o", objects[-1])
    sketches = sorted([*root.glob("examples/**/*.ino"), *root.glob("examples/**/main.cpp")])
    sketches = [one for one in sketches if one.stem != "Check"]  # below, over a line
    wanted = (library.example.camera_output, library.example.output)
    assert len(sketches) == 2
    for sketch, outputs in zip(sketches, wanted, strict=True):
        program = tmp_path / f"{sketch.parent.name}.elf"
        cxx = [*flags, "-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-Wall", "-Werror"]
        run(
            *("arm-none-eabi-g++", *cxx, "-nostartfiles", f"-T{bare / 'link.ld'}"),
            *("-include", "Arduino.h", "-x", "c++", sketch, bare / "core.cpp", "-x", "none"),
            *(*objects, "-Wl,--gc-sections", "-nodefaultlibs", "-lc", "-lgcc", "-o", program),
        )
        printed = emulate(program).split("\n")
        assert [int(word) for word in printed[0].split()] == outputs.tolist(), sketch
        best = int(outputs.argmax())
        assert printed[1:3] == [f"class {best}: {LABELS[best]}", "as the reference"]
        assert any(symbol.name == f"{NAME}_init" for symbol in symbols(program))


# Serial on a pty: what the sketch Check needs of an Arduino core
LINE = """
#pragma once
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
struct Line {
    void begin(long) {}
    int available() {
        struct pollfd one = {0, POLLIN, 0};
        if (poll(&one, 1, 0) > 0 && (one.revents & POLLHUP) != 0) exit(0);
        return (one.revents & POLLIN) != 0;
    }
    int read() { unsigned char byte; return ::read(0, &byte, 1) == 1 ? byte : -1; }
    void write(const uint8_t *data, size_t size) { if (::write(1, data, size) < 0) exit(1); }
};
extern Line Serial;
inline void delay(unsigned long ms) { usleep(1000 * ms); }
void setup();
void loop();
"""


SILENT_LINE = """
#pragma once
#include <stddef.h>
#include <stdint.h>
struct Line {
    void begin(long);
    int available();
    int read();
    size_t write(const uint8_t *, size_t);
};
extern Line Serial;
void delay(unsigned long ms);
"""


def test_the_check_sketch_answers_mbn_check(tmp_path: Path) -> None:
    """Built here against a stand-in of Serial: every bit of every stage, the model's hash. On an
    Arduino core it was not built."""
    arguments = ["--board", "host", *NETWORK, "--samples", "2"]
    assert compile_command.main([*arguments, "--output", str(tmp_path / "out"), "--quiet"]) == 0
    exported = ["--export", "arduino", "--name", NAME, "--output", str(tmp_path / "lib"), "--quiet"]
    assert compile_command.main([*arguments, *exported]) == 0
    root, core = tmp_path / "lib", tmp_path / "core"
    core.mkdir()
    (core / "Arduino.h").write_text(LINE)
    (core / "core.cpp").write_text(
        '#include "Arduino.h"\nLine Serial;\nint main() { setup(); for (;;) loop(); }\n'
    )
    sketch, flags = root / "examples" / "Check", ["-O1", f"-I{root / 'src'}", f"-I{core}"]
    objects = []
    for source in [*root.glob("src/**/*.c"), *sketch.glob("*.c")]:
        objects.append(tmp_path / f"{source.parent.name}_{source.stem}.o")
        run("gcc", *flags, "-std=gnu11", "-Wall", "-Werror", "-c", source, "-o", objects[-1])
    run(
        *("g++", *flags, "-std=gnu++17", "-Wall", "-Werror", "-include", "Arduino.h"),
        *("-x", "c++", sketch / "Check.ino", core / "core.cpp", "-x", "none", *objects),
        *("-o", tmp_path / "sketch"),
    )
    for source in sketch.glob("*.c"):  # and as a core for Arm compiles it
        run("arm-none-eabi-gcc", *M4, *flags, "-std=gnu11", "-c", source, "-o", tmp_path / "arm.o")
    cxx = [*M4, *flags, "-std=gnu++17", "-Wall", "-Werror", "-include", "Arduino.h", "-x", "c++"]
    (core / "Arduino.h").write_text(SILENT_LINE)
    run("arm-none-eabi-g++", *cxx, "-c", sketch / "Check.ino", "-o", tmp_path / "arm.o")
    with native(tmp_path / "sketch") as (port, _):
        report = mbn.check("host", tmp_path / "out", port=port, sketch=True)
        assert report.check is not None and report.check.exact_samples == report.check.samples == 2
        assert report.check.where.endswith("as an exported sketch")
    with (
        native(tmp_path / "sketch") as (port, _),
        pytest.raises(CheckError, match="runs build 0000000000000000"),
    ):
        mbn.check("host", tmp_path / "out", port=port)


def test_arduino_layout(folders: dict[str, Path]) -> None:
    root = folders["arduino"]
    lines = (root / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    schema = json.loads((SCHEMAS / "arduino-library.json").read_text())
    jsonschema.validate(properties, schema)
    assert (root / "src" / properties["includes"]).is_file()
    told = (root / "README.md").read_text()
    assert "--fqbn PACKAGER:ARCHITECTURE:BOARD " in told  # the board was an emulated one
    for sketch in root.glob("examples/**/*.ino"):
        assert sketch.stem == sketch.parent.name  # "Sketch specification"
    for line in (root / "keywords.txt").read_text().splitlines():
        assert re.fullmatch(r"\w+\t(KEYWORD[123]|LITERAL1)", line)
    del properties["category"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(properties, schema)


def test_a_board_has_its_name_for_the_arduino_tools(library: Library, tmp_path: Path) -> None:
    fqbn = find_board("arduino_nano33ble").fqbn
    assert fqbn == "arduino:mbed_nano:nano33ble"
    assert f"--fqbn {fqbn} " in exported(replace(library, fqbn=fqbn), "arduino")["README.md"]
    path = tmp_path / "mine" / "board.toml"
    path.parent.mkdir()
    text = (data_root() / "boards" / "arduino_nano33ble" / "board.toml").read_text("utf-8")
    path.write_text(text.replace(fqbn, "nano33ble").replace('"../', '"@boards/'), "utf-8")
    with pytest.raises(BoardError, match="fqbn is 'nano33ble'"):
        load_board(path)


def test_platformio_takes_and_packs_it(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PlatformIO's own reader and packer; only its download of SPDX's list is left out."""
    pytest.importorskip("platformio", reason="pip install platformio")
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path / "home"))
    from platformio.package.manifest.schema import ManifestSchema  # noqa: PLC0415
    from platformio.package.pack import PackagePacker  # noqa: PLC0415

    known = {"licenses": [{"licenseId": "Apache-2.0"}]}
    monkeypatch.setattr(ManifestSchema, "load_spdx_licenses", staticmethod(lambda: known))
    packed = PackagePacker(str(folders["platformio"])).pack(str(tmp_path))
    names = run("tar", "-tzf", packed).split()
    assert {"library.json", "src/blobs.h", "examples/classify/src/main.cpp"} <= set(names)
    assert not any(name.startswith(".") for name in names)


ZEPHYR = """
cmake_minimum_required(VERSION 3.20)
project(stand_in LANGUAGES C)
function(zephyr_include_directories)
    include_directories(${ARGN})
    set_property(GLOBAL APPEND PROPERTY INCLUDED ${CMAKE_CURRENT_SOURCE_DIR}/${ARGN})
endfunction()
macro(zephyr_library_named name)
    add_library(${name} STATIC)
    set(ZEPHYR_CURRENT_LIBRARY ${name})
endmacro()
macro(zephyr_library_sources)
    target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_options)
    target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
set(CONFIG_MBN_BLOBS y)
add_subdirectory(@MODULE@/zephyr module)
get_property(included GLOBAL PROPERTY INCLUDED)
foreach(sample classify camera_rows)
    add_executable(${sample} @MODULE@/samples/${sample}/src/main.c)
    target_include_directories(${sample} PRIVATE ${included})
    target_link_libraries(${sample} PRIVATE blobs)
endforeach()
"""


def test_zephyr_module(folders: dict[str, Path], tmp_path: Path) -> None:
    """The module's file against the schema, its Kconfig by kconfiglib, its CMake file and samples
    built natively with stand-ins for the four functions of Zephyr that it calls."""
    yaml = pytest.importorskip("yaml")
    kconfiglib = pytest.importorskip("kconfiglib", reason="pip install kconfiglib")
    root = folders["zephyr"]
    module = yaml.safe_load((root / "zephyr" / "module.yml").read_text())
    jsonschema.validate(module, json.loads((SCHEMAS / "zephyr-module.json").read_text()))
    assert (root / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    kconfig = kconfiglib.Kconfig(str(root / module["build"]["kconfig"]), warn=False)
    assert "MBN_BLOBS" in kconfig.syms and not kconfig.warnings
    for folder in (root / module["samples"][0]).iterdir():
        assert "CONFIG_MBN_BLOBS=y" in (folder / "prj.conf").read_text()
        sample = yaml.safe_load((folder / "sample.yaml").read_text())
        assert set(sample) == {"sample", "tests"}
    (tmp_path / "CMakeLists.txt").write_text(ZEPHYR.replace("@MODULE@", str(root)))
    configure(tmp_path, tmp_path / "b")
    for sample in ("classify", "camera_rows"):
        assert "class " in run(tmp_path / "b" / sample)


def test_all_forms_have_the_same_sources(folders: dict[str, Path], library: Library) -> None:
    """No template key is left, no path of this machine."""
    for root in folders.values():
        for path in (p for p in root.rglob("*") if p.is_file()):
            if path.suffix == ".pack":
                continue
            text = path.read_text()
            assert not re.search(r"@(?!PACKAGE_INIT)[A-Z]+@", text), path
            assert str(Path(__file__).parents[1]) not in text, path
        for path in (root / "src").rglob("*"):
            if path.is_file():
                other = folders["cmake"] / path.relative_to(root)
                assert path.read_bytes() == other.read_bytes()
    assert exported(library, "cmake") == exported(library, "cmake")


def test_cmsis_pack(folders: dict[str, Path], library: Library) -> None:
    """Its description is read by what pyOCD reads packs with; the archive has what it names."""
    manager = pytest.importorskip("cmsis_pack_manager", reason="pip install pyocd")
    root = folders["cmsis-pack"]
    (description,) = root.glob("*.pdsc")
    with tempfile.TemporaryDirectory() as place:
        cache = manager.Cache(True, True, json_path=place, data_path=place)
        parsed = cache.add_pack_from_path(str(description))
        text = manager.ffi.string(manager.lib.dumps_components(parsed)).decode()
    (component,) = json.loads(text)
    assert component["sub_group"] == NAME and component["group"] == "Networks"
    named = {one["path"] for one in component["files"]} - {"src/"}
    assert f"src/{NAME}.c" in named and all((root / path).is_file() for path in named)
    (archive,) = root.glob("*.pack")
    with zipfile.ZipFile(archive) as packed:
        assert named | {description.name, "LICENSE"} <= set(packed.namelist())
        assert packed.read(f"src/{NAME}.h") == (root / "src" / f"{NAME}.h").read_bytes()
    files = exported(library, "cmsis-pack")
    assert pack(library, files) == (archive.name, archive.read_bytes())
    assert archive.name == f"mbn.{NAME}.{library.version}.pack"


WHOLE = r"""
#include "@.h"
#include "@_sample.h"
#include <stdio.h>
#include <string.h>
static @_state state;
static uint8_t image[@@_INPUT_HEIGHT * @@_INPUT_WIDTH * @@_INPUT_CHANNELS];
int main(void)
{
    uint8_t *next = image;
    for (unsigned y = 0; y < @@_INPUT_HEIGHT; y++) {
        for (unsigned x = 0; x < @@_INPUT_WIDTH; x++) {
            for (unsigned c = 0; c < @@_INPUT_CHANNELS; c++) {
                *next++ = @@_CAMERA_PIXEL(y, x, c);
            }
        }
    }
    for (int again = 0; again < 2; again++) {
        if (@_predict(&state, image) != MBN_OK ||
            memcmp(mbn_output(&state.base), @_camera_output, @@_OUTPUT_BYTES) != 0) {
            return 1;
        }
    }
    printf("%s|%s|%s|%d\n", @_label(0), @_label(1), @_label(@@_CLASSES),
           @_predict(&state, NULL) == MBN_ERR_ARGUMENT);
    return MBN_VERSION_NUMBER >= MBN_VERSION_OF(0, 1, 0) ? 0 : 1;
}
"""


def test_a_whole_image_in_one_call_and_labels(
    folders: dict[str, Path], tmp_path: Path, library: Library
) -> None:
    program = WHOLE.replace("@@", NAME.upper()).replace("@", NAME)
    (tmp_path / "whole.c").write_text(program)
    root = folders["cmsis-pack"] / "src"
    sources = [*root.rglob("*.c"), tmp_path / "whole.c"]
    out = tmp_path / "whole"
    run("gcc", "-std=c11", "-O1", *STRICT.split(), f"-I{root}", *sources, "-o", out)
    assert run(out) == f"{LABELS[0]}|{LABELS[1]}||1\n"
    header = (folders["cmake"] / "src" / "mbn" / "mbn.h").read_text()
    assert f'#define MBN_VERSION "{mbn.__version__}"' in header
    numbers = ", ".join(mbn.__version__.split("."))
    assert f"#define MBN_VERSION_NUMBER MBN_VERSION_OF({numbers})" in header


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "lib"
    arguments = ["--board", "qemu-m0", *NETWORK, "--export", "cmake"]
    assert compile_command.main([*arguments, "--output", str(folder)]) == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *(".mbn-export", "CMakeLists.txt", "LICENSE", "README.md", "cmake", "examples", "src")
    }
    assert (folder / "src" / "mobilenet_0_25_32_random1.h").is_file()
    assert not list(tmp_path.glob(".lib*"))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "work.c").write_text("int x;")
    for extra, words in (
        (["--output", str(mine)], "exists and holds no export"),
        ([], "wanted: --output DIR"),
        (["--output", str(folder), "--name", "9x"], "a letter first"),
        (["--output", str(folder), "--check"], "an export builds no firmware"),
    ):
        assert compile_command.main([*arguments, *extra]) == 2
        assert words in capsys.readouterr().err
    assert (mine / "work.c").is_file()
    assert compile_command.main(["--board", "qemu", "--name", "x"]) == 2


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_exporting_again_leaves_what_is_the_users(library: Library, tmp_path: Path) -> None:
    """Only files that the export wrote, as it left them, are replaced or removed."""
    folder = tmp_path / "lib"
    assert export_job.write(library, "arduino", folder) == []
    first = contents(folder)
    assert export_job.write(library, "arduino", folder) == []
    assert contents(folder) == first
    own = {
        "src/camera.c": b"mine",
        "NOTES.md": b"notes",
        ".git/HEAD": b"ref",
        "examples/M/M.ino": b"",
    }
    for name, data in own.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "README.md").write_bytes(b"changed")
    kept = export_job.write(library, "arduino", folder)
    assert kept == [folder / "README.md.yours"]
    assert contents(folder) == {**first, **own, "README.md.yours": b"changed"}
    (folder / "src" / f"{NAME}.c").write_bytes(b"changed too")
    kept = export_job.write(library, "cmake", folder)
    assert kept == [folder / "src" / f"{NAME}.c.yours"]
    there = contents(folder)
    assert {name: there[name] for name in own} == own and there["README.md.yours"] == b"changed"
    assert "CMakeLists.txt" in there and "library.properties" not in there
    assert not (folder / "examples" / "Classify").exists()


def test_exporting_follows_no_links_and_trusts_no_marker(library: Library, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "keep.c").write_text("int x;")
    folder = tmp_path / "lib"
    export_job.write(library, "cmake", folder)
    mark = folder / ".mbn-export"
    lines = mark.read_text()
    for text in (
        "cmake\n",  # as versions without hashes wrote it
        lines + f"{'0' * 64}  ../other/keep.c\n",
        lines + f"{'0' * 64}  {other}/keep.c\n",
        "",
    ):
        mark.write_text(text)
        with pytest.raises(UsageError, match="which files are its own"):
            export_job.write(library, "cmake", folder)
    mark.write_text(lines)
    shutil.rmtree(folder / "src")
    (folder / "src").symlink_to(other)
    with pytest.raises(UsageError, match="symbolic link"):
        export_job.write(library, "cmake", folder)
    assert contents(other) == {"keep.c": b"int x;"}


def test_names() -> None:
    assert prefix_of("Mobile-Net 0.25") == "mobile_net_0_25"
    assert prefix_of("96 x") == "n_96_x"
    assert check_prefix("a_1") == "a_1"
    for name in ("", "A", "1a", "a-b", "x" * 49):
        with pytest.raises(UsageError):
            check_prefix(name)


TAKEN = (
    *("float", "int", "main", "printf", "mbn", "mbn_begin", "memcpy", "string", "time", "sem"),
    *("class", "co_await", "bool", "pthread_mutex", "stages", "state", "stage_00_a", "test", "far"),
    *("wchar_t", "uint8_t", "linux", "errno", "read", "sin", "y0", "std"),
)


@pytest.mark.parametrize("name", TAKEN)
def test_taken_names(name: str) -> None:
    """C, C++, POSIX, CMake, mbn: refused where asked for, changed where a file is called so."""
    with pytest.raises(UsageError, match="has already"):
        check_prefix(name)
    assert check_prefix(prefix_of(name)) == f"n_{name}"


@pytest.mark.parametrize("name", ["blobs", "net", "digits", "person", "mobilenet_0_25_96_digits"])
def test_free_names(name: str) -> None:
    assert not taken(name) and prefix_of(name) == name


HOSTILE = (
    *("*/ int x; /*", "/*/", "a??/", "a\\", "a\nb", 'a"b', "??" * 9, "/" * 3 + "*" * 3),
    *(
        ']==] CACHE STRING "")\nexecute_process(COMMAND x)',
        "${HOME}",
        "ä层🙂",
        "\0\x7f\t",
        "@PREFIX@",
    ),
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text(text: str, tmp_path: Path) -> None:
    """A model's words end no comment and no string, with trigraphs and strict warnings too; a
    file's name is letters, digits and few more."""
    safe = plain(text)
    assert safe.isascii() and safe.isprintable() and not set(safe) & set('\\"')
    assert not any(pair in safe for pair in ("*/", "/*", "??"))
    assert re.fullmatch(r"[A-Za-z0-9 ._+-]+", ascii_name(text))
    assert check_prefix(prefix_of(text))
    source = tmp_path / "a.c"
    source.write_text(f'/* {safe} */\nconst char *const a = "{safe}"; /* {safe} */\n')
    for compiler in ("gcc", "clang-19"):
        if shutil.which(compiler):
            run(compiler, "-std=c11", *STRICT.split(), "-trigraphs", "-fsyntax-only", source)
