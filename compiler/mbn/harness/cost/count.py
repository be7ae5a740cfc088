"""Counts what one inference executes, by basic block and stage.

The bench app runs in QEMU. An `Execution` is a block, the stage that ran it, how often it ran, and
how often it fell through to the code behind it. The figures are those of a run of two inferences
less a run of one, so that start-up and end cancel. The same image gives exactly the same figures.
QEMU is ended in every case.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mbn.core import elf
from mbn.core.errors import ToolError
from mbn.core.process import Child
from mbn.core.target import Board
from mbn.harness.cost import plugin
from mbn.harness.host.emulator import qemu_command

TIMEOUT_S = 1800.0
USUAL_MARKS = 256  # stages that the bench app tells apart, unless it is built for more
MARKS_DEFINE, PICTURE_DEFINE = "MBN_BENCH_MARKS", "MBN_BENCH_PICTURE_BYTES"
_ENTER, _LEAVE, _RUNS = "mbn_bench_enter", "mbn_bench_leave", "mbn_bench_runs"
_HARNESS = "mbn_bench_"
_PICTURE = "mbn_bench_picture"
_MARK_BYTES = 4
_EXTRA = "extra "
_OTHER_VERSION = "API version"  # what QEMU says when it refuses a plugin for its version

Key = tuple[int, int, int]  # address, instructions, bucket
Tally = tuple[int, int, int]  # runs, then on 2 bytes behind the last instruction, 4 bytes
Progress = Callable[[int, int], None]  # done, of


def bench_defines(stages: int, picture: bytes = b"") -> dict[str, str]:
    """Macros of the bench app for a network of so many stages: none for most. `picture`: the codes
    that it is to run on, where its instructions depend on them; see `show`."""
    marks = {} if stages <= USUAL_MARKS else {MARKS_DEFINE: str(stages)}
    return {**marks, PICTURE_DEFINE: str(len(picture))} if picture else marks


def show(image: Path, picture: bytes) -> None:
    """Writes the picture into the bench app's image, which was built for one of that size."""
    place = next(one for one in elf.symbols(image) if one.name == _PICTURE)
    at = elf.Contents(image).file_offset(place.address, len(picture))
    data = bytearray(image.read_bytes())
    data[at : at + len(picture)] = picture
    image.write_bytes(data)


@dataclass(frozen=True)
class Execution:
    """How often a block of code ran within one stage.

    `stage`: None outside the stages. `harness`: it belongs to the bench app. `opcodes`: the bytes
    of each instruction, in memory order. `fell_through`: runs after which the code behind it ran.
    """

    address: int
    opcodes: tuple[bytes, ...]
    stage: int | None
    harness: bool
    runs: int
    fell_through: int

    @property
    def instructions(self) -> int:
        """Instructions executed in all its runs."""
        return self.runs * len(self.opcodes)


def count(
    board: Board,
    image: Path,
    stages: int,
    folder: Path,
    *,
    timeout_s: float = TIMEOUT_S,
    progress: Progress | None = None,
) -> tuple[Execution, ...]:
    """Runs the bench app twice under QEMU and subtracts. Files go to `folder`.

    Raises `BoardError` (there is no emulator for the board), `ToolError` (a program is missing,
    QEMU fails or takes longer than `timeout_s`, the image is not the bench app's).
    """
    marks = _Marks.of(image)
    if not 0 < stages <= marks.count:
        raise ToolError(
            f"the network has {stages} stages",
            node=str(image),
            wanted=f"1 to {marks.count}, for which this bench app was built",
        )
    folder.mkdir(parents=True, exist_ok=True)
    tallies = []
    for runs in (1, 2):
        if progress:
            progress(runs - 1, 2)
        copy = folder / f"bench-{runs}.elf"
        marks.copy_with_runs(image, copy, runs)
        tallies.append(_run(board, copy, marks, stages, folder, timeout_s))
    if progress:
        progress(2, 2)
    return tuple(_executions(image, *tallies))


def count_unaligned(
    board: Board,
    image: Path,
    stages: int,
    folder: Path,
    bus_bytes: int,
    *,
    timeout_s: float = TIMEOUT_S,
) -> tuple[int, ...]:
    """Extra accesses of one inference for unaligned loads and stores, on a data bus of `bus_bytes`:
    outside the stages, then by stage. See `count`."""
    folder.mkdir(parents=True, exist_ok=True)
    marks = _Marks.of(image)
    found = []
    for runs in (1, 2):
        copy = folder / f"unaligned-{runs}.elf"
        marks.copy_with_runs(image, copy, runs)
        _run(board, copy, marks, stages, folder, timeout_s, bus_bytes)
        found.append(_read_extra(copy.with_suffix(".blocks")))
    one, two = found
    return tuple(two[bucket] - one[bucket] for bucket in range(stages + 1))


@dataclass(frozen=True)
class _Marks:
    """Addresses of the bench app."""

    enter: int
    leave: int
    runs: int

    @property
    def count(self) -> int:
        """Stages that have a mark: one table lies behind the other."""
        return (self.leave - self.enter) // _MARK_BYTES

    @classmethod
    def of(cls, image: Path) -> _Marks:
        known = {symbol.name: symbol.address for symbol in elf.symbols(image)}
        try:
            return cls(*(known[name] for name in (_ENTER, _LEAVE, _RUNS)))
        except KeyError as error:
            raise ToolError(
                f"has no symbol {error}", wanted="an image of the bench app", node=str(image)
            ) from error

    def copy_with_runs(self, image: Path, copy: Path, runs: int) -> None:
        """The image with another number of inferences: the code is the same in all bits."""
        at = elf.Contents(image).file_offset(self.runs, 4)
        data = bytearray(image.read_bytes())
        struct.pack_into("<I", data, at, runs)
        copy.write_bytes(data)


def _run(
    board: Board,
    image: Path,
    marks: _Marks,
    stages: int,
    folder: Path,
    timeout_s: float,
    bus_bytes: int = 0,
) -> Mapping[Key, Tally]:
    """One run under QEMU, with the first plugin interface version that QEMU accepts."""
    said = ""
    for version in plugin.VERSIONS:
        out = image.with_suffix(".blocks")
        out.unlink(missing_ok=True)
        library = plugin.build(folder, version)
        options = {
            "out": _quoted(out),
            "enter": hex(marks.enter),
            "leave": hex(marks.leave),
            "stages": str(stages),
            "bus": str(bus_bytes),
        }
        arguments = ",".join(f"{name}={value}" for name, value in options.items())
        command = qemu_command(
            board,
            image,
            *("-serial", "none", "-semihosting-config", "enable=on,target=native"),
            *("-plugin", f"file={_quoted(library)},{arguments}"),
        )
        status, said = _to_the_end(command, timeout_s)
        if _OTHER_VERSION in said and not out.is_file():
            continue
        if status != 0:
            raise ToolError(
                f"the bench app ended with status {status}: {said or 'no message from QEMU'}",
                advice=f"Its image is {image}",
            )
        return dict(_read(out))
    raise ToolError(
        f"this QEMU accepts no plugin of interface versions {plugin.VERSIONS}: {said}",
        wanted="a QEMU from 7.2 to 10, built with plugins",
    )


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace(",", ",,")  # QEMU's own way


def _to_the_end(command: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """The exit status, and what the program wrote to standard error."""
    with Child(command) as child:
        status = child.wait(timeout_s)
        said = " ".join(child.errors().split())
    if status is None:
        raise ToolError(f"the bench app did not end within {timeout_s:.0f} s: {said}")
    return status, said


def _read(path: Path) -> Iterator[tuple[Key, Tally]]:
    """The plugin's lines. Raises `ToolError` if the last one is not "end"."""
    try:
        *lines, last = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise ToolError("the counting plugin wrote nothing", node=str(path)) from error
    if last != "end":
        raise ToolError(f"the counting plugin says: {last}", node=str(path))
    for line in lines:
        if line.startswith(_EXTRA):
            continue
        address, insns, bucket, runs, next2, next4 = line.split()
        yield (int(address, 16), int(insns), int(bucket)), (int(runs), int(next2), int(next4))


def _read_extra(path: Path) -> Mapping[int, int]:
    """By bucket, from a file that `_read` has read."""
    lines = path.read_text(encoding="ascii").splitlines()
    pairs = (line.removeprefix(_EXTRA).split() for line in lines if line.startswith(_EXTRA))
    return {int(bucket): int(accesses) for bucket, accesses in pairs}


def _executions(
    image: Path, one: Mapping[Key, Tally], two: Mapping[Key, Tally]
) -> Iterator[Execution]:
    """The run of two inferences less the run of one, in order of address."""
    contents = elf.Contents(image)
    ours = _harness_ranges(image)
    for key in sorted(one.keys() | two.keys()):
        first, second = one.get(key, (0, 0, 0)), two.get(key, (0, 0, 0))
        runs, next2, next4 = (b - a for a, b in zip(first, second, strict=True))
        address, insns, bucket = key
        if min(runs, next2, next4) < 0:
            raise ToolError(
                f"the second inference ran less code than none at {address:#x}",
                wanted="a bench app that does the same in every run",
                node=str(image),
            )
        if runs:
            opcodes = _opcodes(contents, address, insns)
            yield Execution(
                address,
                opcodes,
                stage=bucket - 1 if bucket else None,
                harness=any(start <= address < end for start, end in ours),
                runs=runs,
                fell_through=next2 if len(opcodes[-1]) == 2 else next4,
            )


def _opcodes(contents: elf.Contents, address: int, insns: int) -> tuple[bytes, ...]:
    """Instructions by their first halfword: 32 bits if its top five are 11101, 11110 or 11111
    (ARMv7-M Architecture Reference Manual, A5.1)."""
    found = []
    for _ in range(insns):
        (first,) = struct.unpack("<H", contents.read(address, 2))
        size = 4 if first >> 11 >= 0b11101 else 2
        found.append(contents.read(address, size))
        address += size
    return tuple(found)


def _harness_ranges(image: Path) -> list[tuple[int, int]]:
    ranges, table_bytes = [], _Marks.of(image).count * _MARK_BYTES
    for symbol in elf.symbols(image):
        if symbol.name in (_ENTER, _LEAVE):
            ranges.append((symbol.address, symbol.address + table_bytes))
        elif symbol.is_function and symbol.name.startswith(_HARNESS):
            ranges.append((symbol.address, symbol.address + symbol.size_bytes))
    return ranges
