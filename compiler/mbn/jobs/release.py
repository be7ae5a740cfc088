"""Makes a release of what was compiled.

What enters: a compiled folder, a version, a private key, perhaps a MCUboot slot. What leaves: a
release folder beside it. Always holds: the ordinary images are shipped as they were built and
checked; a second build, linked behind the slot's header, becomes the MCUboot image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mbn.core.elf import Contents as Elf
from mbn.core.errors import PlanError, ReleaseError, UsageError
from mbn.core.options import LEVELS
from mbn.core.target import Board, Image
from mbn.core.telling import Teller
from mbn.core.uf2 import family_id, to_uf2
from mbn.image.build import build_image, tools
from mbn.image.release.folder import Facts, Files, Slot, write_release
from mbn.image.release.linked import linked
from mbn.image.release.signing import load_key
from mbn.jobs.compile import Compiled, app_defines
from mbn.report.record import FILE_NAME

HEADER_BYTES = 0x200  # a power of two not less than the largest vector table that VTOR aligns to
SLOT_OFFSET = 0x20000  # of flash for MCUboot: a whole number of sectors on every supported part
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:\+(\d+))?")
_MOST = (255, 255, 65535, 2**32 - 1)
_PACKAGES = ("apache-tvm", "numpy", "onnx", "onnxruntime", "imgtool", "cyclonedx-python-lib")
_BOOT_SOURCES = ("boot2.c", "image_def.c")  # what a boot ROM wants of the first image: MCUboot


def check_version(text: str) -> str:
    """The version, if MCUboot can hold it. Raises `UsageError`."""
    match = _VERSION.fullmatch(text)
    numbers = [] if match is None else [int(part or 0) for part in match.groups()]
    if match is None or any(one > most for one, most in zip(numbers, _MOST, strict=True)):
        raise UsageError(
            f"--release {text}", wanted="MAJOR.MINOR.REVISION or with +BUILD, as in 1.2.3"
        )
    return text


def release(
    compiled: Compiled,
    number: str,
    key_path: Path,
    tell: Teller,
    *,
    slot: tuple[int, int] | None = None,
) -> Path:
    """Writes FOLDER/release-NUMBER. `slot`: offset of the MCUboot slot in the memory of the code,
    and its size (default: all behind the first 128 KB). Raises `ReleaseError`, `UsageError`,
    `PlanError` (too large for the slot), `ToolError`."""
    number, key = check_version(number), load_key(key_path)
    if key.private is None:
        raise ReleaseError("is a public key", wanted="the private one", node=str(key_path))
    job, image = compiled.job, compiled.app or compiled.image
    board = job.board
    if board.native or image.hex is None:
        raise UsageError(f"there is no firmware to release for {board.name}")
    report, network = compiled.report, compiled.report.network
    facts = Facts(
        network=network.name,
        version=number,
        board=board.name,
        core=board.core.name,
        app=image.app,
        arithmetic=report.rounding,
        kernel_set=report.kernel_set,
        input_mode=report.input_mode,
        build_id=image.build_id,
        model_sha256=network.model_sha256,
        tools=_versions(),
        linked=linked(compiled.folder / f"build-{image.app}" / "image.map"),
    )
    files = Files(image.elf, image.hex, compiled.folder / FILE_NAME, image.bin, _uf2(board, image))
    if image.bin is None:
        tell.say("no MCUboot image: the firmware lies in several memories, a slot in one")
    else:
        with tell.task(f"building for a MCUboot slot of {board.name}"):
            files = _with_slot(compiled, image, files, slot)
    return write_release(compiled.folder / f"release-{number}", facts, files, key)


def _uf2(board: Board, image: Image) -> bytes | None:
    family = board.flash.uf2_family
    return None if family is None else to_uf2(Elf(image.elf).loaded(), family_id(family))


def _with_slot(
    compiled: Compiled, image: Image, files: Files, wanted: tuple[int, int] | None
) -> Files:
    """The same with an image linked behind the header of a slot."""
    board = compiled.job.board
    memory = board.memories_for("code")[0]
    offset, size = wanted or (SLOT_OFFSET, memory.size_bytes - SLOT_OFFSET)
    if offset < 0 or size <= HEADER_BYTES or offset + size > memory.size_bytes:
        raise UsageError(
            f"a slot of {size:,} bytes at offset {offset:#x}",
            wanted=f"one inside {memory.name}, which has {memory.size_bytes:,}",
            advice="--slot OFFSET BYTES says another",
        )
    start = memory.origin + offset
    inside = replace(memory, origin=start + HEADER_BYTES, size_bytes=size - HEADER_BYTES)
    moved = replace(
        board,
        memories=tuple(inside if one == memory else one for one in board.memories),
        sources=tuple(one for one in board.sources if one.name not in _BOOT_SOURCES),
    )
    built = build_image(
        compiled.folder / "c",
        moved,
        image.app,
        compiled.folder,
        flag=LEVELS[compiled.job.options.optimise].gcc_flag,
        defines=app_defines(image.app, board),
        name=f"{image.app}-mcuboot",
    )
    if built.bin is None:
        raise PlanError(
            f"the image is too large for a slot of {size:,} bytes",
            advice="Take --slot OFFSET BYTES, --optimise size, or a smaller network",
        )
    return replace(
        files,
        slot_bin=built.bin,
        slot=Slot(start, HEADER_BYTES, size),
        slot_build_id=built.build_id,
    )


def _versions() -> Mapping[str, str]:
    """What the images were made with."""
    found = {"mbn": _package("mbn-edge"), **{name: _package(name) for name in _PACKAGES}}
    found["arm-none-eabi-gcc"] = tools.compiler_version("arm-none-eabi-gcc")
    found["arm-none-eabi-ld"] = tools.linker_version("arm-none-eabi-ld")
    found["newlib"] = tools.newlib_version()
    return dict(sorted(found.items()))


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
