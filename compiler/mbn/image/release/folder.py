"""Writes a release folder: images, report, SBOM, licences, manifest.json and its signature.

The manifest lists every other file with size and SHA-256, apart from its own signature. Nothing
says when, where or by whom the release was made. If writing fails, the folder is removed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbn.core.errors import ReleaseError
from mbn.image.release import licences, sbom
from mbn.image.release.signing import Key, sign_bytes, sign_image

FORMAT = 1
MANIFEST, SIGNATURE, REPORT, SBOM = "manifest.json", "manifest.sig", "report.json", "sbom.cdx.json"


@dataclass(frozen=True)
class Slot:
    """Where a MCUboot image goes: its header lies at `address`, the image behind it."""

    address: int
    header_bytes: int
    size_bytes: int


@dataclass(frozen=True)
class Facts:
    """What the manifest says of the images."""

    network: str
    version: str  # 1.2.3 or 1.2.3+4
    board: str
    core: str
    app: str
    arithmetic: str  # the rounding
    kernel_set: str
    input_mode: str
    build_id: str
    model_sha256: str
    tools: Mapping[str, str]  # versions by name
    linked: Mapping[str, tuple[str, ...]]  # members by archive: what of libc and libgcc is in it

    @property
    def stem(self) -> str:
        return f"{self.network}-{self.board}-{self.version}"


@dataclass(frozen=True)
class Files:
    """The images; None where the board has no such thing."""

    elf: Path
    hex: Path
    report: Path
    bin: Path | None = None  # None: several memories
    uf2: bytes | None = None
    slot_bin: Path | None = None  # linked for the slot, unsigned
    slot: Slot | None = None
    slot_build_id: str | None = None


@dataclass(frozen=True)
class Contents:
    """A manifest, read."""

    data: Mapping[str, Any]

    @property
    def files(self) -> dict[str, tuple[int, str]]:
        """Size and SHA-256 by name. Raises KeyError, TypeError for what is no manifest."""
        return {
            str(one["name"]): (int(one["size_bytes"]), str(one["sha256"]))
            for one in self.data["files"]
        }

    def named(self, ending: str) -> str | None:
        """The one file whose name ends so."""
        return next((name for name in sorted(self.files) if name.endswith(ending)), None)


def write_release(folder: Path, facts: Facts, files: Files, key: Key) -> Path:
    """Writes `folder` anew. Raises `ReleaseError`: a folder that is something else, a public key, a
    slot that is too small."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise ReleaseError("exists and is not a release", advice="Move it away", node=str(folder))
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    part.chmod(0o755)
    try:
        _fill(part, facts, files, key)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def _refuse_foreign(folder: Path) -> None:
    """Raises `ReleaseError` where an earlier release holds what it did not write, or not so: it is
    replaced as a whole, and that would be lost."""
    if not (folder / MANIFEST).is_file():
        return
    try:
        ours = Contents(json.loads((folder / MANIFEST).read_bytes())).files
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReleaseError(
            "can't be read", advice="Move the folder away", node=str(folder / MANIFEST)
        ) from error
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name in (MANIFEST, SIGNATURE) or (path.is_dir() and not path.is_symlink()):
            continue
        known = name in ours and path.is_file() and not path.is_symlink()
        if not known or hashlib.sha256(path.read_bytes()).hexdigest() != ours[name][1]:
            raise ReleaseError(
                "was added or changed after the release", advice="Move it away", node=str(path)
            )


def _fill(folder: Path, facts: Facts, files: Files, key: Key) -> None:
    stem = facts.stem
    shutil.copyfile(files.elf, folder / f"{stem}.elf")
    shutil.copyfile(files.hex, folder / f"{stem}.hex")
    shutil.copyfile(files.report, folder / REPORT)
    if files.bin is not None:
        shutil.copyfile(files.bin, folder / f"{stem}.bin")
    if files.uf2 is not None:
        (folder / f"{stem}.uf2").write_bytes(files.uf2)
    if files.slot_bin is not None and files.slot is not None:
        target, slot = folder / f"{stem}.mcuboot.bin", files.slot
        sign_image(key, files.slot_bin, target, facts.version, slot.header_bytes, slot.size_bytes)
    licences.write(folder / "licences", facts.linked)
    digest = hashlib.sha256(files.elf.read_bytes()).hexdigest()
    (folder / SBOM).write_text(
        sbom.to_json(
            facts.stem,
            facts.version,
            digest,
            (facts.network, facts.model_sha256),
            facts.tools,
            facts.linked,
        ),
        encoding="utf-8",
    )
    text = json.dumps(_manifest(folder, facts, files, key), indent=1, sort_keys=True) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    (folder / SIGNATURE).write_bytes(sign_bytes(key, text.encode()))


def _manifest(folder: Path, facts: Facts, files: Files, key: Key) -> dict[str, Any]:
    listed = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        listed.append(
            {
                "name": path.relative_to(folder).as_posix(),
                "size_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
    slot = files.slot
    return {
        "format": FORMAT,
        "network": facts.network,
        "version": facts.version,
        "board": facts.board,
        "core": facts.core,
        "app": facts.app,
        "arithmetic": facts.arithmetic,
        "kernel_set": facts.kernel_set,
        "input_mode": facts.input_mode,
        "build_id": facts.build_id,
        "model_sha256": facts.model_sha256,
        "tools": dict(facts.tools),
        "linked": {name: list(members) for name, members in facts.linked.items()},
        "key_sha256": key.sha256,
        "mcuboot": None
        if slot is None
        else {
            "slot_address": slot.address,
            "header_bytes": slot.header_bytes,
            "slot_bytes": slot.size_bytes,
            "build_id": files.slot_build_id,
        },
        "files": listed,
    }
