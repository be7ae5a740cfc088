"""Places of a labgrid coordinator as benches.

What enters: labgrid's program, or a shell script in its place (the quick tests), a coordinator and
an exporter on loopback that export emulated boards (--full). What leaves: boards flashed and
checked through places. Always holds: a place is released however the tool ends; labgrid is
installed into an environment of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Builder
from line_servers import socket_server
from mbn.cli import check as check_command
from mbn.cli import compile as compile_command
from mbn.cli import flash as flash_command
from mbn.core.boards import find_board
from mbn.core.errors import ToolError, UsageError
from mbn.core.process import Child
from mbn.core.telling import SILENT
from mbn.harness.device.emulated import emulated
from mbn.harness.flash import Deadline
from mbn.harness.flash.find import Place, lab_place
from mbn.harness.flash.tool import ToolFlasher, labgrid_tool
from mbn.harness.host import labgrid
from mbn.jobs.flash import flasher_for, reserved, wanted_of
from test_rom_uart import part

ROOT = Path(__file__).parents[1]
LABGRID = "labgrid==26.0.1"
STAND_IN = """#!/bin/sh
echo "$LG_USERNAME $*" >> {log}
case "$*" in
*acquire) {acquire} ;;
*export*) for last; do :; done; echo '{exported}' > "$last.new"; mv "$last.new" "$last"; sleep 60 ;;
*release) echo "released place" ;;
esac
"""
SERIAL = {
    "LG__SERIALDRIVER_HOST": "lab",
    "LG__SERIALDRIVER_PORT": "4000",
    "LG__SERIALDRIVER_PROTOCOL": "rfc2217",
}
StandIn = Callable[[str], Path]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Makes the script, and says where it logs its calls. `acquire`: what it does then."""

    def made(acquire: str = 'echo "acquired place rack"') -> Path:
        log, program = tmp_path / "calls", tmp_path / "bin" / labgrid.PROGRAM
        program.parent.mkdir(exist_ok=True)
        text = STAND_IN.format(log=log, acquire=acquire, exported=json.dumps(SERIAL))
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return log

    return made


def _ignore(text: str) -> None:
    """A line that no test looks at."""


def test_a_place_is_held_and_released(stand_in: StandIn) -> None:
    log = stand_in('echo "acquired place rack"')
    with labgrid.held("rack", _ignore) as url:
        assert url == "rfc2217://lab:4000"
        assert "release" not in log.read_text()
    calls = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert {user.rpartition(".")[2] for user, _ in calls} == {f"mbn-{os.getpid()}"}
    assert calls[0][1] == "-p rack acquire" and calls[-1][1] == "-p rack release"
    with pytest.raises(ZeroDivisionError), labgrid.held("rack", _ignore):
        raise ZeroDivisionError
    assert log.read_text().count("release") == 2


def test_another_ones_place_is_waited_for(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labgrid, "_AGAIN_S", 0.01)
    words = "Place rack is already acquired by lab/ann"
    log = stand_in(f'echo "{words}" >&2; exit 1')
    said: list[str] = []
    with (
        pytest.raises(ToolError, match="not acquired: Place rack is already acquired by lab/ann"),
        labgrid.held("rack", said.append, wait_s=0.1),
    ):
        pytest.fail("held")
    assert said == [f"{words}; waiting for up to 0 s"]
    assert log.read_text().count("acquire") > 1 and "release" not in log.read_text()


def test_what_labgrid_says_is_passed_on(stand_in: StandIn) -> None:
    log = stand_in('echo "labgrid-client: error: place rack not found" >&2; exit 1')
    with (
        pytest.raises(ToolError, match=r"place rack not found.*free place of the coordinator"),
        labgrid.held("rack", _ignore),
    ):
        pytest.fail("held")
    assert log.read_text().count("\n") == 1


def test_another_port_is_as_it_is() -> None:
    with labgrid.reached("socket://lab:4000") as port:
        assert port == "socket://lab:4000"
    with pytest.raises(UsageError, match="labgrid:PLACE"), labgrid.reached("labgrid:"):
        pytest.fail("reached")


def test_no_labgrid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="pipx install labgrid"), labgrid.held("rack", _ignore):
        pytest.fail("held")


def test_the_place_is_released_when_the_tool_is_killed(stand_in: StandIn) -> None:
    log = stand_in('echo "acquired place rack"')
    script = (
        "import time; from mbn.harness.host import labgrid\n"
        "with labgrid.held('rack', lambda text: print(text, flush=True)): time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None and b"is held" in tool.stdout.readline()
        tool.kill()
    _until(lambda: "release" in log.read_text())


def _until(done: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_how_a_place_is_named(tmp_path: Path) -> None:
    board, lab = find_board("nucleo_l4r5zi"), tmp_path / "lab.toml"
    lab.write_text('[nucleo_l4r5zi]\nlabgrid = "rack"\n', encoding="utf-8")
    assert lab_place(board, None, lab) == Place(labgrid="rack")
    assert lab_place(board, "labgrid:rack", tmp_path / "none") == Place(labgrid="rack")
    with pytest.raises(UsageError, match="labgrid:PLACE"):
        lab_place(board, "labgrid:", lab)


def test_what_flashes_at_a_place(build: Builder, stand_in: StandIn) -> None:
    """A probe is labgrid's to drive; a boot loader behind the serial port is ours."""
    log = stand_in('echo "acquired place rack"')
    wanted = wanted_of(build(find_board("nucleo_f446re")))
    with reserved(Place(labgrid="rack"), SILENT) as place:
        flasher = flasher_for(wanted, place)
        assert isinstance(flasher, ToolFlasher) and flasher.port == "rfc2217://lab:4000"
        flasher.write([], lambda done, of: None, Deadline(10.0, "write"))
    assert f"-p rack bootstrap {wanted.hex}" in log.read_text()
    stm32 = wanted_of(build(find_board("stm32")))
    assert flasher_for(stm32, Place(labgrid="rack")).name == "uart"
    with pytest.raises(UsageError, match="labgrid does not flash by uf2"):
        labgrid_tool("rack", "uf2")


# -- labgrid itself ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Lab:
    """A coordinator, and what calls its client."""

    client: str
    coordinator: str

    def run(self, *arguments: str) -> str:
        ended = subprocess.run(
            [self.client, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def acquired_by(self, place: str) -> str:
        """Empty: nobody."""
        (line,) = (one for one in self.run("-p", place, "show").splitlines() if "acquired:" in one)
        return line.partition(":")[2].strip().removeprefix("None")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """labgrid's, in an environment of its own."""
    folder = tmp_path_factory.mktemp("labgrid") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", LABGRID]
    ended = subprocess.run(pip, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        pytest.skip(f"{LABGRID} can't be installed: {ended.stderr.strip()[-200:]}")
    return folder / "bin"


@contextmanager
def laboratory(programs: Path, folder: Path, urls: dict[str, str]) -> Iterator[Lab]:
    """A coordinator and an exporter of these raw serial ports, each a place of that name."""
    resources = {}
    for name, url in urls.items():
        host, _, port = url.removeprefix("socket://").partition(":")
        serial = {"host": host, "port": int(port), "speed": 115200, "protocol": "raw"}
        resources[name] = {"NetworkSerialPort": serial}
    (folder / "exporter.yaml").write_text(json.dumps(resources), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        patch.setenv("LG_COORDINATOR", coordinator)
        patch.chdir(folder)  # where the coordinator keeps its places
        start = [str(programs / "labgrid-coordinator"), "--listen", coordinator]
        stack.enter_context(Child(start))
        host, _, port = coordinator.partition(":")
        _until(lambda: _listens(host, int(port)))
        export = [str(programs / "labgrid-exporter"), "--coordinator", coordinator]
        stack.enter_context(Child([*export, "--name", "desk", str(folder / "exporter.yaml")]))
        lab = Lab(str(programs / labgrid.PROGRAM), coordinator)
        _until(lambda: all(f"desk/{name}" in lab.run("resources") for name in urls))
        for name in urls:
            lab.run("-p", name, "create")
            lab.run("-p", name, "add-match", f"desk/{name}/NetworkSerialPort")
        yield lab


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.full
def test_a_place_is_flashed_and_checked(
    programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A part with its ROM boot loader, whose flash QEMU executes then."""
    made = tmp_path / "made"
    arguments = ["--board", "stm32", "--alpha", "0.25", "--resolution", "96", "--classes", "2"]
    arguments += ["--weights", "random:1", "--samples", "2", "--output", str(made), "--quiet"]
    assert compile_command.main(arguments) == 0
    capsys.readouterr()
    with (
        part(find_board("stm32"), tmp_path) as model,
        socket_server(model.port) as url,
        laboratory(programs, tmp_path, {"rack": url}) as lab,
    ):
        at = ["--board", "stm32", "--output", str(made), "--at", "labgrid:rack"]
        assert flash_command.main([*at, "--check"]) == 0
        said = capsys.readouterr().out
        assert f"rack of labgrid is held; its serial port is {url}" in said
        assert "2 of 2 samples exact: all bits equal" in said
        assert lab.acquired_by("rack") == ""
        again = ["--board", "stm32", "--output", str(made), "--port", "labgrid:rack"]
        assert check_command.main([*again, "--samples", "1"]) == 0
        assert "1 of 1 samples exact" in capsys.readouterr().out
        lab.run("-p", "rack", "acquire")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(labgrid, "WAIT_S", 0.0)
            assert flash_command.main([*at, "--check"]) == 2
        assert "already acquired" in capsys.readouterr().err


@pytest.mark.full
def test_two_processes_test_two_places(programs: Path, build: Builder, tmp_path: Path) -> None:
    """Each of pytest's processes has a board; one that is killed leaves its place free."""
    image = build(find_board("qemu"))
    with (
        emulated(find_board("qemu"), image.elf) as (first, _),
        emulated(find_board("qemu"), image.elf) as (second, _),
        laboratory(programs, tmp_path, {"one": first, "two": second}) as lab,
    ):
        command = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "test_device.py")]
        places = ["--at", "labgrid:one", "--at", "labgrid:two"]
        chosen = ["-k", "exact or identity or checksums", "-n", "2", "-p", "no:cacheprovider"]
        ended = subprocess.run(
            [*command, *places, *chosen], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout
        assert " passed" in ended.stdout
        assert lab.acquired_by("one") == lab.acquired_by("two") == ""
        held = subprocess.Popen([*command, "-k", "identity", "--at", "labgrid:one"], cwd=ROOT)
        _until(lambda: "mbn-" in lab.acquired_by("one"), 60)
        held.send_signal(signal.SIGKILL)
        held.wait()
        _until(lambda: lab.acquired_by("one") == "", 60)
