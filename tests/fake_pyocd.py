"""Stands for `python -m pyocd`: a probe with a part, for tests.

What enters: pyOCD's command line; the environment: FAKE_FLASH (a file of the part's memory from
0x08000000), FAKE_TROUBLE, FAKE_STRICT. What leaves: pyOCD's exit status and words. Always holds:
with FAKE_STRICT pyOCD's own parser reads the line, and ends it where there is no such option.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

FLASH = Path(os.environ["FAKE_FLASH"])
BASE = 0x08000000
TROUBLE = os.environ.get("FAKE_TROUBLE", "")
PROBES = os.environ.get("FAKE_PROBES", "PROBE1").split()


def records(text: str) -> list[tuple[int, bytes]]:
    found, base = [], 0
    for line in text.split():
        record = bytes.fromhex(line[1:])
        if record[3] == 4:
            base = int.from_bytes(record[4:6], "big") << 16
        elif record[3] == 0:
            found.append((base + int.from_bytes(record[1:3], "big"), record[4:-1]))
    return found


def main(argv: list[str]) -> int:
    verb = argv[0]
    if os.environ.get("FAKE_STRICT"):
        from pyocd.__main__ import PyOCDTool  # noqa: PLC0415

        PyOCDTool().build_parser().parse_args(argv)
    if verb == "json":
        boards = [
            dict(zip(("unique_id", "target"), one.split("@"), strict=False)) for one in PROBES
        ]
        print(json.dumps({"boards": boards}))
        return 0
    with FLASH.with_suffix(".log").open("a") as log:
        log.write(f"{' '.join(argv)}\n")
    gone = FLASH.with_suffix(".gone")
    if f"vanish {verb}" == TROUBLE and not gone.exists():
        gone.write_text("..", encoding="ascii")  # as often it is not found
        sys.stderr.write("0000304 C USB device disconnected [__main__]\n")
        return 1
    away = gone.read_text(encoding="ascii") if gone.exists() else ""
    if away:
        gone.write_text(away[1:], encoding="ascii")
    if away or argv[argv.index("--uid") + 1] not in PROBES:
        print(f"No connected debug probe matches unique ID '{argv[argv.index('--uid') + 1]}'")
        return 1
    if f"hang {verb}" == TROUBLE:
        time.sleep(60)
    if f"once {verb}" == TROUBLE and not FLASH.with_suffix(".once").exists():
        FLASH.with_suffix(".once").touch()
        sys.stderr.write("0000304 C Transfer error: no ACK received [__main__]\n")
        return 1
    if TROUBLE == "unknown target":
        sys.stderr.write("0000304 C Target type stm32f405rgtx not recognized. [__main__]\n")
        return 1
    memory = bytearray(FLASH.read_bytes())
    act(verb, argv, memory)
    FLASH.write_bytes(memory)
    return 0


def act(verb: str, argv: list[str], memory: bytearray) -> None:
    if verb == "erase":
        for one in argv[argv.index("--sector") + 1 :]:
            first, end = (int(number, 0) - BASE for number in one.split("-"))
            memory[first:end] = b"\xff" * (end - first)
    elif verb == "load":
        for at, data in records(Path(argv[-1]).read_text(encoding="ascii")):
            memory[at - BASE : at - BASE + len(data)] = data
        if TROUBLE == "bad write":
            memory[0x40] ^= 1
    elif verb == "commander":
        for word in argv:
            if word.startswith("savemem"):
                _, at, size, file = word.split()
                begin = int(at, 0) - BASE
                Path(file).write_bytes(memory[begin : begin + int(size)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
