"""mbn-live's server and session: who may ask, what is refused, and a device that goes away.

What enters: requests by Starlette's test client, a small network in emulation. What leaves:
failures. tests/test_live_page.py opens the page in a browser.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="needs the extra `live`")
pytest.importorskip("httpx", reason="needs the extra `test`")

from starlette.testclient import TestClient

import mbn
from mbn.cli import compile as compile_command
from mbn.cli import live as command
from mbn.core.boards import find_board
from mbn.core.errors import CheckError, LinkError, UnsupportedError, UsageError
from mbn.harness.device.emulated import qemu
from mbn.live import app as live_app
from mbn.live.answer import Answer, Class, Facts, Stage
from mbn.live.guard import HEADERS, TOKEN_HEADER, new_token
from mbn.live.server import listen

PORT = 4711
HOME = f"http://127.0.0.1:{PORT}"
TOKEN = "the-token"
NASTY = '<img src=x onerror="document.title=1">'


class Dreamer:
    """Answers everything alike; `wrong`: what it raises instead."""

    def __init__(self, wrong: Exception | None = None, wait: threading.Event | None = None) -> None:
        self.wrong, self.wait = wrong, wait
        self.pictures: list[bytes] = []
        self.at_once = self.most_at_once = 0

    @property
    def facts(self) -> Facts:
        return Facts("net", "a board", (NASTY, "b"), 4, 4, 3, False, 10, None)

    def answer(self, picture: bytes) -> Answer:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.wait is not None:
            self.wait.wait(10)
        self.at_once -= 1
        self.pictures.append(picture)
        if self.wrong is not None:
            raise self.wrong
        classes = (Class(NASTY, 3, 0.75), Class("b", 1, 0.25))
        stages = (Stage("conv", "4x4x3", "1x1x2", 10, None, None),)
        seen = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
        return Answer(classes, stages, None, None, "not known", False, None, 2, 0.1, seen)


def client_of(thinker: Dreamer, base_url: str = HOME) -> TestClient:
    return TestClient(live_app.application(thinker, TOKEN, PORT), base_url=base_url)


@pytest.fixture
def client() -> TestClient:
    return client_of(Dreamer())


GOOD = {TOKEN_HEADER: TOKEN, "origin": HOME}


# -- who may ask ---------------------------------------------------------------------------------


def test_the_page_answers_its_own_requests(client: TestClient) -> None:
    assert client.get("/api/facts", headers={TOKEN_HEADER: TOKEN}).json()["classes"][0] == NASTY
    found = client.post("/api/picture", content=b"picture", headers=GOOD).json()
    assert found["exact"] and found["cycles"] is None and found["classes"][0]["share"] == 0.75
    assert found["seen"]["height"] == 4
    local = client_of(Dreamer(), f"http://localhost:{PORT}")
    assert local.get("/").status_code == 200


@pytest.mark.parametrize("path", [*live_app.FILES, "/api/facts", "/nothing"])
def test_every_answer_keeps_the_page_to_itself(client: TestClient, path: str) -> None:
    for headers in ({}, {"host": "evil.example"}):
        answer = client.get(path, headers=headers)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "set-cookie" not in answer.headers
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"[::1]:{PORT}"]
)
def test_a_rebound_name_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/live.js", "/api/facts"):
        answer = client.get(path, headers={"host": host, TOKEN_HEADER: TOKEN})
        assert answer.status_code == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", f"https://127.0.0.1:{PORT}", ""]
)
def test_a_foreign_page_is_refused(client: TestClient, origin: str) -> None:
    headers = {TOKEN_HEADER: TOKEN, "origin": origin}
    assert client.post("/api/picture", content=b"x", headers=headers).status_code == 403
    assert client.get("/api/facts", headers=headers).status_code == 403


def test_a_request_without_origin_or_from_another_site_is_refused(client: TestClient) -> None:
    headers = {TOKEN_HEADER: TOKEN}
    assert client.post("/api/picture", content=b"x", headers=headers).status_code == 403
    foreign = headers | {"sec-fetch-site": "cross-site"}
    assert client.get("/api/facts", headers=foreign).status_code == 403


@pytest.mark.parametrize("token", ["", "the-toke", "the-token2", "THE-TOKEN", "tökén"])
def test_the_token_is_wanted(client: TestClient, token: str) -> None:
    thinker = Dreamer()
    asked = client_of(thinker)
    headers = {TOKEN_HEADER: token.encode("utf-8"), "origin": HOME.encode()}
    assert asked.post("/api/picture", content=b"x", headers=headers).status_code == 401
    assert asked.get(f"/api/facts?token={TOKEN}").status_code == 401
    assert not thinker.pictures
    assert len(new_token()) >= 32 and new_token() != new_token()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "GET"])
def test_other_methods_do_nothing(client: TestClient, method: str) -> None:
    assert client.request(method, "/api/picture", headers=GOOD).status_code == 405


def test_it_listens_on_loopback_alone() -> None:
    with listen(0) as one:
        address, port = one.getsockname()
        assert address == "127.0.0.1"
        one.listen()
        with pytest.raises(UsageError, match=f"port {port}"):
            listen(port)


# -- what is refused -----------------------------------------------------------------------------


def test_a_large_body_is_refused_while_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_app, "MOST_BYTES", 1000)
    thinker = Dreamer()
    client = client_of(thinker)
    assert client.post("/api/picture", content=b"x" * 1001, headers=GOOD).status_code == 413
    parts = (b"x" * 400 for _ in range(3))  # its length is not said
    assert client.post("/api/picture", content=parts, headers=GOOD).status_code == 413
    assert not thinker.pictures
    assert client.post("/api/picture", content=b"x" * 1000, headers=GOOD).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "status", "kind"),
    [
        (UsageError("is no picture"), 422, "picture"),
        (LinkError("the device is gone"), 502, "device"),
        (CheckError("another build"), 502, "device"),
        (OSError("no such device"), 502, "device"),
    ],
)
def test_mistakes_are_words(wrong: Exception, status: int, kind: str) -> None:
    answer = client_of(Dreamer(wrong)).post("/api/picture", content=b"x", headers=GOOD)
    assert answer.status_code == status
    assert answer.json() == {"error": str(wrong), "kind": kind}


def test_the_device_has_one_request_at_a_time() -> None:
    release = threading.Event()
    thinker = Dreamer(wait=release)
    client = client_of(thinker)
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(client.post("/api/picture", content=b"x", headers=GOOD).status_code)

    with client:  # one loop for all
        threads = [threading.Thread(target=ask) for _ in range(live_app.MOST_WAITING + 2)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 10
        while len(statuses) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        release.set()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [200] * live_app.MOST_WAITING + [503] * 2
    assert thinker.most_at_once == 1


# -- a device ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with names, compiled for the emulated M4."""
    at = tmp_path_factory.mktemp("live")
    labels = at / "labels.txt"
    labels.write_text(f"{NASTY}\ncat\ndog\n", encoding="utf-8")
    arguments = ["--weights", "random:1", "--alpha", "0.25", "--resolution", "32", "--classes", "3"]
    arguments += ["--labels", str(labels), "--samples", "1", "--quiet"]
    code = compile_command.main([*arguments, "--board", "qemu", "--output", str(at / "out")])
    assert code == 0
    return at / "out"


@pytest.fixture
def session(folder: Path) -> Iterator[mbn.Live]:
    made = mbn.live_folder("qemu", folder)
    yield made
    made.close()


def png(width: int = 50, height: int = 40, mode: str = "RGB", kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    stored = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stored, kind)
    return stored.getvalue()


def test_a_picture_is_answered_bit_for_bit(session: mbn.Live) -> None:
    found = session.answer(png())
    assert found.difference is None and found.values == 3
    assert {one.name for one in found.classes} == {NASTY, "cat", "dog"}
    assert abs(sum(one.share for one in found.classes) - 1) < 1e-6
    assert found.classes[0].share >= found.classes[-1].share
    assert found.seen.shape == (32, 32, 3)
    assert not found.measured and found.cycles is None and "--check" in found.counted
    wanted = mbn.reference(session.network)(found.seen).reshape(-1)
    assert sorted(one.code for one in found.classes) == sorted(wanted.tolist())
    json.dumps(found.json())
    assert session.facts.classes == (NASTY, "cat", "dog") and not session.facts.draws


def test_a_modelled_cost_is_marked(folder: Path) -> None:
    stages = len(mbn.live_folder("qemu", folder).network.stages)
    modelled = mbn.live_folder("qemu", folder, modelled=[*range(stages), 1000])
    found = modelled.answer(png(mode="L"))
    modelled.close()
    assert found.cycles == 1000 and not found.measured and "not measured" in found.counted
    assert found.stages[3].cycles == 3 and found.stages[3].ms is not None


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", png()[:60], png()[:-700], png(kind="PPM"), b"%!PS-Adobe-3.0 EPSF-3.0\n"],
    ids=["empty", "text", "head", "cut", "ppm", "eps"],
)
def test_what_is_no_picture_is_refused_before_the_device(session: mbn.Live, data: bytes) -> None:
    with pytest.raises(UsageError):
        session.answer(data)
    assert session._device is None


def test_pixels_are_counted_before_they_are_decoded(
    session: mbn.Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("mbn.train.picture_file.read_picture", decoded)
    for side in (9000, 20_000):  # some KB that would be 81 and 400 million pixels
        stored = io.BytesIO()
        Image.new("1", (side, side)).save(stored, "PNG")
        with pytest.raises(UsageError, match=r"too many pixels.*at most 40,000,000"):
            session.answer(stored.getvalue())


def children() -> list[int]:
    """The processes that this one started."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        found += [int(one) for one in (task / "children").read_text().split()]
    return found


def test_a_device_that_vanishes_is_said_and_comes_back(session: mbn.Live) -> None:
    before = set(children())
    assert session.answer(png()).difference is None
    for child in set(children()) - before:
        os.kill(child, signal.SIGKILL)
    with pytest.raises(LinkError):
        session.answer(png())
    assert session.answer(png()).difference is None


def test_a_port_is_a_device_too_and_may_go_and_come(folder: Path) -> None:
    board = find_board("qemu")
    with qemu(board, folder / "check.elf") as (port, child):
        attached = mbn.live_folder(board, folder, port=port)
        assert attached.answer(png()).difference is None
        assert port in attached.facts.board
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(LinkError):
            attached.answer(png())
        with pytest.raises(LinkError):  # and nothing is started in its place
            attached.answer(png())
        attached.close()


def test_another_board_or_build_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="compiled for qemu"):
        mbn.live_folder("qemu-m7", folder)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for path in folder.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    report["build_id"] = "0" * 16
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    other = mbn.live_folder("qemu", tmp_path)
    with pytest.raises(CheckError, match="wanted: build 0000"):
        other.answer(png())
    other.close()


def test_a_network_that_is_no_classifier_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mbn.jobs import live as live_job  # noqa: PLC0415

    network = mbn.live_folder("qemu", folder).network

    class Maps:
        """The same, that gives a map."""

        def __getattr__(self, name: str) -> Any:
            return network.input if name == "output" else getattr(network, name)

    monkeypatch.setattr(live_job.network_file, "load", lambda _: Maps())
    with pytest.raises(UnsupportedError, match="tells no classes apart"):
        mbn.live_folder("qemu", folder)


# -- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--board", "qemu-m8"], "Did you mean"),
        (["--board", "qemu", "--http-port", "70000"], "--http-port 70000"),
        (["--board", "qemu", "--output", "none"], "none"),
        (["--board", "qemu", "--output", "none", "--alpha", "1"], "--output together"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main([*arguments, "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said


def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "mbn.live.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert command.main(["--board", "qemu"]) == 2
    said = capsys.readouterr().err
    assert "uvicorn is not installed" in said and "[live]'" in said


def test_the_command_serves_until_it_is_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []

    def stop(_session: object, _listening: object, ready: Any) -> None:
        ready("http://127.0.0.1:1/#secret")
        raise KeyboardInterrupt

    def opens(address: str) -> bool:
        opened.append(address)
        way = Path(address.removeprefix("file://"))
        assert way.stat().st_mode & 0o077 == 0 or way.parent.stat().st_mode & 0o077 == 0
        assert "http://127.0.0.1:1/#secret" in way.read_text(encoding="utf-8")
        return True

    monkeypatch.setattr(mbn.api.living, "serve_live", stop)
    monkeypatch.setattr(mbn, "serve_live", stop, raising=False)
    monkeypatch.setattr(command.webbrowser, "open_new_tab", opens)
    monkeypatch.setenv("DISPLAY", ":0")
    assert command.main(["--board", "qemu", "--output", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "open  http://127.0.0.1:1/#secret" in printed and "stopped" in printed
    assert len(opened) == 1 and "secret" not in opened[0]
