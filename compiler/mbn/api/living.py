"""The local page of mbn-live.

What enters: a folder that mbn-compile wrote, or what to compile; a board, a port or its emulator.
What leaves: `Live`, which answers pictures, and a server of the page. Needs the extra `live` to
serve; starlette is imported only then.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mbn.api.devices import compiled_folder
from mbn.api.telling import Place, Progress, teller
from mbn.core.boards import as_board
from mbn.core.errors import UsageError
from mbn.core.installing import advice
from mbn.core.target import Board
from mbn.jobs.live import Live
from mbn.report.record import FILE_NAME

if TYPE_CHECKING:
    from mbn.jobs.compile import Job

__all__ = ["Live", "live_folder", "live_job", "serve_live"]


def live_folder(
    board: str | Board,
    folder: Place | None = None,
    *,
    port: str | None = None,
    modelled: Sequence[int | None] | None = None,
) -> Live:
    """What answers pictures with the network in a folder (None: the one below out/BOARD) on the
    board at `port`, or its emulator. `modelled`: cycles by stage and of the whole, for where
    nothing measures them; None: what the folder's last check modelled. Raises MbnErrors for a
    folder that does not fit."""
    found = as_board(board)
    place = compiled_folder(found) if folder is None else Path(folder)
    return Live(place, found, port=port, modelled=modelled)


def live_job(asked: Job, *, port: str | None = None, progress: Progress = None) -> Live:
    """The same of a job, compiled first; where it runs in emulation, its cycles are modelled."""
    from mbn.jobs import compile as compile_job  # noqa: PLC0415 - needs TVM

    tell = teller(progress)
    made = compile_job.compile_image(asked, tell)
    modelled = None
    place = compile_job.running(made, port)
    if port is None and place.board.emulator is not None:
        counted = compile_job.measure(made, tell, board=place.board)
        modelled = [one.modelled_cycles for one in (*counted.stages, counted.total)]
    return Live(made.folder, asked.board, port=port, modelled=modelled, place=place)


def has_compiled(board: Board) -> bool:
    """Whether anything was compiled for a board, below out/BOARD."""
    return any((Path("out") / board.name).glob(f"*/{FILE_NAME}"))


def listen_live(port: int) -> socket.socket:
    """A socket on loopback for `serve_live`. Raises UsageError: the port is taken, or the extra
    `live` is not installed."""
    try:
        from mbn.live.server import listen  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"{(error.name or '').partition('.')[0]} is not installed",
            wanted="the packages that serve the page",
            advice=advice("live"),
        ) from error
    return listen(port)


def serve_live(session: Live, listening: socket.socket, on_ready: Callable[[str], None]) -> None:
    """Serves the page until Ctrl-C, on loopback alone. `on_ready`: called with its address, whose
    fragment is the token that the page needs."""
    from mbn.live.server import serve  # noqa: PLC0415

    try:
        serve(session, listening, on_ready)
    finally:
        session.close()
