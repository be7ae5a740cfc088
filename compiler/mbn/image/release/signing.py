"""Keys, signatures and MCUboot images, by imgtool and its cryptography library.

Keys are Ed25519 in PEM files (`imgtool keygen -t ed25519`). Other kinds are refused: ECDSA's and
RSA-PSS's signatures are randomised, so a release could not be built twice with the same bytes.
Every signature is checked after it was made.
"""

from __future__ import annotations

import hashlib
import logging
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbn.core.errors import ReleaseError, ToolError
from mbn.core.files import read_regular
from mbn.core.installing import advice

IMAGE_MAGIC = 0x96F3B83D
TLV_MAGIC, PROTECTED_MAGIC = 0x6907, 0x6908
KEY_HASH, SHA256, ED25519 = 0x01, 0x10, 0x24
SIGNATURES = {0x20: "RSA-2048", 0x22: "ECDSA", 0x23: "RSA-3072", 0x24: "Ed25519", 0x28: "pure"}
_LENGTHS = {KEY_HASH: 32, SHA256: 32, ED25519: 64}
_HEADER = struct.Struct("<IIHHIIBBHII")
_TLV = struct.Struct("<HH")
_LOG = logging.getLogger(__name__)
KEY_ADVICE = "imgtool keygen -t ed25519 -k key.pem; imgtool getpub -e pem -k key.pem > public.pem"


def _imgtool() -> Any:
    """imgtool's modules (keys, image). Raises `ToolError` where it is not installed."""
    try:
        from imgtool import image, keys  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ToolError("imgtool is not installed", advice=advice("release")) from error
    return keys, image


@dataclass(frozen=True)
class Key:
    """An Ed25519 key: the public half always, the private one where the file has it."""

    path: Path
    public: Any
    private: Any | None
    imgtool: Any

    @property
    def sha256(self) -> str:
        """Of the public key as MCUboot knows it (`imgtool getpubhash`)."""
        return hashlib.sha256(self.imgtool.get_public_bytes()).hexdigest()


def load_key(path: Path) -> Key:
    """Reads a PEM file. Raises `ReleaseError`: no key, locked by a password, another kind."""
    keys, _ = _imgtool()
    try:
        found = keys.load(str(path))
    except OSError as error:
        raise ReleaseError(f"can't be read: {error.strerror}", node=str(path)) from error
    except Exception as error:
        raise ReleaseError(
            "is not a readable key", wanted="a PEM file", advice=KEY_ADVICE, node=str(path)
        ) from error
    if found is None:
        raise ReleaseError("is locked by a password", wanted="a key without", node=str(path))
    if not isinstance(found, keys.Ed25519Public):
        raise ReleaseError(
            f"is a {type(found).__name__} key", wanted="Ed25519", advice=KEY_ADVICE, node=str(path)
        )
    _warn_if_readable(path, isinstance(found, keys.Ed25519))
    private = found.key if isinstance(found, keys.Ed25519) else None
    public = found.key if private is None else private.public_key()
    return Key(path, public, private, found)


def _warn_if_readable(path: Path, is_private: bool) -> None:
    mode = path.stat().st_mode & 0o777
    if is_private and mode & 0o077:
        _LOG.warning("%s: a private key that others may read (mode %04o): chmod 600", path, mode)


def sign_bytes(key: Key, data: bytes) -> bytes:
    """A detached signature of 64 bytes. Raises `ReleaseError` for a public key."""
    if key.private is None:
        raise ReleaseError(
            "is a public key", wanted="the private key, to sign with", node=str(key.path)
        )
    signature: bytes = key.private.sign(data)
    assert signed_by(key, data, signature)
    return signature


def signed_by(key: Key, data: bytes, signature: bytes) -> bool:
    """Whether this key made that signature of these bytes."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra

    try:
        key.public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def sign_image(
    key: Key, plain: Path, signed: Path, version: str, header_bytes: int, slot_bytes: int
) -> None:
    """Makes a MCUboot image of a .bin, and verifies it. Raises `ReleaseError`, `ToolError`."""
    if key.private is None:
        sign_bytes(key, b"")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "imgtool.main", "sign", "--key", str(key.path)),
            *("--version", version, "--align", "8", "--pad-header"),
            *("--header-size", str(header_bytes), "--slot-size", str(slot_bytes)),
            *(str(plain), str(signed)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise ReleaseError(f"imgtool made no image: {words[-1] if words else 'no message'}")
    refuse_untrusted(key, signed)


@dataclass(frozen=True)
class SignedImage:
    """A MCUboot image, read: its header's values and what follows the body."""

    header_bytes: int
    version: str  # as imgtool writes it: 1.2.3+4
    body: bytes
    tags: dict[int, bytes]  # by type


def read_image(data: bytes) -> SignedImage:
    """Reads an MCUboot image. Raises `ReleaseError` for anything else. It has a header, a body,
    protected TLVs if the header says so, TLVs, and nothing more; each TLV occurs once, with the
    length of its type."""
    if len(data) < _HEADER.size or data[:4] != struct.pack("<I", IMAGE_MAGIC):
        raise ReleaseError("is not an MCUboot image", wanted="a file that imgtool signed")
    _, _, header, protected, size, _, major, minor, patch, build, _ = _HEADER.unpack_from(data)
    version = f"{major}.{minor}.{patch}+{build}"
    tags: dict[int, bytes] = {}
    at = header + size
    if protected:
        at = _tags(data, at, PROTECTED_MAGIC, protected, tags)
    end = _tags(data, at, TLV_MAGIC, None, tags)
    if end != len(data):
        raise ReleaseError(
            f"has {len(data) - end:,} bytes after its end", wanted="nothing after the TLVs"
        )
    return SignedImage(header, version, data[header : header + size], tags)


def _tags(data: bytes, at: int, magic: int, wanted: int | None, tags: dict[int, bytes]) -> int:
    """Reads one area of TLVs into `tags`; where it ends."""
    found, total = _TLV.unpack_from(data.ljust(at + _TLV.size, b"\0"), at)
    end: int = at + total
    inside = at + _TLV.size
    if found != magic or end > len(data) or wanted not in (None, total):
        raise ReleaseError("is damaged: its TLVs don't begin or end where they should")
    while inside < end:
        kind, length = _TLV.unpack_from(data.ljust(inside + _TLV.size, b"\0"), inside)
        inside += _TLV.size
        if kind in tags or inside + length > end or _LENGTHS.get(kind, length) != length:
            raise ReleaseError(f"is damaged: its TLV {kind:#06x} of {length} bytes")
        tags[kind] = data[inside : inside + length]
        inside += length
    return end


def refuse_untrusted(key: Key, path: Path) -> SignedImage:
    """The image, if this key signed it. Raises `ReleaseError` with the reason if not: not an
    MCUboot image, damaged, unsigned, or signed with another key."""
    _, image = _imgtool()
    try:
        found = read_image(read_regular(path))
    except ReleaseError as error:
        raise ReleaseError(error.found, wanted=error.wanted, node=path.name) from None
    if not found.tags.keys() & SIGNATURES.keys():
        raise ReleaseError("is not signed", wanted="a signed MCUboot image", node=path.name)
    strange = found.tags.keys() - _LENGTHS.keys()
    if strange and found.tags.keys() & SIGNATURES.keys() == {ED25519}:
        raise ReleaseError(
            f"has a TLV of type {min(strange):#06x}, which a release does not have", node=path.name
        )
    if found.tags.get(KEY_HASH, b"").hex() != key.sha256:
        raise ReleaseError(
            f"is signed with the key {found.tags.get(KEY_HASH, b'').hex()[:16] or 'of no name'}",
            wanted=f"{key.sha256[:16]} ({key.path.name})",
            advice="Sign it with that key, or verify it with its own",
            node=path.name,
        )
    try:
        result = image.Image.verify(str(path), key.imgtool)[0]
    except Exception as error:  # a damaged length takes imgtool anywhere
        raise ReleaseError(f"is damaged ({type(error).__name__})", node=path.name) from error
    if result != image.VerifyResult.OK:
        reason = {"INVALID_HASH": "its hash is wrong", "INVALID_SIGNATURE": "wrongly signed"}
        words = reason.get(result.name, result.name)
        raise ReleaseError(f"is damaged: {words}", node=path.name)
    return found
