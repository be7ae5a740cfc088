"""Releases: complete, signed, the same bytes anywhere, and every damage found.

What enters: the hand-made network's images, and one network compiled twice. What leaves: nothing
but failures. Always holds: keys are derived from fixed bytes, so that nothing here is random.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from conftest import Builder
from mbn.cli import compile as compile_command
from mbn.cli import verify as verify_command
from mbn.core.boards import find_board
from mbn.core.elf import Contents as Elf
from mbn.core.errors import ReleaseError, UsageError
from mbn.core.target import Emulator, Image, data_root
from mbn.core.uf2 import to_uf2
from mbn.harness.device import open_device
from mbn.image.build import build_image
from mbn.image.release.folder import Facts, Files, Slot, write_release
from mbn.image.release.linked import linked
from mbn.image.release.signing import load_key, refuse_untrusted, sign_bytes
from mbn.image.release.verify import Verdict, verify_image, verify_release
from mbn.jobs.release import HEADER_BYTES, check_version

pytest.importorskip("imgtool", reason="pip install 'mbn-edge[release]'")
pytest.importorskip("cyclonedx", reason="pip install 'mbn-edge[release]'")

from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SLOT = Slot(0x20000, HEADER_BYTES, 0x40000)


@dataclass(frozen=True)
class Made:
    """A release of the hand-made network, and the keys."""

    folder: Path
    private: Path
    public: Path
    other: Path  # another private key


def _write_keys(folder: Path, name: str, seed: int) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))
    private, public = folder / f"{name}.pem", folder / f"{name}_public.pem"
    private.write_bytes(
        key.private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, encryption_algorithm=pem.NoEncryption()
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def _facts(image: Image, tools: dict[str, str] | None = None) -> Facts:
    versions = {"mbn": "1", "apache-tvm": "1", "newlib": "1", "arm-none-eabi-gcc": "1"}
    return Facts(
        network="tiny",
        version="1.2.3",
        board=image.board.name,
        core=image.board.core.name,
        app="check",
        arithmetic="single",
        kernel_set=image.board.core.kernels.name,
        input_mode="stream",
        build_id=image.build_id,
        model_sha256="7469e6e7" * 8,
        tools=tools or versions,
        linked=linked(image.elf.parent / "build-check" / "image.map"),
    )


def _report(image: Image, path: Path) -> Path:
    known = {
        "board": image.board.name,
        "core": image.board.core.name,
        "build_id": image.build_id,
        "rounding": "single",
        "network": {"model_sha256": "7469e6e7" * 8},
    }
    path.write_text(json.dumps(known), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(build: Builder, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Everything that a release can hold: UF2 and a MCUboot image too."""
    folder = tmp_path_factory.mktemp("release")
    private, public = _write_keys(folder, "key", 1)
    other, _ = _write_keys(folder, "other", 2)
    image = build(find_board("qemu"))
    flash = image.board.memories[0]
    inside = replace(flash, origin=0x20000 + HEADER_BYTES, size_bytes=0x40000 - HEADER_BYTES)
    moved = replace(image.board, memories=(inside, *image.board.memories[1:]))
    slot = build_image(tiny.FOLDER, moved, "check", folder / "slot")
    assert image.hex is not None
    files = Files(
        elf=image.elf,
        hex=image.hex,
        report=_report(image, folder / "report.json"),
        bin=image.bin,
        uf2=to_uf2(Elf(image.elf).loaded(), 7),
        slot_bin=slot.bin,
        slot=SLOT,
        slot_build_id=slot.build_id,
    )
    released = write_release(folder / "release-1.2.3", _facts(image), files, load_key(private))
    return Made(released, private, public, other)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """The release, to damage."""
    return Path(shutil.copytree(made.folder, tmp_path / "release"))


def bad(found: list[Verdict]) -> dict[str, str]:
    return {one.what: one.words for one in found if not one.good}


def test_a_whole_release(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(made.folder), "--key", str(made.public)]
    assert verify_command.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "Whole: all 17 checks are good" in printed
    assert "elf, hex, bin, uf2: build" in printed
    # the private key has the public one in it
    assert not bad(verify_release(made.folder, load_key(made.private)))
    manifest = json.loads((made.folder / "manifest.json").read_text())
    for one in manifest["files"]:
        data = (made.folder / one["name"]).read_bytes()
        assert one["sha256"] == hashlib.sha256(data).hexdigest()
    texts = {path.name for path in (made.folder / "licences").iterdir()}
    assert texts == {"README.txt", "apache-2.0.txt", "newlib.txt"}
    assert "memset" in (made.folder / "licences" / "README.txt").read_text()


FILES = [
    *("manifest.json", "manifest.sig", "report.json", "sbom.cdx.json"),
    *(f"tiny-qemu-1.2.3.{kind}" for kind in ("elf", "hex", "bin", "uf2", "mcuboot.bin")),
    *(f"licences/{name}" for name in ("README.txt", "apache-2.0.txt", "newlib.txt")),
]


def test_every_file_is_damaged_below(made: Made) -> None:
    found = {p.relative_to(made.folder).as_posix() for p in made.folder.rglob("*") if p.is_file()}
    assert found == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found(made: Made, copy: Path, name: str) -> None:
    """In the first byte, the middle one, the last one."""
    key = load_key(made.public)
    whole = (copy / name).read_bytes()
    what = "manifest.json: signature" if name.startswith("manifest") else name
    for at, bit in ((0, 0), (len(whole) // 2, 3), (len(whole) - 1, 7)):
        data = bytearray(whole)
        data[at] ^= 1 << bit
        (copy / name).write_bytes(data)
        assert what in bad(verify_release(copy, key))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found(made: Made, copy: Path, name: str) -> None:
    (copy / name).unlink()
    found = bad(verify_release(copy, load_key(made.public)))
    assert any("missing" in words for words in found.values())


def test_an_extra_file_a_link_and_a_cut(
    made: Made, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "licences" / "more.txt").write_text("x")
    (copy / "report.json").unlink()
    (copy / "report.json").symlink_to(made.folder / "report.json")
    uf2 = copy / "tiny-qemu-1.2.3.uf2"
    uf2.write_bytes(uf2.read_bytes()[:-512])
    found = bad(verify_release(copy, load_key(made.public)))
    assert "licences/more.txt" in found["no other files"]
    assert found["report.json"] == "is a link; wanted: a file"
    assert "wanted" in found[uf2.name]
    assert verify_command.main([str(copy), "--key", str(made.public)]) == 1
    assert "Not to be trusted" in capsys.readouterr().out


def test_another_key_and_a_forged_manifest(made: Made, copy: Path) -> None:
    found = bad(verify_release(copy, load_key(made.other)))
    assert set(found) == {"manifest.json: signature"}
    # a forger who changes an image and the manifest with it, and signs with a key of his own
    target = copy / "tiny-qemu-1.2.3.bin"
    data = bytearray(target.read_bytes())
    data[100] ^= 1
    target.write_bytes(data)
    manifest = json.loads((copy / "manifest.json").read_text())
    for one in manifest["files"]:
        if one["name"] == target.name:
            one["sha256"] = hashlib.sha256(data).hexdigest()
    text = json.dumps(manifest).encode()
    (copy / "manifest.json").write_bytes(text)
    (copy / "manifest.sig").write_bytes(sign_bytes(load_key(made.other), text))
    found = bad(verify_release(copy, load_key(made.public)))
    assert set(found) == {"manifest.json: signature"}
    (copy / "manifest.sig").write_bytes(sign_bytes(load_key(made.private), text))
    assert set(bad(verify_release(copy, load_key(made.public)))) == {"images agree"}
    manifest["files"][0]["name"] = "../../etc/passwd"
    text = json.dumps(manifest).encode()
    (copy / "manifest.json").write_bytes(text)
    (copy / "manifest.sig").write_bytes(sign_bytes(load_key(made.private), text))
    assert "not inside" in bad(verify_release(copy, load_key(made.public)))["manifest.json"]


def test_links_and_strange_entries(made: Made, copy: Path, tmp_path: Path) -> None:
    """Each alone makes the release bad: none is followed, none goes unseen."""
    key = load_key(made.public)
    outside = tmp_path / "outside"
    outside.mkdir()
    extra = copy / "extra"
    for make, undo in (
        (lambda: extra.symlink_to(outside), extra.unlink),
        (extra.mkdir, extra.rmdir),
        (lambda: os.mkfifo(extra), extra.unlink),
        ((copy / "licences" / "empty").mkdir, (copy / "licences" / "empty").rmdir),
    ):
        make()
        assert set(bad(verify_release(copy, key))) == {"no other files"}
        undo()
    for name in ("licences", "manifest.json", "manifest.sig"):
        (copy / name).rename(outside / name)
        (copy / name).symlink_to(outside / name)
        assert bad(verify_release(copy, key)), name
        (copy / name).unlink()
        (outside / name).rename(copy / name)
    assert not bad(verify_release(copy, key))


def test_nothing_is_parsed_that_nobody_signed(made: Made, copy: Path) -> None:
    """A manifest that would take for ever, or all memory: one verdict, at once."""
    key = load_key(made.public)
    whole = (copy / "manifest.json").read_bytes()
    many = json.dumps({"files": [{"name": f"{k}"} for k in range(200_000)]}).encode()
    for data in (many, b"[" * 100_000, bytes(1 << 25)):
        (copy / "manifest.json").write_bytes(data)
        assert set(bad(verify_release(copy, key))) == {"manifest.json: signature"}
    for name in ("manifest.json", "manifest.sig"):
        (copy / "manifest.json").write_bytes(whole)
        (copy / name).unlink()
        os.mkfifo(copy / name)
        assert set(bad(verify_release(copy, key))) == {"manifest.json: signature"}
        (copy / name).unlink()
    (copy / "manifest.json").write_bytes(b"[" * 100_000)
    signature = sign_bytes(load_key(made.private), b"[" * 100_000)
    (copy / "manifest.sig").write_bytes(signature)
    assert set(bad(verify_release(copy, key))) == {"manifest.json"}


def test_every_bit_behind_the_body_counts(made: Made, tmp_path: Path) -> None:
    """Of the TLVs of a MCUboot image, and bytes after them."""
    key = load_key(made.public)
    data = (made.folder / "tiny-qemu-1.2.3.mcuboot.bin").read_bytes()
    header, size = struct.unpack_from("<H", data, 8)[0], struct.unpack_from("<I", data, 12)[0]
    one = tmp_path / "one.mcuboot.bin"
    missed = []
    for bit in range(8 * (header + size), 8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        one.write_bytes(changed)
        if verify_image(one, key).good:
            missed.append(bit)
    assert not missed
    one.write_bytes(data + b"\0")
    assert "1 bytes after its end" in verify_image(one, key).words


def test_a_private_key_that_others_may_read(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(made.private.read_bytes())
    key.chmod(0o600)
    load_key(key)
    assert not caplog.text
    key.chmod(0o644)
    load_key(key)
    assert "others may read (mode 0644)" in caplog.text


def _imgtool_sign(plain: Path, signed: Path, *key: str) -> None:
    command = [
        sys.executable,
        "-m",
        "imgtool.main",
        "sign",
        *key,
        "--version",
        "1.0.0",
        "--pad-header",
    ]
    command += ["--header-size", "0x200", "--slot-size", "0x40000", str(plain), str(signed)]
    subprocess.run(command, check=True, capture_output=True)


def test_single_images(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unsigned, wrongly signed, damaged, no image: each with words of its own."""
    key = load_key(made.public)
    good = made.folder / "tiny-qemu-1.2.3.mcuboot.bin"
    assert verify_image(good, key).good
    plain = made.folder / "tiny-qemu-1.2.3.bin"
    one = tmp_path / "one.bin"
    _imgtool_sign(plain, one)
    with pytest.raises(ReleaseError, match=r"one\.bin: is not signed"):
        refuse_untrusted(key, one)
    _imgtool_sign(plain, one, "--key", str(made.other))
    with pytest.raises(ReleaseError, match=r"is signed with the key .*Sign it with that key"):
        refuse_untrusted(key, one)
    for at in (HEADER_BYTES + 7, good.stat().st_size - 1):  # the body, the signature
        data = bytearray(good.read_bytes())
        data[at] ^= 1
        one.write_bytes(data)
        with pytest.raises(ReleaseError, match=r"is damaged: (its hash is wrong|wrongly signed)"):
            refuse_untrusted(key, one)
    with pytest.raises(ReleaseError, match="is not an MCUboot image"):
        refuse_untrusted(key, plain)
    assert verify_command.main([str(plain), "--key", str(made.public)]) == 1
    assert "is not an MCUboot image" in capsys.readouterr().out


def test_bad_keys(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ReleaseError, match="can't be read"):
        load_key(tmp_path / "none.pem")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no key")
    with pytest.raises(ReleaseError, match="imgtool keygen"):
        load_key(garbage)
    curve = ec.generate_private_key(ec.SECP256R1())
    garbage.write_bytes(
        curve.private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, encryption_algorithm=pem.NoEncryption()
        )
    )
    with pytest.raises(ReleaseError, match="wanted: Ed25519"):
        load_key(garbage)
    with pytest.raises(ReleaseError, match="wanted: the private key"):
        sign_bytes(load_key(made.public), b"x")
    # refused before anything is compiled
    start = ["--board", "qemu", "--output", str(tmp_path / "out")]
    for arguments, words in (
        (["--release", "1.2.3"], "wanted: --sign KEY"),
        (["--sign", str(made.private)], "wanted: --release VERSION"),
        (["--release", "1.2", "--sign", str(made.private)], "MAJOR.MINOR.REVISION"),
        (["--release", "1.2.3", "--sign", str(made.public)], "is a public key"),
    ):
        assert compile_command.main([*start, *arguments]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_versions() -> None:
    assert check_version("255.255.65535+4294967295")
    for text in ("1", "1.2", "1.2.3-rc1", "256.0.0", "v1.2.3", "1.2.65536"):
        with pytest.raises(UsageError):
            check_version(text)


def test_libgcc_is_named_where_it_is_linked(build: Builder, made: Made, tmp_path: Path) -> None:
    """The M0+ divides by libgcc; the M55's image lies in two memories, so it has no .bin."""
    for name, licences in (("qemu-m0", True), ("qemu-m55", False)):
        image = build(find_board(name))
        assert image.hex is not None
        files = Files(image.elf, image.hex, _report(image, tmp_path / "r.json"), image.bin)
        folder = write_release(tmp_path / name, _facts(image), files, load_key(made.private))
        assert not bad(verify_release(folder, load_key(made.public)))
        assert (folder / "licences" / "gcc-exception-3.1.txt").exists() == licences
        components = json.loads((folder / "sbom.cdx.json").read_text())["components"]
        assert ("libgcc" in {one["name"] for one in components}) == licences
    # only the check app says its build id
    for app, good in (("mlperf", True), ("check", False)):
        facts = replace(_facts(image), app=app, build_id="deadbeef" * 2)
        folder = write_release(tmp_path / app, facts, files, load_key(made.private))
        assert ("images agree" not in bad(verify_release(folder, load_key(made.public)))) == good
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("x")
    with pytest.raises(ReleaseError, match="exists and is not a release"):
        write_release(elsewhere, _facts(image), files, load_key(made.private))
    again = write_release(tmp_path / "first", _facts(image), files, load_key(made.private))
    write_release(again, _facts(image), files, load_key(made.private))
    for name, data in (("NOTES.md", b"mine"), ("report.json", b"changed")):
        kept = (again / name).read_bytes() if (again / name).exists() else None
        (again / name).write_bytes(data)
        with pytest.raises(ReleaseError, match="was added or changed after the release"):
            write_release(again, _facts(image), files, load_key(made.private))
        assert (again / name).read_bytes() == data
        if kept is None:
            (again / name).unlink()


def test_same_bytes_on_two_paths(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """mbn-compile --release, all the way, in two folders."""
    folders = []
    for name in ("one", "another/deeper"):
        place = tmp_path / name
        place.mkdir(parents=True)
        key = shutil.copy(made.private, place / f"{place.name}.pem")
        monkeypatch.chdir(place)
        network = ["--weights", "random:1", "--resolution", "32", "--optimise", "size"]
        arguments = ["--board", "stm32", *network, "--samples", "1", "--output", str(place / "o")]
        with redirect_stdout(io.StringIO()):
            ship = ["--release", "2.0.1", "--sign", str(key), "--slot", "0x20000", "0x60000"]
            assert compile_command.main([*arguments, *ship]) == 0
        folders.append(place / "o" / "release-2.0.1")
    names = [{p.relative_to(one) for p in one.rglob("*") if p.is_file()} for one in folders]
    assert names[0] == names[1] and len(names[0]) >= 10
    for name in sorted(names[0]):
        data = (folders[0] / name).read_bytes()
        assert data == (folders[1] / name).read_bytes(), name
        assert str(tmp_path).encode() not in data, name
    assert verify_command.main([str(folders[1]), "--key", str(made.public)]) == 0
    manifest = json.loads((folders[0] / "manifest.json").read_text())
    assert manifest["mcuboot"]["slot_address"] == 0x08020000
    assert manifest["tools"]["apache-tvm"].startswith("0.")
    assert "16 checks are good" in capsys.readouterr().out


def test_same_bytes_from_another_checkout(
    build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C side of the repository in another folder gives the same ELF file."""
    root = tmp_path / "elsewhere" / "mbn"
    for name in ("runtime", "boards", "firmware", "cmake"):
        shutil.copytree(data_root() / name, root / name)
    shutil.copy(data_root() / "CMakeLists.txt", root / "CMakeLists.txt")
    first = build(find_board("qemu"))
    monkeypatch.setattr("mbn.image.build.image.data_root", lambda: root)
    second = build_image(tiny.FOLDER, find_board("qemu", root), "check", tmp_path / "o")
    assert second.board.sources[0].is_relative_to(root)
    assert second.elf.read_bytes() == first.elf.read_bytes()


LOADER = """
.syntax unified
.cpu cortex-m3
.thumb
.word 0x20001000
.word start + 1
start:
    ldr r0, =0x20200        @ the slot and the header
    ldr r1, =0xE000ED08     @ VTOR
    str r0, [r1]
    ldr r1, [r0]
    msr msp, r1
    ldr r0, [r0, #4]
    bx r0
"""


def test_the_mcuboot_image_runs_from_its_slot(made: Made, tmp_path: Path) -> None:
    """Started as MCUboot starts it: VTOR, stack pointer and reset vector behind the header."""
    source, loader = tmp_path / "loader.s", tmp_path / "loader.elf"
    source.write_text(LOADER)
    command = ["arm-none-eabi-gcc", "-nostdlib", "-Wl,-Ttext=0", "-Wl,-e0", "-o", str(loader)]
    subprocess.run([*command, str(source)], check=True)
    signed = made.folder / "tiny-qemu-1.2.3.mcuboot.bin"
    board = find_board("qemu")
    extra = ("-device", f"loader,file={signed},addr={SLOT.address},force-raw=on")
    booted = replace(board, emulator=Emulator("mps2-an386", extra))
    images = tiny.images(3)
    with open_device(booted, loader, log_path=tmp_path / "serial.log") as device:
        manifest = json.loads((made.folder / "manifest.json").read_text())
        assert device.identity.build_id == manifest["mcuboot"]["build_id"]
        for image, wanted in zip(images, tiny.outputs(images), strict=True):
            np.testing.assert_array_equal(device.run(image).output, wanted)
        device.reset()
        health = device.health()
        assert health is not None and health.damaged is None
