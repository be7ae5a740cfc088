"""A place of a labgrid coordinator as a bench: acquired, asked for its port, released.

What enters: a place's name; which coordinator, labgrid's own LG_COORDINATOR says. What leaves: its
serial port's URL, as long as it is ours. Always holds: labgrid brings a pyserial of its own, so
only its program is called, out of whatever environment it was installed into; each process is a
user of its own, so two never share a place; the place is released however this process ends, since
the shell that acquired it waits at the other end of a pipe.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from mbn.core.errors import ToolError, UsageError
from mbn.core.process import Child

PROGRAM = "labgrid-client"
PREFIX = "labgrid:"  # begins a port that is a place's
WAIT_S = 600.0  # for a place that is another's
_ANSWER_S = 30.0
_LOOK_S, _AGAIN_S = 0.05, 2.0
INSTALL = "It wants an environment of its own: pipx install labgrid"
_BUSY = "already acquired"
_HOLD = """
labgrid-client -p "$1" acquire </dev/null || exit
read -r end
labgrid-client -p "$1" release </dev/null
"""
_ACQUIRED = "acquired place"


def environment() -> dict[str, str]:
    """What labgrid's program is called with: who we are."""
    user = f"{getpass.getuser()}.mbn-{os.getpid()}"
    return {**os.environ, "LG_USERNAME": user, "PYTHONUNBUFFERED": "1"}


def require() -> None:
    """Raises ToolError where labgrid is not installed."""
    if shutil.which(PROGRAM) is None:
        raise ToolError(f"the program {PROGRAM} is missing", advice=INSTALL)


def _ignored(text: str) -> None:
    """Where nobody listens."""


@contextmanager
def reached(port: str, say: Callable[[str], None] | None = None) -> Iterator[str]:
    """A port's name or URL as it is; of labgrid:PLACE the place's, held as long as this lasts."""
    if not port.startswith(PREFIX):
        yield port
        return
    if port == PREFIX:
        raise UsageError(port, wanted=f"{PREFIX}PLACE, a place of labgrid's coordinator")
    with held(port.removeprefix(PREFIX), say or _ignored) as url:
        yield url


@contextmanager
def held(place: str, say: Callable[[str], None], wait_s: float | None = None) -> Iterator[str]:
    """Acquires the place, waiting `wait_s` (default WAIT_S) for another's use of it to end; its
    serial port's URL while it is held. Raises ToolError: no labgrid, no coordinator, no such place,
    or another's for too long."""
    require()
    hold = _acquired(place, say, WAIT_S if wait_s is None else wait_s)
    try:
        with _exported(place) as url:
            say(f"{place} of labgrid is held; its serial port is {url}")
            yield url
    except BaseException:
        hold.end()
        raise
    if not hold.end():
        raise ToolError(
            f"the place was not released: {hold.words()}",
            advice=f"labgrid-client -p {place} release --kick",
            node=place,
        )


class _Hold:
    """The shell that acquires a place, holds it until its input ends, and releases it."""

    def __init__(self, place: str) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives with the shell
        self._shell = subprocess.Popen(
            ["sh", "-c", _HOLD, "sh", place],
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=self._said,
            env=environment(),
            start_new_session=True,  # Ctrl-C and our end reach it by the pipe alone
        )

    def words(self) -> str:
        return " ".join(
            os.pread(self._said.fileno(), 1 << 16, 0).decode("utf-8", "replace").split()
        )

    def begin(self) -> bool:
        """Whether the place was acquired; False: not, and why is in `words`."""
        end = time.monotonic() + _ANSWER_S
        while self._shell.poll() is None and time.monotonic() < end:
            if _ACQUIRED in self.words():
                return True
            time.sleep(_LOOK_S)
        return False

    def end(self) -> bool:
        """Releases; whether that went well."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        try:
            return self._shell.wait(_ANSWER_S) == 0
        except subprocess.TimeoutExpired:
            os.killpg(self._shell.pid, 9)
            self._shell.wait()
            return False


def _acquired(place: str, say: Callable[[str], None], wait_s: float) -> _Hold:
    end, told = time.monotonic() + wait_s, False
    while True:
        hold = _Hold(place)
        try:
            if hold.begin():
                return hold
        except BaseException:
            hold.end()
            raise
        hold.end()
        if _BUSY not in hold.words() or time.monotonic() > end:
            _refused(place, hold.words())
        if not told:
            say(f"{hold.words()}; waiting for up to {wait_s:.0f} s")
            told = True
        time.sleep(_AGAIN_S)


def _refused(place: str, words: str) -> NoReturn:
    where = os.environ.get("LG_COORDINATOR", "127.0.0.1:20408, its default")
    raise ToolError(
        f"the place was not acquired: {words or 'no answer'}",
        wanted=f"a free place of the coordinator at {where}",
        advice="LG_COORDINATOR=HOST:PORT names another; labgrid-client places lists what it has",
        node=place,
    )


@contextmanager
def _exported(place: str) -> Iterator[str]:
    """Its serial port's URL; where it is behind a proxy, as long as the forwarding lasts."""
    with tempfile.TemporaryDirectory() as folder:
        config, said = Path(folder) / "env.yaml", Path(folder) / "said.json"
        target = {"resources": {"RemotePlace": {"name": place}}, "drivers": {"SerialDriver": {}}}
        config.write_text(json.dumps({"targets": {"main": target}}), encoding="utf-8")  # also YAML
        command = [PROGRAM, "-c", str(config), "-p", place, "export", "--format", "json", str(said)]
        with Child(command, environment=environment()) as child:
            end = time.monotonic() + _ANSWER_S
            while not said.exists():
                if child.exit_status() is not None or time.monotonic() > end:
                    words = " ".join(child.errors().split())
                    raise ToolError(
                        f"the place gives no serial port: {words or 'no answer'}",
                        wanted="one NetworkSerialPort or USBSerialPort",
                        node=place,
                    )
                time.sleep(_LOOK_S)
            yield _url(json.loads(said.read_text(encoding="utf-8")))


def _url(exported: Mapping[str, str]) -> str:
    """Of what SerialDriver exports."""
    host, port = exported["LG__SERIALDRIVER_HOST"], exported["LG__SERIALDRIVER_PORT"]
    scheme = "socket" if exported.get("LG__SERIALDRIVER_PROTOCOL") == "raw" else "rfc2217"
    return f"{scheme}://{host}:{port}"
