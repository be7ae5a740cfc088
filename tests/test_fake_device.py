"""The harness against devices that answer nonsense: each request ends, in words.

What enters: every mode of fake_device. What leaves: nothing but failures. Always holds: a
`LinkError` within some seconds; never a traceback of another kind, never a wait without end.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from fake_device import MODES, SHAPE, fake_device
from mbn.core.errors import CheckError, LinkError
from mbn.harness.device import mlperf as mlperf_device
from mbn.harness.device import session
from mbn.harness.device.check import check
from mbn.harness.device.link import Link
from mbn.harness.device.mlperf import Runner
from mbn.harness.device.protocol import Watch
from mbn.harness.device.session import Device
from mbn.harness.host.port import open_port


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_ANSWER_S", 0.5)
    monkeypatch.setattr(session, "_LONGEST_S", 1.0)
    monkeypatch.setattr(mlperf_device, "LINE_S", 0.5)


def _all_requests(device: Device) -> None:
    device.wait_ready(1.0)
    device.health()
    image = np.zeros(SHAPE, np.int8)
    device.run(image)
    device.memory()
    device.run(image, Watch.CYCLES)
    device.cycles()
    device.run(image, Watch.CHECKSUMS)
    device.checksums()


def test_the_fake_one_is_a_device_where_nothing_is_spoilt(tmp_path: Path) -> None:
    with fake_device("") as url, Link(url, baud=1, log_path=tmp_path / "log") as link:
        _all_requests(Device(link))


def test_an_output_of_another_size_is_told(tmp_path: Path) -> None:
    with fake_device("") as url, Link(url, baud=1, log_path=tmp_path / "log") as link:
        device = Device(link)
        device.wait_ready(60.0)
        with pytest.raises(CheckError, match="wanted: 4321 values"):
            check(device, np.zeros((1, *SHAPE), np.int8), np.zeros((1, 4321), np.int8))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_ends_in_words(mode: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    with fake_device(mode) as url, Link(url, baud=1, log_path=tmp_path / "log") as link:
        device = Device(link)
        with pytest.raises(LinkError) as caught:
            _all_requests(device)
            device.trace(np.zeros(SHAPE, np.int8), 0)
    assert time.monotonic() - begun < 60
    assert "powered" not in str(caught.value)  # it talks
    assert (tmp_path / "log").stat().st_size < 4_000_000


def test_an_identity_that_is_none_ends_the_wait_at_once(tmp_path: Path) -> None:
    with fake_device("big_shape") as url, Link(url, baud=1, log_path=tmp_path / "log") as link:
        begun = time.monotonic()
        with pytest.raises(LinkError, match="an output of 65535 x 65535 x 65535"):
            Device(link).wait_ready(300.0)
    assert time.monotonic() - begun < 60
    assert len((tmp_path / "log").read_text().splitlines()) <= 4  # asked once


def test_a_silent_line_is_told_with_the_whole_wait(tmp_path: Path) -> None:
    with Link("loop://", baud=1, log_path=tmp_path / "log") as link:
        link._port.write = len  # nothing comes back
        with pytest.raises(LinkError, match=r"nothing came within [1-9]\d*\.\d+ s.*powered"):
            Device(link).wait_ready(1.0)


@pytest.mark.parametrize("mode", ["mlperf_lines", "noise", "zeros_stream", "nozero"])
def test_mlperfs_waits_end(mode: str) -> None:
    with fake_device(mode) as url:
        port = open_port(url, 115200)
        try:
            for wait in (lambda one: one.wake(), lambda one: one.ask("name", 0.5)):
                begun = time.monotonic()
                with pytest.raises(LinkError):
                    wait(Runner(port, url))
                assert time.monotonic() - begun < 60
        finally:
            port.close()
