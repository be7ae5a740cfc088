"""Arguments that say where an attached board is, for all commands that flash one.

What enters: a parser or a group of its arguments; then what was given. What leaves: a `Place`.
Always holds: what was said wins over lab.toml.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import mbn
from mbn.core.target import METHODS, Board

if TYPE_CHECKING:
    from mbn.harness.flash.find import Place


def add_place(made: argparse._ActionsContainer) -> None:
    """--method, --port, --probe, --drive, --at, --lab."""
    made.add_argument("--method", choices=METHODS, help="default: the board's preferred one")
    made.add_argument("--port", help="its serial port, socket:// or rfc2217://; default: by USB id")
    made.add_argument("--probe", metavar="ID", help="the debug probe's unique id")
    made.add_argument(
        "--drive", type=Path, metavar="DIR", help="the boot loader's or probe's drive"
    )
    made.add_argument("--at", metavar="NAME", help="an entry of lab.toml, or labgrid:PLACE")
    made.add_argument(
        "--lab", type=Path, default=Path("lab.toml"), metavar="FILE", help="default: lab.toml"
    )


def said_anything(arguments: argparse.Namespace) -> bool:
    """Whether anything was given that says where a board is, or how it is flashed."""
    given = (arguments.at, arguments.port, arguments.probe, arguments.drive, arguments.method)
    return any(given)


def place_of(arguments: argparse.Namespace, board: Board) -> Place:
    """What was given, and what lab.toml adds."""
    return mbn.find_place(
        board,
        port=arguments.port,
        probe=arguments.probe,
        drive=arguments.drive,
        method=arguments.method,
        at=arguments.at,
        lab=arguments.lab,
    )
