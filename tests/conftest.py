"""Fixtures: which board the tests run on, an app built for it, the device, the transport.

What enters: --board NAME (default qemu) and --port PORT (default: the board's emulator). What
leaves: `board`, `build` (a builder of the hand-made network's images), `app` (its check image),
`transport` (the port's name, or None), `device` (running, identified), `bundled` (the folder that
mbn-compile --check made of the bundled network). Always holds: an image is built once a session; an
emulator ends with its fixture.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mbn.build import build_image
from mbn.cli import compile as compile_command
from mbn.device import Device, open_device
from mbn.target import Board, Image, find_board

TINY = Path(__file__).parent / "fixtures" / "tiny"
Builder = Callable[..., Image]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--board", default="qemu", help="the board that the tests run on")
    parser.addoption("--port", default=None, help="its serial port; without: its emulator")


@pytest.fixture(scope="session")
def board(request: pytest.FixtureRequest) -> Board:
    """The board under test."""
    return find_board(request.config.getoption("--board"))


@pytest.fixture(scope="session")
def transport(request: pytest.FixtureRequest) -> str | None:
    """The port of a real board; None: the emulator."""
    port: str | None = request.config.getoption("--port")
    return port


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


@pytest.fixture
def device(board: Board, app: Image, transport: str | None, tmp_path: Path) -> Iterator[Device]:
    """A running device. With --port the image must have been flashed before."""
    with open_device(board, app, transport, log_path=tmp_path / "serial.log") as found:
        yield found


@dataclass(frozen=True)
class Compiled:
    """A folder that mbn-compile wrote, the exit code, and what it printed."""

    folder: Path
    exit_code: int
    printed: str


@pytest.fixture(scope="session")
def bundled(
    board: Board, transport: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Compiled:
    """The bundled network, compiled for the board and checked with 100 held-out images. (A real
    board is checked only if the image in it is this very one.)"""
    folder = tmp_path_factory.mktemp("bundled")
    arguments = ["--board", board.name, "--alpha", "0.25", "--output", str(folder), "--check"]
    if transport is not None:
        arguments += ["--port", transport]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = compile_command.main(arguments)
    return Compiled(folder, code, printed.getvalue())
