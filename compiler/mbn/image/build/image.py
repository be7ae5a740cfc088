"""Builds one image with CMake and Ninja.

ELF, hex and bin lie beside each other. The same input gives the same bytes. The build id is a hash
of everything that went in, without any path or time.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mbn.core.elf import Section, sections
from mbn.core.errors import ToolError, UsageError
from mbn.core.target import Board, Image, data_root
from mbn.image.build import boot, tools
from mbn.image.build.link import Placement, does_not_fit, first_placement, overflows
from mbn.image.build.seal import seal

FLAGS = ("-O0", "-Og", "-O1", "-O2", "-O3", "-Os")
_STACK_SECTION = ".stack"
_WEIGHTS_SECTION = ".weights"  # and .weights_MEMORY
_MARK = "board.cmake"  # in every folder of CMake's that is ours
_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")
_NOT_PLAIN = re.compile(
    r"[^\w ./+@,()'#%&!~^:\[\]<>-]"
)  # characters that some build program treats as list, quote or variable
_TABLE_SECTION = re.compile(r"\.rodata\.\w+?_(\d\d+)_\w+")


@dataclass(frozen=True)
class _Job:
    """One build: everything that its steps share."""

    root: Path
    generated: Path
    board: Board
    app: str
    folder: Path  # CMake's
    log: Path
    flag: str  # -O...
    defines: Mapping[str, str]
    build_id: str

    @property
    def script(self) -> Path:
        return self.folder / "link.ld"


def build_image(
    generated: Path,
    board: Board,
    app: str,
    output: Path,
    *,
    flag: str = "-O2",
    defines: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Image:
    """Builds `app` ("check", "bench", ...) around the C in `generated` into `output`.

    Files: NAME.elf, NAME.hex, NAME.bin (`name` is the app's unless said), build-NAME/ and
    build-NAME.log. `defines` go to the compiler for every file. Raises `ToolError` (a program is
    missing or fails), `PlanError` (a memory is too small), `UsageError` (no such app, no C).
    """
    root = data_root()
    _check_input(root, generated, app, flag)
    tools.require_for(board)
    stem = name or app
    output.mkdir(parents=True, exist_ok=True)
    build = (output / f"build-{stem}").resolve()
    with _workplace(generated.resolve(), build) as (source, folder):
        job = _Job(
            root=root,
            generated=source,
            board=board,
            app=app,
            folder=folder,
            log=build.with_name(f"{build.name}.log"),
            flag=flag,
            defines=dict(defines or {}),
            build_id=_build_id(root, generated, board, app, flag, defines or {}),
        )
        placement = _compile(job)
        elf = output / f"{stem}.elf"
        shutil.copy2(folder / ("image" if board.native else "image.elf"), elf)
        if not board.native:
            boot.finish(elf)
            seal(elf)
        return _measure(job, placement, elf)


@contextmanager
def _workplace(generated: Path, build: Path) -> Iterator[tuple[Path, Path]]:
    """Empty folders for the C and for CMake. CMake, Ninja and the linker treat some characters of a
    path specially. If the wanted paths have such characters, temporary folders are used, and the
    results are moved to `build`."""
    if build.exists() and any(build.iterdir()) and not (build / _MARK).is_file():
        raise UsageError("exists and is not a build folder", advice="Move it away", node=str(build))
    shutil.rmtree(build, ignore_errors=True)
    if _PLAIN.fullmatch(generated.as_posix()) and _PLAIN.fullmatch(build.as_posix()):
        build.mkdir(parents=True)
        yield generated, build
        return
    with tempfile.TemporaryDirectory(prefix="mbn-build-") as name:
        place = Path(name).resolve()
        (place / "generated").mkdir()
        (place / "build").mkdir()
        for path in generated.iterdir():
            if path.suffix in (".c", ".h", ".S"):
                shutil.copyfile(path, place / "generated" / path.name)
        try:
            yield place / "generated", place / "build"
        finally:
            shutil.copytree(place / "build", build)


def _plain(path: Path) -> str:
    """The path, for a file that CMake reads. Raises `ToolError` if CMake, Ninja or the linker would
    misread it, which can happen if mbn or the temporary folder lies there."""
    text = path.as_posix()
    if _NOT_PLAIN.search(text):
        raise ToolError(
            "has characters in its name that build programs treat specially",
            wanted="letters, digits and _ . + - /",
            advice="Move mbn, or set TMPDIR to another folder",
            node=repr(text),
        )
    return text


def _check_input(root: Path, generated: Path, app: str, flag: str) -> None:
    apps = sorted(path.parent.name for path in (root / "firmware").glob("*/main.c"))
    if app not in apps:
        raise UsageError(f"there is no app {app!r}", wanted="one of " + ", ".join(apps))
    if flag not in FLAGS:
        raise UsageError(f"the flag {flag!r}", wanted="one of " + ", ".join(FLAGS))
    if not (generated / "network.h").is_file():
        raise UsageError("holds no network.h", wanted="generated C", node=str(generated))


def _inputs(root: Path, generated: Path, board: Board, app: str) -> Iterable[tuple[str, Path]]:
    """Every file that goes into an image, named independently of its folder."""
    for path in sorted(generated.iterdir()):
        if path.suffix in (".c", ".h", ".S"):
            yield f"generated/{path.name}", path
    for source in board.sources:
        for path in (source, *sorted(source.parent.glob("*.h"))):
            yield f"board/{source.parent.name}/{path.name}", path
    folders = (root / "runtime", root / "firmware" / "common", root / "firmware" / app)
    for folder in (*folders, root / "cmake"):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(root).as_posix(), path
    yield "CMakeLists.txt", root / "CMakeLists.txt"


def _build_id(
    root: Path, generated: Path, board: Board, app: str, flag: str, defines: Mapping[str, str]
) -> str:
    digest = hashlib.sha256()
    compiler = "gcc" if board.native else "arm-none-eabi-gcc"
    settings = {
        "board": board.name,
        "core": board.core.name,
        "flags": [*board.core.gcc_flags, flag],
        "defines": {**board.defines, **defines},
        "memories": [[m.name, m.origin, m.size_bytes, list(m.holds)] for m in board.memories],
        "stack_bytes": board.stack_bytes,
        "compiler": tools.compiler_version(compiler),
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for label, path in _inputs(root, generated, board, app):
        content = path.read_bytes()
        digest.update(f"\n{label} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _cache_file(job: _Job) -> str:
    """The settings for CMakeLists.txt. The file can also be used by hand: cmake -C board.cmake."""
    board = job.board
    defines = {
        "MBN_BOARD_NAME": f'"{board.name}"',
        "MBN_CORE_NAME": f'"{board.core.name}"',
        "MBN_BUILD_ID": f'"{job.build_id}"',
        **board.defines,
        **job.defines,
    }
    values = {
        "MBN_GENERATED": _plain(job.generated),
        "MBN_APP": job.app,
        "MBN_BOARD_SOURCES": ";".join(_plain(path) for path in board.sources),
        "MBN_BOARD_FOLDER": "" if board.place is None else _plain(board.place.resolve()),
        "MBN_CPU_FLAGS": ";".join(board.core.gcc_flags),
        "MBN_OPTIMISE": job.flag,
        "MBN_DEFINES": ";".join(f"{key}={value}" for key, value in sorted(defines.items())),
        "MBN_LINKER_SCRIPT": "" if board.native else _plain(job.script),
    }
    return "".join(f'set({key} [==[{value}]==] CACHE STRING "")\n' for key, value in values.items())


def _compile(job: _Job) -> Placement | None:
    """Configures and builds. If a memory overflows, the next one that may hold a thing is tried."""
    job.log.unlink(missing_ok=True)
    placement = None if job.board.native else first_placement(job.board)
    if placement is not None:
        job.script.write_text(placement.script(), encoding="utf-8")
    cache = job.folder / _MARK
    cache.write_text(_cache_file(job), encoding="utf-8")
    root = _plain(job.root)
    command = ["cmake", "-G", "Ninja", "-C", str(cache), "-S", root, "-B", str(job.folder)]
    if placement is not None:
        command.append(f"-DCMAKE_TOOLCHAIN_FILE={job.root / 'cmake' / 'arm-none-eabi.cmake'}")
    done = tools.run(command, job.log)
    if done.returncode != 0:
        raise tools.failed("cmake", done.stdout, job.log)
    while True:
        done = tools.run(["ninja", "-C", str(job.folder)], job.log)
        if done.returncode == 0:
            return _filled(job, placement)
        full = overflows(done.stdout)
        if placement is None or not full:
            raise tools.failed("the build", done.stdout, job.log)
        stages = _weights_by_stage(job)
        moved = next(
            filter(None, (placement.moved(name, full[name], stages) for name in sorted(full))), None
        )
        if moved is None:
            raise does_not_fit(placement, full)
        placement = moved
        job.script.write_text(placement.script(), encoding="utf-8")


def _filled(job: _Job, placement: Placement | None) -> Placement | None:
    """Links once more where fast memory is left for weights."""
    if placement is None or placement.hot is None:
        return placement
    linked = _size(one for one in sections(job.folder / "image.elf") if one.name == ".hot")
    filled = placement.filled(linked, _weights_by_stage(job))
    if not filled.hot_stages:
        return placement
    job.script.write_text(filled.script(), encoding="utf-8")
    if tools.run(["ninja", "-C", str(job.folder)], job.log).returncode == 0:
        return filled
    job.script.write_text(placement.script(), encoding="utf-8")
    done = tools.run(["ninja", "-C", str(job.folder)], job.log)
    if done.returncode != 0:
        raise tools.failed("the build", done.stdout, job.log)
    return placement


def _object_copy(elf: Path, target: Path, kind: str, log: Path) -> Path:
    command = ["arm-none-eabi-objcopy", "-O", kind, str(elf), str(target)]
    done = tools.run(command, log)
    if done.returncode != 0:
        raise tools.failed("objcopy", done.stdout, log)
    return target


def _size(found: Iterable[Section]) -> int:
    return sum(section.size_bytes for section in found)


def _measure(job: _Job, placement: Placement | None, elf: Path) -> Image:
    loaded = [section for section in sections(elf) if section.allocated]
    flash = [section for section in loaded if section.in_file]
    ram = [section for section in loaded if section.writable and section.name != _STACK_SECTION]
    weights_bytes = _weights_bytes(job, loaded)
    fast = () if placement is None else placement.hot_stages
    by_stage = _weights_by_stage(job) if fast else {}
    weights_bytes += sum(by_stage[stage] for stage in fast)
    flash_bytes = _size(flash)
    hex_path = bin_path = None
    if placement is not None:
        hex_path = _object_copy(elf, elf.with_suffix(".hex"), "ihex", job.log)
        if placement.memory["weights"] == placement.memory["code"] and not placement.apart:
            # one base address; over several memories a .bin would be mostly gap
            bin_path = _object_copy(elf, elf.with_suffix(".bin"), "binary", job.log)
    return Image(
        board=job.board,
        app=job.app,
        build_id=job.build_id,
        elf=elf,
        hex=hex_path,
        bin=bin_path,
        flash_bytes=flash_bytes,
        code_bytes=flash_bytes - weights_bytes,
        weights_bytes=weights_bytes,
        static_ram_bytes=_size(ram),
        stack_bytes=_size(section for section in loaded if section.name == _STACK_SECTION),
        memory_bytes=_by_memory(placement, loaded),
        fast_stages=fast,
    )


def _weights_bytes(job: _Job, loaded: Iterable[Section]) -> int:
    """The section of its own; on the host, which has none, what weights.c compiled to."""
    if not job.board.native:
        return _size(section for section in loaded if section.name.startswith(_WEIGHTS_SECTION))
    objects = list(job.folder.rglob("weights.c.o"))
    if not objects:
        raise ToolError("weights.c was not compiled", node=str(job.folder))
    return _size(section for section in sections(objects[0]) if section.name.startswith(".rodata"))


def _weights_by_stage(job: _Job) -> dict[int, int]:
    """Bytes of weights.c's tables, which are called PREFIX_STAGE_NAME."""
    found: dict[int, int] = {}
    for path in job.folder.rglob("weights.c.o*"):
        for section in sections(path):
            match = _TABLE_SECTION.fullmatch(section.name)
            if match:
                stage = int(match[1])
                found[stage] = found.get(stage, 0) + section.size_bytes
    return found


def _by_memory(placement: Placement | None, loaded: Iterable[Section]) -> dict[str, int]:
    if placement is None:
        return {}
    used = {memory.name: 0 for memory in placement.board.memories}
    for section in loaded:
        for memory in placement.board.memories:
            if memory.origin <= section.address < memory.origin + memory.size_bytes:
                used[memory.name] += section.size_bytes
        if section.writable and section.in_file:  # initial values lie in the code's memory too
            used[placement.memory["code"].name] += section.size_bytes
    return used
