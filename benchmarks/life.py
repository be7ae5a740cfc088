"""A long life on the device: inferences for an hour, with faults, resets and half frames.

What enters: the bundled network, or a folder that mbn-compile wrote, and a seed. What leaves: a
table of the faults by the part of memory that they hit: how many were told, by what, how many
results were wrong before, how many were wrong without a word. Always holds: each fault is one
inverted bit (faults.py), followed by as many inferences as lie between two looks at the constants,
and then by a reset that loads the image anew; what is drawn depends on the seed alone. The exit
code is 1 where a fault in weights, code, guards, state or the stack's guard was not told, a result
was wrong without a fault, or the device did not come back after a reset.

    ./dev python benchmarks/life.py                                  # an hour
    ./dev python benchmarks/life.py --inferences 2000 --seed 7
    ./dev python benchmarks/life.py --folder out/qemu/mine --seconds 600
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from faults import Debugger, Layout, Where, invert, spans
from numpy.typing import NDArray

from mbn.cli import compile as compile_command
from mbn.cli.run import guarded
from mbn.core import network_file
from mbn.core.boards import find_board
from mbn.core.errors import LinkError, MbnError, ToolError, UsageError
from mbn.core.target import QEMU, Image
from mbn.exact import Reference
from mbn.harness import cost
from mbn.harness.device import open_device
from mbn.harness.device.protocol import Start, encode
from mbn.harness.device.session import RefusedError
from mbn.image.build import build_image
from mbn.jobs.check import load_samples

Int8 = NDArray[np.int8]
EVERY, WATCHDOG_MS = 4, 2000
SAMPLES = 8
BACK_S = 3 * WATCHDOG_MS / 1000 + 5  # twice the watchdog's time, a start, a busy machine
MOST_STEPS = 64
# What may not change without a word; in the runtime's state a bit may be written anew before it is
# read, which has no effect.
FOUND = frozenset({Where.WEIGHTS, Where.CODE, Where.GUARDS, Where.STACK_GUARD})
TOLD = FOUND | {Where.STATE}


@dataclass
class Row:
    """What became of the faults in one part of memory."""

    faults: int = 0
    told: Counter[str] = field(default_factory=Counter)
    late: int = 0  # of those told: after a wrong result
    wrong: int = 0  # results that were wrong before a fault was told
    silent: int = 0  # a wrong result, and nothing told
    gone: int = 0  # nothing changed


@dataclass
class Life:
    """All that happened."""

    rows: dict[Where, Row] = field(default_factory=lambda: defaultdict(Row))
    inferences: int = 0
    resets: int = 0
    half_frames: int = 0
    wrong: int = 0  # results without a fault
    deaf: list[str] = field(default_factory=list)  # did not come back after a reset
    seconds: float = 0.0


class Emulated:
    """A device under a debugger. A context manager that starts it, and ends it."""

    def __init__(self, image: Image, sample: Int8, log: Path) -> None:
        board = image.board
        if board.emulator is None or board.emulator.kind != QEMU:
            raise UsageError(f"{board.name} has no emulator with a debugger", wanted="a QEMU board")
        self.layout = Layout.of(image)
        self._stack = ExitStack()
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            extra = ("-gdb", f"unix:{folder / 'gdb'},server=on,wait=off")
            machine = replace(board.emulator, arguments=(*board.emulator.arguments, *extra))
            watched = replace(board, emulator=machine)
            self._background = stack.enter_context(ThreadPoolExecutor(1))
            self.device = stack.enter_context(open_device(watched, image.elf, log_path=log))
            self.debugger = stack.enter_context(Debugger(folder / "gdb"))
            self.debugger.go()
            self.bands = self._count(sample)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(MbnError):
            self._stack.close()

    def _break(self, *, there: bool) -> None:
        self.debugger.breakpoint(self.layout.fed, there=there)

    def _past(self) -> None:
        """Goes on from a breakpoint."""
        self._break(there=False)
        self.debugger.step(1)
        self._break(there=True)
        self.debugger.go()

    def _begin(self, image: Int8) -> Future[Int8]:
        self.debugger.stop()
        self._break(there=True)
        self.debugger.go()
        return self._background.submit(lambda: self.device.run(image).output)

    def _count(self, image: Int8) -> int:
        """The bands of one inference."""
        run, bands = self._begin(image), 0
        while not run.done():
            if self.debugger.stopped(0.2):
                bands += 1
                self._past()
        self.debugger.stop()
        self._break(there=False)
        self.debugger.go()
        run.result()
        return bands

    def run(self, image: Int8) -> Future[Int8]:
        """An inference in the background."""
        return self._background.submit(lambda: self.device.run(image).output)

    def run_to(self, image: Int8, band: int, steps: int) -> Future[Int8]:
        """The same; the core stands after so many bands and instructions, until it may `go`."""
        run = self._begin(image)
        for at in range(band + 1):
            if not self.debugger.stopped(BACK_S):
                raise ToolError(f"an inference has {at} bands", wanted=f"{band + 1}")
            if at < band:
                self._past()
        self._break(there=False)
        self.debugger.step(steps)
        return run

    def reset(self, run: Future[Int8]) -> None:
        """As by its pin, and waits until it answers. `run`: what waits on the line, perhaps in
        vain; the start ends that. Raises LinkError, TimeoutError."""
        self.debugger.stop()
        self.debugger.reset()
        self.debugger.go()
        run.exception(BACK_S)
        self.device.wait_ready(BACK_S)


class Living:
    """Draws what happens next, lets it happen, and notes what became of it."""

    def __init__(self, image: Image, samples: Int8, expected: Int8, seed: int, log: Path) -> None:
        self.life = Life()
        self._image, self._samples, self._log = image, samples, log
        self._expected = expected.reshape(len(samples), -1)
        self._draw = random.Random(seed)
        self._one: Emulated | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._one is not None:
            self._one.__exit__()
            self._one = None

    def _started(self) -> Emulated:
        if self._one is None:
            self._one = Emulated(self._image, self._samples[0], self._log)
        return self._one

    def next(self) -> None:
        """One event, and the inferences that it takes."""
        kind = self._draw.choices(("fault", "reset", "half frame", "nothing"), (6, 1, 1, 2))[0]
        where = self._draw.choice(list(Where))
        try:
            if kind == "fault":
                self._fault(where)
            elif kind == "reset":
                self._reset()
            else:
                self._plain(half=kind == "half frame")
        except (LinkError, ToolError, TimeoutError) as error:  # in its place a new one goes on
            self.life.deaf.append(f"{kind} ({where}): {error or 'no answer in time'}")
            self._end()

    def _moment(self, one: Emulated) -> tuple[int, int, int]:
        """Sample, band, instructions behind it."""
        draw = self._draw
        sample = draw.randrange(len(self._samples))
        return sample, draw.randrange(one.bands), draw.randrange(MOST_STEPS)

    def _right(self, sample: int, output: Int8) -> bool:
        return bool(np.array_equal(output.ravel(), self._expected[sample]))

    def _plain(self, *, half: bool) -> None:
        one = self._started()
        sample = self._draw.randrange(len(self._samples))
        if half:
            frame = encode(bytes(self._draw.randrange(256) for _ in range(60)))
            one.device.link.send_raw(frame[: self._draw.randrange(1, len(frame) - 1)])
            self.life.half_frames += 1
        self.life.inferences += 1
        self.life.wrong += not self._right(sample, one.run(self._samples[sample]).result())

    def _reset(self) -> None:
        """In the middle of an inference; the next one is right."""
        one = self._started()
        sample, band, steps = self._moment(one)
        run = one.run_to(self._samples[sample], band, steps)
        one.debugger.reset()
        one.debugger.go()
        self.life.resets += 1
        if not isinstance(run.exception(), LinkError):
            self.life.deaf.append("a reset in the middle was not told")
        one.device.wait_ready(BACK_S)
        self._plain(half=False)

    def _fault(self, where: Where) -> None:
        one = self._started()
        row = self.life.rows[where]
        row.faults += 1
        told, wrong = None, 0
        sample, band, steps = self._moment(one)
        run = one.run_to(self._samples[sample], band, steps)
        parts = spans(where, one.layout, one.debugger, one.device.identity.arena_bytes)
        address, bit = invert(parts, one.debugger, self._draw)
        one.device.link.log.say(
            f"{where}: bit {bit} of {address:#010x} after band {band} + {steps}"
        )
        one.debugger.go()
        for at in range(EVERY + 1):
            self.life.inferences += 1
            told, right = self._seen(
                one, sample, run if at == 0 else one.run(self._samples[sample])
            )
            wrong += not right
            if told is not None:
                break
        if told is not None:
            row.told[told] += 1
            row.late += wrong > 0
        elif wrong:
            row.silent += 1
        else:
            row.gone += 1
        row.wrong += wrong
        self._after(one, where, run)

    def _seen(self, one: Emulated, sample: int, run: Future[Int8]) -> tuple[str | None, bool]:
        """What the device told of one inference, and whether no wrong result came of it."""
        try:
            right = self._right(sample, run.result(BACK_S))
            memory = one.device.memory()
            if not memory.arena_guards_ok:
                return "guard", right
            return ("stack's guard" if memory.stack_guard_ok is False else None), right
        except RefusedError as error:
            return STATUSES.get(error.status, f"status {error.status}"), True
        except TimeoutError:  # it feeds its watchdog, and hears nothing
            return "no answer", True
        except (LinkError, ToolError) as error:
            return self._silence(one, str(error)), True

    def _silence(self, one: Emulated, words: str) -> str:
        """Why it did not answer."""
        if "stopped with a" in words:
            return "watchdog" if "with a NMI" in words else "fault handler"
        try:
            one.device.wait_ready(BACK_S)
            health = one.device.health()
        except (LinkError, ToolError) as error:
            if "hung up" in str(error) or "hung up" in words:
                self._end()
                return "lock-up"
            return "no answer"
        if health is not None and health.start in (Start.WATCHDOG, Start.FAULT):
            return "watchdog" if health.start is Start.WATCHDOG else "fault handler"
        return "restart" if health is not None and health.start is Start.OTHER else "line"

    def _after(self, one: Emulated, where: Where, run: Future[Int8]) -> None:
        """A reset, by which all is as it was; a device that does not come back is noted."""
        if self._one is None:
            return
        try:
            one.reset(run)
        except (LinkError, ToolError, TimeoutError) as error:
            self.life.deaf.append(f"{where}: {error}")
            self._end()


STATUSES = {
    -2: "call out of order",
    -3: "guard",
    -5: "state",
    -67: "CRC",
}


def live(
    image: Image,
    samples: Int8,
    expected: Int8,
    *,
    seed: int,
    log: Path,
    done: Callable[[Life], bool],
) -> Life:
    """Lives until `done` says so, or Ctrl-C comes."""
    begun = time.monotonic()
    with (
        Living(image, samples, expected, seed, log) as living,
        contextlib.suppress(KeyboardInterrupt),
    ):
        while not done(living.life):
            living.next()
            living.life.seconds = time.monotonic() - begun
    return living.life


def failures(life: Life) -> list[str]:
    """Why the exit code is 1."""
    found = []
    for where, row in life.rows.items():
        missed = row.silent * (where in TOLD) + row.gone * (where in FOUND)
        found += [f"{missed} in {where} not told"] if missed else []
    found += [f"{life.wrong} results wrong without a fault"] if life.wrong else []
    return found + life.deaf


def table(life: Life) -> str:
    """Markdown."""
    lines = [
        "| a bit in | faults | told | by | after a wrong result | silent | no effect |",
        "|---|--:|--:|---|--:|--:|--:|",
    ]
    for where in Where:
        if where in life.rows:
            row = life.rows[where]
            by = ", ".join(f"{name} {count}" for name, count in row.told.most_common())
            silent = f"{row.silent} ({100 * row.silent / row.faults:.0f} %)"
            cells = (where, row.faults, row.told.total(), by or "-", row.late, silent, row.gone)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines.append("")
    lines.append(
        f"{life.inferences:,} inferences in {life.seconds:,.0f} s, {life.resets} resets in the "
        f"middle, {life.half_frames} half frames; {life.wrong} results wrong without a fault."
    )
    return "\n".join(lines)


def look_cycles(generated: Path, image: Image, stages: int, folder: Path) -> tuple[int | None, int]:
    """Modelled cycles and instructions of one look at all constants, from two bench images."""
    found = []
    for name, defines in (("with", {"MBN_BENCH_DEFENCE": "1"}), ("without", {})):
        bench = build_image(generated, image.board, "bench", folder / name, defines=defines)
        found.append(cost.measure(image.board, bench.elf, stages, folder / name).driver)
    one, other = found
    cycles = None
    if one.modelled_cycles is not None and other.modelled_cycles is not None:
        cycles = one.modelled_cycles - other.modelled_cycles
    return cycles, one.instructions - other.instructions


def run(arguments: argparse.Namespace) -> int:
    board = find_board(arguments.board)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "network"
        if arguments.folder is None:
            compiled = ["--board", arguments.board, "--alpha", "0.25", "--quiet"]
            code = compile_command.main([*compiled, "--output", str(folder)])
            if code != 0:
                return code
        network = network_file.load(folder / "network.npz")
        samples = load_samples(folder, SAMPLES)
        defines = {"MBN_CHECK_EVERY": f"{EVERY}u", "MBN_WATCHDOG_MS": f"{WATCHDOG_MS}u"}
        made = Path(temporary) / "life"
        arguments.log.parent.mkdir(parents=True, exist_ok=True)
        image = build_image(folder / "c", board, "check", made, defines=defines)
        cycles, instructions = look_cycles(
            folder / "c", image, len(network.stages), Path(temporary) / "cost"
        )
        sealed = sum(size for _, size in (*Layout.of(image).weights, *Layout.of(image).code))
        modelled = "unknown" if cycles is None else f"{cycles:,}"
        print(
            f"A look at {sealed:,} bytes of weights and code: {instructions:,} instructions, "
            f"{modelled} modelled cycles; here every {EVERY}th inference, as shipped every 16th.",
            flush=True,
        )
        begun = time.monotonic()

        def done(life: Life) -> bool:
            if arguments.inferences:
                return life.inferences >= arguments.inferences
            return time.monotonic() - begun >= arguments.seconds

        life = live(
            image,
            samples,
            Reference(network).run(samples),
            seed=arguments.seed,
            log=arguments.log,
            done=done,
        )
        print(table(life))
    found = failures(life)
    for one in found:
        print(f"FAILED: {one}")
    return 1 if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--board", default="qemu", help="an emulated board (default qemu)")
    parser.add_argument("--folder", type=Path, help="what mbn-compile wrote for that board")
    parser.add_argument("--seconds", type=float, default=3600.0, help="default: an hour")
    parser.add_argument("--inferences", type=int, help="instead of seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--log",
        type=Path,
        default=Path("out") / "life.log",
        help="what went over the line, and each fault (default %(default)s)",
    )
    return guarded("life", lambda: run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
