"""Checks a release folder, or a single MCUboot image, against a public key.

The result is a list of verdicts; one bad verdict makes the release bad. Whatever lies in the
folder, damaged or strange, gives a verdict and never a traceback.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mbn.core.elf import Contents as Elf
from mbn.core.errors import MbnError, ReleaseError
from mbn.core.files import read_regular
from mbn.core.uf2 import from_uf2
from mbn.image.release import sbom
from mbn.image.release.folder import FORMAT, MANIFEST, REPORT, SBOM, SIGNATURE, Contents
from mbn.image.release.signing import Key, refuse_untrusted, signed_by

_MOST_BYTES = 1 << 24  # of a manifest, report or SBOM
_MOST_FILES = 1000
_SIGNATURE_BYTES = 64
_NAMED = 20  # of the files that don't belong there


@dataclass(frozen=True)
class Verdict:
    """One check: of what, whether it is as it should be, and what was found."""

    what: str
    good: bool
    words: str


def verify_image(path: Path, key: Key) -> Verdict:
    """Whether an MCUboot image is complete and signed with this key."""
    return _judge(path.name, lambda: f"{refuse_untrusted(key, path).version}, signed with this key")


def verify_release(folder: Path, key: Key) -> list[Verdict]:
    """All checks, in the order of the table. Raises `ReleaseError` if there is not a folder."""
    if not folder.is_dir():
        raise ReleaseError("is not a folder", wanted="a release folder", node=str(folder))
    found = [_judge(f"{MANIFEST}: signature", lambda: _signature(folder, key))]
    if not found[0].good:
        return found  # the rest is not signed, so it is not read
    try:
        manifest = _manifest(folder)
    except Exception as error:  # deep JSON is a RecursionError, for one
        return [*found, Verdict(MANIFEST, False, _words(error))]
    found.append(_judge(f"{MANIFEST}: key", lambda: _same_key(manifest, key)))
    for name in sorted(manifest.files):
        found.append(_judge(name, partial(_file, folder, manifest, name)))
    found.append(_judge("no other files", lambda: _no_others(folder, manifest)))
    if not all(one.good for one in found):
        return found  # parsers get only what was signed
    found.append(_judge("images agree", lambda: _images_agree(folder, manifest)))
    found.append(_judge("report", lambda: _report(folder, manifest)))
    found.append(_judge("SBOM", lambda: _sbom(folder, manifest)))
    if manifest.data["mcuboot"] is not None:
        found.append(_judge("MCUboot image", lambda: _mcuboot(folder, manifest, key)))
    return found


def _judge(what: str, check: Callable[[], str]) -> Verdict:
    try:
        return Verdict(what, True, check())
    except Exception as error:  # damaged files take parsers anywhere
        return Verdict(what, False, _words(error))


def _words(error: Exception) -> str:
    if isinstance(error, MbnError):
        wanted = f"; wanted: {error.wanted}" if error.wanted else ""
        return f"{error.found}{wanted}"
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return f"can't be read ({type(error).__name__})"


def _manifest(folder: Path) -> Contents:
    contents = Contents(json.loads(_read(folder, MANIFEST)))
    if contents.data["format"] != FORMAT:
        raise ReleaseError(f"has format {contents.data['format']}", wanted=str(FORMAT))
    if len(contents.files) > _MOST_FILES:
        raise ReleaseError(f"lists {len(contents.files):,} files", wanted=f"at most {_MOST_FILES}")
    for name in contents.files:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ReleaseError(f"names {name!r}, which is not inside the folder")
    _ = contents.data["mcuboot"]
    return contents


def _read(folder: Path, name: str, most_bytes: int = _MOST_BYTES) -> bytes:
    """A file of the release: a regular file, not too large, and not a link."""
    _refuse_links(folder, name)
    return read_regular(folder / name, most_bytes)


def _refuse_links(folder: Path, name: str) -> None:
    if (folder / name).is_symlink():
        raise ReleaseError("is a link", wanted="a file")
    if any((folder / up).is_symlink() for up in Path(name).parents[:-1]):
        raise ReleaseError("is reached through a link", wanted="a file in the folder")


def _signature(folder: Path, key: Key) -> str:
    data = _read(folder, MANIFEST)
    try:
        signature = _read(folder, SIGNATURE, 2 * _SIGNATURE_BYTES)
    except FileNotFoundError:
        raise ReleaseError(f"{SIGNATURE} is missing: it is not signed") from None
    if not signed_by(key, data, signature):
        raise ReleaseError(
            f"is not what the key {key.sha256[:16]} signed: it was changed, or another key signed"
        )
    return f"by {key.sha256[:16]} ({key.path.name})"


def _same_key(manifest: Contents, key: Key) -> str:
    if manifest.data["key_sha256"] != key.sha256:
        raise ReleaseError(
            f"names the key {str(manifest.data['key_sha256'])[:16]}", wanted=key.sha256[:16]
        )
    return key.sha256


def _file(folder: Path, manifest: Contents, name: str) -> str:
    size, digest = manifest.files[name]
    _refuse_links(folder, name)
    there = (folder / name).lstat().st_size  # before it is read
    if there != size:
        raise ReleaseError(f"has {there:,} bytes", wanted=f"{size:,}")
    data = _read(folder, name, size)
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise ReleaseError(f"was changed: SHA-256 {found[:16]}...", wanted=f"{digest[:16]}...")
    return f"{size:,} bytes, SHA-256 {digest[:16]}..."


def _no_others(folder: Path, manifest: Contents) -> str:
    """Regular files that are listed, and the folders that these lie in; links are not followed."""
    known = {MANIFEST, SIGNATURE, *manifest.files}
    parents = {up.as_posix() for name in known for up in Path(name).parents}
    others: list[str] = []
    waiting, count = [folder], 0
    while waiting and len(others) < _NAMED:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                name = Path(entry.path).relative_to(folder).as_posix()
                if entry.is_dir(follow_symlinks=False) and name in parents:
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) and name in known:
                    count += 1
                else:
                    others.append(name + (" (a link)" if entry.is_symlink() else ""))
                    if len(others) == _NAMED:
                        break
    if others:
        raise ReleaseError("not in the manifest: " + ", ".join(sorted(others)))
    return f"{count} files"


def _names_build(manifest: Contents, build_id: object, *parts: bytes) -> bool:
    """Whether the build id is in the image; only the check app has it there."""
    if manifest.data["app"] != "check":
        return True
    return any(str(build_id).encode() in part for part in parts)


def _differs(parts: list[tuple[int, bytes]], found: list[tuple[int, bytes]]) -> int | None:
    """The address of the first part that is not there as it should be."""
    for address, part in parts:
        if not any(
            start <= address and data[address - start : address - start + len(part)] == part
            for start, data in found
        ):
            return address
    return None


def _images_agree(folder: Path, manifest: Contents) -> str:
    """The same bytes at the same addresses in ELF, hex, bin and UF2; the build id in them."""
    from intelhex import IntelHex  # noqa: PLC0415 - an extra

    stem = (manifest.named(".elf") or "").removesuffix(".elf")
    files = {kind: folder / f"{stem}.{kind}" for kind in ("elf", "hex", "bin", "uf2")}
    parts = sorted(Elf(files["elf"]).loaded())
    if not _names_build(manifest, manifest.data["build_id"], *(part for _, part in parts)):
        raise ReleaseError(f"the build id {manifest.data['build_id']} is not in the image")
    read = IntelHex(io.StringIO(files["hex"].read_text(encoding="ascii")))
    read.padding = 0  # as between sections in the ELF file
    others = {"hex": [(at, read.tobinstr(at, size=len(part))) for at, part in parts]}
    if files["bin"].name in manifest.files:
        others["bin"] = [(parts[0][0], files["bin"].read_bytes())]
    if files["uf2"].name in manifest.files:
        others["uf2"] = from_uf2(files["uf2"].read_bytes())[1]
    for kind, found in others.items():
        at = _differs(parts, found)
        if at is not None:
            raise ReleaseError(f"the {kind} file differs from the ELF file at {at:#010x}")
    return f"{', '.join(['elf', *others])}: build {manifest.data['build_id']}"


def _report(folder: Path, manifest: Contents) -> str:
    report = json.loads(_read(folder, REPORT))
    pairs = {
        "board": report["board"],
        "core": report["core"],
        "build_id": report["build_id"] if manifest.data["app"] == "check" else None,
        "arithmetic": report["rounding"],
        "model_sha256": report["network"]["model_sha256"],
    }
    for name, value in pairs.items():
        if value is not None and manifest.data[name] != value:
            raise ReleaseError(f"says {name} {value}", wanted=str(manifest.data[name]))
    return f"model {str(manifest.data['model_sha256'])[:16]}..., {manifest.data['arithmetic']}"


def _sbom(folder: Path, manifest: Contents) -> str:
    text = _read(folder, SBOM).decode("utf-8")
    wrong = sbom.invalid(text)
    if wrong:
        raise ReleaseError(wrong)
    data = json.loads(text)
    elf = manifest.files[manifest.named(".elf") or ""][1]
    if data["metadata"]["component"]["hashes"][0]["content"] != elf:
        raise ReleaseError("is of another image")
    return f"CycloneDX {data['specVersion']}, {len(data['components'])} components"


def _mcuboot(folder: Path, manifest: Contents, key: Key) -> str:
    name = manifest.named(".mcuboot.bin")
    if name is None:
        raise ReleaseError("is missing")
    found = refuse_untrusted(key, folder / name)
    version = str(manifest.data["version"])
    if found.version != (version if "+" in version else f"{version}+0"):
        raise ReleaseError(f"is version {found.version}", wanted=version)
    slot = manifest.data["mcuboot"]
    named = _names_build(manifest, slot["build_id"], found.body)
    if found.header_bytes != slot["header_bytes"] or not named:
        raise ReleaseError(f"holds another build than {slot['build_id']}")
    return f"{found.version}, signed with this key, for {slot['slot_address']:#010x}"
