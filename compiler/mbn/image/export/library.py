"""The files of an exported library, as text by path.

src/ is the same in every form. Its includes need no folder but src/ itself, as Arduino demands. An
@KEY@ in a template that nothing fills in is a bug and fails an assertion.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbn.core.detector import Detection
from mbn.core.errors import UsageError

_TEMPLATES = Path(__file__).parent / "templates"
_INCLUDE = re.compile(r'^#include "([\w./]+)"', re.MULTILINE)
_KEY = re.compile(r"@([A-Z0-9_]+)@")
_CMAKES_OWN = "PACKAGE_INIT"  # of configure_package_config_file
_COLUMNS = 100
CAMERA = (3, 5, 7)  # pixel of the camera example: (3 y + 5 x + 7 c) mod 256


@dataclass(frozen=True)
class Form:
    """An ecosystem: where its two examples go, and how a project takes the library."""

    examples: Mapping[str, str]  # template to path
    how: str


FORMS: Mapping[str, Form] = {
    "cmake": Form(
        {"classify.c": "examples/classify.c", "camera_rows.c": "examples/camera_rows.c"},
        "    add_subdirectory(@PREFIX@)            # or, installed: find_package(@PREFIX@)\n"
        "    target_link_libraries(app PRIVATE mbn::@PREFIX@)",
    ),
    "arduino": Form(
        {
            "classify.cpp": "examples/Classify/Classify.ino",
            "camera_rows.cpp": "examples/CameraRows/CameraRows.ino",
        },
        "Put this folder into your sketchbook's `libraries/`; File > Examples has its examples.\n"
        "From a command line:\n\n"
        "    arduino-cli compile --library . --fqbn @FQBN@ examples/Classify\n\n"
        "examples/Check answers `mbn-check --board BOARD --port PORT --sketch` over USB.",
    ),
    "platformio": Form(
        {
            "classify.cpp": "examples/classify/src/main.cpp",
            "camera_rows.cpp": "examples/camera_rows/src/main.cpp",
        },
        "In platformio.ini: `lib_deps = symlink:///path/to/this/folder`, or a copy in `lib/`.",
    ),
    "zephyr": Form(
        {
            "classify.c": "samples/classify/src/main.c",
            "camera_rows.c": "samples/camera_rows/src/main.c",
        },
        "    west build -b BOARD APP -- -DZEPHYR_EXTRA_MODULES=/path/to/this/folder\n\n"
        "and `CONFIG_MBN_@UPPER@=y` in the application's prj.conf.",
    ),
    "cmsis-pack": Form(
        {"classify.c": "examples/classify.c", "camera_rows.c": "examples/camera_rows.c"},
        "    cpackget add mbn.@PREFIX@.@VERSION@.pack\n\n"
        "(or the Pack Installer of Keil or of another IDE), then take the component\n"
        "*Machine Learning: Networks: @PREFIX@*.",
    ),
}
# Cores, as CMSIS calls them, for which a kernel set is
CORES: Mapping[str, tuple[str, ...]] = {
    "scalar": ("Cortex-M0", "Cortex-M0+", "Cortex-M3", "Cortex-M23"),
    "dsp": ("Cortex-M4", "Cortex-M33"),
    "m7": ("Cortex-M7",),
    "mve": ("Cortex-M55", "Cortex-M85"),
}


@dataclass(frozen=True, eq=False)
class Example:
    """One image as int8 codes (height x width x channels) and the first result that the reference
    gives for it and for the camera example's pattern."""

    image: NDArray[np.int8]
    output: NDArray[np.int8]
    camera_output: NDArray[np.int8]
    is_map: bool = False  # the result is not a vector: it lies in the arena in the kernels' layout
    boxes: tuple[Detection, ...] | None = None  # of the image; None: there is no detector


@dataclass(frozen=True, eq=False)
class Library:
    """What is exported. `prefix` begins the C's public names; `generated` are the emitter's files
    by name; `runtime` is the folder that has include/, src/ and kernels/."""

    prefix: str
    sentence: str
    generated: Mapping[str, str]
    runtime: Path
    kernel_set: str
    model_sha256: str
    arena_bytes: int
    overread_bytes: int  # that kernels may read behind a table
    example: Example
    fqbn: str = "PACKAGER:ARCHITECTURE:BOARD"  # what the Arduino tools call the board
    version: str = "1.0.0"


def exported(library: Library, form: str) -> dict[str, str]:
    """Every file of the library in that form. Raises `UsageError` for an unknown form."""
    if form not in FORMS:
        raise UsageError(f"--export {form}", wanted="one of " + ", ".join(FORMS))
    files = {f"src/{path}": text for path, text in _sources(library).items()}
    keys = _keys(library, form, files)
    named = _named_after_boxes if _detects(library) else str
    for folder in ("common", form):
        root = _TEMPLATES / folder
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = _filled(named(path.relative_to(root).as_posix()), keys)
            files[name] = _filled(named(path.read_text(encoding="utf-8")), keys)
    if form == "arduino":
        files.update(_check_sketch(library))
    for template, target in FORMS[form].examples.items():
        text = (_TEMPLATES / "examples" / named(template)).read_text(encoding="utf-8")
        copied = library.example.is_map and "mbn_output(" in text
        files[named(target)] = _filled(_of_a_map(text) if copied else text, keys)
    return files


def _named_after_boxes(text: str) -> str:
    """Names of a classifier's example as those of a detector's."""
    return text.replace("classify", "find_boxes").replace("Classify", "FindBoxes")


def _check_sketch(library: Library) -> dict[str, str]:
    """The check firmware for the sketch that answers mbn-check (see the template Check.ino): its
    own files, with this network's names, and what a build says in macros."""
    root, files = library.runtime.parent, {}
    for folder in ("check", "common"):
        for path in sorted((root / "firmware" / folder).glob("*.[ch]")):
            text = path.read_text(encoding="utf-8")
            text = text.replace('"network.h"', f'"{library.prefix}.h"')
            text = text.replace('"mbn/port.h"', '"port.h"')
            text = text.replace("int main(", "int mbn_check_main(")
            text = re.sub(r"\bmbn_model(?=_state\b|_init\b|_detect\b|\b)", library.prefix, text)
            text = text.replace("MBN_MODEL_", f"{library.prefix.upper()}_")
            if path.suffix == ".c":
                text = '#include "sketch.h"\n\n' + text
            files[_CHECK + path.name] = text
    port = library.runtime / "include" / "mbn" / "port.h"
    files[_CHECK + "port.h"] = port.read_text(encoding="utf-8")
    files[_CHECK + "sketch.h"] = _SKETCH
    return files


_CHECK = "examples/Check/"
_SKETCH = """/* What a build of the firmware says of itself, in a sketch. */
#ifndef MBN_SKETCH_H
#define MBN_SKETCH_H

#define MBN_BOARD_NAME "sketch"
#define MBN_CORE_NAME "unknown"
#define MBN_BUILD_ID "0000000000000000"
#define MBN_NO_SEAL 1

int mbn_check_main(void);

#endif
"""


def _of_a_map(example: str) -> str:
    """An example that copies its result before it reads it."""
    state = re.search(r"^static @PREFIX@_state state;.*\n", example, re.MULTILINE)
    assert state is not None
    copied = example[: state.end()] + _COPIED + example[state.end() :]
    return copied.replace("mbn_output(&state.base)", "copied_output()")


_COPIED = """
/* The result as height x width x channel; NULL before the end. */
static const int8_t *copied_output(void)
{
    static int8_t output[@UPPER@_OUTPUT_BYTES];
    return mbn_copy_result(&state.base, 0, output) == MBN_OK ? output : NULL;
}
"""


def _sources(library: Library) -> dict[str, str]:
    """src/: the network under its own name, the runtime, and the kernels that it includes."""
    prefix = library.prefix
    names = {name: name.replace("network", prefix) for name in library.generated}
    names["weights.c"] = f"{prefix}_weights.c"
    names["network.S"] = (
        f"{prefix}_kernels.S"  # another stem than PREFIX.c: objects are named by it
    )
    files = {}
    for name, text in library.generated.items():
        files[names[name]] = text.replace('#include "network.h"', f'#include "{prefix}.h"')
    for part in ("mbn", "detect") if _detects(library) else ("mbn",):
        header = (library.runtime / "include" / "mbn" / f"{part}.h").read_text(encoding="utf-8")
        files[f"mbn/{part}.h"] = header
        runtime = (library.runtime / "src" / f"{part}.c").read_text(encoding="utf-8")
        files[f"mbn/{part}.c"] = _shared(runtime, header, f'#include "mbn/{part}.h"\n')
    files[f"{prefix}_sample.h"] = _sample(library)
    wanted = _INCLUDE.findall(files[f"{prefix}.c"])
    while wanted:
        path = wanted.pop()
        source = library.runtime / "kernels" / path
        if path not in files and source.is_file():
            files[path] = source.read_text(encoding="utf-8")
            wanted += _INCLUDE.findall(files[path])
    return files


def _detects(library: Library) -> bool:
    """Whether it turns results into boxes."""
    return "network_detect.c" in library.generated


def _shared(runtime: str, header: str, include: str) -> str:
    """The runtime with weak functions: each library brings it, and a program with two libraries
    links one."""
    names = re.findall(r"^(?!typedef)[A-Za-z_][\w ]*[ *](mbn_\w+)\(", header, re.MULTILINE)
    assert names and runtime.count(include) == 1
    pragmas = "".join(f"#pragma weak {name}\n" for name in names)
    about = "\n/* A program of several exported networks has this file several times. */\n"
    return runtime.replace(include, f"{include}{about}{pragmas}")


def _sample(library: Library) -> str:
    """The header of the examples' data."""
    prefix, upper, one = library.prefix, library.prefix.upper(), library.example
    down, right, along = CAMERA
    include = "" if one.boxes is None else '#include "mbn/detect.h"\n\n'
    return f"""/* For the examples: one image, its outputs, and those of the camera's pattern. */
#ifndef {upper}_SAMPLE_H
#define {upper}_SAMPLE_H

{include}#include <stdint.h>

#define {upper}_CAMERA_PIXEL(y, x, c) ((uint8_t)({down}u * (y) + {right}u * (x) + {along}u * (c)))

static const int8_t {prefix}_camera_output[{one.camera_output.size}] = {{
{_values(one.camera_output)}}};

static const int8_t {prefix}_sample_output[{one.output.size}] = {{
{_values(one.output)}}};

{_sample_boxes(library)}/* height x width x channels */
static const int8_t {prefix}_sample[{one.image.size}] = {{
{_values(one.image)}}};

#endif
"""


def _sample_boxes(library: Library) -> str:
    """The objects in the example's image."""
    found = library.example.boxes
    if found is None:
        return ""
    name = library.prefix
    rows = [
        "    {" + ", ".join(map(str, (one.label, one.score, *one.box))) + "},\n" for one in found
    ]
    return f"""#define {name.upper()}_SAMPLE_BOXES {len(found)}u

/* The first so many */
static const mbn_detection {name}_sample_boxes[{len(found) or 1}] = {{
{"".join(rows) or "    {0, 0, 0, 0, 0, 0},"}}};

"""


def _values(values: NDArray[np.int8]) -> str:
    lines, line = [], "   "
    for value in values.reshape(-1).tolist():
        text = f" {value},"
        if len(line) + len(text) > _COLUMNS:
            lines.append(line)
            line = "   "
        line += text
    return "\n".join([*lines, line]) + "\n"


def _keys(library: Library, form: str, files: Mapping[str, str]) -> dict[str, str]:
    compiled = sorted(path for path in files if path.endswith((".c", ".S")))
    overread = (
        ""
        if not library.overread_bytes
        else f"- The kernels may read {library.overread_bytes} bytes behind a table of weights: "
        "let none end the memory that it lies in.\n"
    )
    keys = {
        "PREFIX": library.prefix,
        "UPPER": library.prefix.upper(),
        "VERSION": library.version,
        "SENTENCE": library.sentence,
        "PARAGRAPH": "Integers only, no heap, no interpreter; rows may be pushed as they come.",
        "FQBN": library.fqbn,
        "SET": library.kernel_set,
        "SHA256": library.model_sha256,
        "ARENA": f"{library.arena_bytes:,}",
        "OVERREAD": overread,
        "BOXES": _BOXES if _detects(library) else "",
        "HEADERS": " ".join(
            sorted(path for path in files if re.fullmatch(r"src/mbn/\w+\.h", path))
        ),
        "LANGUAGES": "C ASM" if any(path.endswith(".S") for path in compiled) else "C",
        "SOURCES": "\n".join(f"    {path}" for path in compiled),
        "CORES": "\n".join(f'      <accept Dcore="{one}"/>' for one in CORES[library.kernel_set]),
        "PACK_FILES": "\n".join(_pack_file(path) for path in sorted(files)),
        "ZEPHYR_SOURCES": "\n".join(f"    ../{path}" for path in compiled),
    }
    how = FORMS[form].how
    keys["HOW"] = _filled(_named_after_boxes(how) if _detects(library) else how, keys)
    return {**keys, "BOXES": _filled(keys["BOXES"], keys)}


_BOXES = (
    "- `@PREFIX@_detect(&state, work, found, most, &count)` turns the results into objects, "
    "best first: class, score, corners, all integers. `work` is @UPPER@_CANDIDATES of "
    "`mbn_candidate`, 16 bytes each. See `src/mbn/detect.h`.\n"
)


def _pack_file(path: str) -> str:
    """A source or a header in a pack's description."""
    kind = {"c": "source", "S": "sourceAsm"}.get(path.rpartition(".")[2], "header")
    return f'        <file category="{kind}" name="{path}"/>'


def pack(library: Library, files: Mapping[str, str]) -> tuple[str, bytes]:
    """The .pack file's name, and its bytes: an archive of all files, the same every time."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path), files[path].encode(), zipfile.ZIP_DEFLATED)
    return f"mbn.{library.prefix}.{library.version}.pack", made.getvalue()


def _filled(text: str, keys: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] == _CMAKES_OWN:
            return match[0]
        assert match[1] in keys, f"a template wants {match[0]}"
        return keys[match[1]]

    return _KEY.sub(value, text)
