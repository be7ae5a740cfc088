"""What a file's name, a model's words, a folder and the environment may not do to a build.

What enters: a small network under hostile names. What leaves: nothing but failures. Always holds:
no command of a name runs; the bytes of an image depend on what its build id hashes, alone.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import onnx
import pytest
from onnx import helper

import qdq
import tiny
from mbn.cli import compile as compile_command
from mbn.core.boards import find_board
from mbn.core.process import clean_environment
from mbn.harness.cost.count import count
from mbn.image.build import build_image

EVIL = 'x*/ __attribute__((constructor)) static void h5(void) { } /*??/\n"\\'


def evil_model(path: Path) -> Path:
    """Each node has an evil name; the softmax behind the first result stays on the host, whose
    comment names it."""
    model = qdq.mobile(softmax=False).model()
    pool = next(node for node in model.graph.node if node.name == "pool")
    q = next(n for n in model.graph.node if pool.output[0] in n.input)
    dq = next(n for n in model.graph.node if q.output[0] in n.input)
    last = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Softmax", [last], ["probs"], name="sm", axis=-1))
    for at, node in enumerate(model.graph.node):
        node.name = f"{at}{EVIL}"
    del model.graph.output[:]
    names = ("probs", dq.output[0])
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    inferred = onnx.shape_inference.infer_shapes(model)
    kinds = {v.name: v for v in (*inferred.graph.value_info, *inferred.graph.output)}
    del model.graph.output[:]
    model.graph.output.extend(kinds[name] for name in names)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("form", ["cmake", "zephyr", "arduino", "platformio"])
def test_node_names_stay_words(form: str, tmp_path: Path) -> None:
    path = evil_model(tmp_path / "evil.onnx")
    folder = tmp_path / "lib"
    arguments = ["--board", "qemu", "--onnx", str(path), "--export", form]
    assert compile_command.main([*arguments, "--samples", "1", "--output", str(folder)]) == 0
    for file in (one for one in folder.rglob("*") if one.is_file()):
        text = file.read_text()
        assert "*/ __attribute__" not in text and "h5(void) { } /*" not in text, file
        assert "??" not in text, file
    command = ["gcc", "-std=c11", "-trigraphs", "-O1", f"-I{folder / 'src'}", "-Wall", "-Wextra"]
    command += ["-Werror", "-shared", "-fPIC", "-o", str(tmp_path / "lib.so")]
    subprocess.run([*command, *map(str, (folder / "src").rglob("*.c"))], check=True)
    symbols = subprocess.run(
        ["nm", str(tmp_path / "lib.so")], check=True, capture_output=True, text=True
    ).stdout
    assert "h5" not in [line.split()[-1] for line in symbols.splitlines()]


NAMES = (
    'm]==] CACHE STRING "")\nexecute_process(COMMAND touch PWNED)\nset(Q [==[.onnx',
    "nét 模型.onnx",
    "a;b$c${HOME}`id`*?|.onnx",
    "...onnx",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_files_name_is_no_command(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    qdq.mobile(softmax=False).save(tmp_path / name)
    arguments = ["--board", "qemu", "--onnx", name, "--samples", "1", "--quiet"]
    assert compile_command.main(arguments) == 0
    assert not list(tmp_path.rglob("PWNED"))
    (folder,) = (tmp_path / "out" / "qemu").iterdir()
    assert (folder / "check.elf").is_file()
    assert folder.name.isascii() and folder.name.isprintable()


FOLDERS = (
    "a b",
    "a;b",
    'a"b',
    "a${HOME}b",
    "a\\b",
    "a\nb",
    "a]==]b",
    "a=b",
    "a*b",
    "a?b",
    "a|b",
    "ä",
)


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_any_name(name: str, tmp_path: Path) -> None:
    """The same image as in a folder of plain letters; CMake's folder lies where it always does."""
    generated = tmp_path / name / "c"
    shutil.copytree(tiny.FOLDER, generated)
    board = find_board("qemu")
    made = build_image(generated, board, "bench", tmp_path / name)
    wanted = build_image(tiny.FOLDER, board, "bench", tmp_path / "plain")
    assert made.elf.read_bytes() == wanted.elf.read_bytes()
    assert (tmp_path / name / "build-bench" / "image.map").is_file()
    assert (tmp_path / name / "build-bench.log").is_file()
    assert count(board, made.elf, 2, tmp_path / name / "cost")


def test_the_environment_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever compilers, CMake and Ninja take from it."""
    board = find_board("qemu")
    wanted = build_image(tiny.FOLDER, board, "check", tmp_path / "clean")
    (tmp_path / "string.h").write_text("#error from the environment\n")
    options = "-DMBN_WATCHDOG_MS=9999u -fno-inline"
    for name in ("CFLAGS", "CPPFLAGS", "LDFLAGS", "ASMFLAGS", "CMAKE_C_FLAGS"):
        monkeypatch.setenv(name, options)
    for name in ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("CMAKE_C_COMPILER_LAUNCHER", "false")
    monkeypatch.setenv("CMAKE_BUILD_TYPE", "Debug")
    monkeypatch.setenv("CMAKE_GENERATOR", "Unix Makefiles")
    monkeypatch.setenv("CC", "false")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    found = build_image(tiny.FOLDER, board, "check", tmp_path / "other")
    assert found.build_id == wanted.build_id
    assert found.elf.read_bytes() == wanted.elf.read_bytes()
    assert set(clean_environment()) <= {
        *("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "LC_ALL")
    }


def test_a_users_folder_is_no_build_folder(tmp_path: Path) -> None:
    (tmp_path / "build-bench").mkdir()
    (tmp_path / "build-bench" / "mine.txt").write_text("mine")
    with pytest.raises(Exception, match="is not a build folder"):
        build_image(tiny.FOLDER, find_board("qemu"), "bench", tmp_path)
    assert (tmp_path / "build-bench" / "mine.txt").is_file()
