"""mbn-live: a local page on which one gives a device pictures and sees what it makes of them.

What enters: a board, and a folder that mbn-compile wrote or a network to compile. What leaves: a
page on 127.0.0.1 until Ctrl-C. Always holds: the device answers before the page is offered; the
address, with its token, is printed and given to the browser by a file that only the user can read.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from html import escape
from pathlib import Path

from rich.console import Console

import mbn
from mbn.cli.arguments import command, say_json
from mbn.cli.network import add_network, check_network, network_options
from mbn.cli.run import ConsoleTeller, console_of, guarded
from mbn.core.errors import UsageError

EXAMPLES = """examples:
  mbn-live --board qemu                               # the bundled network of photographs
  mbn-live --board qemu --data digits                 # handwritten digits: draw them
  mbn-live --board qemu --model mine.onnx --calibrate photos/ --labels names.txt
  mbn-live --board stm32 --port /dev/ttyUSB0          # what mbn-compile made and mbn-flash wrote
  mbn-live --board stm32 --port /dev/ttyUSB0 --output out/stm32f405/mine
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command(
        "mbn-live",
        "Open a local page: give the device a picture by file, paste, camera or pen, and see "
        "classes, time by stage, and that every bit is right.",
        EXAMPLES,
    )
    made.add_argument("--board", required=True, help="host, qemu, stm32, ...")
    made.add_argument("--port", help="serial port, URL or labgrid:PLACE (default: the emulator)")
    made.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="what mbn-compile wrote (default: the one folder in out/BOARD; the bundled network is "
        "compiled where there is none, or where a network is named)",
    )
    made.add_argument(
        "--http-port", type=int, default=0, metavar="N", help="the page's (default: any free one)"
    )
    made.add_argument(
        "--no-browser", action="store_true", help="print the address, open no browser"
    )
    add_network(made)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    return guarded("mbn-live", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Serves until Ctrl-C, which is how it ends well."""
    check_network(arguments)
    console = console_of(arguments)
    if not 0 <= arguments.http_port <= 65535:
        raise UsageError(f"--http-port {arguments.http_port}", wanted="0 to 65535")
    board = mbn.find_board(arguments.board)
    with contextlib.closing(mbn.listen_live(arguments.http_port)) as listening:
        session = session_of(arguments, console)
        with console.status(f"starting {board.name}"):
            identity = session.device().identity
        session.close()  # the thread that serves opens it again, and keeps it
        console.print(f"{identity.network} answers on {session.facts.board}")
        with tempfile.TemporaryDirectory(prefix="mbn-live-") as folder:

            def ready(address: str) -> None:
                say_json(arguments, {"address": address})
                if not arguments.json:
                    print(f"open  {address}", flush=True)  # also with --quiet: nothing else tells
                console.print("      only this computer can; Ctrl-C ends it")
                if not arguments.no_browser and has_screen():
                    show(address, Path(folder))

            try:
                mbn.serve_live(session, listening, ready)
            except KeyboardInterrupt:
                console.print("stopped")
    return 0


def session_of(arguments: argparse.Namespace, console: Console) -> mbn.Live:
    """Of a folder, or of a network that is compiled now."""
    board = mbn.find_board(arguments.board)
    named = (arguments.model, arguments.alpha, arguments.data, arguments.labels)
    compiles = any(one is not None for one in named) or arguments.weights != "trained"
    if arguments.output is not None and compiles:
        raise UsageError(
            "--output together with a network", wanted="a folder that mbn-compile wrote, or one"
        )
    if arguments.output is not None or (not compiles and mbn.has_compiled(board)):
        return mbn.live_folder(board, arguments.output, port=arguments.port)
    job = mbn.job(arguments.model, board=board, samples=1, **network_options(arguments))
    mbn.ready(job, check=True, port=arguments.port)
    console.print(f"compiling for {board.name}")
    return mbn.live_job(job, port=arguments.port, progress=ConsoleTeller(console))


def has_screen() -> bool:
    """Whether a browser has somewhere to open."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def show(address: str, folder: Path) -> None:
    """Opens the browser on a file that leads to the address: arguments of a program are seen by
    every user of the computer, and the address holds the token."""
    way = folder / "live.html"
    way.write_text(
        f'<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={escape(address)}">',
        encoding="utf-8",
    )
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open_new_tab(way.as_uri())


if __name__ == "__main__":
    sys.exit(main())
