"""Fixtures: which board the tests run on, an app built for it, the device, the transport.

What enters: --board NAME (default qemu), --port PORT (default: the board's emulator), --flash
(write the image into the board first), --probe ID, --at PLACE (one a process), --full or --share
K/N (see shares.py), --no-object-cache. What leaves: `board`, `build` (a builder of the hand-made
network's images), `app` (its check image), `bench`, `transport` (the port's name, or None),
`flash`, `device` (running, identified), `bundled` (the folder that mbn-compile --check made of the
bundled network). Always holds: an image is built once a session; an emulator ends with its fixture.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import signal
import tempfile
import termios
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import object_cache
import shares
from mbn.cli import check as check_command
from mbn.cli import compile as compile_command
from mbn.core.boards import find_board
from mbn.core.target import Board, Image
from mbn.core.telling import SILENT
from mbn.harness.device import Device, open_device
from mbn.harness.flash.find import LAB, Place, lab_place
from mbn.image.build import build_image
from mbn.jobs.flash import Wanted, flashed, reserved, wanted_from, wanted_of

os.environ["CI"] = "true"  # all is compiled anew: test_remembered.py says where not

TINY = Path(__file__).parent / "fixtures" / "tiny"
Builder = Callable[..., Image]
Flash = Callable[[Wanted, Path], AbstractContextManager[str | None]]
_OBJECTS = "MBN_TEST_OBJECTS"  # where this session's objects are; its processes use them too
_SHARE = pytest.StashKey[shares.Share]()
_workers: list[int] = []  # the processes of pytest-xdist's workers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--board", default="qemu", help="the board that the tests run on")
    parser.addoption("--port", default=None, help="its serial port; without: its emulator")
    parser.addoption("--flash", action="store_true", help="flash the board with each image first")
    parser.addoption("--probe", default=None, help="with --flash: the debug probe's unique id")
    parser.addoption(
        "--at",
        action="append",
        default=[],
        help="where the board is: labgrid:PLACE, or an entry of lab.toml; given several times, "
        "that many processes share the tests, each with a board of its own",
    )
    shares.add_options(parser)
    parser.addoption(
        "--no-object-cache",
        action="store_true",
        help="compile each C file anew; without: a session keeps the objects that it has made",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SHARE] = shares.chosen(config)
    places, processes = config.getoption("--at"), getattr(config.option, "numprocesses", None)
    if places and (processes or 1) > len(places):
        raise pytest.UsageError(f"{processes} processes, {len(places)} --at: one for each wanted")
    if hasattr(config, "workerinput"):
        os.setpgid(0, 0)  # Ctrl-C reaches the first process only, and that one ends this one
    elif not (_OBJECTS in os.environ or config.getoption("--no-object-cache") or _lists(config)):
        folder = Path(tempfile.mkdtemp(prefix="mbn-objects-"))
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ[_OBJECTS] = str(folder)
        if object_cache.set_up(folder):
            object_cache.prepend(folder)


def _lists(config: pytest.Config) -> bool:
    """Whether no test runs."""
    return bool(config.option.collectonly or config.option.help)


def pytest_report_header(config: pytest.Config) -> str:
    return config.stash[_SHARE].header()


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    shares.mark_smoke(config, items)
    shares.deselect(config, config.stash[_SHARE], items)
    shares.order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: Any) -> None:
    """Notes the process of a worker. (execnet has no public name for it.)"""
    _workers.append(node.gateway._io.popen.pid)


def pytest_keyboard_interrupt() -> None:
    """Ends the workers and what they started at once: a test that goes on would fail, since what
    it waits for has been interrupted as well, and an emulator would outlive it."""
    for pid in _workers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is not installed
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One process where a real board is tested: a port has one user. Else one a core."""
    if places := config.getoption("--at"):
        return len(places)
    return 0 if config.getoption("--port") or config.getoption("--flash") else None


@pytest.fixture(scope="session")
def board(request: pytest.FixtureRequest) -> Board:
    """The board under test."""
    return find_board(request.config.getoption("--board"))


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest, board: Board) -> Iterator[Place]:
    """Where a real board is; of several --at this process's. What labgrid has is held until the
    session ends."""
    option = request.config.getoption
    said, places = Place(port=option("--port"), probe=option("--probe")), option("--at")
    if places:
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        said = said.over(lab_place(board, places[worker], Path(LAB)))
    with reserved(said, SILENT) as held:
        yield held


@pytest.fixture(scope="session")
def transport(bench: Place) -> str | None:
    """The port of a real board; None: the emulator."""
    return bench.port


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """build(board, app="check", **defines) -> an image of the hand-made network, kept by the
    session."""
    known: dict[tuple[str, str, tuple[tuple[str, str], ...]], Image] = {}

    def get(board: Board, app: str = "check", **defines: str) -> Image:
        key = (board.name, app, tuple(sorted(defines.items())))
        if key not in known:
            output = tmp_path_factory.mktemp(f"{board.name}-{app}")
            known[key] = build_image(TINY, board, app, output, defines=defines)
        return known[key]

    return get


@pytest.fixture(scope="session")
def app(board: Board, build: Builder) -> Image:
    """The check app around the hand-made network."""
    return build(board)


@pytest.fixture(scope="session")
def flash(request: pytest.FixtureRequest, bench: Place) -> Flash:
    """Flashes what is wanted, and gives the port that it answers on; without --flash, the port."""
    if not request.config.getoption("--flash"):
        return lambda wanted, log: contextlib.nullcontext(bench.port)

    @contextlib.contextmanager
    def flash(wanted: Wanted, log: Path) -> Iterator[str | None]:
        with flashed(wanted, bench, SILENT, log) as flasher:
            yield flasher.port

    return flash


@pytest.fixture
def device(board: Board, app: Image, flash: Flash, tmp_path: Path) -> Iterator[Device]:
    """A running device. With --port alone the image must have been flashed before."""
    with (
        flash(wanted_of(app), tmp_path / "flash.log") as port,
        open_device(board, app, port, log_path=tmp_path / "serial.log") as found,
    ):
        yield found


@pytest.fixture
def parity(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Lets a pty be opened with even parity, which it refuses, having no line: whether each
    opening asked for it."""
    asked: list[bool] = []
    real = termios.tcsetattr

    def settings(handle: int, when: int, attributes: list[Any]) -> None:
        asked.append(bool(attributes[2] & termios.PARENB) and not attributes[2] & termios.PARODD)
        attributes[2] &= ~termios.PARENB
        real(handle, when, attributes)

    monkeypatch.setattr(termios, "tcsetattr", settings)
    return asked


@dataclass(frozen=True)
class Compiled:
    """A folder that mbn-compile wrote, the exit code, and what it printed."""

    folder: Path
    exit_code: int
    printed: str


@pytest.fixture(scope="session")
def bundled(
    board: Board, transport: str | None, flash: Flash, tmp_path_factory: pytest.TempPathFactory
) -> Compiled:
    """The bundled network, compiled for the board and checked with 100 held-out images. (Without
    --flash a real board is checked only if the image in it is this very one.) One of the tests'
    processes makes it, each has a copy."""
    folder = tmp_path_factory.mktemp("bundled")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _made(folder, board, transport, flash)
    shared = tmp_path_factory.getbasetemp().parent / "bundled"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = shared.with_suffix(".json")
        if not said.exists():
            made = _made(shared, board, transport, flash)
            said.write_text(json.dumps([made.exit_code, made.printed]), encoding="utf-8")
        shutil.copytree(shared, folder, dirs_exist_ok=True)
    exit_code, printed = json.loads(said.read_text(encoding="utf-8"))
    return Compiled(folder, exit_code, printed)


def _made(folder: Path, board: Board, transport: str | None, flash: Flash) -> Compiled:
    """Compiled and checked here."""
    arguments = ["--board", board.asked, "--alpha", "0.25", "--data", "digits"]
    arguments += ["--output", str(folder)]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if transport is None:
            code = compile_command.main([*arguments, "--check"])
        else:
            code = compile_command.main(arguments)
            with flash(wanted_from(folder, board), folder / "flash.log") as port:
                checked = ["--board", board.asked, "--output", str(folder), "--port", str(port)]
                code = code or check_command.main(checked)
    return Compiled(folder, code, printed.getvalue())
