"""The runtime's and the check firmware's promises when they are used wrongly, or asked twice.

What enters: the hand-made network of tests/fixtures/tiny, built natively under sanitizers with
small programs that misuse it. What leaves: nothing but failures. Always holds: a call that may not
succeed gives a status or null, as mbn.h says, and never crashes.
"""

from __future__ import annotations

import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from mbn.core.boards import find_board
from mbn.core.target import data_root
from mbn.harness.device import open_device
from mbn.harness.device import protocol as wire
from mbn.image.build import build_image

SANITIZED = ["-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
PRELUDE = """
#include "network.h"
#include <stdio.h>
#include <string.h>
static mbn_model_state state;
static const int8_t row[8];
static mbn_status fill(void)
{
    mbn_status status = mbn_model_init(&state);
    for (int y = 0; y < 4 && status == MBN_OK; y++) { status = mbn_push_row(&state.base, row); }
    return status;
}
int main(void)
{
"""


def run(body: str, folder: Path) -> list[int]:
    """The numbers that a C program prints."""
    (folder / "main.c").write_text(PRELUDE + body + "\n    return 0;\n}\n")
    runtime = data_root() / "runtime"
    sources = [folder / "main.c", runtime / "src" / "mbn.c", *tiny.FOLDER.glob("*.c")]
    places = [f"-I{runtime / 'include'}", f"-I{tiny.FOLDER}"]
    program = folder / "program"
    command = ["gcc", *SANITIZED, *places, *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize("word", ["low", "high"])
def test_no_result_after_an_overwritten_guard(word: str, tmp_path: Path) -> None:
    """mbn.h: null before mbn_finish succeeded; a second call says the same."""
    body = f"""
    int8_t copy[5];
    mbn_status status = fill();
    state.memory.guard_{word} = 0;
    printf("%d", status);
    printf(" %d", mbn_finish(&state.base));
    printf(" %d", mbn_finish(&state.base));
    printf(" %d %d", mbn_output(&state.base) == NULL, mbn_result(&state.base, 0) == NULL);
    printf(" %d", mbn_copy_result(&state.base, 0, copy));
    printf(" %d", fill());
    printf(" %d", mbn_finish(&state.base));
    printf(" %d", mbn_output(&state.base) == NULL);"""
    assert run(body, tmp_path) == [0, -3, -3, 1, 1, -2, 0, 0, 0]


POINTERS = ("network", "arena", "rows_done", "window", "band", "guard_low", "guard_high")


def test_a_changed_pointer_is_not_followed(tmp_path: Path) -> None:
    """Any one bit of any pointer, before a push and before the end; the next image is right."""
    body = "".join(
        f"""
    for (unsigned bit = 0; bit < 8 * sizeof(void *); bit += 7) {{
        int8_t copy[5];
        uintptr_t word;
        mbn_status status = fill();
        memcpy(&word, &state.base.{name}, sizeof word);
        word ^= (uintptr_t)1 << bit;
        memcpy(&state.base.{name}, &word, sizeof word);
        printf("%d %d %d %d %d %d %d\\n", status, mbn_push_row(&state.base, row),
               mbn_finish(&state.base), mbn_input_row(&state.base) == NULL,
               mbn_guards_ok(&state.base), mbn_output(&state.base) == NULL,
               mbn_copy_result(&state.base, 0, copy));
    }}"""
        for name in POINTERS
    )
    found = run(body + '\nprintf("%d ", fill()); printf("%d", mbn_finish(&state.base));', tmp_path)
    assert found == [0, -5, -5, 1, 0, 1, -5] * (10 * len(POINTERS)) + [0, 0]


@pytest.mark.parametrize("tensor", [0, 1, 2])
def test_a_changed_counter_of_rows_gives_no_result(tensor: int, tmp_path: Path) -> None:
    """Whatever it says: rows are left out or made twice, and both are seen; a second call too."""
    body = f"""
    for (unsigned rows = 0; rows < 8; rows++) {{
        for (int at = 1; at < 4; at++) {{
            mbn_status status = mbn_model_init(&state);
            for (int y = 0; y < at && status == MBN_OK; y++) {{
                status = mbn_push_row(&state.base, row);
            }}
            bool changes = state.rows_done[{tensor}] != rows;
            state.rows_done[{tensor}] = (uint16_t)rows;
            while (status == MBN_OK && mbn_input_row(&state.base) != NULL) {{
                status = mbn_push_row(&state.base, row);
            }}
            status = mbn_finish(&state.base);
            bool refused = status != MBN_OK && mbn_finish(&state.base) != MBN_OK;
            printf("%d ", changes == (refused && mbn_output(&state.base) == NULL));
        }}
    }}"""
    assert run(body, tmp_path) == [1] * 24


def test_zeroed_state_is_an_argument_error(tmp_path: Path) -> None:
    body = """
    static mbn_state z;
    static const uint8_t pixels[8];
    int8_t copy[5];
    printf("%d %d %d %d %d", mbn_begin(&z), mbn_push_row(&z, row), mbn_push_row(&z, NULL),
           mbn_push_pixels(&z, pixels), mbn_finish(&z));
    printf(" %d %d %d", mbn_input_row(&z) == NULL, mbn_output(&z) == NULL,
           mbn_result(&z, 0) == NULL);
    printf(" %d %d %d", mbn_copy_result(&z, 0, copy), mbn_begin(NULL), mbn_push_row(NULL, row));"""
    assert run(body, tmp_path) == [-1, -1, -1, -1, -1, 1, 1, 1, -1, -1, -1]


def test_init_without_a_state_is_an_argument_error(tmp_path: Path) -> None:
    assert run('printf("%d", mbn_model_init(NULL));', tmp_path) == [-1]


def test_misaligned_arena_is_an_argument_error(tmp_path: Path) -> None:
    body = """
    mbn_status status = mbn_model_init(&state);
    printf("%d", status);
    for (int by = 1; by < 17; by++) {
        state.base.arena = state.memory.arena + by;
        printf(" %d", mbn_begin(&state.base));
    }
    state.base.arena = state.memory.arena;
    state.base.far_arena = state.memory.arena + 8;
    printf(" %d", mbn_begin(&state.base));"""
    assert run(body, tmp_path) == [0, *[-1] * 15, 0, -1]


def test_repeated_infer_changes_nothing(tmp_path: Path) -> None:
    """protocol.h: a request may be repeated when its answer was lost. The board's counter runs on
    with each look at it."""
    host = find_board("host")
    (source,) = host.sources
    text = source.read_text()
    for old, new in (
        (
            "return false;\n}\n\nuint32_t mbn_port_cycles",
            "return true;\n}\n\nuint32_t mbn_port_cycles",
        ),
        (
            "    return 0;\n}\n\nbool mbn_port_stack",
            "    static uint32_t n;\n    return n += 1000;\n}\n\nbool mbn_port_stack",
        ),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "board.c").write_text(text)
    board = replace(host, sources=(tmp_path / "board.c",))
    app = build_image(tiny.FOLDER, board, "check", tmp_path / "out")
    with open_device(board, app, log_path=tmp_path / "log") as device:
        image = tiny.images(1)[0]
        data = image.tobytes()
        device._ask(wire.Ask.BEGIN, b"\0\0\0", expected="start")
        device._ask(wire.Ask.LOAD, bytes(4) + data, expected="image")
        found = [device._ask(wire.Ask.INFER, expected="end") for _ in range(3)]
        assert [struct.unpack("<Q", body)[0] for body in found] == [5000] * 3  # four rows, the end
        assert np.array_equal(device._output(), tiny.stage_maps(image)[-1])


def test_big_endian_is_refused(tmp_path: Path) -> None:
    """Packed weights are words of a little-endian machine: wrong results without this."""
    (tmp_path / "a.c").write_text('#include "mbn/mbn.h"\n')
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mbig-endian", "-fsyntax-only"]
    include = f"-I{data_root() / 'runtime' / 'include'}"
    done = subprocess.run(
        [*command, include, str(tmp_path / "a.c")], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "little-endian" in done.stderr
